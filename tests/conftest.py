"""What every test may rely on: wokkel's imports repaired before anything else imports wokkel, and no stray warnings.

The plugin pytest-twisted runs one reactor for the whole session; a test that needs it is a coroutine under
`pytest_twisted.ensureDeferred`. All other tests run without.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import chatd.compat  # noqa: F401

import hypothesis
import pytest

# The same examples in every run, so that a run says something of the change before it; `make fuzz` tries others.
# How long an example takes says more of what else the machine does than of the code.
hypothesis.settings.register_profile(
    "the same", derandomize="CHATD_FUZZ_SECONDS" not in os.environ, deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("the same")


@pytest.fixture(autouse=True)
def ordinary_scheduling() -> Iterator[None]:
    """No test may leave this process with real-time priority, which all servers and browsers started later inherit."""
    yield
    assert os.sched_getscheduler(0) == os.SCHED_OTHER
