"""What a node can be set to: XEP-0060 16.4.3, as a table of settings, and the data forms made of it.

A node's config is a dictionary by `Setting.key`; only what differs from the defaults is kept.  The defaults are
those of XEP-0163 5; nodes whose purpose is known have the ones their own specification asks for, so that a client
which says nothing neither shows bookmarks to everybody nor hides its keys.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import attrs
from twisted.words.xish import domish

from chatd.core import forms, ns
from chatd.core.errors import StanzaError
from chatd.core.forms import field_xml, form_values
from chatd.core.pubsub_errors import refusal

__all__ = ["CONFIG", "DEFAULTS", "MAX", "OPTIONS", "complete", "differing", "form_xml", "meta_data", "parse_config",
           "parse_options", "unmet", "usual"]

CONFIG: Final = f"{ns.PUBSUB}#node_config"
OPTIONS: Final = f"{ns.PUBSUB}#publish-options"
META_DATA: Final = f"{ns.PUBSUB}#meta-data"
MAX: Final = 0
"""As max_items: as many as the server lets a node have ("max")."""
_TEXT_MOST: Final = 1024
_GROUPS_MOST: Final = 50


@attrs.frozen
class Setting(forms.Setting):
    """One setting of a node. choices: of a list."""

    choices: tuple[str, ...] = ()

    def parse(self, values: list[str]) -> Any:
        """The value that a field says; StanzaError not-acceptable, naming the field."""
        if self.kind == "list-multi":
            if len(values) > _GROUPS_MOST or any(len(value) > _TEXT_MOST for value in values):
                raise self._wrong(f"has at most {_GROUPS_MOST} groups")
            return sorted(set(values))
        value = values[0].strip() if values else ""
        if self.kind == "boolean":
            if value not in ("1", "true", "0", "false", ""):
                raise self._wrong("is true or false")
            return value in ("1", "true")
        if type(self.default) is int:
            return self._number(value)
        if self.choices and value not in self.choices:
            raise self._wrong("is one of " + ", ".join(self.choices))
        if len(value) > _TEXT_MOST:
            raise self._wrong(f"has at most {_TEXT_MOST} characters")
        return value

    def _number(self, value: str) -> int:
        if value == "max" and self.key == "max_items":
            return MAX
        if not re.fullmatch("[0-9]{1,9}", value) or int(value) < 1:
            raise self._wrong("is a whole number above 0" + (", or max" if self.key == "max_items" else ""))
        return int(value)

    def words(self, value: Any) -> list[str]:
        """The value as a form's texts."""
        if self.kind == "boolean":
            return ["1" if value else "0"]
        if self.kind == "list-multi":
            return list(value)
        return ["max"] if self.key == "max_items" and value == MAX else [str(value)]


_SETTINGS: Final = (
    Setting("title", "pubsub#title", "text-single", "Title", ""),
    Setting("description", "pubsub#description", "text-single", "What it is for", ""),
    Setting("type", "pubsub#type", "text-single", "Namespace of what is published", ""),
    Setting("node_type", "pubsub#node_type", "list-single", "Kind of node", "leaf", ("leaf",)),
    Setting("access", "pubsub#access_model", "list-single", "Who may read it", "presence",
            ("open", "presence", "roster", "authorize", "whitelist")),
    Setting("groups", "pubsub#roster_groups_allowed", "list-multi", "Groups of contacts who may read it", []),
    Setting("publish", "pubsub#publish_model", "list-single", "Who may publish", "publishers",
            ("publishers", "subscribers", "open")),
    Setting("max_items", "pubsub#max_items", "text-single", "Items kept", 1),
    Setting("persist", "pubsub#persist_items", "boolean", "Items are kept", True),
    Setting("max_bytes", "pubsub#max_payload_size", "text-single", "Bytes of an item at most", 1_000_000),
    Setting("send_last", "pubsub#send_last_published_item", "list-single", "When the last item is sent",
            "on_sub_and_presence", ("never", "on_sub", "on_sub_and_presence")),
    Setting("notify", "pubsub#deliver_notifications", "boolean", "Others are told of changes", True),
    Setting("payloads", "pubsub#deliver_payloads", "boolean", "They are told with the item itself", True),
    Setting("notify_retract", "pubsub#notify_retract", "boolean", "They are told of items taken back", True),
    Setting("notify_delete", "pubsub#notify_delete", "boolean", "They are told when the node is gone", True),
    Setting("notify_config", "pubsub#notify_config", "boolean", "They are told of other settings", False),
    Setting("message", "pubsub#notification_type", "list-single", "Type of the messages", "headline",
            ("headline", "normal")),
)
DEFAULTS: Final[dict[str, Any]] = {setting.key: setting.default for setting in _SETTINGS}
_BY_VAR: Final = {setting.var: setting for setting in _SETTINGS}

_PRIVATE: Final = {"access": "whitelist", "max_items": MAX, "send_last": "never"}
_OPEN: Final = {"access": "open"}
_USUAL: Final[dict[str, Mapping[str, Any]]] = {
    ns.BOOKMARKS: _PRIVATE,                                         # XEP-0402 3.3
    ns.DISPLAYED: _PRIVATE,                                         # XEP-0490 3.2
    ns.BOOKMARKS_OLD: {"access": "whitelist"},                      # XEP-0048 3, XEP-0223
    "eu.siacs.conversations.axolotl.devicelist": _OPEN,             # XEP-0384 0.3
    "urn:xmpp:omemo:2:devices": _OPEN,                              # XEP-0384 5.3.1
    "urn:xmpp:omemo:2:bundles": {"access": "open", "max_items": MAX},   # XEP-0384 5.3.2
    "urn:xmpp:openpgp:0:public-keys": _OPEN,                        # XEP-0373 4.1
}
_BUNDLES: Final = "eu.siacs.conversations.axolotl.bundles:"


def usual(node: str) -> dict[str, Any]:
    """The settings a new node of this name has, where nobody says others, as far as they differ from the defaults."""
    return dict(_OPEN if node.startswith(_BUNDLES) else _USUAL.get(node, {}))


def complete(settings: Mapping[str, Any]) -> dict[str, Any]:
    """All settings."""
    return {**DEFAULTS, **settings}


def differing(config: Mapping[str, Any]) -> dict[str, Any]:
    """Those settings that are not the defaults."""
    return {key: value for key, value in config.items() if value != DEFAULTS[key]}


def parse_config(form: domish.Element, config: Mapping[str, Any]) -> dict[str, Any]:
    """The complete config after this submitted form; what it leaves out stays, what nobody knows is passed over.

    Raises StanzaError not-acceptable for a value that cannot be.
    """
    new = dict(config)
    for var, values in form_values(form, CONFIG).items():
        setting = _BY_VAR.get(var)
        if setting is not None:
            new[setting.key] = setting.parse(values)
    return new


def parse_options(form: domish.Element | None) -> dict[str, Any]:
    """The preconditions of <publish-options/> by key (XEP-0060 7.1.5).

    Raises StanzaError: bad-request without a form, conflict for a setting that does not exist here, since a node
    cannot have it.
    """
    if form is None:
        raise StanzaError("bad-request", text="The options are a data form.")
    found: dict[str, Any] = {}
    for var, values in form_values(form, OPTIONS).items():
        setting = _BY_VAR.get(var)
        if setting is None:
            raise refusal("conflict", "precondition-not-met", text=f"No node here has the setting {var}.")
        found[setting.key] = setting.parse(values)
    return found


def unmet(options: Mapping[str, Any], config: Mapping[str, Any], most_items: int) -> str:
    """The var of the first precondition that a complete config does not meet, "" where it meets all.

    most_items: what "max" stands for; to ask for more than that is to ask for it.
    """
    for setting in _SETTINGS:
        if setting.key not in options:
            continue
        wanted, found = options[setting.key], config[setting.key]
        if setting.key == "max_items":
            wanted, found = (min(value or most_items, most_items) for value in (wanted, found))
        if wanted != found:
            return setting.var
    return ""


def form_xml(config: Mapping[str, Any], form_type: str = CONFIG) -> str:
    """The form of all settings with their present values."""
    parts = [f'<x xmlns="{ns.DATA}" type="form">', field_xml("FORM_TYPE", [form_type], "hidden")]
    for setting in _SETTINGS:
        words = setting.words(config[setting.key])
        choices = setting.choices or (words if setting.kind == "list-multi" else ())
        parts.append(field_xml(setting.var, words, setting.kind, setting.label, [(word, word) for word in choices]))
    parts.append("</x>")
    return "".join(parts)


def meta_data(config: Mapping[str, Any]) -> str:
    """What disco tells of a node (XEP-0060 5.4): nothing that would tell more than reading it does."""
    told = [setting for setting in _SETTINGS if setting.key in ("title", "description", "type", "node_type", "access",
                                                                "publish", "max_items")]
    fields = [field_xml("FORM_TYPE", [META_DATA], "hidden")]
    fields += [field_xml(setting.var, setting.words(config[setting.key]), setting.kind, setting.label)
               for setting in told if config[setting.key] != ""]
    return f'<x xmlns="{ns.DATA}" type="result">{"".join(fields)}</x>'
