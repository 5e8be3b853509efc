"""Modules are found, ordered by what they need, and given their checked options."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from chatd.core.hooks import Hooks
from chatd.modules import Modules, module_classes, option_mistakes, options_of, ordered
from chatd.server.control import Commands
from chatd.xep.api import Api, Module, Option


class First(Module):
    """Offers a command, and two settings."""

    name = "first"
    options = (
        Option("every_s", float, 60.0, "How often.", least=1, most=3600),
        Option("mode", str, "slow", "How.", choices=("slow", "fast")),
    )

    def start(self, api: Api) -> None:
        super().start(api)
        api.command("first go", lambda arguments: "went", "Goes.")


class Second(Module):
    """Needs the first."""

    name = "second"
    needs = ("first",)
    stopped: list[str]

    def stop(self) -> None:
        raise RuntimeError("it does not want to")


class Third(Module):
    """Needs the second."""

    name = "third"
    needs = ("second",)


def by_name(*classes: type[Module]) -> dict[str, type[Module]]:
    return {cls.name: cls for cls in classes}


class Order(SynchronousTestCase):
    """Who starts before whom."""

    def test_what_is_needed_comes_first(self) -> None:
        self.assertEqual(ordered(by_name(Third, Second, First)), [First, Second, Third])

    def test_a_need_that_is_not_there(self) -> None:
        error = self.assertRaises(ValueError, ordered, by_name(Second))
        self.assertIn("second needs first", str(error))

    def test_a_circle(self) -> None:
        class Fourth(Module):
            name = "first"
            needs = ("third",)

        error = self.assertRaises(ValueError, ordered, by_name(Fourth, Second, Third))
        self.assertIn("circle", str(error))

    def test_all_modules_of_chatd_can_be_ordered(self) -> None:
        classes = module_classes()
        names = [cls.name for cls in classes]
        self.assertIn("roster", names)
        for cls in classes:
            self.assertTrue(all(names.index(needed) < names.index(cls.name) for needed in cls.needs), cls.name)

    def test_defaults_of_all_options_are_right(self) -> None:
        for cls in module_classes():
            for option in cls.options:
                self.assertEqual(option.check(option.default), "", f"{cls.name}.{option.name}")
                self.assertTrue(option.says, f"{cls.name}.{option.name}")


class Options(SynchronousTestCase):
    """[modules.NAME] of the configuration."""

    def test_every_mistake_with_its_key(self) -> None:
        written: dict[str, dict[str, Any]] = {
            "frist": {},
            "first": {"every_s": 0, "mode": "loud", "evry_s": 3},
            "third": {"x": 1},
        }
        found = {mistake.key: str(mistake) for mistake in option_mistakes(written, [First, Second, Third])}
        self.assertEqual(
            set(found),
            {"modules.frist", "modules.first.every_s", "modules.first.mode", "modules.first.evry_s", "modules.third.x"},
        )
        self.assertIn('"first"', found["modules.frist"])
        self.assertIn("at least 1", found["modules.first.every_s"])
        self.assertIn('"every_s"', found["modules.first.evry_s"])
        self.assertIn("no settings", found["modules.third.x"])

    def test_defaults_and_what_was_written(self) -> None:
        self.assertEqual(options_of(First.options, {"every_s": 5}), {"every_s": 5.0, "mode": "slow"})
        self.assertIsInstance(options_of(First.options, {"every_s": 5})["every_s"], float)


class Life(SynchronousTestCase):
    """Start and stop."""

    def test_commands_come_and_go_and_one_that_fails_does_not_keep_the_others(self) -> None:
        commands = Commands()
        modules = Modules(commands)
        seen: list[tuple[str, dict[str, Any], list[str]]] = []

        def make_api(module: Module, options: Any, others: Any) -> Api:
            seen.append((module.name, dict(options), sorted(others)))
            nothing: Any = None
            return Api(module, Hooks(), nothing, None, options, None, None, lambda: 0.0, others)

        modules.start([First, Second, Third], {"first": {"mode": "fast"}}, make_api)
        everybody = ["first", "second", "third"]
        self.assertEqual(seen[0], ("first", {"every_s": 60.0, "mode": "fast"}, everybody))
        self.assertEqual([name for name, _, _ in seen], everybody)
        self.assertEqual(self.successResultOf(commands.run("first go", {})), "went")
        modules.stop()
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.failureResultOf(commands.run("first go", {}))
        self.assertEqual(modules.by_name, {})
