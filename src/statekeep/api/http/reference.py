"""A page to read the OpenAPI document on: plain HTML, whole without a script, a font or anything else to fetch."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html import escape
from importlib.resources import files
from typing import Any, Final

from statekeep.api.http.openapi import Document

_CODE: Final = re.compile(r"`([^`]+)`")


def render(document: Document) -> str:
    """The page, in English, with everything the document says."""
    info = document["info"]
    style = (files(__package__) / "reference.css").read_text("utf-8")
    return "\n".join(
        (
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(info['title'])} API</title><style>{style}</style></head><body>",
            f"<nav>{_contents(document)}</nav><main>",
            f"<h1>{escape(info['title'])} API <small>{escape(info['version'])}</small></h1>",
            f"<p>{escape(info['summary'])} For programs: <a href='openapi.json'>openapi.json</a>.</p>",
            *_operations_by_tag(document),
            *_shapes(document),
            "</main></body></html>",
        )
    )


def _operations(document: Document) -> Iterator[tuple[str, str, Document]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield method.upper(), path, operation


def _contents(document: Document) -> str:
    lines: list[str] = []
    for tag in document["tags"]:
        lines.append(f"<h2>{escape(tag['name'])}</h2><ul>")
        lines += [
            f"<li><a href='#{operation['operationId']}'>{escape(operation['summary'])}</a></li>"
            for _, _, operation in _operations(document)
            if tag["name"] in operation["tags"]
        ]
        lines.append("</ul>")
    return "\n".join([*lines, "<h2><a href='#shapes'>Shapes</a></h2>"])


def _operations_by_tag(document: Document) -> Iterator[str]:
    for tag in document["tags"]:
        yield f"<h2>{escape(tag['name'])}</h2>"
        for method, path, operation in _operations(document):
            if tag["name"] in operation["tags"]:
                yield _operation(method, path, operation)


def _operation(method: str, path: str, operation: Document) -> str:
    return "\n".join(
        (
            f"<section id='{operation['operationId']}'>",
            f"<h3>{escape(operation['summary'])}</h3>",
            f"<p class='route'><b class='{method.lower()}'>{method}</b> <code>{escape(path)}</code></p>",
            _paragraphs(operation.get("description", "")),
            _table("Parameters", ("Name", "In", ""), map(_parameter, operation["parameters"])),
            _body(operation),
            _table("Answers", ("Status", "Body", ""), _responses(operation)),
            "</section>",
        )
    )


def _body(operation: Document) -> str:
    content = operation.get("requestBody", {}).get("content", {})
    if "application/json" in content:
        return f"<p>Body: {_type(content['application/json'])}</p>"
    return "".join(
        _table(escape(kind), ("Name", "Type", ""), _fields(body["schema"]))
        for kind, body in content.items()
    )


def _parameter(parameter: Document) -> tuple[str, ...]:
    name = f"<code>{escape(parameter['name'])}</code>"
    if parameter.get("required"):
        name += " <i>required</i>"
    return name, escape(parameter["in"]), _text(parameter["description"])


def _responses(operation: Document) -> Iterator[tuple[str, ...]]:
    for status, response in operation["responses"].items():
        content = response.get("content", {}).get("application/json")
        yield status, "" if content is None else _type(content), _text(response["description"])


def _shapes(document: Document) -> Iterator[str]:
    yield "<h2 id='shapes'>Shapes</h2>"
    for name, schema in document["components"]["schemas"].items():
        yield f"<section id='shape-{escape(name)}'><h3>{escape(name)}</h3>"
        yield _paragraphs(schema.get("description", ""))
        yield _table("Fields", ("Name", "Type", ""), _fields(schema))
        yield "</section>"


def _fields(schema: Document) -> Iterator[tuple[str, ...]]:
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        mark = " <i>required</i>" if name in required else ""
        yield f"<code>{escape(name)}</code>{mark}", _type(field), _text(_about(field))


def _about(field: Document) -> str:
    about = [field.get("description", "")]
    if "pattern" in field:
        about.append(f"Matches `{field['pattern']}`.")
    if "examples" in field:
        about.append(f"For example `{field['examples'][0]}`.")
    return " ".join(filter(None, about))


def _type(schema: Document) -> str:
    schema = schema.get("schema", schema)
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f"<a href='#shape-{name}'>{name}</a>"
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(map(_type, schema["anyOf"])))
    if "enum" in schema:
        return ", ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"])
    if schema.get("type") == "array":
        items: Any = schema.get("items")
        return f"list of {_type(items)}" if items else "list"
    return escape(str(schema.get("type", "anything")))


def _table(title: str, heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = ["<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows]
    if not lines:
        return ""
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    return f"<table><caption>{escape(title)}</caption><tr>{head}</tr>{''.join(lines)}</table>"


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{_text(paragraph)}</p>" for paragraph in text.split("\n\n") if paragraph)


def _text(text: str) -> str:
    return _CODE.sub(r"<code>\1</code>", escape(text))
