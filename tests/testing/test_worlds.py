"""Machines in a world of a test: what can be started, sent and seen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from statekeep.testing import (
    AlreadyExists,
    BuildFailed,
    InvalidCode,
    LogLine,
    MachineError,
    NeverAtRest,
    RejectedByMachineAuthorizer,
    World,
)

DOOR = Path(__file__).parent / "machines" / "door.js"
ADA = {"sub": "ada"}
BOB = {"sub": "bob"}

CHATTERBOX = """
import { assign, createMachine } from "npm:xstate@5";
export const allowRead = () => true;
export const allowWrite = () => true;
"""


@pytest.fixture
def door(machine):
    """A door of Ada's."""
    return machine("machines/door.js").start(as_=ADA)


def test_an_instance_shows_all_that_its_machine_made_of_it(door):
    assert (door.machine_name, door.name) == ("door", "door-1")
    assert (door.state, door.tags, door.done, door.output) == ("closed", (), False, None)
    assert door.context == {"owner": "ada", "public": {"opened": 0}}
    door.send("open")
    assert (door.state, door.tags) == ("open", ("draughty",))
    assert door.public_context == {"opened": 1}
    assert [(it.label, it.state) for it in door.transitions] == [
        ("start", "closed"),
        ("open", "open"),
    ]


def test_context_and_name_are_those_that_were_given(machine):
    front = machine("machines/door.js").start("front", context={"owner": "bob"}, as_=BOB)
    assert (front.name, front.context["owner"]) == ("front", "bob")


def test_instances_without_a_name_get_the_next_that_is_free(machine):
    doors = machine("machines/door.js")
    assert [doors.start(as_=ADA).name, doors.start("door-2", as_=ADA).name] == ["door-1", "door-2"]
    assert doors.start(as_=ADA).name == "door-3"


def test_a_name_that_is_taken_is_refused(machine):
    doors = machine("machines/door.js")
    doors.start("front", as_=ADA)
    with pytest.raises(AlreadyExists, match="front exists already"):
        doors.start("front", as_=ADA)


def test_events_carry_their_fields(world):
    code = CHATTERBOX + (
        "export default createMachine({context: {heard: null}, on: {"
        "say: {actions: assign({heard: ({event}) => event})}}});"
    )
    parrot = world.machine(code=code, name="parrot").start()
    assert parrot.send("say", word="hi", times=2).context["heard"] == {
        "type": "say",
        "word": "hi",
        "times": 2,
    }
    parrot.send({"type": "say", "word": "ho"})
    assert parrot.context["heard"] == {"type": "say", "word": "ho"}


def test_what_is_no_event_is_refused_before_it_is_sent(door):
    with pytest.raises(TypeError, match="an event has a type"):
        door.send({"word": "hi"})
    with pytest.raises(TypeError, match="event has to be JSON"):
        door.send("open", at=object())


def test_a_refused_event_changes_nothing_and_the_error_tells_what_was_refused(door):
    with pytest.raises(RejectedByMachineAuthorizer) as caught:
        door.send("lock")
    assert (
        "{'type': 'lock'} to door door-1, in state 'closed', as {'sub': 'ada'}"
        in (caught.value.__notes__[0])
    )
    assert [it.label for it in door.transitions] == ["start"]


def test_an_event_is_sent_by_whoever_it_is_said_to_be(door):
    door.send("open", as_=BOB)
    with pytest.raises(RejectedByMachineAuthorizer):
        door.send("close", as_={})
    assert door.state == "open"


def test_a_machine_that_throws_fails_the_event_with_the_author_s_words(door):
    door.send("open")
    with pytest.raises(MachineError, match="it does not break") as caught:
        door.send("break")
    assert any("door.js:27" in note for note in caught.value.__notes__)
    assert door.state == "open"


def test_what_the_code_prints_is_there_when_the_event_is_answered(door):
    door.send("open").send("close").send("kick")
    assert door.log == (
        LogLine("opened 1 times", is_error=False, instance="door-1"),
        LogLine("ouch", is_error=True, instance="door-1"),
    )
    assert door.world.log == door.log


def test_a_finished_instance_has_its_output(door):
    door.send("open").send("close").advance(days=1)
    assert (door.state, door.done, door.output) == ("locked", True, {"opened": 1})


def test_nested_and_parallel_states_are_found_by_their_path(world):
    code = CHATTERBOX + (
        "export default createMachine({type: 'parallel', states: {"
        "lamp: {initial: 'off', states: {off: {}, on: {}}},"
        "plug: {initial: 'in', states: {in: {initial: 'cold', states: {cold: {}}}}}}});"
    )
    lamp = world.machine(code=code, name="lamp").start()
    assert lamp.state == {"lamp": "off", "plug": {"in": "cold"}}
    assert [path for path in ("lamp", "lamp.off", "plug.in", "plug.in.cold") if lamp.matches(path)]
    assert not any(map(lamp.matches, ("lamp.on", "off", "plug.cold", "lamp.off.in", "socket.in")))


def test_a_reading_stays_as_it_was(door):
    before = door.reading
    door.send("open")
    assert (before.state, door.state) == ("closed", "open")


def test_a_wrong_state_is_told_with_the_way_there(door):
    door.send("open").send("close").advance(days=1)
    with pytest.raises(AssertionError) as caught:
        door.assert_state("open")
    assert str(caught.value).splitlines() == [
        "door door-1 is in 'locked', not in 'open'",
        "  2026-01-01 00:00:00  start    -> 'closed'",
        "  2026-01-01 00:00:00  open     -> 'open'",
        "  2026-01-01 00:00:00  close    -> 'closed'",
        "  2026-01-02 00:00:00  after 1d -> 'locked'",
    ]
    door.assert_state("locked")


def test_a_long_story_is_told_from_its_end(door):
    for _ in range(15):
        door.send("open").send("close")
    assert door.story.splitlines()[0] == "  ... 11 before"
    assert len(door.story.splitlines()) == 21


# Who may


def test_the_authorisers_are_asked_without_anything_happening(door):
    assert door.may_read(ADA)
    assert not door.may_read(BOB)
    assert door.may_write(BOB, "open")
    assert not door.may_write(BOB, "lock")
    assert (door.state, door.log) == ("closed", ())
    door.assert_may_read({"role": "janitor"})
    door.assert_may_not_read(BOB)
    door.assert_may_write(BOB, "open", wide=True)
    door.assert_may_not_write(BOB, "lock")


def test_who_may_start_an_instance_is_asked_without_starting_one(machine):
    doors = machine("machines/door.js")
    assert doors.may_start(ADA)
    assert not doors.may_start({})
    assert doors.world.instances == []


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (
            lambda door: door.assert_may_read(BOB),
            "{'sub': 'bob'} may not read door door-1 in 'closed': allowRead did not answer true",
        ),
        (
            lambda door: door.assert_may_not_read(ADA),
            "{'sub': 'ada'} may read door door-1 in 'closed': allowRead answered true",
        ),
        (
            lambda door: door.assert_may_write(BOB, "lock"),
            "{'sub': 'bob'} may not send {'type': 'lock'} to door door-1 in 'closed': "
            "allowWrite did not answer true",
        ),
        (
            lambda door: door.assert_may_not_write(BOB, "open"),
            "{'sub': 'bob'} may send {'type': 'open'} to door door-1 in 'closed': "
            "allowWrite answered true",
        ),
    ],
)
def test_a_right_that_is_not_as_expected_is_told(door, ask, message):
    with pytest.raises(AssertionError) as caught:
        ask(door)
    assert str(caught.value).splitlines()[0] == message


def test_an_event_that_nobody_can_send_is_no_question_of_rights(door):
    with pytest.raises(Exception, match="nobody can send it"):
        door.may_write(ADA, "xstate.init")


# Worlds


def test_worlds_know_nothing_of_each_other():
    with World() as here, World(now=datetime(2030, 5, 5, tzinfo=UTC)) as there:
        door = here.machine(DOOR).start(as_=ADA)
        other = there.machine(DOOR).start(as_=ADA)
        other.send("open")
        there.advance(days=2)
        assert (door.state, other.state) == ("closed", "open")
        assert (here.now, there.now) == (
            datetime(2026, 1, 1, tzinfo=UTC),
            datetime(2030, 5, 7, tzinfo=UTC),
        )


def test_a_machine_is_called_after_its_file(world, tmp_path):
    file = tmp_path / "front.door.machine.js"
    file.write_text(CHATTERBOX + "export default createMachine({});")
    assert world.machine(file).name == "front"
    assert world.machine(file, name="back").name == "back"


def test_one_name_is_one_machine(world, tmp_path):
    world.machine(DOOR)
    assert world.machine(DOOR).name == "door"
    with pytest.raises(AlreadyExists, match="another machine door"):
        world.machine(DOOR.with_name("child.js"), name="door")


def test_what_is_no_machine_is_refused_with_the_reason(world):
    with pytest.raises(InvalidCode, match="does not export allowRead"):
        world.machine(
            code='import {createMachine} from "npm:xstate@5"; export default createMachine({});',
            name="bare",
        )
    with pytest.raises(ValueError, match="needs a name"):
        world.machine(code="")
    with pytest.raises(ValueError, match="name a file or give its content"):
        world.machine()


def test_an_instance_that_is_not_there_is_told_with_those_that_are(door):
    with pytest.raises(LookupError, match="there are: door door-1"):
        door.world.instance("door", "back")


def test_machines_that_never_rest_are_stopped_with_what_they_did_last(world):
    code = (
        CHATTERBOX
        + "export default createMachine({initial: 'a', states: {a: {after: {0: {target: 'a', reenter: true}}}}});"
    )
    with pytest.raises(NeverAtRest, match=r"1000 timers and messages .*\n  spin spin-1: after 0"):
        world.machine(code=code, name="spin").start()


def test_a_promise_that_never_answers_is_given_up_after_the_settle_timeout():
    code = CHATTERBOX.replace("assign,", "fromPromise,") + (
        "export default createMachine({initial: 'a', states: {a: {invoke: {id: 'never', "
        "src: fromPromise(() => new Promise(() => {})), onError: 'b'}}, b: {}}});"
    )
    with World(settle_timeout=timedelta(milliseconds=50)) as world:
        waiting = world.machine(code=code, name="waiting").start()
        assert waiting.state == "a"


def test_author_code_reaches_no_network_unless_that_is_allowed(world):
    code = CHATTERBOX.replace("assign,", "assign, fromPromise,") + (
        "export default createMachine({context: {}, initial: 'a', states: {a: {invoke: {"
        "src: fromPromise(() => fetch('https://example.com')), onError: {target: 'b', actions: assign({"
        "why: ({event}) => event.error.message})}}}, b: {}}});"
    )
    caller = world.machine(code=code, name="caller").start()
    assert "Requires net access" in caller.context["why"]


# Files


def test_a_file_is_bundled_with_what_it_imports_and_its_lines_are_in_the_stacks(world, tmp_path):
    (tmp_path / "rights.ts").write_text("export const anybody = (_: unknown): boolean => true;\n")
    (tmp_path / "lamp.ts").write_text(
        'import { assign, createMachine } from "npm:xstate@5";\n'
        'import { anybody } from "./rights.ts";\n'
        "export { anybody as allowRead, anybody as allowWrite };\n"
        "function smash(): never {\n"
        '  throw new Error("in pieces");\n'
        "}\n"
        "export default createMachine({ on: { smash: { actions: assign(smash) } } });\n"
    )
    lamp = world.machine(tmp_path / "lamp.ts").start()
    with pytest.raises(MachineError, match="in pieces") as caught:
        lamp.send("smash")
    assert any("lamp.ts:5" in note for note in caught.value.__notes__)


def test_a_file_that_cannot_be_bundled_is_refused_with_the_place(world, tmp_path):
    (tmp_path / "lamp.ts").write_text('export { price } from "./prices.ts";\n')
    with pytest.raises(BuildFailed, match=r"lamp.ts:1:\d+: Could not resolve"):
        world.machine(tmp_path / "lamp.ts")
    with pytest.raises(BuildFailed, match="There is no file"):
        world.machine(tmp_path / "lost.ts")
