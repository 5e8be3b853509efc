"""The daemon's side of the media bridge: its processes, where rooms are, and what is told of them."""
