"""Accounts that are deleted: whoever gets the address later inherits nothing of what they had in rooms."""

from __future__ import annotations

import copy

from twisted.logger import Logger

from chatd.xep.muc.room import Room
from chatd.xep.muc.standing import Change, change_affiliations

__all__ = ["forget_account", "knows"]

log = Logger()


def knows(room: Room, bare: str) -> bool:
    """Is there anything of this person in the room?"""
    return bare in room.affiliates or any(bare in hat["worn"] for hat in room.hats.values())


async def forget_account(room: Room, bare: str) -> None:
    """Takes standing, nickname, requests and hats of an account that is no more.

    Where it was the last owner the admins are it then, for a room always has one (XEP-0045 10).  A room that is
    nobody's then, and empty, ends; one that people use is kept, and the log asks the sysadmin for an owner.
    """
    room.invited.pop(bare, None)
    if any(bare in hat["worn"] for hat in room.hats.values()):
        hats = copy.deepcopy(room.hats)
        for hat in hats.values():
            hat["worn"] = [one for one in hat["worn"] if one != bare]
        await room.service.store.rooms.save(room.id, {"hats": hats})
        room.hats = hats
    if bare not in room.affiliates:
        return
    changes = [Change(bare, "none")]
    is_orphan = [one.jid for one in room.affiliated("owner")] == [bare]
    if is_orphan:
        changes += [Change(one.jid, "owner") for one in room.affiliated("admin")]
    await change_affiliations(room, changes)
    if not is_orphan or len(changes) > 1 or room.is_gone:
        return
    if room.occupants or room.affiliated("member"):
        log.warn("{room} has lost its last owner: chatctl room affiliation {room} JID owner", room=room.bare)
    else:
        await room.service.end(room)
