"""The client's end of the control socket (chatd.server.control): one request, one answer, no reactor."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TIMEOUT_S = 120.0
"""Longest wait for an answer; deleting a large account takes seconds."""


class NotRunning(Exception):
    """Nobody answers at the control socket; the text says what was tried."""


class Refused(Exception):
    """The daemon did not carry the command out: `condition` for programs, `text` for people."""

    def __init__(self, condition: str, text: str) -> None:
        super().__init__(condition, text)
        self.condition = condition
        self.text = text


def ask(path: Path, command: str, arguments: Mapping[str, Any], timeout_s: float = TIMEOUT_S) -> Any:
    """Send one command to the daemon behind the socket at path and return its result.

    Raises NotRunning when nobody listens or the answer breaks off, Refused when the daemon says no.
    """
    request = json.dumps({"command": command, "arguments": dict(arguments)}, ensure_ascii=False).encode() + b"\n"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(timeout_s)
            sock.connect(str(path))
            sock.sendall(request)
            with sock.makefile("rb") as answers:
                line = answers.readline()
    except FileNotFoundError:
        raise NotRunning(f"there is no socket {path}") from None
    except ConnectionRefusedError:
        raise NotRunning(f"nobody listens at {path}") from None
    except PermissionError:
        raise NotRunning(
            f"this user may not open {path}; run chatctl as the daemon's user or as root"
        ) from None
    except TimeoutError:
        raise NotRunning(f"no answer within {timeout_s:g} s at {path}") from None
    except OSError as error:
        raise NotRunning(f"{path}: {error}") from None
    if not line.endswith(b"\n"):
        raise NotRunning(f"the daemon at {path} hung up before it answered")
    answer = json.loads(line)
    if not answer.get("ok"):
        raise Refused(answer.get("error", "undefined-condition"), answer.get("text", ""))
    return answer.get("result")
