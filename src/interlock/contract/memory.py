"""mmap, mprotect, munmap and madvise of a modelled process: rules A and P."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from interlock.contract.entitlements import SINGLE_JIT
from interlock.contract.memory_map import Contents, Entry, MemoryMap, Origin, Protection
from interlock.contract.outcome import OK, Outcome, OutcomeKind, ok
from interlock.contract.profile import MacosVersion

if TYPE_CHECKING:
    from interlock.contract.outcome import Rulebook

MAP_FAILED = (1 << 64) - 1
_FORK_INHERITS_SINCE = MacosVersion(11)
_TAG_SHIFT = 24  # VM_MAKE_TAG(n) is n << 24
_ZEROING = frozenset({"ZERO", "ZERO_WIRED_PAGES"})
ADVICE = frozenset({"FREE_REUSABLE", "FREE_REUSE", *_ZEROING})


@dataclass(frozen=True, slots=True, kw_only=True)
class MapRequest:
    """The arguments of `mmap` by meaning; the flags' numbers differ between systems."""

    size: int
    protection: Protection
    is_jit: bool = False
    is_anonymous: bool = True
    is_private: bool = True
    is_shared: bool = False
    is_resilient: bool = False
    is_tpro: bool = False
    has_unknown_flag: bool = False
    fixed: int | None = None
    hint: int | None = None
    descriptor: int = -1


class Memory:
    """The address space of one process, and the rules about it."""

    def __init__(self, book: Rulebook, entries: MemoryMap | None = None) -> None:
        self._book = book
        self.map = entries or MemoryMap(book.profile.page_bytes)
        self.lost: list[tuple[int, int]] = []  # JIT memory that a fork did not hand on (K1)

    def mmap(self, request: MapRequest) -> tuple[Outcome, int]:
        """The outcome, and the address or MAP_FAILED.  An ignored hint gives the value 0, one that was used 1."""
        refusal = self._flags(request) or self._policy(request) or self._limit(request)
        if refusal is not None:
            return refusal, MAP_FAILED
        size = self.map.round_up(request.size)
        overlaid: list[Entry] = []
        outcome = OK
        if request.fixed is not None:
            address = request.fixed
            overlaid = self.map.remove(address, address + size)
        elif request.hint is None:
            address = self.map.place(size)
        elif self._takes_hint(request, request.hint, size):
            address, outcome = request.hint, ok(1)
        else:
            address, outcome = self.map.place(size), ok(0, rule="A4")
        self._insert(request, address, size, overlaid)
        return outcome, address

    def munmap(self, address: int, size: int) -> Outcome:
        """All or a part of a region (P5)."""
        if address % self.map.page_bytes:
            return self._book.errno("A12")
        self.map.remove(address, address + self.map.round_up(size))
        return OK

    def mprotect(self, address: int, size: int, protection: Protection) -> Outcome:
        """All pages of the range or none."""
        if address % self.map.page_bytes:
            return self._book.errno("A12")
        protection = _readable(protection)
        end = address + self.map.round_up(size)
        if not self.map.covers(address, end):
            return Outcome(kind=OutcomeKind.ERRNO, name="ENOMEM")
        entries = self.map.clip(address, end)
        for entry in entries:
            if entry.is_switched and self._book.holds("P1"):
                return self._book.errno("P2" if entry.is_by_mprotect else "P1")
        is_wx = Protection.WX in protection
        if is_wx and self._refuses_wx("P3") and not all(entry.is_jit for entry in entries):
            return self._book.errno("P3")
        for entry in entries:
            entry.is_by_mprotect = True
            entry.protection = protection
        return OK

    def madvise(self, address: int, size: int, advice: str) -> Outcome:
        """FREE_REUSABLE gives the contents back, FREE_REUSE takes the pages again; zeroing is refused (P5, P6)."""
        entries = self.map.clip(address, address + self.map.round_up(size))
        if advice in _ZEROING and self._book.holds("P6") and any(each.is_jit for each in entries):
            return self._book.errno("P6")
        if advice != "FREE_REUSE":
            for entry in entries:
                stop = entry.contents_start + entry.end - entry.start
                for view in (entry.contents.data, entry.contents.instructions):
                    for offset in [at for at in view if entry.contents_start <= at < stop]:
                        del view[offset]
        return OK

    def alias(self, address: int, size: int, protection: Protection) -> tuple[Outcome, int]:
        """A second mapping of the same memory (P9)."""
        protection = _readable(protection)
        entries = self.map.clip(address, address + self.map.round_up(size))
        if not entries or not all(entry.is_shared or entry.is_jit for entry in entries):
            return Outcome(kind=OutcomeKind.ERRNO, name="EINVAL"), MAP_FAILED
        is_wx = Protection.WX in protection
        if is_wx and self._refuses_wx("A1") and not all(entry.is_jit for entry in entries):
            return self._book.errno("A1", name=self._wx_errno()), MAP_FAILED
        base = self.map.place(size)
        for entry in entries:
            start = base + entry.start - address
            self.map.insert(
                Entry(
                    start=start,
                    end=start + entry.end - entry.start,
                    protection=protection,
                    is_jit=entry.is_jit,
                    is_shared=entry.is_shared,
                    origin=Origin.ALIAS,
                    contents=entry.contents,
                    contents_start=entry.contents_start,
                )
            )
        return OK, base

    def fork(self, book: Rulebook) -> Memory:
        """The child's memory (K1)."""
        inherits = book.profile.macos >= _FORK_INHERITS_SINCE
        child = Memory(book, self.map.fork(with_jit=inherits))
        child.lost = list(self.lost)
        if not inherits:
            child.lost += [(each.start, each.end) for each in self.map.entries if each.is_jit]
        return child

    # ---- What mmap checks, in the kernel's order ------------------------------------------------------------------------------

    def _flags(self, request: MapRequest) -> Outcome | None:
        if request.size == 0 or request.has_unknown_flag:
            return self._book.errno("A3")
        if request.is_private == request.is_shared:
            return self._book.errno("A3")
        excluded = request.is_shared or request.fixed is not None
        if request.is_jit and (excluded or request.is_resilient or request.is_tpro):
            return self._book.errno("A2")
        if request.is_jit and not request.is_anonymous:
            return self._book.errno("A14")
        has_other_bits = request.descriptor & ((1 << _TAG_SHIFT) - 1)
        if request.is_anonymous and request.descriptor != -1 and has_other_bits:
            return self._book.errno("A5")
        return None

    def _policy(self, request: MapRequest) -> Outcome | None:
        if request.is_jit:
            for rule_id in ("A15", "A8"):
                if self._book.holds(rule_id):
                    return self._book.errno(rule_id)
            return None
        if Protection.WX in request.protection and self._refuses_wx("A1"):
            return self._book.errno("A1", name=self._wx_errno())
        return None

    def _limit(self, request: MapRequest) -> Outcome | None:
        """A7; the article's limit is a switch, single-jit's is not."""
        if not request.is_jit or not self._book.holds("A7"):
            return None
        is_certain = self._book.profile.entitlements.has(SINGLE_JIT)
        if not is_certain and self._book.is_set("jit-regions", "many"):
            return None
        has_one = any(entry.is_jit for entry in self.map.entries)
        return self._book.errno("A7") if has_one else None

    def _refuses_wx(self, rule_id: str) -> bool:
        """A1 and P3: for Apple silicon a switch says whether the wider entitlements lift them."""
        if not self._book.holds(rule_id):
            return False
        is_lifted = self._book.is_set("unsigned-memory-lifts-wx", "yes")
        profile = self._book.profile
        return not (
            is_lifted and profile.is_hardened and profile.entitlements.allows_unsigned_memory
        )

    def _wx_errno(self) -> str:
        """Question 2; without enforcement it is the memory layer that refuses."""
        if not self._book.profile.is_enforcing_signatures:
            return "EACCES"
        return "EACCES" if self._book.is_set("hardened-rwx-errno", "EACCES") else "EINVAL"

    def _takes_hint(self, request: MapRequest, hint: int, size: int) -> bool:
        if not self.map.is_free(hint, size):
            return False
        return not request.is_jit or self._book.is_set("address-hint", "honoured")

    def _insert(self, request: MapRequest, address: int, size: int, overlaid: list[Entry]) -> None:
        origin = Origin.ANONYMOUS if request.is_anonymous else Origin.FILE
        if any(entry.is_jit for entry in overlaid):
            origin = Origin.OVERLAY
        self.map.insert(
            Entry(
                start=address,
                end=address + size,
                protection=_readable(request.protection),
                is_jit=request.is_jit,
                is_shared=request.is_shared,
                origin=origin,
                contents=Contents(),
                contents_start=0,
            )
        )


def _readable(protection: Protection) -> Protection:
    """Rule A6."""
    return protection | Protection.READ if protection else protection
