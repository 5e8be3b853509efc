"""Affiliations and roles: every combination is either allowed or refused for a reason."""

from __future__ import annotations

from itertools import product

import pytest

from chatd.core.muc import (
    AFFILIATIONS,
    ROLES,
    Affiliate,
    affiliation_rank,
    default_role,
    may_change_affiliation,
    may_change_role,
)


@pytest.mark.parametrize(("affiliation", "moderated", "role"), [
    ("owner", True, "moderator"), ("admin", False, "moderator"), ("member", True, "participant"),
    ("member", False, "participant"), ("none", True, "visitor"), ("none", False, "participant"),
    ("outcast", False, "none"), ("outcast", True, "none"),
])
def test_role_on_entering(affiliation: str, moderated: bool, role: str) -> None:
    """XEP-0045 5.1.2."""
    assert default_role(affiliation, moderated) == role


@pytest.mark.parametrize(("affiliation", "moderated", "kept", "role"), [
    ("none", True, "participant", "participant"), ("none", False, "visitor", "visitor"),
    ("member", True, "visitor", "visitor"), ("admin", True, "visitor", "moderator"), ("outcast", True, "participant",
                                                                                     "none"),
])
def test_role_kept_from_an_earlier_visit(affiliation: str, moderated: bool, kept: str, role: str) -> None:
    """XEP-0045 5.1: voice that was given or taken; who stands high is above that."""
    assert default_role(affiliation, moderated, kept) == role


def test_changes_of_affiliation() -> None:
    """XEP-0045 5.2.1: owners everything, admins below themselves, the others nothing."""
    for actor, target, wanted in product(AFFILIATIONS, AFFILIATIONS, AFFILIATIONS):
        may, word = may_change_affiliation(actor, target, wanted)
        low = {"outcast", "none", "member"}
        assert may == (actor == "owner" or (actor == "admin" and {target, wanted} <= low)), (actor, target, wanted)
        assert word in ({"owner", "admin"} if may else {"rank", "list", "affiliation"})
        if word in ("rank", "list"):
            assert (word == "rank") == (wanted == "outcast"), "XEP-0045 9.1, 10.4 to 10.8"


def test_changes_of_role() -> None:
    """XEP-0045 5.1.1: what nobody may, for every combination."""
    for actor_role, actor, target_role, target, wanted in product(ROLES, AFFILIATIONS, ROLES, AFFILIATIONS, ROLES):
        may, word = may_change_role(actor_role, actor, target_role, target, wanted)
        assert word in ({"moderator", "admin"} if may else {"role", "rank", "affiliation"})
        if actor_role != "moderator":
            assert not may
        if affiliation_rank[target] > affiliation_rank[actor]:
            assert not may, "nobody reaches above himself"
        if may and "moderator" in (target_role, wanted):
            assert actor in ("owner", "admin"), "moderators are made and unmade by admins"
        if may and (target_role, wanted) == ("participant", "visitor") and actor == "member":
            assert target != "member", "8.4"
        if may and wanted in ("visitor", "participant"):
            assert target not in ("owner", "admin"), "they always moderate"


@pytest.mark.parametrize(("actor", "target_role", "target", "wanted"), [
    ("none", "visitor", "none", "participant"), ("none", "participant", "none", "visitor"),
    ("none", "participant", "none", "none"), ("member", "participant", "member", "none"),
    ("admin", "participant", "member", "moderator"), ("owner", "moderator", "none", "participant"),
    ("owner", "moderator", "admin", "none"),
])
def test_what_moderators_may(actor: str, target_role: str, target: str, wanted: str) -> None:
    """XEP-0045 8.2 to 8.4, 9.6, 9.7."""
    assert may_change_role("moderator", actor, target_role, target, wanted)[0]


def test_nothing_worth_keeping() -> None:
    """Of somebody without standing, nickname or request nothing is stored."""
    assert Affiliate("a@b").is_empty
    assert not Affiliate("a@b", pending=True).is_empty and not Affiliate("a@b", nick="n").is_empty
    assert not Affiliate("a@b", "outcast").is_empty and not Affiliate("a@b", role="visitor").is_empty
