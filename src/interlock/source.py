"""Where something stands in the input: spans, the lowest layer of all."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A half-open range of the input.

    Binary inputs give `start` and `end` as byte offsets and leave `line` at 0.  Text inputs also give the 1-based `line`
    and 0-based `column` of `start`.
    """

    start: int
    end: int
    line: int = 0
    column: int = 0
    file: str = ""

    def __str__(self) -> str:
        """`file:line:column`, or `file+0xoffset` for binary input."""
        if self.line:
            where = f"{self.line}:{self.column + 1}"
            return f"{self.file}:{where}" if self.file else where
        return f"{self.file}+{self.start:#x}" if self.file else f"offset {self.start:#x}"
