"""Real Prosody and real ejabberd where something is wrong: certificates, no TLS at all, a link whose middle is gone."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.daemon import PASSWORD, Daemon
from tests.integration.abroad import HERE, THERE, Authority, Country, Names, countries
from tests.integration.foreigners import (
    Ejabberd,
    Foreigner,
    PlainProsody,
    Prosody,
    StrictProsody,
    abroad,
    dns_address,
)
from tests.integration.rawserver import EVIL, RawServer
from tests.integration.slix import Client
from tests.integration.test_s2s_certificates import BAD, arrived, bad_options, exchange, is_refused
from tests.raw import CLIENT, Raw
from tests.relay import Fate, Relay

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

ROMEO, JULIET = f"romeo@{HERE}", f"juliet@{THERE}"

class RawForeign(Raw):
    """A client of theirs, whose user name has no domain."""

    def auth(self, address: str, password: str = PASSWORD) -> ET.Element:
        """See Raw."""
        return super().auth(address.partition("@")[0], password)


@contextmanager
def world(kind: type[Foreigner], folder: Path, *, theirs: dict[str, Any] | None = None,
          ours: dict[str, Any] | None = None, queue_s: int = 3) -> Iterator[tuple[Country, Any, Names]]:
    """One of them beside a chatd."""
    if missing := kind.missing():
        pytest.skip(missing)
    authority = Authority(folder)
    with Names(dns_address()) as names, abroad(kind(folder / THERE, THERE, authority, names, **theirs or {})) as there:
        # Who was there before is waited for; here nobody waits long.
        made = Country(folder / HERE, HERE, authority, names, s2s=f"queue_s = {queue_s}", **ours or {})
        with countries(made) as (here,):
            yield here, there, names


def change(here: Daemon, before: str, after: str) -> None:
    """Another configuration from now on."""
    text = here.config.read_text()
    assert before in text
    here.config.write_text(text.replace(before, after))
    here.ctl("reload")


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("kind", [Prosody, Ejabberd])
def test_their_certificate_is_bad(kind: type[Foreigner], bad: str, tmp_path: Path) -> None:
    """By dialback it works all the same; where certificates alone count nothing goes either way, and both are told."""
    with world(kind, tmp_path, theirs=bad_options(bad, tmp_path)) as (here, there, _):
        assert arrived(*exchange(here, there, RawForeign))
        change(here, "[s2s]\n", "[s2s]\ndialback = false\n")
        out, back = exchange(here, there, RawForeign)
        assert is_refused(out, "certificate", THERE), ET.tostring(out)
        assert back.get("type") == "error", ET.tostring(back)
        assert here.logged("does not prove that you are") or here.logged("A certificate for")
        assert not here.logged("Traceback")


@pytest.mark.parametrize("bad", BAD)
def test_our_certificate_is_bad(bad: str, tmp_path: Path) -> None:
    """For one that wants certificates: nothing goes either way, and ours is told why."""
    with world(StrictProsody, tmp_path, ours=bad_options(bad, tmp_path)) as (here, there, _):
        out, back = exchange(here, there, RawForeign)
        assert is_refused(out, THERE) and "ertificate" in "".join(out.itertext()), ET.tostring(out)
        assert back.get("type") == "error", ET.tostring(back)
        assert not here.logged("Traceback")


def test_without_tls_only_the_exception_may_come(tmp_path: Path) -> None:
    """Prosody without TLS for servers: an exception lets it in, both ways, and nobody else."""
    with world(PlainProsody, tmp_path) as (here, there, names):
        out, back = exchange(here, there, RawForeign)
        assert is_refused(out, "TLS") and back.get("type") == "error", (ET.tostring(out), ET.tostring(back))
        change(here, "[s2s]\n", f'[s2s]\nexceptions = {{ "{THERE}" = {{ encryption = false }} }}\n')
        with Raw(here).login(ROMEO) as romeo, RawForeign(there).login(JULIET) as juliet:
            for sender, receiver, to in ((romeo, juliet, JULIET), (juliet, romeo, ROMEO)):
                until_it_came(sender, receiver, to)
        steps = here.ctl("check", "domain", THERE)["result"]
        assert [step["step"] for step in steps] == ["policy", "dns", "tcp", "features", "authentication", "ping"], steps
        # All others need TLS as before, whatever they prove, and whatever they say.
        context = ssl.create_default_context()          # which is never used
        for say in ("<db:result from='{own}' to='{to}'>k</db:result>", "<message from='x@{own}' to='romeo@{to}'/>"):
            with RawServer(here, context) as server:
                features = server.open(HERE)
                assert "required" in ET.tostring(features).decode() and len(features) == 1
                server.send(say.format(own=EVIL, to=HERE))
                assert server.stream_error() in ("policy-violation", "not-authorized")
        # Nor does one who is the exception speak for others.
        with RawServer(here, context, own=THERE) as server:
            server.open(HERE)
            server.send(f"<db:result from='{EVIL}' to='{HERE}'>k</db:result>")
            assert server.stream_error() == "policy-violation"
        assert not here.logged("Traceback")


def until_it_came(sender: Raw, receiver: Raw, to: str) -> None:
    """They may have to forget first that it did not work."""
    for _ in range(40):
        sender.message(to, "in the clear")
        receiver.timeout_s = 3
        try:
            if receiver.until("message").findtext(CLIENT + "body") == "in the clear":
                return
        except TimeoutError:
            continue
    raise AssertionError("it never came")


def test_a_link_to_prosody_that_is_half_open(tmp_path: Path) -> None:
    """What goes into the void is not acknowledged, and is sent again over the next connection."""
    with world(Prosody, tmp_path, queue_s=300) as (here, there, names), \
            Relay(("127.0.0.1", there.ports["s2s"]), Fate) as relay:
        names.serve(THERE, relay.address[1])

        async def play() -> None:
            async with Client(here, ROMEO) as romeo, Client(there, JULIET) as juliet:
                romeo.send_message(mto=JULIET, mbody="before", mtype="chat")
                await juliet.text("before")
                relay.mute()
                for number in range(20):
                    romeo.send_message(mto=JULIET, mbody=f"to {number}", mtype="chat")
                came: list[str] = []
                while len(came) < 20:
                    body = str((await asyncio.wait_for(juliet.messages.get(), 150))["body"])
                    came += [body] if body not in (*came, "before") else []
                assert came == [f"to {number}" for number in range(20)]
                assert romeo.messages.empty()

        asyncio.run(play())
        assert here.logged("the other server answers nothing any more")
