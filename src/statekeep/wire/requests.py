"""Bodies of requests, as the published clients send them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from statekeep.wire.fields import (
    ClaimsMapping,
    EventPayload,
    IndexName,
    InstanceSlug,
    InstanceStatus,
    KeyId,
    KeySetUrl,
    KeyUse,
    Label,
    MachineSlug,
    Scope,
    ServiceName,
    SigningAlgorithm,
    TokenAudience,
    TokenIssuer,
    VersionId,
)

_CONFIRMED = Meta(
    description="Must be true: what is deleted is gone for ever.",
    extra_json_schema={"const": True},
)


class Request(Struct, rename="camel"):
    """Base of all request bodies. What they do not know is left alone: the published clients send more than they need."""


class StrictRequest(Request, forbid_unknown_fields=True):
    """Base of bodies that no published client sends. A restriction that is misspelled must not be taken for none."""


class CreateMachine(Request):
    """A machine to create. It takes no instances before it has a version."""

    slug: MachineSlug
    indexes: Annotated[
        tuple[IndexName, ...],
        Meta(
            description="Indexes that its versions may fill.",
            extra_json_schema={"maxItems": 50, "uniqueItems": True},
        ),
    ] = ()


class JournalRetention(StrictRequest):
    """Bounds of the journal of each instance: transitions within both are kept. Without any, all are."""

    max_age: Annotated[
        str | int | None,
        Meta(
            description="How long: a number of seconds, or with a unit: `30d`, `12h`, `90m`.",
            examples=["30d"],
        ),
    ] = None
    max_entries: Annotated[
        int | None,
        Meta(description="How many, with those that only save children.", examples=[1000]),
    ] = None


class LogRetention(StrictRequest):
    """Bounds of a machine's log entries."""

    max_age: Annotated[
        str | int | None,
        Meta(
            description="How long, at most as long as the server keeps any: a number of seconds, or with a unit: `7d`, `12h`, `90m`.",
            examples=["7d"],
        ),
    ] = None


class PutRetention(StrictRequest):
    """How long a machine keeps what it has done and printed."""

    journal: Annotated[
        JournalRetention | None,
        Meta(description="Transitions of its instances. The server's default if left out."),
    ] = None
    logs: Annotated[
        LogRetention | None,
        Meta(description="What it printed. As long as the server keeps any if left out."),
    ] = None


class DeleteMachine(Request):
    """Proof that deleting a machine with all its versions is meant."""

    danger_data_will_be_deleted_forever: Annotated[bool, _CONFIRMED] = False
    hmac_sha256_of_machine_name_with_machine_name_key: Annotated[
        str,
        Meta(
            description="`base64url(hmacSha256(key = machine name, data = machine name))`",
        ),
    ] = ""


class DeleteInstance(Request):
    """Proof that deleting an instance with its state and history is meant."""

    danger_data_will_be_deleted_forever: Annotated[bool, _CONFIRMED] = False
    hmac_sha256_of_machine_instance_name_with_machine_name_key: Annotated[
        str,
        Meta(
            description="`base64url(hmacSha256(key = machine name, data = instance name))`",
        ),
    ] = ""


class CreateInstance(Request):
    """An instance to create."""

    slug: InstanceSlug
    context: Annotated[
        dict[str, Any],
        Meta(
            description="Its keys replace those of the machine's own initial context. An XState 5 machine whose context is a"
            " function of `input` gets it as input instead."
        ),
    ] = field(default_factory=dict)
    machine_version_id: Annotated[
        VersionId | None, Meta(description="The machine's current version where it is left out.")
    ] = None


class SendEvent(Request):
    """An event to deliver."""

    event: EventPayload


class SetInstanceStatus(Request):
    """Paused instances refuse events."""

    status: InstanceStatus


class RetryDeadLetters(StrictRequest):
    """Which dead letters of a machine to retry."""

    instance: Annotated[
        InstanceSlug | None, Meta(description="Of this instance only; of all where it is left out.")
    ] = None
    cursor: Annotated[
        str | None, Meta(description="The `cursor` of the answer before, to go on with the rest.")
    ] = None


class PublishVersion(Request):
    """What to know of uploaded code when it becomes a version."""

    client_info: Annotated[
        str | None,
        Meta(
            description="Any text that tells you what this version is, as a commit's hash.",
            extra_json_schema={"maxLength": 1000},
        ),
    ] = None
    make_current: Annotated[
        bool | None,
        Meta(description="Whether new instances use this version unless they name another."),
    ] = None
    index_selectors: Annotated[
        dict[str, str] | None,
        Meta(
            description=(
                "JSONPath into the context for each index of the machine."
                " An index that is not named keeps the current version's selector."
            ),
        ),
    ] = None


class ProvisionMigration(Request):
    """A migration to create, from one version of the machine to another. What else is in the body is left alone: the official client sends
    the code along."""

    from_machine_version_id: VersionId
    to_machine_version_id: VersionId


class InstanceQuery(StrictRequest):
    """Instances with an entry in an index: any, or one that compares so with `value`. Both `op` and `value` or neither."""

    index: IndexName
    op: Literal["eq", "ne", "gt", "gte", "lt", "lte"] | None = None
    value: str | None = None


FromVersion = Annotated[
    VersionId | None,
    Meta(description="Only instances of this version. Of any other than the target if left out."),
]
Named = Annotated[
    tuple[InstanceSlug, ...] | None,
    Meta(
        description="Only instances with these names.",
        extra_json_schema={"minItems": 1, "maxItems": 1000},
    ),
]


class DryRunMigration(StrictRequest):
    """Migrations to try out on existing instances: the published ones, or those in `code` or `codes`, which need `fromMachineVersionId`."""

    to_machine_version_id: VersionId
    from_machine_version_id: FromVersion = None
    code: Annotated[
        str | None, Meta(description="A migration that leads from one version to the other.")
    ] = None
    codes: Annotated[
        tuple[str, ...] | None,
        Meta(
            description="Several migrations that do so one after the other.",
            extra_json_schema={"maxItems": 20},
        ),
    ] = None
    query: InstanceQuery | None = None
    instances: Named = None


class BeginBulkUpgrade(StrictRequest):
    """The version to carry instances over to, and which: those that fulfil all that is said."""

    to_machine_version_id: VersionId
    from_machine_version_id: FromVersion = None
    query: InstanceQuery | None = None
    instances: Named = None


class SetBulkUpgradeStatus(StrictRequest):
    """Paused, it may go on later; cancelled, it is over."""

    status: Literal["paused", "running", "cancelled"]


class SetDesiredVersion(Request):
    """The version that an instance is to have. The one that it has takes an earlier wish back."""

    target_machine_version_id: VersionId


class CreateKey(Request):
    """An API key to make: either for a use or with scopes; scopes win."""

    name: Label
    use: KeyUse | None = None
    scopes: tuple[Scope, ...] | None = None


class CreateOrganization(Request):
    """An organization to make. Who makes it becomes its admin."""

    name: Label
    allow_anonymous_access: Annotated[
        bool | None, Meta(description="Whether callers without a key may ask. True if left out.")
    ] = None


class PutIdentityProvider(Request):
    """An identity provider to trust: `aud` or `iss` or both, and either `key` or `jwksUrl`."""

    algs: Annotated[
        tuple[SigningAlgorithm, ...],
        Meta(
            description="The only algorithms by which its tokens may be signed.",
            extra_json_schema={"minItems": 1},
        ),
    ]
    mapping: ClaimsMapping
    aud: TokenAudience | None = None
    iss: TokenIssuer | None = None
    key: Annotated[
        str | None,
        Meta(
            description=(
                "What its signatures are checked with, in base64url: for HS* the shared secret itself, else the public key"
                " as PEM or DER (SubjectPublicKeyInfo) or as a JSON Web Key. It is never shown again."
            )
        ),
    ] = None
    jwks_url: KeySetUrl | None = None


class DeleteIdentityProvider(Request):
    """The identity provider to trust no longer, by the pair that it was configured with."""

    aud: TokenAudience | None = None
    iss: TokenIssuer | None = None


class PutTokenProvider(Request):
    """A kind of token to exchange others for."""

    key_id: KeyId
    service: ServiceName
    mapping: ClaimsMapping
