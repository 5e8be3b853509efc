"""Files that clients send (XEP-0363): a daemon that keeps them under an address that its certificate names, pictures to
send, and what has come of them."""

from __future__ import annotations

import asyncio
import hashlib
import urllib.request
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from PIL import Image
from slixmpp.exceptions import IqError

from chatd.core import ns
from tests.daemon import Daemon
from tests.integration.slix import Client


@contextmanager
def keeping_files(folder: Path, *accounts: str) -> Iterator[Daemon]:
    """A daemon with these accounts, ended at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    daemon = Daemon(folder)
    address = f'[http]\npublic_url = "https://localhost:{daemon.ports["https"]}"\n'
    daemon.config.write_text(f"{daemon.config.read_text()}\n{address}")
    daemon.start()
    try:
        daemon.add(*accounts)
        yield daemon
    finally:
        daemon.stop()


def fetched(daemon: Daemon, url: str) -> bytes:
    """What is behind an https address of the daemon."""
    with urllib.request.urlopen(url, context=daemon.tls(), timeout=30) as answer:
        return bytes(answer.read())


def picture(file: Path, width: int, height: int) -> bytes:
    """A PNG that fades from violet to orange; gives what is in the file."""
    fading = Image.linear_gradient("L").resize((width, height))
    flat = Image.new("RGB", (width, height), (88, 24, 120))
    flat.paste((255, 150, 40), mask=fading)
    flat.save(file)
    return file.read_bytes()


async def sees_avatar(contact: Client, address: str) -> None:
    """Waits until somebody's picture is published, and looks at it as this contact."""
    async with asyncio.timeout(60):
        while True:
            with suppress(IqError):
                found = await contact.ask(
                    "get", f"<pubsub xmlns='{ns.PUBSUB}'><items node='{ns.AVATAR_DATA}'/></pubsub>", address)
                (item,) = found.xml.iter(f"{{{ns.PUBSUB}}}item")
                face = b64decode(item[0].text)
                assert face.startswith(b"\x89PNG") and hashlib.sha1(face).hexdigest() == item.attrib["id"]
                return
            await asyncio.sleep(0.2)
