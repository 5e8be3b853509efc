"""Streams, sessions and the router: where bytes come in, are addressed and go out."""
