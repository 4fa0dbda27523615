"""Somebody in a browser that has no scripts: opens pages, presses buttons, keeps cookies."""

from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import httpx
from starlette.types import ASGIApp

from tests.support.api import URL


class Form:
    """A form of a page: where it goes, and what is in it."""

    def __init__(self, attributes: dict[str, str]) -> None:
        self.method = attributes.get("method", "get").upper()
        self.action = attributes.get("action", "")
        self.fields: dict[str, str] = {}
        self.buttons: list[tuple[str, dict[str, str]]] = []


class Page(HTMLParser):
    """What a browser makes of an answer."""

    def __init__(self, answer: httpx.Response) -> None:
        super().__init__()
        self.answer = answer
        self.status = answer.status_code
        self.url = str(answer.url)
        self.forms: list[Form] = []
        self.links: dict[str, str] = {}
        self._text: list[str] = []
        self._open: list[tuple[str, dict[str, str]]] = []
        self.feed(answer.text)

    @property
    def path(self) -> str:
        url = urlsplit(self.url)
        return f"{url.path}?{url.query}" if url.query else url.path

    @property
    def text(self) -> str:
        """What is to be read, with single spaces."""
        return " ".join("".join(self._text).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(attributes))
        elif tag == "input":
            self.forms[-1].fields[attributes["name"]] = attributes.get("value", "")
        elif tag != "meta":
            self._open.append((tag, attributes))
        self._text.append(" ")

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        tag, attributes = self._open[-1] if self._open else ("", {})
        if tag in {"style", "title"}:
            return
        self._text.append(data)
        if tag == "button":
            self.forms[-1].buttons.append((data, attributes))
        if tag == "a":
            self.links[data] = attributes["href"]


class Visitor:
    """One browser. Follows redirects, and says where forms come from as browsers do.

    Without an `app` it goes to the server at `url`.
    """

    def __init__(self, app: ASGIApp | None, url: str = URL) -> None:
        transport = None if app is None else httpx.ASGITransport(app)
        self._client = httpx.AsyncClient(
            transport=transport, base_url=url, follow_redirects=True, trust_env=False
        )
        self._client.headers["user-agent"] = "Lynx"
        self.page: Page | None = None

    async def close(self) -> None:
        """Close the browser, where it has connections."""
        await self._client.aclose()

    @property
    def cookies(self) -> httpx.Cookies:
        return self._client.cookies

    async def open(self, path: str) -> Page:
        """Type an address, or follow a link from somewhere else."""
        return self._at(await self._client.get(path))

    async def follow(self, link: str) -> Page:
        """A link of this page, by its words."""
        assert self.page is not None
        return await self.open(urljoin(self.page.url, self.page.links[link]))

    async def press(
        self, button: str, /, *, headers: dict[str, str] | None = None, **typed: str
    ) -> Page:
        """The first button with these words, after typing into its form."""
        assert self.page is not None
        form, attributes = next(
            (form, attributes)
            for form in self.page.forms
            for words, attributes in form.buttons
            if words == button
        )
        assert typed.keys() <= form.fields.keys()
        fields = {**form.fields, **typed}
        if "name" in attributes:
            fields[attributes["name"]] = attributes["value"]
        target = urljoin(self.page.url, form.action)
        if form.method == "GET":
            return self._at(await self._client.get(target, params=fields))
        headers = {"sec-fetch-site": "same-origin"} if headers is None else headers
        return self._at(await self._client.post(target, data=fields, headers=headers))

    def _at(self, answer: httpx.Response) -> Page:
        self.page = Page(answer)
        return self.page
