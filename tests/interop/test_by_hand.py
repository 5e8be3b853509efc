"""Clients that are given a server by hand and know no DNS, as eM Client is used: the full address as user name,
SCRAM-SHA-1 or PLAIN, TLS from the start or STARTTLS."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon import DOMAIN, PASSWORD, Daemon, running
from tests.integration.slix import Client

PAT = f"pat@{DOMAIN}"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """With one account."""
    with running(Path(tmp_path_factory.mktemp("chatd")), PAT) as daemon:
        yield daemon


@pytest.mark.parametrize("direct_tls", [False, True], ids=["STARTTLS", "direct TLS"])
@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-1", "PLAIN"])
@pytest.mark.parametrize("user", [PAT, PAT.upper(), "pat"], ids=["address", "ADDRESS", "name"])
def test_log_in(daemon: Daemon, mechanism: str, direct_tls: bool, user: str) -> None:
    """With the address or the name alone; and with a wrong password not."""

    async def run(password: str) -> str:
        client = Client(daemon, PAT, password, mechanism=mechanism, direct_tls=direct_tls)
        client.credentials["username"] = user
        async with client:
            assert client.boundjid.bare == PAT
            return str(client.boundjid.resource)

    assert asyncio.run(asyncio.wait_for(run(PASSWORD), 60))
    if user == PAT:
        with pytest.raises(AssertionError, match="log-in failed"):
            asyncio.run(asyncio.wait_for(run("Wrong-Horse 7"), 60))
