"""The media bridge: a LiveKit-compatible forwarding unit in a process of its own (`python -m chatd.bridge`)."""
