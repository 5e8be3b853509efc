"""JSON in the bodies of requests and answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from twisted.web.http import Request

__all__ = ["json_body", "json_object"]


def json_object(data: bytes) -> dict[str, Any]:
    """The object that a request's body is; ValueError with a sentence for who sent it where it is none."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        raise ValueError("The body is not JSON.") from None
    if not isinstance(found, dict):
        raise ValueError("The body is to be a JSON object.")
    return found


def json_body(request: Request, value: Mapping[str, Any]) -> bytes:
    """Sets the headers of `request` for this answer and gives its body."""
    body = json.dumps(value, ensure_ascii=False).encode() + b"\n"
    request.setHeader(b"Content-Type", b"application/json")
    request.setHeader(b"Content-Length", b"%d" % len(body))
    return body
