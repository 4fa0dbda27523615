"""What people call things that are found by their ids: keys and organizations."""

from __future__ import annotations

from statekeep.domain.errors import InvalidParameter
from statekeep.domain.limits import LABEL_LENGTH_MAX


def parse_label(text: str, *, parameter: str = "name") -> str:
    """The label without spaces around it. Raises InvalidParameter where nothing is left, or too much, or control characters."""
    label = text.strip()
    if not 1 <= len(label) <= LABEL_LENGTH_MAX or not label.isprintable():
        raise InvalidParameter(
            f"a name has 1 to {LABEL_LENGTH_MAX} printable characters", parameter=parameter
        )
    return label
