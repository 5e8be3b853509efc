"""A real LDAP server (OpenLDAP's slapd) for tests, in a folder of its own, on free ports of 127.0.0.1."""

from __future__ import annotations

import shutil
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

BASE = "dc=example,dc=com"
PEOPLE = f"ou=people,{BASE}"
READER, READER_PASSWORD = f"cn=chatd,{BASE}", "reader-secret"

_CONFIGURATION = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
pidfile {folder}/pid
modulepath /usr/lib/ldap
moduleload back_mdb
TLSCertificateFile {folder}/certificate.pem
TLSCertificateKeyFile {folder}/key.pem
database mdb
maxsize 1073741824
suffix "{base}"
rootdn "cn=root,{base}"
rootpw root
directory {folder}/data
limits dn.exact="{reader}" size=unlimited
access to attrs=userPassword by anonymous auth by * none
access to * by dn="{reader}" read by * none
"""
_LDIF = f"""dn: {BASE}
objectClass: dcObject
objectClass: organization
o: Example
dc: example

dn: {READER}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: chatd
userPassword: {READER_PASSWORD}

dn: {PEOPLE}
objectClass: organizationalUnit
ou: people
"""


def person(uid: str, mail: str, password: str) -> str:
    """An entry in LDIF."""
    return (f"\ndn: uid={uid},{PEOPLE}\nobjectClass: inetOrgPerson\nuid: {uid}\ncn: {uid}\nsn: {uid}\n"
            f"mail: {mail}\nuserPassword: {password}\n")


class Slapd:
    """One server; `certificate` signs itself, for localhost."""

    def __init__(self, folder: Path, people: str) -> None:
        self.folder = folder
        self.ldap, self.ldaps = free_ports(2)
        self.certificate = folder / "certificate.pem"
        self.process: subprocess.Popen[bytes] | None = None
        write_pair(self.certificate, folder / "key.pem", ["localhost"], datetime.now(UTC))
        (folder / "data").mkdir()
        (folder / "slapd.conf").write_text(_CONFIGURATION.format(folder=folder, base=BASE, reader=READER))
        done = subprocess.run([program("slapadd"), "-f", str(folder / "slapd.conf")], input=_LDIF + people, text=True,
                              capture_output=True, check=False)
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        """Returns when it answers."""
        with (self.folder / "out").open("ab") as out:
            self.process = subprocess.Popen(
                [program("slapd"), "-f", str(self.folder / "slapd.conf"), "-d", "0",
                 "-h", f"ldap://127.0.0.1:{self.ldap} ldaps://127.0.0.1:{self.ldaps}"], stdout=out, stderr=out)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            assert self.process.poll() is None, (self.folder / "out").read_text()
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.ldap), 2):
                return
            time.sleep(0.05)
        raise AssertionError((self.folder / "out").read_text())

    def stop(self) -> None:
        """Ends it."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
            self.process = None


def program(name: str) -> str:
    """Where it is; Debian has it where only root looks."""
    found = shutil.which(name, path="/usr/sbin:/usr/bin:/usr/local/sbin")
    assert found, f"{name} is missing: apt-get install slapd (tests/debian-packages)"
    return found


@contextmanager
def ldap_server(people: str) -> Iterator[Slapd]:
    """A running server."""
    folder = Path(tempfile.mkdtemp(prefix="slapd"))
    server = Slapd(folder, people)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)
