from __future__ import annotations

from datetime import UTC, datetime

import pytest

from statekeep.application.index_selectors import merge_selectors
from statekeep.domain.errors import InvalidParameter
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
    ],
    ids=["no such index", "no path", "huge number", "deep", "long"],
)
def test_what_can_not_be_followed_is_refused(index: str, selector: str) -> None:
    """Whatever trips the library up is the caller's error too."""
    with pytest.raises(InvalidParameter) as caught:
        merge_selectors(MACHINE, None, {index: selector})
    assert caught.value.parameter == "indexSelectors"
    assert "\n" not in caught.value.message
