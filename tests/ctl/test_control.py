"""The control socket: requests in, answers out, whatever arrives."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.testing import StringTransport
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from twisted.words.protocols.jabber.error import StanzaError
from zope.interface import provider

from chatd.server.control import CONNECTIONS, REQUEST_BYTES, CommandError, Commands, ControlFactory, ControlProtocol


class Broken(Exception):
    """A mistake of ours."""


class Control(SynchronousTestCase):
    """One connection, with commands that answer at once, later, or not well."""

    def setUp(self) -> None:
        self.later: list[Deferred[str]] = []
        self.commands = Commands()
        self.commands.register("echo", lambda arguments: dict(arguments), "say it again")
        self.commands.register("wait", self.wait)
        self.commands.register("refuse", self.refuse)
        self.commands.register("stanza", self.stanza)
        self.commands.register("break", self.breaks)
        self.factory = ControlFactory(self.commands)
        self.protocol, self.transport = self.connect()

    def connect(self) -> tuple[ControlProtocol, StringTransport]:
        protocol = self.factory.buildProtocol(None)
        transport = StringTransport()
        protocol.makeConnection(transport)
        self.addCleanup(protocol.setTimeout, None)
        return protocol, transport

    def wait(self, arguments: object) -> Deferred[str]:
        self.later.append(Deferred())
        return self.later[-1]

    def refuse(self, arguments: object) -> None:
        raise CommandError("conflict", "It is there already.")

    def stanza(self, arguments: object) -> None:
        raise StanzaError("item-not-found", text="There is no such thing.")

    def breaks(self, arguments: object) -> None:
        raise Broken("swordfish")

    def ask(self, command: object, **arguments: object) -> None:
        self.protocol.dataReceived(json.dumps({"command": command, "arguments": arguments}).encode() + b"\n")

    def answers(self) -> list[dict[str, Any]]:
        lines = self.transport.value().splitlines()
        self.transport.clear()
        return [json.loads(line) for line in lines]

    def test_a_command_is_answered(self) -> None:
        self.ask("echo", jid="john@example.com")
        self.assertEqual(self.answers(), [{"ok": True, "result": {"jid": "john@example.com"}}])

    def test_byte_by_byte(self) -> None:
        for byte in b'{"command": "echo", "arguments": {"a": "\xc3\xa9"}}\n':
            self.protocol.dataReceived(bytes([byte]))
        self.assertEqual(self.answers(), [{"ok": True, "result": {"a": "é"}}])

    def test_a_refusal_has_a_word_and_a_sentence(self) -> None:
        self.ask("refuse")
        self.ask("stanza")
        self.assertEqual(
            self.answers(),
            [
                {"ok": False, "error": "conflict", "text": "It is there already."},
                {"ok": False, "error": "item-not-found", "text": "There is no such thing."},
            ],
        )

    def test_an_unknown_command(self) -> None:
        self.ask("fly")
        self.assertEqual(self.answers()[0]["error"], "feature-not-implemented")

    def test_help_lists_every_command(self) -> None:
        self.ask("help")
        self.assertEqual(self.answers()[0]["result"]["echo"], "say it again")

    def test_our_own_mistake_is_logged_without_the_arguments(self) -> None:
        events: list[LogEvent] = []

        @provider(ILogObserver)
        def observe(event: LogEvent) -> None:
            events.append(event)

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        self.ask("break", password="correct horse")
        self.assertEqual(self.answers()[0]["error"], "internal-server-error")
        self.assertEqual(len(self.flushLoggedErrors(Broken)), 1)
        failed = [event for event in events if "log_failure" in event]
        self.assertEqual([event["words"] for event in failed], ["break"])
        self.assertNotIn("correct horse", repr(events))

    def test_what_is_no_request(self) -> None:
        for line in (
            b"",
            b"hello",
            b"[]",
            b"3",
            b"{}",
            b'{"command": 3}',
            b'{"command": "echo", "arguments": []}',
            b"\xff\xfe",
            b"[" * 5000,
        ):
            self.protocol.dataReceived(line + b"\n")
            self.assertEqual([answer["error"] for answer in self.answers()], ["bad-request"], line[:20])
        self.ask("echo")
        self.assertEqual(self.answers(), [{"ok": True, "result": {}}])

    def test_answers_come_in_the_order_of_the_requests(self) -> None:
        self.ask("wait")
        self.ask("echo", n=2)
        self.assertEqual(self.answers(), [])
        self.assertEqual(self.transport.producerState, "paused")
        self.later.pop().callback("first")
        self.assertEqual(self.answers(), [{"ok": True, "result": "first"}, {"ok": True, "result": {"n": 2}}])
        self.assertEqual(self.transport.producerState, "producing")

    def test_a_client_that_hangs_up_leaves_its_command_to_end_quietly(self) -> None:
        self.ask("wait")
        self.protocol.connectionLost()
        self.later.pop().callback("too late")
        self.assertEqual(self.answers(), [])
        self.assertEqual(self.factory.count, 0)

    def test_a_request_without_end(self) -> None:
        self.protocol.dataReceived(b"x" * (REQUEST_BYTES + 1))
        self.assertEqual(self.answers()[0]["error"], "policy-violation")
        self.assertTrue(self.transport.disconnecting)

    def test_more_connections_than_a_person_needs(self) -> None:
        others = [self.connect() for _ in range(CONNECTIONS)]
        refused = others[-1][1]
        self.assertIn(b"resource-constraint", refused.value())
        self.assertTrue(refused.disconnecting)
        self.assertFalse(others[-2][1].disconnecting)
        others[0][0].connectionLost()
        others[-1][0].connectionLost()
        self.assertFalse(self.connect()[1].disconnecting)

    def test_a_command_cannot_be_taken_twice(self) -> None:
        self.assertRaises(ValueError, self.commands.register, "echo", lambda arguments: None)
        self.commands.forget("echo")
        self.commands.register("echo", lambda arguments: None)
