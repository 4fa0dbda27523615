"""The API knows no cookies, so that no page can make a browser use what its user may do. Pages for people have one: test_site.py."""

from __future__ import annotations

from pathlib import Path

import statekeep
from tests.support.api import Api


async def test_no_answer_sets_one(api: Api) -> None:
    """Good answers and bad ones, on every way."""
    await api.new_machine()
    for method, path, body in (
        ("POST", "/machines/door", {"slug": "front"}),
        ("GET", "/machines/door/i/front", None),
        ("POST", "/machines/door/i/front/events", {"event": "open"}),
        ("GET", "/machines", None),
        ("GET", "/docs", None),
        ("GET", "/nowhere", None),
        ("POST", "/keys", {"name": "k", "use": "ci"}),
    ):
        assert "set-cookie" not in (await api.request(method, path, body)).headers


async def test_none_is_read(api: Api) -> None:
    """A good token in one is worth nothing."""
    token = api.admin["authorization"].removeprefix("Bearer ")
    for name in ("authorization", "token", "session"):
        answer = await api.get("/machines", {"cookie": f"{name}={token}"})
        assert answer.status_code == 401


def test_no_code_knows_of_them() -> None:
    """Whoever wants one has to come by here, and to think of what follows. Two keep them from the authors of machines, one has that of the pages."""
    sources = Path(statekeep.__file__).parent.rglob("*.py")
    found = [path for path in sources if "cookie" in path.read_text(encoding="utf-8").lower()]
    names = sorted("/".join(path.parts[-2:]) for path in found)
    assert names == ["domain/http_mapping.py", "http/http_api.py", "site/browser.py"]
