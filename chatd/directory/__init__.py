"""Who is in the organisation: people by name and address, from chatd's own accounts, a file, LDAP or SQL."""
