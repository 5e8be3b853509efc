"""One daemon for all attacks of this folder, and two people who chat all the time and must not notice any of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.daemon import Daemon, running
from tests.hostile.bystanders import Bystanders, Health, account

CONFIG = """
[limits]
auth_s = 5
handshake_s = 4
roster_items = 20

[modules.muc]
deliveries = 500
"""

BOUND_S = 2.0
"""The longest a message and its answer may take while somebody attacks: far below it on a quiet machine, with room
for one where other work runs beside the tests."""
GROWTH_BYTES = 96 << 20
"""What the daemon may keep at the end: SQLite's page caches take up to 32 MiB by themselves, and the C library does not
give back all that the largest attacks needed (a dozen MiB at a time) although nothing holds it any more."""


@pytest.fixture(scope="package")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Daemon, Bystanders, Health]]:
    """The daemon; at the end it is still the same process and takes about what it took at the beginning."""
    with running(tmp_path_factory.mktemp("attacked"), extra=CONFIG) as daemon:
        bystanders = Bystanders(daemon)
        bystanders.start()
        health = Health(daemon)
        bystanders.after(20)
        sockets, memory = health.sockets(), health.resident_bytes()
        yield daemon, bystanders, health
        left = health.settled(sockets)
        grown = health.resident_bytes() - memory
        bystanders.after(0)
        bystanders.stop()
        assert daemon.process is health.process and daemon.process.poll() is None, "the daemon has died"
        assert left <= sockets, f"{sockets} sockets before, {left} after"
        assert grown < GROWTH_BYTES, f"{memory >> 10} KiB before, {grown >> 10} KiB more after"
        assert health.complaints() == []


@pytest.fixture
def daemon(attacked: tuple[Daemon, Bystanders, Health]) -> Iterator[Daemon]:
    """The daemon under attack; nobody else may notice what the test does."""
    daemon, bystanders, health = attacked
    before = len(bystanders.times)
    yield daemon
    times = bystanders.after(before)
    assert max(times) < BOUND_S, f"a round trip took {max(times):.2f} s"
    assert health.process is not None and health.process.poll() is None
    assert health.complaints() == []


@pytest.fixture
def health(attacked: tuple[Daemon, Bystanders, Health]) -> Health:
    """What the daemon takes."""
    return attacked[2]


@pytest.fixture
def bystanders(attacked: tuple[Daemon, Bystanders, Health]) -> Bystanders:
    """The two who chat."""
    return attacked[1]


@pytest.fixture
def person(daemon: Daemon) -> str:
    """An account of the test's own."""
    return account(daemon)
