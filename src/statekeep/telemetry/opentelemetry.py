"""Traces over OpenTelemetry's SDK, sent with OTLP over HTTP.

Imported only where tracing is on: the packages are an extra (`statekeep[otel]`). What the SDK reads from `OTEL_*` variables counts: the sampler, headers
and limits of the exporter, the name of the service.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Final

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import (
    Link,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from statekeep import __version__
from statekeep.domain.errors import (
    InvalidParameter,
    NotFound,
    RejectedByMachineAuthorizer,
    Unauthenticated,
)
from statekeep.domain.instance import InstanceKey
from statekeep.domain.limits import (
    TRACE_CAUSES_MAX,
    TRACE_FLUSH_TIMEOUT,
    TRACED_NAME_LENGTH_MAX,
)
from statekeep.domain.names import InstanceId
from statekeep.domain.timer import Timer
from statekeep.ports.tracing import Caller, EventTrace, Stage, failure_of

_PATH: Final = "/v1/traces"
_FLUSH_SECONDS: Final = TRACE_FLUSH_TIMEOUT.total_seconds()
_CLIENT_ERRORS: Final = (InvalidParameter, NotFound, RejectedByMachineAuthorizer, Unauthenticated)
"""What is no error of the server: the conventions for HTTP leave the status of such a span unset."""

Cause = tuple[InstanceId, int]


class OpenTelemetryTracer:
    """Tracer port. Spans are sent from a thread of the SDK's, in batches; what `endpoint` does not take is dropped, with a line in the log.

    `endpoint` is that of a collector, without `/v1/traces`. Has to be closed, or the last spans are lost.
    """

    def __init__(self, endpoint: str) -> None:
        # What the operator says by OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES wins.
        named = Resource({SERVICE_NAME: "statekeep", SERVICE_VERSION: __version__})
        self._provider = TracerProvider(
            resource=named.merge(_named_by_operator()), shutdown_on_exit=False
        )
        self._exporter = OTLPSpanExporter(endpoint=endpoint.rstrip("/") + _PATH)
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer("statekeep", __version__)
        self._propagator = TraceContextTextMapPropagator()
        self._causes: OrderedDict[Cause, SpanContext] = OrderedDict()

    def request(self, route: str, caller: Caller) -> EventTrace | None:
        parent = None if caller.traceparent is None else self._context_of(caller)
        method, _, path = route.partition(" ")
        attributes = {"http.request.method": method, "http.route": path}
        span = self._tracer.start_span(
            route, parent or Context(), SpanKind.SERVER, attributes=attributes
        )
        return _OpenTelemetryTrace(self._tracer, span) if span.is_recording() else None

    def delivery(self, what: str, cause: Cause) -> EventTrace | None:
        setter = self._causes.get(cause)
        links = [] if setter is None else [Link(setter)]
        span = self._tracer.start_span(what, Context(), SpanKind.CONSUMER, links=links)
        return _OpenTelemetryTrace(self._tracer, span) if span.is_recording() else None

    def caused(self, trace: EventTrace, instance_id: InstanceId, timers: tuple[Timer, ...]) -> None:
        assert isinstance(trace, _OpenTelemetryTrace)
        for timer in timers:
            self._causes[instance_id, timer.seq] = trace.context
        while len(self._causes) > TRACE_CAUSES_MAX:
            self._causes.popitem(last=False)

    async def close(self) -> None:
        """Send what there still is to send, for at most TRACE_FLUSH_TIMEOUT or so."""
        # By itself the SDK tries for half a minute to reach a collector that is away.
        giving_up = asyncio.get_running_loop().call_later(_FLUSH_SECONDS, self._exporter.shutdown)
        await asyncio.to_thread(self._provider.shutdown)
        giving_up.cancel()

    def _context_of(self, caller: Caller) -> Context:
        carrier = {"traceparent": caller.traceparent or ""}
        if caller.tracestate is not None:
            carrier["tracestate"] = caller.tracestate
        # A header that makes no sense begins a trace of its own (W3C Trace Context, 4.3).
        return self._propagator.extract(carrier, Context())


class _OpenTelemetryTrace:
    """A span for the whole, and one below it for each stage."""

    __slots__ = ("_below", "_stage", "_tracer", "_whole")

    def __init__(self, tracer: Tracer, whole: Span) -> None:
        self._tracer = tracer
        self._whole: Span = whole
        self._below = set_span_in_context(whole, Context())
        self._stage: Span | None = None

    @property
    def context(self) -> SpanContext:
        """Where links to it lead."""
        return self._whole.get_span_context()

    def about(self, key: InstanceKey, event_type: str) -> None:
        self._whole.set_attributes(
            {
                "statekeep.organization": key.organization_id,
                "statekeep.machine": key.machine_name,
                "statekeep.instance": key.name,
                "statekeep.event.type": event_type[:TRACED_NAME_LENGTH_MAX],
            }
        )

    def reached(self, stage: Stage) -> None:
        if self._whole.is_recording():
            self._leave()
            self._stage = self._tracer.start_span(stage.value, self._below)

    def failed(self, error: BaseException) -> None:
        if not self._whole.is_recording():
            return
        name = failure_of(error)
        self._whole.set_attribute("error.type", name)
        if not isinstance(error, _CLIENT_ERRORS):
            self._whole.set_status(Status(StatusCode.ERROR, name))
            if self._stage is not None:
                self._stage.set_status(Status(StatusCode.ERROR, name))
        self._leave()

    def ended(self, status: int | None = None) -> None:
        if self._whole.is_recording():
            self._leave()
            if status is not None:
                self._whole.set_attribute("http.response.status_code", status)
            self._whole.end()

    def _leave(self) -> None:
        if self._stage is not None:
            self._stage.end()
            self._stage = None


def _named_by_operator() -> Resource:
    """What OTEL_* variables say of this process. `unknown_service` is what the SDK says where they say nothing."""
    said = Resource.create()
    name = str(said.attributes.get(SERVICE_NAME, ""))
    if not name.startswith("unknown_service"):
        return said
    return Resource(
        {key: value for key, value in said.attributes.items() if key != SERVICE_NAME},
        said.schema_url,
    )
