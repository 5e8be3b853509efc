"""Which messages are worth storing: in an archive (XEP-0313 6.1.1, XEP-0334, XEP-0441), or until somebody is
there (XEP-0160 3). Each answer comes with a word that says why.
"""
from __future__ import annotations

from chatd.core.archive import ArchivePrefs
from chatd.core.marks import (
    BODY,
    CONTENT,
    COPY,
    MUC_USER,
    NO_PERMANENT_STORE,
    NO_STORE,
    STATE,
    STORE,
)

__all__ = ["may_archive", "may_keep_offline", "prefs_allow"]


def may_archive(type_: str | None, marks: int) -> tuple[bool, str]:
    """Does an account's archive take a message of this type with these marks?

    Rooms keep archives of their own, so groupchat stays out (XEP-0313 6.1.1 leaves it open). Of an error the
    hints do not count: they may be those of the message it answers (XEP-0334 4).
    """
    if type_ == "error" or type_ == "groupchat":
        return False, type_
    if marks & (NO_STORE | NO_PERMANENT_STORE):
        return False, "hint"
    if marks & COPY:
        return False, "copy"
    if marks & STORE:
        return True, "hint"
    if type_ == "headline":
        return False, "headline"
    if marks & BODY:
        return True, "body"
    if marks & CONTENT:
        return True, "content"
    if marks & MUC_USER and type_ != "chat":
        return True, "invite"
    return False, "empty"


def may_keep_offline(type_: str | None, marks: int) -> tuple[bool, str]:
    """Is a message kept for an account nobody of which is there? XEP-0160 3."""
    if type_ == "error" or type_ == "groupchat" or type_ == "headline":
        return False, type_
    if marks & NO_STORE:
        return False, "hint"
    if marks & COPY:
        return False, "copy"
    if marks & STORE:
        return True, "hint"
    if marks & BODY:
        return True, "body"
    if marks & CONTENT:
        return True, "content"
    if type_ == "chat":
        return False, "empty"
    return (False, "state") if marks & STATE else (True, "normal")


def prefs_allow(prefs: ArchivePrefs, with_bare: str, with_full: str, in_roster: bool) -> tuple[bool, str]:
    """Does the account want messages with this address archived? XEP-0441 2 and 3.

    with_bare, with_full: the other side's address ('to' of what was sent, 'from' of what was received).
    in_roster: with_bare is in the account's roster. An address in both lists is not archived: who asks for
    both is better served by the one that cannot be undone.
    """
    never, always = prefs.never, prefs.always
    if never and (with_bare in never or with_full in never):
        return False, "never"
    if always and (with_bare in always or with_full in always):
        return True, "always"
    if prefs.default == "roster":
        return in_roster, "roster"
    return prefs.default == "always", "default"
