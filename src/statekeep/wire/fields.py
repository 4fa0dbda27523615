"""Types of single fields, with what the API's documentation says of them.

What a field may hold is decided by the domain and only described here, so that a wrong value is refused once and with the
better message.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Raw

MACHINE_NAME_PATTERN = "^[A-Za-z0-9_-]{1,128}$"
INVITATION_CODE_PATTERN = "^sbinv_[A-Za-z0-9_-]+$"
INSTANCE_NAME_PATTERN = r"^(?!\.{1,2}$)[A-Za-z0-9_.:@|~+-]{1,128}$"

MachineSlug = Annotated[
    str,
    Meta(
        description="Name of a machine, unique in its organization.",
        examples=["checkout"],
        extra_json_schema={"pattern": MACHINE_NAME_PATTERN},
    ),
]
InstanceSlug = Annotated[
    str,
    Meta(
        description="Name of an instance, unique among the instances of its machine.",
        examples=["user-1234"],
        extra_json_schema={"pattern": INSTANCE_NAME_PATTERN},
    ),
]
IndexName = Annotated[
    str,
    Meta(
        description="Name of an index over the instances of a machine.",
        examples=["status"],
        extra_json_schema={"pattern": MACHINE_NAME_PATTERN},
    ),
]
Label = Annotated[
    str,
    Meta(
        description="What people call it: printable characters, spaces around it left out.",
        extra_json_schema={"minLength": 1, "maxLength": 200},
    ),
]
VersionId = Annotated[
    str,
    Meta(description="Id of a published version.", examples=["ver_uHvZHpF4STWvMg8BKVCUTg"]),
]
MigrationId = Annotated[
    str,
    Meta(description="Id of a published migration.", examples=["mig_uHvZHpF4STWvMg8BKVCUTg"]),
]
BulkUpgradeId = Annotated[
    str, Meta(description="Id of a bulk upgrade.", examples=["blk_uHvZHpF4STWvMg8BKVCUTg"])
]
DryRunId = Annotated[
    str, Meta(description="Id of a dry run.", examples=["dry_uHvZHpF4STWvMg8BKVCUTg"])
]
StatePath = Annotated[
    list[str], Meta(description="A state, by the keys from the root.", examples=[["cart", "open"]])
]
Count = Annotated[int, Meta(ge=0)]
OrganizationId = Annotated[
    str, Meta(description="Id of an organization.", examples=["org_uHvZHpF4STWvMg8BKVCUTg"])
]
KeyId = Annotated[
    str, Meta(description="Id of an API key.", examples=["sbk_nXzdtCxESemgtxS5JX-LrA"])
]
ServiceName = Annotated[
    str,
    Meta(
        description="Name of a token provider, unique in its organization.",
        examples=["web-app"],
        extra_json_schema={"pattern": INSTANCE_NAME_PATTERN},
    ),
]
TokenAudience = Annotated[
    str, Meta(description="The `aud` of its tokens. Any where it is absent or empty.")
]
TokenIssuer = Annotated[
    str, Meta(description="The `iss` of its tokens. Any where it is absent or empty.")
]
KeySetUrl = Annotated[
    str,
    Meta(
        description="Where its public keys are published as a JSON Web Key Set.",
        examples=["https://login.example.com/.well-known/jwks.json"],
    ),
]
ClaimsMapping = Annotated[
    dict[str, Any],
    Meta(
        description=(
            "Copied as it is, but what stands under a key that ends in `.$` is a JSONPath into the claims; `sub` alone means `$.sub`."
            " A path that finds nothing leaves its key out; one that finds several values stands for a list of them."
        ),
        examples=[{"sub.$": "$.sub", "provider": "example"}],
    ),
]
Timestamp = Annotated[
    str,
    Meta(
        description="An instant as JavaScript's `toISOString()` writes it.",
        examples=["2026-01-31T12:00:00.000Z"],
        extra_json_schema={"format": "date-time"},
    ),
]
Cursor = Annotated[
    str, Meta(description="Pass it as `?cursor=` to get the next page. Absent on the last one.")
]
InstanceStatus = Literal["running", "paused"]
Role = Literal["admin", "write", "read"]
KeyUse = Literal["production", "ci"]
Scope = Literal[
    "events.write",
    "events.read",
    "state.read",
    "instances.read",
    "instances.write",
    "instances.admin",
    "indexes.read",
    "machines.read",
    "machines.write",
    "machines.admin",
    "machine-versions.read",
    "machine-versions.write",
    "analytics.read",
    "org.read",
    "org.write",
    "org.keys.write",
    "org-members.write",
    "logs.read",
    "tokens.admin",
]
SigningAlgorithm = Literal[
    "HS256",
    "HS384",
    "HS512",
    "PS256",
    "PS384",
    "PS512",
    "RS256",
    "RS384",
    "RS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
]

_STATE_VALUE: dict[str, Any] = {"anyOf": [{"type": "string"}, {"type": "object"}]}
_OBJECT: dict[str, Any] = {"type": "object"}

StateValue = Annotated[
    Raw,
    Meta(
        description=(
            "The active state: a string at the top level, an object from parent to child states where it is nested,"
            " one with several keys where it is parallel."
        ),
        examples=["idle", {"checkout": "payment"}],
        extra_json_schema=_STATE_VALUE,
    ),
]
PublicContext = Annotated[
    Raw, Meta(description="The `public` key of the context; absent where there is none.")
]
WholeContext = Annotated[
    Raw, Meta(description="The whole context, private parts included.", extra_json_schema=_OBJECT)
]
RecordedEvent = Annotated[
    Raw, Meta(description="The event as the machine got it.", extra_json_schema=_OBJECT)
]
Tags = Annotated[list[str], Meta(description="Tags of the active states.")]
IsDone = Annotated[bool, Meta(description="Whether a final state was reached.")]
StateTimestamp = Annotated[
    float,
    Meta(
        description=(
            "When this state was recorded, in milliseconds since the epoch, with fractions."
            " Grows strictly along the states of an instance."
        ),
        examples=[1767225600000.25],
    ),
]

_EventObject = Annotated[
    dict[str, Any],
    Meta(
        extra_json_schema={
            "required": ["type"],
            "properties": {"type": {"type": "string", "minLength": 1}},
        }
    ),
]
_EventName = Annotated[str, Meta(min_length=1)]

EventPayload = Annotated[
    _EventObject | _EventName,
    Meta(
        description="The event, or only its name where it carries nothing else.",
        examples=["submit", {"type": "add", "amount": 5}],
    ),
]
