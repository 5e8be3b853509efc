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
        self._tell_contacts(account, photo)
        self._start(account, self._publish(account, photo))

    async def _publish(self, account: IAccount, sha1: str) -> None:
        nodes = await self._publishing.nodes(account)
        last = await self.api.store.pep.last(account.id, [ns.AVATAR_METADATA])
        shown = "".join(published_id(parse_element(item.payload)) for _, item in last)
        if shown == sha1 or (not sha1 and ns.AVATAR_METADATA not in nodes):
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
            self._start(account, self._to_vcard(account, items[-1]))

    async def _to_vcard(self, account: IAccount, item: Item) -> None:
        metadata = parse_element(item.payload)
        photo: Photo | None = None
        if not is_empty(metadata):
            id_ = published_id(metadata)
            node = (await self._publishing.nodes(account)).get(ns.AVATAR_DATA)
            if not id_ or node is None or node.config["access"] != "open":
                return
            found = await self.api.store.pep.items(account.id, ns.AVATAR_DATA, [id_])
            photo = photo_of_data(parse_element(found[0].payload), id_) if found else None
            if photo is None:
                return
        sha1 = "" if photo is None else photo.sha1
        if (await self.api.store.vcard.photo_sha1(account.id) or "") == sha1:
            return
        old = await self.api.store.vcard.get(account.id)
        vcard = with_photo(None if old is None else parse_element(old), photo)
        await self.api.store.vcard.set(account.id, vcard.toXml().encode(), sha1)
        self.api.hooks.tell("vcard.changed", account, sha1)

    @staticmethod
    def _start(account: IAccount, work: Any) -> None:
        def failed(failure: Any) -> None:
            if failure.check(StanzaError):
                log.info("The picture of {jid} stays in one form: {reason}", jid=account.bare, reason=failure.value)
            else:
                log.failure("the picture of {jid} stays in one form", failure=failure, jid=account.bare)

        Deferred.fromCoroutine(work).addErrback(failed)
