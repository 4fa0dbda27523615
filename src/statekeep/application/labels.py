"""What people call things that are found by their ids: keys and organizations."""

from __future__ import annotations

from statekeep.domain.errors import InvalidParameter
from statekeep.domain.limits import CLIENT_INFO_LENGTH_MAX, LABEL_LENGTH_MAX


def parse_label(text: str, *, parameter: str = "name") -> str:
    """The label without spaces around it. Raises InvalidParameter where nothing is left, or too much, or control characters."""
    label = text.strip()
    if not 1 <= len(label) <= LABEL_LENGTH_MAX or not label.isprintable():
        raise InvalidParameter(
            f"a name has 1 to {LABEL_LENGTH_MAX} printable characters", parameter=parameter
        )
    return label


def checked_client_info(client_info: str | None) -> str | None:
    """What an author says of a version. Raises InvalidParameter where it is too much."""
    if client_info is not None and len(client_info) > CLIENT_INFO_LENGTH_MAX:
        raise InvalidParameter(
            f"clientInfo has at most {CLIENT_INFO_LENGTH_MAX} characters", parameter="clientInfo"
        )
    return client_info
