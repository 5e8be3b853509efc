"""A room's settings as forms: every field out and in again, what cannot be is refused by name."""

from __future__ import annotations

import pytest

from chatd.core import ns
from chatd.core.errors import StanzaError
from chatd.core.muc_config import DEFAULTS, FIELDS, FORM_TYPE, features, form_values, form_xml, parse_config
from chatd.core.stanza import parse_element

OTHER = {
    "name": "A & B", "description": "<x>", "language": "de", "persistent": False, "public": False, "members_only": True,
    "moderated": True, "protected": True, "password": "p", "max_users": 50, "whois": "anyone", "invites": False,
    "change_subject": True, "private": "none", "broadcast": ["moderator"], "member_list": [], "history": 7,
    "archive": False,
}


def submitted(*fields: tuple[str, list[str]]) -> str:
    """A form with these fields."""
    inner = "".join(f"<field var='{var}'>{''.join(f'<value>{one}</value>' for one in values)}</field>"
                    for var, values in fields)
    return f"<x xmlns='{ns.DATA}' type='submit'>{inner}</x>"


def test_what_goes_out_comes_in() -> None:
    """All fields, with other values than the defaults."""
    assert OTHER.keys() == DEFAULTS.keys() and all(OTHER[key] != DEFAULTS[key] for key in OTHER)
    form = parse_element(form_xml(OTHER, "Title").encode())
    assert parse_config(form, DEFAULTS) == OTHER
    assert parse_config(parse_element(form_xml(DEFAULTS, "t").encode()), OTHER) == DEFAULTS


def test_fields_left_out_stay() -> None:
    """An empty form changes nothing, so does a field nobody knows."""
    assert parse_config(parse_element(submitted().encode()), OTHER) == OTHER
    assert parse_config(parse_element(submitted(("muc#roomconfig_moon", ["1"])).encode()), OTHER) == OTHER


@pytest.mark.parametrize(("var", "value"), [
    ("muc#roomconfig_persistentroom", "maybe"), ("muc#roomconfig_whois", "nobody"), ("muc#maxhistoryfetch", "101"),
    ("muc#maxhistoryfetch", "-1"), ("muc#roomconfig_maxusers", "99999"), ("muc#roomconfig_presencebroadcast", "king"),
    ("muc#roomconfig_roomname", "x" * 1025), ("muc#roomconfig_passwordprotectedroom", "1"),
])
def test_what_cannot_be(var: str, value: str) -> None:
    """not-acceptable, and the text says which."""
    with pytest.raises(StanzaError) as refusal:
        parse_config(parse_element(submitted((var, [value])).encode()), DEFAULTS)
    assert refusal.value.condition == "not-acceptable"
    assert var in refusal.value.text or "password" in refusal.value.text


def test_another_form() -> None:
    """bad-request for a FORM_TYPE that is not this one."""
    form = parse_element(submitted(("FORM_TYPE", ["other"]), ("a", ["b"])).encode())
    with pytest.raises(StanzaError) as refusal:
        form_values(form, FORM_TYPE)
    assert refusal.value.condition == "bad-request"


def test_features() -> None:
    """One of each pair of XEP-0045 15.4."""
    assert features(DEFAULTS) == ["muc_persistent", "muc_public", "muc_open", "muc_unmoderated", "muc_unsecured",
                                  "muc_semianonymous"]
    assert features(OTHER) == ["muc_temporary", "muc_hidden", "muc_membersonly", "muc_moderated",
                               "muc_passwordprotected", "muc_nonanonymous"]
    assert len({field.var for field in FIELDS}) == len(FIELDS)
