"""Does a block list (XEP-0191) hold an address?"""

from __future__ import annotations

from chatd.core.jid import JID

__all__ = ["blocks"]


def blocks(blocked: frozenset[str], jid: JID) -> bool:
    """XEP-0191 5: an entry is a full address, a bare one (all its resources), a domain with a resource,
    or a domain (everybody there)."""
    return bool(blocked) and (jid.bare in blocked or jid.full in blocked or jid.domain in blocked or (
        bool(jid.resource) and f"{jid.domain}/{jid.resource}" in blocked))
