"""Data forms, XEP-0004: the fields of one, written and read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs
from twisted.words.xish import domish

from chatd.core import ns
from chatd.core.errors import StanzaError
from chatd.core.stanza import attribute, text

__all__ = ["Setting", "field_xml", "find_form", "form_values"]


@attrs.frozen
class Setting:
    """What can be set by a form: its key in memory, the field's var, type (XEP-0004), label and default."""

    key: str
    var: str
    kind: str
    label: str
    default: Any

    def _wrong(self, right: str) -> StanzaError:
        """What refuses a value; right: what the setting is."""
        return StanzaError("not-acceptable", text=f"The setting {self.var} {right}.")


def field_xml(var: str, values: Iterable[str], kind: str = "", label: str = "",
              choices: Iterable[tuple[str, str]] = (), is_required: bool = False) -> str:
    """One <field/> of a data form."""
    head = f'<field var="{attribute(var)}"' + (f' type="{kind}"' if kind else "") + (
        f' label="{attribute(label)}"' if label else "")
    body = "".join(f"<value>{text(value)}</value>" for value in values)
    options = "".join(f'<option label="{attribute(name)}"><value>{text(value)}</value></option>'
                      for value, name in choices)
    required = "<required/>" if is_required else ""
    return f"{head}>{required}{body}{options}</field>"


def form_values(form: domish.Element, form_type: str) -> dict[str, list[str]]:
    """The values of a submitted form by var, without FORM_TYPE; StanzaError bad-request where it is another form."""
    found: dict[str, list[str]] = {}
    for field in form.elements():
        if field.uri == ns.DATA and field.name == "field" and field.getAttribute("var"):
            found[field["var"]] = [str(value) for value in field.elements() if value.name == "value"]
    if found and found.pop("FORM_TYPE", [form_type]) != [form_type]:
        raise StanzaError("bad-request", text=f"The form's FORM_TYPE is to be {form_type}.")
    return found


def find_form(parent: domish.Element) -> domish.Element | None:
    """The first form right inside an element."""
    return next((child for child in parent.elements() if child.name == "x" and child.uri == ns.DATA), None)
