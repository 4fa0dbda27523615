"""Bodies of requests, as the published clients send them."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct, field

from statekeep.wire.fields import (
    EventPayload,
    IndexName,
    InstanceSlug,
    InstanceStatus,
    KeyUse,
    Label,
    MachineSlug,
    Scope,
    VersionId,
)

_CONFIRMED = Meta(
    description="Must be true: what is deleted is gone for ever.",
    extra_json_schema={"const": True},
)


class Request(Struct, rename="camel"):
    """Base of all request bodies."""


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
