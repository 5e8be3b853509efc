"""The daemon of the tests with real clients; a file that needs another one has a fixture of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon import DOMAIN, Daemon, running
from tests.integration.guests import NAMES


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One daemon for the tests of a file."""
    with running(Path(tmp_path_factory.mktemp("chatd")), *(f"{name}@{DOMAIN}" for name in NAMES)) as made:
        yield made
