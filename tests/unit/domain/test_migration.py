"""Paths of migrations, and what an upgrade does to timers."""

from __future__ import annotations

import itertools
import json

from hypothesis import given
from hypothesis import strategies as st

from statekeep.domain.limits import MIGRATION_PATH_LENGTH_MAX
from statekeep.domain.message import Address, Message, MessageKind
from statekeep.domain.migration import (
    Migration,
    RenamedTimer,
    Upgraded,
    shortest_path,
    timer_changes,
    timer_moves,
    upgrade_event,
)
from statekeep.domain.names import InstanceName, MachineName, MigrationId, VersionId
from statekeep.domain.timer import NO_TIMER_CHANGES, SetTimer, Timer, TimerChanges
from tests.support.builders import NOW


def migrations(*pairs):
    """Newest first, as stores give them; the first pair is the oldest."""
    made = [
        Migration(MigrationId(f"mig_{n}"), 1, VersionId(start), VersionId(target), NOW, b"h")
        for n, (start, target) in enumerate(pairs)
    ]
    return made[::-1]


def path(found, start, target):
    steps = shortest_path(found, VersionId(start), VersionId(target))
    return None if steps is None else [step.id for step in steps]


class TestShortestPath:
    def test_the_fewest_steps_count(self):
        """However new the longer way is."""
        found = migrations("ac", "ab", "bc")
        assert path(found, "a", "c") == ["mig_0"]

    def test_several_steps_are_taken_where_there_is_no_direct_one(self):
        """In the order in which they are to be taken."""
        assert path(migrations("bc", "cd", "ab"), "a", "d") == ["mig_2", "mig_0", "mig_1"]

    def test_the_newest_of_two_that_are_alike(self):
        """Someone corrected the first."""
        assert path(migrations("ab", "ab"), "a", "b") == ["mig_1"]

    def test_the_newest_step_of_equally_short_ways(self):
        """From the start on."""
        found = migrations("ax", "ay", "xb", "yb", "xb")
        assert path(found, "a", "b") == ["mig_1", "mig_3"]

    def test_there_may_be_none(self):
        """Migrations lead one way, and loops lead nowhere."""
        assert path(migrations("ba", "ca", "cb", "bc"), "a", "b") is None
        assert path([], "a", "b") is None

    def test_from_a_version_to_itself_is_no_step(self):
        """Whatever leads back to it."""
        assert path(migrations("ab", "ba"), "a", "a") == []

    def test_a_path_has_a_bound(self):
        """Its code has to go to one host."""
        names = [f"v{n}" for n in range(MIGRATION_PATH_LENGTH_MAX + 2)]
        found = migrations(*itertools.pairwise(names))
        assert len(path(found, names[0], names[-2])) == MIGRATION_PATH_LENGTH_MAX
        assert path(found, names[0], names[-1]) is None

    @given(
        st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("abcdef")), max_size=20),
        st.sampled_from("abcdef"),
        st.sampled_from("abcdef"),
    )
    def test_it_is_a_path_and_no_shorter_one_exists(self, pairs, start, target):
        """Compared with trying every number of steps."""
        found = migrations(*pairs)
        reached, steps = {start}, 0
        while target not in reached and steps < 7:
            reached |= {to for frm, to in pairs if frm in reached}
            steps += 1
        steps_taken = shortest_path(found, VersionId(start), VersionId(target))
        if target not in reached:
            assert steps_taken is None
            return
        assert steps_taken is not None
        assert len(steps_taken) == steps
        at = start
        for step in steps_taken:
            assert step.from_version == at
            at = step.to_version
        assert at == target


def test_the_event_names_both_versions_and_the_way():
    """As JSON that anybody can read."""
    event = upgrade_event(VersionId("ver_a"), VersionId("ver_b"), migrations("ab", "bc"))
    assert json.loads(event) == {
        "type": "statebacked.upgrade",
        "fromMachineVersionId": "ver_a",
        "toMachineVersionId": "ver_b",
        "machineVersionMigrationIds": ["mig_1", "mig_0"],
    }


def pending(*seqs):
    return {seq: Timer(seq, f"t{seq}", 1000.0 + seq, b"{}", b"{}", 2) for seq in seqs}


def changes_of(upgraded, timers, *, next_seq):
    """At a time of 5 ms."""
    moves = timer_moves(upgraded, timers, now_ms=5)
    return timer_changes(moves, timers, next_seq=next_seq, now_ms=5)


class TestTimerChanges:
    def test_nothing_changes_where_nothing_moved(self):
        """Not even a number."""
        assert changes_of(Upgraded(b"", b""), pending(1, 2), next_seq=3) == (NO_TIMER_CHANGES)

    def test_a_renamed_timer_keeps_its_due_time_and_its_tries(self):
        """Under another number, as the row of a timer never changes its event."""
        upgraded = Upgraded(b"", b"", renamed=(RenamedTimer(1, "new", b"E", b"A"),))
        assert changes_of(upgraded, pending(1, 2), next_seq=7) == TimerChanges(
            (Timer(7, "new", 1001.0, b"E", b"A", 2),), (1,)
        )

    def test_cancelled_ones_go_and_started_ones_begin_now(self):
        """After those that were renamed."""
        upgraded = Upgraded(
            b"",
            b"",
            renamed=(RenamedTimer(2, "new", b"E", b"A"),),
            cancelled=(1,),
            started=(SetTimer("s", 50, b"S", b"B"),),
        )
        changes = changes_of(upgraded, pending(1, 2), next_seq=7)
        assert changes.removed == (2, 1)
        assert [(timer.seq, timer.due_at) for timer in changes.set] == [(7, 1002.0), (8, 55.0)]

    def test_timers_that_are_gone_meanwhile_are_left_alone(self):
        """A host may name any number."""
        upgraded = Upgraded(b"", b"", renamed=(RenamedTimer(9, "new", b"E", b"A"),), cancelled=(8,))
        assert changes_of(upgraded, pending(1), next_seq=7) == NO_TIMER_CHANGES

    def test_each_timer_moves_once(self):
        """However often a host names it."""
        renamed = RenamedTimer(1, "new", b"E", b"A")
        upgraded = Upgraded(b"", b"", renamed=(renamed, renamed), cancelled=(1, 2, 2))
        changes = changes_of(upgraded, pending(1, 2), next_seq=7)
        assert changes.removed == (1, 2)
        assert [timer.seq for timer in changes.set] == [7]

    def test_a_finished_instance_keeps_none(self):
        """Its own delayed events are for nobody."""
        upgraded = Upgraded(b"", b"", is_done=True, started=(SetTimer("s", 50, b"S", None),))
        changes = changes_of(upgraded, pending(1, 2), next_seq=3)
        assert changes == TimerChanges((), (1, 2))

    def test_a_finished_instance_tells_its_parent(self):
        """Where the upgrade has ended it."""
        to = Address(MachineName("boss"), InstanceName("b1"))
        message = Message(to, MessageKind.DONE, "kid")
        upgraded = Upgraded(b"", b"", is_done=True, started=(SetTimer("", 0, b"1", None, message),))
        changes = changes_of(upgraded, pending(1), next_seq=3)
        word = Timer(3, "", 5, b"1", message=message, hops=1)
        assert changes == TimerChanges((word,), (1,))
