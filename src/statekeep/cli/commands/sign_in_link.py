"""`statekeep sign-in-link`: how somebody gets in whom the server does not know, or cannot mail."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from statekeep.cli.output import CommandFailed, say
from statekeep.domain.errors import InvalidParameter
from statekeep.domain.names import parse_email
from statekeep.settings import ConfigFile, DataDir, Settings

_DATA_DIR = Settings().data_dir


def sign_in_link(
    email: Annotated[str | None, Parameter(show_default=False)] = None,
    /,
    *,
    url: str | None = None,
    data_dir: DataDir = _DATA_DIR,
    config: ConfigFile = None,
) -> None:
    """Print a link that signs somebody in, once, within an hour: yourself, or whom you pass it on to.

    Run it on the server's machine, as the server's user; the server need not run yet. Whoever has the link is believed to have the address EMAIL, so pass it on to nobody else. Without EMAIL it is for the owner, who was made by the first start.

    Parameters
    ----------
    email
        E-mail address of whom it is for. Somebody new may have one, too.
    url
        Where browsers reach the server. By default what credentials.json says.
    data_dir
        Folder of the server.
    config
        TOML file with the server's options.
    """
    # Only here: --help need not wait for the whole server to be imported.
    from statekeep import bootstrap
    from statekeep.ports.tokens import BrokenServerKey

    try:
        address = None if email is None else parse_email(email)
        say(bootstrap.sign_in_link(data_dir, address, url))
    except (InvalidParameter, BrokenServerKey, bootstrap.NoServer) as error:
        raise CommandFailed(str(error)) from error
