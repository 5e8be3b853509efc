"""Reporting of spam and abuse with a block, XEP-0377: kept for whoever runs this server, who is told at once.

The messages a report points at are taken from the reporter's own archive and kept with it, as far as they are from who
is reported, so that somebody else need not be believed about them. Nothing goes to other servers; that the
reporter would allow it is kept.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.words.xish import domish

from chatd.core import ns
from chatd.core.archive import ArchiveQuery, ItemNotFound
from chatd.core.errors import StanzaError
from chatd.core.framing import Framer
from chatd.core.jid import JID
from chatd.core.limits import TokenBucket
from chatd.core.reports import FORWARD, MESSAGES_MOST, TEXT_MOST, ReportRow, word_of
from chatd.core.stamp import format_stamp
from chatd.core.stanza import Stanza, text
from chatd.interfaces import IAccount
from chatd.xep.api import Api, Module, Option
from chatd.xep.contact import Contact

__all__ = ["Reporting"]

log = Logger()

_REASON_MOST: Final = 200
_PER_HOUR: Final = 60
_REPORTERS_MOST: Final = 1000
_LISTED: Final = 200
_STORED_MOST: Final = 1 << 30    # what is in the store has passed the limits on its way in
_DEPTH: Final = 2000


class Reporting(Module):
    """XEP-0377."""

    name = "reporting"
    xep = "0377"
    version = "0.4.1"
    features = (ns.REPORTING,)
    needs = ("blocking", "contact")
    options = (
        Option("kept", int, 10_000, "How many reports are kept; of more the oldest go.", 1, 10_000_000),
        Option("tell", bool, True,
               "Whether contact.abuse, or contact.admin, or the admins are told of each by a message."),
    )

    def start(self, api: Api) -> None:
        """Takes what comes with a block."""
        super().start(api)
        self._reporters: OrderedDict[int, TokenBucket] = OrderedDict()
        api.on("blocking.reported", self._reported)
        api.command("report list", self._list, "what people have reported, the newest first")
        api.command("report show", self._show, "one report, with the messages it is about")
        api.command("report delete", self._delete, "forget a report")

    def _reported(self, account: IAccount, jid: JID, report: domish.Element) -> None:
        """The address is blocked by now, whatever becomes of the report."""
        now = self.api.now()
        bucket = self._reporters.pop(account.id, None) or TokenBucket(_PER_HOUR / 3600, _PER_HOUR, now)
        self._reporters[account.id] = bucket
        if len(self._reporters) > _REPORTERS_MOST:
            self._reporters.popitem(last=False)
        if bucket.take(1, now) > 0:
            bucket.take(-1, now)
            return
        Deferred.fromCoroutine(self._keep(account, jid, report)).addErrback(
            lambda failure: log.failure("a report could not be kept", failure=failure))

    async def _keep(self, account: IAccount, jid: JID, report: domish.Element) -> None:
        says = next((str(one) for one in report.elements(ns.REPORTING, "text")), "")
        ids = [one.getAttribute("id") or "" for one in report.elements(ns.SID, "stanza-id")][:MESSAGES_MOST]
        forward = tuple(name for name in FORWARD if any(report.elements(ns.REPORTING, name)))
        messages = await self._messages(account, jid, ids)
        reason = (report.getAttribute("reason") or "")[:_REASON_MOST]
        row = ReportRow(0, int(self.api.now() * 1000), account.bare, jid.full, reason, says[:TEXT_MOST].strip(),
                        messages, forward)
        number = await self.api.store.reports.add(row, self.api.options["kept"])
        log.warn("{reporter} reports {reported} for {reason}: chatctl report show {number}", reporter=row.reporter,
                 reported=row.reported, reason=word_of(row.reason), number=number)
        if self.api.options["tell"]:
            self._tell(number, row)

    async def _messages(self, account: IAccount, jid: JID, ids: list[str]) -> tuple[Mapping[str, object], ...]:
        """Those of these archive ids that are from the reported address, as far as they can still be read."""
        found = []
        for id in ids:
            if not (id.isascii() and id.isdigit() and len(id) < 20):
                continue
            try:
                page = await self.api.store.archive.query(account.id, ArchiveQuery(ids=(int(id),), max=1))
            except ItemNotFound:
                continue
            for row in page.rows:
                stanza = next(iter(Framer(_STORED_MOST, _DEPTH, headless=True).feed(row.stanza)), None)
                if isinstance(stanza, Stanza) and _is_by(stanza, jid):
                    body = next((str(one) for one in stanza.element.elements() if one.name == "body"), "")
                    found.append({"id": id, "stamp_ms": row.stamp_ms, "body": body[:TEXT_MOST]})
        return tuple(found)

    def _tell(self, number: int, row: ReportRow) -> None:
        """By a message of the server's own to whom the site has named."""
        contact = self.api.modules["contact"]
        assert isinstance(contact, Contact)
        said = f": {row.says}" if row.says else "."
        body = (f"{row.reporter} has blocked and reported {row.reported} for {word_of(row.reason)}{said}\n"
                f"Messages kept with it: {len(row.messages)}. chatctl report show {number}")
        domain = row.reporter.rpartition("@")[2]
        for to in [one.full for one in contact.jids("abuse", "admin")] or self._admins(domain):
            attributes = {"type": "normal", "id": f"report-{number}", "from": domain, "to": to}
            self.api.send(Stanza("message", attributes, f"<body>{text(body)}</body>".encode(), (f"{ns.CLIENT} body",)))

    def _admins(self, domain: str) -> list[str]:
        settings = self.api.settings
        own = [name for one in settings.domains if one.name == domain for name in one.admins]
        return sorted({*settings.server.admins, *own})

    # -- chatctl
    async def _list(self, arguments: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [_summary(row) for row in await self.api.store.reports.list(_LISTED)]

    async def _show(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        row: ReportRow | None = await self.api.store.reports.get(_number(arguments))
        if row is None:
            raise StanzaError("item-not-found", text="There is no such report.")
        messages = [f"{format_stamp(int(str(one['stamp_ms'])))} {one['body']}" for one in row.messages]
        return {**_summary(row), "may_be_passed_on_to": list(row.forward), "messages": messages}

    async def _delete(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        number = _number(arguments)
        if not await self.api.store.reports.delete(number):
            raise StanzaError("item-not-found", text="There is no such report.")
        return {"number": number}


def _is_by(stanza: Stanza, jid: JID) -> bool:
    """An address with a resource means that one, a domain all of its people."""
    from_ = JID.parse(stanza.attrs.get("from", "nobody.invalid"))
    return jid.full in (from_.full, from_.bare, from_.domain)


def _summary(row: ReportRow) -> dict[str, Any]:
    return {"number": row.id, "reported_at": row.stamp_ms / 1000, "reporter": row.reporter, "reported": row.reported,
            "reason": word_of(row.reason), "says": row.says}


def _number(arguments: Mapping[str, Any]) -> int:
    given = str(arguments.get("number", ""))
    if not (given.isascii() and given.isdigit() and len(given) < 19):
        raise StanzaError("bad-request", text="A report is named by its number: chatctl report list.")
    return int(given)
