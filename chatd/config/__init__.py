"""Reads chatd.toml: `load(path)` gives Settings, or a ConfigError that lists every mistake at once.

The settings themselves are declared in chatd.settings. Those of modules, `[modules.NAME]`, are declared by
the modules and checked against them at the start and by `chatctl check`, not here.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
from attrs import frozen

from chatd.config.components import check_components, components_with_secrets
from chatd.config.people import check_people, sources_with_secrets
from chatd.config.webmail import check_webmails, webmails_with_secrets
from chatd.settings import TABLES, Component, Domain, Limits, Listen, Media, Settings, attribute_of
from chatd.settings.kinds import Address, Choice, Wrong, shown
from chatd.settings.webmail import Webmail

__all__ = [
    "Address", "Change", "ConfigError", "Mistake", "Settings", "changes", "find", "live", "load", "read",
    "with_secrets",
]


@frozen
class Mistake:
    """One thing wrong with the file: where (`key`, "" = the file), what, and what would be right."""

    key: str
    problem: str
    right: str

    def __str__(self) -> str:
        where = f"{self.key}: " if self.key else ""
        return f"{where}{self.problem}. Right would be: {self.right}."


class ConfigError(Exception):
    """The configuration cannot be used; `mistakes` holds all that was found, in the order of the file's
    tables.
    """

    def __init__(self, path: Path, mistakes: tuple[Mistake, ...]) -> None:
        super().__init__(path, mistakes)
        self.path = path
        self.mistakes = mistakes

    def __str__(self) -> str:
        count = "1 mistake" if len(self.mistakes) == 1 else f"{len(self.mistakes)} mistakes"
        return "\n".join([f"{self.path}: {count}", *(f"  - {mistake}" for mistake in self.mistakes)])


PLACES = ("etc/chatd.toml", "/etc/chatd/chatd.toml", "/etc/chatd.toml")
"""Where the configuration is looked for when nobody says."""


def find(named: str | None, environ: Mapping[str, str] = os.environ) -> Path:
    """Return where the configuration is: as named, else CHATD_CONFIG, else the first of PLACES there is.

    Raises ConfigError when there is none.
    """
    if named or (named := environ.get("CHATD_CONFIG")):
        return Path(named)
    for place in PLACES:
        if Path(place).exists():
            return Path(place)
    mistake = Mistake("", f"none of {', '.join(PLACES)} is there", "its place, by --config FILE")
    raise ConfigError(Path(PLACES[0]), (mistake,))


def load(path: str | Path) -> Settings:
    """Read the file at path. Raises ConfigError with everything that is wrong with it."""
    path = Path(path).absolute()
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        mistake = Mistake("", "there is no such file", "a copy of the sample, etc/chatd.toml")
    except (OSError, UnicodeDecodeError) as error:
        mistake = Mistake("", f"it cannot be read ({error})", "a UTF-8 file that this user may read")
    except tomllib.TOMLDecodeError as error:
        mistake = Mistake("", f"it is not TOML ({error})", 'lines such as host = "chat.example.com" under [server]')
    else:
        return read(raw, path)
    raise ConfigError(path, (mistake,))


def with_secrets(settings: Settings) -> Settings:
    """Return settings with the secrets that stand in files of their own in place of these files' names.

    Raises ConfigError for files that cannot be read or do not hold one line.
    """
    mistakes: list[Mistake] = []
    media, turn = settings.media, settings.turn
    api_secret = _secret_of(media.api_secret_file, "media.api_secret_file", mistakes)
    turn_secret = _secret_of(turn.secret_file, "media.turn.secret_file", mistakes)
    domains = sources_with_secrets(settings.domains, lambda file, key: _secret_of(file, key, mistakes))
    webmails = webmails_with_secrets(settings.webmails, lambda file, key: _secret_of(file, key, mistakes),
                                     lambda wrong: mistakes.append(Mistake(*wrong)))
    components = components_with_secrets(
        settings.components,
        lambda file, key: _secret_of(file, key, mistakes),
        lambda wrong: mistakes.append(Mistake(*wrong)),
    )
    if mistakes:
        raise ConfigError(settings.path, tuple(mistakes))
    return attrs.evolve(
        settings,
        domains=domains,
        webmails=webmails,
        components=components,
        media=attrs.evolve(media, api_secret=api_secret or media.api_secret, api_secret_file=None),
        turn=attrs.evolve(turn, secret=turn_secret or turn.secret, secret_file=None),
    )


def _secret_of(file: Path | None, key: str, mistakes: list[Mistake]) -> str:
    """Return what the file holds, "" without one; notes what is wrong with it."""
    if file is None:
        return ""
    try:
        found = file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        mistakes.append(Mistake(key, f"{file} cannot be read ({reason})", "a file that the daemon may read"))
        return ""
    if not found or not found.isprintable():
        mistakes.append(Mistake(key, f"{file} does not hold one line", "a file of one line, the secret"))
    return found


def read(raw: Mapping[str, Any], path: Path) -> Settings:
    """Turn parsed TOML into Settings; path is where it stood. Raises ConfigError."""
    mistakes: list[Mistake] = []
    known = [*(name for name in TABLES if "." not in name), "domain", "webmail", "component", "modules"]
    _refuse_unknown(raw, known, "", mistakes)
    tables = {
        name: _table(cls, _written(raw, name, mistakes), name, path.parent, mistakes) for name, cls in TABLES.items()
    }
    server = tables["server"]
    state_dir = server.get("state_dir") or path.parent / "var"
    server["state_dir"] = state_dir
    domains = _domains(raw.get("domain"), path.parent, mistakes)
    for domain in domains:
        stem = domain.get("name", "")
        domain.setdefault("certificate", state_dir / "certificates" / f"{stem}.crt")
        domain.setdefault("key", state_dir / "certificates" / f"{stem}.key")
    webmails = _blocks(Webmail, raw["webmail"], "webmail", path.parent, mistakes) if "webmail" in raw else ()
    components = _blocks(Component, raw["component"], "component", path.parent, mistakes) if "component" in raw else ()
    modules = _mapping(raw.get("modules", {}), "modules", mistakes)
    for name, options in modules.items():
        _mapping(options, f"modules.{name}", mistakes)
    _check_together(tables, domains, mistakes)
    mistakes += [Mistake(*wrong) for wrong in check_people(domains)]
    mistakes += [Mistake(*wrong) for wrong in check_webmails(webmails, domains)]
    mistakes += [Mistake(*wrong) for wrong in check_components(components, domains, tables["listen"])]
    if mistakes:
        raise ConfigError(path, tuple(mistakes))
    _fill_public_url(tables)
    built = {attribute_of(name): cls(**tables[name]) for name, cls in TABLES.items()}
    return Settings(path=path, domains=tuple(Domain(**domain) for domain in domains), webmails=webmails,
                    components=components,
                    modules=modules, **built)


def _table(cls: type, raw: Mapping[str, Any], where: str, base: Path, mistakes: list[Mistake]) -> dict[str, Any]:
    """Read the keys of one table; adds what is wrong to mistakes and returns what is right and given."""
    fields = {field.name: field for field in attrs.fields(cls)}
    _refuse_unknown(raw, list(fields), where, mistakes)
    values: dict[str, Any] = {}
    for name, field in fields.items():
        key = f"{where}.{name}"
        if "table" in field.metadata:
            if name in raw:
                values[name] = _blocks(field.metadata["table"], raw[name], key, base, mistakes)
        elif name in raw:
            try:
                values[name] = field.metadata["kind"].read(raw[name], base)
            except Wrong as wrong:
                mistakes.append(Mistake(key, wrong.problem, wrong.right))
        elif field.default is attrs.NOTHING:
            mistakes.append(Mistake(key, "it is missing", _shown_right(name, field.metadata["kind"])))
    return values


def _shown_right(name: str, kind: Any) -> str:
    """Return how the missing setting could be written."""
    example = kind.words[-1] if isinstance(kind, Choice) else kind.example
    return f'{name} = "{example}"'


def _blocks(cls: type, raw: object, where: str, base: Path, mistakes: list[Mistake]) -> tuple[Any, ...]:
    """Read the tables [[domain.NAME]] of one domain, or [[NAME]]; those with mistakes are left out."""
    if not isinstance(raw, list) or not raw or not all(isinstance(item, dict) for item in raw):
        name = where.rpartition(".")[2]
        right = f"[[domain.{name}]], behind its [[domain]]" if where != name else f"[[{name}]], with two brackets"
        mistakes.append(Mistake(where, "it is not a list of tables", right))
        return ()
    found = []
    for number, item in enumerate(raw):
        so_far = len(mistakes)
        values = _table(cls, item, f"{where}[{number}]", base, mistakes)
        if len(mistakes) == so_far:
            found.append(cls(**values))
    return tuple(found)


def _written(raw: Mapping[str, Any], name: str, mistakes: list[Mistake]) -> Mapping[str, Any]:
    """Return what the file says in a table of TABLES, without the tables inside that."""
    table: Any = raw
    for step in name.split("."):
        table = table.get(step, {}) if isinstance(table, dict) else {}
    inside = {other.removeprefix(f"{name}.") for other in TABLES if other.startswith(f"{name}.")}
    return {key: value for key, value in _mapping(table, name, mistakes).items() if key not in inside}


def _mapping(value: object, where: str, mistakes: list[Mistake]) -> Mapping[str, Any]:
    """Return value if it is a table; else note the mistake and return an empty one."""
    if isinstance(value, dict):
        return value
    mistakes.append(Mistake(where, f"{shown(value)} is not a table", f"a line [{where}] with its settings below"))
    return {}


def _domains(raw: object, base: Path, mistakes: list[Mistake]) -> list[dict[str, Any]]:
    """Read all [[domain]] tables."""
    if isinstance(raw, dict):
        mistakes.append(Mistake("domain", "it is written as one table", "[[domain]], with two brackets"))
        return []
    if not isinstance(raw, list) or not raw or not all(isinstance(item, dict) for item in raw):
        mistakes.append(Mistake("domain", "no domain is given", '[[domain]] with name = "example.com" below it'))
        return []
    found = [_table(Domain, item, f"domain[{number}]", base, mistakes) for number, item in enumerate(raw)]
    names: set[str] = set()
    for number, domain in enumerate(found):
        if domain.get("name") in names:
            mistakes.append(
                Mistake(f"domain[{number}].name", f'"{domain["name"]}" is there already', "one [[domain]] a name")
            )
        names.add(domain.get("name", ""))
    return found


def _refuse_unknown(raw: Mapping[str, Any], known: list[str], where: str, mistakes: list[Mistake]) -> None:
    """Note every key of raw that is not known, with the nearest known one."""
    for key in raw:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
            right = f'"{near[0]}", if that was meant' if near else "one of " + ", ".join(known)
            mistakes.append(Mistake(f"{where}.{key}" if where else key, "there is no such setting", right))


def _check_together(tables: dict[str, dict[str, Any]], domains: list[dict[str, Any]], mistakes: list[Mistake]) -> None:
    """Note what is wrong between settings that are each right alone."""
    limits, listen = tables["limits"], tables["listen"]
    default = Limits()
    for burst, rate in (("stanzas_burst", "stanzas_per_second"), ("bytes_burst", "bytes_per_second")):
        least = limits.get(rate, getattr(default, rate))
        if limits.get(burst, getattr(default, burst)) < least:
            mistakes.append(Mistake(f"limits.{burst}", f"it is below limits.{rate}", f"{least} or more"))
    if limits.get("preauth_stanza_bytes", 0) > limits.get("stanza_bytes", default.stanza_bytes):
        mistakes.append(
            Mistake("limits.preauth_stanza_bytes", "it is above limits.stanza_bytes", "the smaller of the two")
        )
    seen: dict[Address, str] = {}
    for field in attrs.fields(Listen):
        for address in listen.get(field.name, field.default) or ():
            if address.port and address in seen:
                mistakes.append(
                    Mistake(
                        f"listen.{field.name}",
                        f"{address} is taken by listen.{seen[address]}",
                        "an address of its own",
                    )
                )
            seen.setdefault(address, field.name)
    readers = tables["http"].get("metrics_readers")
    for address in listen.get("metrics", ()):
        if not (address.is_loopback or readers):
            problem = f"{address} would let anybody read /metrics"
            mistakes.append(Mistake("listen.metrics", problem, "who may, in http.metrics_readers"))
    certificates = {(domain.get("certificate"), domain.get("key")) for domain in domains}
    if len({certificate for certificate, _ in certificates}) < len(certificates):
        mistakes.append(
            Mistake("domain", "one certificate is given with two different keys", "the key that belongs to it")
        )


    _check_media(tables["media"], tables["media.turn"], mistakes)


def _check_media(media: dict[str, Any], turn: dict[str, Any], mistakes: list[Mistake]) -> None:
    """Note what is missing for the engine that was chosen, and for TURN."""
    for table, where, name in ((media, "media", "api_secret"), (turn, "media.turn", "secret")):
        if table.get(name) and table.get(f"{name}_file"):
            mistakes.append(Mistake(f"{where}.{name}", f"{name}_file is given as well", "one of the two"))
    if media.get("engine") == "livekit":
        if not media.get("url"):
            mistakes.append(Mistake("media.url", "it is missing", 'url = "wss://livekit.example.com"'))
        if not media.get("api_key"):
            mistakes.append(Mistake("media.api_key", "it is missing", "a key of the LiveKit server's configuration"))
        if not (media.get("api_secret") or media.get("api_secret_file")):
            mistakes.append(Mistake("media.api_secret", "it is missing", "what belongs to api_key, or api_secret_file"))
    address = media.get("address", Media().address)
    if ":" not in address and any(":" in told for told in media.get("announce", ())):
        problem = f"it has an IPv6 address, and media.address {address} takes IPv4 only"
        mistakes.append(Mistake("media.announce", problem, 'address = "::", which takes both'))
    port = media.get("port", Media().port)
    if port and port + media.get("processes", 1) - 1 > 65535:
        mistakes.append(Mistake("media.port", "the last process would be above 65535", "a lower one"))
    has_turn = any(url.startswith("turn") for url in turn.get("urls", ()))
    if has_turn and not (turn.get("secret") or turn.get("secret_file")):
        mistakes.append(
            Mistake("media.turn.secret", "it is missing", "coturn's static-auth-secret here, or in a secret_file")
        )


def _fill_public_url(tables: dict[str, dict[str, Any]]) -> None:
    """Give http.public_url its default, which needs the host and the HTTPS port."""
    if not tables["http"].get("public_url"):
        https = tables["listen"].get("https", Listen().https)
        port = https[0].port if https else 443
        suffix = "" if port in (0, 443) else f":{port}"
        tables["http"]["public_url"] = f"https://{tables['server']['host']}{suffix}"


@frozen
class Change:
    """One setting that differs between two readings; `is_live`: a reload carries it out, otherwise only a
    restart.
    """

    key: str
    is_live: bool

    def __str__(self) -> str:
        return self.key if self.is_live else f"{self.key} (after a restart)"


def changes(old: Settings, new: Settings) -> tuple[Change, ...]:
    """Return what differs from old to new, key by key, for a reload. Values stay out of it: some hold
    passwords.
    """
    found: list[Change] = []
    for name, cls in TABLES.items():
        found += _differences(cls, old.table(name), new.table(name), name)
    if [domain.name for domain in old.domains] != [domain.name for domain in new.domains]:
        found.append(Change("domain", False))
    if old.components != new.components:
        found.append(Change("component", False))
    for number, domain in enumerate(new.domains):
        before = old.domain(domain.name)
        if before is not None:
            found += _differences(Domain, before, domain, f"domain[{number}]")
    if old.webmails != new.webmails:
        found.append(Change("webmail", True))
    for name in sorted({*old.modules, *new.modules}):
        if old.modules.get(name) != new.modules.get(name):
            found.append(Change(f"modules.{name}", False))
    return tuple(found)


def live(old: Settings, new: Settings) -> Settings:
    """Return what is in force after a reload: old, with those settings of new that a reload carries out."""
    tables = {attribute_of(name): _live(cls, old.table(name), new.table(name)) for name, cls in TABLES.items()}
    domains = [_live(Domain, domain, new.domain(domain.name) or domain) for domain in old.domains]
    return attrs.evolve(old, domains=tuple(domains), webmails=new.webmails, **tables)


def _live(cls: type, old: Any, new: Any) -> Any:
    taken = {field.name: getattr(new, field.name) for field in attrs.fields(cls) if field.metadata["live"]}
    return attrs.evolve(old, **taken)


def _differences(cls: type, old: object, new: object, where: str) -> Iterator[Change]:
    for field in attrs.fields(cls):
        if getattr(old, field.name) != getattr(new, field.name):
            yield Change(f"{where}.{field.name}", field.metadata["live"])
