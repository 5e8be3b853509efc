"""What a module may know and do: the only door between a feature and the rest of the daemon.

A module is a class whose attributes say what it is (`Module`), and whose `start` registers what it
does through an `Api`.  It hooks by routing sentence (`api.iq`: kind, target, first child) or by
named event (`api.on`).  Everything registered is taken back when the module stops, so nothing of
it stays behind.

A hook answers None (pass: others may look), or what its event documents; it refuses by raising a
StanzaError, which the router turns into the standard's answer.

The events are listed in `chatd.core.hooks`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import attrs
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from chatd.core.hooks import ANSWERED, BindHook, BindInfo, Hooks, IqHook, Message, Request
from chatd.core.stanza import Stanza

if TYPE_CHECKING:
    from chatd.interfaces import IMediaEngine, IRouter, IService, ISession

__all__ = ["ANSWERED", "Api", "Command", "Message", "Module", "Option", "Request", "features_of"]

_log = Logger()


@attrs.frozen
class Option:
    """A setting of a module: `[modules.NAME] key = value`.

    `type` is bool, int, float, str or list; numbers are bounded by `least` and `most` (inclusive),
    words by `choices`; a text, and each one of a list, looks like `pattern`.  `says` is one sentence for the manual.
    """

    name: str
    type: type
    default: Any
    says: str
    least: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()
    pattern: str = ""

    def check(self, value: Any) -> str:
        """Nothing, or what would be right."""
        if self.type is float and type(value) is int:
            value = float(value)
        if type(value) is not self.type:
            return f"must be a {self.type.__name__}"
        number: Any = value
        if self.choices and value not in self.choices:
            return "must be one of " + ", ".join(self.choices)
        if self.least is not None and number < self.least:
            return f"must be at least {self.least}"
        if self.most is not None and number > self.most:
            return f"must be at most {self.most}"
        texts: list[Any] = value if isinstance(value, list) else []
        if not all(isinstance(one, str) for one in texts):
            return "must be a list of texts"
        for one in texts or [value] * isinstance(value, str):
            if self.pattern and re.fullmatch(self.pattern, one) is None:
                return f"must not have {one!r} in it"
        return ""


@attrs.frozen
class Command:
    """A chatctl command of a module: `words` ("archive expire"), a callable taking the arguments as a
    dictionary and returning a JSON value or a Deferred of one, and one sentence for the help."""

    words: str
    run: Callable[[Mapping[str, Any]], Any]
    says: str


class Module:
    """A feature.  Class attributes say what it is; `start` hooks it in.

    name: the word of its file.  xep, version: number ("0199") and version implemented, empty for RFCs.
    features, account_features: what disco tells about a domain, and about an account's bare address.
    identities, account_identities: (category, type, name) of a domain, and of an account.  needs: names of modules
    without which it cannot work.
    options: its settings.
    """

    name: ClassVar[str] = ""
    xep: ClassVar[str] = ""
    version: ClassVar[str] = ""
    also: ClassVar[tuple[tuple[str, str], ...]] = ()        # further (xep, version) it implements
    features: ClassVar[tuple[str, ...]] = ()
    account_features: ClassVar[tuple[str, ...]] = ()
    identities: ClassVar[tuple[tuple[str, str, str], ...]] = ()
    account_identities: ClassVar[tuple[tuple[str, str, str], ...]] = ()
    needs: ClassVar[tuple[str, ...]] = ()
    options: ClassVar[tuple[Option, ...]] = ()

    def start(self, api: Api) -> None:
        """Registers its hooks."""
        self.api = api

    def stop(self) -> None:
        """Lets go of what the api does not know of; the hooks are taken back by themselves."""


@attrs.define
class Api:
    """One module's view of the daemon.  `options`: its checked settings; `now` gives seconds since 1970; `media`: the
    engine of meetings, None without one; `directories`: an IDirectories, None where no domain has one; `perform(words,
    arguments)`: has a command of chatctl carried out, and gives a Deferred that may fail with StanzaError."""

    module: Module
    hooks: Hooks
    router: IRouter
    store: Any
    options: Mapping[str, Any]
    settings: Any
    clock: Any
    now: Callable[[], float]
    modules: Mapping[str, Module] = attrs.field(factory=dict)
    media: IMediaEngine | None = None
    directories: Any = None
    perform: Callable[[str, Mapping[str, Any]], Any] | None = None
    commands: list[Command] = attrs.field(factory=list)
    _undo: list[Callable[[], object]] = attrs.field(factory=list)

    # -- hooking
    def iq(self, kind: str, payload: str, hook: IqHook, target: str = "account", own: bool = True) -> None:
        """`hook(request)` answers iqs of this `kind` ("get", "set") with `payload` ("NS NAME") as first child.

        target: "account" for the bare address of a local account, or no address at all; "domain" for one
        of our domains; "resource" for a full address: the hook may only refuse, its client answers.  own: of
        an account target, nobody but the account itself may ask (others get what an account that does
        not exist gives).  The hook returns the result's inner bytes, None for an
        empty result, a Stanza, a Deferred of these, or ANSWERED; it refuses by StanzaError.
        """
        key = (target, kind, payload)
        if key in self.hooks.iqs:
            raise ValueError(f"two modules answer {key}")
        self.hooks.iqs[key] = (hook, own)
        self._undo.append(lambda: _gone(self.hooks.iqs, key))

    def on(self, event: str, hook: Callable[..., Any], priority: int = 0) -> None:
        """Calls `hook` on an event of the list above; higher priority earlier."""
        self.hooks.on(event, hook, priority)
        self._undo.append(lambda: self.hooks.off(event, hook))

    def element(self, name: str, hook: Callable[[ISession, Stanza], None]) -> None:
        """`hook(session, element)` gets each first-level element "NS NAME" that is no stanza (0352)."""
        if name in self.hooks.elements:
            raise ValueError(f"two modules take {name}")
        self.hooks.elements[name] = hook
        self._undo.append(lambda: _gone(self.hooks.elements, name))

    def stream_feature(self, feature: Callable[[str], bytes]) -> None:
        """`feature(domain)` gives the XML to offer after authentication, or nothing."""
        self.hooks.stream_features = (*self.hooks.stream_features, feature)

        def undo() -> None:
            self.hooks.stream_features = tuple(f for f in self.hooks.stream_features if f is not feature)

        self._undo.append(undo)

    def bind_feature(self, var: str, **hooks: BindHook) -> None:
        """Offers `var`, a namespace, to be switched on while a client binds (XEP-0386). `hooks`, by the name of the
        element in that namespace that asks for it, get the session and the element; what they give is told within
        <bound/>."""
        names = {f"{var} {name}": hook for name, hook in hooks.items()}
        self.hooks.bind_features |= names
        self.hooks.bind_vars = (*self.hooks.bind_vars, var)

        def undo() -> None:
            self.hooks.bind_vars = tuple(known for known in self.hooks.bind_vars if known != var)
            for name in names:
                del self.hooks.bind_features[name]

        self._undo.append(undo)

    def bind_info(self, prepare: BindInfo) -> None:
        """Tells something within each <bound/> (XEP-0386): prepare(account) asks for it, and what its Deferred fires
        with is called at the moment the resource is bound."""
        self.hooks.bind_info = (*self.hooks.bind_info, prepare)

        def undo() -> None:
            self.hooks.bind_info = tuple(known for known in self.hooks.bind_info if known != prepare)

        self._undo.append(undo)

    def command(self, words: str, run: Callable[[Mapping[str, Any]], Any], says: str) -> None:
        """Offers a chatctl command."""
        self.commands.append(Command(words, run, says))

    def release(self) -> None:
        """Takes back everything registered."""
        while self._undo:
            self._undo.pop()()
        self.commands.clear()

    def take(self, name: str, from_session: Callable[..., Any], from_elsewhere: Callable[..., Any],
             undelivered: Callable[..., None]) -> None:
        """Takes all stanzas of this name: see `IRouter.take`."""
        self.router.take(name, from_session, from_elsewhere, undelivered)

    def serve(self, domain: str, service: IService) -> None:
        """Gives all stanzas to `domain`, which has no accounts, to `service`."""
        self._undo.append(self.router.serve(domain, service))

    def visit(self, domain: str, accounts: str, service: str, takes_guests: bool, most: int) -> None:
        """Lets people sign in at `domain` for nothing but `service`: see `IVisits.open`."""
        self._undo.append(self.router.visits.open(domain, accounts, service, takes_guests, most))

    def undo(self, end: Callable[[], object]) -> None:
        """Calls `end` when the module stops, for what was begun elsewhere."""
        self._undo.append(end)

    # -- doing
    def send(self, stanza: Stanza) -> None:
        """Routes a stanza of the server's own; `from` and `to` must be set."""
        self.router.route(stanza)

    def loop(self, seconds: float, job: Callable[[], Any]) -> None:
        """Runs `job` every so often until the module stops; a failure is logged and does not end it."""
        def run() -> Any:
            try:
                result = job()
            except Exception:
                _log.failure("periodic job of {module} failed", module=self.module.name)
                return None
            if result is not None:
                result.addErrback(lambda failure: _log.failure(
                    "periodic job of {module} failed", failure=failure, module=self.module.name))
            return result

        call = LoopingCall(run)
        call.clock = self.clock
        call.start(seconds, now=False)
        self._undo.append(lambda: call.stop() if call.running else None)


def _gone(table: dict[Any, Any], key: Any) -> None:
    del table[key]


def features_of(modules: Iterable[Module], attribute: str) -> list[str]:
    """All features of these modules, sorted, each once."""
    return sorted({feature for module in modules for feature in getattr(module, attribute)})
