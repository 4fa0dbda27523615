from __future__ import annotations

import tracemalloc
from datetime import UTC, datetime

import pytest

from statekeep.application.index_selectors import IndexPlan, merge_selectors
from statekeep.domain import limits
from statekeep.domain.errors import InvalidParameter, TooLarge
from statekeep.domain.machine import Machine, MachineVersion
from statekeep.domain.names import MachineName, OrganizationId, VersionId

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MACHINE = Machine(1, OrganizationId("org_a"), MachineName("door"), ("color", "size"), NOW, None)


def version(selectors: dict[str, str]) -> MachineVersion:
    return MachineVersion(
        VersionId("ver_a"),
        MACHINE.id,
        MACHINE.organization_id,
        MACHINE.name,
        NOW,
        None,
        selectors,
        5,
        b"",
    )


def test_named_selectors_win_and_others_stay() -> None:
    """An index that is not named keeps the current version's selector."""
    current = version({"color": "$.a", "size": "$.b"})
    assert merge_selectors(MACHINE, current, {"color": "$.c"}) == {"color": "$.c", "size": "$.b"}
    assert current.index_selectors == {"color": "$.a", "size": "$.b"}


def test_the_first_version_has_what_is_named() -> None:
    """There is nothing to keep."""
    assert merge_selectors(MACHINE, None, {"size": "$.public.size"}) == {"size": "$.public.size"}
    assert merge_selectors(MACHINE, None, {}) == {}


@pytest.mark.parametrize(
    ("index", "selector"),
    [
        ("weight", "$.weight"),
        ("color", "$["),
        ("color", "$[?@.a==" + "1" * 900 + "]"),
        ("color", "$[?(" * 200),
        ("color", "$." + "a" * 1_000),
        ("color", "$..a"),
        ("color", "$[?@.a==1]"),
        ("color", "$.a | $.b"),
        ("color", "$[?match(@.a, '(a*)*b')]"),
    ],
    ids=[
        "no such index",
        "no path",
        "huge number",
        "deep",
        "long",
        "descent",
        "filter",
        "union",
        "pattern",
    ],
)
def test_what_can_not_be_followed_is_refused(index: str, selector: str) -> None:
    """Whatever trips the library up is the caller's error too."""
    with pytest.raises(InvalidParameter) as caught:
        merge_selectors(MACHINE, None, {index: selector})
    assert caught.value.parameter == "indexSelectors"
    assert "\n" not in caught.value.message


def found(selector: str, context: object) -> list[str]:
    entries = IndexPlan({"color": selector}, {}).entries_of(context)
    return sorted(value for _, value in entries)


@pytest.mark.parametrize(
    ("selector", "values"),
    [
        ("$.owner", ["ada"]),
        ("owner", ["ada"]),
        ("$['owner', 'public']", ["ada"]),
        ("$.public.tags", ["a", "b"]),
        ("$.public.tags[*]", ["a", "b"]),
        ("$.public.tags[-2]", ["b"]),
        ("$.public.tags[3]", []),
        ("$.public.tags[0:1]", ["a"]),
        ("$.public.tags[::0]", []),
        ("$.items[*].name", ["x", "y"]),
        ("$.items[*]['name','kind']", ["k", "x", "y"]),
        ("$.owner.length", []),
        ("$.owner[0]", []),
        ("$.count", []),
        ("$.mixed", ["a", "b"]),
        ("$.nobody", []),
        ("$.nothing", []),
        ("$", []),
        ("$['odd \\u2603 key']", ["snow"]),
    ],
)
def test_strings_and_strings_in_lists_are_found(selector: str, values: list[str]) -> None:
    """Each once. Numbers, booleans, objects and lists in lists stand in no index."""
    context = {
        "owner": "ada",
        "public": {"tags": ["a", "b", "a"]},
        "items": [{"name": "x", "kind": "k"}, {"name": "y"}, 3],
        "count": 3,
        "mixed": ["a", 1, None, True, ["deep"], {"x": "y"}, "b"],
        "nothing": None,
        "odd \N{SNOWMAN} key": "snow",
    }
    assert found(selector, context) == values


def test_a_context_may_be_anything() -> None:
    """Then nothing is found."""
    for context in (None, 1, "text", True):
        assert found("$.owner", context) == []
    assert found("$[1]", ["a", "b"]) == ["b"]


def test_the_own_selector_wins() -> None:
    """The current version's count for the other indexes only."""
    plan = IndexPlan({"color": "$.a"}, {"color": "$.b", "size": "$.c"})
    assert plan.entries_of({"a": "1", "b": "2", "c": "3"}) == {("color", "1"), ("size", "3")}
    assert not plan.is_empty
    assert IndexPlan({}, {}).is_empty


TOO_MUCH = {
    "long": "x" * (limits.INDEX_VALUE_BYTES_MAX + 1),
    "long in UTF-8": "\N{SNOWMAN}" * (limits.INDEX_VALUE_BYTES_MAX // 3 + 1),
    "many": [str(number) for number in range(limits.INDEX_ENTRIES_MAX + 1)],
}
JUST_RIGHT = {
    "long": "x" * limits.INDEX_VALUE_BYTES_MAX,
    "long in UTF-8": "\N{SNOWMAN}" * (limits.INDEX_VALUE_BYTES_MAX // 3),
    "many": [str(number % limits.INDEX_ENTRIES_MAX) for number in range(1_000)],
}


@pytest.mark.parametrize("what", TOO_MUCH)
def test_too_much_is_refused_and_never_cut(what: str) -> None:
    """The bound itself is within it."""
    assert found("$.a", {"a": JUST_RIGHT[what]})
    with pytest.raises(TooLarge, match="index color"):
        found("$.a", {"a": TOO_MUCH[what]})


def test_too_much_for_an_inherited_selector_is_left_out() -> None:
    """A version's events do not fail for what another version asks of them."""
    plan = IndexPlan({"color": "$.a"}, {"size": "$.b"})
    assert plan.entries_of({"a": "1", "b": TOO_MUCH["long"]}) == {("color", "1")}


def test_a_search_is_bounded() -> None:
    """Wildcards that multiply what they look at end soon."""
    with pytest.raises(TooLarge, match="look at"):
        found("$" + "[*,*,*,*]" * 50, {"a": {"b": {"c": {"d": {"e": {"f": {"g": {}}}}}}}})
    with pytest.raises(TooLarge, match="look at"):
        found("$[*].x", [{}] * (limits.INDEX_SEARCH_VALUES_MAX + 1))


HALF = "a" * (limits.INDEX_SEARCH_VALUES_MAX // 2 - 1)


def test_the_selectors_of_an_instance_share_their_bounds() -> None:
    """The one that is too much is named. One that is inherited takes nothing from others by it."""
    context = {"a": [*HALF], "b": ["b"] * len(HALF), "c": "c"}
    plan = IndexPlan({"color": "$.a", "size": "$.b"}, {})
    assert plan.entries_of(context) == {("color", "a"), ("size", "b")}
    with pytest.raises(TooLarge, match="index shape"):
        IndexPlan({"color": "$.a", "size": "$.b", "shape": "$.c"}, {}).entries_of(context)
    inherited = {"size": "$.b[*]", "shape": "$.b", "kind": "$.c"}
    assert IndexPlan({"color": "$.a[:9]"}, inherited).entries_of(context) == {
        ("color", "a"),
        ("size", "b"),
        ("kind", "c"),
    }


def test_the_values_of_an_instance_are_bounded() -> None:
    """In all indexes together."""
    count = limits.INDEX_ENTRIES_TOTAL_MAX // limits.INDEX_ENTRIES_MAX
    selectors = {f"i{number}": "$.a" for number in range(count)}
    context = {"a": JUST_RIGHT["many"][: limits.INDEX_ENTRIES_MAX], "b": "one more"}
    assert len(IndexPlan(selectors, {}).entries_of(context)) == limits.INDEX_ENTRIES_TOTAL_MAX
    assert len(IndexPlan(selectors, {"z": "$.b"}).entries_of(context)) == 1_000
    with pytest.raises(TooLarge, match="index z"):
        IndexPlan({**selectors, "z": "$.b"}, {}).entries_of(context)


@pytest.mark.parametrize(
    ("selector", "context"),
    [
        ("$.a[" + ",".join("*" * 490) + "]", {"a": [1] * 190_000}),
        ("$.a[" + ",".join("0" * 490) + "]", {"a": [[1] * 190_000]}),
    ],
    ids=["wildcards", "lists"],
)
def test_a_search_that_multiplies_ends_before_it_has_what_it_looks_for(
    selector: str, context: object
) -> None:
    """A hundred million values would take a gigabyte and seconds in which nobody else is served."""
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge, match="look at"):
            found(selector, context)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < limits.MIB


def test_a_selector_that_can_not_be_followed_any_more_finds_nothing() -> None:
    """One in the store may come of a release that followed more."""
    assert IndexPlan({"color": "$..a", "size": "$.a"}, {}).entries_of({"a": "1"}) == {("size", "1")}
