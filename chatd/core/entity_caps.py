"""Entity Capabilities, XEP-0115: the hash of what an entity can do, and what its presence says of it."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from hashlib import new
from typing import Final

import attrs
from twisted.words.xish import domish

from chatd.core import ns
from chatd.core.stanza import Stanza

__all__ = ["Claim", "claim_of", "hash_of", "interests_of", "verification_string"]

_CAPS: Final = f"{ns.CAPS} c"
_HASHES: Final = {"sha-1": "sha1", "sha-224": "sha224", "sha-256": "sha256", "sha-384": "sha384", "sha-512": "sha512"}
_LENGTH_MOST: Final = 512
_INTERESTS_MOST: Final = 100
_INTERESTS_LENGTH_MOST: Final = 4_096       # of all their names together
_NOTIFY: Final = "+notify"
_TAG: Final = re.compile(rb"<c\s[^<>]*>")
_ATTRIBUTE: Final = re.compile(rb"""\s(node|ver|hash)\s*=\s*(?:"([^"<>&']*)"|'([^'<>&"]*)')""")


@attrs.frozen
class Claim:
    """What presence says: node, version and hash algorithm; without one that is known here it proves nothing."""

    node: str
    ver: str
    hash: str

    @property
    def is_proof(self) -> bool:
        """The version is a hash, so what one entity answers holds for all that have the same."""
        return self.hash in _HASHES


def claim_of(stanza: Stanza) -> Claim | None:
    """The claim in available presence, None for none, or one that is not usable."""
    if stanza.children.count(_CAPS) != 1:
        return None
    # The usual form is read without parsing the stanza.
    tags = _TAG.findall(stanza.inner)
    found = {}
    if len(tags) == 1 and stanza.inner.count(ns.CAPS.encode()) == 1 and ns.CAPS.encode() in tags[0]:
        found = {key.decode(): (one or other).decode() for key, one, other in _ATTRIBUTE.findall(tags[0])}
    if not {"node", "ver"} <= found.keys():
        element = next(stanza.element.elements(ns.CAPS, "c"))
        found = {key: element.getAttribute(key) or "" for key in ("node", "ver", "hash")}
    claim = Claim(found["node"], found["ver"], found.get("hash", ""))
    if not claim.node or not claim.ver or len(claim.node) + len(claim.ver) > _LENGTH_MOST:
        return None
    return claim


def interests_of(query: domish.Element) -> frozenset[str]:
    """The nodes of XEP-0163 4 an entity wants to hear of ("NODE+notify"), of the <query/> of its disco#info."""
    found: set[str] = set()
    length = 0
    for feature in query.elements(ns.DISCO_INFO, "feature"):
        var = feature.getAttribute("var") or ""
        if (var.endswith(_NOTIFY) and len(var) <= _LENGTH_MOST and len(found) < _INTERESTS_MOST
                and length + len(var) <= _INTERESTS_LENGTH_MOST):
            length += len(var)
            found.add(var.removesuffix(_NOTIFY))
    return frozenset(found)


def hash_of(query: domish.Element, algorithm: str) -> str | None:
    """XEP-0115 5.1: the hash of this disco#info; None where 5.4 calls it ill-formed."""
    identities = [tuple(one.getAttribute(key) or "" for key in ("category", "type", (ns.XML, "lang"), "name"))
                  for one in query.elements(ns.DISCO_INFO, "identity")]
    features = [feature.getAttribute("var") or "" for feature in query.elements(ns.DISCO_INFO, "feature")]
    if len(set(identities)) < len(identities) or len(set(features)) < len(features):
        return None
    parts = ["/".join(one) for one in sorted(identities, key=lambda one: [part.encode() for part in one])]
    parts += sorted(features, key=str.encode)
    forms = []
    for form in query.elements(ns.DATA, "x"):
        fields: dict[str, list[str]] = {}
        for field in form.elements(ns.DATA, "field"):
            fields[field.getAttribute("var") or ""] = sorted(
                (str(value) for value in field.elements(ns.DATA, "value")), key=str.encode)
        if kind := fields.pop("FORM_TYPE", None):
            forms.append((kind[0], fields))
    if len({kind for kind, _ in forms}) < len(forms):
        return None
    for kind, fields in sorted(forms, key=lambda form: form[0].encode()):
        parts.append(kind)
        for var in sorted(fields, key=str.encode):
            parts += [var, *fields[var]]
    return _hash(parts, algorithm)


def verification_string(identities: Iterable[tuple[str, str, str]], features: Iterable[str],
                        forms: Mapping[str, Mapping[str, Iterable[str]]] | None = None) -> str:
    """XEP-0115 5.1, of our own: identities (category, type, name) without xml:lang, SHA-1; forms: values by field by
    FORM_TYPE."""
    parts = [f"{category}/{kind}//{name}" for category, kind, name in
             sorted(identities, key=lambda one: [part.encode() for part in one])]
    parts += sorted(features, key=str.encode)
    for kind, fields in sorted((forms or {}).items(), key=lambda form: form[0].encode()):
        parts.append(kind)
        for var in sorted(fields, key=str.encode):
            parts += [var, *sorted(fields[var], key=str.encode)]
    return _hash(parts, "sha-1")


def _hash(parts: Iterable[str], algorithm: str) -> str:
    text = "".join(f"{part}<" for part in parts)
    return b64encode(new(_HASHES[algorithm], text.encode(), usedforsecurity=False).digest()).decode()
