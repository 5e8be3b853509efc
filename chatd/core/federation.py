"""Rules between servers: whom we talk to and on which terms, how long to wait after a failure, which namespace.

Values in, values out.  A rule for a domain holds for the domains below it too, because rooms and other services of a
server live on subdomains.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import attrs
from twisted.words.xish import domish

from chatd.core import ns
from chatd.core.stanza import Stanza

__all__ = ["FIRST_RETRY_S", "LONGEST_RETRY_S", "PeerTerms", "Policy", "pause_after", "to_client"]

FIRST_RETRY_S: Final = 1.0
LONGEST_RETRY_S: Final = 300.0


@attrs.frozen
class PeerTerms:
    """What holds for one other domain.

    dialback: it may prove who it is by answering at the address DNS gives for it (XEP-0220), where its certificate does
    not.  encryption: nothing is exchanged without TLS.  address: "HOST:PORT" to connect to instead of asking DNS.
    """

    dialback: bool = True
    encryption: bool = True
    address: str = ""


@attrs.frozen
class Policy:
    """Whom we talk to: `allow` (empty: everybody), `block`, and exceptions by domain."""

    allow: frozenset[str] = frozenset()
    block: frozenset[str] = frozenset()
    dialback: bool = True
    exceptions: Mapping[str, Mapping[str, bool | str]] = attrs.field(factory=dict)

    @classmethod
    def of(cls, settings: object) -> Policy:
        """Of the table [s2s]."""
        wanted = {"allow", "block"}
        values = {name: frozenset(getattr(settings, name)) for name in wanted}
        return cls(**values, dialback=settings.dialback, exceptions=settings.exceptions)    # type: ignore[attr-defined]

    def refuses(self, domain: str) -> str:
        """Why we do not talk to this domain, in one sentence; nothing where we do."""
        names = list(_and_above(domain))
        if not self.block.isdisjoint(names):
            return f"{domain} is on the list of blocked domains here."
        if self.allow and self.allow.isdisjoint(names):
            return f"{domain} is not on the list of domains this server talks to."
        return ""

    def terms(self, domain: str) -> PeerTerms:
        """What holds for this domain: the nearest exception, else the rule."""
        for name in _and_above(domain):
            found = self.exceptions.get(name)
            if found is not None:
                terms = PeerTerms(**{"dialback": self.dialback, **found})    # type: ignore[arg-type]
                # Without either nothing would prove who they are; an exception by itself that says so is refused.
                return terms if terms.dialback else attrs.evolve(terms, encryption=True)
        return PeerTerms(self.dialback)

    @property
    def has_unencrypted(self) -> bool:
        """Is there anybody who may come without TLS?"""
        return any(found.get("encryption") is False for found in self.exceptions.values())


def _and_above(domain: str) -> Iterable[str]:
    while domain:
        yield domain
        domain = domain.partition(".")[2]


def pause_after(failures: int, chance: float) -> float:
    """Seconds before the next attempt after so many failures in a row (1 or more); chance: 0 to 1, so that not all
    come back at once."""
    return min(FIRST_RETRY_S * 2.0 ** min(failures - 1, 30), LONGEST_RETRY_S) * (0.75 + 0.5 * chance)


def to_client(stanza: Stanza) -> None:
    """Makes a stanza of a jabber:server stream, or of a component's, one of jabber:client, which all of the daemon
    works on.

    Content without a declaration of its own follows by itself (RFC 6120 4.8.3), so most need new names only.
    """
    outside, stanza.ns = stanza.ns, ns.CLIENT
    prefix = f"{outside} "
    for child in stanza.children:
        if child.startswith(prefix):
            stanza.children = tuple([
                f"{ns.CLIENT} {name[len(prefix):]}" if name.startswith(prefix) else name
                for name in stanza.children])
            break
    if outside.encode() in stanza.inner:
        # Somebody declares it inside, or only writes about it.
        element = stanza.element
        _rename(element, outside)
        made = Stanza.from_element(element)
        stanza.inner, stanza.children = made.inner, made.children
        stanza.forget_element()


def _rename(element: domish.Element, outside: str) -> None:
    if element.uri == outside:
        element.uri = ns.CLIENT
    if element.defaultUri == outside:
        element.defaultUri = ns.CLIENT
    for child in element.elements():
        _rename(child, outside)
