"""`/metrics`: who gets to see it, and that it counts what was done."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from statekeep.domain.rates import Rate
from tests.api.test_express import OPEN, ask, request
from tests.support.api import Api, running_api
from tests.support.serving import Served, serving_api

TOKEN = "a-token-of-24-characters"
OPENS = {"authorization": f"Bearer {TOKEN}"}

Samples = dict[tuple[str, ...], float]


def samples_in(text: str) -> Samples:
    """By name and labels: ("statekeep_events_total", "outcome=accepted", ...)."""
    return {
        (sample.name, *sorted(f"{name}={value}" for name, value in sample.labels.items())): (
            sample.value
        )
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving_api(metrics_token=TOKEN) as served:
        yield served


def scrape(served: Served) -> Samples:
    asked = urllib.request.Request(f"{served.url}/metrics", headers=OPENS)
    with urllib.request.urlopen(asked, timeout=20) as answer:
        return samples_in(answer.read().decode())


def rise(before: Samples, after: Samples, *name: str) -> float:
    return after[name] - before[name]


@pytest.mark.parametrize(
    ("body", "status", "outcome"),
    [
        (OPEN, 200, "accepted"),
        (b'{"event":"DENY"}', 403, "refused"),
        (b'{"event":"FAIL"}', 422, "failed"),
    ],
)
@pytest.mark.parametrize("headers", [(), ("idempotency-key: k",)], ids=["express", "usual"])
def test_events_are_counted_by_what_came_of_them(served, body, status, outcome, headers):
    """By either way each once, and its answer too."""
    before = scrape(served)
    key = tuple(f"{header}-{outcome}" for header in headers)
    assert ask(served, request(served, body, *key))[0] == status
    after = scrape(served)
    for each in ("accepted", "refused", "ignored", "failed", "overloaded"):
        name = ("statekeep_events_total", "origin=client", f"outcome={each}")
        assert rise(before, after, *name) == (each == outcome)
    is_accepted = outcome == "accepted"
    assert rise(before, after, "statekeep_event_duration_seconds_count") == is_accepted
    answers = ("statekeep_http_responses_total", f"code={status // 100}xx")
    # The scrape before was answered when that after was made.
    assert rise(before, after, *answers) == 1 + (status == 200)


def test_latencies_are_histograms(served):
    """Cumulative, with a count and a sum in seconds."""
    # uvloop's time goes in steps of a millisecond, and many an event takes none.
    for _ in range(100):
        ask(served, request(served))
    samples = scrape(served)
    name = "statekeep_event_duration_seconds"
    buckets = [value for (first, *_), value in samples.items() if first == f"{name}_bucket"]
    assert buckets == sorted(buckets)
    assert buckets[-1] == samples[(f"{name}_count",)] >= 100
    assert 0 < samples[(f"{name}_sum",)] < 60


def test_the_process_is_told_of(served):
    """Memory and processor time by the names that everybody uses."""
    samples = scrape(served)
    assert samples[("process_resident_memory_bytes",)] > 0
    assert ("process_cpu_seconds_total",) in samples


@pytest.fixture
async def api():
    async with running_api(metrics_token=TOKEN, rates={"organization": Rate(1, 4)}) as api:
        yield api


async def scraped(api: Api) -> Samples:
    answer = await api.get("/metrics", OPENS)
    assert answer.status_code == 200
    return samples_in(answer.text)


@pytest.mark.parametrize(
    "authorization", [None, "", TOKEN, f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer \u00ff"]
)
async def test_without_the_token_there_is_nothing_to_see(api, authorization):
    """Nor with anything that is nearly it; the answer says what is missing."""
    headers = [] if authorization is None else [(b"authorization", authorization.encode("latin-1"))]
    answer = await api.client.get("/metrics", headers=headers)
    assert answer.status_code == 401
    assert "metrics_token" in answer.json()["error"]
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert b"statekeep_" not in answer.content


async def test_an_admin_is_nobody_here(api):
    """Metrics are of all organizations: no token of one opens them."""
    assert (await api.get("/metrics")).status_code == 401


async def test_the_answer_is_what_prometheus_reads(api):
    """By its content type; nobody keeps a copy."""
    answer: httpx.Response = await api.get("/metrics", OPENS)
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert answer.headers["cache-control"] == "no-store"


async def test_without_a_token_set_there_is_no_page():
    """Not even one that refuses."""
    async with running_api() as api:
        assert (await api.get("/metrics", OPENS)).status_code == 404


async def test_creations_and_refusals_are_counted(api):
    """A creation is no event; a request over its rate is counted as such and by its status."""
    await api.new_machine()
    api.clock.advance(seconds=60)
    before = await scraped(api)
    await api.expect(200, "POST", "/machines/door", {"slug": "one"})
    await api.expect(409, "POST", "/machines/door", {"slug": "one"})
    api.clock.advance(seconds=60)
    for _ in range(6):
        await api.get("/machines")
    after = await scraped(api)
    assert rise(before, after, "statekeep_creations_total", "outcome=accepted") == 1
    created = ("statekeep_events_total", "origin=client", "outcome=accepted")
    assert rise(before, after, *created) == 0
    assert rise(before, after, "statekeep_rate_limited_requests_total") == 2
    assert rise(before, after, "statekeep_http_responses_total", "code=4xx") == 3


async def test_exchanges_are_counted(api):
    """Those that are refused as such."""
    before = await scraped(api)
    audience = "https://tokens.statebacked.dev/org_x/service"
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "audience": audience,
        "subject_token": "nonsense",
    }
    assert (await api.client.post("/tokens", data=form)).status_code == 400
    after = await scraped(api)
    assert rise(before, after, "statekeep_token_exchanges_total", "outcome=refused") == 1
    assert rise(before, after, "statekeep_token_exchanges_total", "outcome=issued") == 0
