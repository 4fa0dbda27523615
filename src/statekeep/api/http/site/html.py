"""HTML out of values, so that no text becomes markup by being forgotten: whatever is not Html already is escaped."""

from __future__ import annotations

from html import escape
from typing import Final

_VOID: Final = frozenset({"input", "meta", "br"})
"""Elements that have no content and no end."""


class Html(str):
    """Markup."""

    __slots__ = ()


def element(tag: str, *children: str, **attributes: str | bool) -> Html:
    """An element. An attribute that is True is there without a value, and one that is False is not; `_` at the end of a name is left out."""
    written = "".join(_attribute(name.rstrip("_"), value) for name, value in attributes.items())
    if tag in _VOID:
        return Html(f"<{tag}{written}>")
    return Html(f"<{tag}{written}>{join(*children)}</{tag}>")


def join(*children: str) -> Html:
    """One after the other."""
    return Html("".join(child if isinstance(child, Html) else escape(child) for child in children))


def _attribute(name: str, value: str | bool) -> str:
    if isinstance(value, bool):
        return f" {name}" if value else ""
    return f' {name}="{escape(value)}"'
