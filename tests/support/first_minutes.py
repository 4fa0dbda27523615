"""What a new user types, as the pages have it: from installing to an instance that is followed live.

The first block of a page is for one terminal, whose last line goes on until Ctrl-C; the second is for another, where the last but one
follows an instance in the background and the last sends it an event. Then comes the update that this makes.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.support.terminal import Terminal

CHECKOUT: Final = Path(__file__).parents[2]
PAGES: Final = ("README.md", "docs/index.md")

_BLOCK: Final = re.compile(
    r"^<!-- not run: [^\n]*test_first_minutes[^\n]* -->\n```sh\n(.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_JSON: Final = re.compile(r"^```json\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SERVER_FOLLOWS_FILES: Final = "Ctrl-C"
_OF_REGISTRIES: Final = re.compile(
    r"PIP_|NPM_CONFIG_|\w+_PROXY$|SSL_CERT_FILE$|DENO_(CERT|TLS_CA_STORE)$"
)
"""The variables that say where packages come from."""
_OURS: Final = ("statekeep", "pip", "__editable__")
"""What must not be there before it is installed, and what every environment has of its own."""


class Typed(NamedTuple):
    """A line, and how long it took until there was to be seen what it was typed for."""

    line: str
    seconds: float


class Place(NamedTuple):
    """A folder that has Statekeep in `statekeep`, and the environment of somebody with an empty home."""

    folder: Path
    environment: dict[str, str]


class FirstMinutes(NamedTuple):
    """What a page has of them: the lines for each terminal, and the update that is seen in the end."""

    first: list[str]
    second: list[str]
    update: dict[str, Any]

    @property
    def lines(self) -> list[str]:
        return self.first + self.second


def first_minutes_of(page: str) -> FirstMinutes:
    """Fails where the page has not one block for each of the two terminals, and JSON after them."""
    text = (CHECKOUT / page).read_text()
    first, second = _BLOCK.finditer(text)
    shown = _JSON.search(text, second.end())
    assert shown is not None, f"{page} does not show what is seen"
    return FirstMinutes(first[1].splitlines(), second[1].splitlines(), json.loads(shown[1]))


def type_lines(page: FirstMinutes, place: Place) -> list[Typed]:
    """Type all lines, and end what they have started.

    Fails where a line does not end well, or where the instance is not seen as it is, and then, without another line, as the event
    has made it.
    """
    *preparing, serving = page.first
    *creating, following, sending = page.second
    typed: list[Typed] = []

    def enter(terminal: Terminal, line: str, wait: Callable[[], object]) -> None:
        began = time.perf_counter()
        terminal.enter(line)
        wait()
        typed.append(Typed(line, time.perf_counter() - began))

    with Terminal(*place) as first, Terminal(*place) as second:
        for line in preparing:
            enter(first, line, first.await_prompt)
        enter(first, serving, lambda: first.await_text(_SERVER_FOLLOWS_FILES))
        for line in creating:
            enter(second, line, second.await_prompt)
        enter(second, following, lambda: second.await_text(_seen(page.update | {"state": "off"})))
        enter(second, sending, lambda: second.await_text(_seen(page.update)))
        first.interrupt()
        first.await_prompt()
    return typed


def _seen(update: Mapping[str, Any]) -> str:
    """How an update with these keys and this state looks. What answers commands has fewer keys."""
    parts = (
        f'"{key}": ' + (f'"{value}"' if key == "state" else "") for key, value in update.items()
    )
    return ".*?".join(map(re.escape, parts))


def online(folder: Path) -> Place:
    """With a clone of what is committed. pip and Deno download what they need from where this machine gets it."""
    place = _empty_place(folder)
    clone = ["git", "clone", "--quiet", str(CHECKOUT), str(place.folder / "statekeep")]
    subprocess.run(clone, check=True)
    return place


def offline(folder: Path) -> Place:
    """With this checkout, and no registry: what Statekeep depends on is what this interpreter has, which new environments find in a folder."""
    place = _empty_place(folder)
    (place.folder / "statekeep").symlink_to(CHECKOUT)
    packages = folder / "packages"
    (packages / "bin").mkdir(parents=True)
    (packages / "bin" / "deno").symlink_to(Path(sysconfig.get_path("scripts"), "deno"))
    for package in Path(sysconfig.get_path("purelib")).iterdir():
        if not package.name.startswith(_OURS) and package.suffix != ".pth":
            (packages / package.name).symlink_to(package)
    without_registry = {
        "PYTHONPATH": str(packages),
        "PIP_NO_INDEX": "1",
        # This is `--no-build-isolation`: pip takes the value for that of what the option turns off (pypa/pip#5735).
        "PIP_NO_BUILD_ISOLATION": "0",
    }
    return place._replace(environment=place.environment | without_registry)


def _empty_place(folder: Path) -> Place:
    home, work = folder / "home", folder / "work"
    home.mkdir()
    work.mkdir()
    registries = {
        name: value for name, value in os.environ.items() if _OF_REGISTRIES.match(name.upper())
    }
    python = Path(sys.base_prefix) / "bin"
    path = f"{python}:/usr/bin:/bin"
    return Place(work, {**registries, "HOME": str(home), "PATH": path, "LANG": "C.UTF-8"})
