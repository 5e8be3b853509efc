"""The log-in page: both ways in, every way to fail, in words; nothing secret is left behind."""

from __future__ import annotations

import json

import pytest
import pytest_twisted

from tests.browser.people import People
from tests.daemon import DOMAIN, PASSWORD

WRONG = "The address or the password is not right. Check both, and that Caps Lock is off."
EVERYTHING_KEPT = """(async () => {
    const kept = [JSON.stringify(localStorage), JSON.stringify(sessionStorage), document.cookie];
    for (const { name } of await indexedDB.databases()) kept.push(name);
    return kept;
})()"""


@pytest_twisted.ensureDeferred
async def test_by_websocket(people: People) -> None:
    alice = await people.at_panel("alice")
    await alice.log_in()
    log = await alice.page.log()
    assert [url.partition("/")[2].rpartition("/")[2] for url in log["sockets"]] == ["xmpp-websocket"]
    assert not any("/http-bind" in url for url in log["requests"])
    # OMEMO is left out cleanly: its library and what that looks for are not even asked for.
    assert not any("omemo" in url or url.endswith(".wasm") for url in log["requests"])
    assert not [url for url in log["requests"] if url.count("?")]
    # Where Converse would put its footer and its logo there is nothing.
    assert await alice.page.eval("""['converse-footer', 'converse-brand-logo'].map(
        (name) => document.body.appendChild(document.createElement(name)).innerHTML).join('')""") == ""
    assert await alice.page.text("#who") == f"alice@{DOMAIN}"


@pytest_twisted.ensureDeferred
async def test_by_bosh_where_websockets_are_blocked(people: People) -> None:
    people.expect("WebSocket|Websocket")
    bob = await people.elsewhere("bob")
    carol = await people.at_panel("carol", noWebSocket=True)
    await carol.log_in()
    await carol.add_contact("bob")
    await carol.say("over bosh")
    await bob.receive("over bosh")
    await bob.send("carol", "and back")
    await carol.reads("and back")
    log = await carol.page.log()
    assert any("/http-bind" in url for url in log["requests"])
    await carol.page.reload()
    await carol.page.see("#controlbox .userinfo")


@pytest.mark.long
@pytest_twisted.ensureDeferred
async def test_by_bosh_once_websockets_are_blocked(people: People) -> None:
    """The network changes while somebody is online: after a few tries to connect again the other way is taken."""
    people.expect("WebSocket|Websocket|ERR_|xmpp-websocket")
    bob = await people.elsewhere("bob")
    link = people.link()
    emil = await people.at_panel("emil", link)
    page = emil.page
    await emil.log_in()
    await emil.add_contact("bob")
    await emil.say("by web socket")
    await bob.receive("by web socket")
    await page.eval("""(() => {
        const Real = WebSocket;
        globalThis.WebSocket = class extends Real {
            constructor(url, protocols) { super(`${new URL(url).origin}/nowhere`, protocols); }
        };
    })()""")
    await link.cut()
    await page.see('#state[data-kind="lost"]')
    link.mend()
    await page.until("document.getElementById('state').dataset.kind !== 'lost'", 60)
    await emil.say("over bosh")
    await bob.receive("over bosh")
    assert any("/http-bind" in url for url in (await page.log())["requests"])


@pytest_twisted.ensureDeferred
async def test_the_domain_may_be_left_out(people: People) -> None:
    alice = await people.at_panel("alice")
    await alice.page.see("#address-hint")
    assert await alice.page.text("#address-hint") == f"You can leave out @{DOMAIN}."
    await alice.page.fill("#address", " Alice ")
    await alice.page.fill("#password", PASSWORD)
    await alice.page.click("#submit")
    await alice.page.see("#controlbox .userinfo")


@pytest_twisted.ensureDeferred
async def test_wrong_password_is_said_and_can_be_put_right(people: People) -> None:
    alice = await people.at_panel("alice")
    await alice.try_log_in("wrong")
    await alice.page.see("#problem")
    assert await alice.page.text("#problem") == WRONG
    assert await alice.page.call("getAttribute", "role", selector="#problem") == "alert"
    assert await alice.page.focused() == "password"
    assert await alice.page.text("#submit") == "Log in"
    await alice.log_in()
    await alice.page.gone("#problem")


@pytest_twisted.ensureDeferred
async def test_unknown_account_sounds_like_a_wrong_password(people: People) -> None:
    nobody = await people.at_panel("nobody")
    await nobody.try_log_in()
    await nobody.page.see("#problem")
    assert await nobody.page.text("#problem") == WRONG


@pytest_twisted.ensureDeferred
async def test_what_is_missing_is_said_beside_the_field(people: People) -> None:
    page = (await people.at_panel("alice")).page
    await page.see("#login-form")
    await page.click("#submit")
    assert await page.text("#address-problem") == "Enter your address."
    assert await page.text("#password-problem") == "Enter your password."
    assert await page.focused() == "address"
    described = await page.call("getAttribute", "aria-describedby", selector="#address")
    assert "address-problem" in described.split()
    await page.fill("#address", "a b@chat.example")
    await page.fill("#password", "x")
    await page.press("#password", "Enter")
    assert await page.text("#address-problem") == "An address has a name and a domain: name@example.org."
    assert not (await page.log())["sockets"]


@pytest_twisted.ensureDeferred
async def test_a_domain_that_is_not_served(people: People) -> None:
    page = (await people.at_panel("alice")).page
    people.expect("stream error: host-unknown")
    await page.see("#login-form")
    await page.fill("#address", "alice@elsewhere.example")
    await page.fill("#password", PASSWORD)
    await page.press("#password", "Enter")
    await page.see("#problem")
    expected = "This server has no accounts at elsewhere.example. Check the part after the @."
    assert await page.text("#problem") == expected


@pytest_twisted.ensureDeferred
async def test_a_disabled_account_is_told_so(people: People) -> None:
    people.daemon.ctl("user", "disable", f"fritz@{DOMAIN}")
    fritz = await people.at_panel("fritz")
    await fritz.try_log_in()
    await fritz.page.see("#problem")
    assert await fritz.page.text("#problem") == ("This account is switched off. Ask the people who run this server.")


@pytest_twisted.ensureDeferred
async def test_password_can_be_shown(people: People) -> None:
    page = (await people.at_panel("alice")).page
    await page.see("#login-form")
    await page.fill("#password", "secret")
    await page.click("#reveal")
    assert await page.call("getAttribute", "type", selector="#password") == "text"
    assert await page.call("getAttribute", "aria-pressed", selector="#reveal") == "true"
    assert await page.focused() == "password"
    await page.click("#reveal")
    assert await page.call("getAttribute", "type", selector="#password") == "password"


@pytest_twisted.ensureDeferred
async def test_form_is_made_for_password_stores(people: People) -> None:
    page = (await people.at_panel("alice")).page
    await page.see("#login-form")
    assert await page.focused() == "address"
    for field, wanted in (("#address", "username"), ("#password", "current-password")):
        assert await page.call("getAttribute", "autocomplete", selector=field) == wanted
    order = []
    for _ in range(4):
        order.append(await page.focused())
        await page.key("Tab")
    assert order == ["address", "password", "reveal", "submit"]


@pytest_twisted.ensureDeferred
async def test_reload_goes_on_without_the_password_and_log_out_forgets(people: People) -> None:
    alice = await people.at_panel("alice")
    await alice.log_in()
    kept = json.dumps(await alice.page.eval(EVERYTHING_KEPT))
    assert PASSWORD not in kept
    assert await alice.page.eval("JSON.stringify(localStorage)") == "{}"
    assert await alice.page.eval("document.getElementById('password').value") == ""
    await alice.page.reload()
    await alice.page.see("#controlbox .userinfo")
    await alice.page.click("#log-out")
    await alice.page.see("#notice")
    assert await alice.page.text("#notice") == "You are logged out."
    assert await alice.page.eval("JSON.stringify(sessionStorage)") == "{}"
    await alice.page.reload()
    await alice.page.see("#login-form")
    assert await alice.page.count("#notice:visible") == 0


@pytest_twisted.ensureDeferred
async def test_a_changed_password_asks_to_log_in_again(people: People) -> None:
    gerda = await people.at_panel("gerda")
    await gerda.log_in()
    people.daemon.ctl("user", "passwd", f"gerda@{DOMAIN}", stdin="Another-Horse 8\n")
    await gerda.page.reload()
    await gerda.page.see("#problem")
    assert await gerda.page.text("#problem") == "Log in again to go on."
    await gerda.log_in("Another-Horse 8")


@pytest_twisted.ensureDeferred
async def test_an_account_switched_off_while_online(people: People) -> None:
    people.expect("stream error|WebSocket|Websocket")
    dora = await people.at_panel("dora")
    await dora.log_in()
    people.daemon.ctl("user", "disable", f"dora@{DOMAIN}")
    await dora.page.see("#problem", 30)
    assert await dora.page.text("#problem") == ("This account is switched off. Ask the people who run this server.")
    assert await dora.page.eval("JSON.stringify(sessionStorage)") == "{}"


@pytest_twisted.ensureDeferred
async def test_too_many_attempts(people: People) -> None:
    hanna = await people.at_panel("hanna")
    for _ in range(12):
        await hanna.try_log_in("wrong")
        await hanna.page.until("!document.getElementById('login-form').hasAttribute('data-busy')")
        await hanna.page.see("#problem")
        if (told := await hanna.page.text("#problem")) != WRONG:
            break
    assert told == "Too many attempts. Wait a minute, then try again."
