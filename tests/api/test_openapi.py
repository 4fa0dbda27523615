"""The OpenAPI document against the server it describes, with requests made of the document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import GenerationMode
from schemathesis.core.parameters import ParameterLocation

from statekeep import __version__
from statekeep.api.http import openapi, routes
from tests.support.serving import Served, serving_api

BY_CURSOR = [
    "listMachines",
    "listVersions",
    "listMigrations",
    "listInstances",
    "listTransitions",
    "listDeadLetters",
    "retryDeadLetters",
    "listKeys",
    "listSessions",
    "listMembers",
    "listInvitations",
    "listIdentityProviders",
    "listTokenProviders",
    "listBulkUpgrades",
    "listResultsOfABulkUpgrade",
]
BY_PROOF_OR_ID = ["deleteAMachine", "deleteAnInstance", "createAnInstance"]
BY_UPLOAD = ["publishAVersion", "publishAMigration", "uploadCode"]
BY_VERSION = [
    "beginAMigration",
    "setTheVersionThatAnInstanceIsToHave",
    "tryAMigrationOut",
    "beginABulkUpgrade",
    "writeAMigrationStub",
]
BY_RANGE = ["readLogs"]
BY_WORD = ["exportTheOrganization", "exportAMachine"]
BY_LINES = ["importAnExport"]
PARTING = ["signOut"]
"""What comes after would be asked by nobody."""
ENDLESS = ["followAnInstance", "openARealtimeSocket"]
BY_CHARACTER = ["createAKey", "createAnOrganization", "inviteSomebody", "beginADeviceLogin"]
BY_TRUST = [
    "putAnIdentityProvider",
    "deleteAnIdentityProvider",
    "putATokenProvider",
    "getAToken",
    "chooseTheRetentionOfAMachine",
]

CONFIG = schemathesis.Config.from_dict(
    {
        "operations": [
            {
                # What makes a value of theirs good is not a matter of form: 400 is the right answer to a made-up one.
                "include-operation-id": [
                    *BY_CURSOR,
                    *BY_PROOF_OR_ID,
                    *BY_UPLOAD,
                    *BY_VERSION,
                    *BY_CHARACTER,
                    *BY_TRUST,
                    *BY_RANGE,
                    *BY_WORD,
                ],
                "checks": {"positive_data_acceptance": {"enabled": False}},
            },
            {
                # Two events under one idempotency key.
                "include-operation-id": "sendAnEvent",
                "checks": {
                    "positive_data_acceptance": {
                        "expected-statuses": ["2xx", "403", "404", "409", "422"]
                    }
                },
            },
        ],
        # test_callers.py asks every route with no token and with bad ones.
        "checks": {"ignored_auth": {"enabled": False}},
    }
)
JSON = msgspec.json.encode(openapi.describe(routes.ALL, version=__version__))
SCHEMA = schemathesis.openapi.from_dict(msgspec.json.decode(JSON), config=CONFIG)


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving_api() as served:
        yield served


def is_bad(case: Any, location: ParameterLocation) -> bool:
    """Whether that part of the request was made to be against the document."""
    component = case.meta.components.get(location)
    return component is not None and component.mode is GenerationMode.NEGATIVE


@SCHEMA.exclude(operation_id=[*ENDLESS, *BY_LINES, *PARTING]).parametrize()
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_server_is_as_described(case: Any, served: Served) -> None:
    """Every answer has a status, a type and a shape that the document names; nothing that it forbids is accepted."""
    if not is_bad(case, ParameterLocation.PATH):
        # Half of the requests are about something that exists.
        for name, existing in (("machine", "door"), ("instance", "front")):
            if len(case.path_parameters.get(name, "")) % 2:
                case.path_parameters[name] = existing
    # A missing token is one of the ways in which headers are bad.
    headers = {} if is_bad(case, ParameterLocation.HEADER) else served.admin
    case.call_and_validate(base_url=served.url, headers=headers)


def test_the_document_is_served(served: Served) -> None:
    """To whoever asks."""
    assert httpx.get(f"{served.url}/openapi.json").content == JSON
