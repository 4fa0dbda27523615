"""A migration as its author begins with it: what is in both versions is carried over, and every state that is not asks to be thought about."""

from __future__ import annotations

import json
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Final

from statekeep.ports.snapshots import Place

_NEAREST_MAX: Final = 3
_COMPARISONS_MAX: Final = 5_000
"""Of names, for all guesses of a stub: a fifth of a second. The more states are gone, the fewer are looked at for each."""
_LIKENESS_MIN: Final = 0.4

_HEAD: Final = """\
// From version {start} to version {target}.
// A migration is uploaded as JavaScript that imports nothing: compile or bundle this file first.

type Path = string[];
type Context = Record<string, unknown>;

function todo(state: Path): never {{
  throw new Error("TODO: say where state " + JSON.stringify(state) + " is in the new version");
}}

"""

_NOTHING_MOVED: Final = """\
// The new version has every state of the old one.
const moved = new Map<string, () => Path>();
"""

_TAIL: Final = """\

// Called for each innermost active state, and for each state that a history state remembers.
export const upgradeState = (oldState: Path, _context: Context): Path =>
  moved.get(JSON.stringify(oldState))?.() ?? oldState;

// The context of the new version. Both lists hold the innermost active states, in the same order.
export const upgradeContext = (_oldStates: Path[], _newStates: Path[], context: Context): Context =>
  context;
"""


def write_stub(start: str, target: str, before: Sequence[Place], after: Sequence[Place]) -> str:
    """See ports.snapshots.WriteStub."""
    old = _paths(before)
    new = _paths(after)
    has, had = set(new), set(old)
    missing = [path for path in old if path not in has]
    looked_at = _COMPARISONS_MAX // 2 // max(1, len(missing))
    added = [path for path in new if path not in had][:looked_at]
    kept = [path for path in new if path in had][:looked_at]
    # A state that both have is seldom where another one went.
    nearest = {path: [*_nearest(path, added), *_nearest(path, kept)] for path in missing}
    moved = "".join(_entry(path, nearest[path][:_NEAREST_MAX]) for path in missing)
    table = (
        f"const moved = new Map<string, () => Path>([\n{moved}]);\n" if moved else _NOTHING_MOVED
    )
    return _HEAD.format(start=start, target=target) + table + _TAIL


def _paths(places: Sequence[Place]) -> list[tuple[str, ...]]:
    return [place.path for place in places if place.path and not place.is_history]


def _entry(path: tuple[str, ...], nearest: Sequence[tuple[str, ...]]) -> str:
    # Escaped to ASCII it is alike in JavaScript, and no name can end a comment.
    keys = json.dumps(path)
    guess = ", ".join(json.dumps(candidate) for candidate in nearest)
    comment = f"  // Perhaps {guess}\n" if guess else ""
    return f"{comment}  [JSON.stringify({keys}), () => todo({keys})],\n"


def _nearest(path: tuple[str, ...], candidates: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    scored = [(_likeness(path, candidate), candidate) for candidate in candidates]
    # Sorting keeps the order of those that are equally like it.
    scored.sort(key=lambda pair: -pair[0])
    return [candidate for score, candidate in scored[:_NEAREST_MAX] if score >= _LIKENESS_MIN]


def _likeness(one: tuple[str, ...], other: tuple[str, ...]) -> float:
    """Mostly by the last keys, as states are renamed or wrapped."""
    keys = SequenceMatcher(None, one[-1], other[-1]).ratio()
    return (3 * keys + SequenceMatcher(None, one, other).ratio()) / 4
