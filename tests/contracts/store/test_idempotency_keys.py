"""What the store promises about idempotency keys."""

from __future__ import annotations

from statekeep.ports.store import StoredKeyUse
from tests.support.builders import NOW_MS, a_commit, a_key_use, create_instances


async def use_keys(store, instance_id, *uses, base=1):
    """One commit that uses them."""
    await store.commit(a_commit(instance_id, base)._replace(keys=uses))


async def test_a_key_is_found_once_its_commit_is_durable(store, instance_id):
    """Without an answer while the event has not settled."""
    use = a_key_use("k")
    assert await store.find_key(instance_id, "k", now_ms=NOW_MS) is None
    await use_keys(store, instance_id, use)
    found = await store.find_key(instance_id, "k", now_ms=NOW_MS)
    assert found == StoredKeyUse(use.body_hash, None)


async def test_a_key_is_found_with_its_first_answer(store, instance_id):
    """Whether that came with the commit or after it."""
    with_answer = a_key_use("a")._replace(answer=b'{"state":"on"}')
    await use_keys(store, instance_id, with_answer, a_key_use("b"))
    await store.answer_key(instance_id, "b", b'{"state":"off"}')
    first = await store.find_key(instance_id, "a", now_ms=NOW_MS)
    second = await store.find_key(instance_id, "b", now_ms=NOW_MS)
    assert first == StoredKeyUse(with_answer.body_hash, b'{"state":"on"}')
    assert second.answer == b'{"state":"off"}'


async def test_a_key_belongs_to_its_instance(store, ground):
    """The same key means another event elsewhere."""
    one, two = await create_instances(store, ground, ["one", "two"])
    await use_keys(store, one, a_key_use("k"))
    await store.answer_key(two, "k", b"{}")
    assert await store.find_key(two, "k", now_ms=NOW_MS) is None
    assert (await store.find_key(one, "k", now_ms=NOW_MS)).answer is None


async def test_an_expired_key_is_not_found(store, instance_id):
    """From the very moment on."""
    await use_keys(store, instance_id, a_key_use("k", expires_at=NOW_MS))
    assert await store.find_key(instance_id, "k", now_ms=NOW_MS - 0.001) is not None
    assert await store.find_key(instance_id, "k", now_ms=NOW_MS) is None


async def test_an_expired_key_can_be_used_again(store, instance_id):
    """Before it was removed, too. The new use is what counts."""
    old = a_key_use("k", expires_at=NOW_MS)._replace(answer=b"old")
    await use_keys(store, instance_id, old)
    new = a_key_use("k", expires_at=NOW_MS + 9)._replace(body_hash=b"other")
    await use_keys(store, instance_id, new, base=2)
    assert await store.find_key(instance_id, "k", now_ms=NOW_MS) == StoredKeyUse(b"other", None)


async def test_expired_keys_are_forgotten(store, ground):
    """All of them, and no other, however many there are."""
    one, two = await create_instances(store, ground, ["one", "two"])
    expired = [a_key_use(f"k{number}", expires_at=NOW_MS) for number in range(1_201)]
    await use_keys(store, one, *expired, a_key_use("living"))
    await use_keys(store, two, *expired[:10])
    assert await store.forget_expired_keys(now_ms=NOW_MS - 1) == 0
    assert await store.forget_expired_keys(now_ms=NOW_MS) == 1_211
    assert await store.forget_expired_keys(now_ms=NOW_MS) == 0
    assert await store.find_key(one, "k0", now_ms=0) is None
    assert await store.find_key(one, "living", now_ms=0) is not None


async def test_an_answer_to_a_forgotten_key_is_dropped(store, instance_id):
    """Its event took longer to settle than keys are kept."""
    await store.answer_key(instance_id, "k", b"{}")
    assert await store.find_key(instance_id, "k", now_ms=0) is None
