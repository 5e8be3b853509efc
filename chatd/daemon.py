"""The daemon: which rooms it is made of, in which order they start, reload and stop."""

from __future__ import annotations

import gc
import os
import resource
import signal
import time
from collections.abc import Callable, Mapping
from typing import Any

import chatd.compat

import attrs
from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.threads import deferToThread, deferToThreadPool
from twisted.logger import ILogObserver, Logger
from twisted.names.client import Resolver
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool
from twisted.web.resource import IResource

from chatd import notify
from chatd.auth.internal import InternalChecker, make_verifiers
from chatd.auth.outside import FirstLogins
from chatd.auth.portal import Authentication
from chatd.auth.sources import make_checkers
from chatd.auth.token import Tokens
from chatd.commands import UserCommands
from chatd.commands.portable import PortableCommands
from chatd.commands.server import ServerCommands
from chatd.commands.tokens import TokenCommands
from chatd.config import ConfigError, Mistake, changes, live, load, with_secrets
from chatd.core.errors import StanzaError
from chatd.core.jid import JID
from chatd.core.uploads import UPLOADS_PATH
from chatd.directory.directories import Directories
from chatd.figures import FederationFigures, Figures, UploadFigures, make_registry
from chatd.interfaces import IInvitations, IMeetings, IUploads
from chatd.log import Observer
from chatd.media.service import make_media
from chatd.modules import Modules, module_classes, option_mistakes
from chatd.server.bosh import BoshResource
from chatd.server.c2s import C2SFactory
from chatd.server.certificates import C2S, HTTPS, S2S, CertificateError, Certificates
from chatd.server.component import ComponentFactory, Components
from chatd.server.control import CommandError, Commands, ControlFactory
from chatd.server.origins import Origins
from chatd.server.port import TLSPort
from chatd.server.router import Router
from chatd.server.s2s.check import DomainCheck
from chatd.server.s2s.federation import Federation
from chatd.server.s2s.finding import system_resolver
from chatd.server.s2s.incoming import S2SFactory
from chatd.server.streams import ClientStreams, source_of
from chatd.server.tls import Times
from chatd.server.turn import turn_of
from chatd.server.websocket import WebSocketResource
from chatd.settings import Log, Settings
from chatd.settings.kinds import Address
from chatd.state import StateDirError, make_state_dir, site_secret
from chatd.store import StoreError, open_store
from chatd.web.directory import DIRECTORY_PATH, DirectoryResource
from chatd.web.embed import EMBED_PATH, EmbedPage
from chatd.web.headers import SecurityHeaders
from chatd.web.hostmeta import Ways
from chatd.web.invitations import INVITE_PATH, InvitationPage
from chatd.web.meetings import MEETINGS_PATH, PAGE_PATH, MeetingPage, MeetingsResource
from chatd.web.recordings import RECORDINGS_PATH, RecordingsResource
from chatd.web.signed import Signatures
from chatd.web.site import BOSH_PATH, STATIC_DIR, WEBSOCKET_PATH, make_metrics_site, make_site
from chatd.web.sitestyle import STYLE_PATH, SiteStyle
from chatd.web.sso import SSO_PATH, SignOnResource
from chatd.web.static import StaticFiles
from chatd.web.uploads import UploadsResource
from chatd.xep.api import Api, Module

log = Logger()

DISK_THREADS = 4
"""For files that people send."""

OPEN_FILES = 65536
"""File descriptors asked for: one a connection."""

EXPECTED = (ConfigError, StateDirError, CertificateError, StoreError, CannotListenError)
"""What may keep a daemon from starting; its text is for the sysadmin, a traceback would only hide it."""


class Daemon(MultiService):
    """The whole of chatd as one service.

    settings: what it began with; `settings` afterwards is what is in force. observer: where the log goes.
    is_detached: it has no terminal; without log.file the log then goes to state_dir/chatd.log.
    """

    def __init__(self, settings: Settings, observer: Observer, reactor: Any, is_detached: bool = False) -> None:
        super().__init__()
        self.settings = settings
        self.observer = observer
        self.reactor = reactor
        self.is_detached = is_detached
        self.commands = Commands()
        self.ports: list[Any] = []
        self.exit_code = 0
        self._started = time.time()
        self._is_up = False
        self._disk = ThreadPool(0, DISK_THREADS, "files")

    # -- life
    def setServiceParent(self, parent: Any) -> None:
        """Give twistd our log observer along with ourselves: it starts logging right after this."""
        if self.is_detached:
            make_state_dir(self.settings.server.state_dir)
            self.observer.configure(self._log_settings(self.settings))
        parent.setComponent(ILogObserver, self.observer)
        super().setServiceParent(parent)

    def startService(self) -> None:
        """Begin as soon as the reactor runs."""
        super().startService()
        self.reactor.callWhenRunning(lambda: ensureDeferred(self.start()).addErrback(self._not_started))

    async def start(self) -> None:
        """Start everything, in this order: nobody is let in before all that serves him is there."""
        settings = self.settings = with_secrets(self.settings)
        classes = module_classes()
        if mistakes := option_mistakes(settings.modules, classes):
            raise ConfigError(settings.path, mistakes)
        raise_open_files()
        make_state_dir(settings.server.state_dir)
        self.certificates = Certificates(settings.server.host, settings.domains)
        self.store = await open_store(settings.store, settings.server.state_dir, self.reactor,
                                      soon=turn_of(self.reactor).soon)
        self.router = Router([domain.name for domain in settings.domains], self.store, self.reactor, time.time)
        checker = InternalChecker(self.store.accounts, settings.auth.scram_iterations)
        checkers = make_checkers(settings, checker, self.reactor, deferToThread)
        welcome = FirstLogins(self.store.accounts, time.time, self._created).welcome
        auth = Authentication(checkers, welcome)
        secret = site_secret(settings.server.state_dir)
        self.streams = ClientStreams(self.router, settings, auth, self.reactor, secret)
        self.tokens = self.streams.tokens = Tokens(
            self.store, self.router.accounts, lambda: self.settings.webmails, welcome, time.time, self._named)
        self.origins = Origins.of(settings.http.origins, settings.http.public_url)
        self.media = make_media(settings, secret, lambda request: not self.origins.refused(request), self.reactor,
                                time.time)
        self.media.setServiceParent(self)  # begins at once; nobody waits for it
        self.directories = Directories(settings.domains, self.store, deferToThread, self.reactor)
        self.modules = Modules(self.commands)
        self.modules.start(classes, settings.modules, self._api)
        self.streams.invitations = IInvitations(self.modules.by_name["invitations"])
        await self.directories.start()
        self._register_commands()
        self.components = self._components()
        self.streams.start()
        self.federation = self._federation(secret)
        self._disk.start()
        self._listen()
        signal.signal(signal.SIGHUP, lambda *_: self.reactor.callFromThread(self._hangup))
        settle_memory()
        self._is_up = True
        text = f"chatd {chatd.__version__} serves {', '.join(sorted(self.router.domains))}"
        log.info("{text}: {url}/", text=text, url=settings.http.public_url)
        notify.ready(text)

    def _not_started(self, failure: Failure) -> None:
        if failure.check(*EXPECTED):
            log.critical("chatd cannot start: {reason}", reason=failure.getErrorMessage())
        else:
            log.failure("chatd cannot start", failure)
        self.exit_code = 1
        self.reactor.addSystemEventTrigger("after", "shutdown", os._exit, 1)
        self.reactor.stop()

    def stopService(self) -> Deferred[None]:
        """Take nobody in any more, tell everybody, write what waits, close the store."""
        notify.stopping()
        return ensureDeferred(self.stop())

    async def stop(self) -> None:
        """See stopService; works however far the start had come."""
        services = super().stopService()
        for port in self.ports:
            await port.stopListening()
        if self._is_up:
            self.router.hooks.tell("server.stopping")
            await self.store.barrier()          # what was said of it is handed out before the streams end
        federation = getattr(self, "federation", None)
        if federation is not None:
            federation.give_back()
        if hasattr(self, "streams"):
            await self.streams.shutdown()
        if hasattr(self, "components"):
            self.components.stop()
        if federation is not None:
            federation.stop()       # behind the clients, whose contacts elsewhere hear that they are gone
        if hasattr(self, "modules"):
            self.directories.stop()
            self.modules.stop()
        await services
        if self._disk.started:
            self._disk.stop()
        if hasattr(self, "store"):
            await self.store.close()

    def _log_settings(self, settings: Settings) -> Log:
        """Return [log]; without a terminal and a file of its own the log goes to the state folder."""
        if self.is_detached and settings.log.file is None:
            return attrs.evolve(settings.log, file=settings.server.state_dir / "chatd.log")
        return settings.log

    # -- joints
    def _created(self, jid: str) -> None:
        self.router.hooks.tell("account.created", jid)

    def _named(self, jid: JID, name: str) -> None:
        self.router.hooks.tell("account.named", jid, name)

    def _api(self, module: Module, options: Mapping[str, Any], modules: Mapping[str, Module]) -> Api:
        return Api(
            module=module,
            hooks=self.router.hooks,
            router=self.router,
            store=self.store,
            options=options,
            settings=self.settings,
            clock=self.reactor,
            now=time.time,
            modules=modules,
            media=self.media.engine,
            directories=self.directories,
            perform=self._perform,
        )

    def _components(self) -> Components:
        """Return what takes components; their domains are served. ConfigError: one of them is by somebody else."""
        components = Components(self.router, self.settings, self.reactor)
        try:
            components.start()
        except ValueError as error:
            raise ConfigError(self.settings.path, (Mistake("component", str(error), "another domain"),)) from None
        return components
    def _perform(self, words: str, arguments: Mapping[str, Any]) -> Deferred[Any]:
        """Have a command carried out for somebody who is not at this machine, but may."""
        def refused(failure: Failure) -> None:
            error = failure.value
            if isinstance(error, CommandError):
                raise StanzaError(error.condition, text=error.text)
            failure.raiseException()

        return self.commands.run(words, arguments).addErrback(refused)

    def _federation(self, secret: bytes) -> Federation | None:
        """Return what talks to other servers, where they are let in; begun."""
        settings = self.settings
        if not settings.has_federation:
            return None
        nameservers = [(address.host, address.port) for address in settings.s2s.nameservers]
        resolver = (Resolver(servers=nameservers, reactor=self.reactor) if nameservers
                    else system_resolver(self.reactor))
        federation = Federation(self.router, settings, self.certificates, resolver, self.reactor, secret)
        federation.start()
        DomainCheck(federation).register(self.commands)
        return federation

    def _listen(self) -> None:
        """Open every address; the control socket last, because who reaches it may rely on the rest."""
        certificates, listen = self.certificates, self.settings.listen
        starttls = C2SFactory(self.streams, certificates.contexts(C2S, strict=False))
        federation = [FederationFigures(self.federation)] if self.federation is not None else []
        files = self._files()
        figures = make_registry(Figures(self.streams, self.router.accounts), *federation, *self.media.collectors(),
                                *([UploadFigures(files)] if files is not None else []))
        checks = {"store": lambda: self.store.accounts.get("", self.settings.domains[0].name)}
        media = self.media.mounts()
        mounts: dict[str, IResource] = {
            WEBSOCKET_PATH: WebSocketResource(self.streams, self.origins),
            BOSH_PATH: BoshResource(self.streams, self.origins),
            SSO_PATH: self._sign_on(),
            STYLE_PATH: SiteStyle(self.settings.http.style),
            EMBED_PATH: EmbedPage(StaticFiles(STATIC_DIR)),
            DIRECTORY_PATH: DirectoryResource(self.directories, self.router.visits.taken, self.reactor.seconds),
            **media,
        }
        mounts[INVITE_PATH] = InvitationPage(
            IInvitations(self.modules.by_name["invitations"]),
            lambda address: self.streams.may_try_token(source_of(address)),
            lambda address: self.streams.token_failed(source_of(address)))
        meet = self.modules.by_name.get("meet")
        if meet is not None:
            meetings = IMeetings(meet)
            mounts |= self._meetings(meetings)
            self.media.admits = meetings.admits
        bodies: dict[str, Any] = {}
        if files is not None:
            bodies[UPLOADS_PATH] = UploadsResource(
                files, self.reactor, self._on_disk, lambda request: not self.origins.refused(request))
        engine = self.media.engine
        elsewhere = (engine.url,) if engine is not None and engine.name == "livekit" else ()
        headers = SecurityHeaders(connect=elsewhere, panel_origins=_panel_origins(self.settings))
        self.site = site = make_site(
            self.settings, STATIC_DIR, {**mounts, **bodies}, reactor=self.reactor, checks=checks, headers=headers,
            long_lines=tuple(media), bodies=bodies, ways=Ways.of(self.settings),
        )
        if self.federation is not None:
            trust = self.federation.trust
            servers = certificates.contexts(S2S, strict=False, asks=trust)
            for address in listen.s2s:
                self._open(address, S2SFactory(self.federation, servers), None)
            for address in listen.s2s_tls:
                self._open(address, S2SFactory(self.federation), certificates.contexts(S2S, asks=trust))
        for address in listen.component if self.settings.components else ():
            self._open(address, ComponentFactory(self.components), None)
        for addresses, factory, context in (
            (listen.c2s, starttls, None),
            (listen.c2s_tls, C2SFactory(self.streams), certificates.contexts(C2S)),
            (listen.https, site, certificates.contexts(HTTPS)),
            (listen.http, site, None),
        ):
            for address in addresses:
                self._open(address, factory, context)
        readers = self.settings.http.metrics_readers
        for address in listen.metrics:
            metrics = make_metrics_site(figures, address.host, reactor=self.reactor, allowed=readers)
            self._open(address, metrics, None)
        path = str(self.settings.control_socket)
        self.ports.append(self.reactor.listenUNIX(path, ControlFactory(self.commands), mode=0o600, wantPID=True))

    def _sign_on(self) -> SignOnResource:
        public = self.settings.http.public_url
        ways = {"websocket": public.replace("http", "ws", 1) + WEBSOCKET_PATH, "bosh": public + BOSH_PATH,
                "embed": f"{public}/embed.js"}
        return SignOnResource(self.tokens, self.store.webmail, lambda: self.settings.webmails,
                              lambda: self.router.domains, ways, time.time, self.reactor.seconds)

    def _files(self) -> Any:
        """Return the IUploads, where there is one."""
        found = getattr(self.modules.by_name.get("upload"), "files", None)
        return IUploads(found) if found is not None else None

    def _on_disk(self, job: Callable[..., Any], *arguments: Any) -> Deferred[Any]:
        """Do something with a file that people send, in a thread: they must not keep others from theirs."""
        return deferToThreadPool(self.reactor, self._disk, job, *arguments)

    def _meetings(self, meetings: Any) -> dict[str, IResource]:
        """Return what meetings have on the web site, by path."""
        signatures = Signatures(lambda: self.settings.api.keys, self.store.webmail.spend, time.time)
        return {
            MEETINGS_PATH: MeetingsResource(meetings, signatures, self.reactor.seconds),
            PAGE_PATH: MeetingPage(StaticFiles(STATIC_DIR)),
            RECORDINGS_PATH: RecordingsResource(meetings),
        }

    def _open(self, address: Address, factory: Any, context: Any) -> None:
        times = Times(handshake_s=self.settings.limits.handshake_s)
        port = TLSPort(address.port, factory, context, address.host, self.reactor, times)
        port.startListening()
        self.ports.append(port)

    def _register_commands(self) -> None:
        UserCommands(
            store=self.store,
            accounts=self.router.accounts,
            make_verifiers=lambda password, iterations: deferToThread(make_verifiers, password, iterations),
            domains=lambda: self.router.domains,
            iterations=lambda: self.settings.auth.scram_iterations,
            now=time.time,
            deleted=lambda account: self.router.hooks.tell("account.deleted", account),
            disabled=lambda jid, is_disabled: self.router.hooks.tell("account.disabled", jid, is_disabled),
            visits=self.router.visits.of,
            auth=self.streams.auth,
            created=self._created,
        ).register(self.commands)
        TokenCommands(self.tokens, self.store.webmail, time.time).register(self.commands)
        ServerCommands(self.router, self.reactor).register(self.commands)
        PortableCommands(
            store=self.store,
            accounts=self.router.accounts,
            make_verifiers=lambda password, iterations: deferToThread(make_verifiers, password, iterations),
            domains=lambda: self.router.domains,
            iterations=lambda: self.settings.auth.scram_iterations,
            limits=lambda: self.settings.limits,
            now=time.time,
            hooks=self.router.hooks,
            created=self._created,
        ).register(self.commands)
        self.commands.register("reload", lambda arguments: self.reload(), "read configuration and certificates again")
        self.commands.register("status", lambda arguments: self.status(), "what the daemon is doing")

    # -- reload and status
    def _hangup(self) -> None:
        try:
            self.reload()
        except CommandError as error:
            log.error("Not reloaded: {reason}", reason=error.text)
        except Exception:
            log.failure("not reloaded")

    def reload(self) -> dict[str, Any]:
        """Read configuration and certificates again and use them; raises CommandError and changes nothing
        if bad.

        Returns the settings that changed, and those of them that wait for a restart.
        """
        notify.reloading(time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000)
        try:
            found = with_secrets(load(self.settings.path))
            if mistakes := option_mistakes(found.modules, module_classes()):
                raise ConfigError(found.path, mistakes)
            settings = live(self.settings, found)
            self.certificates.reload(settings.server.host, settings.domains)
            self.observer.configure(self._log_settings(settings))
        except (ConfigError, CertificateError, OSError) as error:
            raise CommandError("not-acceptable", f"Everything stays as it was: {error}") from None
        finally:
            notify.ready("reloaded")
        changed = changes(self.settings, found)
        self.settings = settings
        self.streams.reload(settings)
        if self.federation is not None:
            self.federation.reload(settings)
        self.components.reload(settings.limits)
        self.media.reload(settings)
        self.site.headers = attrs.evolve(self.site.headers, panel_origins=_panel_origins(settings))
        for api in self.modules.apis:
            api.settings = settings
        for port in self.ports:
            if isinstance(port, TLSPort):
                port.times = Times(handshake_s=settings.limits.handshake_s)
        log.info("Reloaded; changed: {keys}", keys=", ".join(map(str, changed)) or "nothing")
        waiting = [change.key for change in changed if not change.is_live]
        return {"changed": [change.key for change in changed if change.is_live], "after_a_restart": waiting}

    def status(self) -> dict[str, Any]:
        """Return what `chatctl status` shows."""
        online = list(self.router.accounts.online())
        files = self._files()
        return {
            "version": chatd.__version__,
            "started": self._started,
            "host": self.settings.server.host,
            "domains": sorted(self.router.domains),
            "listening": self.listening(),
            "accounts_online": len(online),
            "sessions": sum(len(account.sessions) for account in online),
            "connections": len(self.streams.open),
            "media": self.media.status(),
            **({"uploads": {"files": files.total.files, "bytes": files.total.bytes}} if files is not None else {}),
            **({"components": self.components.status()} if self.settings.components else {}),
            **({"federation": self.federation.status()} if self.federation is not None else {}),
        }

    def listening(self) -> list[str]:
        """Return the addresses that are open, as HOST:PORT."""
        hosts = [port.getHost() for port in self.ports if isinstance(port, TLSPort)]
        return [str(Address(host.host, host.port)) for host in hosts]


def _panel_origins(settings: Settings) -> tuple[str, ...]:
    """Return the pages that may show the panel in a frame."""
    return tuple(dict.fromkeys(origin for webmail in settings.webmails for origin in webmail.origins))


def settle_memory() -> None:
    """Take what the start made out of the garbage collector's sight, and let it look less often.

    Nearly all of the daemon's garbage goes by reference counts. At Python's own thresholds the collector walks
    over every session's objects again and again for nothing.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(3_000, 20, 50)


def raise_open_files() -> None:
    """Ask the system for as many open files as it gives, up to OPEN_FILES."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
