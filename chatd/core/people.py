"""People of an organisation, and an index that finds them by any parts of their names and addresses.

Nothing here reads anything: sources hand in people, whoever asks hands in what was typed. An index is never changed
after it was made, so that any thread may make one and the main thread goes on with the old one until then.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate
from typing import Final

import attrs

from chatd.core.escaping import jid_of_address
from chatd.core.jid import JID, InvalidJID

__all__ = ["PHOTOS_MOST", "People", "Person", "TEXT_MOST", "fold", "make_person", "photo_kind"]

TEXT_MOST: Final = 256
"""Characters of a detail that are kept, and of a question that are looked at."""
PHOTOS_MOST: Final = 64 * 1024 * 1024
"""Bytes of photos of one source that are kept; of those who come later there are none."""
_WORDS_MOST: Final = 8
_SAMPLE: Final = 200_000        # characters from which is told which word is the rarest
_PHOTO_MOST: Final = 200_000
#: Letters that Unicode does not take apart, as people type them who do not have them on their keyboard.
_PLAIN: Final = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i",
                               "ħ": "h", "ŧ": "t", "ŋ": "n", "ĸ": "k"})
_GERMAN: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})
#: Addresses that need no look into RFC 7622: nothing in them is changed by it.
_USUAL: Final = re.compile(r"[a-z0-9][a-z0-9._+-]{0,200}@[a-z0-9.-]+")
_BETWEEN: Final = re.compile(r"[\s,;<>\"()]+")


@attrs.frozen
class Person:
    """One person. jid: the account, which need not exist. address: as mail has it. photo: JPEG, PNG or nothing."""

    jid: str
    address: str
    name: str
    title: str = ""
    department: str = ""
    phone: str = ""
    photo: bytes = attrs.field(default=b"", repr=False)


def make_person(details: dict[str, object], domain: str) -> Person | None:
    """A person of that domain from what a source says; None for what is none: no address, or another domain's.

    Whatever is too long is cut, whatever cannot be shown is left out.
    """
    address = _text(details.get("address"))
    if address and "@" not in address:
        address = f"{address}@{domain}"
    bare = address.lower()
    if _USUAL.fullmatch(bare) is None or not bare.endswith(f"@{domain}"):
        try:
            jid = jid_of_address(address)
        except InvalidJID:
            return None
        bare = jid.bare
        if jid.domain != domain:
            return None
    photo = details.get("photo")
    return Person(
        bare, address, _text(details.get("name")) or address,
        title=_text(details.get("title")), department=_text(details.get("department")),
        phone=_text(details.get("phone")),
        photo=photo if isinstance(photo, bytes) and len(photo) <= _PHOTO_MOST and photo_kind(photo) else b"")


def _text(value: object) -> str:
    if not isinstance(value, str):
        return ""
    return " ".join("".join(char if char.isprintable() else " " for char in value[:4 * TEXT_MOST]).split())[:TEXT_MOST]


def photo_kind(photo: bytes) -> str:
    """image/jpeg, image/png, or "" for anything else."""
    return "image/jpeg" if photo[:3] == b"\xff\xd8\xff" else "image/png" if photo[:8] == b"\x89PNG\r\n\x1a\n" else ""


def fold(text: str) -> str:
    """Without accents and case: what is equal here is found."""
    if text.isascii():
        return text.lower()
    taken_apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(char for char in taken_apart if not unicodedata.combining(char)).translate(_PLAIN)


def _haystack(person: Person) -> str:
    """All that is looked through, each word behind a blank; names with umlauts also as they are typed without."""
    if person.name.isascii():
        return f" {' '.join(person.name.lower().split())} {person.address.lower()}"
    found = [fold(person.name), person.address.casefold()]
    german = unicodedata.normalize("NFC", person.name.casefold()).translate(_GERMAN)
    if german != unicodedata.normalize("NFC", person.name.casefold()):
        found.append(fold(german))
    return " " + " ".join(" ".join(found).split())


class People:
    """All people of a domain, by name. Of several with one address the first counts.

    All that is looked through stands in one text, a line for each person: finding a word in 50,000 lines is then one
    call, and only the lines that have the rarest word are looked at in Python.
    """

    def __init__(self, people: Iterable[Person]) -> None:
        self.by_jid: dict[str, Person] = {}
        for person in people:
            self.by_jid.setdefault(person.jid, person)
        self._people = sorted(self.by_jid.values(), key=lambda person: (fold(person.name), person.jid))
        lines = ["\n" + _haystack(person) for person in self._people]
        self._text = "".join(lines)
        self._starts = list(accumulate(map(len, lines), initial=0))

    def __len__(self) -> int:
        return len(self._people)

    def find(self, jid: JID) -> Person | None:
        """The person of this account."""
        return self.by_jid.get(jid.bare)

    def search(self, typed: str, most: int) -> tuple[list[Person], bool]:
        """Who has all the words typed in name or address, in any order, parts of words too; the best first, and are
        there more?

        Best are those who have all of them at the beginning of words, and of these those whose names begin with
        the first one.
        """
        words = [word for word in _BETWEEN.split(fold(typed[:TEXT_MOST])) if word][:_WORDS_MOST]
        found: dict[int, None] = {}
        if words and most > 0:
            begins = [" " + word for word in words]
            for needles in ([*begins, "\n" + begins[0]], begins, words):
                self._look(needles, most + 1, found)
        return [self._people[number] for number in list(found)[:most]], len(found) > most

    def _look(self, needles: list[str], most: int, found: dict[int, None]) -> None:
        """Adds the numbers of the lines that have all needles, until there are so many."""
        text, starts = self._text, self._starts
        counts = {needle: text.count(needle, 0, _SAMPLE) for needle in needles}
        rarest, *rest = sorted(counts, key=counts.__getitem__)
        at = text.find(rarest)
        while at >= 0 and len(found) < most:
            number = bisect_right(starts, at) - 1
            end = starts[number + 1]
            if number not in found:
                for needle in rest:
                    if text.find(needle, starts[number], end) < 0:
                        break
                else:
                    found[number] = None
            at = text.find(rarest, end)
