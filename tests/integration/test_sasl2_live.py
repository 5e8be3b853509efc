"""Log-in by XEP-0388 on a running daemon: everything in one go, nothing lost, tokens that end when they must.

Clients are made by hand (tests.raw): slixmpp 1.17 knows neither this profile nor Bind 2 nor FAST.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from chatd.core import ns
from tests.daemon import DOMAIN, PASSWORD, Daemon, running
from tests.raw import CLIENT, SASL, SASL2, SM, Raw, RawWebSocket, chat

ALICE, BOB = f"alice@{DOMAIN}", f"bob@{DOMAIN}"
UA = "d4565fa7-4d72-4749-b3d3-740edbf87770"
AGENT = "<user-agent id='{}'><software>Paper</software><device>Desk</device></user-agent>"
BIND = (f"<bind xmlns='{ns.BIND2}'><tag>Paper</tag><enable xmlns='{ns.CARBONS}'/>"
        f"<enable xmlns='{ns.SM}' resume='true'/></bind>")
BOUND, FAST, MAM = ("{%s}" % name for name in (ns.BIND2, ns.FAST, ns.MAM))


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with running(Path(tmp_path_factory.mktemp("sasl2")), ALICE, BOB) as daemon:
        yield daemon


def connect(daemon: Daemon, port: str = "c2s_tls") -> Raw:
    return (RawWebSocket if port == "https" else Raw)(daemon, port)


def log_in(daemon: Daemon, more: str = "", agent: str = UA, port: str = "c2s_tls",
           address: str = ALICE) -> tuple[Raw, ET.Element]:
    raw = connect(daemon, port)
    answer = raw.authenticate2(address, AGENT.format(agent) + BIND + more)
    assert answer.tag == SASL2 + "success", ET.tostring(answer)
    return raw, answer


def archive_end(answer: ET.Element) -> str:
    end = answer.find(f"{BOUND}bound/{MAM}metadata/{MAM}end")
    return "" if end is None else end.attrib["id"]


@pytest.mark.parametrize("port", ["c2s", "c2s_tls", "https"])
def test_all_in_one_go(daemon: Daemon, port: str) -> None:
    """Resource, carbons, stream management and the archive's end with one answer."""
    raw, answer = log_in(daemon, port=port)
    with raw, Raw(daemon, "c2s_tls").login(BOB) as bob:
        assert raw.jid.startswith(f"{ALICE}/Paper/")
        enabled = answer.find(f"{BOUND}bound/{SM}enabled")
        assert enabled is not None and enabled.get("resume") == "true"
        other, _ = log_in(daemon, agent=UA.replace("d4", "e4"))
        with other:
            other.message(BOB, "a copy for the other one")
            assert bob.body() == "a copy for the other one"
            raw.until("message")                            # the carbon
        raw.request()
        assert raw.until(SM + "a").attrib["h"] == "0"


def test_messages_of_the_night_are_in_the_archive(daemon: Daemon) -> None:
    """XEP-0386: not delivered once more; the end told leads up to them, and what comes later comes by itself."""
    with Raw(daemon, "c2s_tls").login(BOB) as bob:
        for number in range(3):
            bob.message(ALICE, f"night {number}")
        bob.ping()
        raw, answer = log_in(daemon)
        with raw:
            raw.send("<presence/>")
            bob.message(ALICE, "morning")
            message = raw.until("message")
            assert message.findtext(CLIENT + "body") == "morning"
            raw.send(f"<iq type='set' id='q'><query xmlns='{ns.MAM}'><set xmlns='{ns.RSM}'><max>50</max><before/></set>"
                     "</query></iq>")
            found: list[tuple[str, str]] = []
            while (element := raw.until("message", "iq")).tag != CLIENT + "iq":
                result = element[0]
                found.append((result.attrib["id"], "".join(result.itertext())))
            ids = [id for id, _ in found]
            nights = [id for id, text in found if "night" in text]
            assert len(nights) == 3 and archive_end(answer) == nights[-1] == ids[-2]


def test_without_an_archive_nothing_is_dropped(daemon: Daemon) -> None:
    """Whose history is kept by nobody gets messages of the night as ever."""
    daemon.add(f"private@{DOMAIN}")
    with Raw(daemon, "c2s_tls").login(f"private@{DOMAIN}") as raw:
        raw.ask("set", f"<prefs xmlns='{ns.MAM}' default='never'><always/><never/></prefs>")
    with Raw(daemon, "c2s_tls").login(BOB) as bob:
        bob.message(f"private@{DOMAIN}", "only here")
        bob.ping()
        raw, answer = log_in(daemon, address=f"private@{DOMAIN}")
        with raw:
            assert archive_end(answer) == ""
            raw.send("<presence/>")
            assert raw.body() == "only here"


def test_the_same_client_takes_its_own_place(daemon: Daemon) -> None:
    first, _ = log_in(daemon)
    second, _ = log_in(daemon)
    with first, second:
        assert first.jid == second.jid and first.stream_error() == "conflict"
        assert second.ping().get("type") == "result"


def binding_of(raw: Raw) -> bytes:
    """tls-server-end-point (RFC 5929 4.1); the certificate is signed with SHA-256."""
    assert isinstance(raw.sock, ssl.SSLSocket)
    certificate = raw.sock.getpeercert(binary_form=True)
    assert certificate is not None
    return hashlib.sha256(certificate).digest()


def by_token(daemon: Daemon, token: str, mechanism: str, port: str = "c2s_tls", more: str = "") -> ET.Element:
    with connect(daemon, port) as raw:
        binding = binding_of(raw) if mechanism.endswith("ENDP") else b""
        proof = hmac.digest(token.encode(), b"Initiator" + binding, "sha256")
        answer = raw.authenticate2(
            ALICE, AGENT.format(UA) + f"<fast xmlns='{ns.FAST}'{more}/>" + BIND, mechanism=mechanism,
            initial=ALICE.encode() + b"\0" + proof)
        if answer.tag == SASL2 + "success":
            said = answer.findtext(SASL2 + "additional-data")
            right = hmac.digest(token.encode(), b"Responder" + binding, "sha256")
            assert said == base64.b64encode(right).decode()
        return answer


def token_for(daemon: Daemon, mechanism: str = "HT-SHA-256-NONE", port: str = "c2s_tls") -> str:
    raw, answer = log_in(daemon, f"<request-token xmlns='{ns.FAST}' mechanism='{mechanism}'/>", port=port)
    raw.close()
    token = answer.find(FAST + "token")
    assert token is not None
    return token.attrib["token"]


@pytest.mark.parametrize(("mechanism", "port"), [
    ("HT-SHA-256-ENDP", "c2s_tls"), ("HT-SHA-256-NONE", "c2s"), ("HT-SHA-256-NONE", "https")])
def test_tokens(daemon: Daemon, mechanism: str, port: str) -> None:
    token = token_for(daemon, mechanism, port)
    assert by_token(daemon, token, mechanism, port).tag == SASL2 + "success"
    assert by_token(daemon, token + "x", mechanism, port).find(SASL + "not-authorized") is not None
    state = daemon.folder / "state"
    assert not any(token.encode() in path.read_bytes() for path in state.glob("chatd.sqlite*"))


def test_what_ends_a_token(daemon: Daemon) -> None:
    """A restart does not; a new password, disabling, signing out and the client's own word do."""
    token = token_for(daemon)
    assert daemon.ctl("user", "show", ALICE)["result"]["tokens"] == ["Paper on Desk"]
    daemon.stop()
    daemon.start()
    assert by_token(daemon, token, "HT-SHA-256-NONE").tag == SASL2 + "success"

    def is_over(token: str) -> bool:
        return by_token(daemon, token, "HT-SHA-256-NONE").find(SASL + "not-authorized") is not None

    daemon.ctl("user", "passwd", ALICE, stdin=PASSWORD + "\n")
    assert is_over(token)
    token = token_for(daemon)
    daemon.ctl("user", "disable", ALICE)
    daemon.ctl("user", "enable", ALICE)
    assert is_over(token)
    token = token_for(daemon)
    assert daemon.ctl("user", "sign-out", ALICE)["result"]["tokens_ended"] == 1
    assert is_over(token)
    token = token_for(daemon)
    assert by_token(daemon, token, "HT-SHA-256-NONE", more=" invalidate='true'").tag == SASL2 + "success"
    assert is_over(token)


def test_scram_with_its_hash(daemon: Daemon) -> None:
    """XEP-0474, computed from what really stood in the features; the exchange ends well."""
    with connect(daemon) as raw:
        features = raw.open()
        inner = "n=alice,r=abcdef"
        raw.send(f"<auth xmlns='{ns.SASL}' mechanism='SCRAM-SHA-256'>"
                 f"{base64.b64encode(b'n,,' + inner.encode()).decode()}</auth>")
        first = base64.b64decode(raw.until(SASL + "challenge").text or "").decode()
        fields = dict(part.split("=", 1) for part in first.split(","))
        names = sorted(element.text or "" for element in features.iter(SASL + "mechanism"))
        kinds = sorted(element.attrib["type"] for element in features.iter("{%s}channel-binding" % ns.SASL_CB))
        assert kinds == ["tls-exporter", "tls-server-end-point"]
        wanted = hashlib.sha256(("\x1e".join(names) + "\x1f" + "\x1e".join(kinds)).encode()).digest()
        assert base64.b64decode(fields["h"]) == wanted
        salted = hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), base64.b64decode(fields["s"]), int(fields["i"]))
        key = hmac.digest(salted, b"Client Key", "sha256")
        final = f"c=biws,r={fields['r']}"
        signature = hmac.digest(hashlib.sha256(key).digest(), f"{inner},{first},{final}".encode(), "sha256")
        proof = base64.b64encode(bytes(a ^ b for a, b in zip(key, signature, strict=True))).decode()
        raw.send(f"<response xmlns='{ns.SASL}'>{base64.b64encode(f'{final},p={proof}'.encode()).decode()}</response>")
        assert raw.until(SASL + "success", SASL + "failure").tag == SASL + "success"


def test_direct_tls_names_its_protocol(daemon: Daemon) -> None:
    """XEP-0368: xmpp-client by ALPN on the port of _xmpps-client."""
    context = daemon.tls()
    context.set_alpn_protocols(["xmpp-client"])
    with socket.create_connection(("127.0.0.1", daemon.ports["c2s_tls"]), 20) as sock, context.wrap_socket(
            sock, server_hostname=DOMAIN) as tls:
        assert tls.selected_alpn_protocol() == "xmpp-client"


def test_a_chat_with_somebody_who_binds_the_old_way(daemon: Daemon) -> None:
    raw, _ = log_in(daemon)
    with raw, Raw(daemon, "c2s").login(BOB) as bob:
        bob.send(chat(raw.jid, "hello"))
        assert raw.body() == "hello"
