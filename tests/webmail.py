"""Webmail's server side in Python, as docs/webmail.md has it, for tests."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
import urllib.error
import urllib.request
from typing import Any

KEY = "a-key-of-webmail-in-tests-0123456789"
PATH = "/api/v1/sso"


def headers(body: bytes, method: str = "POST", *, key: str = KEY, name: str = "webmail", stamp: str = "",
            nonce: str = "", path: str = PATH) -> dict[str, str]:
    """The four headers of a request."""
    stamp = stamp or str(int(time.time()))
    nonce = nonce or secrets.token_urlsafe(18)
    said = "\n".join((method, path, stamp, nonce, hashlib.sha256(body).hexdigest()))
    signature = hmac.new(key.encode(), said.encode(), hashlib.sha256).hexdigest()
    return {"X-Chatd-Webmail": name, "X-Chatd-Time": stamp, "X-Chatd-Nonce": nonce, "X-Chatd-Signature": signature}


def ask(url: str, said: Any, method: str = "POST", **more: str) -> tuple[int, dict[str, Any]]:
    """Send a request to chatd at `url` ("http://127.0.0.1:5280"); status and answer."""
    body = json.dumps(said).encode()
    request = urllib.request.Request(url + PATH, body, {"Content-Type": "application/json",
                                                        **headers(body, method, **more)}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)
