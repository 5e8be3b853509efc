"""The panel's words: the same in all languages, and in the language that the person reads."""

from __future__ import annotations

import json
import re
import subprocess

import pytest
import pytest_twisted

from chatd.web.site import STATIC_DIR
from tests.browser.harness import node_commands
from tests.browser.people import People

SOURCES = STATIC_DIR.parent / "ui" / "src"
SHAPES = """
const shape = (value) => typeof value !== 'object' ? typeof value
    : Object.fromEntries(Object.entries(value).map(([key, one]) => [key, shape(one)]));
const found = {};
for (const part of ['files', 'meetings', 'panel']) {
    found[part] = {};
    for (const language of ['de', 'en', 'es', 'fr'])
        found[part][language] = shape((await import(`%s/${part}.${language}.js`)).default);
}
console.log(JSON.stringify(found));
"""


def shapes() -> dict[str, dict[str, dict[str, object]]]:
    """Of each part and language: its keys, and in the place of the words what they are."""
    node, _, environment = node_commands()
    done = subprocess.run([*node, "--input-type=module", "-e", SHAPES % (SOURCES / "lang")], env=environment,
                          capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def test_all_languages_have_all_words() -> None:
    """The same keys, each a text or a function in all; and no other file that nobody loads."""
    found = shapes()
    for part, languages in found.items():
        for language, words in languages.items():
            assert words == languages["en"], (part, language)
    assert len(list((SOURCES / "lang").iterdir())) == sum(len(languages) for languages in found.values())


def test_every_word_that_is_asked_for_exists() -> None:
    english = shapes()["panel"]["en"]
    asked = {(source.name, key) for source in [*SOURCES.glob("*.js"), *SOURCES.glob("*.html")]
             for key in re.findall(r"\bTEXT\.(\w+(?:\.\w+)*)|data-words(?:-[\w-]+)?=\"([\w.]+)\"", source.read_text())
             for key in filter(None, key)}
    assert len(asked) > 60
    for name, key in asked:
        found: object = english
        for part in key.split("."):
            # What follows the words themselves, as in TEXT.roster.add.length, is JavaScript's.
            if isinstance(found, str):
                break
            assert isinstance(found, dict) and part in found, (name, key)
            found = found[part]


LOCALES = """
globalThis.location = { search: '%s' };
Object.defineProperty(globalThis, 'navigator', { value: { languages: %s } });
const { LANGUAGE, LOCALE } = await import('%s/words.js');
console.log(JSON.stringify([LANGUAGE, LOCALE, new Intl.DateTimeFormat(LOCALE).format(0)]));
"""


@pytest.mark.parametrize(("asked", "languages", "found"), [
    ("", ["de-AT", "de", "en"], ["de", "de-AT"]),
    ("", ["en-US@posix"], ["en", "en-US"]),
    ("", ["est", "es-MX"], ["es", "es-MX"]),
    ("", ["de_!", "en"], ["de", "de"]),
    ("?lang=fr", ["en-GB"], ["fr", "fr"]),
    ("", ["it"], ["", None]),
])
def test_whatever_browsers_call_their_language(asked: str, languages: list[str], found: list[str | None]) -> None:
    """Dates can be written with it: one name that Intl does not take would stop the panel."""
    node, _, environment = node_commands()
    done = subprocess.run([*node, "--input-type=module", "-e", LOCALES % (asked, json.dumps(languages), SOURCES)],
                          env=environment, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)[:2] == found


@pytest_twisted.ensureDeferred
async def test_the_panel_speaks_the_persons_language(people: People) -> None:
    """The browser's; a choice in a meeting's settings comes first; Converse's words and ours are in the same."""
    anna = await people.at_panel("hanna", locale="de-AT")
    page = anna.page
    await page.see('#login-form h1:text("Beim Chat anmelden")')
    assert await page.eval("[document.documentElement.lang, document.getElementById('address').placeholder]") == [
        "de", "name@example.org"]
    await page.see("#reveal[aria-label='Passwort zeigen'][title='Passwort zeigen']")
    await anna.try_log_in("wrong")
    await page.see('#problem:has-text("Adresse oder Passwort stimmt nicht.")')
    await anna.log_in()
    await page.see('.chatd-empty button:text("Kontakt hinzufügen")')
    await page.see('#controlbox .controlbox-heading:has-text("Kontakte")')
    await page.click(".chatd-empty button")
    await page.see('label[for=chatd-add-groups]:text("Gruppe (freiwillig)")')
    assert await page.axe() == []
    await page.key("Escape")
    await page.eval("localStorage.setItem('chatd-meeting', JSON.stringify({ language: 'fr' }))")
    await page.reload()
    await page.see('.chatd-empty__title:text("Pas encore de contacts")')
    await page.see('#log-out:text("Se déconnecter")')
    assert await page.eval("document.documentElement.lang") == "fr"


@pytest_twisted.ensureDeferred
async def test_who_reads_none_of_them_gets_english(people: People) -> None:
    page = (await people.at_panel("hanna", locale="it-IT")).page
    await page.see('#login-form h1:text("Log in to chat")')
    assert await page.eval("document.documentElement.lang") == "en"


@pytest_twisted.ensureDeferred
async def test_the_day_between_messages(people: People) -> None:
    """As one writes it in that language."""
    dora = await people.at_panel("dora", locale="de-DE")
    await dora.log_in()
    await dora.add_contact("bob")
    await dora.say("Guten Tag")
    shown = await dora.page.text(".date-separator .separator-text")
    assert re.fullmatch(r"(Mon|Diens|Mittwo|Donners|Frei|Sams|Sonn)(tag|ch), \d{1,2}\. \w+", shown), shown
