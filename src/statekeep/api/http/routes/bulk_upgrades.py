"""Bulk upgrades: many instances to one version, as a job."""

from __future__ import annotations

from typing import Final

from msgspec import UNSET

from statekeep.api.http import views
from statekeep.api.http.route import CURSOR, Call, QueryParameter, Route
from statekeep.application.bulk_upgrades import Progress
from statekeep.application.selections import IndexQuestion, SelectionText
from statekeep.domain.bulk_upgrade import BulkUpgrade, InstanceOutcome, ListedResult
from statekeep.domain.errors import InvalidParameter, InvalidState, NoMigrationPath, NotFound
from statekeep.domain.names import BulkUpgradeId, VersionId
from statekeep.wire import answers, requests
from statekeep.wire.codecs import timestamp

_OUTCOME: Final = QueryParameter(
    "outcome", "Only those: pending, waiting, upgraded, unchanged or failed."
)


def selection_in(body: requests.BeginBulkUpgrade | requests.DryRunMigration) -> SelectionText:
    """Which instances a request means."""
    version, query = body.from_machine_version_id, body.query
    question = None if query is None else IndexQuestion(query.index, query.op, query.value)
    return SelectionText(None if version is None else VersionId(version), question, body.instances)


async def begin_upgrade(call: Call[requests.BeginBulkUpgrade]) -> answers.NewBulkUpgrade:
    target = VersionId(call.body.to_machine_version_id)
    job_id = await call.services.bulk_upgrades.begin(
        call.caller, call.machine, target, selection_in(call.body)
    )
    return answers.NewBulkUpgrade(job_id)


async def list_upgrades(call: Call[None]) -> answers.BulkUpgradePage:
    page = await call.services.bulk_upgrades.list(call.caller, call.machine, call.cursor)
    return answers.BulkUpgradePage(views.shown(page, _item), views.next_cursor(page))


async def read_upgrade(call: Call[None]) -> answers.BulkUpgradeProgress:
    job_id = BulkUpgradeId(call.path["upgrade"])
    return _progress(await call.services.bulk_upgrades.get(call.caller, call.machine, job_id))


async def read_results(call: Call[None]) -> answers.BulkUpgradeResultPage:
    page = await call.services.bulk_upgrades.results(
        call.caller,
        call.machine,
        BulkUpgradeId(call.path["upgrade"]),
        call.query.get("outcome") or None,
        call.cursor,
    )
    return answers.BulkUpgradeResultPage(views.shown(page, _result), views.next_cursor(page))


async def set_status(call: Call[requests.SetBulkUpgradeStatus]) -> None:
    job_id = BulkUpgradeId(call.path["upgrade"])
    await call.services.bulk_upgrades.set_status(
        call.caller, call.machine, job_id, call.body.status
    )


def _item(job: BulkUpgrade) -> answers.BulkUpgradeItem:
    return answers.BulkUpgradeItem(
        job.id,
        job.status.value,
        job.target,
        timestamp(job.created_at),
        job.selection.version or UNSET,
        UNSET if job.finished_at is None else timestamp(job.finished_at),
        job.reason or UNSET,
    )


def _progress(progress: Progress) -> answers.BulkUpgradeProgress:
    item, counts = _item(progress.job), progress.counts
    by_outcome = {outcome: counts.get(outcome, 0) for outcome in InstanceOutcome}
    pending = by_outcome[InstanceOutcome.PENDING]
    waiting = by_outcome[InstanceOutcome.WAITING]
    total = sum(by_outcome.values())
    return answers.BulkUpgradeProgress(
        id=item.id,
        status=item.status,
        to_machine_version_id=item.to_machine_version_id,
        created_at=item.created_at,
        from_machine_version_id=item.from_machine_version_id,
        finished_at=item.finished_at,
        reason=item.reason,
        total=total,
        is_total_known=progress.job.is_selected,
        done=total - pending - waiting,
        pending=pending,
        waiting=waiting,
        upgraded=by_outcome[InstanceOutcome.UPGRADED],
        unchanged=by_outcome[InstanceOutcome.UNCHANGED],
        failed=by_outcome[InstanceOutcome.FAILED],
    )


def _result(result: ListedResult) -> answers.BulkUpgradeResult:
    return answers.BulkUpgradeResult(
        result.name,
        result.version,
        result.outcome.value,
        result.reason or UNSET,
        result.message or UNSET,
    )


ROUTES: Final = (
    Route(
        method="POST",
        path="/machines/{machine}/upgrades",
        summary="Begin a bulk upgrade",
        tag="Migrations",
        handler=begin_upgrade,
        description=(
            "Carries the matching instances that there are now over to a version, in the background and across restarts, each once it has settled."
            " What fails stays as it was and is listed with its reason. A machine has one unfinished bulk upgrade."
        ),
        scope="instances.admin",
        request=requests.BeginBulkUpgrade,
        answer=answers.NewBulkUpgrade,
        status=201,
        errors=(InvalidParameter, InvalidState, NoMigrationPath, NotFound),
    ),
    Route(
        method="GET",
        path="/machines/{machine}/upgrades",
        summary="List bulk upgrades",
        tag="Migrations",
        handler=list_upgrades,
        scope="instances.admin",
        answer=answers.BulkUpgradePage,
        query=(CURSOR,),
        errors=(InvalidParameter, NotFound),
    ),
    Route(
        method="GET",
        path="/machines/{machine}/upgrades/{upgrade}",
        summary="Read a bulk upgrade",
        tag="Migrations",
        handler=read_upgrade,
        description="How far it is.",
        scope="instances.admin",
        answer=answers.BulkUpgradeProgress,
        errors=(NotFound,),
    ),
    Route(
        method="PUT",
        path="/machines/{machine}/upgrades/{upgrade}",
        summary="Pause a bulk upgrade",
        tag="Migrations",
        handler=set_status,
        description="Or let it go on, or cancel it, which is for good. Instances that are under way are finished first; what is upgraded stays so.",
        scope="instances.admin",
        request=requests.SetBulkUpgradeStatus,
        errors=(InvalidParameter, InvalidState, NotFound),
    ),
    Route(
        method="GET",
        path="/machines/{machine}/upgrades/{upgrade}/results",
        summary="List results of a bulk upgrade",
        tag="Migrations",
        handler=read_results,
        scope="instances.admin",
        answer=answers.BulkUpgradeResultPage,
        query=(_OUTCOME, CURSOR),
        errors=(InvalidParameter, NotFound),
    ),
)
