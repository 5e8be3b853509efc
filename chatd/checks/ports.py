"""The addresses to listen on: free, ours already, or somebody else's."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable, Iterator

import attrs

from chatd.checks import Finding, Grade
from chatd.settings import Listen, Settings
from chatd.settings.kinds import Address

SUBJECT = "ports"


def check(settings: Settings, held: Iterable[str] | None) -> Iterator[Finding]:
    """Try to bind every address. held: "HOST:PORT" texts that our running daemon listens on, None if it is
    stopped.
    """
    ours = set(held or ())
    for field in attrs.fields(Listen):
        if field.name == "component" and not settings.components:
            continue                    # nobody listens there
        for address in getattr(settings.listen, field.name):
            name = f"listen.{field.name} {address}"
            if str(address) in ours:
                yield Finding(SUBJECT, Grade.OK, f"{name}: the daemon listens there.")
                continue
            yield _bind(name, address)
            if held is not None and address.port:
                text = f"{name}: the running daemon does not listen there."
                yield Finding(
                    SUBJECT, Grade.WARNING, text, ("Restart it: addresses are taken up at the start.",)
                )


def _bind(name: str, address: Address) -> Finding:
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(where)
            sock.listen(1)  # two may bind with SO_REUSEADDR, but only one may listen
    except socket.gaierror as error:
        return Finding(
            SUBJECT, Grade.ERROR, f"{name}: {address.host} is not an address here ({error.strerror})."
        )
    except OSError as error:
        return Finding(SUBJECT, Grade.ERROR, f"{name}: {_why(error)}", _advice(error, address.port))
    return Finding(SUBJECT, Grade.OK, f"{name}: free.")


def _why(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "another program listens there."
    if error.errno in (errno.EACCES, errno.EPERM):
        return "this user may not listen there."
    if error.errno == errno.EADDRNOTAVAIL:
        return "this machine has no such address."
    return f"{error.strerror}."


def _advice(error: OSError, port: int) -> tuple[str, ...]:
    if error.errno == errno.EADDRINUSE:
        return (f"`ss -ltnp 'sport = :{port}'` as root says which one it is.",)
    if error.errno in (errno.EACCES, errno.EPERM) and port < 1024:
        return ("Ports below 1024 need CAP_NET_BIND_SERVICE; etc/chatd.service shows the line.",)
    return ()
