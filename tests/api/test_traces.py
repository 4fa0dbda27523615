"""Traces of events, as they arrive at a collector."""

from __future__ import annotations

from itertools import pairwise

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.api.test_express import OPEN, ask, request
from tests.support.collector import Collector, attributes_of, collecting
from tests.support.serving import Served, serving_api

EVENT = "POST /machines/{machine}/i/{instance}/events"
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT_ID = "00f067aa0ba902b7"


def traced(*requests: tuple[bytes, tuple[str, ...]], collector: Collector) -> list[int]:
    """The statuses of these requests (body and headers), once all their spans are sent."""
    with serving_api(otlp_endpoint=collector.url) as served:
        return [ask(served, request(served, body, *headers))[0] for body, headers in requests]


@pytest.fixture
def collector():
    with collecting() as collector:
        yield collector


@pytest.mark.parametrize("headers", [(), ("idempotency-key: k",)], ids=["express", "usual"])
def test_an_event_is_traced_from_request_to_reply(collector, headers):
    """By either way: the stages follow each other below one span, which says what it is about."""
    assert traced((OPEN, headers), collector=collector) == [200]
    (whole,) = collector.roots(EVENT)
    stages = collector.below(whole)
    assert [span.name for span in stages] == [
        "mailbox",
        "host step",
        "commit",
        "effects",
        "reply",
    ]
    for earlier, later in pairwise(stages):
        assert earlier.end_time_unix_nano <= later.start_time_unix_nano
    assert whole.start_time_unix_nano <= stages[0].start_time_unix_nano
    assert stages[-1].end_time_unix_nano <= whole.end_time_unix_nano
    assert whole.kind == Span.SPAN_KIND_SERVER
    about = attributes_of(whole.attributes)
    assert about["statekeep.machine"] == "door"
    assert about["statekeep.instance"] == "front"
    assert about["statekeep.event.type"] == "open"
    assert about["http.response.status_code"] == 200
    assert collector.services == {"statekeep"}
    assert set(collector.paths) == {"/v1/traces"}


def test_a_creation_is_traced(collector):
    """It has no mailbox to wait in."""
    traced(collector=collector)
    (whole,) = collector.roots("POST /machines/{machine}")
    assert [span.name for span in collector.below(whole)] == [
        "host step",
        "commit",
        "effects",
        "reply",
    ]


@pytest.mark.parametrize("more", [(), ("idempotency-key: k",)], ids=["express", "usual"])
def test_the_trace_of_the_caller_goes_on(collector, more):
    """W3C Trace Context: same trace, below the caller's span."""
    parent = f"traceparent: 00-{TRACE_ID}-{PARENT_ID}-01"
    traced((OPEN, (parent, *more)), collector=collector)
    (whole,) = collector.roots(EVENT)
    assert whole.trace_id.hex() == TRACE_ID
    assert whole.parent_span_id.hex() == PARENT_ID


def test_what_the_caller_does_not_sample_is_not_traced(collector):
    """Nor does a header that makes no sense keep an event from being traced."""
    unsampled = f"traceparent: 00-{TRACE_ID}-{PARENT_ID}-00"
    traced((OPEN, (unsampled,)), (OPEN, ("traceparent: nonsense",)), collector=collector)
    (whole,) = collector.roots(EVENT)
    assert whole.trace_id.hex() != TRACE_ID
    assert not whole.parent_span_id


def test_failures_are_told_without_words(collector):
    """By code and status; messages may quote what is private. Who was refused is no error of the server."""
    fail, deny = b'{"event":"FAIL"}', b'{"event":"DENY"}'
    assert traced((fail, ()), (deny, ()), (b"{}", ()), collector=collector) == [422, 403, 400]
    failed, denied, malformed = collector.roots(EVENT)
    assert attributes_of(failed.attributes)["http.response.status_code"] == 422
    assert failed.status.code == Status.STATUS_CODE_ERROR
    assert b"it threw" not in b"".join(e.SerializeToString() for e in collector.exports)
    assert attributes_of(denied.attributes)["error.type"] == "rejected-by-machine-authorizer"
    assert denied.status.code == Status.STATUS_CODE_UNSET
    assert attributes_of(malformed.attributes)["http.response.status_code"] == 400


def test_the_sampler_of_the_environment_counts(collector, monkeypatch):
    """As all OTEL_* variables do."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    assert traced((OPEN, ()), collector=collector) == [200]
    assert collector.spans == []


def test_the_name_of_the_service_can_be_chosen(collector, monkeypatch):
    """By the standard variable."""
    monkeypatch.setenv("OTEL_SERVICE_NAME", "keep-eu")
    traced((OPEN, ()), collector=collector)
    assert collector.services == {"keep-eu"}


def test_a_collector_that_is_away_holds_nobody_up():
    """Events are answered all the same, and the server ends."""
    with serving_api(otlp_endpoint="http://127.0.0.1:1") as served:
        assert isinstance(served, Served)
        assert ask(served, request(served))[0] == 200
