"""Certificates: which one a client is shown, the contexts they live in, and their exchange while connections are up.

A client names the domain it wants by SNI (RFC 6066 3): a domain's own certificate first, else one that covers the
name, else the default - a name nobody knows is no reason to refuse. A context exists per certificate and per set of
ALPN protocols, because OpenSSL asks the context that is current after SNI.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import attrs
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL
from twisted.logger import Logger

from chatd.core.jid import ascii_domain

log = Logger()

#: Key agreement with forward secrecy and authenticated encryption only; TLS 1.3 has nothing else (RFC 9325 4.2).
CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20"

#: What a port speaks, by ALPN (RFC 7301): XEP-0368 for the two XMPP names.
C2S = (b"xmpp-client",)
S2S = (b"xmpp-server",)
HTTPS = (b"http/1.1",)


class Asks(Protocol):
    """What asks peers for certificates (chatd.server.s2s.trust.Trust); hashable."""

    def apply(self, context: SSL.Context) -> None:
        """Set it up in a context."""


#: What differs between the contexts of two ports: ALPN protocols, whether others are refused, and what asks clients for
#: a certificate.
_Kind = tuple[tuple[bytes, ...], bool, Asks | None]


class CertificateError(Exception):
    """Certificates could not be loaded; `mistakes` has one sentence for each file, in the words of an operator."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("; ".join(mistakes))
        self.mistakes = mistakes


class NoApplicationProtocol(SSL.Error):
    """Raised inside the handshake, so that the client gets the alert of this name (RFC 7301 3.2)."""

    def __init__(self) -> None:
        super().__init__([("ALPN", "", "no application protocol")])


class Domain(Protocol):
    """What is needed of a domain's settings (chatd.settings.kinds.Domain)."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def certificate(self) -> Path:
        """PEM file: certificate and chain."""

    @property
    def key(self) -> Path:
        """PEM file: the key."""


@attrs.frozen
class Loaded:
    """One domain's certificate as it is in use."""

    domain: str
    path: Path
    #: The DNS names it is valid for, lower case, A-labels, possibly with a wildcard.
    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime

    def covers(self, name: str) -> bool:
        """Tell whether it is valid for `name` (RFC 6125 6.4: a wildcard stands for the whole first label only)."""
        name = _a_label(name)
        return name in self.names or ("*." + name.partition(".")[2]) in self.names


class Contexts:
    """One port's view of the certificates: what `getContext()` gives is always the newest."""

    def __init__(self, certificates: Certificates, kind: _Kind) -> None:
        self._certificates, self._kind = certificates, kind

    def getContext(self) -> SSL.Context:
        """Give the context for a new connection; SNI may change it in the handshake."""
        return self._certificates.context(self._kind)


class Certificates:
    """The certificates of all domains.

    `host` is the server's own name, for clients that ask for it or for nothing; its certificate is that of the
    domain with this name, else the first that covers it, else the first domain's.
    """

    def __init__(self, host: str, domains: Iterable[Domain]) -> None:
        """Load them; raises CertificateError."""
        self._kinds: set[_Kind] = set()
        self._generation = _Generation(host, tuple(domains), self._kinds)

    def contexts(
        self, protocols: tuple[bytes, ...] = (), strict: bool = True, asks: Asks | None = None
    ) -> Contexts:
        """Give the contexts for a port that speaks `protocols` (C2S, S2S, HTTPS).

        `strict`: refuse a client that offers only other protocols (RFC 7301 3.2), so that a browser cannot be led
        to an XMPP port; a client that offers none is always served. Not strict for STARTTLS, where no browser is.
        `asks`: asks clients for a certificate; the port of servers then shows services (conference.example.com) the
        certificate of the domain above them.
        Raises CertificateError if the files are not what they were when they were loaded.
        """
        kind = (protocols, strict, asks)
        self._generation.prepare(kind)
        self._kinds.add(kind)
        return Contexts(self, kind)

    def context(self, kind: _Kind) -> SSL.Context:
        """Give the default context in use now for this kind of port."""
        return self._generation.context(kind)

    def outgoing(self, name: str, protocols: tuple[bytes, ...], asks: Asks) -> SSL.Context:
        """Give the context for a connection that `name`, a domain of ours or a service of one, opens to a server."""
        return self._generation.outgoing(name, protocols, asks)

    def reload(self, host: str | None = None, domains: Iterable[Domain] | None = None) -> None:
        """Read all files again (with another host name or other domains if given) and use them for new connections.

        All or nothing: raises CertificateError and leaves everything as it was if one file is bad. Connections
        that are up, or in mid-handshake, keep what they began with.
        """
        old = self._generation
        self._generation = _Generation(
            old.host if host is None else host, old.domains if domains is None else tuple(domains), self._kinds
        )
        log.info("Certificates loaded for {names}", names=", ".join(self._generation.loaded))

    @property
    def loaded(self) -> Mapping[str, Loaded]:
        """The certificates in use, by domain."""
        return self._generation.loaded


class _Generation:
    """What one loading gave; never changed, only replaced as a whole."""

    def __init__(self, host: str, domains: tuple[Domain, ...], kinds: Iterable[_Kind]) -> None:
        self.host, self.domains = host, domains
        self.loaded: dict[str, Loaded] = {}
        self._contexts: dict[_Kind, dict[str, SSL.Context]] = {}
        self._outgoing: dict[tuple[str, tuple[bytes, ...], Asks], SSL.Context] = {}
        mistakes = []
        for domain in domains:
            try:
                self.loaded[_a_label(domain.name)] = _read(domain)
                _new_server_context(domain)  # so that a bad key is found now, whoever will use it
            except CertificateError as e:
                mistakes += e.mistakes
        if not domains:
            mistakes.append("No [[domain]] with a certificate is configured.")
        if mistakes:
            raise CertificateError(mistakes)
        self._default = self.choose(host) or next(iter(self.loaded))
        for kind in kinds:
            self.prepare(kind)

    def choose(self, name: str) -> str | None:
        """Name the domain whose certificate answers for `name`, None if none does."""
        name = _a_label(name)
        if name in self.loaded:
            return name
        return next((domain for domain, loaded in self.loaded.items() if loaded.covers(name)), None)

    def choose_for_service(self, name: str) -> str:
        """Name the domain whose certificate stands for `name`, which may be a service on a subdomain."""
        chosen = self.choose(name)
        above = _a_label(name)
        while chosen is None and (above := above.partition(".")[2]):
            chosen = above if above in self.loaded else None
        return chosen or self._default

    def outgoing(self, name: str, protocols: tuple[bytes, ...], asks: Asks) -> SSL.Context:
        """See Certificates.outgoing."""
        key = (self.choose_for_service(name), protocols, asks)
        context = self._outgoing.get(key)
        if context is None:
            domain = next(domain for domain in self.domains if _a_label(domain.name) == key[0])
            context = self._outgoing[key] = _with_pair(new_context(SSL.TLS_CLIENT_METHOD), domain)
            if protocols:
                context.set_alpn_protos(list(protocols))
            asks.apply(context)
        return context

    def prepare(self, kind: _Kind) -> None:
        """Make the contexts of all domains for this kind of port."""
        if kind in self._contexts:
            return
        contexts = {_a_label(domain.name): _new_server_context(domain) for domain in self.domains}

        def named(connection: SSL.Connection) -> None:
            # Called by OpenSSL in the handshake, once the client has said whom it wants.
            name = (connection.get_servername() or b"").decode("ascii", "replace")
            chosen = (self.choose if asks is None else self.choose_for_service)(name) if name else None
            if chosen is not None and chosen != self._default:
                connection.set_context(contexts[chosen])

        protocols, strict, asks = kind
        for context in contexts.values():
            if asks is not None:
                asks.apply(context)
            if protocols:
                context.set_alpn_select_callback(_select(protocols, strict))
        if asks is not None:
            for domain in self.domains:  # so that a file that changes is read with the rest, at a reload
                for spoken in ((), protocols):
                    self.outgoing(domain.name, spoken, asks)
        contexts[self._default].set_tlsext_servername_callback(named)
        self._contexts[kind] = contexts

    def context(self, kind: _Kind) -> SSL.Context:
        return self._contexts[kind][self._default]


def new_context(method: int) -> SSL.Context:
    """Make a context as all of ours are: modern, lean in memory, and watched for floods of late messages."""
    context = SSL.Context(method)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_cipher_list(CIPHERS)
    context.set_options(SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_COMPRESSION)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)  # 20 KiB less for each idle connection
    context.set_info_callback(watch)
    return context


def _new_server_context(domain: Domain) -> SSL.Context:
    context = new_context(SSL.TLS_SERVER_METHOD)
    context.set_session_id(b"chatd")
    return _with_pair(context, domain)


def _with_pair(context: SSL.Context, domain: Domain) -> SSL.Context:
    """Load a domain's certificate and key into a context; raises CertificateError."""
    try:
        context.use_certificate_chain_file(str(domain.certificate))
    except SSL.Error as e:
        why = _reasons(e) or "it cannot be read"
        raise CertificateError([f"{domain.name}: the certificate {domain.certificate} cannot be used: {why}."]) from e
    try:
        key: Any = load_pem_private_key(domain.key.read_bytes(), None)
        context.use_privatekey(key)
        context.check_privatekey()
    except OSError as e:
        why = e.strerror or "it cannot be read"
    except TypeError:
        why = "it is protected by a passphrase, which a daemon cannot type"
    except (ValueError, UnsupportedAlgorithm):
        why = "it is not a private key in PEM form"
    except SSL.Error as e:
        why = "it does not belong to the certificate" if "mismatch" in _reasons(e) else _reasons(e)
    else:
        return context
    raise CertificateError([f"{domain.name}: the key {domain.key} cannot be used: {why}."])


def client_context(
    protocols: tuple[bytes, ...] = (), verify: bool = True, authorities: Path | None = None
) -> SSL.Context:
    """Make a context for outgoing connections.

    `verify`: end the handshake if the chain does not lead to one of `authorities` (a PEM file; default: the
    system's). It does not compare names; ask `transport.getPeerCertificate()` for that.
    """
    context = new_context(SSL.TLS_CLIENT_METHOD)
    if protocols:
        context.set_alpn_protos(list(protocols))
    if verify:
        context.set_verify(SSL.VERIFY_PEER)
    if authorities is not None:
        context.load_verify_locations(str(authorities))
    elif verify:
        context.set_default_verify_paths()
    return context


def watch(connection: SSL.Connection, where: int, value: int) -> None:
    """Tell the transport of each handshake message and alert after the handshake; called by OpenSSL."""
    if where & (SSL.SSL_CB_LOOP | SSL.SSL_CB_ALERT):
        transport: Any = connection.get_app_data()
        if transport is not None:
            transport.late_message()


def _select(protocols: tuple[bytes, ...], strict: bool) -> Callable[[SSL.Connection, list[bytes]], Any]:
    def select(connection: SSL.Connection, offered: list[bytes]) -> Any:
        for protocol in protocols:
            if protocol in offered:
                return protocol
        if strict:
            raise NoApplicationProtocol
        return SSL.NO_OVERLAPPING_PROTOCOLS

    return select


def _read(domain: Domain) -> Loaded:
    try:
        certificate = x509.load_pem_x509_certificates(domain.certificate.read_bytes())[0]
    except OSError as e:
        raise CertificateError(
            [f"{domain.name}: the certificate {domain.certificate} cannot be read: {e.strerror}."]
        ) from e
    except ValueError as e:
        raise CertificateError(
            [f"{domain.name}: {domain.certificate} is not a certificate in PEM form."]
        ) from e
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        dns = tuple(name.lower() for name in names.get_values_for_type(x509.DNSName))
    except (x509.ExtensionNotFound, ValueError):
        dns = ()
    return Loaded(
        domain.name, domain.certificate, dns, certificate.not_valid_before_utc, certificate.not_valid_after_utc
    )


def _reasons(e: SSL.Error) -> str:
    return " ".join(reason for _, _, reason in e.args[0]) if e.args else ""


def _a_label(name: str) -> str:
    return ascii_domain(name.rstrip(".").lower())
