"""What every module promises: true attributes, and nothing left behind when it stops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import pytest_twisted

from chatd.core import ns
from chatd.modules import module_classes
from chatd.xep.api import Module, Option
from tests.xep.world import World

CLASSES = module_classes()
INTERNAL = {"message", "notices", "organisation", "roster", "presence"}
OWN = {"meet"}      # what they speak is in docs/protocol.md


def tables(world: World) -> Any:
    """All that modules register."""
    hooks = world.router.hooks
    return (set(hooks.iqs), set(hooks.elements), len(hooks.stream_features),
            {event: len(found) for event, found in hooks.events.items() if found})


@pytest_twisted.ensureDeferred
@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.name)
async def test_stop_leaves_nothing_behind(kind: type[Module]) -> None:
    """Started upon what it needs and stopped again, also with somebody there and after a second round."""
    world = await World.open()
    needed: list[type[Module]] = []

    def take(one: type[Module]) -> None:
        for other in CLASSES:
            if other.name in one.needs and other not in needed:
                take(other)
                needed.append(other)

    take(kind)
    for one in needed:
        world.start(one)
    before = tables(world)
    client = await world.client("alice@example.com/a", available=False)
    for _ in range(2):
        module = world.start(kind)
        # `message` only takes a kind of stanza, which there must always be somebody for.
        assert tables(world) != before or kind.name == "message"
        module.stop()
        api = world.apis.pop(kind.name)
        api.release()
        del world.modules[kind.name]
        assert tables(world) == before and not api.commands and not api._undo
    assert client.s.hold is None and not client.s.is_closed
    await world.close()


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.name)
def test_attributes(kind: type[Module]) -> None:
    """Name, number and version, options whose defaults are allowed, a docstring that begins with the number."""
    assert kind.name == kind.__module__.rpartition(".")[2]
    for option in kind.options:
        assert isinstance(option, Option) and option.check(option.default) == "" and option.says.endswith(".")
    numbers = [(kind.xep, kind.version), *kind.also] if kind.xep else list(kind.also)
    for number, version in numbers:
        assert len(number) == 4 and number.isdigit() and version
    assert kind.xep or kind.name in INTERNAL | OWN
    source = f"XEP-{kind.xep}" if kind.xep else "RFC 6121" if kind.name in INTERNAL else "docs/protocol.md"
    assert source in (kind.__doc__ or "")


def test_options_are_in_the_manual() -> None:
    """chatd.toml(5) has each, with its sentence and its default."""
    manual = (Path(__file__).resolve().parents[2] / "man" / "chatd.toml.5").read_text()
    for kind in CLASSES:
        for option in kind.options:
            default = str(option.default).lower() if option.type is bool else str(option.default)
            _, found, entry = manual.partition(f".It Ic {kind.name}.{option.name} ")
            head, _, text = entry.partition("\n")
            assert found and text.startswith(option.says), option
            assert not default or head.endswith(f"default {default}"), option      # an empty one is said in words
            if option.least is not None:
                assert f"number, {option.least} to {option.most};" in head, option


def test_features_are_told_once() -> None:
    """No two modules claim the same feature of a domain, and each is a namespace we know or spell out."""
    told = [feature for kind in CLASSES for feature in kind.features]
    assert len(told) == len(set(told))
    assert ns.DISCO_INFO in told
