"""`credentials.json`: what a client on this machine needs to use the server."""

from __future__ import annotations

from pathlib import Path

import msgspec

from statekeep.domain.names import OrganizationId
from statekeep.ports.credentials import Credentials
from statekeep.secret_files import replace_secret_file


class _Document(msgspec.Struct, rename="camel"):
    api_url: str
    org_id: str
    token: str


class CredentialsFile:
    """Credentials in a file of the data folder (ports.credentials.CredentialsStore)."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "credentials.json"

    def read(self) -> Credentials | None:
        """What was written last; None where nothing is or where it makes no sense."""
        try:
            document = msgspec.json.decode(self.path.read_bytes(), type=_Document)
        except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
            return None
        return Credentials(document.api_url, OrganizationId(document.org_id), document.token)

    def write(self, credentials: Credentials) -> None:
        """Replace it, durably and as a whole."""
        document = _Document(credentials.api_url, credentials.organization_id, credentials.token)
        text = msgspec.json.format(msgspec.json.encode(document), indent=2)
        replace_secret_file(self.path, text + b"\n")
