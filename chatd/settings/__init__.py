"""The settings of chatd.toml, each declared once: default, kind with bounds, a sentence, and whether a reload
(SIGHUP) carries it out or only a restart.

Frozen values only: nothing here reads a file. `chatd.config` does, and works from these declarations when it
refuses unknown keys or compares two readings; so do the tests of the sample file and of the manual page.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
from attrs import frozen

from chatd.settings.kinds import (
    Address,
    Addresses,
    Choice,
    FilePath,
    Flag,
    IceUrls,
    IPAddress,
    IPAddresses,
    Keys,
    Name,
    Names,
    Networks,
    PageOrigins,
    PeerExceptions,
    People,
    Secret,
    StoreURL,
    WebAddress,
    WebSocketAddress,
    Whole,
    setting,
    tables,
)
from chatd.settings.people import AuthSource, DirectorySource, OrganisationGroup
from chatd.settings.webmail import Webmail

KIB, MIB = 1024, 1024 * 1024
DAY_S = 86400


@frozen(kw_only=True)
class Server:
    """[server]: the machine itself."""

    host: str = setting(attrs.NOTHING, Name(), "The name that clients connect to; it need not be a domain.")
    state_dir: Path = setting(Path("var"), FilePath("/var/lib/chatd"), "Holds all that the daemon writes.")
    addresses: tuple[str, ...] = setting(
        (), IPAddresses(), "Where the Internet reaches this machine, for host-meta.json (XEP-0487)."
    )
    admins: tuple[str, ...] = setting(
        (), People(), "Accounts that may administer all domains with an XMPP client.", live=True
    )


@frozen(kw_only=True)
class Domain:
    """[[domain]]: one domain whose people log in as name@DOMAIN."""

    name: str = setting(attrs.NOTHING, Name("example.com"), "What stands behind the @ of its accounts.")
    certificate: Path = setting(None, FilePath(), "PEM file: the certificate, then its chain.", live=True)
    key: Path = setting(None, FilePath("../var/example.com.key"), "PEM file: its private key.", live=True)
    scram: bool = setting(
        False, Flag(), "SCRAM is offered although another server knows the passwords, see passwords.md."
    )
    admins: tuple[str, ...] = setting(
        (), People(), "Accounts that may administer this domain with an XMPP client.", live=True
    )
    password_page: str = setting(
        "", WebAddress(), "Where its people change passwords that another server knows.", live=True
    )
    directory_readers: tuple[str, ...] = setting(
        (), Names(), "Other domains of this server whose people may search this one's directory too."
    )
    groups_by_department: bool = setting(
        False, Flag(), "Everybody has the people of the same department in the contact list, see directory.md."
    )
    auth: tuple[AuthSource, ...] = tables(AuthSource, (AuthSource(kind="internal"),))
    directory: tuple[DirectorySource, ...] = tables(DirectorySource, ())
    group: tuple[OrganisationGroup, ...] = tables(OrganisationGroup, ())


@frozen(kw_only=True)
class Component:
    """[[component]]: a program of its own that serves one domain over XMPP, such as a gateway (XEP-0114)."""

    domain: str = setting(attrs.NOTHING, Name("irc.example.com"), "The domain that it serves.")
    secret: str = setting("", Secret(), "What it shows to be let in: at least 16 characters.", secret=True)
    secret_file: Path | None = setting(
        None, FilePath("/etc/chatd/irc-secret"), "A file that holds it instead."
    )


def _loopback(port: int) -> tuple[Address, ...]:
    return (Address("127.0.0.1", port),)


@frozen(kw_only=True)
class Listen:
    """[listen]: which addresses the daemon answers on; loopback unless told otherwise."""

    c2s: tuple[Address, ...] = setting(_loopback(5222), Addresses(5222), "XMPP clients, STARTTLS required.")
    c2s_tls: tuple[Address, ...] = setting(_loopback(5223), Addresses(5223), "XMPP clients, TLS from the start.")
    s2s: tuple[Address, ...] = setting(
        (), Addresses(5269), "Other servers, STARTTLS required; without it and s2s_tls there is no federation."
    )
    s2s_tls: tuple[Address, ...] = setting((), Addresses(5270), "Other servers, TLS from the start.")
    https: tuple[Address, ...] = setting(
        _loopback(5281), Addresses(5281), "Browsers: log-in page, panel, WebSocket, BOSH."
    )
    http: tuple[Address, ...] = setting(
        _loopback(5280), Addresses(5280), "The same without TLS, for a reverse proxy on this machine."
    )
    metrics: tuple[Address, ...] = setting(_loopback(5282), Addresses(5282), "/metrics for Prometheus.")
    component: tuple[Address, ...] = setting(
        _loopback(5347), Addresses(5347), "Components of this machine, where there is any [[component]]."
    )


@frozen(kw_only=True)
class S2S:
    """[s2s]: other servers, once listen.s2s or listen.s2s_tls lets them in."""

    allow: tuple[str, ...] = setting((), Names(), "The only domains to talk to; everybody, if empty.", live=True)
    block: tuple[str, ...] = setting((), Names(), "Domains not to talk to, with all below them.", live=True)
    dialback: bool = setting(
        True, Flag(), "Believe a server without a good certificate if the one DNS names vouches for it.", live=True
    )
    exceptions: Mapping[str, Mapping[str, bool | str]] = setting(
        attrs.Factory(dict), PeerExceptions(), "For single domains: dialback, encryption, address.", live=True
    )
    authorities: Path | None = setting(
        None, FilePath("/etc/chatd/authorities.pem"), "Who may certify other servers; by default the system's list."
    )
    nameservers: tuple[Address, ...] = setting((), Addresses(53), "DNS servers; by default the system's.")
    host_meta: str = setting(
        "fallback",
        Choice(("fallback", "first", "off")),
        "Ask a domain's web site where its servers are (XEP-0487): where DNS leads nowhere, before DNS, or never.",
        live=True,
    )
    private_addresses: bool = setting(
        False, Flag(), "Connect to servers at addresses of private networks and of this machine.", live=True
    )
    queue_stanzas: int = setting(1000, Whole(10, 1_000_000), "That may wait for one domain.", live=True)
    queue_s: int = setting(300, Whole(1, 86400), "How long they wait for a server that was there before.", live=True)


@frozen(kw_only=True)
class Store:
    """[store]: the database."""

    url: str = setting("sqlite:chatd.sqlite", StoreURL(), "An SQLite file or a PostgreSQL database.", secret=True)
    commit_interval_ms: int = setting(3, Whole(0, 1000), "Messages that arrive within it are written together.")
    durability: str = setting("full", Choice(("full", "normal")), "Acknowledge when the disk has it, or the system.")
    pool: int = setting(4, Whole(1, 64), "Database connections for reading.")


@frozen(kw_only=True)
class Limits:
    """[limits]: what one stream, address or account may use. Beyond a rate the daemon reads slower, without
    an error.
    """

    stanza_bytes: int = setting(256 * KIB, Whole(10_000, 16 * MIB), "The largest stanza (RFC 6120 13.12).", live=True)
    preauth_stanza_bytes: int = setting(10 * KIB, Whole(2048, MIB), "The largest one before log-in.", live=True)
    depth: int = setting(64, Whole(8, 1000), "How deep elements may nest.", live=True)
    stanzas_per_second: int = setting(250, Whole(1, 1_000_000), "Of one stream, in the long run.", live=True)
    stanzas_burst: int = setting(1000, Whole(1, 1_000_000), "That many at once are not yet fast.", live=True)
    bytes_per_second: int = setting(MIB, Whole(1024, 1024 * MIB), "Of one stream, in the long run.", live=True)
    bytes_burst: int = setting(4 * MIB, Whole(1024, 1024 * MIB), "That many at once are not yet fast.", live=True)
    handshake_s: int = setting(30, Whole(1, 600), "Until the TLS handshake must be done.", live=True)
    auth_s: int = setting(60, Whole(5, 3600), "Until a client must have logged in.", live=True)
    sessions_per_account: int = setting(32, Whole(1, 10_000), "Clients of one person at a time.", live=True)
    connections_per_address: int = setting(200, Whole(1, 1_000_000), "From one IP address at a time.", live=True)
    group_members: int = setting(
        500, Whole(2, 10_000), "Of one group of the organisation; a larger one is in no roster."
    )
    roster_items: int = setting(2000, Whole(10, 100_000), "Contacts of one account.", live=True)
    vcard_bytes: int = setting(128 * KIB, Whole(KIB, 16 * MIB), "One vCard with its picture.", live=True)
    private_bytes: int = setting(64 * KIB, Whole(KIB, 16 * MIB), "One element of private storage.", live=True)
    offline_messages: int = setting(1000, Whole(0, 1_000_000), "Kept for an account while nobody is there.", live=True)
    resume_s: int = setting(300, Whole(0, DAY_S), "How long a cut session waits for its client.", live=True)
    resume_stanzas: int = setting(2000, Whole(10, 1_000_000), "That it keeps meanwhile.", live=True)


@frozen(kw_only=True)
class Auth:
    """[auth]: passwords."""

    scram_iterations: int = setting(
        10_000,
        Whole(4096, 10_000_000),
        "Rounds of SCRAM for passwords set from now on (RFC 7677).",
        live=True,
    )
    token_days: int = setting(
        30, Whole(0, 365), "How long an unused token lets a client log in without the password; 0: none.", live=True
    )


@frozen(kw_only=True)
class Registration:
    """[registration]: what people may do with accounts themselves."""

    invitations: str = setting(
        "off", Choice(("off", "admins", "everybody")),
        "Who may invite people to make an account: nobody, the domain's admins, everybody with an account.", live=True,
    )
    invitation_days: int = setting(7, Whole(1, 365), "How long an invitation is good.", live=True)
    password_change: bool = setting(
        True, Flag(), "People may change their passwords, where chatd keeps them.", live=True
    )
    may_cancel: bool = setting(False, Flag(), "People may delete their accounts.", live=True)


@frozen(kw_only=True)
class Http:
    """[http]: what browsers and proxies need to know."""

    public_url: str = setting(
        "", WebAddress(), "The address people open; by default https, the server's host and the HTTPS port."
    )
    trusted_proxies: tuple[str, ...] = setting(
        (), Networks(), "Proxies whose X-Forwarded-For is believed on the plain HTTP port."
    )
    origins: tuple[str, ...] = setting(
        (), PageOrigins(), "Pages of other hosts that may connect, such as the Webmail's."
    )
    style: Path | None = setting(
        None, FilePath("/etc/chatd/site.css"), "A style sheet with the site's own colours, see webmail.md."
    )
    metrics_readers: tuple[str, ...] = setting(
        (), Networks(), "Who besides this machine may read /metrics on listen.metrics."
    )


@frozen(kw_only=True)
class Api:
    """[api]: what the Webmail's server may ask over HTTP, below /api/v1."""

    keys: Mapping[str, str] = setting(
        attrs.Factory(dict), Keys(), "A secret for each program that may ask; without any, nobody may.", live=True,
        secret=True,
    )


@frozen(kw_only=True)
class Log:
    """[log]: what is written down; never a password, a token or a message."""

    format: str = setting("text", Choice(("text", "json")), "For a terminal, or one JSON object a line.", live=True)
    level: str = setting("info", Choice(("debug", "info", "warn", "error")), "From which importance on.", live=True)
    file: Path | None = setting(
        None, FilePath("/var/log/chatd/chatd.log"), "Where to; standard error without it.", live=True
    )


@frozen(kw_only=True)
class Archive:
    """[archive]: the history that every client of an account can read (XEP-0313)."""

    default: str = setting(
        "always",
        Choice(("always", "roster", "never")),
        "Whose messages are kept, unless the person chose.",
        live=True,
    )
    retention_days: int = setting(
        0, Whole(0, 36_500), "After that many days they are deleted; 0 keeps them.", live=True
    )


@frozen(kw_only=True)
class Media:
    """[media]: what carries sound and pictures of meetings."""

    engine: str = setting(
        "embedded",
        Choice(("embedded", "livekit", "off")),
        "The media bridge that comes with chatd, a LiveKit server, or nothing.",
    )
    address: str = setting("0.0.0.0", IPAddress(), "Embedded: where media arrives, UDP and TCP.")
    port: int = setting(7882, Whole(0, 65535), "Embedded: its port; each further process takes the next one.")
    announce: tuple[str, ...] = setting(
        (), IPAddresses(), "Embedded: the addresses people reach it at; by default this machine's own."
    )
    processes: int = setting(1, Whole(1, 64), "Embedded: bridge processes, one a processor core.")
    spare: bool = setting(
        True, Flag(), "Embedded: one more process waits, all loaded, for one that fails; it takes some 70 MB."
    )
    recordings: Path | None = setting(
        None, FilePath("/var/lib/chatd/recordings"), "Embedded: the folder recordings are written to."
    )
    room_participants: int = setting(200, Whole(2, 10_000), "Embedded: people in one meeting.")
    process_participants: int = setting(1000, Whole(2, 100_000), "Embedded: people in all meetings of a process.")
    url: str = setting("", WebSocketAddress(), "LiveKit: the address of the server.")
    api_key: str = setting("", Secret(), "LiveKit: the name of the key the server knows.")
    api_secret: str = setting("", Secret(), "LiveKit: what belongs to that key.", secret=True)
    api_secret_file: Path | None = setting(
        None, FilePath("/etc/chatd/livekit-secret"), "LiveKit: a file that holds it instead."
    )


@frozen(kw_only=True)
class Turn:
    """[media.turn]: a TURN server such as coturn, for people whose network lets no UDP through."""

    urls: tuple[str, ...] = setting((), IceUrls(), "Where it is reached; none switches it off.")
    secret: str = setting("", Secret(), "What it shares with chatd (coturn: static-auth-secret).", secret=True)
    secret_file: Path | None = setting(
        None, FilePath("/etc/chatd/turn-secret"), "A file that holds it instead."
    )
    ttl_s: int = setting(DAY_S, Whole(60, 30 * DAY_S), "How long the credentials people get are good.")


@frozen(kw_only=True)
class Settings:
    """The whole file. `path` is where it was read; `modules` holds [modules.NAME] as written."""

    path: Path
    server: Server
    domains: tuple[Domain, ...]
    components: tuple[Component, ...] = ()
    listen: Listen = Listen()
    s2s: S2S = S2S()
    store: Store = Store()
    limits: Limits = Limits()
    auth: Auth = Auth()
    registration: Registration = Registration()
    http: Http = Http()
    api: Api = Api()
    log: Log = Log()
    archive: Archive = Archive()
    media: Media = Media()
    turn: Turn = Turn()
    webmails: tuple[Webmail, ...] = ()
    modules: Mapping[str, Mapping[str, Any]] = attrs.field(factory=dict)

    @property
    def has_federation(self) -> bool:
        """Other servers may come, so we go to them too."""
        return bool(self.listen.s2s or self.listen.s2s_tls)

    @property
    def control_socket(self) -> Path:
        """Where chatctl finds the daemon."""
        return self.server.state_dir / "chatctl.sock"

    def table(self, name: str) -> Any:
        """Return the table of a name in TABLES."""
        return getattr(self, attribute_of(name))

    def domain(self, name: str) -> Domain | None:
        """Return the domain of that name, or None."""
        return next((domain for domain in self.domains if domain.name == name), None)


TABLES: dict[str, type] = {
    "server": Server,
    "listen": Listen,
    "s2s": S2S,
    "store": Store,
    "limits": Limits,
    "auth": Auth,
    "registration": Registration,
    "http": Http,
    "api": Api,
    "log": Log,
    "archive": Archive,
    "media": Media,
    "media.turn": Turn,
}
"""By the name in the file; a table inside another has both names."""


BLOCKS: dict[str, type] = {
    "component": Component, "domain": Domain, "domain.auth": AuthSource, "domain.directory": DirectorySource,
    "domain.group": OrganisationGroup, "webmail": Webmail,
}
"""Tables of which there may be several, [[NAME]]."""


def attribute_of(name: str) -> str:
    """Return what a table of TABLES is called in Settings."""
    return name.rpartition(".")[2]
