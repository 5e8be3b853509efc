"""Group chat, XEP-0045 5: affiliations (lasting) and roles (for one visit), and who may change whom.

Pure tables: values in, an answer and the reason out.  `RoomRow` and `Affiliate` are what the store keeps.
"""

from __future__ import annotations

from typing import Any, Final

import attrs

__all__ = ["AFFILIATIONS", "ROLES", "Affiliate", "RoomRow", "affiliation_rank", "default_role",
           "may_change_affiliation", "may_change_role", "role_rank"]

#: From the lowest to the highest standing.
AFFILIATIONS: Final = ("outcast", "none", "member", "admin", "owner")
ROLES: Final = ("none", "visitor", "participant", "moderator")

affiliation_rank: Final = {word: rank for rank, word in enumerate(AFFILIATIONS)}
role_rank: Final = {word: rank for rank, word in enumerate(ROLES)}


@attrs.frozen
class Affiliate:
    """A bare address and its standing in a room.

    nick: the nickname kept for it.  reason: what was said when it was given.  pending: asks for membership.
    role: "visitor" or "participant", where it is kept for the next visit; "" for the usual one.
    """

    jid: str
    affiliation: str = "none"
    nick: str = ""
    reason: str = ""
    pending: bool = False
    role: str = ""

    @property
    def is_empty(self) -> bool:
        """Nothing worth keeping."""
        return self.affiliation == "none" and not self.pending and not self.nick and not self.role


@attrs.frozen
class RoomRow:
    """A room as the store keeps it.  id: its number; its archive is that of account -id.

    config: settings that differ from the defaults.  secret: key of its occupant ids.  hats: XEP-0317.
    subject_mark: the occupant id of who set the subject.
    """

    id: int
    local: str
    domain: str
    secret: bytes
    persistent: bool
    config: dict[str, Any]
    subject: str = ""
    subject_nick: str = ""
    subject_ms: int = 0
    hats: dict[str, Any] = attrs.field(factory=dict)
    vcard: bytes | None = None
    affiliates: tuple[Affiliate, ...] = ()
    subject_mark: str = ""
    created_ms: int = 0


def default_role(affiliation: str, moderated: bool, kept: str = "") -> str:
    """The role somebody of this affiliation has on entering (XEP-0045 5.1.2); "none" for an outcast.

    kept: the role kept from an earlier visit (5.1), "" for none.  Voice that was taken stays taken, voice that was
    given counts where it has to be given.
    """
    if affiliation == "outcast":
        return "none"
    if affiliation in ("owner", "admin"):
        return "moderator"
    if kept:
        return kept
    if affiliation == "member" or not moderated:
        return "participant"
    return "visitor"


def may_change_affiliation(actor: str, target: str, wanted: str) -> tuple[bool, str]:
    """May somebody of affiliation `actor` make `wanted` of a `target` (XEP-0045 5.2.1, 9, 10)?

    The words: "owner", "admin" (allowed as such), "rank" (nobody bans who stands as high as himself), "list" (the
    lists of admins and owners are the owners'), "affiliation" (the actor is neither owner nor admin).
    """
    if actor == "owner":
        return True, "owner"
    if actor != "admin":
        return False, "affiliation"
    reach = affiliation_rank["admin"]
    if affiliation_rank[target] >= reach or affiliation_rank[wanted] >= reach:
        return False, "rank" if wanted == "outcast" else "list"
    return True, "admin"


def may_change_role(actor_role: str, actor: str, target_role: str, target: str, wanted: str) -> tuple[bool, str]:
    """May an occupant (role, affiliation) give another one (role, affiliation) the role `wanted`?

    XEP-0045 5.1.1, 8.2-8.4, 9.6-9.7: moderators kick, give and take voice; admins and owners also make moderators
    and unmake them; nobody touches an affiliation above his own, nobody takes voice from a member as a mere member
    himself (8.4), and owners and admins stay moderators.  The words: "moderator", "admin" (allowed as such), "role",
    "rank", "affiliation" (why not).
    """
    if actor_role != "moderator":
        return False, "role"
    is_admin = actor in ("owner", "admin")
    if affiliation_rank[target] > affiliation_rank[actor]:
        return False, "rank"
    if wanted == "none":
        return (True, "moderator") if is_admin or target_role != "moderator" else (False, "affiliation")
    if target in ("owner", "admin") and wanted != "moderator":
        return False, "rank"
    if "moderator" in (target_role, wanted):
        return (True, "admin") if is_admin else (False, "affiliation")
    if wanted == "visitor" and not is_admin and target == actor == "member":
        return False, "rank"
    return True, "moderator"
