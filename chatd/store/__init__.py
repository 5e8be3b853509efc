"""The store: everything that outlives the process, over SQLite or PostgreSQL.

Others see `open_store`, the errors, and the interfaces of `chatd.interfaces` (IStore and one a noun). Inside: one
noun a file (accounts, roster, archive, offline, blocking, private, vcard, last), `batch` for group commit, `database`
for threads and connections, `sqlite` and `postgres` for what differs, `schema` for creation and upgrades.
"""
from __future__ import annotations

from chatd.store.errors import NotOurs, SchemaTooNew, StoreClosed, StoreError, StoreUnavailable
from chatd.store.store import Store, open_store

__all__ = ["NotOurs", "SchemaTooNew", "Store", "StoreClosed", "StoreError", "StoreUnavailable", "open_store"]
