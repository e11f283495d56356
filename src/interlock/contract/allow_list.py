"""The list of callbacks that the thread library reads from Mach-O images (rules C8 to C20, F1 to F5)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from interlock.contract.rules_callback import ALLOWLIST_ENTRIES_MAX

LIST_SECTION = "__DATA_CONST,__pth_jit_func"
NULL = 0
_WORD_BYTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An executable or a library, as far as its section of callbacks goes.

    `words` are what stands there, NULL included; a NULL that a weak symbol became is in `weak_nulls` by its index.
    """

    name: str
    words: tuple[int, ...] = ()
    section: str = LIST_SECTION
    size_bytes: int | None = None  # None: as long as its words
    is_in_shared_cache: bool = False
    weak_nulls: frozenset[int] = frozenset()

    @property
    def section_bytes(self) -> int:
        """The size that the section header states."""
        return len(self.words) * _WORD_BYTES if self.size_bytes is None else self.size_bytes

    @property
    def listed(self) -> tuple[int, ...]:
        """What a scan of this image reads: up to the first NULL, nothing if anything about the section is off."""
        if self.is_in_shared_cache or self.section != LIST_SECTION:
            return ()
        if self.section_bytes % _WORD_BYTES:
            return ()
        words = self.words[: self.section_bytes // _WORD_BYTES]
        return words[: words.index(NULL)] if NULL in words else words

    def reason_not_read(self, callback: int) -> str:
        """The rule because of which a scan passes over a callback of this image; empty if it is not there at all."""
        if callback not in self.words:
            return ""
        if self.is_in_shared_cache:
            return "C8"
        if self.section != LIST_SECTION:
            return "C10"
        if self.section_bytes == 0 or self.section_bytes % _WORD_BYTES:
            return "C12"
        first = self.words.index(NULL) if NULL in self.words else len(self.words)
        return "C14" if first in self.weak_nulls else "C11"


class ListState(Enum):
    """Off: not entitled.  Open: freeze-late, and not frozen yet."""

    OFF = "off"
    OPEN = "open"
    FROZEN = "frozen"


class AllowList:
    """The configuration page: a state and at most 2,047 addresses."""

    def __init__(self) -> None:
        self.state = ListState.OFF
        self._callbacks: list[int] = []

    def copy(self) -> AllowList:
        """A forked child's (C23)."""
        other = AllowList()
        other.state = self.state
        other._callbacks = list(self._callbacks)
        return other

    def freeze(self, images: list[Image]) -> bool:
        """Read these images in their order and lock the page; False if there are too many callbacks (C15)."""
        for image in images:
            for callback in image.listed:
                if len(self._callbacks) == ALLOWLIST_ENTRIES_MAX:
                    return False
                self._callbacks.append(callback)
        self.state = ListState.FROZEN
        return True

    def has(self, callback: int) -> bool:
        """Whether the address itself is on the list (C17)."""
        return callback in self._callbacks

    def reason_not_listed(self, callback: int, images: list[Image], *, late_rule: str) -> str:
        """The most specific rule that explains why a callback is not on the list."""
        for image in images:
            if callback in image.listed:
                return late_rule  # well made, and read too late
            reason = image.reason_not_read(callback)
            if reason:
                return reason
        return "C8"
