"""The page of an invitation: the same words in every language, and nothing of an address is taken for HTML."""

from __future__ import annotations

import string

import pytest

from chatd.core.invitations import InvitationRow, link_of
from chatd.web.invitation_words import WORDS, language_of
from chatd.web.invitations import InvitationPage


def parts(text: str) -> set[str | None]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


@pytest.mark.parametrize("language", sorted(WORDS))
def test_every_language_says_everything(language: str) -> None:
    assert set(WORDS) == {"en", "de", "es", "fr"} and WORDS[language]["lang"] == language
    assert {key: parts(text) for key, text in WORDS[language].items()} == {
        key: parts(text) for key, text in WORDS["en"].items()}


@pytest.mark.parametrize(("accepted", "language"), [
    ("", "en"), ("de-AT,de;q=0.9,en;q=0.8", "de"), ("pt-BR,es;q=0.5", "es"), ("FR", "fr"), ("x" * 5000, "en")])
def test_language(accepted: str, language: str) -> None:
    assert language_of(accepted) == language


class Nobody:
    def may_register(self, domain: str) -> bool:
        return True


@pytest.mark.parametrize("local", ["", "o'brien&co", "{inviter}"])
def test_addresses_are_text(local: str) -> None:
    row = InvitationRow(b"", "example.com", local, "<b>'{x}'@example.com", 0, 1)
    page = InvitationPage(Nobody(), lambda _: True, lambda _: None)     # type: ignore[arg-type]
    said = page._asks(row, "token", WORDS["en"], name="'><i>").decode()
    assert "<b>" not in said and "<i>" not in said and "'{x}'" not in said


@pytest.mark.parametrize(("local", "inviter", "makes_account", "link"), [
    ("", "", True, "xmpp:example.com?register;preauth=T"),
    ("john", "", True, "xmpp:john@example.com?register;preauth=T"),
    ("", "al ice@example.com", True, "xmpp:al%20ice@example.com?roster;preauth=T;ibr=y"),
    ("", "a&b@example.com", False, "xmpp:a%26b@example.com?roster;preauth=T"),
])
def test_links(local: str, inviter: str, makes_account: bool, link: str) -> None:
    """XEP-0401 and XEP-0445."""
    assert link_of(InvitationRow(b"", "example.com", local, inviter, 0, 1), "T", makes_account) == link
