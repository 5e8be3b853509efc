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

S2S_COUNTERS = {
    "stanzas_in": "Stanzas received from other servers",
    "stanzas_out": "Stanzas sent to other servers",
    "refused": "Servers that were not whom they claimed to be, and connections beyond a limit",
    "returned": "Stanzas that could not be sent to another server",
}
"""Of chatd.server.s2s.federation.Counts, likewise."""


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


@attrs.define(eq=False)
class FederationFigures(Collector):
    """What Prometheus is told of other servers. federation: a chatd.server.s2s.federation.Federation."""

    federation: Any

    def collect(self) -> Iterator[Metric]:
        """Give every figure as it is now."""
        status = self.federation.status()
        connections = GaugeMetricFamily("chatd_s2s_streams", "Proved connections with other servers", labels=["way"])
        for way in ("in", "out"):
            connections.add_metric([way], status[way])
        yield connections
        yield GaugeMetricFamily("chatd_s2s_waiting", "Stanzas that wait for another server", status["waiting"])
        for name, says in S2S_COUNTERS.items():
            yield CounterMetricFamily(f"chatd_s2s_{name}", says, getattr(self.federation.counts, name))


UPLOAD_COUNTERS = {
    "stored": "Files that people sent (XEP-0363)",
    "stored_bytes": "Bytes of these",
    "sent": "Times that a file was asked for and found",
    "refused": "Slots and files that were refused",
    "deleted": "Files deleted, because their time was up or somebody said so",
}
"""Of chatd.core.uploads.UploadCounts, likewise."""


@attrs.define(eq=False)
class UploadFigures(Collector):
    """What Prometheus is told of files. uploads: the IUploads."""

    uploads: Any

    def collect(self) -> Iterator[Metric]:
        """Give every figure as it is now."""
        yield GaugeMetricFamily("chatd_upload_files", "Files that are kept", self.uploads.total.files)
        yield GaugeMetricFamily("chatd_upload_bytes", "What they take", self.uploads.total.bytes)
        for name, says in UPLOAD_COUNTERS.items():
            yield CounterMetricFamily(f"chatd_upload_{name}", says, getattr(self.uploads.counts, name))


def make_registry(*figures: Collector) -> CollectorRegistry:
    """Return the registry of this daemon: its figures, and those of the process and of Python."""
    registry = CollectorRegistry(auto_describe=False)
    for collector in (PROCESS_COLLECTOR, PLATFORM_COLLECTOR, GC_COLLECTOR, *figures):
        registry.register(collector)
    return registry
