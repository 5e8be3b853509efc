"""Passes: good for what they say, until then, and for nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatd.core.passes import make_pass, read_pass

SECRET = b"s" * 32
NOW = 1_795_370_000.0


def made(**changed: object) -> str:
    values: dict[str, object] = {"kind": "guest", "subject": "ada@guest.example.com", "expires": int(NOW) + 60}
    return make_pass(**({"secret": SECRET} | values | changed))      # type: ignore[arg-type]


def test_good_until_it_expires() -> None:
    found = read_pass(made(), "guest")
    assert found is not None and found.subject == "ada@guest.example.com"
    assert found.is_good(SECRET, NOW) and found.is_good(SECRET, NOW + 59.9)
    assert not found.is_good(SECRET, NOW + 60)
    assert not found.is_good(b"t" * 32, NOW)


def test_binding_is_signed() -> None:
    found = read_pass(made(binding="old password"), "guest")
    assert found is not None
    assert found.is_good(SECRET, NOW, "old password")
    assert not found.is_good(SECRET, NOW, "new password")
    assert not found.is_good(SECRET, NOW)


def test_one_kind_is_not_another() -> None:
    assert read_pass(made(), "ticket") is None
    moved = "ticket" + made().removeprefix("guest")
    found = read_pass(moved, "ticket")
    assert found is not None and not found.is_good(SECRET, NOW)


@pytest.mark.parametrize("part", range(4))
def test_every_part_is_signed(part: int) -> None:
    other = made(subject="eve@guest.example.com", expires=int(NOW) + 6000).split(".")
    parts = made().split(".")
    parts[part] = other[part]
    found = read_pass(".".join(parts), "guest")
    assert found is not None
    assert found.is_good(SECRET, NOW) is (part == 0)


def test_no_secret_no_pass() -> None:
    with pytest.raises(ValueError):
        made(secret=b"")
    with pytest.raises(ValueError):
        made(kind="a.b")
    with pytest.raises(ValueError):
        made(subject="a\0b")


@given(st.text())
def test_anything_else_is_none(text: str) -> None:
    """No text but ours raises or is taken for good."""
    for given_ in (text, f"guest.{text}", f"guest.{text}.99999999999.{text}"):
        found = read_pass(given_, "guest")
        assert found is None or not found.is_good(SECRET, NOW)


@given(st.text().map(lambda text: text.replace("\0", "")), st.integers(0, 10**11), st.text())
def test_there_and_back(subject: str, expires: int, binding: str) -> None:
    found = read_pass(make_pass(SECRET, "x", subject, expires, binding), "x")
    assert found is not None and (found.subject, found.expires) == (subject, expires)
    assert found.is_good(SECRET, expires - 1, binding)
