from __future__ import annotations

import msgspec
import pytest

from statekeep.api.http import views
from statekeep.domain.instance import InstanceView
from statekeep.ports.store import Transition


@pytest.mark.parametrize("ts", [0.0, 1767225600000.0, 1767225600000.123, 1767225600000.0002])
def test_the_timestamp_is_put_before_the_view(ts: float) -> None:
    """Exactly, and the view as it is."""
    view = b'{"state": "on","tags":[],"done":false}'
    json = views.state_json(InstanceView(1, ts, view))
    assert json.endswith(view[1:])
    assert msgspec.json.decode(json) == {"ts": ts, "state": "on", "tags": [], "done": False}


def test_a_transition_shows_its_time_to_the_millisecond() -> None:
    """With the state value of its snapshot, and the event untouched."""
    snapshot = b'{"value":{"a":"b"},"context":{}}'
    item = views.transition_item(Transition(1, 1767225600001.999, b'{"type": "x"}', snapshot))
    assert item.created_at == "2026-01-01T00:00:00.001Z"
    assert bytes(item.state) == b'{"a":"b"}'
    assert bytes(item.event) == b'{"type": "x"}'


def test_half_a_character_in_a_snapshot_is_no_obstacle() -> None:
    """JavaScript writes it out, and no UTF-8 has it: the transition is shown all the same."""
    snapshot = b'{"value":{"a":"\\ud800"},"context":{"text":"\\ud83d"}}'
    item = views.transition_item(Transition(1, 1767225600001.0, b'{"type":"x"}', snapshot))
    assert msgspec.json.decode(item.state) == {"a": "?"}
