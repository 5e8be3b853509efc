"""Makes expat look at every byte when it comes: its reparse deferral is switched off.

Since 2.6 expat puts off parsing while a tag is incomplete, until twice as many bytes are there
(CVE-2023-52425: a huge tag in tiny pieces costs quadratic time). On a stream that nobody closes, a stanza
cut in two by the network would so wait for the next one. chatd bounds the size of a stanza and the rate of
bytes instead.

COMPAT(Debian 12): its libexpat 2.5.0 got the deferral as a security patch, its Python 3.11.2 did not get
the method that switches it off, which Python has since 3.11.9 and 3.12.3. There the library's own function
is called by ctypes, after it is made sure that it is the same library and that the address is that of the
parser.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any
from xml.parsers import expat

__all__ = ["switch_off"]

_PROBE = (b"<a>", b"<b c='" + b"d" * 64, b"'/>")
"""A tag begins with a piece of its own and ends with a much smaller one; with deferral it is not seen."""


class CannotSwitchOff(RuntimeError):
    """This Python cannot be told to parse at once; the text says what to do."""


def switch_off(parser: Any) -> None:
    """Switch the deferral of a new expat parser off.

    Raises CannotSwitchOff where it is on and nothing helps: with it, messages would be late at random.
    """
    _switch()(parser)


def is_deferring(switch: Callable[[Any], object]) -> bool:
    """Tell whether a parser still puts off an unfinished tag after `switch` was called with it."""
    parser = expat.ParserCreate()
    switch(parser)
    seen: list[str] = []
    parser.StartElementHandler = lambda name, attributes: seen.append(name)
    for piece in _PROBE:
        parser.Parse(piece, False)
    return seen != ["a", "b"]


@cache
def _switch() -> Callable[[Any], object]:
    if hasattr(expat.ParserCreate(), "SetReparseDeferralEnabled"):
        return _by_method
    if not is_deferring(_nothing):
        return _nothing
    by_library = _library_switch()
    if by_library is None or is_deferring(by_library):
        raise CannotSwitchOff(
            "The XML parser of this Python holds back incomplete elements and cannot be told not to. "
            "Python 3.11.9, 3.12.3 or newer can."
        )
    return by_library


def _by_method(parser: Any) -> None:
    parser.SetReparseDeferralEnabled(False)


def _nothing(parser: Any) -> None:
    pass


def _library_switch() -> Callable[[Any], object] | None:
    """Give a function that calls libexpat's own switch, or None where that cannot be done safely."""
    for name in (None, "libexpat.so.1"):
        try:
            library = ctypes.CDLL(name)
            switch, version = library.XML_SetReparseDeferralEnabled, library.XML_ExpatVersion
        except (OSError, AttributeError):
            continue
        version.restype = ctypes.c_char_p
        if version().decode() != expat.EXPAT_VERSION:
            return None  # pyexpat brings another expat of its own
        switch.argtypes = (ctypes.c_void_p, ctypes.c_ubyte)
        switch.restype = ctypes.c_ubyte

        def by_library(parser: Any, switch: Any = switch) -> None:
            # pyexpat's object: the head of any Python object, then the XML_Parser; whose first field is the
            # user data, which pyexpat sets to its object.
            address = ctypes.c_void_p.from_address(id(parser) + object.__basicsize__).value
            if address and ctypes.c_void_p.from_address(address).value == id(parser):
                switch(address, 0)

        return by_library
    return None
