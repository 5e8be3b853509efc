"""The organisation's directory for XMPP clients: search (XEP-0055), vCards of who has none of his own (XEP-0054), and
tokens for the panel's search over HTTP. docs/protocol.md has the token.

Who may look into a directory, IDirectories says; everybody else gets what a server without one answers. Whoever is in a
directory but has no account cannot be added as a contact: nobody is there who could answer, and nobody would be told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from xml.sax.saxutils import escape

from twisted.logger import Logger
from twisted.words.xish import domish

from chatd.core import ns
from chatd.core.errors import StanzaError
from chatd.core.jid import JID
from chatd.core.people import Person
from chatd.core.vcards import name_of, vcard_of
from chatd.interfaces import IAccount, IDirectories
from chatd.xep.api import Api, Module, Option, Request

__all__ = ["Directory"]

log = Logger()

TOKEN_S: Final = 600
_PAYLOAD: Final = f"{ns.SEARCH} query"
_FIELDS: Final = (("name", "Name"), ("email", "Address"))
_COLUMNS: Final = (("jid", "Account", "jid-single"), ("name", "Name", "text-single"),
                   ("email", "Address", "text-single"), ("title", "Title", "text-single"),
                   ("department", "Department", "text-single"),
                   ("phone", "Phone", "text-single"), ("has_account", "Has logged in", "boolean"))
_INSTRUCTIONS: Final = "Any parts of names or addresses, in any order."


class Directory(Module):
    """XEP-0055 at the domain itself."""

    name = "directory"
    xep = "0055"
    version = "1.3"
    needs = ("roster", "vcard")
    options = (Option("results", int, 50, "People in one answer.", least=1, most=500),)

    def start(self, api: Api) -> None:
        """Answers searches, and tells the directories of accounts."""
        super().start(api)
        api.iq("get", _PAYLOAD, self._form, "domain")
        api.iq("set", _PAYLOAD, self._search, "domain")
        api.iq("get", f"{ns.DIRECTORY} token", self._token, "domain")
        if api.directories is None:
            return
        api.on("disco.info", self._features)
        api.on("roster.adding", self._adding)
        api.on("vcard.none", self._vcard)
        api.on("account.created", lambda jid: api.directories.account_changed(jid))
        api.on("account.deleted", lambda account: api.directories.account_deleted(account.bare))
        api.on("account.disabled", lambda jid, is_disabled: api.directories.account_disabled(jid, is_disabled))
        api.on("vcard.changed", self._renamed)
        api.command("directory search", self._command_search, "people of a domain by parts of names and addresses")
        api.command("directory status", lambda _: api.directories.status(), "how many people, from where")

    def _features(self, request: Request, node: str | None) -> tuple[str, ...] | None:
        is_searched = not request.to.local and self.api.directories.may_search(request.from_, request.to.domain)
        return (ns.SEARCH,) if is_searched and not node else None

    # -- XEP-0055
    def _directory(self, request: Request) -> IDirectories:
        found: IDirectories | None = self.api.directories
        if request.session is None or found is None or not found.may_search(request.from_, request.to.domain):
            raise StanzaError("service-unavailable")
        return found

    def _form(self, request: Request) -> bytes:
        self._directory(request)
        fields = "".join(f'<field var="{name}" type="text-single" label="{label}"/>' for name, label in _FIELDS)
        return (f'<query xmlns="{ns.SEARCH}"><instructions>{_INSTRUCTIONS}</instructions><nick/><email/>'
                f'<x xmlns="{ns.DATA}" type="form"><title>Directory</title><instructions>{_INSTRUCTIONS}</instructions>'
                f'<field var="FORM_TYPE" type="hidden"><value>{ns.SEARCH}</value></field>{fields}</x></query>').encode()

    def _search(self, request: Request) -> bytes:
        directory = self._directory(request)
        form = next(request.child.elements(ns.DATA, "x"), None)
        typed = _typed_in_form(form) if form is not None else _typed(request.child)
        if not typed.strip():
            raise StanzaError("not-acceptable", text="Say a part of a name or of an address.")
        people, _ = directory.search(request.to.domain, typed, self.api.options["results"])
        if form is None:
            return f'<query xmlns="{ns.SEARCH}">{"".join(map(_item, people))}</query>'.encode()
        columns = "".join(f'<field var="{name}" label="{label}" type="{kind}"/>' for name, label, kind in _COLUMNS)
        items = "".join(_row(person, directory.has_account(person.jid)) for person in people)
        return (f'<query xmlns="{ns.SEARCH}"><x xmlns="{ns.DATA}" type="result"><field var="FORM_TYPE" type="hidden">'
                f"<value>{ns.SEARCH}</value></field><reported>{columns}</reported>{items}</x></query>").encode()

    def _token(self, request: Request) -> bytes:
        self._directory(request)
        token = self.api.router.visits.give("directory", request.from_.bare, TOKEN_S)
        return f'<token xmlns="{ns.DIRECTORY}" seconds="{TOKEN_S}">{escape(token)}</token>'.encode()

    # -- what others ask
    def _adding(self, account: IAccount, to: JID) -> None:
        """A contact is about to be added: somebody without an account cannot be."""
        directory = self.api.directories
        person = directory.find(to) if directory.may_search(account.jid, to.domain) else None
        if person is not None and not directory.has_account(person.jid):
            raise StanzaError("item-not-found", text=f"{person.name} has never logged in to the chat and cannot be "
                                                     "added yet.")

    def _vcard(self, reader: JID, jid: JID) -> bytes | None:
        directory = self.api.directories
        person = directory.find(jid) if directory.may_search(reader, jid.domain) else None
        return vcard_of(person) if person is not None else None

    def _renamed(self, account: IAccount, photo_sha1: str) -> None:
        def found(vcard: bytes | None) -> None:
            self.api.directories.account_changed(account.bare, name_of(vcard or b""))

        self.api.store.vcard.get(account.id).addCallback(found).addErrback(
            lambda failure: log.failure("a vCard could not be read", failure))

    def _command_search(self, arguments: Mapping[str, Any]) -> list[dict[str, Any]]:
        typed, domain = str(arguments.get("text", "")), arguments.get("domain")
        domains = [str(domain)] if domain else sorted(self.api.router.domains)
        directory = self.api.directories
        return [{"jid": person.jid, "name": person.name, "address": person.address, "department": person.department,
                 "has_account": directory.has_account(person.jid)}
                for name in domains for person in directory.search(name, typed, self.api.options["results"])[0]]


def _typed_in_form(form: domish.Element) -> str:
    known = {name for name, _ in _FIELDS}
    return " ".join(str(value) for field in form.elements(ns.DATA, "field") if field.getAttribute("var") in known
                    for value in field.elements(ns.DATA, "value"))


def _typed(query: domish.Element) -> str:
    return " ".join(str(child) for child in query.elements() if child.name in ("first", "last", "nick", "email"))


def _item(person: Person) -> str:
    return (f"<item jid={_quoted(person.jid)}><nick>{escape(person.name)}</nick>"
            f"<email>{escape(person.address)}</email></item>")


def _row(person: Person, has_account: bool) -> str:
    values = {"jid": person.jid, "name": person.name, "email": person.address, "title": person.title,
              "department": person.department, "phone": person.phone, "has_account": "1" if has_account else "0"}
    fields = "".join(f'<field var="{name}"><value>{escape(value)}</value></field>' for name, value in values.items())
    return f"<item>{fields}</item>"


def _quoted(text: str) -> str:
    return f'"{escape(text, {chr(34): "&quot;"})}"'
