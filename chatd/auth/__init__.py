"""Who may log in: checkers for the back ends that know accounts, joined by a twisted.cred portal."""
