"""Finds the modules in chatd.xep, orders them by what they need, checks their options, starts and stops them.

Every file of chatd/xep that has a subclass of `Module` with a name is a module; nothing has to be registered.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any

import attrs
from twisted.logger import Logger

import chatd.xep
from chatd.config import Mistake
from chatd.server.control import Commands
from chatd.xep.api import Api, Module, Option

log = Logger()

MakeApi = Callable[[Module, Mapping[str, Any], Mapping[str, Module]], Api]


def module_classes() -> list[type[Module]]:
    """Return every module there is, those it needs before it; raises ValueError for needs that cannot be met."""
    found: dict[str, type[Module]] = {}
    for entry in pkgutil.walk_packages(chatd.xep.__path__, "chatd.xep."):
        for value in vars(importlib.import_module(entry.name)).values():
            if isinstance(value, type) and issubclass(value, Module) and value.name:
                if found.setdefault(value.name, value) is not value:
                    raise ValueError(f"two modules are called {value.name}")
    return ordered(found)


def ordered(classes: Mapping[str, type[Module]]) -> list[type[Module]]:
    """Return classes, given by name, so that each comes behind those it needs; raises ValueError."""
    result: list[type[Module]] = []
    under_way: list[str] = []

    def take(name: str, wanted_by: str) -> None:
        if name not in classes:
            raise ValueError(f"the module {wanted_by} needs {name}, which is not there")
        if name in under_way:
            raise ValueError(f"modules need each other in a circle: {', '.join([*under_way, name])}")
        if classes[name] in result:
            return
        under_way.append(name)
        for needed in classes[name].needs:
            take(needed, name)
        under_way.pop()
        result.append(classes[name])

    for name in sorted(classes):
        take(name, name)
    return result


def option_mistakes(written: Mapping[str, Mapping[str, Any]], classes: Iterable[type[Module]]) -> tuple[Mistake, ...]:
    """Return what is wrong with [modules.NAME] of the configuration, all of it."""
    by_name = {cls.name: cls for cls in classes}
    mistakes = []
    for name, options in written.items():
        if name not in by_name:
            right = _nearest(name, list(by_name))
            mistakes.append(Mistake(f"modules.{name}", "there is no such module", right))
            continue
        known = {option.name: option for option in by_name[name].options}
        for key, value in options.items():
            where = f"modules.{name}.{key}"
            if key not in known:
                mistakes.append(Mistake(where, "there is no such setting", _nearest(key, list(known))))
            elif wrong := known[key].check(value):
                mistakes.append(Mistake(where, f"it {wrong}", f"such as {known[key].default!r}"))
    return tuple(mistakes)


def _nearest(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, n=1, cutoff=0.6)
    if near:
        return f'"{near[0]}", if that was meant'
    return "one of " + ", ".join(sorted(known)) if known else "none: this module has no settings"


def options_of(options: Iterable[Option], written: Mapping[str, Any]) -> dict[str, Any]:
    """Return a module's settings: what was written, otherwise the defaults; an int where a float is meant
    is one.
    """
    values = {option.name: written.get(option.name, option.default) for option in options}
    return {
        option.name: float(values[option.name]) if option.type is float else values[option.name] for option in options
    }


@attrs.define
class Modules:
    """The modules of a running daemon, by name, with the Api each works through."""

    commands: Commands
    by_name: dict[str, Module] = attrs.field(factory=dict)
    apis: list[Api] = attrs.field(factory=list)

    def start(
        self, classes: Iterable[type[Module]], written: Mapping[str, Mapping[str, Any]], make_api: MakeApi
    ) -> None:
        """Start each in order. written: [modules.NAME], checked. make_api(module, options, all modules by
        name).
        """
        self.by_name.update({cls.name: cls() for cls in classes})
        for name, module in self.by_name.items():
            api = make_api(module, options_of(module.options, written.get(name, {})), self.by_name)
            self.apis.append(api)
            module.start(api)
            for command in api.commands:
                self.commands.register(command.words, command.run, command.says)
        log.info("Modules: {names}", names=", ".join(self.by_name))

    def stop(self) -> None:
        """Stop all, last first; one that fails does not keep the others."""
        for api in reversed(self.apis):
            try:
                for command in api.commands:
                    self.commands.forget(command.words)
                api.module.stop()
                api.release()
            except Exception:
                log.failure("the module {name} did not stop", name=api.module.name)
        self.apis.clear()
        self.by_name.clear()
