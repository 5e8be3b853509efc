"""Groups of the organisation: whose members have each other in their rosters without having asked.

Who belongs to which groups comes from the directory and the settings (`Wish`); only people who have an account
are members, since nobody else could be seen or written to. All values here are frozen: a change makes new groups for
those concerned and keeps the others as they are, so that what differs is found by comparing identities.

A group's `version` tells its members and their names apart from any other. With the roster's own version it makes the
`ver` that clients keep (RFC 6121 2.6).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import blake2b
from typing import Final

import attrs

from chatd.core.roster import RosterItem

__all__ = ["Contacts", "Differences", "Group", "Organisation", "Wish", "version_of"]

_NONE: Final[Mapping[str, str]] = {}
_VERSIONS: Final = 1 << 48
# To be changed with how rosters say what is a group's: clients that keep one are sent it anew, then.
_SHOWN_AS: Final = b"1"


@attrs.frozen
class Wish:
    """What the directory and the settings say of one person: the name to show, and the names of his groups."""

    name: str
    groups: tuple[str, ...]


@attrs.frozen(eq=False)
class Group:
    """One group. members: the name of each by bare address. version: hexadecimal."""

    name: str
    members: Mapping[str, str]
    version: int

    @classmethod
    def of(cls, name: str, members: Mapping[str, str]) -> Group:
        """The group of these members."""
        return cls(name, members, sum(_digest(name, *member) for member in members.items()) % _VERSIONS)

    def including(self, jid: str, shown: str) -> Group:
        """With a member more."""
        version = (self.version + _digest(self.name, jid, shown)) % _VERSIONS
        return Group(self.name, {**self.members, jid: shown}, version)

    def excluding(self, jid: str) -> Group:
        """Without this member."""
        members = dict(self.members)
        version = (self.version - _digest(self.name, jid, members.pop(jid))) % _VERSIONS
        return Group(self.name, members, version)


def _digest(*texts: str) -> int:
    """What a member adds to the version of a group: so a large one need not be gone through for one member."""
    return int.from_bytes(blake2b("\0".join(texts).encode(), digest_size=6, key=_SHOWN_AS).digest())


class Organisation:
    """The groups of a domain. wishes: by bare address. most: members of a group; larger ones are nobody's.
    has_account(bare): may that person be a member?"""

    def __init__(self, wishes: Mapping[str, Wish], most: int, has_account: Callable[[str], bool],
                 before: Organisation | None = None) -> None:
        self.wishes = wishes
        self._most = most
        self._has_account = has_account
        members: dict[str, dict[str, str]] = {}
        for jid, wish in wishes.items():
            for group in wish.groups:
                members.setdefault(group, {})
                if has_account(jid):
                    members[group][jid] = wish.name
        self._groups = {name: self._kept(Group.of(name, found), before) for name, found in members.items()}

    @staticmethod
    def _kept(group: Group, before: Organisation | None) -> Group:
        former = before._groups.get(group.name) if before is not None else None
        return former if former is not None and former.version == group.version else group

    def of(self, jid: str) -> tuple[Group, ...]:
        """The groups a person sees: those he is a member of that are not too large."""
        wish = self.wishes.get(jid)
        if wish is None or not self._has_account(jid):
            return ()
        found = (self._groups[name] for name in sorted(wish.groups))
        return tuple(group for group in found if jid in group.members and 1 < len(group.members) <= self._most)

    def account_changed(self, jid: str) -> bool:
        """There is an account of this address now, or no more: does that change groups?"""
        wish = self.wishes.get(jid)
        has = self._has_account(jid)
        is_changed = False
        for name in wish.groups if wish is not None else ():
            former = self._groups[name]
            if (jid in former.members) != has and wish is not None:
                self._groups[name] = former.including(jid, wish.name) if has else former.excluding(jid)
                is_changed = True
        return is_changed

    def status(self) -> Iterator[tuple[str, int, bool]]:
        """Name, number of members, and whether it is too large, of each group."""
        for name, group in sorted(self._groups.items()):
            yield name, len(group.members), len(group.members) > self._most


def version_of(groups: Iterable[Group]) -> str:
    """What the groups of one account add to its roster's version; "" without any."""
    found = [group.version for group in groups]
    return f"{sum(found) % _VERSIONS:012x}" if found else ""


class Contacts(Mapping[str, RosterItem]):
    """A roster with the organisation's groups in it, by bare address. Nothing is copied: items are made as they are
    asked for. own: what is kept of the account. bare: whose it is. groups: those he is in."""

    __slots__ = ("_bare", "_groups", "_own")

    def __init__(self, own: Mapping[str, RosterItem], bare: str, groups: tuple[Group, ...]) -> None:
        self._own = own
        self._bare = bare
        self._groups = groups

    def shares(self, jid: str) -> bool:
        """Is that person in one of the groups?"""
        return jid != self._bare and any(jid in group.members for group in self._groups)

    def subscribers(self) -> Iterator[str]:
        """Who may see its presence: everybody in the groups, and the contacts that may."""
        yield from (jid for jid, item in self._own.items() if item.may_see_us and not self.shares(jid))
        yield from self._colleagues()

    def __getitem__(self, jid: str) -> RosterItem:
        if not self.shares(jid):
            return self._own[jid]
        own = self._own.get(jid)
        shared = [group for group in self._groups if jid in group.members]
        names = tuple(group.name for group in shared)
        name = shared[0].members[jid]
        if own is None:
            return RosterItem(jid, name, "both", groups=names, organisation=names)
        return attrs.evolve(own, name=own.name or name, subscription="both", ask=False, pending_in=None, approved=False,
                            groups=names + tuple(one for one in own.groups if one not in names), listed=True,
                            organisation=names)

    def __iter__(self) -> Iterator[str]:
        yield from (jid for jid in self._own if not self.shares(jid))
        yield from self._colleagues()

    def _colleagues(self) -> Iterator[str]:
        seen: set[str] = {self._bare}
        for group in self._groups:
            for jid in group.members:
                if jid not in seen:
                    seen.add(jid)
                    yield jid

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, jid: object) -> bool:
        return jid in self._own or (isinstance(jid, str) and self.shares(jid))


class Differences:
    """What differs between two states of the organisation, asked for many accounts: however many of them are in two
    groups, these are compared once."""

    def __init__(self) -> None:
        self._known: dict[tuple[Group | None, Group | None], frozenset[str]] = {}

    def of(self, bare: str, before: tuple[Group, ...], after: tuple[Group, ...]) -> set[str]:
        """Whose item in the roster of `bare` differs between these groups."""
        found: set[str] = set()
        for name in {group.name for group in (*before, *after)}:
            old = next((group for group in before if group.name == name), None)
            new = next((group for group in after if group.name == name), None)
            if old is not new:
                found |= self._between(old, new)
        found.discard(bare)
        return found

    def _between(self, old: Group | None, new: Group | None) -> frozenset[str]:
        known = self._known.get((old, new))
        if known is None:
            was, is_ = (_NONE if group is None else group.members for group in (old, new))
            known = frozenset(jid for jid, _ in was.items() ^ is_.items())
            self._known[old, new] = known
        return known
