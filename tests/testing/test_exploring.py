"""Exploring machines: what can happen to them, in both majors of XState."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from statekeep.domain.names import MachineName
from statekeep.testing import examples, explore, paths_through
from statekeep.testing.exploring import Explorer, Plan
from statekeep.testing.hosts import Hosts

MACHINES = Path(__file__).parent / "machines"
HEAD = """
import { assign, createMachine, fromPromise, sendTo } from "npm:xstate@5";
export const allowRead = () => true;
export const allowWrite = () => true;
"""


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], Path]:
    """Writes the definition of a machine of XState 5 into a file."""

    def write(definition: str) -> Path:
        file = tmp_path / "machine.js"
        file.write_text(f"{HEAD}export default createMachine({definition});")
        return file

    return write


def labels(paths):
    return [path.label for path in paths]


@pytest.fixture(params=["shop4.js", "shop5.js"])
def shop(request):
    """One machine in both majors, with everything that a chart can have."""
    return MACHINES / request.param


def test_all_that_can_be_reached_is_seen_by_shortest_paths(shop):
    paths = paths_through(shop)
    assert labels(paths) == [
        "any",
        "overflow",
        "after 1d",
        "add, add, add",
        "add, checkout, charge failed",
        "add, checkout, charge done, mail",
        "add, checkout, charge done, pause, resume",
        "add, checkout, charge done, close, mail",
        "add, checkout, charge done, pause, tear throws",
    ]
    assert paths[2].end.done
    assert paths[-2].end.state == "thanks"


def test_events_with_fields_are_tried_as_they_are(shop):
    paths = paths_through(shop, events=["add", {"type": "add", "count": 2}])
    assert "add(count=2), add" in labels(paths)


def test_what_cannot_be_reached_is_named(shop):
    found = explore(shop)
    assert found.is_exhaustive
    assert [state.name for state in found.coverage.missed_states] == ["never"]
    assert [str(arrow) for arrow in found.coverage.missed_arrows] == [
        "paused --tear--> (stays)",
        "done --always [guard]--> never",
    ]
    assert found.coverage.percent == 87.5


def test_a_transition_that_throws_is_told_with_the_way_there(shop):
    [failure] = explore(shop).distinct_failures
    assert failure.labels == ["start", "add", "checkout", "charge done", "pause", "tear"]
    assert "torn" in str(failure.error)


def test_a_history_state_leads_back_to_where_the_path_left(shop):
    found = explore(shop)
    back = [it.reading for it in found.situations if it.move.label == "resume"]
    assert {"shipping": {"box": "open", "mail": "unsent"}} in [it.state for it in back]
    assert all(it.transitions[-1].label == "resume" for it in back)


def test_a_path_that_throws_raises_the_machine_s_error_at_its_end(shop):
    path = paths_through(shop)[-1]
    assert path.states[-1] == "paused"
    with pytest.raises(Exception, match="torn") as caught:
        path.end  # noqa: B018
    assert caught.value.__notes__ == ["after start, add, checkout, charge done, pause, tear"]


def test_children_answer_what_they_are_said_to_come_to(shop):
    [path] = [
        path
        for path in paths_through(shop, outputs={"charge": ["bill 7"]})
        if path.label.endswith("close, mail")
    ]
    assert path.label == 'add, checkout, charge done with "bill 7", close, mail'
    assert path.end.context["receipt"] == "bill 7"


def test_rights_are_asked_where_somebody_is_named(shop):
    ada, bob = {"sub": "ada"}, {"sub": "bob"}
    assert explore(shop, as_=ada).refused == 0
    nobody = explore(shop, as_=bob)
    assert (nobody.situations, nobody.refused, nobody.is_exhaustive) == ([], 1, False)
    both = explore(shop, as_=[ada, bob])
    assert both.coverage.percent == 87.5
    assert both.refused > 0
    assert "add as ada" in {it.move.label for it in both.situations}


def test_events_are_left_out_on_demand(shop):
    tried = {it.move.label for it in explore(shop, without=["checkout", "any"]).situations}
    assert "add" in tried
    assert not tried & {"checkout", "any"}


def test_examples_are_the_same_for_the_same_seed(shop):
    def counts(seed):
        drawn = examples("add", 4, count=lambda chance: chance.randint(1, 1000))
        return labels(paths_through(shop, events=[drawn], seed=seed, depth_max=2))

    assert counts(1) == counts(1)
    assert counts(1) != counts(2)
    with pytest.raises(ValueError, match="1 to 1000 examples"):
        examples("add", 0)


def test_a_context_that_grows_for_ever_is_explored_up_to_the_bound(written):
    file = written(
        "{context: {n: 0}, on: {more: {actions: assign({n: ({context}) => context.n + 1})}, reset: {guard: ({context}) => context.n > 5}}}"
    )
    found = explore(file, situations_max=20)
    assert not found.is_exhaustive
    assert len(found.situations) == 21
    assert not explore(file, depth_max=3).is_exhaustive
    assert [str(it) for it in explore(file, depth_max=3).coverage.missed_arrows] == [
        "(machine) --reset [guard]--> (stays)"
    ]
    assert explore(file, ignore_context=True).is_exhaustive
    assert labels(paths_through(file)) == ["more, more, more, more, more, more, reset"]


def test_a_state_that_nothing_leads_out_of_is_a_dead_end_unless_it_is_final(written):
    file = written(
        "{initial: 'a', states: {a: {on: {left: 'b', right: 'c', back: 'd'}}, b: {}, c: {type: 'final'}, d: {after: {1000: 'a'}}}}"
    )
    assert explore(file).dead_ends == ["b"]


def test_a_dead_end_is_one_whatever_the_context(written):
    file = written(
        "{context: {n: 0}, initial: 'a', states: {a: {on: {left: {target: 'b', actions: assign({n: 1})}, right: 'b'}},"
        " b: {on: {back: {guard: ({context}) => context.n === 1, target: 'a'}}}}}"
    )
    assert explore(file).dead_ends == []


def test_timers_fire_one_after_the_other_in_the_order_in_which_they_are_due(written):
    file = written(
        "{initial: 'a', states: {a: {after: {2000: {actions: assign({})}, 1000: {actions: assign({})}, 5000: 'b'}}, b: {}}}"
    )
    [path] = paths_through(file)
    assert path.label == "after 1s, after 2s, after 5s"
    assert [step.reading.transitions[-1].at.second for step in path] == [0, 1, 2, 5]


def test_a_timer_is_cancelled_with_its_state(written):
    file = written("{initial: 'a', states: {a: {after: {1000: 'c'}, on: {go: 'b'}}, b: {}, c: {}}}")
    [there] = [it for it in explore(file).situations if it.reading.state == "b"]
    assert there.reading.timers == ()


def test_persistent_children_answer_too(written):
    file = written(
        "{initial: 'a', states: {a: {on: {hire: 'b'}}, b: {invoke: {id: 'helper', input: {task: 1}, onDone: 'c', onError: 'd',"
        " src: {type: 'statebacked.invoke', machineName: 'child', machineInstanceName: 'helper'}}}, c: {}, d: {}}}"
    )
    paths = paths_through(file)
    assert labels(paths) == ["hire, helper done", "hire, helper failed"]
    assert paths[0].end.sent[0].kind == "spawn"
    assert (paths[0].end.state, paths[1].end.state) == ("c", "d")


def test_nothing_is_performed_unless_that_is_asked_for(written):
    file = written(
        "{initial: 'a', states: {a: {on: {go: {target: 'b', actions: () => { throw new Error('too heavy'); }}}},"
        " b: {entry: () => console.error('look out'), invoke: {id: 'p', src: fromPromise(() => { console.error('begun'); return new Promise(() => {}); })}}}}"
    )
    assert explore(file).complaints == []
    complaints = explore(file, perform=True).complaints
    assert [it.text.splitlines()[0] for it in complaints] == [
        "An action failed: too heavy",
        "look out",
        "begun",
    ]
    assert {it.after.move.label for it in complaints} == {"go"}


def test_a_machine_that_throws_when_it_is_created_is_told(written):
    file = written("{context: () => { throw new Error('stillborn'); }}")
    found = explore(file)
    assert found.situations == []
    [path] = paths_through(file)
    assert path.label == "start throws"
    with pytest.raises(Exception, match="stillborn"):
        path.require_success()


def test_a_machine_in_which_nothing_can_happen_has_one_path(written):
    [path] = paths_through(written("{}"))
    assert (path.label, len(path.steps)) == ("start", 1)
    assert explore(written("{}")).coverage.percent == 100


def test_the_context_that_is_given_is_that_of_the_start(written):
    file = written("{context: {n: 1}, on: {go: {guard: ({context}) => context.n === 2}}}")
    assert explore(file, context={"n": 2}).coverage.percent == 100
    assert explore(file).coverage.percent == 0


def test_states_that_are_only_passed_through_are_seen(written):
    file = written(
        "{initial: 'a', states: {a: {on: {go: 'b'}}, b: {initial: 'x', states: {x: {always: 'y'}, y: {}}, always: 'c'}, c: {}}}"
    )
    found = explore(file)
    assert [state.name for state in found.coverage.missed_states] == []


def test_patterns_of_events_are_tried_with_one_that_matches(written):
    file = written("{on: {'order.*': {}, '*': {actions: assign({})}}}")
    assert labels(paths_through(file)) == ["order.any", "any"]


def test_a_machine_that_kills_its_process_is_a_failure_and_the_others_go_on(written):
    file = written(
        "{initial: 'a', states: {a: {on: {spin: {actions: assign(() => { for (;;) {} })}, go: 'b'}}, b: {}}}"
    )
    hosts = Hosts(step_timeout=timedelta(seconds=0.3))

    async def explored():
        version = await hosts.version(MachineName("m"), await hosts.bundle(file))
        return await Explorer(hosts, version, hosts.chart(version), Plan()).explore()

    found = hosts.submit(explored()).result()
    hosts.close()
    assert [failure.move.label for failure in found.failures] == ["spin"]
    assert {it.reading.state for it in found.situations} == {"a", "b"}


# Replaying


def test_a_path_is_replayed_by_a_real_instance(machine, shop):
    shops = machine(shop)
    by_label = {path.label: path for path in paths_through(shop)}
    instance = by_label["after 1d"].replay(shops, as_={"sub": "ada"})
    assert instance.done
    with pytest.raises(ValueError, match="a child answers on this path"):
        by_label["add, checkout, charge failed"].replay(shops)
