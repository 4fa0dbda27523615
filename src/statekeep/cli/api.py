"""The server that a command talks to: where it is, and who asks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import httpx
from cyclopts import Group, Parameter

from statekeep.cli.output import CommandFailed
from statekeep.settings import Settings

_SERVER: Final = Group("Server")
_CONNECT_SECONDS: Final = 10
_SILENCE_SECONDS: Final = 600
"""An import is checked before it is answered: whole hosts are started for that."""


@dataclass(frozen=True, kw_only=True)
class Connection:
    """How to reach a server. What is left open is taken from credentials.json of the data folder."""

    url: Annotated[str | None, Parameter(group=_SERVER)] = None
    """Where the server is. By default what credentials.json says."""

    token: Annotated[str | None, Parameter(group=_SERVER)] = None
    """A token of an admin, or of a key with the scopes of one. Better in the variable than on the command line, which others may see."""

    organization: Annotated[str | None, Parameter(group=_SERVER)] = None
    """Id of the organization, for members of several."""

    data_dir: Annotated[Path, Parameter(group=_SERVER)] = Settings().data_dir
    """The data folder of a server on this machine."""


@contextmanager
def connected(connection: Connection) -> Iterator[httpx.Client]:
    """A client of the server. Raises CommandFailed with the reason, also for what goes wrong with it inside of the context."""
    credentials = {} if connection.url and connection.token else _credentials(connection.data_dir)
    url = connection.url or str(credentials["apiUrl"])
    headers = {"authorization": f"Bearer {connection.token or credentials['token']}"}
    organization = connection.organization or (None if connection.token else credentials["orgId"])
    if organization:
        headers["x-statebacked-org-id"] = organization
    timeout = httpx.Timeout(_SILENCE_SECONDS, connect=_CONNECT_SECONDS)
    try:
        # A server on this machine is near: no proxy from the environment may get between.
        with httpx.Client(
            base_url=url, headers=headers, timeout=timeout, trust_env=connection.url is not None
        ) as client:
            yield client
    except httpx.ConnectError as error:
        raise CommandFailed(
            f"nothing answers at {url}: start the server, or name another with --url"
        ) from error
    except httpx.UnsupportedProtocol as error:
        raise CommandFailed(f"{url} is no URL of a server: expected https://...") from error
    except httpx.HTTPError as error:
        raise CommandFailed(f"the connection to {url} was lost: {error}") from error


def require_success(answer: httpx.Response) -> None:
    """Raises CommandFailed with what the server says is wrong."""
    if answer.is_success:
        return
    answer.read()
    try:
        reason = str(answer.json()["error"])
    except (ValueError, KeyError, TypeError):
        reason = answer.text[:200] or answer.reason_phrase
    raise CommandFailed(f"the server refused ({answer.status_code}): {reason}")


def _credentials(data_dir: Path) -> dict[str, Any]:
    path = data_dir / "credentials.json"
    advice = "name the server's folder with --data-dir, or the server with --url and --token"
    try:
        credentials: dict[str, Any] = json.loads(path.read_bytes())
        return {name: credentials[name] for name in ("apiUrl", "orgId", "token")}
    except OSError as error:
        raise CommandFailed(f"cannot read {path} ({error.strerror}): {advice}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise CommandFailed(f"{path} holds no credentials: {advice}") from error
