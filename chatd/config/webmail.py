"""What is wrong between the settings of [[webmail]] that are each right alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs

from chatd.settings.webmail import KEY_LEAST, Webmail

__all__ = ["check_key", "check_webmails", "webmails_with_secrets"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}", re.ASCII)
Wrong = tuple[str, str, str]
"""Key, problem, what would be right."""


def check_webmails(webmails: Iterable[Webmail], domains: Iterable[Mapping[str, Any]]) -> Iterator[Wrong]:
    """Give what is wrong. domains: as read from the file so far."""
    served = {domain.get("name") for domain in domains}
    names: set[str] = set()
    for number, webmail in enumerate(webmails):
        where = f"webmail[{number}]"
        if _NAME.fullmatch(webmail.name) is None:
            yield f"{where}.name", "it is not a name of letters, digits, . - and _", 'name = "roundcube"'
        elif webmail.name in names:
            yield f"{where}.name", f'"{webmail.name}" is there already', "one [[webmail]] a name"
        names.add(webmail.name)
        if not webmail.domains:
            yield f"{where}.domains", "it is missing", "the names of one or several [[domain]]"
        for name in webmail.domains:
            if name not in served:
                yield f"{where}.domains", f"{name} is not served here", "the name of a [[domain]]"
        if "*" in webmail.origins:
            yield f"{where}.origins", "any page could show the panel", 'a list such as ["https://webmail.example.com"]'
        if webmail.key and webmail.key_file:
            yield f"{where}.key", "key_file is given as well", "one of the two"
        elif webmail.key_file is None:
            yield from check_key(webmail.key, where)


def check_key(key: str, where: str) -> Iterator[Wrong]:
    """Give what is wrong with a key, without a word of it."""
    if not key:
        yield f"{where}.key", "it is missing", f"{KEY_LEAST} random characters or more, or key_file"
    elif len(key.encode()) < KEY_LEAST:
        yield f"{where}.key", "it is too short", f"{KEY_LEAST} random characters or more"


def webmails_with_secrets(
    webmails: Iterable[Webmail], read: Callable[[Path | None, str], str], wrong: Callable[[Wrong], None]
) -> tuple[Webmail, ...]:
    """Return them with the keys that stand in files. read(file, key): the secret in a file; wrong: takes what is wrong
    with it."""

    def filled(webmail: Webmail, where: str) -> Webmail:
        if webmail.key_file is None:
            return webmail
        key = read(webmail.key_file, f"{where}.key_file")
        if key:
            for problem in check_key(key, where):
                wrong(problem)
        return attrs.evolve(webmail, key=key, key_file=None)

    return tuple(filled(webmail, f"webmail[{number}]") for number, webmail in enumerate(webmails))
