"""The addresses people can reach this machine at, found without asking anybody.

The routing table says which address packets to the outside leave from; behind NAT that is a private one, which only the
sysadmin can put right (media.announce).
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

__all__ = ["is_public", "own_addresses", "to_announce"]

#: Addresses of documentation (RFC 5737, RFC 3849): a way to the outside, and nothing is ever sent there.
_OUTSIDE: Final = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))


def is_public(address: str) -> bool:
    """Tell whether the whole Internet can reach it, as far as an address tells (RFC 6890)."""
    return ipaddress.ip_address(address).is_global


def routed(family: int, outside: str) -> str | None:
    """Return the address from which packets to `outside` would leave, None without a route. Sends nothing."""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect((outside, 9))
            return str(sock.getsockname()[0])
    except OSError:
        return None


def of_interfaces(table: Path = Path("/proc/self/net/fib_trie")) -> list[str]:
    """Return the IPv4 addresses of this machine's interfaces: what the kernel's table has as local hosts."""
    found: list[str] = []
    last = ""
    try:
        lines = table.read_text("ascii", "replace").splitlines()
    except OSError:
        return []
    for line in lines:
        word = line.split()
        if len(word) >= 2 and word[0] == "|--":
            last = word[1]
        elif word[:3] == ["/32", "host", "LOCAL"] and last not in found:
            found.append(last)
    return found


def own_addresses(
    route: Callable[[int, str], str | None] = routed, interfaces: Callable[[], list[str]] = of_interfaces
) -> list[str]:
    """Return the addresses this machine sends from, IPv4 first; without a route those of its interfaces."""
    found = [address for address in (route(*outside) for outside in _OUTSIDE) if address is not None]
    useful = [address for address in found or interfaces() if _reaches_others(address)]
    return list(dict.fromkeys(useful))


def _reaches_others(address: str) -> bool:
    parsed = ipaddress.ip_address(address.partition("%")[0])
    return not (parsed.is_loopback or parsed.is_unspecified or parsed.is_link_local)


def to_announce(address: str, announce: tuple[str, ...], own: Callable[[], list[str]] = own_addresses) -> list[str]:
    """Return what clients are told: as configured, else the address listened on, else this machine's own."""
    if announce:
        return list(announce)
    listening = ipaddress.ip_address(address)
    if not listening.is_unspecified:
        return [address]
    # A socket on :: takes both families.
    return [found for found in own() if listening.version == 6 or ipaddress.ip_address(found).version == 4]
