"""Passwords that an LDAP server knows: a bind as the person (RFC 4511 4.2), whose DN is made or searched.

What the person typed is never part of a filter or DN as it is. Whoever is not found costs a bind that fails, so that it
takes as long as a wrong password.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from chatd.outside.ldap import connect, dn_text, filter_text
from chatd.outside.tls import Server
from chatd.settings.people import AuthSource

__all__ = ["LdapPasswords"]


class LdapPasswords:
    """Asks one server. `login` of its questions is a mail address."""

    def __init__(self, server: Server, source: AuthSource, reactor: Any) -> None:
        self.server = server
        self._source = source
        self._reactor = reactor

    def check(self, login: str, password: str) -> Deferred[bool]:
        """Does the server take them? Fails where it cannot be said."""
        return Deferred.fromCoroutine(self._check(login, password))

    def probe(self) -> Deferred[None]:
        """Fires when the server could be asked; fails otherwise."""
        return Deferred.fromCoroutine(self._probe())

    async def _check(self, login: str, password: str) -> bool:
        source = self._source
        if not login.isprintable():
            return False                # slapd would compare only what stands before a zero byte
        with await connect(self.server, self._reactor, source.timeout_s) as connection:
            if source.dn:
                return await connection.bind(_filled(source.dn, login, dn_text), password)
            await connection.bind_as(source.bind_dn, source.bind_password)
            found = await connection.find(source.base, _filled(source.filter, login, filter_text))
            is_right = await connection.bind(found or f"cn=nobody,{source.base}", password)
            return is_right and found is not None

    async def _probe(self) -> None:
        source = self._source
        with await connect(self.server, self._reactor, source.timeout_s) as connection:
            if not source.dn:
                await connection.bind_as(source.bind_dn, source.bind_password)
                await connection.find(source.base, _filled(source.filter, "nobody@invalid", filter_text))


def _filled(template: str, login: str, safe: Any) -> str:
    local, _, domain = login.rpartition("@")
    return template.format(address=safe(login), local=safe(local), domain=safe(domain))
