from __future__ import annotations

import re
from typing import Any

import pytest

from statekeep.api.http import openapi, routes

DOCUMENT = openapi.describe(routes.ALL, version="1.2.3", server_url="https://machines.example")


def operations() -> list[dict[str, Any]]:
    return [operation for item in DOCUMENT["paths"].values() for operation in item.values()]


def references(value: object) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*map(references, value.values()))
    return set().union(*map(references, value)) if isinstance(value, list) else set()


def test_every_route_is_described_once() -> None:
    """No two under one path and method, none under one id."""
    assert len(operations()) == len(routes.ALL)
    assert len({operation["operationId"] for operation in operations()}) == len(routes.ALL)


def test_what_is_referred_to_is_there_and_what_is_there_is_referred_to() -> None:
    """No dangling shapes, no forgotten ones."""
    schemas = DOCUMENT["components"]["schemas"]
    assert references(DOCUMENT) == {f"#/components/schemas/{name}" for name in schemas}


@pytest.mark.parametrize("route", routes.ALL, ids=lambda route: f"{route.method} {route.path}")
def test_parameters_of_the_path_are_described(route: Any) -> None:
    """Each with words."""
    operation = DOCUMENT["paths"][route.path][route.method.lower()]
    described = [p for p in operation["parameters"] if p["in"] == "path"]
    assert [p["name"] for p in described] == re.findall(r"{(\w+)}", route.path)
    assert all(p["description"] and p["required"] for p in described)


def test_answers_without_a_body_promise_none() -> None:
    """204 always, and 201 but for a bulk upgrade, whose id the server makes."""
    for operation in operations():
        for status in ("201", "204"):
            if operation["operationId"] == "beginABulkUpgrade":
                continue
            assert "content" not in operation["responses"].get(status, {})


def test_version_and_server_are_told() -> None:
    """As they were given; an unknown server is left out."""
    assert DOCUMENT["info"]["version"] == "1.2.3"
    assert DOCUMENT["servers"] == [{"url": "https://machines.example"}]
    assert "servers" not in openapi.describe(routes.ALL, version="1")
