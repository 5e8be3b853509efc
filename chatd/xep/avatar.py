"""Pictures of people: vCard-Based Avatars (XEP-0153) and User Avatar (XEP-0084) are the same picture (XEP-0398).

Who sets one in either form has it in the other: a client that reads vCards and one that is told by personal eventing
show the same. From what is published into the vCard, which everybody may read, a picture goes only if everybody may
read it where it is published. What a vCard brings is published for everybody.

All presence names the hash of the picture, also what goes to rooms, so no client has to fetch its own picture to
say it. An empty <photo/> is the client's own wish and stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from chatd.core import ns
from chatd.core.avatars import Photo, is_empty, photo_of_data, photo_of_vcard, published_id, stamped, with_photo
from chatd.core.errors import StanzaError
from chatd.core.pubsub import Item, Node
from chatd.core.stanza import Stanza, parse_element
from chatd.interfaces import IAccount, ISession
from chatd.xep.api import Api, Module
from chatd.xep.pep.pep import Pep

__all__ = ["Avatar"]

log = Logger()


class Avatar(Module):
    """XEP-0153: stamps the photo's hash into presence; XEP-0398: keeps vCard and published picture alike."""

    name = "avatar"
    xep = "0153"
    version = "1.1.1"
    also = (("0084", "1.1.4"), ("0398", "1.0.0"))
    account_features = (ns.PEP_VCARD,)
    needs = ("pep", "vcard")

    def start(self, api: Api) -> None:
        """Hooks presence, and changes of either form."""
        super().start(api)
        pep = api.modules["pep"]
        assert isinstance(pep, Pep)
        self._publishing = pep.publishing
        api.on("vcard.changed", self._vcard_changed)
        api.on("pep.published", self._published)
        api.on("presence.sent", self._sent)
        api.on("presence.directed", self._directed)

    # -- presence.  account.state["avatar"]: the hash, "" where there never was one, None where it was taken away
    def _sent(self, session: ISession, stanza: Stanza) -> Stanza | None:
        photo = session.account.state.get("avatar", "")
        if photo == "":
            if session.state is not None:
                session.state.pop("avatar", None)
            return None
        if session.state is None:
            session.state = {}
        session.state["avatar"] = stanza            # as the client said it: another picture may come
        return stamped(stanza, photo or "")

    def _directed(self, session: ISession, stanza: Stanza) -> Stanza | None:
        photo = session.account.state.get("avatar", "")
        return None if photo == "" else stamped(stanza, photo or "")

    def _tell_contacts(self, account: IAccount, photo: str) -> None:
        before = account.state.get("avatar", "")
        if (before or "") == photo:
            return
        account.state["avatar"] = photo or None
        router: Any = self.api.router
        for session in list(account.available()):
            said = (session.state or {}).get("avatar", session.presence)
            if stamped(said, photo) is not None:
                router.from_session(session, said.readdressed())

    # -- from the vCard
    def _vcard_changed(self, account: IAccount, photo: str) -> None:
        is_other = (account.state.get("avatar") or "") != photo
        self._tell_contacts(account, photo)
        if is_other or photo:
            self._start(account, self._publish(account, photo, is_other))

    async def _publish(self, account: IAccount, sha1: str, is_other: bool) -> None:
        """is_other: than the vCard had before. A new vCard with the former picture, or again without one, is no wish
        to change what is published."""
        nodes = await self._publishing.nodes(account)
        last = await self.api.store.pep.last(account.id, [ns.AVATAR_METADATA])
        shown = "".join(published_id(parse_element(item.payload)) for _, item in last)
        if shown == sha1 or (shown and not is_other) or (not sha1 and ns.AVATAR_METADATA not in nodes):
            return
        for_all = {"access": "open"}
        if not sha1:
            empty = f'<metadata xmlns="{ns.AVATAR_METADATA}"/>'.encode()
            await self._publishing.publish(account, ns.AVATAR_METADATA, [("", empty)])
            return
        vcard = await self.api.store.vcard.get(account.id)
        photo = None if vcard is None else photo_of_vcard(parse_element(vcard))
        if photo is not None and photo.sha1 == sha1:
            await self._publishing.publish(account, ns.AVATAR_DATA, [(sha1, photo.data_xml)], options=for_all)
            await self._publishing.publish(account, ns.AVATAR_METADATA, [(sha1, photo.metadata_xml)], options=for_all)

    # -- from what is published
    def _published(self, account: IAccount, node: Node, items: Sequence[Item], by_us: bool) -> None:
        if node.name == ns.AVATAR_METADATA and items and not by_us:
            self._start(account, self._to_vcard(account))

    async def _to_vcard(self, account: IAccount) -> None:
        """The picture published last, into the vCard as it is by then.

        The owner may store a vCard or publish another picture at any moment between two steps here. The vCard is read
        first and only replaced if it has not changed, so what counts is the order in which things were stored; and a
        vCard that came meanwhile with a picture of its own is the newer wish and stays.
        """
        store = self.api.store
        seen: str | None = None
        while True:
            old = await store.vcard.get(account.id)
            before = None if old is None else parse_element(old)
            had = None if before is None else photo_of_vcard(before)
            shown = "" if had is None else had.sha1
            if seen not in (None, shown):
                return
            seen = shown
            last = await store.pep.last(account.id, [ns.AVATAR_METADATA])
            is_known, photo = await self._published_photo(account, last[0][1]) if last else (False, None)
            sha1 = "" if photo is None else photo.sha1
            if not is_known or shown == sha1:
                return
            if await store.vcard.replace(account.id, old, with_photo(before, photo).toXml().encode(), sha1):
                self.api.hooks.tell("vcard.changed", account, sha1)
                return

    async def _published_photo(self, account: IAccount, item: Item) -> tuple[bool, Photo | None]:
        """Whether a picture, or that there is none, is published for everybody; and which."""
        metadata = parse_element(item.payload)
        if is_empty(metadata):
            return True, None
        id_ = published_id(metadata)
        node = (await self._publishing.nodes(account)).get(ns.AVATAR_DATA)
        if not id_ or node is None or node.config["access"] != "open":
            return False, None
        found = await self.api.store.pep.items(account.id, ns.AVATAR_DATA, [id_])
        photo = photo_of_data(parse_element(found[0].payload), id_) if found else None
        return photo is not None, photo

    @staticmethod
    def _start(account: IAccount, work: Any) -> None:
        def failed(failure: Any) -> None:
            if failure.check(StanzaError):
                log.info("The picture of {jid} stays in one form: {reason}", jid=account.bare, reason=failure.value)
            else:
                log.failure("the picture of {jid} stays in one form", failure=failure, jid=account.bare)

        Deferred.fromCoroutine(work).addErrback(failed)
