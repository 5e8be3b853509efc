"""Places in the network: namespaces of their own, connected with this machine by one cable (a veth pair).

    away = Place()                                    # skips the test where namespaces are not allowed
    chromium = Chromium(prefix=away.prefix, address=own_address())
    away.limit(500); away.lose(5); away.block("udp"); away.move(); away.unplug(); away.plug()
    away.close()

Everything stays on this machine: a place reaches this machine's own addresses only.
"""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Sequence

import pytest

_numbers = itertools.count()


def run(*command: str) -> str:
    """Run a command, and give what it printed. AssertionError with its message when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr.strip()}"
    return done.stdout


class Place:
    """See the module. `address`: its own, which `move` changes; `prefix`: runs a command there."""

    def __init__(self) -> None:
        number = next(_numbers)
        self._name = f"chatd{os.getpid()}n{number}"
        self._cable = f"cd{os.getpid() % 100000}n{number}"
        # 198.18.0.0/15 is for measurements between networks of one's own (RFC 2544). Two nets: `move` takes the other.
        # Several test runs may share the machine.
        first = (os.getpid() * 8 + number * 2) % 250
        self._nets = [f"198.18.{first}", f"198.18.{first + 1}"]
        try:
            run("ip", "netns", "add", self._name)
        except (AssertionError, OSError) as error:
            pytest.skip(f"network namespaces need root's rights: {error}")
        self.prefix: tuple[str, ...] = ("ip", "netns", "exec", self._name)
        try:
            run("ip", "link", "add", self._cable, "type", "veth", "peer", "name", "eth0", "netns", self._name)
            for net in self._nets:
                run("ip", "address", "add", f"{net}.1/24", "dev", self._cable)
            run("ip", "link", "set", self._cable, "up")
            self.run("ip", "link", "set", "lo", "up")
            # IPv6 addresses would come seconds later, and browsers break off what they do when their network changes.
            self.run("ip", "link", "set", "eth0", "addrgenmode", "none")
            self._arrive(self._nets[0])
        except BaseException:
            self.close()
            raise

    def run(self, *command: str) -> str:
        """Run a command in the place."""
        return run(*self.prefix, *command)

    def _arrive(self, net: str) -> None:
        self.address = f"{net}.2"
        self.run("ip", "address", "add", f"{self.address}/24", "dev", "eth0")
        self.run("ip", "link", "set", "eth0", "up")
        self.run("ip", "route", "add", "default", "via", f"{net}.1")

    def move(self) -> None:
        """Another network: the address it had is gone."""
        self.run("ip", "address", "flush", "dev", "eth0")
        self._nets.reverse()
        self._arrive(self._nets[0])

    def unplug(self) -> None:
        """No way in or out, though the device keeps its address: nobody is told."""
        self._rules("-I", ["-j", "DROP"])

    def plug(self) -> None:
        self._rules("-D", ["-j", "DROP"])

    def _rules(self, do: str, rule: Sequence[str]) -> None:
        for chain, device in (("INPUT", "-i"), ("OUTPUT", "-o")):
            self.run("iptables", "-w", do, chain, device, "eth0", *rule)

    def lose(self, percent: float) -> None:
        """Lose so many of the UDP datagrams, each way, at random."""
        self._rules("-A", ["-p", "udp", "-m", "statistic", "--mode", "random", "--probability", str(percent / 100),
                           "-j", "DROP"])

    def block(self, protocol: str, port: int | None = None) -> None:
        """Let nothing of "udp" or "tcp" through (to this port out there); what comes back is blocked as well."""
        for chain, device, flag in (("OUTPUT", "-o", "--dport"), ("INPUT", "-i", "--sport")):
            where = [] if port is None else [flag, str(port)]
            self.run("iptables", "-w", "-A", chain, device, "eth0", "-p", protocol, *where, "-j", "DROP")

    def limit(self, kbit: int) -> None:
        """Let so many kbit/s through to this place, with a queue of 300 ms before it, as a slow line has."""
        run("tc", "qdisc", "replace", "dev", self._cable, "root", "tbf", "rate", f"{kbit}kbit", "burst", "4kb",
            "latency", "300ms")

    def close(self) -> None:
        for command in (("ip", "netns", "del", self._name), ("ip", "link", "del", self._cable)):
            subprocess.run(command, capture_output=True, check=False)
