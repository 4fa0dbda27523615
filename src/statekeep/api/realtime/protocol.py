"""The protocol of the realtime socket (SPEC 5), without a socket: which messages start and stop which flows of updates.

A flow is all updates of one instance that go over one socket. What must stay true:

- an instance has one flow on a socket however often it is subscribed, so that each update is sent once: the official client hands it to every subscriber;
- each new subscription to it begins the flow anew, since its subscriber waits for the state as it is;
- a subscription with `since` has a flow of its own, whose updates carry its request id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from statekeep.domain.errors import InvalidParameter
from statekeep.domain.limits import REQUEST_ID_LENGTH_MAX, SOCKET_SUBSCRIPTIONS_MAX
from statekeep.domain.names import (
    InstanceName,
    MachineName,
    parse_instance_name,
    parse_machine_name,
)
from statekeep.wire.realtime import SubscribeToInstance

FlowKey = tuple[MachineName, InstanceName] | str
"""The names of the instance, or the request id of a subscription with `since`."""


@dataclass(slots=True, eq=False)
class Flow:
    """Updates of one instance. `requests` are the subscriptions that it serves."""

    key: FlowKey
    machine: MachineName
    instance: InstanceName
    since: int | None
    requests: set[str] = field(default_factory=set)

    @property
    def request_id(self) -> str | None:
        """The only subscription, where the flow is its own."""
        return self.key if isinstance(self.key, str) else None


class Subscriptions:
    """The subscriptions of one socket."""

    def __init__(self) -> None:
        self._by_request: dict[str, Flow] = {}
        self._flows: dict[FlowKey, Flow] = {}

    def __len__(self) -> int:
        return len(self._by_request)

    def subscribe(self, message: SubscribeToInstance) -> tuple[Flow, Sequence[Flow]]:
        """The flow to start from its beginning, and those to stop before. Raises InvalidParameter, and nothing changed."""
        flow = _flow_for(message)
        request_id = message.request_id
        if request_id not in self._by_request and len(self) >= SOCKET_SUBSCRIPTIONS_MAX:
            raise InvalidParameter(
                f"a socket has at most {SOCKET_SUBSCRIPTIONS_MAX} subscriptions: open another one"
            )
        abandoned = self.unsubscribe(request_id)
        running = self._flows.get(flow.key)
        if running is not None:
            flow.requests |= running.requests
        flow.requests.add(request_id)
        self._flows[flow.key] = flow
        self._by_request |= dict.fromkeys(flow.requests, flow)
        return flow, [stopped for stopped in (abandoned, running) if stopped is not None]

    def unsubscribe(self, request_id: str) -> Flow | None:
        """The flow to stop, as nobody is left who wants it. Clients unsubscribe what they never subscribed."""
        flow = self._by_request.pop(request_id, None)
        if flow is None:
            return None
        flow.requests.discard(request_id)
        if flow.requests:
            return None
        del self._flows[flow.key]
        return flow

    def end(self, flow: Flow) -> frozenset[str]:
        """A flow has ended by itself; returns the subscriptions that are over. None where it was replaced meanwhile."""
        if self._flows.get(flow.key) is not flow:
            return frozenset()
        del self._flows[flow.key]
        for request_id in flow.requests:
            del self._by_request[request_id]
        return frozenset(flow.requests)


def _flow_for(message: SubscribeToInstance) -> Flow:
    if len(message.request_id) > REQUEST_ID_LENGTH_MAX:
        raise InvalidParameter(
            f"a request id has at most {REQUEST_ID_LENGTH_MAX} characters", parameter="requestId"
        )
    machine = parse_machine_name(message.machine_name)
    instance = parse_instance_name(message.machine_instance_name)
    key: FlowKey = (machine, instance) if message.since is None else message.request_id
    return Flow(key, machine, instance, message.since)
