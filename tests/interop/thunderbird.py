"""Thunderbird as somebody uses it: its wizard, its dialogs, its chat tab, filled in and clicked by Marionette, the
remote control that is built into it (a number, a colon and JSON over TCP).

Scripts run where Thunderbird's own windows run.  They press the buttons that people press and read what is shown; none
of them calls what lies behind.
"""

from __future__ import annotations

import base64
import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.daemon import PASSWORD, Daemon, free_ports
from tests.interop.screen import program, screen

PATIENCE_S = 60.0
ENTER = "\uE007"
PREFERENCES = {
    "app.donation.eoy.version.viewed": 999, "app.update.enabled": False, "browser.dom.window.dump.enabled": True,
    "datareporting.healthreport.uploadEnabled": False, "datareporting.policy.dataSubmissionEnabled": False,
    "datareporting.policy.dataSubmissionPolicyBypassNotification": True, "extensions.getAddons.cache.enabled": False,
    "mail.provider.suppress_dialog_on_startup": True, "mail.rights.version": 1, "mail.shell.checkDefaultClient": False,
    "mail.spotlight.firstRunDone": True, "mail.startup.enabledMailCheckOnce": True,
    "mail.winsearch.firstRunDone": True, "mailnews.start_page.enabled": False,
    "messenger.options.getAttentionOnNewMessages": False,
    "messenger.startup.action": 1, "network.captive-portal-service.enabled": False, "mail.chat.play_sound": False,
    "network.connectivity-service.enabled": False, "network.proxy.type": 0, "security.OCSP.enabled": 0,
    "services.settings.server": "data:,", "toolkit.telemetry.reportingpolicy.firstRun": False,
    "mail.chat.show_desktop_notifications": False, "mail.cloud_files.enabled": False,
    "mail.inappnotifications.enabled": False,
}


class Marionette:
    """One connection to a Thunderbird."""

    def __init__(self, port: int) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
                break
            except OSError:
                assert time.monotonic() < deadline, "Thunderbird does not listen"
                time.sleep(0.2)
        self._socket.settimeout(PATIENCE_S)
        self._file = self._socket.makefile("rb")
        self._number = 0
        self._read()
        self.ask("WebDriver:NewSession", strictFileInteractability=False)
        self.ask("WebDriver:SetTimeouts", script=int(PATIENCE_S * 1000))
        self.ask("Marionette:SetContext", value="chrome")

    def _read(self) -> Any:
        length = b""
        while not length.endswith(b":"):
            got = self._file.read(1)
            assert got, "Thunderbird has ended"
            length += got
        return json.loads(self._file.read(int(length[:-1])))

    def ask(self, command: str, **parameters: Any) -> Any:
        """A command; its result. AssertionError: what Thunderbird has against it."""
        self._number += 1
        said = json.dumps([0, self._number, command, parameters]).encode()
        self._socket.sendall(b"%d:%b" % (len(said), said))
        _, _, error, result = self._read()
        assert error is None, f"{error['error']}: {error['message']}"
        return result.get("value") if isinstance(result, dict) and set(result) == {"value"} else result

    def close(self) -> None:
        """The end of the connection, not of Thunderbird."""
        self._file.close()
        self._socket.close()


class Thunderbird:
    """A Thunderbird with a window. `run` and `wait_for` run JavaScript in it, with `arguments`."""

    def __init__(self, marionette: Marionette) -> None:
        self.marionette = marionette
        self.main = ""

    def run(self, script: str, *arguments: Any) -> Any:
        """The body of a function; gives what it returns."""
        return self.marionette.ask("WebDriver:ExecuteScript", script=script, args=list(arguments), sandbox="system",
                                   newSandbox=False)

    def wait_for(self, script: str, *arguments: Any, within_s: float = PATIENCE_S) -> Any:
        """Until the body of a function returns something; gives it."""
        body = f"""
            const [resolve, last] = [arguments[arguments.length - 1], Date.now() + {int(within_s * 1000)}];
            const look = (...arguments) => {{ {script} }};
            const given = Array.from(arguments).slice(0, -1);
            const again = () => {{
                let found = null, why = "";
                try {{ found = look(...given); }} catch (error) {{ why = String(error); }}
                if (found) resolve({{found}});
                else if (Date.now() > last) resolve({{why: why || "nothing"}});
                else window.setTimeout(again, 50);
            }};
            again();
        """
        self.marionette.ask("WebDriver:SetTimeouts", script=int(within_s * 1000) + 5000)
        answer = self.marionette.ask("WebDriver:ExecuteAsyncScript", script=body, args=list(arguments),
                                     sandbox="system", newSandbox=False)
        assert "found" in answer, f"not in {within_s:.0f} s: {script.strip()[:300]} ({answer['why']}); {self.seen()}"
        return answer["found"]

    def seen(self) -> str:
        """What its console says of chat, for a test that fails."""
        return str(self.run("return Services.console.getMessageArray().map(String)"
                            ".filter(said => /xmpp|jabber/i.test(said)).slice(-8).join('\\n')"))

    def picture(self, file: Path) -> None:
        """A PNG of the window."""
        file.write_bytes(base64.b64decode(self.marionette.ask("WebDriver:TakeScreenshot", full=False)))

    # -- windows
    @contextmanager
    def window(self, address: str) -> Iterator[None]:
        """The dialog of this chrome address, as soon as it is there; afterwards the main window."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            for handle in self.marionette.ask("WebDriver:GetWindowHandles"):
                self.marionette.ask("WebDriver:SwitchToWindow", handle=handle, focus=False)
                if self.run("return document.documentURI == arguments[0] && document.readyState == 'complete'",
                            address):
                    yield
                    self.marionette.ask("WebDriver:SwitchToWindow", handle=self.main, focus=False)
                    return
            assert time.monotonic() < deadline, f"no window {address}"
            time.sleep(0.1)

    def fill(self, id_: str, value: str) -> None:
        """Types into a field."""
        self.wait_for("""
            const field = document.getElementById(arguments[0]);
            if (!field) return false;
            field.focus(); field.value = arguments[1];
            field.dispatchEvent(new Event("input", {bubbles: true}));
            return true;""", id_, value)

    # -- what people do
    def open_chat(self) -> None:
        """The chat tab, by the button in the bar of spaces."""
        self.wait_for("return document.readyState == 'complete' && document.getElementById('chatButton') "
                      "&& window.chatHandler && document.getElementById('tabmail').tabInfo.length")
        self.run("document.getElementById('chatButton').click()")
        self.wait_for("return document.getElementById('chatTabPanel') && "
                      "document.getElementById('tabmail').currentTabInfo.mode.name == 'chat'")

    def add_account(self, user: str, domain: str, server: str, port: int, password: str = PASSWORD) -> None:
        """The wizard, page by page: XMPP, user name and domain apart, password, encryption required, server, port."""
        self.wait_for("return !document.getElementById('noAccountInnerBox').hidden")
        # It opens a modal window, so the press must not be waited for.
        self.run("window.setTimeout(() => document.getElementById('openIMAccountWizardButton').click(), 0)")
        with self.window("chrome://messenger/content/chat/imAccountWizard.xhtml"):
            self.wait_for("""
                const list = document.getElementById("protolist");
                if (!list || list.selectedIndex != 0) return false;
                list.selectedItem = list.querySelector("[value=prpl-jabber]");
                return list.selectedItem && list.selectedItem.value == "prpl-jabber";""")
            self._next("accountusername")
            self.fill("name", user)
            self.fill("username-split-0", domain)
            self._next("accountpassword")
            self.fill("password", password)
            self._next("accountadvanced")
            assert self.run("return document.getElementById('prpl-jabber-connection_security').value") == "require_tls"
            self.fill("prpl-jabber-server", server)
            self.fill("prpl-jabber-port", str(port))
            self._next("accountsummary")
            self.wait_for("return document.getElementById('connectNow').checked")
            self.run("window.setTimeout(() => document.querySelector('wizard').advance(), 0)")
            self.marionette.ask("WebDriver:SwitchToWindow", handle=self.main, focus=False)

    def _next(self, page: str) -> None:
        self.wait_for("return document.querySelector('wizard').canAdvance")
        self.run("document.querySelector('wizard').advance()")
        self.wait_for("return document.querySelector('wizard').currentPage.id == arguments[0]", page)

    def online(self) -> None:
        """Waits until the account is connected: the buttons that need that are there to be pressed."""
        self.wait_for("return !document.getElementById('button-add-buddy').disabled")

    def contact(self, address: str, group: str = "online") -> None:
        """Waits until the list shows a contact as online or offline."""
        self.wait_for("""
            const group = document.getElementById(arguments[1] + "contactsGroup");
            return group.contacts.some(item => item.contact.preferredBuddy.normalizedName == arguments[0]);
        """, address, group)

    def add_contact(self, address: str) -> None:
        """Add Contact, and its dialog."""
        self.run("window.setTimeout(() => document.getElementById('button-add-buddy').click(), 0)")
        with self.window("chrome://messenger/content/chat/addbuddy.xhtml"):
            self.wait_for("return document.getElementById('accountlist').value")
            self.fill("name", address)
            self._accept()

    def join_room(self, room: str, server: str, nick: str) -> None:
        """Join Chat, and its dialog."""
        self.run("window.setTimeout(() => document.getElementById('button-join-chat').click(), 0)")
        with self.window("chrome://messenger/content/chat/joinchat.xhtml"):
            self.wait_for("return document.getElementById('field-room') && document.getElementById('field-nick')")
            for name, value in (("room", room), ("server", server), ("nick", nick)):
                self.fill(f"field-{name}", value)
            self._accept()

    def _accept(self) -> None:
        """OK; the dialog goes with it."""
        self.wait_for("return !document.querySelector('dialog').getButton('accept').disabled")
        self.run("window.setTimeout(() => document.querySelector('dialog').getButton('accept').click(), 0)")
        self.marionette.ask("WebDriver:SwitchToWindow", handle=self.main, focus=False)

    def allow(self, address: str) -> None:
        """Presses Allow in the bar that asks whether somebody may see one's status."""
        self.wait_for("""
            const bar = window.chatHandler.msgNotificationBar.allNotifications
                .find(one => one.getAttribute("value").endsWith(arguments[0]));
            if (!bar) return false;
            bar.buttonContainer.querySelector("button").click();
            return true;""", address)

    def talk_to(self, address: str) -> None:
        """Opens the conversation with a contact, as a double click does."""
        self.wait_for("""
            for (const name of ["online", "offline"])
                for (const item of document.getElementById(name + "contactsGroup").contacts)
                    if (item.contact.preferredBuddy.normalizedName == arguments[0]) {
                        document.getElementById("contactlistbox").selectedItem = item;
                        item.openConversation();
                        return true;
                    }""", address)
        self.conversation(address)

    def conversation(self, name: str) -> None:
        """Waits for a conversation and shows it."""
        self.wait_for("""
            const item = document.getElementById("conversationsGroup").contacts
                .find(one => one.conv && one.conv.normalizedName == arguments[0]);
            if (!item) return false;
            document.getElementById("contactlistbox").selectedItem = item;
            return item.convView && item.convView.loaded && !item.convView.hidden;""", name)

    def say(self, name: str, text: str) -> None:
        """Puts a text into a conversation's field and presses Enter."""
        self.conversation(name)
        field = self.run("""
            const view = document.getElementById("conversationsGroup").contacts
                .find(one => one.conv && one.conv.normalizedName == arguments[0]).convView;
            view.inputBox.value = arguments[1];
            return view.inputBox;""", name, text)
        # A tab that is typed would complete a name instead.
        (number,) = field.values()
        self.marionette.ask("WebDriver:ElementSendKeys", id=number, text=ENTER)

    def shown(self, name: str, text: str) -> str:
        """Waits until a message that holds `text` is among those of a conversation; gives its text as it came."""
        return str(self.wait_for("""
            const item = document.getElementById("conversationsGroup").contacts
                .find(one => one.conv && one.conv.normalizedName == arguments[0]);
            const found = item && item.conv.getMessages().find(one => one.originalMessage.includes(arguments[1]));
            return found && found.originalMessage;""", name, text))


@contextmanager
def thunderbird(daemon: Daemon, folder: Path) -> Iterator[Thunderbird]:
    """A new Thunderbird that trusts the daemon's certificate, as it would trust one that is signed by an authority."""
    (port,) = free_ports(1)
    profile = folder / "profile"
    profile.mkdir(parents=True)
    preferences = {**PREFERENCES, "marionette.port": port}
    (profile / "user.js").write_text(
        "".join(f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in preferences.items()))
    with screen(folder / "home") as environment, program(
            ["thunderbird", "--profile", str(profile), "--no-remote", "--marionette", "--remote-allow-system-access"],
            environment, folder / "thunderbird.log"):
        marionette = Marionette(port)
        try:
            client = Thunderbird(marionette)
            client.main = marionette.ask("WebDriver:GetWindowHandle")
            pem = daemon.certificate.read_text().split("-----BEGIN CERTIFICATE-----")[1].split("-----END")[0]
            client.run("""Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB)
                .addCertFromBase64(arguments[0], "CTu,CTu,CTu")""", pem.replace("\n", ""))
            client.run("window.resizeTo(1280, 840)")
            yield client
        finally:
            marionette.close()
