"""Mapped memory of a modelled process: entries that are cut where calls need it, and two views of what they hold.

The data view is what stores change; the instruction view is what the instruction cache has.  On Apple silicon they meet only at
an invalidation (I1).  Contents are kept in cells of 16 bytes: enough for one small function, whose result is the cell's value.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum, IntFlag

CELL_BYTES = 16
_FIRST_ADDRESS = 0x1_0000_0000
_GAP_BYTES = 1 << 20  # between regions, so that a run past an end meets nothing


class Protection(IntFlag):
    """As in `mmap`."""

    NONE = 0
    READ = 1
    WRITE = 2
    EXECUTE = 4
    WX = WRITE | EXECUTE
    RWX = READ | WRITE | EXECUTE

    @classmethod
    def parse(cls, text: str) -> Protection | None:
        """`none`, `r`, `rw`, `rwx` and so on; None for anything else."""
        if text == "none":
            return cls.NONE
        letters = {"r": cls.READ, "w": cls.WRITE, "x": cls.EXECUTE}
        if not text or not set(text) <= set(letters) or len(set(text)) != len(text):
            return None
        found = cls.NONE
        for letter in text:
            found |= letters[letter]
        return found


class Origin(Enum):
    """How an entry came about, as far as a rule asks."""

    ANONYMOUS = "anonymous"
    FILE = "file"
    OVERLAY = "over JIT memory"
    ALIAS = "a second mapping"
    IMAGE = "pages of a signed image"


@dataclass(slots=True, eq=False)
class Contents:
    """The two views of a memory object, by offset."""

    data: dict[int, int] = field(default_factory=dict)
    instructions: dict[int, int] = field(default_factory=dict)

    def copy(self) -> Contents:
        """What a forked child gets of private memory."""
        return Contents(dict(self.data), dict(self.instructions))


@dataclass(slots=True, kw_only=True, eq=False)
class Entry:
    """Pages of one kind."""

    start: int
    end: int
    protection: Protection
    is_jit: bool
    is_shared: bool
    origin: Origin
    contents: Contents
    contents_start: int
    is_by_mprotect: bool = (
        False  # its protection is mprotect's: if it is RWX now, it was raised (P2)
    )

    @property
    def is_switched(self) -> bool:
        """Whether the thread switch governs it, on a chip that has one (A10, A11)."""
        return self.is_jit and self.protection == Protection.RWX

    def offset_of(self, address: int) -> int:
        """The place of `address` in the contents."""
        return address - self.start + self.contents_start

    def cut(self, at: int) -> Entry:
        """End this entry at `at`; what was behind it is a new one."""
        rest = replace(self, start=at, contents_start=self.offset_of(at))
        self.end = at
        return rest


class MemoryMap:
    """The entries of one process, in no order; no two of them overlap."""

    def __init__(self, page_bytes: int) -> None:
        self.page_bytes = page_bytes
        self.entries: list[Entry] = []
        self._next = _FIRST_ADDRESS

    def round_up(self, size: int) -> int:
        """`size` in whole pages."""
        return -(-size // self.page_bytes) * self.page_bytes

    def place(self, size: int) -> int:
        """A free address for `size` bytes."""
        address = self._next
        self._next += self.round_up(size) + _GAP_BYTES
        return address

    def find(self, address: int) -> Entry | None:
        """The entry that holds `address`."""
        for entry in self.entries:
            if entry.start <= address < entry.end:
                return entry
        return None

    def is_free(self, start: int, size: int) -> bool:
        """Whether nothing is mapped in the range."""
        return not any(entry.start < start + size and start < entry.end for entry in self.entries)

    def insert(self, entry: Entry) -> None:
        """Add an entry where nothing is mapped."""
        self.entries.append(entry)

    def clip(self, start: int, end: int) -> list[Entry]:
        """The entries inside the range, cut at both its ends."""
        for at in (start, end):
            entry = self.find(at)
            if entry is not None and entry.start < at:
                self.insert(entry.cut(at))
        return [entry for entry in self.entries if start <= entry.start and entry.end <= end]

    def remove(self, start: int, end: int) -> list[Entry]:
        """Unmap the range; what was there."""
        removed = self.clip(start, end)
        self.entries = [entry for entry in self.entries if entry not in removed]
        return removed

    def covers(self, start: int, end: int) -> bool:
        """Whether everything in the range is mapped."""
        mapped = sum(
            min(entry.end, end) - max(entry.start, start)
            for entry in self.entries
            if entry.start < end and start < entry.end
        )
        return mapped == end - start

    def fork(self, *, with_jit: bool) -> MemoryMap:
        """A child's map: private contents are copied, shared ones are the same; JIT memory only if asked for (K1)."""
        child = MemoryMap(self.page_bytes)
        child._next = self._next
        copies: dict[Contents, Contents] = {}
        for entry in self.entries:
            if entry.is_jit and not with_jit:
                continue
            contents = entry.contents
            if not entry.is_shared:
                contents = copies.setdefault(contents, contents.copy())
            child.entries.append(replace(entry, contents=contents))
        return child
