"""chatctl: the command line of a site's administrator."""
