"""Where the C library differs from a Mac, rule by rule; docs/reference/apple-on-linux.md prints it.

A rule that is not named here is applied as the contract states it, and the scenarios are the proof.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What is different."""

    MISSED = "not caught"
    ALTERED = "otherwise"
    ABSENT = "cannot occur"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What the library does not do as a Mac does, and why."""

    rules: tuple[str, ...]
    kind: Kind
    text: str
    reason: str


_ONE_PROTECTION = "pages have one protection for all threads: the processor has no switch for each"
_IN_PROCESS = "the library sees calls through the C library only, not system calls"

DIFFERENCES = (
    Difference(
        rules=("T1", "T3"),
        kind=Kind.MISSED,
        text="a thread in RX state writes JIT memory while another one is in RW state",
        reason=_ONE_PROTECTION,
    ),
    Difference(
        rules=("T2",),
        kind=Kind.ALTERED,
        text="a thread that executes JIT memory while another one is in RW state waits for it, and never runs half-written code; if the writer waits for that thread in turn the process ends after `wait-ms` with a line that names both",
        reason=_ONE_PROTECTION,
    ),
    Difference(
        rules=("K3",),
        kind=Kind.ALTERED,
        text="once another thread of a forked child has run JIT code, the first one can run it without setting its state",
        reason=_ONE_PROTECTION,
    ),
    Difference(
        rules=("T1", "T2"),
        kind=Kind.ALTERED,
        text="a program that blocks SIGBUS in the thread that faults has its handler called all the same, where a Mac ends it",
        reason="the library needs the signal itself, so it is never blocked",
    ),
    Difference(
        rules=("I1", "I5", "I6"),
        kind=Kind.MISSED,
        text="a missing or too small sys_icache_invalidate, a missing barrier",
        reason="x86-64 has coherent caches, and on AArch64 it shows by chance only; `interlock mac run` always shows it",
    ),
    Difference(
        rules=("I3",),
        kind=Kind.MISSED,
        text="cache maintenance that reads CTR_EL0",
        reason="Linux lets user mode read the register, and x86-64 has none",
    ),
    Difference(
        rules=("T10", "C24"),
        kind=Kind.ALTERED,
        text="a function that this version of macOS lacks is not NULL: calling it raises SIGSEGV, asking for its address finds it",
        reason="the linker has bound it",
    ),
    Difference(
        rules=("C10",),
        kind=Kind.ALTERED,
        text="a list in another section is not seen, and the message names C8",
        reason="nothing in an ELF image says that the section was meant to be a list",
    ),
    Difference(
        rules=("C11", "C14"),
        kind=Kind.ALTERED,
        text="in an image with two lists, whose first one ends early because of a weak callback, the message names C11",
        reason="a NULL does not say where it comes from",
    ),
    Difference(
        rules=("C16",),
        kind=Kind.ABSENT,
        text="images of the shared cache are passed over",
        reason="there is no shared cache",
    ),
    Difference(
        rules=("C2", "C18"),
        kind=Kind.MISSED,
        text="an attack on the list, on the library's own data, or past its checks",
        reason="it is in the process that it watches: it finds mistakes, and protects from nobody",
    ),
    Difference(
        rules=("A1", "A12", "P1", "P3"),
        kind=Kind.MISSED,
        text="mappings by system calls, by the C library's own functions (malloc, thread stacks, dlopen), and by mremap",
        reason=_IN_PROCESS,
    ),
    Difference(
        rules=("X2", "A14"),
        kind=Kind.ALTERED,
        text="libraries count as signed, whatever they are",
        reason="the dynamic loader maps them, which the library does not see",
    ),
    Difference(
        rules=("P8",),
        kind=Kind.MISSED,
        text="the kernel writes JIT memory by other calls than read, pread and recv; they fail in RX state only",
        reason=_IN_PROCESS,
    ),
    Difference(
        rules=("P7",),
        kind=Kind.MISSED,
        text="another process writes JIT memory",
        reason="Linux's rules for ptrace decide it",
    ),
    Difference(
        rules=("P9",),
        kind=Kind.ABSENT,
        text="a second mapping of JIT memory itself",
        reason="vm_remap has no counterpart for private memory; shared mappings of a file are there, and P9 holds for them",
    ),
    Difference(
        rules=("C4",),
        kind=Kind.ALTERED,
        text="after a jump out of a callback, JIT code that runs deeper in the stack than the callback's call was is blamed on C5 instead; the signal is the same",
        reason="the library tells by the stack pointer that the callback was left",
    ),
    Difference(
        rules=("K10",),
        kind=Kind.MISSED,
        text="libffi closures under the Hardened Runtime",
        reason="libffi makes them otherwise on Linux",
    ),
    Difference(
        rules=("K2", "K6"),
        kind=Kind.MISSED,
        text="what fork costs, and how large the address space is",
        reason="Linux's own answers",
    ),
)
