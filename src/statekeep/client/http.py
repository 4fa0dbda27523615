"""What both shells say to httpx, and what they make of what it says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import httpx

from statekeep.client.errors import (
    ClientError,
    ConnectionFailedError,
    NotConnectedError,
    UnreadableAnswerError,
)
from statekeep.client.steps import Transmission

CONNECT_SECONDS_MAX: Final = 10


def timeouts(seconds: float) -> httpx.Timeout:
    """How long to wait for the server: so long for an answer, and not so long for a connection."""
    return httpx.Timeout(seconds, connect=min(seconds, CONNECT_SECONDS_MAX))


def words(transmission: Transmission) -> dict[str, Any]:
    """A transmission in the words of httpx."""
    request = transmission.request
    said: dict[str, Any] = {
        "method": request.method,
        "url": transmission.url,
        "headers": transmission.headers,
    }
    if request.file is not None:
        file = request.file
        said["data"] = dict(file.fields)
        said["files"] = {"file": (file.name, file.content, file.media_type)}
    else:
        said["content"] = transmission.content
    return said


@contextmanager
def api_errors(url: str) -> Iterator[None]:
    """What httpx raises for a connection becomes an error of ours, which says why: dozens of frames of theirs would say no more."""
    try:
        yield
    except (httpx.UnsupportedProtocol, httpx.LocalProtocolError, httpx.InvalidURL) as error:
        raise ClientError(f"this cannot be sent: {error}") from None
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        raise NotConnectedError(f"no connection to {_origin(url)}: {_reason(error)}") from None
    except httpx.TransportError as error:
        raise ConnectionFailedError(
            f"the connection to {_origin(url)} failed: {_reason(error)}"
        ) from None
    except httpx.DecodingError as error:
        raise UnreadableAnswerError(f"the answer cannot be read: {error}") from None


def _origin(url: str) -> str:
    parts = httpx.URL(url)
    return f"{parts.scheme}://{parts.netloc.decode()}"


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
