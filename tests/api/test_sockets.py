"""Realtime sockets on the HTTP server that they come from."""

from __future__ import annotations

import json

from websockets.sync.client import connect

from tests.support.serving import serving_api

SUBSCRIPTION = {
    "type": "subscribe-to-instance",
    "requestId": "r",
    "machineName": "door",
    "machineInstanceName": "front",
}


def test_a_socket_is_no_idle_http_connection() -> None:
    """What closes those has no say any more once the connection is a socket."""
    with serving_api(keep_alive_seconds=0) as served:
        token = served.admin["authorization"].removeprefix("Bearer ")
        with connect(f"ws{served.url[4:]}/rt?token={token}") as socket:
            for _ in range(3):
                socket.send(json.dumps(SUBSCRIPTION))
                assert json.loads(socket.recv(timeout=10))["type"] == "instance-update"
