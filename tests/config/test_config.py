"""chatd.toml becomes settings, or everything that is wrong with it is told at once."""

from __future__ import annotations

import shutil
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from chatd.config import Change, ConfigError, changes, load, with_secrets
from chatd.settings import BLOCKS, TABLES, Settings
from chatd.settings.kinds import Address

SMALLEST = """
[server]
host = "chat.example.com"
[[domain]]
name = "example.com"
"""


class Files(SynchronousTestCase):
    """A folder with a configuration in it."""

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="chatd-config-"))
        self.addCleanup(shutil.rmtree, self.folder)

    def load(self, text: str) -> Settings:
        path = self.folder / "chatd.toml"
        path.write_text(text, "utf-8")
        return load(path)

    def mistakes(self, text: str) -> dict[str, str]:
        """Return problem and right by key of a text that is refused."""
        error = self.assertRaises(ConfigError, self.load, text)
        return {mistake.key: f"{mistake.problem} | {mistake.right}" for mistake in error.mistakes}


class Good(Files):
    """What a right file gives."""

    def test_other_domains_are_as_in_addresses(self) -> None:
        """They are compared with what stands in an address, which is never an A-label."""
        s2s = self.load(SMALLEST + '[s2s]\nblock = ["XN--fa-hia.example", "evil.example\u3002"]\n'
                        'allow = ["Stra\u00dfe.example."]\n'
                        '[s2s.exceptions."xn--mnchen-3ya.example"]\ndialback = false\n').s2s
        self.assertEqual(s2s.block, ("fa\u00df.example", "evil.example"))
        self.assertEqual(s2s.allow, ("stra\u00dfe.example",))
        self.assertEqual(list(s2s.exceptions), ["m\u00fcnchen.example"])

    def test_smallest_file_has_every_default(self) -> None:
        settings = self.load(SMALLEST)
        self.assertEqual(settings.server.host, "chat.example.com")
        self.assertEqual(settings.server.state_dir, self.folder / "var")
        self.assertEqual([domain.name for domain in settings.domains], ["example.com"])
        self.assertEqual(settings.domains[0].certificate, self.folder / "var/certificates/example.com.crt")
        self.assertEqual(settings.domains[0].key, self.folder / "var/certificates/example.com.key")
        self.assertEqual(settings.listen.c2s, (Address("127.0.0.1", 5222),))
        self.assertEqual(settings.http.public_url, "https://chat.example.com:5281")
        self.assertEqual(settings.limits.stanza_bytes, 262144)
        self.assertEqual(settings.limits.preauth_stanza_bytes, 10240)
        self.assertEqual(settings.store.url, "sqlite:chatd.sqlite")
        self.assertEqual(settings.modules, {})

    def test_everything_listens_on_loopback_by_default(self) -> None:
        listen = self.load(SMALLEST).listen
        addresses = [address for field in attrs.fields(type(listen)) for address in getattr(listen, field.name)]
        self.assertTrue(all(address.is_loopback for address in addresses))
        self.assertEqual(len({address.port for address in addresses}), len(addresses))

    def test_defaults_of_numbers_are_within_their_bounds(self) -> None:
        for name, cls in TABLES.items():
            for field in attrs.fields(cls):
                if isinstance(field.default, int):
                    kind = field.metadata["kind"]
                    self.assertEqual(kind.read(field.default, self.folder), field.default, f"{name}.{field.name}")

    def test_several_domains_with_certificates_of_their_own(self) -> None:
        settings = self.load(
            '[server]\nhost = "xmpp.example.com"\nstate_dir = "/srv/chatd"\n'
            '[[domain]]\nname = "mynewdomain.com"\ncertificate = "certs/new.pem"\nkey = "/etc/keys/new.key"\n'
            '[[domain]]\nname = "Other.Example."\n'
        )
        first, second = settings.domains
        self.assertEqual(first, settings.domain("mynewdomain.com"))
        self.assertEqual(first.certificate, self.folder / "certs/new.pem")
        self.assertEqual(first.key, Path("/etc/keys/new.key"))
        self.assertEqual(second.name, "other.example")
        self.assertEqual(second.certificate, Path("/srv/chatd/certificates/other.example.crt"))
        self.assertIsNone(settings.domain("nobody.example"))

    def test_an_international_domain_is_kept_as_written(self) -> None:
        settings = self.load(SMALLEST.replace('name = "example.com"', 'name = "Bücher.example"'))
        self.assertEqual(settings.domains[0].name, "bücher.example")

    def test_addresses(self) -> None:
        settings = self.load(
            SMALLEST + '[listen]\nc2s = ["0.0.0.0:5222", "[::]:5222"]\nc2s_tls = []\nhttps = "[::1]:0"\n'
        )
        self.assertEqual(settings.listen.c2s, (Address("0.0.0.0", 5222), Address("::", 5222)))
        self.assertEqual([str(address) for address in settings.listen.c2s], ["0.0.0.0:5222", "[::]:5222"])
        self.assertEqual(settings.listen.c2s_tls, ())
        self.assertEqual(settings.listen.https, (Address("::1", 0),))

    def test_the_usual_port_is_not_in_the_public_address(self) -> None:
        settings = self.load(SMALLEST + '[listen]\nhttps = ["0.0.0.0:443"]\n')
        self.assertEqual(settings.http.public_url, "https://chat.example.com")

    def test_modules_keep_their_options_as_written(self) -> None:
        settings = self.load(SMALLEST + "[modules.ping]\nevery_s = 60\n")
        self.assertEqual(settings.modules, {"ping": {"every_s": 60}})

    def test_a_database_password_is_not_in_the_repr(self) -> None:
        settings = self.load(SMALLEST + '[store]\nurl = "postgresql://chatd:swordfish@localhost/chatd"\n')
        self.assertIn("swordfish", settings.store.url)
        self.assertNotIn("swordfish", repr(settings))


    def test_a_table_inside_another(self) -> None:
        settings = self.load(
            SMALLEST + '[media]\nannounce = "192.0.2.7"\nprocesses = 2\n'
            '[media.turn]\nsecret = " swordfish "\nurls = ["turn:[2001:db8::1]:3?transport=tcp", "stun:a.example"]\n')
        self.assertEqual(settings.media.announce, ("192.0.2.7",))
        self.assertEqual(settings.turn.urls, ("turn:[2001:db8::1]:3?transport=tcp", "stun:a.example"))
        self.assertEqual(settings.turn.secret, "swordfish")
        self.assertNotIn("swordfish", repr(settings))
        keys = ("media.announce", "media.processes", "media.turn.urls", "media.turn.secret")
        self.assertEqual(changes(self.load(SMALLEST), settings), tuple(Change(key, False) for key in keys))

    def test_a_livekit_server(self) -> None:
        settings = self.load(SMALLEST + '[media]\nengine = "livekit"\nurl = "https://lk.example/"\n'
                             'api_key = "APIk"\napi_secret = "swordfish"\n')
        self.assertEqual(settings.media.url, "wss://lk.example")
        self.assertNotIn("swordfish", repr(settings))


class Secrets(Files):
    """Secrets in files of their own."""

    TEXT = (SMALLEST + '[media]\nengine = "livekit"\nurl = "wss://lk.example"\napi_key = "k"\napi_secret_file = "lk"\n'
            '[media.turn]\nurls = ["turn:a"]\nsecret_file = "turn"\n')

    def test_they_take_the_place_of_the_names(self) -> None:
        (self.folder / "lk").write_text("swordfish\n")
        (self.folder / "turn").write_text(" halibut \n\n")
        settings = with_secrets(self.load(self.TEXT))
        self.assertEqual((settings.media.api_secret, settings.turn.secret), ("swordfish", "halibut"))
        self.assertNotIn("swordfish", repr(settings))
        self.assertNotIn("halibut", repr(settings))
        self.assertEqual(with_secrets(settings), settings)

    def test_what_stands_in_the_configuration_stays(self) -> None:
        text = self.TEXT.replace('api_secret_file = "lk"', 'api_secret = "a"')
        text = text.replace('secret_file = "turn"', 'secret = "b"')
        settings = with_secrets(self.load(text))
        self.assertEqual((settings.media.api_secret, settings.turn.secret), ("a", "b"))

    def test_files_that_are_no_good_are_told_all_at_once(self) -> None:
        (self.folder / "turn").write_bytes(b"two\nlines")
        error = self.assertRaises(ConfigError, with_secrets, self.load(self.TEXT))
        keys = [mistake.key for mistake in error.mistakes]
        self.assertEqual(keys, ["media.api_secret_file", "media.turn.secret_file"])
        self.assertNotIn("two", str(error))
        for content in (b"", b" \n", b"\xff\xfe"):
            (self.folder / "turn").write_bytes(content)
            self.assertEqual(len(self.assertRaises(ConfigError, with_secrets, self.load(self.TEXT)).mistakes), 2)


class Wrong(Files):
    """What is told about a file that cannot be used."""

    def test_all_mistakes_at_once_each_with_its_key(self) -> None:
        found = self.mistakes(
            "[sever]\n"
            '[server]\nhost = "10.0.0.1"\nstat_dir = "x"\n'
            '[[domain]]\nname = "example.com"\n[[domain]]\nname = "Example.com"\ncertificate = 4\n'
            "[limits]\nstanzas_burst = 10\ndepth = true\nresume_s = -1\n"
            '[listen]\nc2s = "1.2.3.4"\nhttps = ["127.0.0.1:5280"]\n'
            '[store]\nurl = "mysql:3"\ndurability = "none"\n'
            '[log]\nlevel = "loud"\n'
        )
        self.assertEqual(
            set(found),
            {
                "sever",
                "server.host",
                "server.stat_dir",
                "domain[1].name",
                "domain[1].certificate",
                "limits.stanzas_burst",
                "limits.depth",
                "limits.resume_s",
                "listen.c2s",
                "listen.http",
                "store.url",
                "store.durability",
                "log.level",
            },
        )

    def test_an_unknown_key_names_the_nearest(self) -> None:
        found = self.mistakes(SMALLEST + "[limits]\nstanza_byte = 3\n[modul]\n")
        self.assertIn('"stanza_bytes"', found["limits.stanza_byte"])
        self.assertIn('"modules"', found["modul"])

    def test_an_unknown_key_like_no_other_gets_the_list(self) -> None:
        self.assertIn("scram_iterations", self.mistakes(SMALLEST + "[auth]\nxyz = 3\n")["auth.xyz"])

    def test_what_must_be_given(self) -> None:
        self.assertEqual(set(self.mistakes("")), {"server.host", "domain"})
        self.assertEqual(set(self.mistakes('[server]\nhost = "a.example"\n[[domain]]\n')), {"domain[0].name"})

    def test_one_bracket_instead_of_two(self) -> None:
        found = self.mistakes('[server]\nhost = "a.example"\n[domain]\nname = "a.example"\n')
        self.assertIn("[[domain]]", found["domain"])

    def test_tables_that_are_none(self) -> None:
        self.assertEqual(set(self.mistakes("limits = 3\nmodules = 4\n" + SMALLEST)), {"limits", "modules"})
        self.assertEqual(set(self.mistakes(SMALLEST + "[modules]\nping = true\n")), {"modules.ping"})

    def test_addresses_that_are_none(self) -> None:
        for text in (
            "5222",
            "localhost",
            "localhost:",
            ":5222",
            "127.0.0.1:99999",
            "127.0.0.1:x",
            "::1:5222",
            "[::1]",
            "999.1.1.1:5222",
            "a b:5222",
            "127.0.0.1:٣",
        ):
            found = self.mistakes(SMALLEST + f'[listen]\nc2s = ["{text}"]\n')
            self.assertEqual(set(found), {"listen.c2s"}, text)

    def test_names_that_are_none(self) -> None:
        for name in ("", " ", "a b", "-a.example", "127.0.0.1", "[::1]", "a..b", "x" * 64 + ".example"):
            found = self.mistakes(f'[server]\nhost = "a.example"\n[[domain]]\nname = "{name}"\n')
            self.assertEqual(set(found), {"domain[0].name"}, name)

    def test_numbers_out_of_bounds_name_the_bounds(self) -> None:
        found = self.mistakes(SMALLEST + "[limits]\nstanza_bytes = 100\n")
        self.assertIn("from 10000 to", found["limits.stanza_bytes"])

    def test_the_limit_before_log_in_is_not_above_the_other(self) -> None:
        found = self.mistakes(SMALLEST + "[limits]\nstanza_bytes = 10000\npreauth_stanza_bytes = 20000\n")
        self.assertEqual(set(found), {"limits.preauth_stanza_bytes"})

    def test_metrics_for_everybody_need_a_list_of_readers(self) -> None:
        open_to_all = SMALLEST + '[listen]\nmetrics = ["0.0.0.0:9000"]\n'
        self.assertEqual(set(self.mistakes(open_to_all)), {"listen.metrics"})
        settings = self.load(open_to_all + '[http]\nmetrics_readers = ["10.0.0.0/8"]\n')
        self.assertEqual(settings.http.metrics_readers, ("10.0.0.0/8",))

    def test_one_certificate_with_two_keys(self) -> None:
        found = self.mistakes(
            '[server]\nhost = "a.example"\n'
            '[[domain]]\nname = "a.example"\ncertificate = "a.pem"\nkey = "a.key"\n'
            '[[domain]]\nname = "b.example"\ncertificate = "a.pem"\nkey = "b.key"\n'
        )
        self.assertEqual(set(found), {"domain"})

    def test_a_database_password_is_not_in_the_mistake(self) -> None:
        for url in ("postgres://u:swordfish@h/d", "postgresql:u:swordfish@h/d", "mysql://u:swordfish@h/d"):
            self.assertNotIn("swordfish", str(self.mistakes(SMALLEST + f'[store]\nurl = "{url}"\n')), url)

    def test_origins_are_scheme_host_and_port(self) -> None:
        text = SMALLEST + '[http]\norigins = ["https://Mail.example.com/", "http://localhost:8000", "*"]\n'
        self.assertEqual(self.load(text).http.origins, ("https://mail.example.com", "http://localhost:8000", "*"))
        for origin in ("mail.example.com", "https://mail.example.com/page", "https://a@b.example", "ftp://x", ""):
            found = self.mistakes(SMALLEST + f'[http]\norigins = ["{origin}"]\n')
            self.assertEqual(set(found), {"http.origins"}, origin)

    def test_keys_of_the_api(self) -> None:
        good = "k" * 32
        self.assertEqual(self.load(SMALLEST + f'[api]\nkeys = {{ webmail = "{good}" }}\n').api.keys, {"webmail": good})
        self.assertNotIn(good, repr(self.load(SMALLEST + f'[api.keys]\nwebmail = "{good}"\n')))
        for keys in ('"' + good + '"', '{ webmail = "' + good[1:] + '" }', "{ webmail = 1 }", f'{{ "a b" = "{good}" }}',
                     f'{{ a = "{good}", b = "{good}" }}'):
            found = self.mistakes(SMALLEST + f"[api]\nkeys = {keys}\n")
            self.assertEqual(set(found), {"api.keys"})
            self.assertNotIn(good[1:], found["api.keys"])

    def test_an_engine_lacks_what_it_needs(self) -> None:
        found = self.mistakes(SMALLEST + '[media]\nengine = "livekit"\n')
        self.assertEqual(set(found), {"media.url", "media.api_key", "media.api_secret"})
        found = self.mistakes(SMALLEST + "[media]\nport = 65530\nprocesses = 7\n")
        self.assertEqual(set(found), {"media.port"})
        self.assertEqual(set(self.mistakes(SMALLEST + "[media]\nengin = 3\n[media.turm]\n")),
                         {"media.engin", "media.turm"})
        self.assertEqual(set(self.mistakes("media = 3\n" + SMALLEST)), {"media"})

    def test_addresses_to_announce(self) -> None:
        for text in ("chat.example.com", "127.0.0.1", "0.0.0.0", "::", "224.0.0.1", "192.0.2.7:80"):
            found = self.mistakes(SMALLEST + f'[media]\nannounce = ["{text}"]\n')
            self.assertEqual(set(found), {"media.announce"}, text)

    def test_an_address_to_announce_that_is_not_listened_on(self) -> None:
        text = SMALLEST + '[media]\nannounce = ["192.0.2.7", "2001:db8::7"]\n'
        self.assertEqual(set(self.mistakes(text)), {"media.announce"})
        self.assertEqual(len(self.load(text + 'address = "::"\n').media.announce), 2)

    def test_turn_addresses_and_their_secret(self) -> None:
        for text in ("turn.example.com", "turn:", "turn:a:0", "turn:a:99999", "turn:a?transport=sctp",
                     "stun:a?transport=udp", "turn:a b", "http://a"):
            found = self.mistakes(SMALLEST + f'[media.turn]\nurls = ["{text}"]\nsecret = "s"\n')
            self.assertEqual(set(found), {"media.turn.urls"}, text)
        self.assertEqual(set(self.mistakes(SMALLEST + '[media.turn]\nurls = ["turns:a"]\n')), {"media.turn.secret"})
        both = '[media.turn]\nurls = ["turns:a"]\nsecret = "swordfish"\nsecret_file = "b"\n'
        found = self.mistakes(SMALLEST + both)
        self.assertEqual(set(found), {"media.turn.secret"})
        self.assertNotIn("swordfish", str(found))

    def test_what_is_not_toml_is_told_with_the_line(self) -> None:
        self.assertIn("line 2", self.mistakes("[server]\nhost chat\n")[""])

    def test_bytes_that_are_not_text(self) -> None:
        path = self.folder / "chatd.toml"
        path.write_bytes(b"\xff\xfe\x00")
        self.assertIn("UTF-8", str(self.assertRaises(ConfigError, load, path)))

    def test_no_file(self) -> None:
        self.assertIn("no such file", str(self.assertRaises(ConfigError, load, self.folder / "none.toml")))


class Reload(Files):
    """What a second reading changes."""

    def changed(self, extra: str, before: str = "") -> tuple[Change, ...]:
        return changes(self.load(SMALLEST + before), self.load(SMALLEST + extra))

    def test_nothing_changed(self) -> None:
        self.assertEqual(self.changed(""), ())

    def test_live_and_not(self) -> None:
        found = self.changed('[limits]\ndepth = 65\n[listen]\nc2s = ["127.0.0.1:6222"]\n[log]\nlevel = "debug"\n')
        self.assertEqual(found, (Change("listen.c2s", False), Change("limits.depth", True), Change("log.level", True)))

    def test_another_certificate_is_live_another_domain_is_not(self) -> None:
        found = self.changed('certificate = "new.pem"\n[[domain]]\nname = "second.example"\n')
        self.assertEqual(found, (Change("domain", False), Change("domain[0].certificate", True)))

    def test_modules_by_name(self) -> None:
        found = self.changed("[modules.ping]\na = 2\n[modules.last]\n", "[modules.ping]\na = 1\n")
        self.assertEqual(found, (Change("modules.last", False), Change("modules.ping", False)))


class People(SynchronousTestCase):
    """[[domain.auth]]."""

    def read(self, text: str) -> Settings:
        folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, folder)
        path = folder / "chatd.toml"
        path.write_text('[server]\nhost = "a.example"\n[[domain]]\nname = "b.example"\n' + text)
        return load(path)

    def wrong(self, text: str) -> str:
        return str(self.assertRaises(ConfigError, self.read, "[[domain.auth]]\n" + text))

    def test_several_in_order(self) -> None:
        (domain,) = self.read(
            '[listen]\nc2s = []\n[[domain.auth]]\nkind = "internal"\n'
            '[[domain.auth]]\nkind = "imap"\nurl = "imaps://mail.example"\n').domains
        self.assertEqual([source.kind for source in domain.auth], ["internal", "imap"])
        self.assertEqual(self.read("").domains[0].auth[0].kind, "internal")

    def test_what_is_wrong_is_told(self) -> None:
        self.assertIn("domain[0].auth[0].url: it is missing", self.wrong('kind = "imap"'))
        self.assertIn("begin as it should", self.wrong('kind = "imap"\nurl = "http://mail.example"'))
        self.assertIn("more or less", self.wrong('kind = "imap"\nurl = "imap://me:secret@mail.example"'))
        self.assertNotIn("secret", self.wrong('kind = "imap"\nurl = "imap://me:secret@mail.example"'))
        self.assertIn("in the clear", self.wrong('kind = "imap"\nurl = "imap://mail.example"\nplain = true'))
        self.assertIn("means TLS", self.wrong('kind = "imap"\nurl = "imaps://localhost"\nplain = true'))
        self.assertIn("{nobody}", self.wrong('kind = "imap"\nurl = "imaps://a.example"\nlogin = "{nobody}"'))
        self.assertIn("there is no such setting", self.wrong('kind = "imap"\nuri = "x"'))
        self.assertIn("it is missing", self.wrong(""))
        self.assertIn("[[domain.auth]]", str(self.assertRaises(ConfigError, self.read, 'auth = "imap"')))

    def test_directories(self) -> None:
        (domain,) = self.read('[[domain.directory]]\nkind = "file"\npath = "people.csv"\n').domains
        self.assertEqual(domain.directory[0].path.name, "people.csv")
        self.assertEqual(self.read("").domains[0].directory, ())
        for text in ('kind = "file"', 'kind = "file"\npath = "people.xls"'):
            found = str(self.assertRaises(ConfigError, self.read, "[[domain.directory]]\n" + text))
            self.assertIn("directory[0].path: no file is given, or one of no known kind", found)
        found = str(self.assertRaises(ConfigError, self.read, 'directory_readers = ["c.example"]\n'))
        self.assertIn("c.example is not served here", found)

    def test_a_reload_tells_that_a_restart_is_needed(self) -> None:
        old, new = self.read(""), self.read('[[domain.auth]]\nkind = "imap"\nurl = "imaps://a.example"')
        self.assertIn(Change("domain[0].auth", False), changes(old, new))


def documented_keys() -> list[str]:
    """Return every setting as TABLE.KEY, those of [[domain]] and what is in it included."""
    tables = {**TABLES, **BLOCKS}
    return [f"{name}.{field.name}" for name, cls in tables.items() for field in own_fields(cls)]


def own_fields(cls: type) -> list[Any]:
    """Return the settings of a table without the tables in it."""
    return [field for field in attrs.fields(cls) if "table" not in field.metadata]


class Components(Files):
    """[[component]]."""

    SECRET = 'secret = "0123456789abcdef"\n'

    def wrong(self, text: str, before: str = "") -> str:
        return str(self.assertRaises(ConfigError, lambda: with_secrets(self.load(SMALLEST + before + text))))

    def test_secrets_here_or_in_a_file(self) -> None:
        (self.folder / "file").write_text("fedcba9876543210\n")
        settings = with_secrets(self.load(
            f'{SMALLEST}[[component]]\ndomain = "IRC.example"\n{self.SECRET}'
            '[[component]]\ndomain = "sms.example"\nsecret_file = "file"\n'))
        self.assertEqual([(one.domain, one.secret) for one in settings.components],
                         [("irc.example", "0123456789abcdef"), ("sms.example", "fedcba9876543210")])
        self.assertNotIn("0123456789abcdef", repr(settings))
        self.assertEqual([change.key for change in changes(self.load(SMALLEST), settings)], ["component"])

    def test_what_is_wrong(self) -> None:
        (self.folder / "file").write_text("short\n")
        one = f'[[component]]\ndomain = "irc.example"\n{self.SECRET}'
        ours = self.load(SMALLEST).domains[0].name
        for text, said in (
            (one + one, "is served already"),
            (one.replace("irc.example", ours), "is served already"),
            (one.replace("irc.example", f"conference.{ours}"), "is served already"),
            ('[[component]]\ndomain = "irc.example"\n', "it is missing"),
            ('[[component]]\ndomain = "irc.example"\nsecret = "too short"\n', "shorter than 16"),
            ('[[component]]\ndomain = "irc.example"\nsecret_file = "file"\n', "shorter than 16"),
            (one + 'secret_file = "file"\n', "one of the two"),
            ('[component]\ndomain = "irc.example"\n', "[[component]], with two brackets"),
        ):
            found = self.wrong(text)
            self.assertIn(said, found)
            self.assertNotIn("too short", found)
        self.assertIn("tunnel", self.wrong(one, '[listen]\ncomponent = ["0.0.0.0:5347"]\n'))


class Documents(SynchronousTestCase):
    """The sample and the manual page tell of every setting, and of no other."""

    ROOT = Path(__file__).resolve().parents[2]

    def test_the_sample_can_be_used_and_runs_below_var(self) -> None:
        settings = load(self.ROOT / "etc/chatd.toml")
        self.assertEqual(settings.server.state_dir, self.ROOT / "var")
        for domain in settings.domains:
            self.assertEqual(domain.certificate.parent.parent, self.ROOT / "var")

    def sample(self) -> dict[str, dict[str, object]]:
        """Return what the sample says with its commented settings brought to life."""
        text = (self.ROOT / "etc/chatd.toml").read_text("utf-8")
        lines = []
        for line in text.splitlines():
            bare = line.removeprefix("# ")
            is_setting = bare != line and "=" in bare and bare.split("=")[0].strip().isidentifier()
            is_setting = is_setting or bare.strip("[]") in BLOCKS
            lines.append(bare if is_setting else line)
        parsed: dict[str, dict[str, object]] = {}
        table: dict[str, object] = {}
        for line in lines:
            if line.startswith("["):
                table = parsed.setdefault(line.strip("[]"), {})
            elif "=" in line and not line.startswith("#"):
                table.update(tomllib.loads(line))
        return parsed

    def test_the_sample_shows_every_setting_with_its_default(self) -> None:
        sample = self.sample()
        shown = {f"{table}.{key}" for table, values in sample.items() for key in values}
        self.assertEqual(sorted(shown), sorted(documented_keys()))
        for name, cls in TABLES.items():
            for field in attrs.fields(cls):
                kind, written = field.metadata["kind"], sample[name][field.name]
                value = kind.read(written, self.ROOT / "etc")
                if isinstance(field.default, (int, str)) and field.default != "":
                    self.assertEqual(value, field.default, f"{name}.{field.name}")
                if name == "listen":
                    self.assertEqual(value, field.default, f"{name}.{field.name}")

    def test_the_manual_page_has_every_setting_with_its_default(self) -> None:
        page = (self.ROOT / "man/chatd.toml.5").read_text("utf-8")
        for name, cls in {**TABLES, **BLOCKS}.items():
            section = page.split(f".Ss [{name}]" if name not in BLOCKS else f".Ss [[{name}]]")[1].split("\n.Ss ")[0]
            items = {line.split()[2]: line for line in section.splitlines() if line.startswith(".It Ic ")}
            self.assertEqual(list(items), [field.name for field in own_fields(cls)], name)
            for field in own_fields(cls):
                if isinstance(field.default, int):
                    self.assertIn(f"default {str(field.default).lower()}", items[field.name])
                self.assertEqual(items[field.name].endswith("; live"), field.metadata["live"], f"{name}.{field.name}")
