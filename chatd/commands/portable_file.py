"""Reads XEP-0227 files piece by piece, however large they are: expat in, parts of users out.

A file may include others (XInclude, section 5), as ejabberd's do; only ones in its own folder or below.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from xml.parsers import expat

import attrs
from twisted.words.xish import domish

from chatd.core.portable import ARCHIVE, NAMESPACES

__all__ = ["BadFile", "End", "Part", "User", "read"]

_INCLUDE: Final = "http://www.w3.org/2001/XInclude include"
_SERVER_DATA: Final = frozenset(f"{name} server-data" for name in NAMESPACES)
_HOST: Final = frozenset(f"{name} host" for name in NAMESPACES)
_USER: Final = frozenset(f"{name} user" for name in NAMESPACES)
#: Children of a user whose own children come one by one.
_LONG: Final = frozenset({f"{ARCHIVE} archive", *(f"{name} offline-messages" for name in NAMESPACES)})
_DEPTH: Final = 200
_INCLUDES: Final = 4
_PIECE: Final = 1 << 16


class BadFile(Exception):
    """A file that cannot be read; the text says which, where and why."""


@attrs.frozen
class User:
    """A user begins. address: name and host as they stand there; password: nothing without one."""

    address: str
    password: str = attrs.field(repr=False)


@attrs.frozen
class Part:
    """A child of the user; or, where `inside` names one that may be long, a child of that."""

    element: domish.Element
    inside: str = ""


@attrs.frozen
class End:
    """The user ends."""


@attrs.frozen
class _Include:
    href: str
    host: str


def read(file: Path, host: str = "", depth: int = 0) -> Iterator[User | Part | End]:
    """What stands in a file and in those it includes, in order. host: of an included file, whose it is.

    Raises BadFile where it cannot be read; what came before has been given by then.
    """
    reader = _Reader(host)
    try:
        with file.open("rb") as opened:
            while piece := opened.read(_PIECE):
                reader.parser.Parse(piece, False)
                yield from _included(file, reader, depth)
        reader.parser.Parse(b"", True)
    except OSError as error:
        raise BadFile(f"{file}: {error.strerror}") from None
    except expat.ExpatError as error:
        raise BadFile(f"{file}: it is not whole XML ({error})") from None
    except ValueError as error:
        raise BadFile(f"{file}, line {reader.parser.CurrentLineNumber}: {error}") from None
    yield from _included(file, reader, depth)


def _included(file: Path, reader: _Reader, depth: int) -> Iterator[User | Part | End]:
    found, reader.found = reader.found, []
    for one in found:
        if not isinstance(one, _Include):
            yield one
            continue
        other = (file.parent / one.href).resolve()
        if depth >= _INCLUDES or not other.is_relative_to(file.parent.resolve()):
            raise BadFile(f"{file}: it includes {one.href}, which is not below its folder")
        yield from read(other, one.host, depth + 1)


class _Reader:
    """The handlers of one file's parser; `found` is what is complete."""

    def __init__(self, host: str) -> None:
        self.found: list[User | Part | End | _Include] = []
        self._host = host
        self._level = 0                 # how deep we are, in the file
        self._user = 0                  # the level of the <user> we are in, 0 outside
        self._long = ""                 # the part we are in whose children come one by one
        self._stack: list[domish.Element] = []
        self.parser: Any = expat.ParserCreate(None, " ")
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.StartDoctypeDeclHandler = self._refuse

    def _refuse(self, *_: object) -> None:
        raise ValueError("it declares a document type, which files of accounts have no use for")

    def _start(self, name: str, given: dict[str, str]) -> None:
        self._level += 1
        if self._level > _DEPTH:
            raise ValueError("it is nested too deep")
        if self._stack:
            self._stack.append(self._stack[-1].addChild(_element(name, given)))
        elif not self._user:
            self._outside(name, given)
        elif self._level == self._user + 1 and name in _LONG:
            self._long = name
        else:
            self._stack.append(_element(name, given))

    def _outside(self, name: str, given: dict[str, str]) -> None:
        if name == _INCLUDE:
            self.found.append(_Include(given.get("href", ""), self._host))
        elif name in _HOST:
            self._host = given.get("jid", "")
        elif name in _USER:
            if not self._host:
                raise ValueError("there is a user of no host")
            self._user = self._level
            self.found.append(User(f"{given.get('name', '')}@{self._host}", given.get("password", "")))
        elif self._level == 1 and name not in _SERVER_DATA:
            raise ValueError("it is no XEP-0227 file: its first element is not <server-data/>")

    def _end(self, name: str) -> None:
        if self._stack:
            element = self._stack.pop()
            if not self._stack:
                self.found.append(Part(element, self._long))
        elif self._user == self._level:
            self._user = 0
            self.found.append(End())
        elif self._long and self._level == self._user + 1:
            self._long = ""
        self._level -= 1

    def _text(self, data: str) -> None:
        if self._stack:
            self._stack[-1].addContent(data)


def _element(name: str, given: dict[str, str]) -> domish.Element:
    uri, _, local = name.rpartition(" ")
    element = domish.Element((uri, local))
    for key, value in given.items():
        namespace, _, word = key.rpartition(" ")
        element.attributes[(namespace, word) if namespace else word] = value
    return element
