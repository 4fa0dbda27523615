"""`statekeep backup`: a copy of the database, while the server runs."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from statekeep.cli.output import CommandFailed, say
from statekeep.cli.output_files import Overwrite, require_free
from statekeep.settings import ConfigFile, DataDir, Settings

_DATA_DIR = Settings().data_dir


def backup(
    file: Annotated[Path, Parameter(show_default=False)],
    /,
    *,
    overwrite: Overwrite = False,
    data_dir: DataDir = _DATA_DIR,
    config: ConfigFile = None,
) -> None:
    """Copy the database to FILE while the server runs or not.

    Run it on the server's machine, as the server's user. Everything that was answered before is in the copy. server.key is not: without it the secrets of API keys in the copy are worth nothing, and with it they are worth everything. Keep one copy of it, somewhere else.

    Parameters
    ----------
    file
        Where the copy goes. It must not exist.
    data_dir
        Folder of the database.
    config
        TOML file with the server's options.
    """
    # Only here: --help need not wait for the whole server to be imported.
    from statekeep import bootstrap
    from statekeep.ports.store import BackupFailed

    require_free(file, overwrite=overwrite)
    try:
        size = bootstrap.back_up(data_dir, file, overwrite=overwrite)
    except BackupFailed as error:
        raise CommandFailed(str(error)) from error
    say(f"{file}: {size} bytes. It goes with {data_dir / 'server.key'}, which is not in it.")
