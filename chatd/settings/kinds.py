"""The kinds of value a setting may have: each turns what TOML holds into what the program uses, or says
what is wrong.

A kind is an object with `read(value, base)`: value is what tomllib gave, base the folder of the
configuration file (relative paths start there). It returns the value to use or raises `Wrong(problem,
right)`: two half sentences for the person who wrote the file. Numbers carry their unit in the setting's
name, so no kind parses "10 MB" or "5 min".
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import attrs
import idna
from attrs import field, frozen

from chatd.core.jid import JID, InvalidJID


class Wrong(Exception):
    """A value that cannot be used: `problem` says what it is, `right` what it should be."""

    def __init__(self, problem: str, right: str) -> None:
        super().__init__(problem, right)
        self.problem = problem
        self.right = right


class Kind(Protocol):
    """What every class of this module provides."""

    def read(self, value: object, base: Path) -> object:
        """Return the value to use; raises Wrong."""


def setting(default: Any, kind: Kind, doc: str, *, live: bool = False, secret: bool = False) -> Any:
    """Declare one setting.

    default: the value in use without the key; attrs.NOTHING makes the key a must. live: whether a reload
    carries it out. secret: whether it may hold a password and is left out of repr().
    """
    return attrs.field(default=default, repr=not secret, metadata={"kind": kind, "doc": doc, "live": live})


def tables(cls: type, default: tuple[Any, ...]) -> Any:
    """Declare tables inside a table, `[[domain.NAME]]`: any number of cls, `default` without any."""
    return attrs.field(default=default, metadata={"table": cls, "live": False})


@frozen
class Address:
    """Where a listener binds: host is an IP address or a local name, port 0..65535 (0 = any free one)."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def shown(value: object) -> str:
    """Return value as the writer of the file would recognise it, shortened."""
    text = {True: "true", False: "false"}.get(value, repr(value)) if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def text_of(value: object, right: str) -> str:
    """Return value if it is a text that is not blank, stripped; else raise Wrong with right."""
    if not isinstance(value, str) or not value.strip():
        raise Wrong(f"{shown(value)} is not a text", right)
    return value.strip()


def ascii_name(name: str) -> str:
    """Return a DNS name as it stands in DNS and in certificates; raises idna.IDNAError for what is none."""
    return idna.encode(name, uts46=True).decode("ascii")


@frozen
class Whole:
    """A whole number between least and most, both allowed."""

    least: int
    most: int

    def read(self, value: object, base: Path) -> int:
        """Return the number; true and false are not numbers here."""
        right = f"a whole number from {self.least} to {self.most}"
        if isinstance(value, bool) or not isinstance(value, int):
            raise Wrong(f"{shown(value)} is not a whole number", right)
        if not self.least <= value <= self.most:
            raise Wrong(f"{value} is out of range", right)
        return value


@frozen
class Flag:
    """true or false."""

    def read(self, value: object, base: Path) -> bool:
        """Return the truth value."""
        if not isinstance(value, bool):
            raise Wrong(f"{shown(value)} is neither true nor false", "true or false, without quotes")
        return value


@frozen
class Choice:
    """One of a few words."""

    words: tuple[str, ...]

    def read(self, value: object, base: Path) -> str:
        """Return the word."""
        if value not in self.words or not isinstance(value, str):
            words = [f'"{word}"' for word in self.words]
            raise Wrong(f"{shown(value)} is not known here", " or ".join([", ".join(words[:-1]), words[-1]]))
        return value


@frozen
class Name:
    """A DNS name: of the server, or of an XMPP domain (RFC 7622 3.2). International names are kept as
    written.

    An IP address is refused: a certificate, a DNS record and a JID all need a name.
    """

    example: str = "chat.example.com"

    def read(self, value: object, base: Path) -> str:
        """Return the name in lower case and without a final dot."""
        right = f'a host name such as "{self.example}"'
        name = text_of(value, right).lower().rstrip(".")
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            pass
        else:
            raise Wrong(f"{shown(value)} is an IP address", right)
        try:
            ascii_name(name)
        except (idna.IDNAError, UnicodeError) as error:
            raise Wrong(f"{shown(value)} is not a host name ({error})", right) from None
        return name


@frozen
class FilePath:
    """A file or folder; a relative one starts at the folder of the configuration file."""

    example: str = "../var/example.com.crt"

    def read(self, value: object, base: Path) -> Path:
        """Return the absolute path; whether it exists is found out by `chatctl check` and the start."""
        text = text_of(value, f'a path such as "{self.example}"')
        if "\0" in text:
            raise Wrong(f"{shown(value)} holds a zero byte", f'a path such as "{self.example}"')
        path = base / Path(text).expanduser()
        return Path(*path.parts) if ".." not in path.parts else path.resolve()


@frozen
class Addresses:
    """A list of "HOST:PORT", "[IPV6]:PORT"; an empty list switches the listener off."""

    port: int

    def read(self, value: object, base: Path) -> tuple[Address, ...]:
        """Return the addresses; one text counts as a list of one."""
        right = f'a list such as ["127.0.0.1:{self.port}", "[::1]:{self.port}"]; [] switches it off'
        items = [value] if isinstance(value, str) else value
        if not isinstance(items, list):
            raise Wrong(f"{shown(value)} is not a list of addresses", right)
        found = tuple(self._one(item, right) for item in items)
        if len(set(found)) != len(found):
            raise Wrong("the same address stands there twice", right)
        return found

    def _one(self, item: object, right: str) -> Address:
        text = text_of(item, right)
        host, colon, port = text.rpartition(":")
        bracketed = host.startswith("[") and host.endswith("]")
        host = host[1:-1] if bracketed else host
        if not colon or not host or (":" in host) != bracketed:
            raise Wrong(f"{shown(item)} is not an address with a port", right)
        if not (port.isascii() and port.isdigit() and int(port) <= 65535):
            raise Wrong(f"{shown(item)} has no port between 0 and 65535", right)
        if bracketed or host.replace(".", "").isdigit():
            try:
                host = str(ipaddress.ip_address(host))
            except ValueError:
                raise Wrong(f"{shown(item)} is not an IP address", right) from None
        else:
            try:
                Name().read(host, Path())
            except Wrong:
                raise Wrong(f"{shown(item)} has neither an IP address nor a host name", right) from None
        return Address(host, int(port))


def _in_addresses(name: str) -> str:
    """Return the name as it is in addresses, which it is compared with: U-labels, whichever way it was written."""
    return idna.decode(idna.encode(name, uts46=True)).rstrip(".")


@frozen
class Text:
    """A text of one line; "" stands for none."""

    example: str = "text"

    def read(self, value: object, base: Path) -> str:
        """Return it without the blanks around it."""
        if not isinstance(value, str) or not value.strip().isprintable():
            raise Wrong(f"{shown(value)} is not a text of one line", f'a text such as "{self.example}"')
        return value.strip()


@frozen
class Template:
    """A text in which words in braces stand for parts of an address, such as "{local}@{domain}"."""

    words: tuple[str, ...]
    example: str

    def read(self, value: object, base: Path) -> str:
        """Return it; "" stands for none."""
        text = Text(self.example).read(value, base)
        for found in re.findall(r"\{[^}]*\}?", text):
            if found[1:-1] not in self.words or not found.endswith("}"):
                known = " or ".join(f"{{{word}}}" for word in self.words)
                raise Wrong(f"{found} is not known here", f'{known}, as in "{self.example}"')
        return text


@frozen
class Names:
    """A list of domains."""

    def read(self, value: object, base: Path) -> tuple[str, ...]:
        """Return the names as they are in addresses: in lower case, with U-labels."""
        right = 'a list such as ["example.com", "example.org"]'
        if not isinstance(value, list):
            raise Wrong(f"{shown(value)} is not a list", right)
        return tuple(_in_addresses(Name("example.com").read(item, base)) for item in value)


@frozen
class People:
    """A list of accounts' addresses."""

    def read(self, value: object, base: Path) -> tuple[str, ...]:
        """Return the bare addresses in their normal form (RFC 7622)."""
        right = 'a list such as ["john@example.com"]'
        if not isinstance(value, list):
            raise Wrong(f"{shown(value)} is not a list", right)
        return tuple(self._one(item, right) for item in value)

    @staticmethod
    def _one(item: object, right: str) -> str:
        try:
            jid = JID.parse(text_of(item, right))
        except InvalidJID:
            raise Wrong(f"{shown(item)} is not an address", right) from None
        if not jid.local or jid.resource:
            raise Wrong(f"{shown(item)} is not the address of an account", right)
        return jid.bare


@frozen
class PeerExceptions:
    """Domains of other servers with what holds for each instead: { "old.example" = { encryption = false } }."""

    def read(self, value: object, base: Path) -> dict[str, dict[str, bool | str]]:
        """Return the settings by domain."""
        right = 'a table such as { "old.example" = { dialback = true, encryption = false } }'
        if not isinstance(value, dict):
            raise Wrong("this is not a table of domains", right)
        return {_in_addresses(Name("old.example").read(name, base)): self._one(name, told, right)
                for name, told in value.items()}

    def _one(self, name: str, told: object, right: str) -> dict[str, bool | str]:
        if not isinstance(told, dict) or not told:
            raise Wrong(f"nothing is said of {name}", right)
        found: dict[str, bool | str] = {}
        for key, value in told.items():
            if key in ("dialback", "encryption"):
                if not isinstance(value, bool):
                    raise Wrong(f"{key} of {name} is neither true nor false", right)
                found[key] = value
            elif key == "address":
                try:
                    [address] = Addresses(5269).read([value], Path())
                except Wrong as wrong:
                    raise Wrong(f"address of {name}: {wrong.problem}", 'such as "192.0.2.7:5269"') from None
                found[key] = str(address)
            else:
                raise Wrong(f"{shown(key)} is not known here", "dialback, encryption or address")
        if found.get("encryption") is False and found.get("dialback") is False:
            raise Wrong(f"without encryption and without dialback nothing proves who {name} is", right)
        return found


@frozen
class Networks:
    """A list of IP addresses or networks ("10.0.0.0/8")."""

    def read(self, value: object, base: Path) -> tuple[str, ...]:
        """Return the networks in their normal form; a single address is a network of one."""
        right = 'a list such as ["127.0.0.1", "10.1.0.0/16"]'
        if not isinstance(value, list):
            raise Wrong(f"{shown(value)} is not a list", right)
        found = []
        for item in value:
            try:
                found.append(str(ipaddress.ip_network(text_of(item, right))))
            except ValueError as error:
                raise Wrong(f"{shown(item)} is not a network ({error})", right) from None
        return tuple(found)


@frozen
class PageOrigins:
    """A list of the origins of web pages (RFC 6454): scheme, host, port if it is not the usual one. "*" is any."""

    def read(self, value: object, base: Path) -> tuple[str, ...]:
        """Return the origins as browsers write them."""
        right = 'a list such as ["https://webmail.example.com"]'
        if not isinstance(value, list):
            raise Wrong(f"{shown(value)} is not a list", right)
        return tuple(self._one(item, right) for item in value)

    def _one(self, item: object, right: str) -> str:
        text = text_of(item, right).lower()
        if text == "*":
            return text
        address = WebAddress().read(text, Path())
        if address.count("/") != 2 or "@" in address:
            raise Wrong(f"{shown(item)} is more than scheme, host and port", right)
        return address


@frozen
class StoreURL:
    """ "sqlite:FILE" or "postgresql://USER:PASSWORD@HOST/NAME". A password in it is never shown again."""

    right: str = field(default='"sqlite:chatd.sqlite" or "postgresql://user:password@host/database"', init=False)

    def read(self, value: object, base: Path) -> str:
        """Return the address as it is."""
        if not isinstance(value, str):
            raise Wrong(f"{shown(value)} is not a text", self.right)
        scheme, colon, rest = value.partition(":")
        if scheme not in ("sqlite", "postgresql") or not colon or not rest.strip("/"):
            raise Wrong("this names neither an SQLite file nor a PostgreSQL database", self.right)
        if scheme == "postgresql" and not rest.startswith("//"):
            raise Wrong("this PostgreSQL address has no // behind the colon", self.right)
        return value


@frozen
class WebAddress:
    """The http(s) address of this server as a browser sees it, without a path's final slash; "" stands for
    none.
    """

    def read(self, value: object, base: Path) -> str:
        """Return the address, or ""."""
        right = 'an address such as "https://chat.example.com"'
        if value == "":
            return ""
        text = text_of(value, right)
        try:
            parts = urlsplit(text)
            parts.port  # noqa: B018 - raises ValueError for a port that is none
        except ValueError as error:
            raise Wrong(f"{shown(value)} is not an address ({error})", right) from None
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise Wrong(f"{shown(value)} is not a web address", right)
        return text.rstrip("/")


@frozen
class ServerAddress:
    """Where another server is reached, such as "imaps://mail.example.com:993"; "" stands for none."""

    schemes: tuple[str, ...]

    def read(self, value: object, base: Path) -> str:
        """Return the address; a password in it is never shown again."""
        right = " or ".join(f'"{scheme}://mail.example.com"' for scheme in self.schemes)
        if value == "":
            return ""
        if not isinstance(value, str) or value.partition(":")[0] not in self.schemes:
            raise Wrong("this does not begin as it should", right)
        try:
            parts = urlsplit(value)
            port = parts.port
        except ValueError:
            raise Wrong("this is not an address", right) from None
        if not parts.hostname or port == 0 or parts.path.strip("/") or parts.query or parts.username is not None:
            raise Wrong("this is more or less than a scheme, a host and perhaps a port", right)
        return value


@frozen
class IPAddress:
    """One IP address to listen on."""

    def read(self, value: object, base: Path) -> str:
        """Return it in its normal form."""
        return _ip_address(value, 'an IP address such as "0.0.0.0" or "192.0.2.7"')


@frozen
class IPAddresses:
    """A list of IP addresses that others can reach."""

    def read(self, value: object, base: Path) -> tuple[str, ...]:
        """Return them in their normal form; one text counts as a list of one."""
        right = 'a list such as ["192.0.2.7", "2001:db8::7"]'
        items = [value] if isinstance(value, str) else value
        if not isinstance(items, list):
            raise Wrong(f"{shown(value)} is not a list of IP addresses", right)
        found = tuple(_ip_address(item, right) for item in items)
        for address in found:
            parsed = ipaddress.ip_address(address)
            if parsed.is_unspecified or parsed.is_loopback or parsed.is_multicast:
                raise Wrong(f"{address} is no address that others can reach", right)
        if len(set(found)) != len(found):
            raise Wrong("the same address stands there twice", right)
        return found


def _ip_address(value: object, right: str) -> str:
    text = text_of(value, right)
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise Wrong(f"{shown(value)} is not an IP address", right) from None


@frozen
class Secret:
    """A text that is not shown in what is wrong with it."""

    def read(self, value: object, base: Path) -> str:
        """Return it without the blanks around it."""
        if not isinstance(value, str) or not value.strip().isprintable():
            raise Wrong("this is not a text of one line", "a text between quotation marks")
        return value.strip()


@frozen
class WebSocketAddress:
    """Where a LiveKit server is reached: "wss://livekit.example.com"; "" stands for none."""

    def read(self, value: object, base: Path) -> str:
        """Return the address without a final slash; http and https count as ws and wss."""
        right = 'an address such as "wss://livekit.example.com"'
        if value == "":
            return ""
        text = text_of(value, right)
        scheme, _, rest = text.partition("://")
        schemes = {"ws": "http", "wss": "https", "http": "http", "https": "https"}
        if scheme not in schemes:
            raise Wrong(f"{shown(value)} is not a WebSocket address", right)
        try:
            checked = str(WebAddress().read(f"{schemes[scheme]}://{rest}", base))
        except Wrong:
            raise Wrong(f"{shown(value)} is not a WebSocket address", right) from None
        return checked.replace("http", "ws", 1)


ICE_URL = re.compile(
    r"(stuns?|turns?):(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(?::([0-9]{1,5}))?(?:\?transport=(udp|tcp))?"
)
"""Groups: scheme, host, port or None, transport or None."""


@frozen
class IceUrls:
    """A list of STUN and TURN servers in the form of RFC 7064 and RFC 7065."""

    def read(self, value: object, base: Path) -> tuple[str, ...]:
        """Return the addresses as they are."""
        right = 'a list such as ["turn:turn.example.com:3478?transport=udp", "stun:turn.example.com:3478"]'
        if not isinstance(value, list):
            raise Wrong(f"{shown(value)} is not a list", right)
        found = tuple(text_of(item, right) for item in value)
        for url in found:
            match = ICE_URL.fullmatch(url)
            if match is None or not 0 < int(match[3] or 1) <= 65535 or (match[1].startswith("stun") and match[4]):
                raise Wrong(f"{shown(url)} is neither a STUN nor a TURN address", right)
        return found


@frozen
class Keys:
    """Names and secrets of programs that may ask something of the daemon: { webmail = "at least 32 characters" }."""

    least: int = 32

    def read(self, value: object, base: Path) -> dict[str, str]:
        """Return the secrets by name; none of them is ever in what is said to be wrong."""
        right = f'a table such as {{ webmail = "at least {self.least} random characters" }}'
        if not isinstance(value, dict):
            raise Wrong("this is not a table of names and secrets", right)
        for name, secret in value.items():
            if re.fullmatch("[A-Za-z0-9_-]{1,32}", name) is None:
                raise Wrong(f"{shown(name)} is not a name of letters, digits, - and _", right)
            if not isinstance(secret, str) or not secret.isprintable() or len(secret) < self.least:
                raise Wrong(f"the secret of {name} is not a text of {self.least} characters or more", right)
        if len(set(value.values())) != len(value):
            raise Wrong("two names have the same secret", right)
        return dict(value)
