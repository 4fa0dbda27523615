"""The client that commands use, and their words for what goes wrong with it and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from statekeep.cli.connection import Target, find_target
from statekeep.cli.globals import GlobalOptions
from statekeep.cli.instants import format_instant
from statekeep.cli.output import Columns, CommandFailed, Row, show_pages

if TYPE_CHECKING:
    from statekeep.client import Client
    from statekeep.client.errors import ApiError
    from statekeep.client.models import Page

_SILENCE_SECONDS: Final = 120
"""How long an answer may take. The server itself waits 90 seconds for a machine."""
_RETRY_SECONDS: Final = 3
"""How long a person is kept waiting for a server that does not answer."""


@contextmanager
def connected(
    options: GlobalOptions,
    *,
    token: str | None = None,
    act_as: Mapping[str, Any] | None = None,
    as_person: bool = False,
    silence_seconds: float = _SILENCE_SECONDS,
) -> Iterator[Client]:
    """A client for the server that the options mean. Whatever it raises while the context lasts becomes a CommandFailed.

    `token` asks in place of whoever is signed in; `act_as` is an auth context to ask with on their behalf. `as_person` is for what is
    theirs in any organization: none is named then, so that who has left the default one can still look for another, or log out.
    """
    target = find_target(options)
    if token is not None:
        target = replace(target, token=token)
    if as_person:
        target = replace(target, organization=None)
    with client_for(target, act_as=act_as, silence_seconds=silence_seconds) as client:
        yield client


@contextmanager
def client_for(
    target: Target,
    *,
    act_as: Mapping[str, Any] | None = None,
    silence_seconds: float = _SILENCE_SECONDS,
) -> Iterator[Client]:
    """The same where the server is known."""
    # Only here: it takes longer to import than most mistakes take to be found.
    from statekeep.client import Client

    with (
        _told_of_errors(target),
        Client(
            target.token,
            api_url=target.url,
            org_id=target.organization,
            act_as=act_as,
            timeout_seconds=silence_seconds,
            retry_seconds=_RETRY_SECONDS,
            trust_env=not target.is_near,
        ) as client,
    ):
        yield client


@contextmanager
def _told_of_errors(target: Target) -> Iterator[None]:
    """An error of the client becomes a CommandFailed that says what to do."""
    from statekeep.client import errors

    try:
        yield
    except errors.UnauthenticatedError as error:
        raise CommandFailed(_not_known(target, error)) from error
    except errors.OrgHeaderRequiredError as error:
        raise CommandFailed(
            f"you are a member of several organizations, which statekeep orgs list has: {_how_to_choose(target)}"
        ) from error
    except errors.MissingOrgError as error:
        raise CommandFailed(_not_a_member(target, error)) from error
    except errors.NotConnectedError as error:
        raise CommandFailed(f"{error}: is the server running? --api-url names another") from error
    except errors.ApiError as error:
        raise CommandFailed(str(error)) from error


def _not_known(target: Target, error: ApiError) -> str:
    if target.credentials_file is not None:
        return (
            f"{target.url} does not take the token in {target.credentials_file}: its session was ended, or another server answers there."
            " Restart the server, and it writes another"
        )
    if target.profile is None:
        return str(error)
    option = "" if target.profile == "default" else f" --profile {target.profile}"
    what = str(error).removesuffix(": sign in again")
    return f"{what}: sign in again with statekeep login{option}"


def _not_a_member(target: Target, error: ApiError) -> str:
    if target.organization is None:
        return str(error)
    if not target.has_default_organization:
        return f"{error}, {target.organization}: statekeep orgs list has yours"
    return (
        f'{error}, {target.organization}, which is the default of profile "{target.profile}":'
        " choose one of statekeep orgs list with statekeep orgs default set --org ORG"
    )


def _how_to_choose(target: Target) -> str:
    if target.profile is None:
        return "name one with --org or SMPLY_ORG"
    return "name one with --org, or choose one with statekeep orgs default set --org ORG"


def show_list(
    options: GlobalOptions,
    pages: Iterable[Page[Any]],
    columns: Columns,
    row: Callable[[Any], Row] | None = None,
) -> None:
    """Show what the client lists: as it is, or as `row` makes of each item's JSON."""
    show_pages(_rows(pages, row), columns, options.format)


def _rows(pages: Iterable[Page[Any]], row: Callable[[Any], Row] | None) -> Iterator[Sequence[Row]]:
    for page in pages:
        items = [as_json(item) for item in page]
        yield items if row is None else [row(item) for item in items]


def as_json(value: Any) -> Any:
    """A model of the client as the server told it, but for fields that this version does not know."""
    import msgspec

    if isinstance(value, msgspec.Struct):
        fields = ((name, getattr(value, field)) for field, name in _names(type(value)))
        return {name: as_json(part) for name, part in fields if part is not None}
    if isinstance(value, datetime):
        return format_instant(value)
    if isinstance(value, list | tuple):
        return [as_json(part) for part in value]
    if isinstance(value, Mapping):
        return {name: as_json(part) for name, part in value.items()}
    return value


def _names(shape: Any) -> Iterator[tuple[str, str]]:
    return zip(shape.__struct_fields__, shape.__struct_encode_fields__, strict=True)
