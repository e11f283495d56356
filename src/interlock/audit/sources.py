"""The text that findings stand in."""

from __future__ import annotations

import functools
from pathlib import Path

from interlock import limits


class Sources:
    """Lines of files, as they are when they are first asked for; only so many files are held at once."""

    def __init__(self) -> None:
        self.lines = functools.lru_cache(maxsize=limits.AUDIT_SHOWN_FILES_MAX)(_lines)

    def line(self, path: str, number: int) -> str:
        """One line, from 1; empty where there is none."""
        text = self.lines(path) if number > 0 else ()
        return text[number - 1] if number <= len(text) else ""


def _lines(path: str) -> tuple[str, ...]:
    """The lines of a text file, without their ends; none of a file that is gone, unreadable, too large or no text."""
    try:
        with Path(path).open("rb") as file:
            data = file.read(limits.AUDIT_SHOWN_BYTES_MAX + 1)
    except (OSError, ValueError):  # ValueError: a NUL in the name
        return ()
    if len(data) > limits.AUDIT_SHOWN_BYTES_MAX or b"\0" in data:
        return ()
    # Only a newline ends a line, as for compilers and editors; str.splitlines() knows more.
    return tuple(line.removesuffix("\r") for line in data.decode("utf-8", "replace").split("\n"))
