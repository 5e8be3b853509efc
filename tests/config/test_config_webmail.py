"""[[webmail]] in chatd.toml: what is wrong with it, where its key may stand, and that a reload carries it out."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatd.config import Change, ConfigError, changes, live, load, with_secrets
from chatd.settings import Settings

KEY = "0123456789abcdef0123456789abcdef"
GOOD = f'name = "roundcube"\ndomains = ["B.example"]\nkey = "{KEY}"\norigins = ["https://Mail.b.example"]\n'


def read(folder: Path, text: str) -> Settings:
    path = folder / "chatd.toml"
    path.write_text('[server]\nhost = "a.example"\n[[domain]]\nname = "b.example"\n' + text)
    return load(path)


def wrong(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as found:
        with_secrets(read(folder, text))
    assert KEY not in str(found.value)
    return str(found.value)


def test_as_it_should_be(tmp_path: Path) -> None:
    assert read(tmp_path, "").webmails == ()
    (webmail,) = read(tmp_path, "[[webmail]]\n" + GOOD).webmails
    assert (webmail.name, webmail.domains, webmail.origins, webmail.token_s) == (
        "roundcube", ("b.example",), ("https://mail.b.example",), 300)
    assert KEY not in repr(webmail)


def test_the_key_in_a_file(tmp_path: Path) -> None:
    text = "[[webmail]]\n" + GOOD.replace(f'key = "{KEY}"', 'key_file = "key"')
    (tmp_path / "key").write_text(KEY + "\n")
    assert with_secrets(read(tmp_path, text)).webmails[0].key == KEY
    (tmp_path / "key").write_text("short\n")
    assert "too short" in wrong(tmp_path, text)
    (tmp_path / "key").unlink()
    assert "cannot be read" in wrong(tmp_path, text)


@pytest.mark.parametrize(("changed", "to", "told"), [
    (f'key = "{KEY}"\n', "", "webmail[0].key: it is missing"),
    (KEY, KEY[1:], "webmail[0].key: it is too short"),
    ('domains = ["B.example"]\n', "", "webmail[0].domains: it is missing"),
    ("B.example", "c.example", "c.example is not served here"),
    ("roundcube", "round cube", "webmail[0].name"),
    ('name = "roundcube"\n', "", "webmail[0].name: it is missing"),
    ("https://Mail.b.example", "*", "any page could show the panel"),
    ("https://Mail.b.example", "https://mail.b.example/mail", "more than scheme, host and port"),
    ('"roundcube"', '"roundcube"\nkey_file = "key"', "one of the two"),
    ("key =", "token_s = 10\nkey =", "out of range"),
    ("origins", "origin", "there is no such setting")])
def test_what_is_wrong_is_told(tmp_path: Path, changed: str, to: str, told: str) -> None:
    assert told in wrong(tmp_path, "[[webmail]]\n" + GOOD.replace(changed, to))


def test_two_of_a_name_and_one_bracket(tmp_path: Path) -> None:
    assert "is there already" in wrong(tmp_path, f"[[webmail]]\n{GOOD}[[webmail]]\n{GOOD}")
    assert "[[webmail]], with two brackets" in wrong(tmp_path, "[webmail]\n" + GOOD)


def test_a_reload_carries_it_out(tmp_path: Path) -> None:
    old, new = read(tmp_path, ""), read(tmp_path, "[[webmail]]\n" + GOOD)
    assert changes(old, new) == (Change("webmail", True),)
    assert live(old, new).webmails == new.webmails and live(new, old).webmails == ()
