"""What clients are told: as configured, the address listened on, or what the machine sends from."""

from __future__ import annotations

import socket
from pathlib import Path

from chatd.media.addresses import is_public, of_interfaces, own_addresses, routed, to_announce

TABLE = """\
Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 127.0.0.0/8 2 0 2
        |-- 127.0.0.1
           /32 host LOCAL
     |-- 198.51.100.4
        /32 host LOCAL
     |-- 198.51.100.255
        /32 link BROADCAST
Local:
     |-- 198.51.100.4
        /32 host LOCAL
"""


def test_as_configured() -> None:
    assert to_announce("0.0.0.0", ("192.0.2.7", "2001:db8::7"), lambda: ["10.0.0.1"]) == ["192.0.2.7", "2001:db8::7"]


def test_the_address_listened_on() -> None:
    assert to_announce("192.0.2.9", (), lambda: ["10.0.0.1"]) == ["192.0.2.9"]


def test_the_families_a_socket_takes() -> None:
    own = ["10.0.0.1", "2001:db8::1"]
    assert to_announce("0.0.0.0", (), lambda: own) == ["10.0.0.1"]
    assert to_announce("::", (), lambda: own) == own


def test_the_routing_table_is_asked_first() -> None:
    routes = {socket.AF_INET: "10.0.0.1", socket.AF_INET6: "fe80::1"}
    assert own_addresses(lambda family, _: routes.get(family), lambda: ["10.9.9.9"]) == ["10.0.0.1"]


def test_without_a_route_the_interfaces(tmp_path: Path) -> None:
    table = tmp_path / "fib_trie"
    table.write_text(TABLE)
    assert of_interfaces(table) == ["127.0.0.1", "198.51.100.4"]
    assert own_addresses(lambda *_: None, lambda: of_interfaces(table)) == ["198.51.100.4"]
    assert of_interfaces(tmp_path / "none") == []


def test_this_machine() -> None:
    """Whatever it has, it is an address of its own that a socket can be bound to."""
    for address in own_addresses():
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.bind((address, 0))
    assert routed(socket.AF_INET, "127.0.0.1") == "127.0.0.1"
    assert "127.0.0.1" in of_interfaces()


def test_public_and_private() -> None:
    assert is_public("8.8.8.8") and is_public("2a00:1450::1")
    assert not any(map(is_public, ("10.1.2.3", "192.168.1.1", "172.16.0.1", "100.64.0.1", "fd00::1", "127.0.0.1")))
