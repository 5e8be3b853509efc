"""What the daemon writes about itself, and what it must not."""

from __future__ import annotations

import io
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from twisted.logger import LogEvent, Logger, LogLevel, LogPublisher
from twisted.trial.unittest import SynchronousTestCase

from chatd.log import Observer, json_line, text_line
from chatd.settings import Log


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def logged(observer: Observer) -> Logger:
    """Return a logger whose events go to observer alone."""
    publisher = LogPublisher(observer)
    return Logger(namespace="chatd.test", observer=publisher)


class Lines(SynchronousTestCase):
    """One event, one line."""

    def setUp(self) -> None:
        self.out = io.StringIO()
        self.observer = Observer(self.out)
        self.log = logged(self.observer)

    def test_text(self) -> None:
        self.log.warn("{who} was {what}", who="john@example.com", what="late")
        line = self.out.getvalue()
        self.assertRegex(
            line, r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} warn     chatd\.test: john@example\.com was late\n$"
        )

    def test_json(self) -> None:
        self.observer.configure(Log(format="json"))
        self.log.info("{who} came", who="jörg@example.com", count=3, thing=object())
        line = self.out.getvalue()
        event = json.loads(line)
        self.assertRegex(event.pop("time"), r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertEqual(
            event,
            {
                "level": "info",
                "source": "chatd.test",
                "text": "jörg@example.com came",
                "who": "jörg@example.com",
                "count": 3,
            },
        )

    def test_secrets_are_hidden_in_both_forms(self) -> None:
        for settings in (Log(), Log(format="json")):
            self.observer.configure(settings)
            self.log.info("{password} {token} {body}", password="swordfish", token="swordfish", body="swordfish")
        self.assertEqual(len(self.out.getvalue().splitlines()), 2)
        self.assertNotIn("swordfish", self.out.getvalue())
        self.assertIn("[hidden] [hidden] [hidden]", self.out.getvalue())

    def test_nobody_can_forge_a_line(self) -> None:
        evil = "x\n2026-01-01 00:00:00.000 error    chatd: all is lost\x1b[2J\r\u2028"
        for settings in (Log(), Log(format="json")):
            self.observer.configure(settings)
            self.log.info("{resource} bound", resource=evil)
        lines = self.out.getvalue().split("\n")
        self.assertEqual(len(lines), 3)
        self.assertNotIn("\x1b", self.out.getvalue())
        self.assertEqual(json.loads(lines[1])["resource"], evil)

    def test_a_traceback_is_indented_and_in_json_a_field(self) -> None:
        for settings in (Log(), Log(format="json")):
            self.observer.configure(settings)
            try:
                raise ValueError("bad")
            except ValueError:
                self.log.failure("it failed")
        text, _, last = self.out.getvalue().rstrip("\n").rpartition("\n")
        self.assertIn("critical chatd.test: it failed\n    Traceback", text)
        self.assertIn("\n    builtins.ValueError: bad", text)
        event = json.loads(last)
        self.assertEqual(event["level"], "critical")
        self.assertIn("ValueError: bad", event["traceback"])

    def test_levels(self) -> None:
        self.log.debug("one")
        self.observer.configure(Log(level="debug"))
        self.log.debug("two")
        self.observer.configure(Log(level="error"))
        self.log.warn("three")
        self.log.critical("four")
        self.assertEqual([line.split(": ")[1] for line in self.out.getvalue().splitlines()], ["two", "four"])

    def test_what_libraries_say_of_their_ports_is_not_news(self) -> None:
        self.observer({"log_level": LogLevel.info, "log_namespace": "log_legacy", "log_format": "Site starting on 80"})
        self.assertEqual(self.out.getvalue(), "")

    def test_an_event_that_cannot_be_written_does_not_raise(self) -> None:
        class Bad:
            def __str__(self) -> str:
                raise RuntimeError("no")

            __repr__ = __str__

        self.log.info("{bad}", bad=Bad())
        self.observer({"log_level": LogLevel.info, "log_time": "not a number", "log_format": "x"})
        lines = self.out.getvalue().splitlines()
        self.assertEqual(len(lines), 2)
        self.assertIn("could not be written", lines[1])

    def test_a_full_disk_stops_nothing(self) -> None:
        class Full:
            def write(self, text: str) -> Any:
                raise OSError(28, "No space left on device")

            def flush(self) -> Any: ...

        logged(Observer(Full())).info("something")

    def test_colour_on_a_terminal_only(self) -> None:
        terminal = Terminal()
        observer = Observer(terminal)
        observer.configure(Log())
        logged(observer).error("red")
        self.assertIn("\x1b[31merror", terminal.getvalue())
        observer.configure(Log(format="json"))
        logged(observer).error("plain")
        self.assertNotIn("\x1b", terminal.getvalue().splitlines()[1])
        self.observer.configure(Log())
        self.log.error("plain")
        self.assertNotIn("\x1b", self.out.getvalue())

    def test_a_file_that_cannot_be_opened_changes_nothing(self) -> None:
        self.assertRaises(OSError, self.observer.configure, Log(file=Path("/nonexistent/log"), format="json"))
        self.log.info("still here")
        self.assertIn("info     chatd.test: still here", self.out.getvalue())

    def test_a_file_and_back(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="chatd-log-"))
        self.addCleanup(shutil.rmtree, folder)
        self.observer.configure(Log(file=folder / "log"))
        self.log.info("to the file")
        self.observer.configure(Log())
        self.log.info("to the stream")
        self.assertIn("to the file", (folder / "log").read_text())
        self.assertIn("to the stream", self.out.getvalue())
        self.assertNotIn("to the file", self.out.getvalue())


class Events(SynchronousTestCase):
    """Events as libraries make them."""

    def test_events_with_almost_nothing_in_them(self) -> None:
        empty: LogEvent = {}
        self.assertTrue(text_line(empty).endswith("-: \n"))
        self.assertEqual(json.loads(json_line(empty))["text"], "")
