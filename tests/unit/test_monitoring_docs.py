"""docs/monitoring.md and the metrics do not drift apart."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from statekeep.domain.event import Origin
from statekeep.ports.metrics import EventOutcome, Gauges, Metrics
from statekeep.ports.tracing import Stage
from statekeep.telemetry.prometheus import MetricsText

DOCUMENT = (Path(__file__).parents[2] / "docs" / "monitoring.md").read_text()
NO_GAUGES = Gauges(0, 0, 0, 0, 0, {"running": 0, "starting": 0, "retiring": 0}, 0, 0, 0, 0, 0, 0, 0)


def exposed() -> set[str]:
    """Names as they are asked for: of a histogram without its parts."""
    metrics = Metrics(per_machine=True)
    assert metrics.by_machine is not None
    metrics.by_machine["org_a", "door"] = [0] * len(EventOutcome)
    text = MetricsText(metrics, lambda: NO_GAUGES).render().decode()
    return {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in text_string_to_metric_families(text)
        if family.name.startswith("statekeep")
    }


def test_the_page_has_every_metric_and_no_other():
    """An alert on a name that does not exist would never fire."""
    named = {
        re.sub(r"_bucket$", "", name) for name in re.findall(r"\bstatekeep_[a-z_]+\b", DOCUMENT)
    }
    assert named == exposed()


def test_the_page_has_every_stage_and_outcome():
    """By the words that are sent."""
    for stage in Stage:
        assert f"| `{stage.value}` |" in DOCUMENT
    for outcome in EventOutcome:
        assert f"`{outcome.name.lower()}`" in DOCUMENT
    for origin in (Origin.CLIENT, Origin.TIMER, Origin.MESSAGE, Origin.CHILD, Origin.LOST_CHILD):
        assert f"`{origin.name.lower()}`" in DOCUMENT
