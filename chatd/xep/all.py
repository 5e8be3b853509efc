"""All modules: their order, their start and stop, and the check of what the configuration says to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any, Final

from chatd.xep.api import Api, Module, Option
from chatd.xep.archive import Archive
from chatd.xep.avatar import Avatar
from chatd.xep.blocking import Blocking
from chatd.xep.caps import Caps
from chatd.xep.carbons import Carbons
from chatd.xep.csi import ClientState
from chatd.xep.disco import Disco
from chatd.xep.entity_time import EntityTime
from chatd.xep.last import Last
from chatd.xep.message import Messages
from chatd.xep.offline import Offline
from chatd.xep.ping import Ping
from chatd.xep.presence import Presence
from chatd.xep.private import Private
from chatd.xep.roster import Roster
from chatd.xep.vcard import VCard
from chatd.xep.version import Version

__all__ = ["ELSEWHERE", "MODULES", "Started", "check_options", "start_modules", "stop_modules"]

#: In the order they start; a module stands behind those it needs.
MODULES: Final[tuple[type[Module], ...]] = (
    Roster, Presence, Messages, Blocking, Archive, Offline, Carbons, ClientState, Disco, Caps, Ping, Version,
    EntityTime, Last, VCard, Avatar, Private,
)

#: XEPs that are no module's but part of the streams in chatd.core and chatd.server: (xep, version).
ELSEWHERE: Final[tuple[tuple[str, str], ...]] = ()


class Started(dict[str, Module]):
    """The running modules by name; `apis` is what each of them was given, by which it is stopped."""

    def __init__(self) -> None:
        super().__init__()
        self.apis: dict[str, Api] = {}


def check_options(modules: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str, str]]:
    """All that is wrong with [modules.NAME] tables: (key, what, what would be right), for the configuration."""
    known = {kind.name: kind for kind in MODULES}
    mistakes = []
    for name, given in modules.items():
        if name not in known:
            mistakes.append((f"modules.{name}", "there is no such module", _nearest(name, known)))
            continue
        options = {option.name: option for option in known[name].options}
        for key, value in given.items():
            where = f"modules.{name}.{key}"
            if key not in options:
                right = _nearest(key, options) if options else "no table for it; it has no settings"
                mistakes.append((where, "there is no such setting", right))
                continue
            wrong = options[key].check(value)
            if wrong:
                mistakes.append((where, f"{value!r} is not allowed; it {wrong}", _example(options[key])))
    return mistakes


def start_modules(router: Any, store: Any, settings: Any, clock: Any, now: Callable[[], float]) -> Started:
    """Starts all modules; what [modules.NAME] does not say has its default.

    Raises ValueError for settings that `check_options` finds wrong, and for a module whose need does not
    run; then none is left running.
    """
    mistakes = check_options(settings.modules)
    if mistakes:
        raise ValueError("; ".join(f"{key}: {problem}" for key, problem, _ in mistakes))
    started = Started()
    try:
        for kind in MODULES:
            _start(kind(), started, router, store, settings, clock, now)
    except BaseException:
        stop_modules(started)
        raise
    return started


def _start(module: Module, started: Started, router: Any, store: Any, settings: Any, clock: Any,
           now: Callable[[], float]) -> None:
    missing = [need for need in module.needs if need not in started]
    if missing:
        raise ValueError(f"module {module.name} needs {', '.join(missing)}, started before it")
    given = settings.modules.get(module.name, {})
    options = {option.name: given.get(option.name, option.default) for option in module.options}
    api = Api(module, router.hooks, router, store, options, settings, clock, now, started)
    started.apis[module.name] = api
    started[module.name] = module
    module.start(api)


def stop_modules(started: Started) -> None:
    """Stops them, the last started first; nothing of them stays behind."""
    for name in reversed(list(started)):
        started[name].stop()
        started.apis.pop(name).release()
        del started[name]


def _nearest(word: str, known: Mapping[str, Any]) -> str:
    close = get_close_matches(word, known, 1)
    return close[0] if close else "one of " + ", ".join(sorted(known))


def _example(option: Option) -> str:
    default = str(option.default).lower() if option.type is bool else repr(option.default)
    return f"{option.name} = {default}"
