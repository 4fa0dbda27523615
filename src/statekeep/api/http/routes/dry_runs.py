"""Migrations before they happen: trying them out, and what one may begin as."""

from __future__ import annotations

from typing import Final

from msgspec import UNSET

from statekeep.api.http.route import Call, QueryParameter, Route
from statekeep.api.http.routes.bulk_upgrades import selection_in
from statekeep.application.dry_run_reports import Groups, Report
from statekeep.application.dry_running import DryRun
from statekeep.application.dry_runs import DryRunRequest
from statekeep.domain.errors import (
    InvalidParameter,
    InvalidState,
    MachineError,
    NoMigrationPath,
    NotFound,
    Overloaded,
    TooLarge,
)
from statekeep.domain.limits import PROVISIONAL_REQUEST_BYTES_MAX
from statekeep.domain.names import VersionId
from statekeep.wire import answers, requests


async def begin_dry_run(call: Call[requests.DryRunMigration]) -> answers.DryRun:
    body = call.body
    if body.code is not None and body.codes is not None:
        raise InvalidParameter("name code or codes, not both", parameter="codes")
    codes = (body.code,) if body.code is not None else body.codes or ()
    request = DryRunRequest(VersionId(body.to_machine_version_id), selection_in(body), codes)
    return _dry_run(await call.services.dry_runs.begin(call.caller, call.machine, request))


async def read_dry_run(call: Call[None]) -> answers.DryRun:
    run_id = call.path["run"]
    return _dry_run(await call.services.dry_runs.get(call.caller, call.machine, run_id))


async def end_dry_run(call: Call[None]) -> None:
    await call.services.dry_runs.cancel(call.caller, call.machine, call.path["run"])


async def write_stub(call: Call[None]) -> str:
    versions = [_required(call, name) for name in ("from", "to")]
    return await call.services.migration_stubs.write(call.caller, call.machine, *versions)


def _required(call: Call[None], name: str) -> VersionId:
    value = call.query.get(name)
    if not value:
        raise InvalidParameter(f"{name} names a version of the machine", parameter=name)
    return VersionId(value)


def _dry_run(run: DryRun) -> answers.DryRun:
    report = run.report
    return answers.DryRun(
        id=run.id,
        state=run.state.value,
        total=UNSET if run.total is None else run.total,
        done=report.done,
        fit=report.fit,
        failed=report.failed,
        unchanged=report.unchanged,
        failures=[
            answers.Failures(kind.reason, kind.message, group.count, list(group.samples))
            for kind, group in report.failures
        ],
        unmapped=[
            answers.UnmappedStates(list(kind.path), kind.version, group.count, list(group.samples))
            for kind, group in report.unmapped
        ],
        timers=_timers(report),
        lost_children=[
            answers.LostChildren(id, group.count, list(group.samples))
            for id, group in report.children_lost
        ],
        lost_history=[
            answers.LostHistory(list(path), group.count, list(group.samples))
            for path, group in report.history_lost
        ],
        others=report.others,
        why=run.why or UNSET,
    )


def _timers(report: Report) -> answers.TimerMoves:
    moved = [
        answers.MovedTimers(from_=before, to=after, count=group.count, samples=list(group.samples))
        for (before, after), group in report.timers_renamed
    ]
    return answers.TimerMoves(_by_id(report.timers_cancelled), moved, _by_id(report.timers_started))


def _by_id(groups: Groups[str]) -> list[answers.Timers]:
    return [answers.Timers(id, group.count, list(group.samples)) for id, group in groups]


ROUTES: Final = (
    Route(
        method="POST",
        path="/machines/{machine}/migrations/dry-run",
        summary="Try a migration out",
        tag="Migrations",
        handler=begin_dry_run,
        description=(
            "Runs migrations over the newest snapshots of all matching instances and changes nothing. The answer waits 20 seconds for the report to be complete;"
            " while `state` is `running`, GET it by its id."
        ),
        scope="instances.admin",
        more_scopes=("machine-versions.write",),
        request=requests.DryRunMigration,
        answer=answers.DryRun,
        errors=(
            InvalidParameter,
            InvalidState,
            NoMigrationPath,
            NotFound,
            TooLarge,
            Overloaded,
        ),
        request_bytes_max=PROVISIONAL_REQUEST_BYTES_MAX,
    ),
    Route(
        method="GET",
        path="/machines/{machine}/migrations/dry-run/{run}",
        summary="Read a dry run",
        tag="Migrations",
        handler=read_dry_run,
        description="The last ones are remembered until the server ends.",
        scope="instances.admin",
        more_scopes=("machine-versions.write",),
        answer=answers.DryRun,
        errors=(NotFound,),
    ),
    Route(
        method="DELETE",
        path="/machines/{machine}/migrations/dry-run/{run}",
        summary="End a dry run",
        tag="Migrations",
        handler=end_dry_run,
        description="And forget what it found.",
        scope="instances.admin",
        more_scopes=("machine-versions.write",),
        status=204,
        errors=(NotFound,),
    ),
    Route(
        method="GET",
        path="/machines/{machine}/migrations/stub",
        summary="Write a migration stub",
        tag="Migrations",
        handler=write_stub,
        description=(
            "TypeScript of a migration that carries over the states that both versions have, and throws for each that the new one does not have."
            " It is there to be finished, compiled and uploaded."
        ),
        scope="machine-versions.read",
        text_media_type="application/typescript",
        query=(
            QueryParameter("from", "Id of the old version.", is_required=True),
            QueryParameter("to", "Id of the new version.", is_required=True),
        ),
        errors=(InvalidParameter, MachineError, NotFound, Overloaded),
    ),
)
