"""What `chatctl check` finds: certificates, DNS, ports, disk, configuration."""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from twisted.names import dns as records
from twisted.names.error import DNSNameError, DNSQueryTimeoutError

from chatd import ctl_output
from chatd.checks import Finding, Grade, certificates, configuration, disk, dns, ports, worst
from chatd.config import ConfigError, load
from chatd.selfsigned import self_signed
from chatd.settings import Settings

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

    def test_a_proxy_that_is_not_trusted(self, write: Any) -> None:
        settings = write(extra='[http]\npublic_url = "https://chat.service.org"\n')
        assert "trusted_proxies" in texts(configuration.check(settings), Grade.WARNING)


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
