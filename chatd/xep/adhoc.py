"""Ad-Hoc Commands, XEP-0050, of a domain: other modules offer them, people see and run those that they may.

A command has one form or none. Without one it runs at once; with one the first request gets the form and a session id,
the second brings it filled in. Nothing is done in between, so a session that is forgotten costs nothing.

Modules offer theirs by the event
    adhoc.commands() -> commands        an iterable of AdhocCommand, always the same
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.words.xish import domish

from chatd.core import ns
from chatd.core.errors import StanzaError
from chatd.core.forms import field_xml, find_form, form_values
from chatd.core.stanza import attribute, text
from chatd.xep.api import Api, Module, Request

__all__ = ["AdhocCommand", "AdhocCommands", "Field", "Outcome"]

_SESSION_S: Final = 600.0
_SESSIONS_MOST: Final = 1000
_ACTIONS: Final = ("execute", "complete", "cancel", "next", "prev")


@attrs.frozen
class Field:
    """A field of a form; kind is that of XEP-0004. choices: (value, label), of lists."""

    var: str
    kind: str
    label: str
    is_required: bool = True
    value: str = ""
    choices: tuple[tuple[str, str], ...] = ()

    def to_xml(self, values: Sequence[str] = ()) -> str:
        """The field as it is asked, with what stands in it before: values, or `value`."""
        values = values or ([self.value] if self.value else [])
        return field_xml(self.var, values, self.kind, self.label, self.choices, self.is_required)


@attrs.frozen
class Outcome:
    """What came of a command: a sentence, and values by field name, shown as a form. is_warning: not all was done.
    inner: XML that stands in the form behind its fields."""

    note: str = ""
    values: Mapping[str, list[str]] = attrs.field(factory=dict)
    fields: tuple[Field, ...] = ()
    form_type: str = ""
    is_warning: bool = False
    inner: str = ""


Run = Callable[[Request, dict[str, list[str]]], Any]


@attrs.frozen
class AdhocCommand:
    """node, name: as it is listed. may(request): may they run it? run(request, values): does it and gives an Outcome or
    a Deferred of one; values are what the form has by field, [] where there is none. fields: what is asked, in order.
    before(request): what stands in them before, by field; it may refuse.
    """

    node: str
    name: str
    may: Callable[[Request], bool]
    run: Run
    fields: tuple[Field, ...] = ()
    form_type: str = ""
    title: str = ""
    instructions: str = ""
    before: Callable[[Request], Any] | None = None


class AdhocCommands(Module):
    """XEP-0050 at the address of a domain."""

    name = "adhoc"
    xep = "0050"
    version = "1.3.1"
    features = (ns.COMMANDS,)

    def start(self, api: Api) -> None:
        """Answers the requests, and lists the commands in disco."""
        super().start(api)
        self._sessions: OrderedDict[str, tuple[str, str, float]] = OrderedDict()
        api.iq("set", f"{ns.COMMANDS} command", self._asked, "domain")
        api.on("disco.info", self._info)
        api.on("disco.identity", self._identity)
        api.on("disco.items", self._items)

    def _offered(self) -> Iterator[AdhocCommand]:
        for hook in self.api.hooks.events.get("adhoc.commands", ()):
            yield from hook()

    def _find(self, node: str) -> AdhocCommand | None:
        return next((command for command in self._offered() if command.node == node), None)

    # -- XEP-0030
    def _info(self, request: Request, node: str | None) -> tuple[str, ...] | None:
        if request.to.local or not node:
            return None
        if node == ns.COMMANDS:
            return (ns.COMMANDS,)
        command = self._find(node)
        return (ns.COMMANDS, ns.DATA) if command is not None and command.may(request) else None

    def _identity(self, request: Request, node: str) -> tuple[str, str, str] | None:
        if request.to.local:
            return None
        if node == ns.COMMANDS:
            return "automation", "command-list", "Commands"
        command = self._find(node)
        return None if command is None else ("automation", "command-node", command.name)

    def _items(self, request: Request, node: str | None) -> list[tuple[str, str, str]] | None:
        if request.to.local or node != ns.COMMANDS:
            return None
        return [(request.to.domain, command.name, command.node)
                for command in self._offered() if command.may(request)]

    # -- XEP-0050
    def _asked(self, request: Request) -> Any:
        asked = request.child
        node, action = asked.getAttribute("node") or "", asked.getAttribute("action") or "execute"
        command = self._find(node)
        if command is None:
            raise StanzaError("item-not-found", text="There is no such command.")
        if not command.may(request):
            raise StanzaError("forbidden", "cancel", text="This command is not for you.")
        if action not in _ACTIONS:
            raise _refusal("malformed-action")
        session = asked.getAttribute("sessionid")
        if session is None:
            return self._begun(request, command, action)
        self._continue(request, command, session)
        if action == "cancel":
            del self._sessions[session]
            return _command_xml(command.node, session, "canceled")
        if action in ("next", "prev"):
            raise _refusal("bad-action")
        values = _filled(command, find_form(asked))
        del self._sessions[session]
        return self._done(request, command, values, session)

    def _begun(self, request: Request, command: AdhocCommand, action: str) -> Any:
        if action != "execute":
            raise _refusal("bad-action")
        session = secrets.token_urlsafe(12)
        if not command.fields:
            return self._done(request, command, {}, session)
        before: Deferred[Any] = maybeDeferred(command.before, request) if command.before is not None else succeed({})
        return before.addCallback(self._form, request, command, session)

    def _form(self, values: Mapping[str, list[str]], request: Request, command: AdhocCommand, session: str) -> bytes:
        now = self.api.clock.seconds()
        while self._sessions and (len(self._sessions) >= _SESSIONS_MOST
                                  or next(iter(self._sessions.values()))[2] < now):
            self._sessions.popitem(last=False)
        self._sessions[session] = (request.from_.full, command.node, now + _SESSION_S)
        parts = [f'<actions execute="complete"><complete/></actions><x xmlns="{ns.DATA}" type="form">'
                 f"<title>{text(command.title or command.name)}</title>"]
        if command.instructions:
            parts.append(f"<instructions>{text(command.instructions)}</instructions>")
        if command.form_type:
            parts.append(field_xml("FORM_TYPE", [command.form_type], "hidden"))
        parts += [field.to_xml(values.get(field.var, ())) for field in command.fields]
        return _command_xml(command.node, session, "executing", "".join(parts) + "</x>")

    def _continue(self, request: Request, command: AdhocCommand, session: str) -> None:
        """The session has to be this client's, of this command, and not too old."""
        found = self._sessions.get(session)
        if found is None:
            raise _refusal("session-expired", "not-allowed", "cancel")
        whose, node, until = found
        if whose != request.from_.full or node != command.node:
            raise _refusal("bad-sessionid")
        if until < self.api.clock.seconds():
            del self._sessions[session]
            raise _refusal("session-expired", "not-allowed", "cancel")

    def _done(self, request: Request, command: AdhocCommand, values: dict[str, list[str]], session: str) -> Any:
        def answer(outcome: Outcome) -> bytes:
            note = f'<note type="{"warn" if outcome.is_warning else "info"}">{text(outcome.note)}</note>' if (
                outcome.note) else ""
            return _command_xml(command.node, session, "completed", _result_xml(outcome) + note)

        done: Deferred[Any] = maybeDeferred(command.run, request, values)
        return done.addCallback(answer)


def _result_xml(outcome: Outcome) -> str:
    if not outcome.fields:
        return ""
    kind = field_xml("FORM_TYPE", [outcome.form_type], "hidden") if outcome.form_type else ""
    fields = "".join(field_xml(field.var, outcome.values.get(field.var, ()), field.kind, field.label)
                     for field in outcome.fields)
    return f'<x xmlns="{ns.DATA}" type="result">{kind}{fields}{outcome.inner}</x>'


def _filled(command: AdhocCommand, form: domish.Element | None) -> dict[str, list[str]]:
    """The values of the form, all fields of the command; refuses where one that is required is missing."""
    if form is None or form.getAttribute("type") != "submit":
        raise _refusal("bad-payload", text="The form is missing.")
    given = form_values(form, command.form_type) if command.form_type else form_values(form, "")
    values = {field.var: [value for value in given.get(field.var, ()) if value.strip()] for field in command.fields}
    for field in command.fields:
        if field.is_required and not values[field.var]:
            raise _refusal("bad-payload", text=f"{field.label} is missing.")
    return values


def _refusal(specific: str, condition: str = "bad-request", kind: str = "modify", text: str = "") -> StanzaError:
    """XEP-0050 4.4."""
    return StanzaError(condition, kind, text=text or None, appCondition=domish.Element((ns.COMMANDS, specific)))


def _command_xml(node: str, session: str, status: str, inner: str = "") -> bytes:
    return (f'<command xmlns="{ns.COMMANDS}" node="{attribute(node)}" sessionid="{session}" status="{status}">'
            f"{inner}</command>").encode()
