"""Who is signed in where: the folder ~/.smply.

    credentials             the session of profile `default`, in the form that smply 0.1.18 reads
    default-org             id of the organization that commands are about, in the same way
    profiles/NAME/...       both files of another profile
    profile                 name of the profile in use, where that is not `default`

Files are for their owner alone, from the moment they exist, and each is replaced as a whole.
"""

from __future__ import annotations

import json
import re
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from statekeep.cli.output import CommandFailed
from statekeep.secret_files import replace_secret_file

DEFAULT: Final = "default"

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_SOME_NAME: Final = "1 to 64 of letters, digits and ._-, a letter or digit first"
_FAR_FUTURE: Final = 4_102_444_800
"""2100, in seconds since the epoch. smply would otherwise ask a service that is gone for a new token."""


@dataclass(frozen=True, kw_only=True)
class Session:
    """What a person got when they signed in. Of a file that was written by hand all but the token may be unknown."""

    access_token: str
    api_url: str | None = None
    email: str | None = None
    user_id: str | None = None
    ends_at: float | None = None
    """Seconds since the epoch."""


class Profiles:
    """The profiles of the person who runs the program."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or Path.home() / ".smply"

    def in_use(self) -> str:
        """The profile that counts where none is named."""
        return _read(self.folder / "profile") or DEFAULT

    def use(self, name: str) -> None:
        """Make it the one that counts where none is named. Raises CommandFailed where there is none of that name."""
        self.require(name)
        _write(self.folder / "profile", name)

    def names(self) -> list[str]:
        """Those that are signed in, `default` first."""
        others = sorted(path.parent.name for path in self.folder.glob("profiles/*/credentials"))
        has_default = self.credentials_file(DEFAULT).exists()
        return [DEFAULT, *others] if has_default else others

    def require(self, name: str) -> None:
        """Raises CommandFailed where nobody is signed in under that name."""
        if name not in self.names():
            known = ", ".join(self.names()) or "none"
            raise CommandFailed(
                f'no profile "{name}" (there is {known}): sign in with statekeep login --profile {name}'
            )

    def credentials_file(self, name: str) -> Path:
        """Where the session is, or would be. Raises CommandFailed for what is no name."""
        return self._folder_of(name) / "credentials"

    def session(self, name: str) -> Session | None:
        """None where nobody is signed in. Raises CommandFailed where the file makes no sense."""
        path = self.credentials_file(name)
        text = _read(path)
        if text is None:
            return None
        try:
            return _session(json.loads(text))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CommandFailed(
                f"{path} holds no credentials: sign in again with statekeep login"
            ) from error

    def sign_in(self, name: str, session: Session) -> None:
        """Keep a session, in place of the one before. What was chosen for that one is forgotten."""
        _write(self.credentials_file(name), json.dumps(_document(session), indent=2))
        (self._folder_of(name) / "default-org").unlink(missing_ok=True)

    def sign_out(self, name: str) -> None:
        """Forget a profile. Another one is not in use because of that, but `default`."""
        if name == self.in_use():
            (self.folder / "profile").unlink(missing_ok=True)
        if name != DEFAULT:
            shutil.rmtree(self._folder_of(name), ignore_errors=True)
            return
        self.credentials_file(name).unlink(missing_ok=True)
        (self.folder / "default-org").unlink(missing_ok=True)

    def organization(self, name: str) -> str | None:
        """The organization that was chosen."""
        return _read(self._folder_of(name) / "default-org") or None

    def choose_organization(self, name: str, organization_id: str) -> None:
        """From now on commands are about it."""
        _write(self._folder_of(name) / "default-org", organization_id)

    def is_open_to_others(self, name: str) -> bool:
        """May other users of this machine read the session?"""
        try:
            mode = self.credentials_file(name).stat().st_mode
        except FileNotFoundError:
            return False
        return bool(mode & (stat.S_IRWXG | stat.S_IRWXO))

    def _folder_of(self, name: str) -> Path:
        if name == DEFAULT:
            return self.folder
        if _NAME.fullmatch(name) is None:
            raise CommandFailed(f'"{name}" is no name of a profile: expected {_SOME_NAME}')
        return self.folder / "profiles" / name


def _session(document: Any) -> Session:
    user = document.get("user") or {}
    session = Session(
        access_token=document["access_token"],
        api_url=document.get("api_url"),
        email=user.get("email"),
        user_id=user.get("id"),
        ends_at=document.get("token_expires_at"),
    )
    if not isinstance(session.access_token, str):
        raise TypeError(session.access_token)
    return session


def _document(session: Session) -> dict[str, Any]:
    """The first three are what smply wants to see; the others it leaves alone."""
    return {
        "access_token": session.access_token,
        "refresh_token": "x",
        "expires_at": _FAR_FUTURE,
        "api_url": session.api_url,
        "token_expires_at": session.ends_at,
        "user": {"id": session.user_id, "email": session.email},
    }


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise CommandFailed(f"cannot read {path}: {error}") from error


def _write(path: Path, text: str) -> None:
    try:
        _make_folder(path.parent)
        replace_secret_file(path, text.encode())
    except OSError as error:
        raise CommandFailed(f"cannot write {path}: {error.strerror}") from error


def _make_folder(folder: Path) -> None:
    """With its parents. For the owner alone, unlike those that mkdir makes on the way."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
