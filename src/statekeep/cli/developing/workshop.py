"""From one file to the current version of its machine, again whenever it was saved."""

from __future__ import annotations

import asyncio
import hashlib
import time
from pathlib import Path
from typing import TYPE_CHECKING

from statekeep.bundling import (
    BuildFailed,
    Bundle,
    Bundler,
    BundlerUnavailable,
    Dialect,
    inspect_machine,
)
from statekeep.cli.developing.files import MachineFile
from statekeep.cli.developing.moving import carry_over
from statekeep.cli.developing.telling import failed, happened
from statekeep.cli.output import warn
from statekeep.client.errors import (
    AlreadyExistsError,
    ApiError,
    InvalidParameterError,
    TooLargeError,
)
from statekeep.domain.errors import InvalidCode

if TYPE_CHECKING:
    from statekeep.client import AsyncClient


class Workshop:
    """Builds and publishes one machine. `inputs` is what it was last made of, or what a build that failed asked for.

    `code` is that of the current version, once this session has built it.
    """

    def __init__(self, file: MachineFile, api: AsyncClient, bundler: Bundler) -> None:
        self.inputs: frozenset[Path] = frozenset({file.path.resolve()})
        self.code: bytes | None = None
        self._file = file
        self._machine = file.machine
        self._api = api
        self._bundler = bundler
        self._published: str | None = None
        """The digest of the current version's code."""
        self._failure: str | None = None
        """What was wrong with the last build."""
        self._moving: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Find or make the machine, publish its file, and carry over what an earlier session left on other versions."""
        current = None
        try:
            await self._api.machines.create(self._machine)
        except AlreadyExistsError:
            current = (await self._api.machines.get(self._machine)).current_version
        if current is not None:
            self._published = current.client_info
        await self.rebuild()
        if current is not None and self._moving is None:
            self._move_to(current.id)

    async def rebuild(self, *, only_news: bool = False) -> None:
        """Build the file, and publish what came of it, unless it is current already. Where that fails the version stays what it is.

        With `only_news` it is not told again what was told before.
        """
        began = time.perf_counter()
        bundle = await self._built(only_news=only_news)
        if bundle is None:
            return
        reference = self._reference(bundle)
        if reference == self._published:
            if self._failure is not None or not only_news:
                happened(self._machine, f"{self._file.path} is what is current already")
            self.code, self._failure = bundle.code, None
            return
        await self._publish(bundle, reference, began, only_news=only_news)

    async def close(self) -> None:
        """Leave instances that are on their way to the server."""
        if self._moving is not None:
            self._moving.cancel()
            await asyncio.gather(self._moving, return_exceptions=True)

    async def _built(self, *, only_news: bool) -> Bundle | None:
        entry = self._file.path
        try:
            bundle = await self._bundler.bundle(entry, Dialect.of(entry))
        except BuildFailed as error:
            # The entry itself may be what is missing.
            self.inputs = frozenset({*error.inputs, entry.resolve()})
            self._fail(f"{entry} could not be built:\n\n{error}\n", only_news=only_news)
            return None
        except BundlerUnavailable as error:
            self._fail(str(error), only_news=only_news)
            return None
        self.inputs = frozenset(bundle.inputs)
        if not only_news:
            for warning in bundle.warnings:
                warn(str(warning))
        return bundle

    async def _publish(
        self, bundle: Bundle, reference: str, began: float, *, only_news: bool
    ) -> None:
        try:
            version = await self._api.machine_versions.create(
                self._machine, bundle.gzipped, client_info=reference, make_current=True
            )
        except (InvalidParameterError, TooLargeError) as error:
            why = await self._refusal(error, bundle)
            self._fail(f"{self._file.path} was built, and refused: {why}", only_news=only_news)
            return
        except ApiError as error:
            self._fail(f"{self._file.path} could not be deployed: {error}", only_news=only_news)
            return
        self._published, self._failure, self.code = reference, None, bundle.code
        milliseconds = (time.perf_counter() - began) * 1000
        happened(self._machine, f"deployed {version.machine_version_id} in {milliseconds:.0f} ms")
        radius = version.blast_radius
        if radius is None or radius.checked or not radius.is_complete:
            self._move_to(version.machine_version_id)

    async def _refusal(self, error: ApiError, bundle: Bundle) -> str:
        """Why, with the author's lines: an answer of the server never has those, but it is the same to load the code here."""
        try:
            await inspect_machine(bundle.code)
        except InvalidCode as refusal:
            return f"{refusal}\n{refusal.stack}" if refusal.stack else str(refusal)
        return error.message

    def _fail(self, failure: str, *, only_news: bool) -> None:
        if not (only_news and failure == self._failure):
            kept = "" if self._published is None else "\nThe version before stays current."
            failed(self._machine, failure.rstrip("\n") + kept)
        self._failure = failure

    def _reference(self, bundle: Bundle) -> str:
        """The author's reference of the version, which tells a later session whether the file has changed since."""
        return f"{self._file.path.name} {hashlib.sha256(bundle.code).hexdigest()[:16]}"

    def _move_to(self, version_id: str) -> None:
        """In the background: a save must not wait for instances that take their time."""
        moving = self._move(version_id, instead_of=self._moving)
        self._moving = asyncio.create_task(moving)

    async def _move(self, version_id: str, instead_of: asyncio.Task[None] | None) -> None:
        if instead_of is not None:
            instead_of.cancel()
            await asyncio.gather(instead_of, return_exceptions=True)
        try:
            await carry_over(self._api, self._machine, version_id)
        except ApiError as error:
            failed(self._machine, f"instances could not be moved: {error}")
