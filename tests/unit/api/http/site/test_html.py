"""Text is text, wherever it comes from."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from statekeep.api.http.site.html import Html, element, join


def test_elements():
    """With attributes, without, nested, and such as have no end."""
    assert element("p", "a") == "<p>a</p>"
    assert element("p", element("b", "a"), "<") == "<p><b>a</b>&lt;</p>"
    assert (
        element("input", required=True, hidden=False, value='"')
        == '<input required value="&quot;">'
    )
    assert element("label", for_="x", class_="y") == '<label for="x" class="y"></label>'


@given(st.text(), st.text())
def test_no_text_becomes_markup(child, value):
    """Nor ends an attribute."""
    made = element("p", child, join(child), title=value)
    assert made.count("<") == made.count(">") == 2
    assert made.count('"') == 2


def test_markup_is_not_escaped_twice():
    """It is markup already."""
    assert join(Html("<b>"), "<b>") == "<b>&lt;b&gt;"
