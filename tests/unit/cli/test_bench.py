"""What is made of a load."""

from __future__ import annotations

import pytest

from statekeep.cli.benchmarking.phases import Phase
from statekeep.cli.benchmarking.plan import Load
from statekeep.cli.benchmarking.report import PhaseResult, Report


def load(**latencies_and_failures) -> Load:
    latencies = latencies_and_failures.pop("latencies_us", {})
    answered = sum(latencies.values())
    known = {
        "seconds": 2.0,
        "sent": answered,
        "answered": answered,
        "answered_in_time": answered,
        "failures": {},
        "cpu_share": 0.1,
        "was_stopped": False,
    }
    return Load(latencies_us=latencies, **{**known, **latencies_and_failures})


def report(*results: PhaseResult) -> Report:
    return Report("http://server", None, False, None, 2, list(results))


@pytest.mark.parametrize(("quantile", "milliseconds"), [(0.5, 1.0), (0.98, 1.0), (0.99, 20.0)])
def test_a_latency_is_that_of_the_request_of_its_rank(quantile, milliseconds):
    """Of a hundred requests, two of which took long."""
    assert load(latencies_us={20_000: 2, 1_000: 98}).latency_ms(quantile) == milliseconds


def test_there_is_no_latency_where_nothing_was_answered():
    """And no rate."""
    result = PhaseResult(Phase.MANY, 32, 1_000, load(seconds=0.0), None)
    assert result.to_json()["p50Ms"] is None
    assert result.to_json()["perSecond"] == 0


def test_a_late_answer_makes_no_rate():
    """It is an answer to a request that was sent in time."""
    late = load(latencies_us={1_000: 100}, answered_in_time=90)
    result = PhaseResult(Phase.HOT, 32, 1, late, 0)
    assert result.to_json()["perSecond"] == 45
    assert result.to_json()["answered"] == 100


def test_lost_events_and_failed_requests_are_problems():
    """Each phase with its own."""
    lost = PhaseResult(Phase.HOT, 32, 1, load(), 3)
    failed = PhaseResult(Phase.MANY, 32, 1_000, load(failures={"503": 2, "timeout": 1}), None)
    fine = PhaseResult(Phase.SINGLE, 1, 1, load(), 0)
    assert [*report(fine, lost, failed).problems()] == [
        "hot: 3 events were answered and did not count",
        "many: 3 requests failed",
    ]


def test_a_generator_without_time_left_is_told():
    """What it measures may be itself."""
    idle = PhaseResult(Phase.MANY, 32, 1_000, load(cpu_share=0.4), None)
    busy = PhaseResult(Phase.HOT, 32, 1, load(cpu_share=0.97), 0)
    assert [doubt.partition(":")[0] for doubt in report(idle, busy).doubts()] == ["hot"]


def test_a_table_has_what_failed_and_what_is_not_known(capsys):
    """And no column for what did not happen."""
    failed = load(latencies_us={1_500: 3_000}, failures={"503": 2})
    report(PhaseResult(Phase.MANY, 32, 1_000, failed, None)).show(as_table=True)
    out = capsys.readouterr().out
    for text in (
        "many",
        "1,000",
        "1,500",
        "1.50 ms",
        "503: 2",
        "unknown version",
        "Disk: not known",
    ):
        assert text in out
    assert "Lost" not in out
