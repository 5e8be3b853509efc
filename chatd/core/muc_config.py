"""The settings of a room: XEP-0045 10.2 and 15.5.3, as a table of fields, and the data forms (XEP-0004) made of it.

A room's config is a dictionary by `Field.key`; what is not in it has the default.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import attrs
from twisted.words.xish import domish

from chatd.core import ns
from chatd.core.errors import StanzaError
from chatd.core.forms import Setting, field_xml, form_values
from chatd.core.jid import JID, InvalidJID
from chatd.core.stanza import text

__all__ = ["DEFAULTS", "FIELDS", "FORM_TYPE", "HISTORY_MOST", "PEOPLE", "Field", "features", "field_xml",
           "form_values", "form_xml", "is_logged", "is_open_archive",
           "parse_config", "parse_people", "parse_words", "says_yes", "words_of"]

FORM_TYPE: Final = "http://jabber.org/protocol/muc#roomconfig"
HISTORY_MOST: Final = 100
"""Messages a room shows on entering, at most; its archive has the others."""
_TEXT_MOST: Final = 1024
_PEOPLE_MOST: Final = 500
#: RFC 5646 2.1, as far as it can be told without the registry.
_LANGUAGE: Final = r"([A-Za-z]{1,8}(-[A-Za-z0-9]{1,8}){0,7})?"


@attrs.frozen
class Field(Setting):
    """One setting of a room.  choices: (value, label), of lists.  least, most: of numbers.

    form: what a text has to look like as a whole, a regular expression.
    """

    choices: tuple[tuple[str, str], ...] = ()
    least: int | None = None
    most: int | None = None
    form: str = ".*"

    @property
    def name(self) -> str:
        """The short name, for chatctl: the end of `var`."""
        return self.var.partition("#")[2].removeprefix("roomconfig_")

    def parse(self, values: list[str]) -> Any:
        """The value that a form's field says; raises StanzaError not-acceptable, which names the field."""
        if self.kind == "boolean":
            return self._boolean(values)
        if self.kind == "list-multi":
            known = [value for value, _ in self.choices]
            if not set(values) <= set(known):
                raise self._wrong("is a choice of " + ", ".join(known))
            return [value for value in known if value in values]
        value = values[0] if values else ""
        if self.kind != "text-private":
            value = " ".join(value.split())
        if self.most is not None:
            return self._number(value)
        if self.choices and value not in [known for known, _ in self.choices]:
            raise self._wrong("is one of " + ", ".join(known for known, _ in self.choices))
        if len(value) > _TEXT_MOST:
            raise self._wrong(f"has at most {_TEXT_MOST} characters")
        if not re.fullmatch(self.form, value, re.DOTALL):
            raise self._wrong("does not look like one")
        return value

    def _boolean(self, values: list[str]) -> bool:
        if values and values[0].strip() in ("1", "true"):
            return True
        if not values or values[0].strip() in ("", "0", "false"):
            return False
        raise self._wrong("is true or false")

    def _number(self, value: str) -> int:
        if value in ("", "none"):
            return 0
        least, most = self.least or 0, self.most or 0
        if not (value.isascii() and value.isdigit() and len(value) < 10 and least <= int(value) <= most):
            raise self._wrong(f"is a number from {least} to {most}, or none")
        return int(value)

    def words(self, value: Any) -> list[str]:
        """The value as a form's texts."""
        if self.kind == "boolean":
            return ["1" if value else "0"]
        if isinstance(value, (list, tuple)):
            return [str(one) for one in value]
        if self.most is not None and self.choices and not value:
            return ["none"]
        return [str(value)]


_ROLES: Final = (("moderator", "Moderators"), ("participant", "Participants"), ("visitor", "Visitors"))
_USERS: Final = (("10", "10"), ("20", "20"), ("30", "30"), ("50", "50"), ("100", "100"), ("200", "200"),
                 ("500", "500"), ("none", "No limit"))

FIELDS: Final = (
    Field("name", "muc#roomconfig_roomname", "text-single", "Name", ""),
    Field("description", "muc#roomconfig_roomdesc", "text-single", "What it is for", ""),
    Field("language", "muc#roomconfig_lang", "text-single", "Language spoken", "", form=_LANGUAGE),
    Field("persistent", "muc#roomconfig_persistentroom", "boolean", "Stays when everybody has left", True),
    Field("public", "muc#roomconfig_publicroom", "boolean", "Is in the list that everybody can see", True),
    Field("members_only", "muc#roomconfig_membersonly", "boolean", "Only members may enter", False),
    Field("moderated", "muc#roomconfig_moderatedroom", "boolean", "Visitors write only when allowed to", False),
    Field("protected", "muc#roomconfig_passwordprotectedroom", "boolean", "A password is needed to enter", False),
    Field("password", "muc#roomconfig_roomsecret", "text-private", "The password", ""),
    Field("max_users", "muc#roomconfig_maxusers", "list-single", "People in it at most", 0, _USERS, 0, 10_000),
    Field("whois", "muc#roomconfig_whois", "list-single", "Who sees the real addresses", "moderators",
          (("moderators", "Moderators only"), ("anyone", "Everybody"))),
    Field("invites", "muc#roomconfig_allowinvites", "boolean", "Everybody in it may invite others", True),
    Field("member_invites", "x-muc#roomconfig_memberinvites", "boolean",
          "Members may invite new members where only members may enter", False),
    Field("change_subject", "muc#roomconfig_changesubject", "boolean", "Everybody in it may change the subject", False),
    Field("private", "muc#roomconfig_allowpm", "list-single", "Who may send private messages", "anyone",
          (("anyone", "Everybody"), ("participants", "Participants and moderators"), ("moderators", "Moderators"),
           ("none", "Nobody"))),
    Field("broadcast", "muc#roomconfig_presencebroadcast", "list-multi", "Whose presence is shown",
          ["moderator", "participant", "visitor"], _ROLES),
    Field("member_list", "muc#roomconfig_getmemberlist", "list-multi", "Who may read the lists of members",
          ["moderator", "participant", "visitor"], _ROLES),
    Field("lock_nicks", "x-muc#roomconfig_locknicks", "boolean",
          "Who has registered a nickname has to use it", False),
    Field("history", "muc#maxhistoryfetch", "text-single", "Messages shown on entering", 20, (), 0, HISTORY_MOST),
    Field("archive", "muc#roomconfig_enablearchiving", "boolean", "Messages are kept, to be read later", True),
    Field("logging", "muc#roomconfig_enablelogging", "boolean",
          "Who may enter may read the archive without entering", True),
)
#: Owners and admins are no settings, but a form may hold the whole list of either (XEP-0045 10.2).
PEOPLE: Final = {"owner": ("muc#roomconfig_roomowners", "Owners"), "admin": ("muc#roomconfig_roomadmins", "Admins")}
DEFAULTS: Final[dict[str, Any]] = {field.key: field.default for field in FIELDS}
_BY_VAR: Final = {field.var: field for field in FIELDS}
_BY_NAME: Final = {field.name: field for field in FIELDS}

#: key, feature when it is so, feature when not (XEP-0045 15.4)
_FEATURES: Final = (
    ("persistent", "muc_persistent", "muc_temporary"),
    ("public", "muc_public", "muc_hidden"),
    ("members_only", "muc_membersonly", "muc_open"),
    ("moderated", "muc_moderated", "muc_unmoderated"),
    ("protected", "muc_passwordprotected", "muc_unsecured"),
)


def is_open_archive(config: Mapping[str, Any]) -> bool:
    """May everybody read what is kept of a room of this complete config?"""
    return bool(config["logging"] and not config["members_only"] and not config["protected"])


def is_logged(config: Mapping[str, Any]) -> bool:
    """Is what is said in a room of this complete config kept for everybody (XEP-0045 7.2.12)?"""
    return bool(config["archive"]) and is_open_archive(config)


def features(config: Mapping[str, Any]) -> list[str]:
    """What a room with this complete config says of itself in disco#info."""
    found = [yes if config[key] else no for key, yes, no in _FEATURES]
    found.append("muc_nonanonymous" if config["whois"] == "anyone" else "muc_semianonymous")
    return found


def form_xml(config: Mapping[str, Any], title: str, people: Mapping[str, Iterable[str]] | None = None) -> str:
    """The form of all settings with their present values; people: addresses by "owner" and "admin"."""
    parts = [f'<x xmlns="{ns.DATA}" type="form"><title>{text(title)}</title>',
             field_xml("FORM_TYPE", [FORM_TYPE], "hidden")]
    for field in FIELDS:
        words = field.words(config[field.key])
        choices = field.choices
        if field.kind == "list-single" and words[0] not in [value for value, _ in choices]:
            choices = ((words[0], words[0]), *choices)
        parts.append(field_xml(field.var, words, field.kind, field.label, choices))
    for affiliation, addresses in (people or {}).items():
        var, label = PEOPLE[affiliation]
        parts.append(field_xml(var, addresses, "jid-multi", label))
    parts.append("</x>")
    return "".join(parts)


def says_yes(values: Mapping[str, list[str]], var: str) -> bool:
    """Is this field of a submitted form, a boolean, true?"""
    return bool(values.get(var)) and values[var][0].strip() in ("1", "true")


def parse_config(form: domish.Element, config: Mapping[str, Any]) -> dict[str, Any]:
    """The complete config after this submitted form; fields it leaves out stay (XEP-0045 10.2).

    Raises StanzaError not-acceptable for a value that cannot be, or a password room without a password;
    fields nobody knows are passed over.
    """
    new = dict(config)
    for var, values in form_values(form, FORM_TYPE).items():
        field = _BY_VAR.get(var)
        if field is not None:
            new[field.key] = field.parse(values)
    _check(new)
    return new


def parse_words(values: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """The complete config after these changes, by the fields' short names, as a sysadmin types them.

    Lists have commas between their words.  Raises StanzaError as `parse_config` does, and item-not-found for a name
    that is none.
    """
    new = dict(config)
    for name, value in values.items():
        field = _BY_NAME.get(name)
        if field is None:
            raise StanzaError("item-not-found", text=f"There is no setting {name}; there are {', '.join(_BY_NAME)}.")
        word = str(value).lower() if isinstance(value, bool) else str(value)
        words = [one.strip() for one in word.split(",") if one.strip()] if field.kind == "list-multi" else [word]
        new[field.key] = field.parse(words)
    _check(new)
    return new


def words_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """A complete config by the fields' short names, for a sysadmin; without the password."""
    found = {field.name: config[field.key] for field in FIELDS}
    found["roomsecret"] = "set" if config["password"] else ""
    return found


def _check(config: Mapping[str, Any]) -> None:
    """Raises StanzaError not-acceptable for settings that do not fit together."""
    if config["protected"] and not config["password"]:
        raise StanzaError("not-acceptable", text="A room that asks for a password needs one.")


def parse_people(form: domish.Element) -> dict[str, list[str]]:
    """The lists of owners and admins that this submitted form has, as bare addresses by affiliation.

    Raises StanzaError jid-malformed for what is no address of a person, not-acceptable for too many.
    """
    values = form_values(form, FORM_TYPE)
    found: dict[str, list[str]] = {}
    for affiliation, (var, _) in PEOPLE.items():
        if var not in values:
            continue
        lines = [line.strip() for value in values[var] for line in value.split("\n")]
        try:
            people = [JID.parse(line) for line in lines if line]
        except InvalidJID:
            people = [JID.of("", "invalid")]
        if not all(jid.local for jid in people):
            raise StanzaError("jid-malformed", text=f"The list {var} is of addresses of people.")
        found[affiliation] = list(dict.fromkeys(jid.bare for jid in people))
        if len(found[affiliation]) > _PEOPLE_MOST:
            raise StanzaError("not-acceptable", text=f"The list {var} has at most {_PEOPLE_MOST} addresses.")
    return found
