"""Links that are good once: what is in them, and where they lead.

Whoever opens one sees a page with a button, and only the button does something: programs that look at what comes with the mail open links, too.
"""

from __future__ import annotations

import re
from typing import Final

SIGN_IN_PATH: Final = "/sign-in"
DEVICE_PATH: Final = "/device"
INVITATION_PATH: Final = "/invitation"
ACCOUNT_PATH: Final = "/account"
USAGE_PATH: Final = "/account/usage"


_OWN_PATH: Final = re.compile(
    rf"{DEVICE_PATH}(\?user_code=[A-Za-z-]{{1,20}})?|{INVITATION_PATH}\?code=[\w-]{{1,100}}|{USAGE_PATH}\?org=[\w-]{{1,100}}",
    re.ASCII,
)


def is_own_path(text: str) -> bool:
    """May a browser be sent there when somebody has signed in? Only to a page of ours."""
    return _OWN_PATH.fullmatch(text) is not None


def device_path(user_code: str) -> str:
    """Asks whether the device that shows this code may come in."""
    return f"{DEVICE_PATH}?user_code={user_code}"


def sign_in_path(token: str) -> str:
    """Signs in whoever has it. `token` is safe in a URL, as all tokens are."""
    return f"{SIGN_IN_PATH}?token={token}"


def invitation_path(code: str) -> str:
    """Shows the invitation with this code."""
    return f"{INVITATION_PATH}?code={code}"


def usage_path(organization_id: str) -> str:
    """Shows what the organization uses."""
    return f"{USAGE_PATH}?org={organization_id}"
