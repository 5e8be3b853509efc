"""Entity Capabilities, XEP-0115: the server's own, and those of clients."""
