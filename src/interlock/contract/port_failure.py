"""How real just-in-time compilers broke on macOS: 73 failures, each with the rule behind it and who can see it.

`pattern` is what stands in the source, `symptom` what happened; `evidence` names public threads and repositories.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class SeenBy(StrEnum):
    """What can catch a failure."""

    STATIC = "reading source, binary or property list"
    MODEL = "running against the model"
    DEVICE = "a device only"


STATIC, MODEL, DEVICE = SeenBy.STATIC, SeenBy.MODEL, SeenBy.DEVICE


@dataclass(frozen=True, slots=True, kw_only=True)
class PortFailure:
    """One way in which a port went wrong."""

    number: int
    group: str
    pattern: str
    symptom: str
    fix: str
    evidence: str
    rules: tuple[str, ...]
    seen_by: tuple[SeenBy, ...]

    @property
    def is_checkable(self) -> bool:
        """Whether it shows without a Mac."""
        return DEVICE not in self.seen_by
