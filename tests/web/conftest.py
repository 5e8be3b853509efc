from __future__ import annotations

import gzip
from pathlib import Path

import pytest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small build: a page, a script with compressed forms, a big file, and what must not be served."""
    root = tmp_path / "static"
    assets = root / "assets" / "panel.0123456789ab"
    assets.mkdir(parents=True)
    (root / "index.html").write_text("<!doctype html><title>Chat</title>")
    script = b"console.log('panel');" * 50
    (assets / "panel.js").write_bytes(script)
    (assets / "panel.js.gz").write_bytes(gzip.compress(script))
    (assets / "panel.js.br").write_bytes(b"not really brotli")
    (assets / "big.wasm").write_bytes(bytes(200_000))
    (root / ".hidden").write_text("secret")
    (tmp_path / "secret.txt").write_text("secret")
    (root / "link.txt").symlink_to(tmp_path / "secret.txt")
    return root
