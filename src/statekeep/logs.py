"""How log lines come out: one shape for ours and for those of the libraries, on stderr, without secrets.

Code logs with `structlog.get_logger()`; the words of an event are fixed and what varies goes into named values. A line below the level
costs a microsecond and is never put together.
"""

from __future__ import annotations

import logging
import re
import sys
from typing import Any, Final, Literal

import structlog
from rich.console import Console
from structlog.types import Processor, WrappedLogger

_SECRETS: Final = re.compile(
    # JSON Web Tokens, also in URLs; secrets of API keys.
    r"eyJ[\w-]{4,}\.[\w-]+\.[\w-]*|sbsec_[\w-]+"
    # Whatever stands where a token should: those that are misspelt are nearly as good as the right ones.
    r"|(?<=[?&_]token=)[^&\s\"'\\]+|(?<=(?i:bearer) )[\w.~+/-]{16,}=*",
    re.ASCII,
)
_REDACTED: Final = "[redacted]"
# They tell of every request at the level at which we tell of starts and stops.
_TALKATIVE: Final = (
    "httpx",
    "httpcore",
    "opentelemetry",
    "urllib3",
    "uvicorn",
    "watchfiles",
    "websockets",
)
"""What they tell below warnings is told by us, or of no interest; the URL of a WebSocket, which has a token in it, is of that kind."""
_SHARED: Final[list[Processor]] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def configure_logging(
    level: Literal["debug", "info", "warning", "error"],
    output: Literal["auto", "console", "json"],
) -> None:
    """Send all logs of this process to stderr as JSON lines or as text for people; `auto` asks whether a terminal is there.

    Can be called again: the last call counts, but a logger that was used before keeps its level.
    """
    threshold = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    terminal = Console(stderr=True)
    is_for_people = output == "console" or (output == "auto" and terminal.is_terminal)
    renderers = _for_people(terminal) if is_for_people else _for_machines()
    _send_to_stderr(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *renderers,
                redact,
            ],
        ),
        threshold,
    )


def redact(_logger: WrappedLogger, _method: str, line: Any) -> str:
    """The rendered line without tokens and key secrets, wherever in it they stand: a message, a value, a URL, a traceback."""
    return _SECRETS.sub(_REDACTED, line)


def _for_people(terminal: Console) -> list[Processor]:
    # Rich knows about NO_COLOR and the like. No tracebacks by rich: they show local variables, and so secrets.
    colors = terminal.is_terminal and not terminal.no_color
    return [
        structlog.dev.ConsoleRenderer(
            colors=colors, exception_formatter=structlog.dev.plain_traceback
        )
    ]


def _for_machines() -> list[Processor]:
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]


def _send_to_stderr(formatter: logging.Formatter, threshold: int) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.set_name(__name__)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    for previous in [old for old in root.handlers if old.get_name() == __name__]:
        root.removeHandler(previous)
    root.addHandler(handler)
    root.setLevel(threshold)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(max(threshold, logging.WARNING))
