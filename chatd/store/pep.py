"""What accounts publish (XEP-0060, XEP-0163): nodes with their settings, and the items on them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from twisted.internet.defer import Deferred
from zope.interface import implementer

from chatd.core.jid import JID
from chatd.core.pubsub import Item, Node, Published, TooMuch
from chatd.interfaces import IPepStore
from chatd.store.database import Database
from chatd.store.session import Row, Session, marks

_NODE = "node, settings, affiliations, subscriptions"
_ITEM = "id, payload, publisher"
#: Of the rows of pep_item named i, those that are the last of their node.
_IS_LAST = "i.seq = (SELECT max(l.seq) FROM pep_item l WHERE l.account = i.account AND l.node = i.node)"


@implementer(IPepStore)
class Pep:
    """See IPepStore."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def nodes(self, account_id: int) -> Deferred[list[Node]]:
        """See IPepStore."""
        return self._database.read(_nodes, account_id)

    def save(self, account_id: int, node: Node, max_items: int) -> Deferred[None]:
        """See IPepStore."""
        return self._database.write(_save_and_trim, account_id, node, max_items)

    def delete(self, account_id: int, name: str) -> Deferred[None]:
        """See IPepStore."""
        return self._database.write(_delete, account_id, name)

    def publish(self, account_id: int, node: Node, items: Sequence[Item], max_items: int, most_bytes: int
                ) -> Deferred[None]:
        """See IPepStore."""
        return self._database.write(_publish, account_id, node, list(items), max_items, most_bytes)

    def items(self, account_id: int, name: str, ids: Iterable[str] | None = None, most: int = 0
              ) -> Deferred[list[Item]]:
        """See IPepStore."""
        return self._database.read(_items, account_id, name, None if ids is None else list(ids), most)

    def ids(self, account_id: int, name: str) -> Deferred[list[str]]:
        """See IPepStore."""
        return self._database.read(_ids, account_id, name)

    def retract(self, account_id: int, name: str, ids: Iterable[str]) -> Deferred[list[str]]:
        """See IPepStore."""
        return self._database.write(_retract, account_id, name, list(ids))

    def purge(self, account_id: int, name: str) -> Deferred[None]:
        """See IPepStore."""
        return self._database.write(_purge, account_id, name)

    def last(self, account_id: int, names: Iterable[str]) -> Deferred[list[tuple[str, Item]]]:
        """See IPepStore."""
        return self._database.read(_last, account_id, list(names))

    def last_of(self, domain: str, locals_: Iterable[str], reader: JID, names: Iterable[str],
                colleagues: Iterable[str] = ()) -> Deferred[list[Published]]:
        """See IPepStore."""
        return self._database.read(_last_of, domain, list(locals_), reader, list(names), list(colleagues))

    def count(self, account_id: int) -> Deferred[tuple[int, int, int]]:
        """See IPepStore."""
        return self._database.read(_count, account_id)


def _node(row: Row) -> Node:
    name, *json_texts = row
    return Node(name, *[json.loads(value) for value in json_texts])


def _nodes(session: Session, account: int) -> list[Node]:
    return [_node(row) for row in session.all(
        f"SELECT {_NODE} FROM pep_node WHERE account = ? ORDER BY node", (account,))]


def _save(session: Session, account: int, node: Node) -> None:
    session.run(
        f"INSERT INTO pep_node (account, {_NODE}, bytes) VALUES (?, ?, ?, ?, ?, 0) "
        "ON CONFLICT (account, node) DO UPDATE SET settings = excluded.settings, "
        "affiliations = excluded.affiliations, subscriptions = excluded.subscriptions",
        (account, node.name, json.dumps(dict(node.settings)), json.dumps(dict(node.affiliations)),
         json.dumps(dict(node.subscriptions))),
    )


def _save_and_trim(session: Session, account: int, node: Node, max_items: int) -> None:
    _save(session, account, node)
    _trim(session, account, node.name, max_items)
    _count_bytes(session, account, node.name)


def _delete(session: Session, account: int, name: str) -> None:
    session.run("DELETE FROM pep_node WHERE account = ? AND node = ?", (account, name))


def _publish(session: Session, account: int, node: Node, items: list[Item], max_items: int, most_bytes: int) -> None:
    if session.one("SELECT 1 FROM pep_node WHERE account = ? AND node = ?", (account, node.name)) is None:
        _save(session, account, node)
    row = session.one("SELECT max(seq) FROM pep_item WHERE account = ? AND node = ?", (account, node.name))
    last = (row[0] if row else None) or 0
    for at, item in enumerate(items, last + 1):
        session.run(
            f"INSERT INTO pep_item (account, node, seq, {_ITEM}) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (account, node, id) DO UPDATE SET seq = excluded.seq, payload = excluded.payload, "
            "publisher = excluded.publisher",
            (account, node.name, at, item.id, item.payload, item.publisher),
        )
    _trim(session, account, node.name, max_items)
    _count_bytes(session, account, node.name)
    row = session.one("SELECT sum(bytes) FROM pep_node WHERE account = ?", (account,))
    if row is not None and row[0] > most_bytes:
        raise TooMuch


def _trim(session: Session, account: int, name: str, max_items: int) -> None:
    too_old = session.one(
        "SELECT seq FROM pep_item WHERE account = ? AND node = ? ORDER BY seq DESC LIMIT 1 OFFSET ?",
        (account, name, max_items))
    if too_old is not None:
        session.run("DELETE FROM pep_item WHERE account = ? AND node = ? AND seq <= ?", (account, name, *too_old))


def _count_bytes(session: Session, account: int, name: str) -> None:
    session.run(
        "UPDATE pep_node SET bytes = (SELECT coalesce(sum(length(payload)), 0) FROM pep_item i "
        "WHERE i.account = pep_node.account AND i.node = pep_node.node) WHERE account = ? AND node = ?",
        (account, name))


def _items(session: Session, account: int, name: str, ids: list[str] | None, most: int) -> list[Item]:
    where, values = "", [account, name]
    if ids is not None:
        if not ids:
            return []
        where = f"AND id IN ({marks(len(ids))}) "
        values += ids
    limit = f" LIMIT {int(most)}" if most else ""
    rows = session.all(
        f"SELECT {_ITEM} FROM pep_item WHERE account = ? AND node = ? {where}ORDER BY seq DESC{limit}", values)
    return [Item(*row) for row in reversed(rows)]


def _ids(session: Session, account: int, name: str) -> list[str]:
    return [row[0] for row in session.all(
        "SELECT id FROM pep_item WHERE account = ? AND node = ? ORDER BY seq", (account, name))]


def _retract(session: Session, account: int, name: str, ids: list[str]) -> list[str]:
    gone = [one for one in ids if session.run(
        "DELETE FROM pep_item WHERE account = ? AND node = ? AND id = ?", (account, name, one))]
    if gone:
        _count_bytes(session, account, name)
    return gone


def _purge(session: Session, account: int, name: str) -> None:
    session.run("DELETE FROM pep_item WHERE account = ? AND node = ?", (account, name))
    _count_bytes(session, account, name)


def _last(session: Session, account: int, names: list[str]) -> list[tuple[str, Item]]:
    if not names:
        return []
    rows = session.all(
        f"SELECT i.node, i.id, i.payload, i.publisher FROM pep_item i WHERE i.account = ? "
        f"AND i.node IN ({marks(len(names))}) AND {_IS_LAST} ORDER BY i.node", [account, *names])
    return [(row[0], Item(*row[1:])) for row in rows]


def _last_of(session: Session, domain: str, locals_: list[str], reader: JID, names: list[str], colleagues: list[str]
             ) -> list[Published]:
    if not locals_ or not names:
        return []
    shown = "r.subscription IN ('from', 'both')"
    if colleagues:
        shown = f"({shown} OR a.local IN ({marks(len(colleagues))}))"
    rows = session.all(
        "SELECT a.local, r.groups, n.node, n.settings, n.affiliations, n.subscriptions, i.id, i.payload, i.publisher "
        "FROM account a LEFT JOIN roster_item r ON r.account = a.id AND r.jid = ? "
        "JOIN pep_node n ON n.account = a.id JOIN pep_item i ON i.account = n.account AND i.node = n.node "
        f"WHERE a.domain = ? AND a.local IN ({marks(len(locals_))}) AND {shown} "
        f"AND n.node IN ({marks(len(names))}) AND {_IS_LAST} "
        "AND NOT EXISTS (SELECT 1 FROM blocked b WHERE b.account = a.id AND b.jid IN (?, ?, ?, ?)) "
        "ORDER BY a.local, n.node",
        [reader.bare, domain, *locals_, *colleagues, *names, reader.bare, reader.full, reader.domain,
         f"{reader.domain}/{reader.resource}"])
    return [Published(f"{row[0]}@{domain}", tuple(json.loads(row[1] or "[]")), _node(row[2:6]), Item(*row[6:]))
            for row in rows]


def _count(session: Session, account: int) -> tuple[int, int, int]:
    row = session.one(
        "SELECT count(*), coalesce(sum(bytes), 0), (SELECT count(*) FROM pep_item WHERE account = ?) FROM pep_node "
        "WHERE account = ?", (account, account))
    assert row is not None
    return int(row[0]), int(row[2]), int(row[1])
