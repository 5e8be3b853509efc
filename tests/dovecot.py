"""A real mail server (Dovecot) for tests: accounts with passwords, TLS, STARTTLS and, on loopback, neither.

Nothing of the system's configuration is read; everything lives in a folder of its own, on free ports of 127.0.0.1.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from chatd.selfsigned import write_pair
from tests.daemon import free_ports

NAME = "mail.example"

_CONFIGURATION = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = imap
listen = 127.0.0.1
ssl = yes
ssl_cert = <{folder}/certificate.pem
ssl_key = <{folder}/key.pem
disable_plaintext_auth = {no_plain}
auth_mechanisms = {mechanisms}
auth_failure_delay = 0
auth_username_chars =
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
first_valid_uid = 1
first_valid_gid = 1
mail_location = maildir:{folder}/mail/%u
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {folder}/users
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/mail/%u
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
"""


class Dovecot:
    """One server. users: passwords by address. names: of its certificate, which signs itself (`certificate`)."""

    def __init__(self, folder: Path, users: dict[str, str], names: tuple[str, ...] = ("localhost", NAME),
                 mechanisms: str = "plain login", is_open: bool = False) -> None:
        self.folder = folder
        self.imaps, self.imap = free_ports(2)
        self.certificate = folder / "certificate.pem"
        self.process: subprocess.Popen[bytes] | None = None
        write_pair(self.certificate, folder / "key.pem", list(names), datetime.now(UTC))
        self.set_users(users)
        (folder / "mail").mkdir()
        is_root = os.getuid() == 0
        user, group = ("nobody", "nogroup") if is_root else (str(os.getuid()), str(os.getgid()))
        uid, gid = ("nobody", "nogroup") if is_root else (str(os.getuid()), str(os.getgid()))
        if not is_root:
            import getpass
            import grp

            user, group = getpass.getuser(), grp.getgrgid(os.getgid()).gr_name
        self._as = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups"] if is_root else []
        (folder / "dovecot.conf").write_text(_CONFIGURATION.format(
            folder=folder, user=user, group=group, uid=uid, gid=gid, imap=self.imap, imaps=self.imaps,
            mechanisms=mechanisms, no_plain="no" if is_open else "yes"))
        if is_root:
            subprocess.run(["chown", "-R", "nobody:nogroup", str(folder)], check=True)

    def set_users(self, users: dict[str, str]) -> None:
        """New accounts and passwords, at once."""
        lines = [f"{address}:{{PLAIN}}{password}\n" for address, password in users.items()]
        new = self.folder / "users.new"
        new.write_text("".join(lines))
        new.chmod(0o644)
        if self.process is not None:
            time.sleep(1.1)             # Dovecot looks at the file once a second, and compares times in seconds
            os.utime(new)
        new.replace(self.folder / "users")

    def start(self) -> None:
        """Returns when it answers."""
        dovecot = shutil.which("dovecot", path=f"{os.environ['PATH']}:/usr/sbin")
        assert dovecot, "dovecot is missing: apt-get install dovecot-imapd (tests/debian-packages)"
        with (self.folder / "out").open("ab") as out:
            self.process = subprocess.Popen(
                [*self._as, "env", f"HOME={self.folder}", dovecot, "-F", "-c", str(self.folder / "dovecot.conf")],
                stdout=out, stderr=out)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.words()
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.imap), 2) as sock:
                if sock.recv(100).startswith(b"* OK"):
                    return
            time.sleep(0.05)
        raise AssertionError(self.words())

    def stop(self) -> None:
        """Ends it with all its processes."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(20)
            self.process = None

    def words(self) -> str:
        """What it has to say for itself."""
        return "".join(path.read_text(errors="replace") for path in (self.folder / "out", self.folder / "log")
                       if path.exists())[-3000:]

    @property
    def log_ins(self) -> int:
        """How many passwords it was asked for and found right."""
        log = self.folder / "log"
        return log.read_text(errors="replace").count("Login: user=") if log.exists() else 0


@contextmanager
def mail_server(users: dict[str, str], **options: object) -> Iterator[Dovecot]:
    """A running server; its folder can be passed through by the user it runs as, and is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="dovecot"))
    folder.chmod(0o755)
    server = Dovecot(folder, users, **options)      # type: ignore[arg-type]
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)
