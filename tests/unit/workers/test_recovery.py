"""What the last server left is taken up, whatever happens on the way."""

from statekeep.workers import recovery as recovery_module
from statekeep.workers.recovery import Recovery
from tests.support.toy_runtime import ToyRuntime
from tests.support.world import World, until


async def test_a_store_that_fails_once_does_not_end_recovery(monkeypatch):
    """Where the store cannot be asked for a moment, recovery goes on later instead of never."""
    monkeypatch.setattr(recovery_module, "RETRY_SECONDS", 0)
    first = await World(ToyRuntime()).set_up()
    await first.create()
    sending = first.sending("SPAWN", id="x")
    await until(lambda: first.resident().wake)
    second = first.restarted(ToyRuntime())
    read, failures = second.store.unsettled_instances, iter([OSError("no")])

    async def failing(**options):
        for error in failures:
            raise error
        return await read(**options)

    second.store.unsettled_instances = failing
    recovery = Recovery(second.store, second.instances)
    await recovery.start()
    await until(lambda: second.recorder.changes)
    assert await second.log() == ["SPAWN", "lost.x"]
    await recovery.stop()
    sending.cancel()


async def test_it_looks_again_when_told():
    """Instances that were not there at the start are taken up, too."""
    first = await World(ToyRuntime()).set_up()
    second = first.restarted(ToyRuntime())
    recovery = Recovery(second.store, second.instances)
    await recovery.start()
    await first.create()
    sending = first.sending("SPAWN", id="x")
    await until(lambda: first.resident().wake)
    recovery.look_again()
    await until(lambda: second.recorder.changes)
    assert await second.log() == ["SPAWN", "lost.x"]
    await recovery.stop()
    sending.cancel()
