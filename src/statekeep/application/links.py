"""Links that are good once: what is in them, and where they lead.

Whoever opens one sees a page with a button, and only the button does something: programs that look at what comes with the mail open links, too.
"""

from __future__ import annotations

from typing import Final

SIGN_IN_PATH: Final = "/sign-in"
DEVICE_PATH: Final = "/device"
INVITATION_PATH: Final = "/invitation"
ACCOUNT_PATH: Final = "/account"
USAGE_PATH: Final = "/account/usage"


def sign_in_path(token: str) -> str:
    """Signs in whoever has it. `token` is safe in a URL, as all tokens are."""
    return f"{SIGN_IN_PATH}?token={token}"


def invitation_path(code: str) -> str:
    """Shows the invitation with this code."""
    return f"{INVITATION_PATH}?code={code}"


def usage_path(organization_id: str) -> str:
    """Shows what the organization uses."""
    return f"{USAGE_PATH}?org={organization_id}"
