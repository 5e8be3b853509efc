"""Certificates: choice by SNI, ALPN by port, exchange under live connections, and mistakes in the operator's words."""

from __future__ import annotations

import hashlib
import shutil
import ssl

import pytest
import pytest_twisted

from chatd.server.certificates import C2S, HTTPS, S2S, CertificateError, Certificates
from tests.server.tls_kit import (
    Echo,
    Pem,
    exchange,
    in_thread,
    listening,
    make_certificate,
    pem,
    tls,
)

__all__ = ["pem"]  # fixture


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Certificates of two domains and of the server's own host name."""
    folder = tmp_path_factory.mktemp("certificates")
    return {
        "one": make_certificate(folder, "one.example", "one.example", "xmpp.example"),
        "two": make_certificate(folder, "two.example", "two.example", "*.two.example", kind="rsa"),
    }


def shown(s) -> str:
    """Name the certificate a client was shown."""
    return hashlib.sha256(s.getpeercert(True)).hexdigest()


def of(pem: Pem) -> str:
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem.certificate.read_text())).hexdigest()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("one.example", "one"), ("two.example", "two"), ("TWO.example", "two"), ("chat.two.example", "two"),
        ("a.b.two.example", "one"), ("unknown.example", "one"), ("xmpp.example", "one"), (None, "one"),
    ],
)
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2])
@pytest_twisted.ensureDeferred
async def test_a_client_is_shown_the_certificate_of_the_name_it_asks_for(made, name, expected, version):
    contexts = Certificates("xmpp.example", [made["two"], made["one"]]).contexts(C2S)
    with listening(Echo, contexts) as port:
        s = await in_thread(tls, port.number, version, name)
        assert shown(s) == of(made[expected])
        assert s.selected_alpn_protocol() == "xmpp-client"
        s.close()


def test_the_servers_own_name_chooses_the_default(made):
    two = Certificates("nobody.example", [made["two"], made["one"]])
    assert two._generation._default == "two.example"
    assert Certificates("xmpp.example", [made["two"], made["one"]])._generation._default == "one.example"
    assert two.loaded["two.example"].names == ("two.example", "*.two.example")
    assert two.loaded["two.example"].covers("conference.two.example")
    assert not two.loaded["two.example"].covers("example")


@pytest.mark.parametrize(
    ("protocols", "strict", "offered", "expected"),
    [
        (C2S, True, ("xmpp-client",), "xmpp-client"), (C2S, True, (), None), (C2S, True, ("h2", "http/1.1"), "refused"),
        (C2S, False, ("h2", "http/1.1"), None), (HTTPS, True, ("h2", "http/1.1"), "http/1.1"),
        (S2S, True, ("xmpp-client",), "refused"), ((), True, ("anything",), None),
    ],
)
@pytest_twisted.ensureDeferred
async def test_each_port_speaks_its_own_protocols(made, protocols, strict, offered, expected):
    contexts = Certificates("one.example", made.values()).contexts(protocols, strict)
    with listening(Echo, contexts) as port:
        if expected == "refused":
            with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
                await in_thread(tls, port.number, None, "two.example", offered)
            assert await port.built[0].lost == "TLSFailed"
        else:
            s = await in_thread(tls, port.number, None, "two.example", offered)
            assert s.selected_alpn_protocol() == expected
            s.close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1])
@pytest_twisted.ensureDeferred
async def test_old_versions_are_refused(made, version):
    def client():
        import warnings

        from tests.server.tls_kit import client_context, tcp

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            c = client_context()
            c.minimum_version = ssl.TLSVersion.TLSv1
            c.maximum_version = version
            c.set_ciphers("ALL:@SECLEVEL=0")
        c.wrap_socket(tcp(port.number), server_hostname="one.example")

    with listening(Echo, Certificates("one.example", made.values()).contexts(C2S)) as port:
        with pytest.raises(ssl.SSLError):
            await in_thread(client)


@pytest_twisted.ensureDeferred
async def test_only_ciphers_with_forward_secrecy(made):
    def client():
        from tests.server.tls_kit import client_context, tcp

        c = client_context(ssl.TLSVersion.TLSv1_2)
        c.set_ciphers("AES128-GCM-SHA256:AES128-SHA")
        c.wrap_socket(tcp(port.number), server_hostname="two.example")

    with listening(Echo, Certificates("two.example", made.values()).contexts(C2S)) as port:
        with pytest.raises(ssl.SSLError):
            await in_thread(client)


# -- exchange

def copied(pem: Pem, folder) -> Pem:
    new = Pem(pem.name, folder / "in-use.pem", folder / "in-use.key")
    shutil.copy(pem.certificate, new.certificate)
    shutil.copy(pem.key, new.key)
    return new


@pytest_twisted.ensureDeferred
async def test_new_files_are_for_new_connections_and_leave_the_live_ones_alone(made, tmp_path):
    used = copied(made["one"], tmp_path)
    certificates = Certificates("one.example", [used])
    with listening(Echo, certificates.contexts(C2S)) as port:
        s = await in_thread(tls, port.number)
        renewed = make_certificate(tmp_path, "one.example", file="in-use")
        certificates.reload()
        t = await in_thread(tls, port.number)
        assert shown(s) == of(made["one"])
        assert shown(t) == of(renewed)
        for client in (s, t):
            assert await in_thread(exchange, client, b"alive") == b"alive"
            client.close()


@pytest_twisted.ensureDeferred
async def test_a_bad_file_leaves_everything_as_it_was(made, tmp_path):
    used = copied(made["one"], tmp_path)
    certificates = Certificates("one.example", [used, made["two"]])
    with listening(Echo, certificates.contexts(C2S)) as port:
        used.certificate.write_text("nonsense")
        with pytest.raises(CertificateError, match="in-use.pem"):
            certificates.reload()
        s = await in_thread(tls, port.number, None, "one.example")
        assert shown(s) == of(made["one"])
        s.close()
        certificates.reload(host="two.example", domains=[made["two"]])
        assert list(certificates.loaded) == ["two.example"]
        s = await in_thread(tls, port.number, None, "one.example")
        assert shown(s) == of(made["two"])
        s.close()


# -- mistakes

def spoiled(case: str, pem: Pem, other: Pem, folder) -> Pem:
    used = copied(pem, folder)
    if case == "no certificate":
        used.certificate.unlink()
    elif case == "no key":
        used.key.unlink()
    elif case == "not a certificate":
        used.certificate.write_text("hello")
    elif case == "not a key":
        used.key.write_text("hello")
    elif case == "another key":
        shutil.copy(other.key, used.key)
    elif case == "passphrase":
        make_certificate(folder, pem.name, passphrase=b"sesame", file="in-use")
    return used


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("no certificate", "in-use.pem cannot be read: No such file"), ("no key", "in-use.key .*: No such file"),
        ("not a certificate", "in-use.pem is not a certificate"), ("not a key", "in-use.key .* not a private key"),
        ("another key", "in-use.key .* does not belong to the certificate"), ("passphrase", "in-use.key .*passphrase"),
    ],
)
@pytest.mark.parametrize("kind", ["one", "two"])
def test_a_mistake_is_said_in_a_sentence(made, tmp_path, case, words, kind):
    other = make_certificate(tmp_path, "other.example", kind="rsa" if kind == "two" else "ec")
    bad = spoiled(case, made[kind], other, tmp_path)
    with pytest.raises(CertificateError, match=words) as e:
        Certificates("x", [bad])
    assert e.value.mistakes[0].startswith(made[kind].name)


def test_all_mistakes_are_told_at_once(tmp_path):
    missing = [Pem(f"{n}.example", tmp_path / f"{n}.pem", tmp_path / f"{n}.key") for n in ("a", "b")]
    with pytest.raises(CertificateError) as e:
        Certificates("x", missing)
    assert len(e.value.mistakes) == 2
    with pytest.raises(CertificateError, match="domain"):
        Certificates("x", [])
