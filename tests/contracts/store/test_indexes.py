"""What indexes of the store promise: entries that go with their commits, queries, and fills."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from statekeep.domain.errors import InvalidParameter
from statekeep.domain.index import (
    Comparison,
    IndexChanges,
    IndexFilter,
    IndexMatch,
    IndexQuery,
)
from statekeep.domain.names import InstanceName
from statekeep.ports.store import ConflictingRevision, IndexedInstance
from tests.support.builders import (
    CODE,
    a_commit,
    a_version,
    create_instance,
    create_instances,
    lay_ground,
)


def adding(*values, index="owner"):
    return IndexChanges(tuple((index, value) for value in values), ())


def removing(*values):
    return IndexChanges((), tuple(("owner", value) for value in values))


def query_of(ground, op=None, value="", *, index="owner", descending=False, limit=100):
    wanted = None if op is None else IndexFilter(Comparison(op), value)
    return IndexQuery(ground.machine.id, index, wanted, descending, limit)


async def found(store, query):
    """Every entry of every page, as (value, name)."""
    page = await store.query_index(query, cursor=None)
    matches = [*page.items]
    while page.cursor is not None:
        page = await store.query_index(query, cursor=page.cursor)
        assert page.items, "a page that follows is not empty"
        matches += page.items
    return [(match.value, match.name) for match in matches]


async def create_with(store, ground, values_by_name):
    """Instances with these values, in this order."""
    ids = {}
    for name, values in values_by_name.items():
        ids[name] = store.new_instance_id()
        await store.commit(ground.creation(ids[name], name)._replace(indexed=adding(*values)))
    return ids


# Entries


async def test_entries_come_and_go_with_their_commits(store, ground):
    """Those of a creation, and of any commit after it; a claim tells them."""
    instance_id = store.new_instance_id()
    await store.commit(ground.creation(instance_id)._replace(indexed=adding("ada", "eve")))
    assert (await store.claim_by_id(instance_id)).index_entries == {
        ("owner", "ada"),
        ("owner", "eve"),
    }
    both = IndexChanges((("owner", "bob"),), (("owner", "ada"),))
    await store.commit(a_commit(instance_id, 1)._replace(indexed=both))
    await store.commit(a_commit(instance_id, 2))
    assert (await store.claim_by_id(instance_id)).index_entries == {
        ("owner", "bob"),
        ("owner", "eve"),
    }
    assert await found(store, query_of(ground)) == [("bob", "one"), ("eve", "one")]


async def test_a_refused_commit_changes_no_entry(store, ground, instance_id):
    """Nor does one beside a good one."""
    results = await asyncio.gather(
        store.commit(a_commit(instance_id, 1)._replace(indexed=adding("ada"))),
        store.commit(a_commit(instance_id, 1)._replace(indexed=adding("eve"))),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [type(None), ConflictingRevision]
    assert await found(store, query_of(ground)) == [("ada", "one")]


async def test_commits_in_line_leave_what_the_last_one_wants(store, ground, instance_id):
    """However they are put together."""
    waiting = [
        store.commit(a_commit(instance_id, 1)._replace(indexed=adding("ada"))),
        store.commit(a_commit(instance_id, 2)._replace(indexed=removing("ada"))),
        store.commit(a_commit(instance_id, 3)._replace(indexed=adding("ada"))),
    ]
    await asyncio.gather(*waiting)
    assert await found(store, query_of(ground)) == [("ada", "one")]


async def test_a_deleted_instance_is_found_no_more(store, ground):
    """Others stay."""
    ids = await create_with(store, ground, {"one": ["ada"], "two": ["ada"]})
    await store.delete_instance(ids["one"])
    assert await found(store, query_of(ground)) == [("ada", "two")]


async def test_an_instance_is_indexed_anew_where_it_stands(store, ground, instance_id):
    """Behind the commits passed before, and only at that revision."""
    committing = store.commit(a_commit(instance_id, 1)._replace(indexed=adding("ada")))
    indexing = store.reindex(instance_id, 2, IndexChanges((("owner", "bob"),), (("owner", "ada"),)))
    await asyncio.gather(committing, indexing)
    assert await found(store, query_of(ground)) == [("bob", "one")]
    with pytest.raises(ConflictingRevision):
        await store.reindex(instance_id, 1, adding("eve"))
    await store.delete_instance(instance_id)
    with pytest.raises(ConflictingRevision):
        await store.reindex(instance_id, 2, adding("eve"))
    assert await found(store, query_of(ground)) == []


# Queries

VALUES = {
    "one": ["b"],
    "two": ["a", "c"],
    "three": ["b"],
    "four": [""],
    "five": ["ä", "\U0001f600"],
}
IN_ORDER = [
    ("", "four"),
    ("a", "two"),
    ("b", "one"),
    ("b", "three"),
    ("c", "two"),
    ("ä", "five"),
    ("\U0001f600", "five"),
]
ADMITTED = {
    None: IN_ORDER,
    "eq": IN_ORDER[2:4],
    "ne": IN_ORDER[:2] + IN_ORDER[4:],
    "gt": IN_ORDER[4:],
    "gte": IN_ORDER[2:],
    "lt": IN_ORDER[:2],
    "lte": IN_ORDER[:4],
}


@pytest.mark.parametrize("limit", [1, 2, 100])
@pytest.mark.parametrize("op", ADMITTED)
async def test_every_comparison_in_both_directions(store, ground, op, limit):
    """By value and then by number, however small the pages."""
    await create_with(store, ground, VALUES)
    for descending in (False, True):
        expected = ADMITTED[op][::-1] if descending else ADMITTED[op]
        query = query_of(ground, op, "b", descending=descending, limit=limit)
        assert await found(store, query) == expected


async def test_values_are_ordered_by_code_points(store, ground):
    """Not by UTF-16, in which those past the first plane come before some of it; and U+0000 is a character like others."""
    values = ["\U00010000", "\uffff", "a\0b", "a", "a\0", "A"]
    await create_with(store, ground, {"one": values})
    expected = sorted(values)
    assert [value for value, _ in await found(store, query_of(ground))] == expected
    greater = await found(store, query_of(ground, "gt", "a\0"))
    assert [value for value, _ in greater] == ["a\0b", "\uffff", "\U00010000"]


async def test_an_index_is_alone(store, ground):
    """Other indexes, machines and organizations are not in it."""
    other = await lay_ground(store, organization="rival", machine="toggle")
    await create_with(store, other, {"theirs": ["ada"]})
    instance_id = store.new_instance_id()
    await store.commit(ground.creation(instance_id)._replace(indexed=adding("ada", index="size")))
    assert await found(store, query_of(ground)) == []
    assert await found(store, query_of(ground, index="size")) == [("ada", "one")]


@pytest.mark.parametrize("descending", [False, True])
async def test_entries_that_move_meanwhile_disturb_no_other(store, ground, descending):
    """What stays where it is appears exactly once."""
    names = [f"i{number:02}" for number in range(20)]
    ids = await create_with(store, ground, {name: [name] for name in names})
    query = query_of(ground, descending=descending, limit=7)
    page = await store.query_index(query, cursor=None)
    seen = [match.name for match in page.items]
    last, next_one = ("i13", "i12") if descending else ("i06", "i07")
    assert seen[-1] == last
    # The last of the page goes to the other end, the next one is deleted, and one comes to the very place between.
    await store.commit(
        a_commit(ids[last], 1)._replace(
            indexed=IndexChanges((("owner", "" if descending else "z"),), (("owner", last),))
        )
    )
    await store.delete_instance(ids[next_one])
    await create_with(store, ground, {"new": [last]})
    while page.cursor is not None:
        page = await store.query_index(query, cursor=page.cursor)
        seen += [match.name for match in page.items]
    steady = sorted((name for name in names if name != next_one), reverse=descending)
    assert [name for name in seen if name != "new"] == [*steady, last]


async def test_a_cursor_of_another_query_is_refused(store, ground):
    """As is one that is none. The number of entries may change."""
    await create_with(store, ground, VALUES)
    query = query_of(ground, "gte", "a", limit=2)
    cursor = (await store.query_index(query, cursor=None)).cursor
    page = await store.query_index(query._replace(limit=1), cursor=cursor)
    assert page.items == [IndexMatch(InstanceName("three"), "b")]
    others = [
        query_of(ground, "gt", "a"),
        query_of(ground, "gte", "b"),
        query_of(ground),
        query_of(ground, "gte", "a", descending=True),
        query_of(ground, "gte", "a", index="size"),
    ]
    for other in others:
        with pytest.raises(InvalidParameter) as caught:
            await store.query_index(other, cursor=cursor)
        assert caught.value.parameter == "cursor"
    for nonsense in ("", "x", "AAAA", cursor[:-4], cursor[:12], "ä", "=" * 40):
        with pytest.raises(InvalidParameter):
            await store.query_index(query, cursor=nonsense)


# Fills


async def publish(store, ground, name, selectors, *, make_current=True):
    version = replace(a_version(ground.machine, name), index_selectors=selectors)
    await store.create_version(version, CODE, make_current=make_current)
    return version


@pytest.fixture
async def filled(store, ground):
    """The ground with nothing left to fill."""
    await store.end_index_fill(await store.index_fill(ground.machine.id))
    assert await store.index_fill(ground.machine.id) is None
    return ground


async def test_other_selectors_begin_a_fill(store, filled):
    """Of the indexes that differ, and only where the version is made current."""
    machine_id = filled.machine.id
    assert await store.current_selectors(machine_id) == {"owner": "$.owner"}
    await publish(store, filled, "same", {"owner": "$.owner"})
    await publish(store, filled, "aside", {"owner": "$.by"}, make_current=False)
    assert await store.next_index_fill(after=0) is None
    await publish(store, filled, "other", {"owner": "$.by", "size": "$.size"})
    fill = await store.index_fill(machine_id)
    assert fill.indexes == ("owner", "size")
    assert (fill.position, fill.last, fill.done, fill.total) == (0, 0, 0, 0)
    assert await store.next_index_fill(after=machine_id - 1) == fill
    assert await store.next_index_fill(after=machine_id) is None
    assert await store.current_selectors(machine_id) == {"owner": "$.by", "size": "$.size"}


async def test_a_fill_counts_what_is_left(store, filled):
    """It takes instances by number up to the last there was, and goes on where it stood when it is begun again."""
    versions = (filled.version.id,) * 3
    ids = await create_instances(store, filled, ["one", "two", "three"])
    await lay_ground(store, machine="other")
    await publish(store, filled, "other", {"owner": "$.by"})
    fill = await store.begin_index_fill(await store.index_fill(filled.machine.id))
    assert (fill.last, fill.done, fill.total) == (ids[-1], 0, 3)
    late = await create_instance(store, filled, "late")
    indexed = [IndexedInstance(*pair) for pair in zip(ids, versions, strict=True)]
    assert list(await store.instances_to_index(fill, limit=2)) == indexed[:2]
    assert list(await store.instances_to_index(fill, limit=9)) == indexed
    assert await store.advance_index_fill(fill._replace(position=ids[1], done=2))
    fill = await store.begin_index_fill(await store.index_fill(filled.machine.id))
    assert (fill.position, fill.last, fill.done, fill.total) == (ids[1], late, 2, 4)


async def test_an_overtaken_fill_writes_nothing(store, filled):
    """What it had left over is part of the one that overtook it, which begins at the beginning."""
    ids = await create_instances(store, filled, ["one", "two"])
    await publish(store, filled, "second", {"owner": "$.owner", "size": "$.size"})
    first = await store.begin_index_fill(await store.index_fill(filled.machine.id))
    await publish(store, filled, "third", {"owner": "$.by", "size": "$.size"})
    assert not await store.advance_index_fill(first._replace(position=ids[0], done=1))
    assert await store.begin_index_fill(first) is None
    await store.end_index_fill(first)
    fill = await store.index_fill(filled.machine.id)
    assert fill.indexes == ("owner", "size")
    assert fill.generation > first.generation
    assert (fill.position, fill.done) == (0, 0)


async def test_a_fill_goes_with_its_machine(store, filled):
    """And what comes back to it learns so."""
    await publish(store, filled, "other", {"owner": "$.by"})
    fill = await store.index_fill(filled.machine.id)
    await store.delete_machine(filled.machine.id)
    assert await store.index_fill(filled.machine.id) is None
    assert await store.begin_index_fill(fill) is None
    assert await store.current_selectors(filled.machine.id) == {}
