"""Parts of the documentation that are written from the code. `make reference` writes them, tests/unit/test_reference.py keeps them current.

A part stands in its page between two comments, and only what is between them is written:

    <!-- written by `make reference`: NAME -->
    <!-- end -->
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from statekeep.cli import reference as command_line
from tests.support.reference import http_api, python_client, settings

DOCS: Final = Path(__file__).parents[3] / "docs"
_PART: Final = re.compile(
    r"(?P<begin><!-- written by `make reference`: (?P<name>[\w-]+) -->\n).*?(?P<end><!-- end -->)",
    re.DOTALL,
)

PARTS: Final[Mapping[str, Callable[[], str]]] = {
    "http-api-errors": http_api.errors,
    "http-api-operations": http_api.operations,
    "http-api-scopes": http_api.scopes,
    "python-client-errors": python_client.errors,
    "python-client-operations": python_client.operations,
    "python-client-results": python_client.results,
    "settings": settings.settings,
}


def render(page: Path) -> str:
    """The page as it should be. Raises KeyError for a part that does not exist."""
    if page.name == "cli.md":
        return command_line.render()
    return _PART.sub(_rendered, page.read_text())


def write() -> None:
    """Bring every page up to date."""
    for page in DOCS.glob("*.md"):
        page.write_text(render(page))


def _rendered(part: re.Match[str]) -> str:
    return f"{part['begin']}\n{PARTS[part['name']]().strip()}\n\n{part['end']}"


def names_of_parts(page: Path) -> list[str]:
    """Which parts a page has."""
    return [part["name"] for part in _PART.finditer(page.read_text())]
