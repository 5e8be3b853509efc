"""Other domains: streams between servers, RFC 6120."""
