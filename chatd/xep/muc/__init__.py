"""Group chat (XEP-0045): one file for each property of a room; `muc` is the module, `service` one domain of rooms."""
