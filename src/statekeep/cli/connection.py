"""From the options of a command to a server that answers: which one, and who asks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from statekeep.cli.globals import GlobalOptions
from statekeep.cli.output import CommandFailed, warn
from statekeep.cli.profiles import Profiles, Session

LOCAL_URL: Final = "http://127.0.0.1:8080"
"""Where `statekeep serve` listens unless told otherwise."""

_LOCAL_FOLDER: Final = Path(".statekeep")
_HOW_TO_SIGN_IN: Final = "sign in with statekeep login, set SMPLY_TOKEN, or name the folder of a server on this machine with --data-dir"


@dataclass(frozen=True, kw_only=True)
class Target:
    """A server, and who asks. `profile` is where that comes from, where it comes from one."""

    url: str
    token: str | None = None
    """None is nobody."""
    organization: str | None = None
    has_default_organization: bool = False
    """The organization was not named, but chosen for the profile at some time."""
    profile: str | None = None
    credentials_file: Path | None = None
    """Of a server on this machine, which the token is from."""
    is_near: bool = False
    """On this machine, by its data folder: no proxy of the environment may get between."""


def find_target(options: GlobalOptions, profiles: Profiles | None = None) -> Target:
    """What was said on the command line or in a variable; else the profile; else the data folder of a server on this machine.

    A session is only ever sent to the server that it is of: with another URL, the profile of that URL is looked for.
    Raises CommandFailed with what to do where something is missing.
    """
    profiles = profiles or Profiles()
    if options.access_token:
        return _told(options, options.access_token, profiles)
    if options.data_dir is not None:
        return _local(options, options.data_dir)
    name = find_profile(options, profiles)
    session = profiles.session(name) if name else None
    is_local = not options.profile and (_LOCAL_FOLDER / "credentials.json").exists()
    if name and session:
        target = _signed_in(options, name, session, profiles)
        if is_local and not options.api_url:
            warn(
                f'{target.url} is asked, where profile "{name}" is signed in. For the server of this folder: --data-dir {_LOCAL_FOLDER}'
            )
        return target
    if is_local:
        return _local(options, _LOCAL_FOLDER)
    where = f" at {options.api_url}" if options.api_url else ""
    raise CommandFailed(f"nobody is signed in{where}: {_HOW_TO_SIGN_IN}")


def find_url(options: GlobalOptions, profiles: Profiles | None = None) -> str:
    """The server alone, for what needs no token."""
    profiles = profiles or Profiles()
    session = profiles.session(options.profile or profiles.in_use())
    return _checked(options.api_url or (session and session.api_url) or LOCAL_URL)


def find_profile(options: GlobalOptions, profiles: Profiles) -> str | None:
    """The profile to take: the one that was named, or the one in use, or one of the same server.

    Raises CommandFailed where there is none of the name that was said.
    """
    if options.profile:
        profiles.require(options.profile)
        return options.profile
    in_use = profiles.in_use()
    if not options.api_url:
        return in_use
    url = _checked(options.api_url)
    candidates = (in_use, *(name for name in profiles.names() if name != in_use))
    return next((name for name in candidates if _is_of(profiles.session(name), url)), None)


def _told(options: GlobalOptions, token: str, profiles: Profiles) -> Target:
    """With a token of its own a command is about that token's organization, not about the one that was chosen for a profile."""
    return Target(url=find_url(options, profiles), token=token, organization=options.org or None)


def _is_of(session: Session | None, url: str) -> bool:
    """Was it given by that server? A session that was written by hand does not say, and is meant for whichever is named."""
    return session is not None and session.api_url in (None, url)


def _signed_in(options: GlobalOptions, name: str, session: Session, profiles: Profiles) -> Target:
    url = _checked(options.api_url or session.api_url or LOCAL_URL)
    if not _is_of(session, url):
        raise CommandFailed(
            f'profile "{name}" is of {session.api_url}, not of {url}: leave one of --profile and --api-url out'
        )
    if profiles.is_open_to_others(name):
        path = profiles.credentials_file(name)
        warn(f"{path} can be read by others: chmod 600 {path}")
    chosen = profiles.organization(name)
    return Target(
        url=url,
        token=session.access_token,
        organization=options.org or chosen,
        has_default_organization=bool(chosen and not options.org),
        profile=name,
    )


def _local(options: GlobalOptions, folder: Path) -> Target:
    path = folder / "credentials.json"
    credentials = _credentials(path)
    return Target(
        url=_checked(options.api_url or credentials["apiUrl"]),
        token=credentials["token"],
        organization=options.org or credentials["orgId"],
        credentials_file=path,
        is_near=not options.api_url,
    )


def _credentials(path: Path) -> dict[str, str]:
    advice = (
        "name the server's folder with --data-dir, or the server with --api-url and --access-token"
    )
    try:
        credentials: dict[str, Any] = json.loads(path.read_bytes())
        return {name: str(credentials[name]) for name in ("apiUrl", "orgId", "token")}
    except OSError as error:
        raise CommandFailed(f"cannot read {path} ({error.strerror}): {advice}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise CommandFailed(f"{path} holds no credentials: {advice}") from error


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        is_usable = False
    if not is_usable:
        raise CommandFailed(f"{url} is no URL of a server: expected https://...")
    return url.rstrip("/")
