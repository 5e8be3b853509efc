"""What `chatctl check` finds: certificates, DNS, ports, disk, configuration."""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import attrs
import pytest
from twisted.names import dns as records
from twisted.names.error import DNSNameError, DNSQueryTimeoutError

from chatd.checks import Finding, Grade, certificates, configuration, disk, dns, media, ports, worst
from chatd.config import ConfigError, load
from chatd.ctl import output as ctl_output
from chatd.media.addresses import to_announce
from chatd.selfsigned import self_signed
from chatd.settings import Settings
from chatd.settings.kinds import Address

NOW = datetime(2026, 6, 1, tzinfo=UTC)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def write(tmp_path: Path) -> Any:
    """Return a function that writes a configuration for one domain and loads it."""

    def write_(domain: str = "mynewdomain.com", host: str = "xmpp.service.org", extra: str = "") -> Settings:
        path = tmp_path / "chatd.toml"
        path.write_text(
            f'[server]\nhost = "{host}"\n{extra}\n[[domain]]\nname = "{domain}"\ncertificate = "c.pem"\nkey = "k.pem"\n'
        )
        return load(path)

    return write_


def put(folder: Path, names: list[str], days: int = 300, now: datetime = NOW) -> None:
    """Write a pair of these names into the files of the configuration."""
    certificate, key = self_signed(names, now, days)
    (folder / "c.pem").write_bytes(certificate)
    (folder / "k.pem").write_bytes(key)
    (folder / "k.pem").chmod(0o600)


def texts(findings: list[Finding] | Iterator[Finding], grade: Grade) -> str:
    """Return the sentences and advice of one grade."""
    return "\n".join("\n".join([finding.text, *finding.advice]) for finding in findings if finding.grade is grade)


class TestCertificates:
    def test_a_good_one_that_signed_itself(self, write: Any, tmp_path: Path) -> None:
        put(tmp_path, ["mynewdomain.com", "xmpp.service.org"])
        found = list(certificates.check(write(), NOW))
        assert worst(found) is Grade.WARNING
        assert "signed by itself" in texts(found, Grade.WARNING)

    def test_none(self, write: Any) -> None:
        found = list(certificates.check(write(), NOW))
        assert worst(found) is Grade.ERROR
        assert "c.pem" in texts(found, Grade.ERROR)
        assert "mynewdomain.com" in texts(found, Grade.ERROR)

    def test_the_key_of_another(self, write: Any, tmp_path: Path) -> None:
        put(tmp_path, ["mynewdomain.com"])
        (tmp_path / "k.pem").write_bytes(self_signed(["mynewdomain.com"], NOW)[1])
        assert "does not belong" in texts(certificates.check(write(), NOW), Grade.ERROR)

    def test_it_names_the_host_only(self, write: Any, tmp_path: Path) -> None:
        put(tmp_path, ["xmpp.service.org"])
        found = texts(certificates.check(write(), NOW), Grade.ERROR)
        assert "for xmpp.service.org, not for mynewdomain.com" in found

    def test_it_does_not_name_the_host(self, write: Any, tmp_path: Path) -> None:
        put(tmp_path, ["mynewdomain.com"])
        assert "No certificate covers xmpp.service.org" in texts(certificates.check(write(), NOW), Grade.ERROR)

    def test_a_wildcard_covers_one_label(self, write: Any, tmp_path: Path) -> None:
        put(tmp_path, ["mynewdomain.com", "*.service.org"])
        assert not texts(certificates.check(write(), NOW), Grade.ERROR)
        found = certificates.check(write(host="a.b.service.org"), NOW)
        assert "a.b.service.org" in texts(found, Grade.ERROR)

    def test_an_international_domain(self, write: Any, tmp_path: Path) -> None:
        put(tmp_path, ["bücher.org", "xmpp.service.org"])
        assert not texts(certificates.check(write(domain="bücher.org"), NOW), Grade.ERROR)

    @pytest.mark.parametrize(
        ("days_from_now", "grade", "word"),
        [
            (301, Grade.ERROR, "expired"),
            (299, Grade.WARNING, "expires on"),
            (-30, Grade.ERROR, "not valid before"),
        ],
    )
    def test_its_time(self, write: Any, tmp_path: Path, days_from_now: int, grade: Grade, word: str) -> None:
        put(tmp_path, ["mynewdomain.com", "xmpp.service.org"])
        found = list(certificates.check(write(), NOW + timedelta(days=days_from_now)))
        assert word in texts(found, grade)


class Answers(NamedTuple):
    """A resolver: answers by (kind, name), or an exception for all."""

    known: dict[tuple[str, str], list[Any]]
    error: Exception | None = None

    async def _answer(self, kind: str, name: str) -> tuple[list[Any], list[Any], list[Any]]:
        if self.error is not None:
            raise self.error
        if (kind, name) not in self.known:
            raise DNSNameError()
        return [records.RRHeader(name, payload.TYPE, payload=payload) for payload in self.known[kind, name]], [], []

    def lookupService(self, name: str, timeout: Any) -> Any:
        return self._answer("SRV", name)

    def lookupAddress(self, name: str, timeout: Any) -> Any:
        return self._answer("A", name)

    def lookupIPV6Address(self, name: str, timeout: Any) -> Any:
        return self._answer("AAAA", name)


HOST_RECORDS: dict[tuple[str, str], list[Any]] = {
    ("A", "xmpp.service.org"): [records.Record_A("192.0.2.1")],
    ("AAAA", "xmpp.service.org"): [records.Record_AAAA("2001:db8::1")],
}


def srv(name: str, port: int, target: str = "xmpp.service.org") -> dict[tuple[str, str], list[Any]]:
    return {("SRV", name): [records.Record_SRV(0, 5, port, target)]}


def look_up(
    settings: Settings, known: dict[tuple[str, str], list[Any]], error: Exception | None = None
) -> list[Finding]:
    return asyncio.run(dns.check(settings, dns.Resolver(Answers(known, error))))


class TestDNS:
    def test_all_there(self, write: Any) -> None:
        known = {
            **HOST_RECORDS,
            **srv("_xmpp-client._tcp.mynewdomain.com", 5222),
            **srv("_xmpps-client._tcp.mynewdomain.com", 5223, "XMPP.Service.ORG."),
        }
        found = look_up(write(), known)
        assert {finding.grade for finding in found} == {Grade.OK}
        assert "192.0.2.1, 2001:db8::1" in found[0].text

    def test_the_exact_records_to_add(self, write: Any) -> None:
        found = look_up(write(), HOST_RECORDS)
        assert (
            "_xmpp-client._tcp.mynewdomain.com. 3600 IN SRV 5 0 5222 xmpp.service.org."
            in texts(found, Grade.ERROR).splitlines()
        )
        assert (
            "_xmpps-client._tcp.mynewdomain.com. 3600 IN SRV 5 0 5223 xmpp.service.org."
            in texts(found, Grade.WARNING).splitlines()
        )

    def test_the_record_has_the_port_that_others_can_reach(self, write: Any) -> None:
        settings = write(extra='[listen]\nc2s = ["127.0.0.1:5222", "0.0.0.0:6222"]\n')
        assert "5 0 6222" in texts(look_up(settings, HOST_RECORDS), Grade.ERROR)

    def test_international_names_stand_in_the_record_as_dns_has_them(self, write: Any) -> None:
        found = look_up(write(domain="bücher.org"), HOST_RECORDS)
        assert "_xmpp-client._tcp.xn--bcher-kva.org. 3600" in texts(found, Grade.ERROR)

    def test_records_that_lead_elsewhere(self, write: Any) -> None:
        known = {**HOST_RECORDS, **srv("_xmpp-client._tcp.mynewdomain.com", 5222, "old.service.org")}
        assert "leads to old.service.org:5222, not to" in texts(look_up(write(), known), Grade.ERROR)

    def test_the_right_host_with_the_wrong_port(self, write: Any) -> None:
        known = {**HOST_RECORDS, **srv("_xmpp-client._tcp.mynewdomain.com", 5555)}
        assert "5555, not to xmpp.service.org:5222" in texts(look_up(write(), known), Grade.ERROR)

    def test_a_domain_that_is_the_host_needs_no_record(self, write: Any) -> None:
        found = look_up(write(domain="xmpp.service.org"), HOST_RECORDS)
        assert not texts(found, Grade.ERROR)

    def test_a_host_without_address(self, write: Any) -> None:
        assert "xmpp.service.org has no address" in texts(look_up(write(), {}), Grade.ERROR)

    @pytest.mark.parametrize("error", [DNSQueryTimeoutError(1), OSError("unreachable")])
    def test_no_network_is_a_note_with_the_records_all_the_same(self, write: Any, error: Exception) -> None:
        found = look_up(write(), {}, error)
        assert {finding.grade for finding in found} == {Grade.NOTE}
        assert "5 0 5222 xmpp.service.org." in texts(found, Grade.NOTE)

    def test_other_servers_sent_where_nobody_listens(self, write: Any) -> None:
        known = {**HOST_RECORDS, **srv("_xmpp-server._tcp.mynewdomain.com", 5269)}
        assert "SRV 0 0 0 ." in texts(look_up(write(), known), Grade.WARNING)

    def test_records_for_other_servers_where_they_are_let_in(self, write: Any) -> None:
        settings = write()
        settings = attrs.evolve(settings, listen=attrs.evolve(settings.listen, s2s=(Address("0.0.0.0", 5269),)))
        missing = look_up(settings, HOST_RECORDS)
        assert any("_xmpp-server._tcp.mynewdomain.com is not there" in finding.text for finding in missing)
        there = look_up(settings, {**HOST_RECORDS, **srv("_xmpp-server._tcp.mynewdomain.com", 5269)})
        assert "_xmpp-server._tcp.mynewdomain.com leads to xmpp.service.org:5269" in texts(there, Grade.OK)

    @pytest.mark.parametrize(("domain", "host"), [("demo.localhost", "localhost"), ("example.com", "xmpp.example.com")])
    def test_names_that_dns_never_has_are_not_asked_for(self, write: Any, domain: str, host: str) -> None:
        found = look_up(write(domain=domain, host=host), {}, AssertionError("asked"))
        assert {finding.grade for finding in found} == {Grade.NOTE}
        assert f"_xmpp-client._tcp.{domain}. " in texts(found, Grade.NOTE)


class TestPorts:
    @pytest.fixture
    def taken(self) -> Iterator[int]:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            sock.listen(1)
            yield sock.getsockname()[1]

    def settings(self, write: Any, c2s: str) -> Settings:
        others = "".join(f"{name} = []\n" for name in ("c2s_tls", "https", "http", "metrics"))
        result: Settings = write(extra=f'[listen]\nc2s = ["{c2s}"]\n{others}')
        return result

    def test_free(self, write: Any) -> None:
        (found,) = ports.check(self.settings(write, "127.0.0.1:0"), None)
        assert found.grade is Grade.OK

    def test_another_program_has_it(self, write: Any, taken: int) -> None:
        (found,) = ports.check(self.settings(write, f"127.0.0.1:{taken}"), None)
        assert found.grade is Grade.ERROR
        assert "another program" in found.text

    def test_our_own_daemon_has_it(self, write: Any, taken: int) -> None:
        (found,) = ports.check(self.settings(write, f"127.0.0.1:{taken}"), [f"127.0.0.1:{taken}"])
        assert found.grade is Grade.OK

    def test_an_address_of_another_machine(self, write: Any) -> None:
        (found,) = ports.check(self.settings(write, "192.0.2.1:5222"), None)
        assert found.grade is Grade.ERROR
        assert "no such address" in found.text

    def test_the_running_daemon_does_not_know_the_new_address(self, write: Any) -> None:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            free = sock.getsockname()[1]
        found = list(ports.check(self.settings(write, f"127.0.0.1:{free}"), ["127.0.0.1:1"]))
        assert [finding.grade for finding in found] == [Grade.OK, Grade.WARNING]


class TestDisk:
    def test_not_there_yet(self, write: Any) -> None:
        found = list(disk.check(write()))
        assert "makes it at its first start" in texts(found, Grade.NOTE)

    def test_private_and_writable(self, write: Any, tmp_path: Path) -> None:
        (tmp_path / "var").mkdir(mode=0o700)
        assert worst(disk.check(write())).weight <= Grade.WARNING.weight
        assert "open to other users" not in texts(disk.check(write()), Grade.WARNING)

    def test_open_to_others(self, write: Any, tmp_path: Path) -> None:
        (tmp_path / "var").mkdir()
        (tmp_path / "var").chmod(0o755)
        assert "0755" in texts(disk.check(write()), Grade.WARNING)

    def test_a_file_in_its_place(self, write: Any, tmp_path: Path) -> None:
        (tmp_path / "var").write_text("")
        assert "is not a folder" in texts(disk.check(write()), Grade.ERROR)

    @pytest.mark.parametrize(
        ("free", "grade"), [(50 << 20, Grade.ERROR), (500 << 20, Grade.WARNING), (5 << 30, Grade.OK)]
    )
    def test_room(self, write: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, grade: Grade) -> None:
        (tmp_path / "var").mkdir(mode=0o700)
        usage = shutil.disk_usage(tmp_path)._replace(free=free)
        monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
        assert worst(disk.check(write())) is grade

    def test_not_writable(self, write: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        # os.access is asked, not the mode: root may write everywhere.
        (tmp_path / "var").mkdir(mode=0o700)
        monkeypatch.setattr("os.access", lambda path, mode: False)
        assert "may not write" in texts(disk.check(write()), Grade.ERROR)


class TestConfiguration:
    def test_every_mistake_of_a_refused_file(self, tmp_path: Path) -> None:
        path = tmp_path / "chatd.toml"
        path.write_text("[sever]\n")
        with pytest.raises(ConfigError) as error:
            load(path)
        found = list(configuration.refused(error.value))
        assert len(found) == 3
        assert {finding.grade for finding in found} == {Grade.ERROR}

    def test_a_password_that_everybody_may_read(self, write: Any, tmp_path: Path) -> None:
        extra = '[store]\nurl = "postgresql://chatd:swordfish@localhost/chatd"\n'
        settings = write(extra=extra)
        settings.path.chmod(0o644)
        found = texts(configuration.check(settings), Grade.WARNING)
        assert "database's password" in found
        assert "swordfish" not in found
        settings.path.chmod(0o640)
        assert not texts(configuration.check(settings), Grade.WARNING)

    def test_a_key_that_everybody_may_read(self, write: Any, tmp_path: Path) -> None:
        put(tmp_path, ["mynewdomain.com"])
        (tmp_path / "k.pem").chmod(0o644)
        assert "private key" in texts(configuration.check(write()), Grade.ERROR)

    def test_plain_http_for_the_world(self, write: Any) -> None:
        settings = write(extra='[listen]\nhttp = ["0.0.0.0:5280"]\n')
        assert "without TLS" in texts(configuration.check(settings), Grade.ERROR)

    def test_loopback_only_is_said(self, write: Any) -> None:
        assert "loopback" in texts(configuration.check(write()), Grade.NOTE)

    @pytest.mark.parametrize(("listen", "shut"), [
        ("", "c2s_tls"), ('c2s_tls = ["0.0.0.0:5223"]\n', ""),
        ('c2s_tls = ["0.0.0.0:5223"]\ns2s = ["0.0.0.0:5269"]\n', "s2s_tls"),
        ('c2s_tls = ["0.0.0.0:5223"]\ns2s_tls = ["0.0.0.0:5270"]\n', "")])
    def test_addresses_that_are_told_nobody(self, write: Any, listen: str, shut: str) -> None:
        settings = write(extra=f"[listen]\n{listen}")
        settings = attrs.evolve(settings, server=attrs.evolve(settings.server, addresses=("192.0.2.1",)))
        said = texts(configuration.check(settings), Grade.WARNING)
        assert f"listen.{shut} is not open" in said if shut else not said

    def test_a_proxy_that_is_not_trusted(self, write: Any) -> None:
        settings = write(extra='[http]\npublic_url = "https://chat.service.org"\n')
        assert "trusted_proxies" in texts(configuration.check(settings), Grade.WARNING)


OPEN = '[listen]\nhttps = ["0.0.0.0:5281"]\n'


class TestMedia:
    def found(self, settings: Settings, status: Any = None, own: tuple[str, ...] = ("10.0.0.5",)) -> list[Finding]:
        def announced(address: str, announce: tuple[str, ...]) -> list[str]:
            return to_announce(address, announce, lambda: list(own))

        return list(media.check(settings, status, announced))

    def test_a_private_address_that_others_are_told(self, write: Any) -> None:
        """What people notice first behind NAT: they are in the meeting and neither hear nor see."""
        found = texts(self.found(write(extra=OPEN + "[media]\nport = 0\n")), Grade.ERROR)
        assert "10.0.0.5, which only the own network can reach" in found and "media.announce" in found
        assert 'media.announce = ["10.0.0.5"]' in found, "how to say that it is meant"

    def test_it_is_meant(self, write: Any) -> None:
        found = self.found(write(extra=OPEN + '[media]\nport = 0\nannounce = ["10.0.0.5"]\n'))
        assert worst(found) is Grade.NOTE and "10.0.0.5" in texts(found, Grade.OK)

    def test_a_public_address(self, write: Any) -> None:
        found = self.found(write(extra=OPEN + "[media]\nprocesses = 1\nport = 0\n"), own=("10.0.0.5", "8.8.4.4"))
        assert worst(found) is Grade.NOTE
        assert "10.0.0.5, 8.8.4.4" in texts(found, Grade.OK)

    def test_a_demo_on_loopback_is_no_error(self, write: Any) -> None:
        found = self.found(write(extra="[media]\nport = 0\n"))
        assert worst(found) is Grade.NOTE and "private" in texts(found, Grade.NOTE)

    def test_no_address_at_all(self, write: Any) -> None:
        assert "no address" in texts(self.found(write(extra="[media]\nport = 0\n"), own=()), Grade.ERROR)

    def test_the_firewall_is_mentioned_with_all_ports(self, write: Any) -> None:
        extra = OPEN + '[media]\nannounce = ["192.0.2.7"]\nprocesses = 2\n'
        status = {"processes": [{"process": number, "up": True, "media": "x"} for number in (0, 1)]}
        assert "UDP and TCP in on port 7882 to 7883" in texts(self.found(write(extra=extra), status), Grade.OK)

    def test_more_processes_than_cores(self, write: Any) -> None:
        assert "cores" in texts(self.found(write(extra="[media]\nport = 0\nprocesses = 64\n")), Grade.WARNING)

    @pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
    def test_a_port_that_is_taken(self, write: Any, kind: socket.SocketKind) -> None:
        with socket.socket(socket.AF_INET, kind) as sock:
            sock.bind(("127.0.0.1", 0))
            if kind is socket.SOCK_STREAM:
                sock.listen(1)
            port = sock.getsockname()[1]
            settings = write(extra=f'[media]\naddress = "127.0.0.1"\nport = {port}\n')
            found = texts(self.found(settings), Grade.ERROR)
        name = "UDP" if kind is socket.SOCK_DGRAM else "TCP"
        assert f"media 127.0.0.1:{port} {name}: Address already in use." in found

    def test_the_running_daemon_says_how_they_are(self, write: Any) -> None:
        extra = '[media]\nannounce = ["192.0.2.7"]\nprocesses = 2\n'
        status = {"processes": [{"process": 0, "up": True, "media": "0.0.0.0:7882"},
                                {"process": 1, "up": False, "trouble": "ended: cannot listen"}]}
        found = self.found(write(extra=extra), status)
        assert "process 0 takes media at 0.0.0.0:7882" in texts(found, Grade.OK)
        assert texts(found, Grade.ERROR).startswith("Bridge process 1 does not run: it ended: cannot listen.")

    def test_modules_that_are_not_installed(self, write: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(media, "MODULES", ("json", "no_such_module"))
        found = texts(self.found(write(extra="[media]\nport = 0\n")), Grade.ERROR)
        assert "no_such_module is not installed" in found and "chatd[media]" in found

    def test_a_livekit_server(self, write: Any) -> None:
        extra = '[media]\nengine = "livekit"\nurl = "{}"\napi_key = "k"\napi_secret = "swordfish"\n'
        found = self.found(write(extra=OPEN + extra.format("wss://lk.example")))
        assert worst(found) is Grade.NOTE
        assert "https://xmpp.service.org:5281/livekit-webhook" in texts(found, Grade.OK)
        assert "without TLS" in texts(self.found(write(extra=OPEN + extra.format("ws://lk.example"))), Grade.ERROR)
        assert not any("swordfish" in finding.text for finding in found)

    def test_off_is_said(self, write: Any) -> None:
        assert "no meetings" in texts(self.found(write(extra='[media]\nengine = "off"\n')), Grade.NOTE)

    def test_secrets_in_files(self, write: Any, tmp_path: Path) -> None:
        settings = write(extra='[media]\nport = 0\n[media.turn]\nurls = ["turn:a"]\nsecret_file = "turn"\n')
        assert "turn cannot be read" in texts(self.found(settings), Grade.ERROR)
        (tmp_path / "turn").write_text("swordfish\n")
        (tmp_path / "turn").chmod(0o644)
        assert "may read the secret" in texts(self.found(settings), Grade.ERROR)
        (tmp_path / "turn").chmod(0o640)
        assert not texts(self.found(settings), Grade.ERROR)

    def test_secrets_in_a_configuration_that_everybody_may_read(self, write: Any) -> None:
        settings = write(extra='[media.turn]\nurls = ["turn:a"]\nsecret = "swordfish"\n')
        settings.path.chmod(0o644)
        found = texts(configuration.check(settings), Grade.WARNING)
        assert "TURN server's secret" in found and "swordfish" not in found


def test_status_as_text() -> None:
    """Each bridge process in a line; as JSON all of it."""
    up = {"process": 0, "up": True, "trouble": "", "media": "0.0.0.0:7882", "up_s": 125, "restarts": 1, "rooms": 2,
          "participants": 5, "tracks": 9}
    down = {**up, "process": 1, "up": False, "trouble": "was killed by signal 9"}
    status = {"version": "1", "media": {"engine": "embedded", "connections": 5, "processes": [up, down]}}
    assert ctl_output.text_of("status", status) == (
        "version     1\nmedia       embedded\n"
        "  bridge 0  0.0.0.0:7882, up 2 min 5 s, rooms 2, participants 5, tracks 9, restarts 1\n"
        "  bridge 1  down: it was killed by signal 9\n")
    assert "wss://lk.example" in ctl_output.text_of("status", {"media": {"engine": "livekit", "url": "wss://lk.example"}})


def test_findings_as_text_and_sum() -> None:
    found = [
        Finding("disk", Grade.OK, "Fine."),
        Finding("dns", Grade.ERROR, "Bad.", ("Add:", "a record")),
        Finding("dns", Grade.WARNING, "So so."),
    ]
    assert ctl_output.findings_text(found, is_coloured=False) == (
        "disk\n  ok       Fine.\ndns\n  ERROR    Bad.\n           Add:\n           a record\n"
        "  WARNING  So so.\n1 error, 1 warning.\n"
    )
    assert ctl_output.findings_text([], is_coloured=False) == "no errors, no warnings.\n"
