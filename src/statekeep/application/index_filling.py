"""Filling indexes for instances that were there before their selectors (decision 0007).

An instance is indexed anew where it stands, by the selectors that apply to it now: nothing but its entries changes. Those that are indexed rightly are left alone, so
it does no harm to come by twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence

from statekeep.application.indexing import Indexing
from statekeep.application.resident import Resident
from statekeep.application.residents import Residents
from statekeep.application.turns import Turns
from statekeep.domain.errors import Overloaded, StatekeepError, TooLarge
from statekeep.domain.index import IndexFill
from statekeep.domain.limits import INDEX_FILL_PORTION
from statekeep.domain.names import InstanceId, VersionId
from statekeep.ports.store import ConflictingRevision, IndexedInstance, Store

_log = logging.getLogger(__name__)


class IndexFiller:
    """Brings the instances of a machine up to its present selectors, a portion at a time."""

    def __init__(
        self, store: Store, residents: Residents, turns: Turns, indexing: Indexing
    ) -> None:
        self._store = store
        self._residents = residents
        self._turns = turns
        self._indexing = indexing

    async def begin(self, fill: IndexFill) -> IndexFill | None:
        """Make the present selectors those of every event from now on, and see what there is to do. None where the fill was overtaken.

        What was committed by others before is durable when this returns, so that the fill finds it.
        """
        selectors = await self._store.current_selectors(fill.machine_id)
        self._indexing.use(fill.machine_id, selectors)
        return await self._store.begin_index_fill(fill)

    async def advance(self, fill: IndexFill) -> IndexFill | None:
        """Index a portion; what is left, or None where nothing is or the fill was overtaken.

        Raises what the store raises; the portion may then be done again.
        """
        portion = await self._store.instances_to_index(fill, limit=INDEX_FILL_PORTION)
        if not portion:
            await self._store.end_index_fill(fill)
            return None
        may_differ = await self._versions_that_differ(fill, portion)
        # Together, so that they are written with one commit.
        await asyncio.gather(
            *(self._reindex(one.id) for one in portion if one.version_id in may_differ)
        )
        fill = fill._replace(position=portion[-1].id, done=fill.done + len(portion))
        return fill if await self._store.advance_index_fill(fill) else None

    async def _versions_that_differ(
        self, fill: IndexFill, portion: Sequence[IndexedInstance]
    ) -> set[VersionId]:
        """Those versions of the instances that do not select for every index of the fill themselves."""
        versions = {instance.version_id for instance in portion}
        if fill.indexes is None:
            return versions
        return {
            version_id
            for version_id in versions
            if not {*fill.indexes} <= (await self._selectors(version_id)).keys()
        }

    async def _selectors(self, version_id: VersionId) -> Mapping[str, str]:
        version = await self._store.version(version_id)
        return {} if version is None else version.index_selectors

    async def _reindex(self, instance_id: InstanceId) -> None:
        is_asked_for = self._residents.at_hand_by_id(instance_id) is not None
        while (resident := await self._residents.find_by_id(instance_id)) is not None:
            try:
                is_done = await self._is_reindexed(resident)
            except TooLarge as error:
                _log.warning("instance %d stays as it is indexed: %s", instance_id, error.message)
                return
            except StatekeepError:
                raise
            except Exception:
                _log.exception("instance %d could not be indexed and is passed over", instance_id)
                return
            if is_done:
                if not is_asked_for:
                    self._residents.cool(resident)
                return

    async def _is_reindexed(self, resident: Resident) -> bool:
        """Index an instance anew; False where it left memory meanwhile, so that it has to be looked at again."""
        writing = self._turns.reindex(resident)
        if writing is None:
            return True
        # Whether or not we go on waiting it will be written; and the turns hear before us where it is not.
        await asyncio.wait([writing])
        try:
            writing.result()
        except ConflictingRevision:
            # A commit before it has failed, or the instance is gone.
            return False
        successor = self._residents.at_hand_by_id(resident.id)
        if resident.is_void and successor is not None and successor is not resident:
            # It was claimed before this was written, and does not know these entries.
            self._turns.void(successor, Overloaded("the instance has to be read again"))
        return not resident.is_void
