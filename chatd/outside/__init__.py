"""The organisation's own servers, which chatd asks as a client: reached over TLS with their certificate verified.

Nothing here knows what is asked for; that is chatd.auth's and chatd.directory's.
"""
