"""A room's settings as forms: every field out and in again, what cannot be is refused by name."""

from __future__ import annotations

import pytest

from chatd.core import ns
from chatd.core.errors import StanzaError
from chatd.core.muc_config import (
    DEFAULTS,
    FIELDS,
    FORM_TYPE,
    features,
    form_values,
    form_xml,
    is_logged,
    parse_config,
    parse_people,
)
from chatd.core.stanza import parse_element

OTHER = {
    "name": "A & B", "description": "<x>", "language": "de", "persistent": False, "public": False, "members_only": True,
    "moderated": True, "protected": True, "password": "p", "max_users": 50, "whois": "anyone", "invites": False,
    "change_subject": True, "private": "none", "broadcast": ["moderator"], "member_list": [], "history": 7,
    "archive": False, "lock_nicks": True, "logging": False, "member_invites": True,
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
    ("muc#roomconfig_lang", "the language of birds"),
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


def test_owners_and_admins() -> None:
    """They are in the form and come out of it, as bare addresses and each once; what is no person is refused."""
    people = {"owner": ["a@b.example"], "admin": ["c@d.example", "e@f.example"]}
    form = parse_element(form_xml(DEFAULTS, "t", people).encode())
    assert parse_people(form) == people and parse_config(form, DEFAULTS) == DEFAULTS
    assert parse_people(parse_element(submitted().encode())) == {}
    admins = "muc#roomconfig_roomadmins"
    assert parse_people(parse_element(submitted((admins, ["A@b/x\nc@b", "", "a@b"])).encode())) == {
        "admin": ["a@b", "c@b"]}
    assert parse_people(parse_element(submitted((admins, [])).encode())) == {"admin": []}
    for wrong, condition in ((["b.example"], "jid-malformed"), (["@"], "jid-malformed"),
                             ([f"a{n}@b" for n in range(501)], "not-acceptable")):
        with pytest.raises(StanzaError) as refusal:
            parse_people(parse_element(submitted((admins, wrong)).encode()))
        assert refusal.value.condition == condition


def test_spaces() -> None:
    """Texts of one line have none to spare, passwords are taken as they are, an empty boolean is false."""
    form = submitted(("muc#roomconfig_roomname", [" A  cave\n"]), ("muc#roomconfig_roomsecret", [" p "]),
                     ("muc#roomconfig_publicroom", [""]))
    config = parse_config(parse_element(form.encode()), DEFAULTS)
    assert (config["name"], config["password"], config["public"]) == ("A cave", " p ", False)


def test_logged() -> None:
    """Open to everybody is an archive that is kept, that may be read from outside, of a room everybody may enter."""
    assert is_logged(DEFAULTS)
    for key, value in (("logging", False), ("archive", False), ("members_only", True), ("protected", True)):
        assert not is_logged({**DEFAULTS, key: value})
