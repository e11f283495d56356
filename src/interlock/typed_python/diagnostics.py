"""What is wrong with a function's source, and where, in the style of Python's own messages."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Diagnostic:
    """One message.  Lines are 1-based; columns are 0-based, in characters, and `end_column` is exclusive."""

    file: str
    line: int
    column: int
    end_column: int
    message: str
    hint: str = ""
    function: str = ""
    text: str = ""  # the line itself

    def __str__(self) -> str:
        """File, line and function; the line with its range marked; the message; what to write instead."""
        lines = [f'  File "{self.file}", line {self.line}, in {self.function}']
        if self.text.strip():
            indent = len(self.text) - len(self.text.lstrip())
            lines.append(f"    {self.text.strip()}")
            width = max(1, self.end_column - self.column)
            lines.append(f"    {' ' * (self.column - indent)}{'^' * width}")
        lines.append(f"  {self.message}")
        if self.hint:
            lines.append(f"  {self.hint}")
        return "\n".join(lines)
