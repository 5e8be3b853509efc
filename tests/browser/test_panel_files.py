"""Files in the panel: a picture is seen by the other side, a page is only saved, and what does not go says why."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_twisted

from tests.browser.people import People, Person
from tests.daemon import DOMAIN, Daemon, running

EXTRA = "[modules.upload]\nfile_mb = 1\nquota_mb = 2\nkeep_free_mb = 1\nforbidden = ['.exe']\n"


def picture(width: int = 320, height: int = 200) -> bytes:
    """A PNG that is easy to see."""
    rows = b"".join(b"\0" + bytes(value for x in range(width) for value in (x * 255 // width, y * 255 // height, 160))
                    for y in range(height))

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    names = ("alice", "bob", "carol")
    with running(tmp_path_factory.mktemp("chatd"), *(f"{name}@{DOMAIN}" for name in names), extra=EXTRA) as chatd:
        yield chatd


async def both(people: People, width: int = 1280) -> tuple[Person, Person]:
    """Alice and Bob with a chat each; only Alice's page is narrow."""
    alice = await people.at_panel("alice", width=width)
    bob = await people.at_panel("bob")
    await bob.log_in()
    await alice.log_in()
    await alice.page.see(".chatd-empty button, converse-roster-contact")
    if await alice.page.count("converse-roster-contact"):
        await alice.open_chat("bob")
    else:
        await alice.add_contact("bob")
        await bob.page.click(".requesting-xmpp-contact converse-dropdown button")
        await bob.page.click(".accept-xmpp-request")
        await bob.page.see("converse-accept-contact-request-modal button[type=submit]")
        await bob.page.click("converse-accept-contact-request-modal button[type=submit]")
    await bob.open_chat("alice")
    return alice, bob


async def choose(person: Person, *files: Path) -> None:
    await person.page.see('button[title="Choose a file to send"]')
    await person.page.call("setInputFiles", [str(file) for file in files], selector="input.fileupload")


async def dropped(person: Person, name: str, text: str) -> None:
    """A file is dragged over the chat and let go."""
    await person.page.eval(f"""(() => {{
        const given = new DataTransfer();
        given.items.add(new File([{json.dumps(text)}], {json.dumps(name)}, {{ type: 'text/plain' }}));
        const at = document.querySelector('converse-chat .chat-content');
        const happens = (kind) => at.dispatchEvent(
            new DragEvent(kind, {{ dataTransfer: given, bubbles: true, cancelable: true }}));
        happens('dragover');
        window.__veil = document.querySelector('converse-chat .chatd-drop')?.textContent;
        happens('drop');
    }})()""")


@pytest_twisted.ensureDeferred
async def test_a_picture_is_seen_and_a_page_is_only_saved(people: People, tmp_path: Path) -> None:
    alice, bob = await both(people)
    holiday, page = tmp_path / "été à la mer.png", tmp_path / "page.html"
    holiday.write_bytes(picture())
    page.write_text("<script>alert(document.domain)</script>")
    await choose(alice, holiday)
    for person in (alice, bob):
        await person.page.see('chatd-file[data-kind="image"] img')
        await person.page.until("document.querySelector('chatd-file img').naturalWidth === 320")
    assert await bob.page.call("getAttribute", "alt", selector="chatd-file img") == "été à la mer.png"
    assert "/upload/" not in await bob.page.text("converse-chat .chat-content"), "the picture stands for its address"
    assert await alice.page.count(".chatd-sending") == 0
    assert await bob.page.axe("converse-chat") == []

    # Large, by the keyboard.
    await bob.page.call("focus", selector="chatd-file a")
    await bob.page.key("Enter")
    await bob.page.see("#converse-modals .modal.show img")
    await bob.page.key("Escape")
    await bob.page.gone("#converse-modals .modal.show")

    await choose(alice, page)
    await bob.page.see('chatd-file[data-kind="file"] a[download="page.html"]')
    said = await bob.page.eval("""fetch(document.querySelector('a[download="page.html"]').href).then((answer) =>
        ['content-type', 'content-disposition', 'x-content-type-options'].map((name) => answer.headers.get(name)))""")
    assert said == ["application/octet-stream", 'attachment; filename="page.html"', "nosniff"]

    # And after the page was loaded again, from the archive.
    await bob.page.reload()
    await bob.page.until("document.querySelector('chatd-file img')?.naturalWidth === 320")


@pytest.mark.long
@pytest_twisted.ensureDeferred
async def test_dropped_on_the_chat(people: People) -> None:
    alice, bob = await both(people, width=390)
    await alice.page.see('button[title="Choose a file to send"]')
    await dropped(alice, "notes.txt", "milk, eggs")
    assert await alice.page.eval("window.__veil") == "Drop files here to send them"
    await bob.page.see('chatd-file a[download="notes.txt"]')
    await alice.page.gone(".chatd-drop")
    await alice.page.see('chatd-file a[download="notes.txt"]')
    assert await alice.page.eval("document.documentElement.scrollWidth") <= 390
    beside = await alice.page.eval("""(() => {
        const given = new DataTransfer();
        given.items.add(new File(['x'], 'x.txt'));
        return !document.body.dispatchEvent(
            new DragEvent('drop', { dataTransfer: given, bubbles: true, cancelable: true }));
    })()""")
    assert beside is True, "the browser does not leave the page for a file that missed the chat"


@pytest_twisted.ensureDeferred
async def test_what_does_not_go_says_why(people: People, tmp_path: Path) -> None:
    people.expect("converse|error|status of")
    alice, _ = await both(people)
    for name, size in (("large.bin", (1 << 20) + 1), ("empty.txt", 0), ("setup.exe", 10), ("a.bin", (1 << 20) - 10),
                       ("b.bin", (1 << 20) - 10), ("c.bin", 100)):
        (tmp_path / name).write_bytes(bytes(size))
    for name, told in (
        ("large.bin", "large.bin is too large: at most 1 MB."),
        ("empty.txt", "empty.txt is empty, or a folder."),
        ("setup.exe", "setup.exe was not sent: files of this kind cannot be sent here."),
    ):
        await choose(alice, tmp_path / name)
        await alice.page.see(f'.chat-error:has-text("{told}")')
        assert await alice.page.count(".chatd-sending") == 0
    # Two large ones fill the space: what was sent before, or else the small one, is too much.
    await choose(alice, tmp_path / "c.bin")
    await alice.page.see('chatd-file a[download="c.bin"]')
    await choose(alice, tmp_path / "a.bin")
    await alice.page.see('chatd-file a[download="a.bin"]')
    await choose(alice, tmp_path / "b.bin")
    await alice.page.see('.chat-error:has-text("b.bin was not sent. Your files take")')
    assert "of the 2 MB you have here" in await alice.page.text('.chat-error:has-text("Your files take")')
    assert await alice.page.axe("converse-chat") == []


@pytest.mark.long
@pytest_twisted.ensureDeferred
async def test_stopped_on_its_way(people: People, tmp_path: Path) -> None:
    """The line hangs, as it does on a train; stopping it leaves nothing in the chat."""
    people.expect("ERR_|Failed|aborted")
    carol = await people.at_panel("carol")
    await carol.log_in()
    await carol.add_contact("alice")
    await carol.page.eval("""(() => {
        const { send } = XMLHttpRequest.prototype;
        XMLHttpRequest.prototype.send = function (body) {
            if (!(body instanceof File)) return send.call(this, body);
            this.upload.dispatchEvent(
                new ProgressEvent('progress', { lengthComputable: true, loaded: 512, total: 1024 }));
        };
    })()""")
    (tmp_path / "long.bin").write_bytes(bytes(1024))
    await choose(carol, tmp_path / "long.bin")
    await carol.page.see('.chatd-sending:has-text("512 bytes of 1 KB")')
    assert await carol.page.eval("document.querySelector('.chatd-sending progress').value") == 0.5
    assert await carol.page.axe("converse-chat") == []
    await carol.page.click('button[aria-label="Stop sending long.bin"]')
    await carol.page.gone(".chatd-sending")
