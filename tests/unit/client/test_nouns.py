"""The client's operations are the server's routes, and its models the server's answers."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from statekeep.api.http import routes
from statekeep.api.http.route import Route
from statekeep.client import models
from statekeep.client.client import Nouns
from statekeep.client.steps import Request
from statekeep.wire import answers, people
from tests.support.client_calls import Recorder, requests_of

ELSEWHERE = {
    "/uploads/{token}": "its URL is in the answer before it; it is asked for in whole",
    "/rt": "what `subscribe` speaks is no request",
    "/machines/{machine}/i/{instance}/stream": "for browsers; `subscribe` tells the same over the socket",
}
ANY_METHOD = "/http-api/{organization}/machines/{machine}/{slug}"

CALLS = requests_of(Nouns(Recorder()))
SERVED = [route for route in routes.ALL if route.path not in ELSEWHERE]


def calls_of(route: Route) -> list[tuple[str, Request]]:
    is_any = route.path == ANY_METHOD
    return [
        (name, request)
        for name, request in CALLS
        if request.path == route.path and (is_any or request.method == route.method)
    ]


@pytest.mark.parametrize("route", SERVED, ids=lambda route: f"{route.method} {route.path}")
def test_every_route_is_an_operation(route: Route) -> None:
    """With all that its query may have, its idempotency key, and a token where it needs one."""
    calls = calls_of(route)
    assert calls
    for _, request in calls:
        assert request.names.keys() == set(re.findall(r"{(\w+)}", route.path))
        assert request.is_authorized != route.is_public
    if route.path != ANY_METHOD:
        request = calls[-1][1]
        # What is uploaded tells by itself whether it is gzipped; every list may have a cursor one day.
        asked = {parameter.name for parameter in route.query} - {"gzip"}
        assert asked <= request.query.keys() <= asked | {"cursor"}
        assert ("idempotency-key" in request.headers) == route.takes_idempotency_key


def test_every_operation_is_a_route() -> None:
    """Nothing is asked that the server does not answer."""
    found = {name for route in SERVED for name, _ in calls_of(route)}
    assert {name for name, _ in CALLS} - found == {"machine_versions.upload"}


def test_what_is_served_elsewhere_is_served() -> None:
    """A route that is gone leaves the list."""
    assert ELSEWHERE.keys() <= {route.path for route in routes.ALL}


MODELS = {
    answers.AdministrativeState: models.AdministrativeState,
    answers.BulkUpgradeItem: models.BulkUpgrade,
    answers.DeadLetterItem: models.DeadLetter,
    answers.IdentityProviderItem: models.IdentityProvider,
    answers.IndexDetails: models.Index,
    answers.InstanceItem: models.Instance,
    answers.KeyItem: models.Key,
    answers.MachineItem: models.Machine,
    answers.MigrationItem: models.Migration,
    answers.OrganizationItem: models.Organization,
    answers.RetentionAnswer: models.Retention,
    answers.TokenProviderItem: models.TokenProvider,
    answers.TransitionItem: models.Transition,
    answers.VersionInfo: models.MachineVersion,
    people.InvitationItem: models.Invitation,
    people.Me: models.Person,
    people.MemberItem: models.Member,
    people.SessionInfo: models.SignInSession,
    people.SessionItem: models.ListedSession,
    people.TokenOwner: models.SignedInUser,
}
UNWRAPPED = {
    "Answer",
    "Error",
    "IndexList",
    "IssuedToken",
    "MachineAnswer",
    "NewBulkUpgrade",
    "NewOrganization",
    "UsagePage",
}
"""Answers of which the client returns the only field, and those that are looked at elsewhere."""


OPTIONAL: dict[type[answers.Answer], dict[str, bool]] = {
    answers.PublishedVersion: {"blastRadius": False},
    people.DeviceAuthorization: {"verification_uri_complete": False, "interval": False},
}
"""What only our server answers always."""


def answer_kinds() -> list[type[answers.Answer]]:
    every = {**vars(answers), **vars(people)}.values()
    kinds = [kind for kind in every if isinstance(kind, type)]
    return [
        kind
        for kind in kinds
        if issubclass(kind, answers.Answer)
        and kind.__name__ not in UNWRAPPED
        and (kind is answers.LogPage or not kind.__name__.endswith("Page"))
    ]


@pytest.mark.parametrize("answer", answer_kinds(), ids=lambda kind: kind.__name__)
def test_every_answer_has_a_model(answer: type[answers.Answer]) -> None:
    """With the same fields, of which the same may be missing."""
    model = MODELS.get(answer) or getattr(models, answer.__name__)
    assert fields_of(model) == fields_of(answer) | OPTIONAL.get(answer, {})


def test_a_token_is_issued_in_two_ways() -> None:
    """In exchange for another one, or to a device that somebody let in. Each has what its RFC wants."""
    exchanged, signed_in = fields_of(models.ExchangedToken), fields_of(models.SignIn)
    assert exchanged.keys() | signed_in.keys() == fields_of(people.IssuedToken).keys()
    assert all((exchanged | signed_in).values())


def fields_of(shape: Any) -> dict[str, bool]:
    return {field.encode_name: field.required for field in msgspec.structs.fields(shape)}
