"""Log-in by XEP-0388 on a paper site's streams: resource, features, tokens and resumption with one <success/>."""

from __future__ import annotations

import base64
import hmac
import re
from typing import Any

import pytest

from tests.server.fake_site import DOMAIN, SM, Site, Wire, bodies, message
from tests.server.test_bosh import Browser

UA = "d4565fa7-4d72-4749-b3d3-740edbf87770"
OTHER_UA = "e4565fa7-4d72-4749-b3d3-740edbf87770"
BIND = "<bind xmlns='urn:xmpp:bind:0'><tag>Paper</tag><enable xmlns='urn:xmpp:sm:3' resume='true'/></bind>"
WANTS = "<request-token xmlns='urn:xmpp:fast:0' mechanism='{}'/>"
FAST = "<fast xmlns='urn:xmpp:fast:0'{}/>"


def authenticate(more: str = BIND, local: str = "alice", agent: str = UA, initial: str = "",
                 mechanism: str = "PLAIN") -> str:
    said = initial or base64.b64encode(f"\0{local}\0secret".encode()).decode()
    return (f"<authenticate xmlns='urn:xmpp:sasl:2' mechanism='{mechanism}'><initial-response>{said}"
            f"</initial-response><user-agent id='{agent}'><software>Paper</software></user-agent>{more}</authenticate>")


def by_token(token: str, more: str = "", mechanism: str = "HT-SHA-256-NONE", binding: bytes = b"",
             **options: Any) -> str:
    proof = hmac.digest(token.encode(), b"Initiator" + binding, "sha256")
    return authenticate(FAST.format(more) + BIND, mechanism=mechanism,
                        initial=base64.b64encode(b"alice\0" + proof).decode(), **options)


def secured(site: Site, **options: Any) -> Wire:
    wire = site.tcp(**options)
    wire.secure()
    return wire


def token_of(said: str) -> str:
    found = re.search(r"<token xmlns='urn:xmpp:fast:0' expiry='[^']*' token='([^']*)'/>", said)
    assert found is not None, said
    return found[1]


@pytest.mark.parametrize("step", [1 << 20, 1])
def test_all_at_once(step: int) -> None:
    """One request, one answer; larger stanzas are welcome at once, and messages come behind <success/>."""
    site = Site()
    bob = site.tcp(address="192.0.2.2").log_in("bob", "there")
    wire = secured(site, step=step)
    said = wire.write(authenticate())
    jid = re.search("<authorization-identifier>([^<]*)</", said)
    assert jid is not None and jid[1].startswith(f"alice@{DOMAIN}/Paper/")
    assert f"<bound xmlns='urn:xmpp:bind:0'><enabled xmlns='{SM}' id='" in said
    assert said.index("</success>") < said.index("<stream:features") and "<bind" not in said.partition("</success>")[2]
    bob.write(message(jid[1], "x" * 20_000))
    assert "x" * 20_000 in wire.read()
    assert "<a xmlns" in wire.write(message(f"bob@{DOMAIN}/there", "y" * 20_000) + f"<r xmlns='{SM}'/>")
    assert "y" * 20_000 in bob.read()


def test_the_same_client_again_ends_its_former_session() -> None:
    """And only that; its resource stays what it was."""
    site = Site()
    first, other = secured(site), secured(site)
    first.write(authenticate())
    other.write(authenticate(agent=OTHER_UA))
    (name, _) = site.router.accounts.find(f"alice@{DOMAIN}").sessions
    again = secured(site)
    again.write(authenticate())
    assert "<conflict" in first.read() and first.is_ended and not other.is_ended
    assert len(site.router.accounts.find(f"alice@{DOMAIN}").sessions) == 2
    assert site.session("alice", name).stream is again.stream


def test_no_room() -> None:
    site = Site(sessions_per_account=1)
    secured(site).write(authenticate())
    wire = secured(site)
    said = wire.write(authenticate(agent=OTHER_UA))
    assert "<temporary-auth-failure" in said and "<success" not in said
    assert "<not-authorized" in wire.write("<presence/>") and wire.is_ended


def test_an_account_that_is_gone() -> None:
    site = Site()
    wire = secured(site)
    site.store.is_look_up_slow = True
    wire.write(authenticate())
    site.store.found()
    site.store.rows.clear()
    site.store.is_look_up_slow = False
    site.store.found()
    wire.read()
    again = secured(site)
    assert "<not-authorized" in again.write(authenticate())


@pytest.mark.parametrize("mechanism", ["HT-SHA-256-NONE", "HT-SHA-256-ENDP", "HT-SHA-256-EXPR"])
def test_tokens(mechanism: str) -> None:
    """Given out, used, renewed after a while, and the old one good until the new one was used."""
    binding = {"HT-SHA-256-NONE": b"", "HT-SHA-256-ENDP": b"bound", "HT-SHA-256-EXPR": b"exported"}[mechanism]
    site = Site()
    given = token_of(secured(site).write(authenticate(BIND + WANTS.format(mechanism))))
    assert all(row.seed not in given.encode() for row in site.store.fast.kept.values())

    def log_in(token: str, more: str = "", **options: Any) -> str:
        return secured(site).write(by_token(token, more, mechanism, binding, **options))

    said = log_in(given)
    proof = hmac.digest(given.encode(), b"Responder" + binding, "sha256")
    assert f"<additional-data>{base64.b64encode(proof).decode()}</additional-data>" in said
    assert "<bound " in said and "<token" not in said
    site.clock.advance(4 * 86400)
    renewed = token_of(log_in(given))
    assert renewed != given and "<success" in log_in(given)
    site.clock.advance(60)
    newest = token_of(log_in(given))            # a lost answer costs nothing
    assert "<not-authorized" in log_in(renewed) and "<success" in log_in(newest)
    assert "<not-authorized" in log_in(given)   # the new one has been used
    assert "<not-authorized" in log_in(newest, agent=OTHER_UA)
    site.clock.advance(31 * 86400)
    assert "<credentials-expired" in log_in(newest)


def test_counted_tokens() -> None:
    """XEP-0484 3.4: the same attempt is not good twice."""
    site = Site()
    given = token_of(secured(site).write(authenticate(WANTS.format("HT-SHA-256-NONE"))))
    assert "<success" in secured(site).write(by_token(given, " count='1'"))
    assert "<not-authorized" in secured(site).write(by_token(given, " count='1'"))
    assert "<not-authorized" in secured(site).write(by_token(given, " count='x'"))
    assert "<success" in secured(site).write(by_token(given, " count='5'"))


def test_the_last_time() -> None:
    """XEP-0484 3.6."""
    site = Site()
    given = token_of(secured(site).write(authenticate(WANTS.format("HT-SHA-256-NONE"))))
    assert "<token" not in secured(site).write(by_token(given, " invalidate='true'"))
    assert "<not-authorized" in secured(site).write(by_token(given))


def test_another_mechanism() -> None:
    """Who asked for channel binding cannot be made to do without."""
    site = Site()
    given = token_of(secured(site).write(authenticate(WANTS.format("HT-SHA-256-EXPR"))))
    assert "<not-authorized" in secured(site).write(by_token(given))


def test_guessing_tokens_is_slowed_down() -> None:
    site = Site()
    wire = secured(site)
    for _ in range(4):
        assert "<not-authorized" in wire.write(by_token("fast-guess"))
    wire = secured(site)
    for _ in range(3):
        said = wire.write(by_token("fast-guess"))
    assert "<temporary-auth-failure" in said


def test_none_where_another_server_knows_the_passwords() -> None:
    site = Site()
    site.auth.elsewhere = frozenset({DOMAIN})       # type: ignore[attr-defined]
    site.streams.reload(site.settings)
    wire = site.tcp()
    assert "urn:xmpp:fast:0" not in wire.secure()
    assert "<token" not in wire.write(authenticate(BIND + WANTS.format("HT-SHA-256-NONE")))


def test_resumption_along_with_it() -> None:
    """<resumed/> within <success/>, then what was not acknowledged."""
    site = Site()
    bob = site.tcp(address="192.0.2.2").log_in("bob", "there")
    wire = secured(site)
    said = wire.write(authenticate())
    sm_id, jid = (re.search(pattern, said)[1] for pattern in (" id='([^']*)'", "identifier>([^<]*)<"))   # type: ignore[index]
    bob.write(message(jid, "one"))
    wire.cut()
    bob.write(message(jid, "two"))
    again = secured(site)
    said = again.write(authenticate(f"<resume xmlns='{SM}' previd='{sm_id}' h='0'/>" + BIND))
    assert f"<authorization-identifier>{jid}</authorization-identifier><resumed xmlns='{SM}' h='0'" in said
    assert "<bound" not in said and bodies(said) == ["one", "two"]
    assert said.index("</stream:features>") < said.index("<message")
    third = secured(site)
    said = third.write(authenticate(f"<resume xmlns='{SM}' previd='nothing' h='0'/>" + BIND))
    assert "<failed" in said and "<bound" in said and again.is_ended


def test_the_fine_print_of_a_slow_store() -> None:
    """The client leaves while its account is looked up: nothing of it is left."""
    site = Site()
    wire = secured(site)
    site.store.is_look_up_slow = True
    wire.write(authenticate(BIND + WANTS.format("HT-SHA-256-NONE")))
    wire.cut()
    site.store.is_look_up_slow = False
    site.store.found()
    assert site.session("alice") is None and not site.streams.open


def test_once_is_enough() -> None:
    site = Site()
    wire = secured(site)
    wire.write(authenticate())
    assert "<policy-violation" in wire.write(authenticate()) and wire.is_ended


def test_over_bosh() -> None:
    """Neither a restart nor stream management, which BOSH needs none of."""
    site = Site()
    browser = Browser(site)
    offered = browser.opening
    assert "<authentication xmlns='urn:xmpp:sasl:2'>" in offered and SM not in offered
    said = browser.post(authenticate()).said or ""
    assert "<bound " in said and "<feature-not-implemented" in said and "<stream:features" in said
    assert site.router.accounts.find(f"alice@{DOMAIN}").sessions
    browser.post("<presence/>")
    assert browser.stream.session.presence is not None
