"""Media forwarding: chatd's bridge beside Janus, in one run. See README.md."""
