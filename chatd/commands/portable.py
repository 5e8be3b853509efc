"""Export and import of accounts (XEP-0227), the daemon's half: one account, or a part of one, at a time.

chatctl reads and writes the file (chatd.ctl.portable), so that no file of the daemon's is opened by somebody else, and
nothing has to be in memory as a whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from secrets import randbelow
from typing import Any

import attrs
from twisted.words.xish import domish

from chatd.auth.passwords import BadPassword
from chatd.commands import InMemory, MakeVerifiers
from chatd.core import ns
from chatd.core import portable as pie
from chatd.core.accounts import AccountExists, AccountRow, Verifier
from chatd.core.archive import ArchiveQuery
from chatd.core.jid import JID, InvalidJID
from chatd.core.portable import Unusable
from chatd.core.pubsub import Item, Node, TooMuch, payload_of
from chatd.core.pubsub_config import complete, differing, form_xml, parse_config, usual
from chatd.core.roster import RosterItem
from chatd.core.stanza import attribute, parse_element
from chatd.server.control import CommandError, Commands, text_argument
from chatd.store.ids import first_id_of
from chatd.xep.vcard import photo_sha1

PAGE = 250
_ITEMS_MOST = 10_000
_BYTES_MOST = 1 << 30
"""Of what an account publishes: who comes from elsewhere keeps what he had there."""
_PRIVATE_MOST = 1000


@attrs.define
class PortableCommands:
    """`export account|archive`, `import account|part|done`.

    store, accounts, make_verifiers, domains, iterations, now, created: as in chatd.commands.UserCommands. limits: those
    of the settings. hooks: the events of the modules.
    """

    store: Any
    accounts: InMemory
    make_verifiers: MakeVerifiers
    domains: Callable[[], frozenset[str]]
    iterations: Callable[[], int]
    limits: Callable[[], Any]
    now: Callable[[], float]
    hooks: Any
    created: Callable[[str], None]
    _under_way: dict[str, int] = attrs.field(factory=dict, init=False)

    def register(self, commands: Commands) -> None:
        """Offer them."""
        commands.register("export account", self.export_account, "an account without its history, as XEP-0227 has it")
        commands.register("export archive", self.export_archive, "a page of an account's history; after=ID")
        commands.register("import account", self.import_account, "make an account that others of its data follow")
        commands.register("import part", self.import_part, "take over a part of an account that is being imported")
        commands.register("import done", self.import_done, "let somebody into an account that has been imported")

    # -- out
    async def export_account(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the <user/> of `jid` up to its history, without its end tag."""
        row = await self._row(arguments)
        store, id_ = self.store, row.id
        _, items = await store.roster.load(id_)
        parts = [pie.user_start(row.local, row.verifiers), pie.DISABLED if row.disabled else ""]
        parts.append(pie.roster_bytes(items))
        vcard = await store.vcard.get(id_)
        parts.append(vcard.decode() if vcard else "")
        private = await store.private.all(id_)
        if private:
            parts.append(f'<query xmlns="{ns.PRIVATE}">' + "".join(one.decode() for one in private) + "</query>")
        blocked = await store.blocking.load(id_)
        if blocked:
            inner = "".join(f'<item jid="{attribute(jid)}"/>' for jid in sorted(blocked))
            parts.append(f'<blocklist xmlns="{ns.BLOCKING}">{inner}</blocklist>')
        parts += [await self._published(id_)]
        waiting = await store.offline.load(id_)
        if waiting:
            parts.append(pie.offline_bytes(waiting, row.domain))
        return {"xml": "".join(parts)}

    async def _published(self, id_: int) -> str:
        """The nodes with their settings, and what is on them."""
        nodes, items = [], []
        for node in await self.store.pep.nodes(id_):
            name = attribute(node.name)
            form = form_xml(node.config).replace('type="form"', 'type="submit"', 1)
            nodes.append(f'<configure node="{name}">{form}</configure>')
            if node.affiliations:
                who = "".join(f'<affiliation jid="{attribute(jid)}" affiliation="{what}"/>'
                              for jid, what in sorted(node.affiliations.items()))
                nodes.append(f'<affiliations node="{name}">{who}</affiliations>')
            found = "".join(f'<item id="{attribute(item.id)}" publisher="{attribute(item.publisher)}">'
                            f"{item.payload.decode()}</item>" for item in await self.store.pep.items(id_, node.name))
            items.append(f'<items node="{name}">{found}</items>')
        if not nodes:
            return ""
        return (f'<pubsub xmlns="{ns.PUBSUB}#owner">{"".join(nodes)}</pubsub>'
                f'<pubsub xmlns="{ns.PUBSUB}">{"".join(items)}</pubsub>')

    async def export_archive(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return a page of the history of `jid` behind the message `after`, and which comes next, if any."""
        row = await self._row(arguments)
        after = arguments.get("after")
        page = await self.store.archive.query(row.id, ArchiveQuery(max=PAGE, after=int(after) if after else None))
        xml = "".join(pie.archived_bytes(one.id, one.stamp_ms, one.stanza) for one in page.rows)
        is_more = bool(page.rows) and not page.complete
        return {"xml": xml, "messages": len(page.rows), "after": str(page.rows[-1].id) if is_more else ""}

    async def _row(self, arguments: Mapping[str, Any]) -> AccountRow:
        jid = self._jid(arguments)
        row: AccountRow | None = await self.store.accounts.get(jid.local, jid.domain, fresh=True)
        if row is None:
            raise CommandError("item-not-found", f"There is no account {jid.bare}.")
        return row

    def _jid(self, arguments: Mapping[str, Any]) -> JID:
        said = text_argument(arguments, "jid")
        try:
            jid = JID.parse(said)
        except InvalidJID:
            raise CommandError("jid-malformed", f"{said} is no address.") from None
        if not jid.local or jid.resource:
            raise CommandError("jid-malformed", f"{said} is not the address of an account.")
        if jid.domain not in self.domains():
            raise CommandError("item-not-found", f"{jid.domain} is not a domain of this server")
        return jid

    # -- in
    async def import_account(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Make `jid`, which nobody can log in to before `import done`; `password` or `credentials` (XML), if it has
        any. With `dry` nothing is made. Refused with conflict where it is there."""
        jid = self._jid(arguments)
        if await self.store.accounts.get(jid.local, jid.domain, fresh=True) is not None:
            raise CommandError("conflict", "there is such an account already")
        skipped: Counter[str] = Counter()
        verifiers = await self._verifiers(arguments, skipped)
        if not arguments.get("dry"):
            try:
                id_ = await self.store.accounts.create(jid.local, jid.domain, verifiers, self.now())
            except AccountExists:
                raise CommandError("conflict", "there is such an account already") from None
            await self.store.accounts.set_disabled(id_, True)
            self._under_way[jid.bare] = 0
        return {"jid": jid.bare, "has_password": bool(verifiers), "skipped": dict(skipped)}

    async def _verifiers(self, arguments: Mapping[str, Any], skipped: Counter[str]) -> dict[str, Verifier]:
        found: dict[str, Verifier] = {}
        for xml in arguments.get("credentials", ()):
            try:
                mechanism, kept = pie.verifier(parse_element(xml.encode()))
                found[mechanism] = kept
            except (Unusable, ValueError) as error:
                skipped[str(error)] += 1
        password = arguments.get("password")
        if found or not password:
            return found
        try:
            kept_there = pie.ejabberd_verifiers(password)
            if kept_there is None:
                return dict(await self.make_verifiers(password, self.iterations()))
            return kept_there
        except (Unusable, BadPassword) as error:
            skipped[str(error)] += 1
            return {}

    async def import_part(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Take over `xml`, a child of the <user/> of `jid`; how much was kept, and what was not and why."""
        row = await self._row(arguments)
        if row.jid not in self._under_way:
            raise CommandError("unexpected-request", f"{row.jid} is not being imported.")
        try:
            element = parse_element(text_argument(arguments, "xml").encode())
        except ValueError:
            raise CommandError("bad-request", "This is not XML.") from None
        taken, skipped = 0, Counter[str]()
        take = {
            "contacts": self._contacts, "requests": self._request, "private data": self._private,
            "vCards": self._vcard, "block lists": self._block_list, "nodes": self._nodes,
            "published items": self._items, "history": self._history, "offline messages": self._offline,
        }.get(pie.kind_of(element))
        if take is None:
            raise CommandError("feature-not-implemented", f"<{element.name}/> is not known here.")
        try:
            taken = await take(row, element, skipped)
        except (Unusable, RecursionError) as error:
            skipped[str(error) if isinstance(error, Unusable) else "something is nested too deep"] += 1
        return {"kept": taken, "skipped": dict(skipped)}

    async def import_done(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Let somebody into `jid`, unless it is to stay `disabled`."""
        row = await self._row(arguments)
        if self._under_way.pop(row.jid, None) is None:
            raise CommandError("unexpected-request", f"{row.jid} is not being imported.")
        await self.store.barrier()
        await self.store.accounts.set_disabled(row.id, bool(arguments.get("disabled")))
        self.accounts.forget(row.jid)
        self.hooks.tell("account.imported", row.jid)
        self.created(row.jid)
        return {"jid": row.jid}

    async def _contacts(self, row: AccountRow, query: domish.Element, skipped: Counter[str]) -> int:
        items = pie.roster(query, _counted(skipped))
        most = self.limits().roster_items
        if len(items) > most:
            skipped["there are more contacts than limits.roster_items"] += len(items) - most
        items = [item for item in items if item.jid != row.jid][:most]
        _, there = await self.store.roster.load(row.id)
        waiting = {item.jid: item.pending_in for item in there}
        for item in items:
            await self.store.roster.save(row.id, attrs.evolve(item, pending_in=waiting.get(item.jid)))
        return len(items)

    async def _request(self, row: AccountRow, presence: domish.Element, skipped: Counter[str]) -> int:
        asker, stanza = pie.pending(presence, row.jid)
        _, there = await self.store.roster.load(row.id)
        item = next((one for one in there if one.jid == asker), RosterItem(jid=asker, listed=False))
        if item.may_see_us:
            return 0
        await self.store.roster.save(row.id, attrs.evolve(item, pending_in=stanza))
        return 1

    async def _private(self, row: AccountRow, query: domish.Element, skipped: Counter[str]) -> int:
        values: dict[str, bytes] = {}
        for child in query.elements():
            value = child.toXml().encode()
            if len(value) > self.limits().private_bytes or child.uri == ns.PRIVATE:
                skipped["private data is too large (limits.private_bytes), or of nobody"] += 1
            else:
                values[f"{child.uri} {child.name}"] = value
        account = await _maybe(self.accounts.load(JID.parse(row.jid)))
        for hook in self.hooks.events.get("private.written", ()) if account is not None else ():
            for name, value in list(values.items()):
                instead = hook(account, name, value)
                if instead is not None:
                    values[name] = await instead
        if values and not await self.store.private.set(row.id, values, _PRIVATE_MOST):
            raise Unusable("there is too much private data")
        return len(values)

    async def _vcard(self, row: AccountRow, vcard: domish.Element, skipped: Counter[str]) -> int:
        value = vcard.toXml().encode()
        if len(value) > self.limits().vcard_bytes:
            raise Unusable("a vCard is larger than limits.vcard_bytes")
        await self.store.vcard.set(row.id, value, photo_sha1(vcard))
        return 1

    async def _block_list(self, row: AccountRow, element: domish.Element, skipped: Counter[str]) -> int:
        found = pie.blocked(element, _counted(skipped))
        if found:
            await self.store.blocking.add(row.id, found)
        return len(found)

    async def _nodes(self, row: AccountRow, owner: domish.Element, skipped: Counter[str]) -> int:
        settings: dict[str, Node] = {}
        for child in owner.elements():
            name = child.getAttribute("node", "")
            if not name:
                continue
            node = settings.get(name) or Node(name, usual(name))
            if child.name == "configure":
                form = next((one for one in child.elements() if one.name == "x"), None)
                if form is not None:
                    form["type"] = "submit"
                    try:
                        node = attrs.evolve(node, settings=differing(parse_config(form, complete(node.settings))))
                    except Exception:
                        # Among them may have been who may read it.
                        node = attrs.evolve(node, settings={**node.settings, "access": "whitelist"})
                        skipped["a node has settings that are not known here; only its owner may read it"] += 1
            elif child.name == "affiliations":
                node = attrs.evolve(node, affiliations=_affiliations(child, row.jid))
            settings[name] = node
        for node in settings.values():
            await self.store.pep.save(row.id, node, _ITEMS_MOST)
        return len(settings)

    async def _items(self, row: AccountRow, pubsub: domish.Element, skipped: Counter[str]) -> int:
        there = {node.name: node for node in await self.store.pep.nodes(row.id)}
        taken = 0
        for child in pubsub.elements():
            name = child.getAttribute("node", "")
            if child.name != "items" or not name:
                continue
            items = []
            for one in child.elements():
                try:
                    payload = payload_of(one, 1 << 20)
                except Exception:
                    skipped["a published item is empty or too large"] += 1
                    continue
                items.append(Item(one.getAttribute("id") or "current", payload, row.jid))
            node = there.get(name) or Node(name, usual(name))
            kept = min(node.config["max_items"] or _ITEMS_MOST, _ITEMS_MOST)
            if items:
                try:
                    await self.store.pep.publish(row.id, node, items, kept, _BYTES_MOST)
                except TooMuch:
                    raise Unusable("an account publishes too much") from None
            taken += len(items)
        return taken

    async def _history(self, row: AccountRow, archive: domish.Element, skipped: Counter[str]) -> int:
        taken = 0
        for one in self._messages(row, archive.elements(), skipped):
            # As ids are made (chatd.store.ids): they carry their time, and nobody can guess the next one.
            last = self._under_way[row.jid]
            id_ = self._under_way[row.jid] = max(first_id_of(one.stamp_ms) + randbelow(1 << 18),
                                                 last + 1 + randbelow(512))
            self.store.archive.append(row.id, id_, one.with_.bare, one.with_.resource, one.stanza, one.stamp_ms)
            taken += 1
        await self.store.barrier()
        return taken

    async def _offline(self, row: AccountRow, messages: domish.Element, skipped: Counter[str]) -> int:
        most = self.limits().offline_messages - await self.store.offline.count(row.id)
        found = list(self._messages(row, messages.elements(), skipped))
        if len(found) > most:
            skipped["more messages wait than limits.offline_messages"] += len(found) - max(most, 0)
        for one in found[:max(most, 0)]:
            self.store.offline.append(row.id, self.store.new_id(int(self.now() * 1000)), one.stanza, one.stamp_ms)
        await self.store.barrier()
        return len(found[:max(most, 0)])

    def _messages(self, row: AccountRow, elements: Iterable[domish.Element], skipped: Counter[str]
                  ) -> Iterable[pie.Archived]:
        now_ms = int(self.now() * 1000)
        for element in elements:
            try:
                yield pie.archived(element, row.jid, now_ms)
            except Unusable as error:
                skipped[str(error)] += 1


def _counted(skipped: Counter[str]) -> Callable[[str], None]:
    def skip(why: str) -> None:
        skipped[why] += 1

    return skip


def _affiliations(element: domish.Element, owner: str) -> dict[str, str]:
    found = {}
    for child in element.elements():
        what = child.getAttribute("affiliation", "none")
        try:
            who = JID.parse(child.getAttribute("jid", "")).bare
        except InvalidJID:
            continue
        if who != owner and what in ("owner", "publisher", "member", "outcast"):
            found[who] = what
    return found


async def _maybe(value: Any) -> Any:
    return await value if hasattr(value, "addCallback") else value
