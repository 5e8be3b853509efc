"""A real Webmail for tests: Roundcube from Debian's package behind nginx and PHP-FPM, with Dovecot for its mail.

Nothing of the system's configuration is read but PHP's list of extensions; everything lives in a folder of its own, on
free ports, and as `nobody` where the tests run as root. `Webmail.https` is what people open; `Webmail.old` is the
same for browsers that do not send Sec-Fetch-Dest, `Webmail.http` the same without TLS.
"""

from __future__ import annotations

import imaplib
import os
import secrets
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path

from tests.daemon import ROOT, Daemon, free_ports
from tests.dovecot import Dovecot

PLUGIN = ROOT / "contrib" / "roundcube" / "chatd"
HOST = "webmail.home.localhost"
"""The name in people's address bars: the browser takes any name below localhost for this machine, and for safe."""
OPEN = "webmail.home.test"
"""Its name where it is opened by http: one that the browser does not take for safe (harness.mjs has its address)."""
CHAT = "chat.home.localhost"
"""The name of chatd: another origin of the same site, as webmail.example.org and chat.example.org are."""
KEY = "a key of the tests and of nothing else: 6f1e"
_PREFIX = Path("/usr/share/roundcube")

_NGINX = """
pid {folder}/nginx.pid;
error_log {folder}/nginx.log warn;
daemon off;
worker_processes 1;
events {{ worker_connections 512; }}
http {{
    include /etc/nginx/mime.types;
    access_log {folder}/access.log;
    client_body_temp_path {folder}/tmp/body;
    fastcgi_temp_path {folder}/tmp/fastcgi;
    proxy_temp_path {folder}/tmp/proxy;
    uwsgi_temp_path {folder}/tmp/uwsgi;
    scgi_temp_path {folder}/tmp/scgi;
    client_max_body_size 20m;
    gzip on;
    gzip_types text/css application/javascript application/json;
    # Browsers from before 2023, and proxies that take headers away, do not say it.
    map $server_port $fetch_dest {{ default $http_sec_fetch_dest; {old} ""; }}
    server {{
        listen 127.0.0.1:{https} ssl http2;
        listen 127.0.0.1:{old} ssl http2;
        listen 127.0.0.1:{http};
        ssl_certificate {folder}/certificate.pem;
        ssl_certificate_key {folder}/key.pem;
        root {roundcube}/public_html;
        location ~ ^/(skins|plugins|program/js|program/resources)/[^.].*\\.({files})$ {{
            expires 1h;
            {site_headers}
        }}
        location = / {{ rewrite ^ /index.php; }}
        location = /index.php {{
            include /etc/nginx/fastcgi_params;
            fastcgi_param SCRIPT_FILENAME {roundcube}/public_html/index.php;
            fastcgi_param HTTP_SEC_FETCH_DEST $fetch_dest;
            fastcgi_pass unix:{folder}/php.sock;
            {site_headers}
        }}
        location / {{ return 404; }}
    }}
}}
"""

_FILES = "js|css|png|svg|gif|jpe?g|tiff|webp|ico|woff2?|ttf|html|pdf|wasm|mp3"
_FPM = """
[global]
error_log = {folder}/fpm.log
daemonize = no
[www]
listen = {folder}/php.sock
pm = static
pm.max_children = 4
catch_workers_output = yes
php_admin_value[session.save_path] = {folder}/sessions
php_admin_value[upload_tmp_dir] = {folder}/tmp
php_admin_value[error_log] = {roundcube}/logs/php.log
php_admin_flag[log_errors] = on
php_admin_flag[display_errors] = off
php_admin_value[opcache.file_update_protection] = 0
php_admin_value[opcache.revalidate_freq] = 0
"""

_CONFIG = """<?php
$config = [];
$config['db_dsnw'] = 'sqlite:///{folder}/roundcube.db?mode=0600';
$config['imap_host'] = '127.0.0.1:{imap}';
$config['smtp_host'] = '127.0.0.1:{smtp}';
$config['smtp_user'] = '';
$config['smtp_pass'] = '';
$config['des_key'] = '{des_key}';
$config['product_name'] = 'Webmail';
$config['skin'] = 'elastic';
$config['language'] = 'en_US';
$config['plugins'] = {plugins};
$config['temp_dir'] = '{roundcube}/temp';
$config['log_dir'] = '{roundcube}/logs';
$config['log_driver'] = 'file';
$config['create_default_folders'] = true;
$config['session_lifetime'] = {session_minutes};
$config['login_rate_limit'] = 100;
{more}
"""


class Webmail:
    """One Roundcube. users: passwords by address. plugins: folders of plugins. `plugin_config` is PHP for the plugin's
    config.inc.php, `config` for Roundcube's own, `site_headers` lines for nginx."""

    def __init__(self, folder: Path, users: dict[str, str], *, plugins: tuple[Path, ...] = (PLUGIN,), smtp: int = 9,
                 config: str = "", plugin_config: str = "", session_minutes: int = 30,
                 site_headers: str = "") -> None:
        self.folder = folder
        self.users = users
        mail = folder / "dovecot"
        mail.mkdir()
        self.mail = Dovecot(mail, users, names=("localhost", HOST, CHAT), is_open=True)
        self.ports = free_ports(3)
        self.https = f"https://{HOST}:{self.ports[0]}"
        self.old = f"https://{HOST}:{self.ports[1]}"
        self.http = f"http://{OPEN}:{self.ports[2]}"
        self.roundcube = folder / "roundcube"
        self._as = [] if os.getuid() else ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups"]
        self._processes: list[subprocess.Popen[bytes]] = []
        self._changes = 0
        self._install(plugins)
        for name in ("certificate.pem", "key.pem"):
            shutil.copy(mail / name, folder / name)
        for name in ("tmp", "sessions"):
            (folder / name).mkdir()
        words = {
            "folder": folder, "roundcube": self.roundcube, "imap": self.mail.imap, "smtp": smtp, "more": config,
            "des_key": secrets.token_hex(12), "session_minutes": session_minutes, "https": self.ports[0],
            "old": self.ports[1], "http": self.ports[2], "site_headers": site_headers, "files": _FILES,
            "plugins": "[" + ", ".join(f"'{plugin.name}'" for plugin in plugins) + "]",
        }
        (folder / "nginx.conf").write_text(_NGINX.format(**words))
        (folder / "fpm.conf").write_text(_FPM.format(**words))
        (self.roundcube / "config" / "config.inc.php").write_text(_CONFIG.format(**words))
        if plugin_config:
            self.configure(plugin_config)
        if not os.getuid():
            subprocess.run(["chown", "-R", "nobody:nogroup", str(folder)], check=True)

    def _install(self, plugins: tuple[Path, ...]) -> None:
        """An installation of our own: Roundcube's code by links, our configuration, our plugins."""
        assert (_PREFIX / "index.php").is_file(), "roundcube-core is missing (tests/debian-packages)"
        here = self.roundcube
        for name in ("config", "temp", "logs", "plugins", "public_html/program"):
            (here / name).mkdir(parents=True)
        for name in ("program", "skins", "SQL"):
            (here / name).symlink_to(_PREFIX / name)
        for name in ("jqueryui", "filesystem_attachments"):
            (here / "plugins" / name).symlink_to(_PREFIX / "plugins" / name)
        for plugin in plugins:
            shutil.copytree(plugin, here / "plugins" / plugin.name)
        for name in ("defaults.inc.php", "mimetypes.php"):
            (here / "config" / name).symlink_to(Path("/etc/roundcube") / name)
        for name in ("program/js", "program/resources"):
            (here / "public_html" / name).symlink_to(_PREFIX / name)
        for name in ("skins", "plugins"):
            (here / "public_html" / name).symlink_to(here / name)
        (here / "public_html" / "index.php").write_text(
            f"<?php\ndefine('INSTALL_PATH', '{here}/');\nrequire '{_PREFIX}/index.php';\n")

    def configure(self, php: str) -> None:
        """Write the plugin's configuration; good from the next request on."""
        file = self.roundcube / "plugins" / "chatd" / "config.inc.php"
        file.write_text(f"<?php\n{php}\n")
        # PHP knows a changed file by its time, in whole seconds.
        self._changes += 1
        os.utime(file, (time.time() - 10_000 + self._changes,) * 2)

    def table(self, *domains: str) -> str:
        """What chatd's configuration says of this Webmail."""
        names = ", ".join(f'"{domain}"' for domain in domains)
        return (f'[[webmail]]\nname = "roundcube"\ndomains = [{names}]\nkey = "{KEY}"\n'
                f'origins = ["{self.https}", "{self.old}", "{self.http}"]\n')

    def know(self, daemon: Daemon, **changes: str) -> None:
        """The plugin uses this daemon. changes: more of its settings, or other ones, as PHP."""
        key = self.folder / "key"
        key.write_text(f"{KEY}\n")
        key.chmod(0o644)
        values = {"url": f"'https://{CHAT}:{daemon.ports['https']}'", "key_file": f"'{key}'",
                  "api_url": f"'http://127.0.0.1:{daemon.ports['http']}'", **changes}
        self.configure("".join(f"$config['chatd_{name}'] = {value};\n" for name, value in values.items()))

    # -- life
    def start(self) -> None:
        """Returns when it answers."""
        self.mail.start()
        for program, *words in (("php-fpm8.2", "-F", "-y", str(self.folder / "fpm.conf")),
                                ("nginx", "-p", str(self.folder), "-e", str(self.folder / "nginx.log"),
                                 "-c", str(self.folder / "nginx.conf"))):
            path = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin")
            assert path, f"{program} is missing (tests/debian-packages)"
            with (self.folder / "out").open("ab") as out:
                self._processes.append(subprocess.Popen([*self._as, path, *words], stdout=out, stderr=out,
                                                        cwd=self.folder, env={"HOME": str(self.folder)}))
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            assert all(process.poll() is None for process in self._processes), self.words()
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.ports[0]), 2):
                if (self.folder / "php.sock").exists():
                    return
            time.sleep(0.05)
        raise AssertionError(self.words())

    def stop(self) -> None:
        """Ends all its processes."""
        for process in reversed(self._processes):
            process.send_signal(signal.SIGTERM)
            process.wait(20)
        self._processes.clear()
        self.mail.stop()

    def words(self) -> str:
        """What it has to say for itself."""
        files = [self.folder / "out", self.folder / "nginx.log", self.folder / "fpm.log",
                 *sorted((self.roundcube / "logs").glob("*"))]
        return "".join(file.read_text(errors="replace")[-2000:] for file in files if file.exists()) + self.mail.words()

    # -- what is in it
    def errors(self) -> str:
        """What Roundcube and PHP complained about."""
        return "".join(file.read_text(errors="replace") for name in ("errors.log", "errors", "php.log")
                       if (file := self.roundcube / "logs" / name).exists())

    def requests(self) -> str:
        """What nginx was asked for, a line each."""
        log = self.folder / "access.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def put(self, to: str, sender: str, subject: str, body: str = "Hello!", html: str = "") -> None:
        """Puts a mail into somebody's inbox. sender: as in a From line."""
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = sender, to, subject
        message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain="home.localhost")
        message.set_content(body)
        if html:
            message.add_alternative(html, subtype="html")
        self.deliver(to, message.as_bytes())

    def deliver(self, to: str, message: bytes) -> None:
        """Puts a message as it is into somebody's inbox."""
        with imaplib.IMAP4("127.0.0.1", self.mail.imap, timeout=20) as imap:
            imap.login(to, self.users[to])
            imap.append("INBOX", "", "", message.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))

    @contextmanager
    def database(self) -> Iterator[sqlite3.Connection]:
        """Roundcube's database, for one change."""
        connection = sqlite3.connect(self.folder / "roundcube.db", timeout=20)
        with connection:
            yield connection
        connection.close()

    def forget_sessions(self) -> None:
        """All sessions of Webmail are over, as after their time."""
        with self.database() as database:
            database.execute("DELETE FROM session")


@contextmanager
def webmail(users: dict[str, str], **options: object) -> Iterator[Webmail]:
    """A running Webmail; its folder is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="roundcube"))
    folder.chmod(0o755)
    server = Webmail(folder, users, **options)      # type: ignore[arg-type]
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)
