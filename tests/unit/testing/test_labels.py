from __future__ import annotations

import pytest

from statekeep.testing.labels import label_of


@pytest.mark.parametrize(
    ("event_type", "label"),
    [
        ("toggle", "toggle"),
        ("", "always"),
        ("xstate.init", "start"),
        ("xstate.after.1500.door.open", "after 1500ms"),
        ("xstate.after.63072000000.door", "after 730d"),
        ("xstate.after.patience.door.open", "after patience"),
        ("xstate.after(60000)#door.open", "after 1m"),
        ("xstate.after(patience)#door.open", "after patience"),
        ("xstate.after(door.open:delay[0])#door.open", "after delay[0]"),
        ("xstate.done.actor.charge", "charge done"),
        ("done.invoke.charge", "charge done"),
        ("xstate.error.actor.0.door.open", "0.door.open failed"),
        ("error.platform.charge", "charge failed"),
        ("xstate.snapshot.charge", "charge changed"),
        ("xstate.done.state.door.open", "door.open complete"),
        ("done.state.door.open", "door.open complete"),
        ("statebacked.upgrade", "statebacked.upgrade"),
        ("after.all", "after.all"),
    ],
)
def test_events_are_called_as_people_would(event_type, label):
    assert label_of(event_type) == label
