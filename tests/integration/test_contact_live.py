"""Whom to write to (XEP-0157) and what people report (XEP-0377), of a running daemon."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from chatd.core import ns
from chatd.core.entity_caps import hash_of
from tests.daemon import DOMAIN, Daemon, running
from tests.integration.slix import Client

ANN, BEN, BOSS = f"ann@{DOMAIN}", f"ben@{DOMAIN}", f"boss@{DOMAIN}"
EXTRA = f"""[modules.contact]
abuse = ["mailto:abuse@{DOMAIN}", "xmpp:{BOSS}"]
support = ["https://help.example/?a=1&b=2"]
outage = ["https://status.example/chat.json"]
"""
REPORTING = "urn:xmpp:reporting:1"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with running(Path(tmp_path_factory.mktemp("contact")), ANN, BEN, BOSS, extra=EXTRA) as made:
        yield made


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 60))


def test_addresses_stand_in_disco_and_in_its_hash(daemon: Daemon) -> None:
    async def test() -> None:
        async with Client(daemon, ANN) as ann:
            info = await ann.plugin["xep_0030"].get_info(DOMAIN)
            forms = {}
            for form in info["disco_info"].xml.iterfind(f"{{{ns.DATA}}}x"):
                fields = {field.attrib["var"]: [value.text for value in field] for field in form}
                forms[fields.pop("FORM_TYPE")[0]] = fields
            assert forms == {
                "http://jabber.org/network/serverinfo": {
                    "abuse-addresses": [f"mailto:abuse@{DOMAIN}", f"xmpp:{BOSS}"],
                    "support-addresses": ["https://help.example/?a=1&b=2"],
                },
                "urn:xmpp:sos:0": {"external-status-addresses": ["https://status.example/chat.json"]},
            }
            assert REPORTING in info["disco_info"]["features"]

    run(test())


def test_the_hash_of_a_domain_covers_its_forms() -> None:
    """Ours and the one that is computed of what others answer are the same (XEP-0115 5)."""
    from twisted.words.xish import domish

    from chatd.core.entity_caps import verification_string

    identities, features = [("server", "im", "chatd")], ["b", "a"]
    forms = {"urn:x": {"z": ["2", "1"], "a": ["ä"]}, "urn:a": {"q": ["v"]}}
    query = domish.Element((ns.DISCO_INFO, "query"))
    for category, kind, name in identities:
        query.addElement("identity").attributes.update({"category": category, "type": kind, "name": name})
    for feature in features:
        query.addElement("feature")["var"] = feature
    for kind, fields in forms.items():
        form = query.addElement((ns.DATA, "x"))
        for var, values in {"FORM_TYPE": [kind], **fields}.items():
            field = form.addElement("field")
            field["var"] = var
            for value in values:
                field.addElement("value", content=value)
    assert verification_string(identities, features, forms) == hash_of(query, "sha-1")
    assert verification_string(identities, features) != hash_of(query, "sha-1")


def test_a_report_is_kept_told_and_listed(daemon: Daemon) -> None:
    """With the message it points at, as it stands in the reporter's own archive, and with no other."""
    async def test() -> None:
        async with Client(daemon, ANN) as ann, Client(daemon, BEN) as ben, Client(daemon, BOSS) as boss:
            ben.send_message(mto=ANN, mbody="cheap watches", mtype="chat")
            spam = (await ann.text("cheap watches"))["stanza_id"]["id"]
            boss.send_message(mto=ANN, mbody="see you at noon", mtype="chat")
            other = (await ann.text("see you at noon"))["stanza_id"]["id"]
            assert spam and other
            stanza_ids = "".join(f"<stanza-id xmlns='{ns.SID}' by='{ANN}' id='{id}'/>"
                                 for id in (spam, other, "nonsense", "7"))
            await ann.ask("set", f"<block xmlns='{ns.BLOCKING}'><item jid='{BEN}'>"
                                 f"<report xmlns='{REPORTING}' reason='urn:xmpp:reporting:spam'>{stanza_ids}"
                                 "<text xml:lang='en'>Never bought a watch.</text><report-origin/></report>"
                                 "</item></block>")
            told = await boss.message(lambda stanza: "reported" in stanza["body"])
            assert told["from"] == DOMAIN and f"{ANN} has blocked and reported {BEN} for spam" in told["body"]
            assert "Never bought" in told["body"] and "cheap" not in told["body"]
            [row] = (await asyncio.to_thread(daemon.ctl, "report", "list"))["result"]
            assert (row["reporter"], row["reported"], row["reason"]) == (ANN, BEN, "spam")
            number = str(row["number"])
            shown = (await asyncio.to_thread(daemon.ctl, "report", "show", number))["result"]
            [message] = shown["messages"]
            assert message.endswith("cheap watches") and shown["may_be_passed_on_to"] == ["report-origin"]
            # Blocked all the same, and nothing more from him.
            ben.send_message(mto=ANN, mbody="again", mtype="chat")
            assert not [one for one in await ann.nothing_before(boss, "after") if one["body"] == "again"]
            await asyncio.to_thread(daemon.ctl, "report", "delete", number)
            assert (await asyncio.to_thread(daemon.ctl, "report", "list"))["result"] == []

    run(test())


def test_addresses_that_are_none_are_refused() -> None:
    from chatd.modules import module_classes, option_mistakes

    written = {"contact": {"abuse": ["abuse@example.org"], "support": "mailto:a@b", "admin": [7],
                           "sales": ["mailto:sales@example.org"]}}
    mistakes = {mistake.key for mistake in option_mistakes(written, module_classes())}
    assert mistakes == {"modules.contact.abuse", "modules.contact.support", "modules.contact.admin"}
