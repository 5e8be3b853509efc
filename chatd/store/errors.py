"""What can go wrong with the database as a whole. The texts are for the sysadmin who reads the log."""
from __future__ import annotations


class StoreError(Exception):
    """The database cannot be used as it is; the text says what to do."""


class StoreUnavailable(StoreError):
    """No connection to the database at the moment. What was asked has not been done."""


class SchemaTooNew(StoreError):
    """The database was written by a newer chatd."""


class NotOurs(StoreError):
    """What is there is a database of something else, or no database."""


class StoreClosed(StoreError):
    """The store has been closed."""
