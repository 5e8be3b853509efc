"""chatd: the chat and video meetings that belong to a company's Webmail."""

__version__ = "0.1.0"
