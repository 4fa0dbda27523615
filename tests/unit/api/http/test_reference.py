from __future__ import annotations

from html.parser import HTMLParser

from statekeep.api.http import openapi, routes
from statekeep.api.http.reference import render

VOID = {"meta"}


class Nesting(HTMLParser):
    """Fails where a tag is closed that was not the last one opened."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, _attributes: object) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_well_formed() -> None:
    """Every tag is closed, in order."""
    parser = Nesting()
    parser.feed(render(openapi.describe(routes.ALL, version="1")))
    parser.close()
    assert parser.open == []


def test_nothing_of_the_document_is_taken_for_markup() -> None:
    """Whatever a description says."""
    document = openapi.describe(routes.ALL, version="<b>")
    operation = document["paths"]["/machines"]["get"]
    operation["description"] = "a `<script>` & <script>alert(1)</script>"
    page = render(document)
    assert "<script" not in page
    assert "a <code>&lt;script&gt;</code> &amp; &lt;script&gt;" in page
