"""RFC and XEP rules as values in, values out: no reactor, clock, socket, database or randomness."""
