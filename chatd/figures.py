"""The figures of /metrics: read from the daemon when they are asked for, so the hot path counts in plain
integers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs
from prometheus_client import GC_COLLECTOR, PLATFORM_COLLECTOR, PROCESS_COLLECTOR, CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

import chatd

COUNTERS = {
    "stanzas_in": "First-level elements received from clients after log-in",
    "stanzas_out": "Stanzas sent to clients",
    "log_ins": "Log-ins that succeeded",
    "log_ins_failed": "Log-ins that failed",
    "visits": "Visits to meetings that began: guests, and accounts by ticket",
    "resumed": "Sessions that a client took up again after its link was cut (XEP-0198)",
    "resume_failed": "Attempts at that which came too late",
    "refused": "Connections refused because their address had too many",
}
"""Of chatd.server.streams.Counts: name and help text."""


@attrs.define(eq=False)
class Figures(Collector):
    """What Prometheus is told of the daemon. streams: a ClientStreams. accounts: who is online."""

    streams: Any
    accounts: Any

    def collect(self) -> Iterator[Metric]:
        """Give every figure as it is now."""
        info = GaugeMetricFamily("chatd_info", "1, with the version", labels=["version"])
        info.add_metric([chatd.__version__], 1)
        yield info
        online = list(self.accounts.online())
        sessions = sum(len(account.sessions) for account in online)
        yield GaugeMetricFamily("chatd_accounts_online", "Accounts with a session", len(online))
        yield GaugeMetricFamily("chatd_sessions", "Bound resources, those waiting to be resumed included", sessions)
        waiting = self.streams.resumable.hibernating
        yield GaugeMetricFamily("chatd_sessions_hibernating", "Sessions whose link was cut", waiting)
        yield GaugeMetricFamily("chatd_streams", "Connections of clients", len(self.streams.open))
        for name, says in COUNTERS.items():
            yield CounterMetricFamily(f"chatd_{name}", says, getattr(self.streams.counts, name))


def make_registry(*figures: Collector) -> CollectorRegistry:
    """Return the registry of this daemon: its figures, and those of the process and of Python."""
    registry = CollectorRegistry(auto_describe=False)
    for collector in (PROCESS_COLLECTOR, PLATFORM_COLLECTOR, GC_COLLECTOR, *figures):
        registry.register(collector)
    return registry
