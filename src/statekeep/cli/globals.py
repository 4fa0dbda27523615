"""What every command takes that talks to a server: where it is, who asks, and how the answer is to look.

A command may need a letter of these for an option of its own, as it did in smply. It then takes one of the variants, and the
letter means the global option only before the name of the command.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

from cyclopts import Group, Parameter

_GROUP: Final = Group("Global options", sort_key=90)

Format = Literal["json", "table"]


def _variables(name: str) -> tuple[str, str]:
    return (f"SMPLY_{name}", f"STATEKEEP_{name}")


_TOKEN: Final = Parameter(group=_GROUP, metavar="TOKEN", env_var=_variables("TOKEN"))
_URL: Final = Parameter(group=_GROUP, metavar="URL", env_var=_variables("API_URL"))
_ORG: Final = Parameter(group=_GROUP, metavar="ORG", env_var=_variables("ORG"))


@dataclass(frozen=True, kw_only=True)
class GlobalOptions:
    """What is left open is taken from the profile, or from credentials.json of a server's data folder."""

    access_token: Annotated[str | None, Parameter(alias="-t"), _TOKEN] = None
    """Access token. Better in the variable than on the command line, which others may see."""

    api_url: Annotated[str | None, Parameter(alias="-u"), _URL] = None
    """Where the server is, such as https://states.example.com."""

    org: Annotated[str | None, Parameter(alias="-o"), _ORG] = None
    """Organization ID, for members of several that have chosen none with `orgs default set`."""

    profile: Annotated[
        str | None, Parameter(group=_GROUP, metavar="NAME", env_var=_variables("PROFILE"))
    ] = None
    """Who is signed in where, as kept by `login --profile NAME`."""

    data_dir: Annotated[
        Path | None, Parameter(group=_GROUP, metavar="DIR", env_var="STATEKEEP_DATA_DIR")
    ] = None
    """Data folder of a server on this machine, whose first admin is to ask. Where nobody is signed in, .statekeep is one."""

    format: Annotated[Format | None, Parameter(group=_GROUP)] = None
    """How results look. Unless chosen, lists are tables on a terminal, and everything is JSON elsewhere."""


@dataclass(frozen=True, kw_only=True)
class WithoutT(GlobalOptions):
    """For commands whose -t is another option."""

    access_token: Annotated[str | None, _TOKEN] = None


@dataclass(frozen=True, kw_only=True)
class WithoutU(GlobalOptions):
    """For commands whose -u is another option."""

    api_url: Annotated[str | None, _URL] = None


@dataclass(frozen=True, kw_only=True)
class WithoutO(GlobalOptions):
    """For commands whose -o is another option."""

    org: Annotated[str | None, _ORG] = None


_FLAT: Final = Parameter(name="*")
Globals = Annotated[GlobalOptions, _FLAT]
GlobalsWithoutT = Annotated[WithoutT, _FLAT]
GlobalsWithoutU = Annotated[WithoutU, _FLAT]
GlobalsWithoutO = Annotated[WithoutO, _FLAT]

NOTHING: Final = GlobalOptions()
NOTHING_T: Final = WithoutT()
NOTHING_U: Final = WithoutU()
NOTHING_O: Final = WithoutO()
