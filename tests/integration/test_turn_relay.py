"""A real coturn takes the credentials that chatd gives, by XEP-0215 and in meetings, and takes no others."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
from aioice import stun, turn
from livekit.protocol import rtc

from chatd.core import ns
from chatd.core.turn import credentials
from tests.coturn import SECRET, Coturn
from tests.daemon import DOMAIN
from tests.integration.slix import Client
from tests.media_daemon import MediaDaemon, running_media

ALICE = f"alice@{DOMAIN}"


@pytest.fixture(scope="module")
def coturn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Coturn]:
    made = Coturn(tmp_path_factory.mktemp("coturn"))
    yield made
    made.stop()


@pytest.fixture(scope="module")
def daemon(coturn: Coturn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MediaDaemon]:
    folder = tmp_path_factory.mktemp("chatd")
    (folder / "turn-secret").write_text(f"{SECRET}\n")
    table = f'[media.turn]\nurls = {coturn.urls}\nsecret_file = "turn-secret"\nttl_s = 600\n'.replace("'", '"')
    with running_media(folder, ALICE, media="spare = false", extra=table) as made:
        yield made


async def relayed(coturn: Coturn, username: str, password: str, transport: str = "udp") -> tuple[str, int]:
    """An address that the server relays for; stun.TransactionFailed where it refuses."""
    endpoint, _ = await turn.create_turn_endpoint(
        asyncio.DatagramProtocol, server_addr=(coturn.host, coturn.port), username=username, password=password,
        transport=transport)
    try:
        return tuple(endpoint.get_extra_info("sockname"))
    finally:
        endpoint.close()


async def external_services(daemon: MediaDaemon, query: str) -> list[dict[str, str]]:
    async with Client(daemon, ALICE) as alice:
        answer = await alice.ask("get", query, to=DOMAIN)
        return [dict(one.attrib) for one in answer.xml.iter(f"{{{ns.EXTDISCO}}}service")]


def test_credentials_of_xep_0215(daemon: MediaDaemon, coturn: Coturn) -> None:
    async def run() -> None:
        services = await external_services(daemon, f"<services xmlns='{ns.EXTDISCO}' type='turn'/>")
        assert [(one["host"], int(one["port"]), one["transport"]) for one in services] == [
            (coturn.host, coturn.port, "udp"), (coturn.host, coturn.port, "tcp")]
        for one in services:
            host, port = await relayed(coturn, one["username"], one["password"], one["transport"])
            assert host == coturn.host and port != coturn.port
        (one, _) = await external_services(
            daemon, f"<credentials xmlns='{ns.EXTDISCO}'><service host='{coturn.host}' type='turn'/></credentials>")
        await relayed(coturn, one["username"], one["password"])

    asyncio.run(run())


def test_others_are_refused(coturn: Coturn) -> None:
    now = time.time()
    good = credentials(SECRET, ALICE, now, 600)
    bad = {
        "expired": credentials(SECRET, ALICE, now - 700, 600),
        "of another secret": credentials("another", ALICE, now, 600),
    }

    async def run() -> None:
        await relayed(coturn, good.username, good.password)
        for name, given in bad.items():
            with pytest.raises(stun.TransactionFailed) as refused:
                await relayed(coturn, given.username, given.password)
            assert refused.value.response.attributes["ERROR-CODE"][0] == 401, name
        later = f"{int(now) + 900}:{ALICE}"
        with pytest.raises(stun.TransactionFailed):
            await relayed(coturn, later, good.password)

    asyncio.run(run())


def test_coturns_own_client(daemon: MediaDaemon, coturn: Coturn) -> None:
    """turnutils_uclient relays packets to itself with them."""
    program = shutil.which("turnutils_uclient")
    assert program is not None
    one = asyncio.run(external_services(daemon, f"<services xmlns='{ns.EXTDISCO}'/>"))[0]
    done = subprocess.run(
        [program, "-y", "-c", "-n", "20", "-m", "1", "-u", one["username"], "-w", one["password"], "-p", one["port"],
         one["host"]], capture_output=True, text=True, timeout=60, check=False)
    assert "Total lost packets 0" in done.stdout, done.stdout[-1500:] + done.stderr[-500:]
    assert "tot_send_msgs=40, tot_recv_msgs=40" in done.stdout, done.stdout[-1500:]


async def joined(daemon: MediaDaemon, token: str) -> rtc.JoinResponse:
    """The first answer to a client that joins as older ones do."""
    import aiohttp

    async with aiohttp.ClientSession() as session:
        address = f"http://127.0.0.1:{daemon.ports['http']}/rtc?auto_subscribe=1&protocol=9"
        async with session.ws_connect(address, headers={"Authorization": f"Bearer {token}"}) as socket:
            first: Any = await socket.receive(20)
            return rtc.SignalResponse.FromString(first.data).join


def test_meetings_get_credentials_as_well(daemon: MediaDaemon, coturn: Coturn) -> None:
    async def run() -> None:
        answer = await joined(daemon, daemon.token("ann", "with turn"))
        servers = [server for server in answer.ice_servers if server.username]
        assert {url for server in servers for url in server.urls} == set(coturn.urls)
        for server in servers:
            assert server.username.endswith(":ann")
            await relayed(coturn, server.username, server.credential)

    asyncio.run(run())
