"""`statekeep machine-versions`: code that never changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from statekeep.cli.api import as_json, connected, show_list
from statekeep.cli.building import build_machine, validate
from statekeep.cli.globals import NOTHING, Globals
from statekeep.cli.nouns import examples, noun
from statekeep.cli.options import (
    NO_CODE,
    Code,
    IndexSelectors,
    Machine,
    SkipValidation,
    Version,
    VersionReference,
)
from statekeep.cli.output import PROGRAM, show, tell

if TYPE_CHECKING:
    from statekeep.client.models import BlastRadius

app = noun("machine-versions")


@app.command(
    name="create",
    help_epilogue=examples(
        "statekeep machine-versions create --machine toggler --node ./toggler.ts --version-reference 0.2.1 --make-current",
        'statekeep machine-versions create -m toggler -r "$(git rev-parse HEAD)" --deno ./toggler.ts -c',
        "statekeep machine-versions create -m toggler -r 0.2.1 --js ./dist/bundle.js",
    ),
)
def create_version(
    *,
    machine: Machine,
    version_reference: VersionReference,
    code: Code = NO_CODE,
    index_selectors: IndexSelectors = None,
    make_current: Annotated[
        bool, Parameter(alias="-c", help="Make this version the current version.")
    ] = False,
    skip_validation: SkipValidation = False,
    options: Globals = NOTHING,
) -> None:
    """Create a new version of a machine definition.

    Existing instances keep theirs: the answer tells how many of them are in states that the new version does not have, and what begins a migration for them.
    """
    built = build_machine(code, skip_validation=skip_validation)
    with connected(options) as api:
        published = api.machine_versions.create(
            machine,
            built,
            client_info=version_reference,
            make_current=make_current,
            index_selectors=index_selectors,
        )
    show(as_json(published), options.format)
    if published.blast_radius:
        _tell_of_unmapped(machine, published.machine_version_id, published.blast_radius)


def _tell_of_unmapped(machine: str, version: str, radius: BlastRadius) -> None:
    """Where a migration would have to say what becomes of instances, how to begin it."""
    if not radius.unmapped:
        return
    tell(f"Instances in states that this version does not have: {radius.instances}. For them:")
    for old in dict.fromkeys(state.from_machine_version_id for state in radius.unmapped):
        tell(f"  {PROGRAM} migrations stub --machine {machine} --from {old} --to {version}")


@app.command(
    name="list", help_epilogue=examples("statekeep machine-versions list --machine toggler")
)
def list_versions(*, machine: Machine, options: Globals = NOTHING) -> None:
    """List versions of a machine definition."""
    columns = {"id": "Version", "createdAt": "Created", "clientInfo": "Reference"}
    with connected(options) as api:
        show_list(options, api.machine_versions.list(machine).pages(), columns)


@app.command(
    name="validate-bundle",
    help_epilogue=examples(
        "statekeep machine-versions validate-bundle --js ./dist/bundle.js",
        "statekeep machine-versions validate-bundle --node ./toggler.ts",
    ),
)
def validate_bundle(*, code: Code = NO_CODE) -> None:
    """Check that a server would take a bundle as a version, without a server."""
    validate(code)
    tell("Valid bundle")


@app.command(
    name="blast-radius",
    help_epilogue=examples("statekeep machine-versions blast-radius -m toggler -v ver_..."),
)
def get_blast_radius(*, machine: Machine, version: Version, options: Globals = NOTHING) -> None:
    """Count the instances of other versions that are in states which this version does not have."""
    with connected(options) as api:
        show(as_json(api.machine_versions.get_blast_radius(machine, version)), options.format)
