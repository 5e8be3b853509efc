"""Attacks on a running daemon.  A package, so that its one daemon ends with its last test."""
