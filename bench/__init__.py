"""The bench: chatd beside Prosody and ejabberd, in one run, under one load (see README.md)."""
