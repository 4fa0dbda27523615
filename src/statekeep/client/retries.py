"""When something is tried again, in the words of tenacity."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_before_delay,
    wait_exponential_jitter,
)

from statekeep.client.errors import ApiError
from statekeep.client.session import is_worth_another_try
from statekeep.client.steps import Request

_BACK_OFF: Final = wait_exponential_jitter(multiplier=0.1, max=5, jitter=0.1)


def tries(request: Request, within_seconds: float) -> dict[str, Any]:
    """A request is tried again as long as that makes sense, does no harm, and the next try begins in time."""
    return {
        "retry": retry_if_exception(partial(is_worth_another_try, request)),
        "wait": _pause,
        "stop": stop_before_delay(within_seconds),
        "reraise": True,
    }


def back_off_seconds(failures: int) -> float:
    """How long to wait after so many failures in a row."""
    state = RetryCallState(Retrying(), None, (), {})
    state.attempt_number = failures
    return _BACK_OFF(state)


def _pause(tried: RetryCallState) -> float:
    error = tried.outcome.exception() if tried.outcome else None
    asked_for = error.retry_after_seconds if isinstance(error, ApiError) else None
    return max(asked_for or 0, _BACK_OFF(tried))
