from __future__ import annotations

from statekeep.api.http.cors import Cors


def test_by_default_any_origin_may_call() -> None:
    """And answers do not depend on it."""
    cors = Cors()
    assert cors.allows("https://anywhere.example")
    assert cors.allows(None)
    assert cors.headers_for({}) == [(b"access-control-allow-origin", b"*")]
    assert (b"access-control-allow-origin", b"*") in cors.error_headers_for({})


def test_origins_are_compared_exactly() -> None:
    """Scheme, host and port: neither a part nor a longer name will do."""
    cors = Cors(["https://app.example", "http://localhost:3000"])
    assert cors.allows("https://app.example")
    assert cors.allows("http://localhost:3000")
    for other in (
        "http://app.example",
        "https://app.example:8443",
        "https://app.example.evil.example",
        "https://evil.app.example",
        "http://localhost",
        "null",
        "*",
        "",
    ):
        assert not cors.allows(other)
        assert cors.headers_for({b"origin": other.encode()}) == []
        assert cors.error_headers_for({b"origin": other.encode()}) == []


def test_a_caller_that_is_no_page_needs_no_leave() -> None:
    """Only browsers send an origin, and obey the answer."""
    cors = Cors(["https://app.example"])
    assert cors.allows(None)
    assert cors.headers_for({}) == []


def test_answers_to_a_page_depend_on_its_origin() -> None:
    """Caches are told."""
    headers = dict(Cors(["https://app.example"]).headers_for({b"origin": b"https://app.example"}))
    assert headers == {
        b"access-control-allow-origin": b"https://app.example",
        b"vary": b"origin",
    }
