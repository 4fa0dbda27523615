"""A terminal with a shell in it, for what only a person does: lines are typed, and what comes of them is looked at."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Self

import pexpect

SECONDS_MAX: Final = 120
"""For anything to be seen that is waited for, downloads included; it takes far less."""
_PROMPT: Final = re.compile(r"<(\d+)>\$ ")
"""It tells how the last line ended."""
_FAILED: Final = r"<[1-9]\d*>\$ "
_OF_A_TERMINAL: Final = {
    # Not `\$`, which is another sign where root types.
    "PS1": "<$?>$ ",
    # No colours, and no tricks with the cursor.
    "TERM": "dumb",
    "HISTFILE": "/dev/null",
}
_LINES: Final = 50
_COLUMNS: Final = 500
"""Wide enough for no line to be broken."""


class Terminal:
    """Somebody types into bash. Whatever still runs at the end is told what programs are told when their window is closed."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._shell = pexpect.spawn(
            "bash",
            ["--norc", "--noprofile", "-i"],
            cwd=str(folder),
            env={**environment, **_OF_A_TERMINAL},
            encoding="utf-8",
            dimensions=(_LINES, _COLUMNS),
            timeout=SECONDS_MAX,
        )
        # It would wait for programs that look away while a password is typed.
        self._shell.delaybeforesend = None
        self._line = ""
        self.await_prompt()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._shell.close(force=True)

    def enter(self, line: str) -> None:
        """Type a line, whatever becomes of it."""
        self._line = line
        self._shell.sendline(line)
        # What was typed is seen, too.
        self._await(re.compile(r"\n"))

    def await_prompt(self) -> None:
        """Wait until the next line may be typed. Fails unless the last one ended well."""
        prompt = self._await(_PROMPT)
        assert prompt[1] == "0", self._failure(prompt)

    def await_text(self, pattern: str) -> None:
        """Wait until something is seen that was not waited for before. Fails as soon as the line has ended badly instead."""
        found = self._await(re.compile(f"(?P<wanted>{pattern})|{_FAILED}", re.DOTALL))
        assert found["wanted"], self._failure(found)

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self._shell.sendintr()

    def _failure(self, prompt: re.Match[str]) -> str:
        return f"{self._line!r} ended so:\n{self._shell.before}{prompt[0]}"

    def _await(self, pattern: re.Pattern[str]) -> re.Match[str]:
        try:
            self._shell.expect(pattern)
        except (pexpect.TIMEOUT, pexpect.EOF) as error:
            raise AssertionError(
                f"after {self._line!r}, {pattern.pattern!r} was not seen, but:\n{self._shell.before}"
            ) from error
        match = self._shell.match
        assert isinstance(match, re.Match)
        return match
