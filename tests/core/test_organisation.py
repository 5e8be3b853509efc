"""Groups of the organisation: who is in which, versions, what differs, and a roster with them in it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from chatd.core.organisation import Contacts, Differences, Group, Organisation, Wish, version_of
from chatd.core.roster import RosterItem

WISHES = {"a": Wish("Anna", ("Sales", "All")), "b": Wish("Bob", ("Sales",)), "c": Wish("Carl", ("All",)),
          "d": Wish("Dora", ("Sales", "All"))}


def made(*accounts: str, most: int = 10, wishes: dict[str, Wish] | None = None,
         before: Organisation | None = None) -> Organisation:
    return Organisation(WISHES if wishes is None else wishes, most, set(accounts).__contains__, before)


def names(groups: tuple[Group, ...]) -> dict[str, list[str]]:
    return {group.name: sorted(group.members) for group in groups}


def test_only_who_has_an_account_is_in_a_group() -> None:
    found = made("a", "b", "c")
    assert names(found.of("a")) == {"Sales": ["a", "b"], "All": ["a", "c"]}
    assert names(found.of("b")) == {"Sales": ["a", "b"]}
    assert found.of("d") == () and found.of("x") == ()
    assert made("a").of("a") == (), "nobody is a group alone"
    assert names(made("a", "b", "c", "d", most=2).of("a")) == {}
    assert list(made("a", "b", "d", most=2).status()) == [("All", 2, False), ("Sales", 3, True)]


def test_an_account_comes_and_goes() -> None:
    accounts = {"a", "b"}
    found = Organisation(WISHES, 10, accounts.__contains__)
    before = found.of("a")
    differences = Differences()
    assert not found.account_changed("a") and not found.account_changed("x")
    accounts.add("d")
    assert found.account_changed("d")
    assert names(found.of("a")) == {"Sales": ["a", "b", "d"], "All": ["a", "d"]}
    assert differences.of("a", before, found.of("a")) == {"d"}
    assert version_of(found.of("a")) == version_of(made("a", "b", "d").of("a")), "as if made anew"
    accounts.discard("d")
    assert found.account_changed("d")
    assert version_of(found.of("a")) == version_of(before)
    assert names(found.of("a")) == names(before)


def test_what_does_not_change_stays_the_very_same() -> None:
    first = made("a", "b", "c", "d")
    renamed = {**WISHES, "c": Wish("Karl", ("All",))}
    second = made("a", "b", "c", "d", wishes=renamed, before=first)
    differences = Differences()
    assert second.of("b")[0] is first.of("b")[0]
    assert differences.of("b", first.of("b"), second.of("b")) == set()
    assert differences.of("a", first.of("a"), second.of("a")) == {"c"}
    assert version_of(first.of("a")) != version_of(second.of("a"))
    assert differences.of("a", first.of("a"), ()) == {"b", "c", "d"}


def test_a_roster_with_groups_in_it() -> None:
    own = {"b": RosterItem("b", "Bobby", "none", ask=True, groups=("Friends", "Sales"), pending_in=b"x"),
           "z": RosterItem("z", "Zoe", "to"), "c": RosterItem("c", "My Carl", listed=False)}
    roster = Contacts(own, "a", made("a", "b", "c", "d").of("a"))
    assert sorted(roster) == ["b", "c", "d", "z"] and len(roster) == 4
    bob = roster["b"]
    assert (bob.name, bob.subscription, bob.ask, bob.pending_in) == ("Bobby", "both", False, None)
    assert bob.groups == ("Sales", "Friends")
    assert roster["c"].listed and roster["c"].name == "My Carl" and roster["c"].groups == ("All",)
    assert roster["d"] == RosterItem("d", "Dora", "both", groups=("All", "Sales"), organisation=("All", "Sales"))
    assert (bob.organisation, roster["z"].organisation) == (("Sales",), ())
    assert roster["z"] is own["z"]
    assert "a" not in roster and roster.get("a") is None and roster.get("x") is None
    assert {item.jid for item in roster.values()} == set(roster)


people = st.dictionaries(st.sampled_from("abcdefgh"), st.builds(
    Wish, st.sampled_from(["", "N", "M"]), st.lists(st.sampled_from("GHI"), max_size=3, unique=True).map(tuple)))


@settings(deadline=None)
@given(people, people, st.sets(st.sampled_from("abcdefgh")), st.sets(st.sampled_from("abcdefgh")))
def test_differences_are_what_two_rosters_differ_in(old: dict[str, Wish], new: dict[str, Wish], had: set[str],
                                                    has: set[str]) -> None:
    """And everybody sees whoever sees him."""
    first = made(*had, wishes=old)
    second = made(*has, wishes=new, before=first)
    for one in "abcdefgh":
        before, after = (Contacts({}, one, found.of(one)) for found in (first, second))
        changed = {jid for jid in {*before, *after} if before.get(jid) != after.get(jid)}
        told = Differences().of(one, first.of(one), second.of(one))
        assert changed <= told
        if changed:
            assert version_of(first.of(one)) != version_of(second.of(one))
        for jid in after:
            assert Contacts({}, jid, second.of(jid)).shares(one)
