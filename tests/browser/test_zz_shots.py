"""pictures"""
import sys
from pathlib import Path
sys.path.insert(0, "/work/h/upload")
import pytest_twisted, pytest
from tests.browser.test_panel_files import *  # noqa
from tests.browser.test_panel_files import both, choose, picture, daemon  # noqa

@pytest_twisted.ensureDeferred
async def test_shots(people, tmp_path):
    people.expect(".*")
    alice, bob = await both(people)
    (tmp_path/"Sunset at the sea.png").write_bytes(picture(640, 400))
    (tmp_path/"Quarterly report 2026, final version (3).pdf").write_bytes(b"x"*1000)
    (tmp_path/"big.bin").write_bytes(bytes(3<<20))
    await choose(alice, *[tmp_path/n for n in ("Sunset at the sea.png","Quarterly report 2026, final version (3).pdf","big.bin")])
    await bob.page.see('chatd-file[data-kind="file"] a')
    await bob.page.until("document.querySelector('chatd-file img')?.naturalWidth === 640")
    await alice.page.see(".chat-error")
    await alice.page.screenshot(Path("/work/h/upload/build/alice.png"))
    await bob.page.screenshot(Path("/work/h/upload/build/bob.png"))
    dark = await people.at_panel("bob", width=390, height=800, dark=True)
    await dark.log_in(); await dark.open_chat("alice")
    await dark.page.until("document.querySelector('chatd-file img')?.naturalWidth === 640")
    await dark.page.eval("""(() => { const { send } = XMLHttpRequest.prototype;
        XMLHttpRequest.prototype.send = function (body) { if (!(body instanceof File)) return send.call(this, body);
          this.upload.dispatchEvent(new ProgressEvent('progress', { lengthComputable: true, loaded: 600, total: 1024 })); }; })()""")
    (tmp_path/"holiday.mp4").write_bytes(bytes(1024))
    await choose(dark, tmp_path/"holiday.mp4")
    await dark.page.see(".chatd-sending")
    await dark.page.screenshot(Path("/work/h/upload/build/dark.png"))
