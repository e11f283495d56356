"""The steps of a scenario: one table of verbs and operands, from which the parser and the documentation derive."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from interlock.contract.memory_map import Protection
    from interlock.source import Span

MAIN_THREAD = "main"


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """A number of pages, whose size the profile gives, or of bytes."""

    number: int
    is_pages: bool

    def in_bytes(self, page_bytes: int) -> int:
        """Bytes, on pages of this size."""
        return self.number * page_bytes if self.is_pages else self.number


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """An offset in a region that an earlier step named."""

    region: str
    offset: Amount


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that a program does.  Operands that its verb does not have are empty."""

    verb: str
    thread: str
    text: str
    span: Span
    name: str = ""
    action: str = ""
    place: Place | None = None
    length: Amount | None = None
    protection: Protection | None = None
    value: int | None = None
    options: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """A word of the language: its operands (`?` may be left out), and what it does."""

    name: str
    operands: str
    text: str


VERBS = (
    Verb(
        name="start", operands="", text="what runs before `main`; needed only to state its outcome"
    ),
    Verb(
        name="map",
        operands="name length protection options",
        text="`mmap` of anonymous private memory; options: jit, shared, file, noprivate, resilient, tpro, unknown, hint, fixed=PLACE, fd=N, tag=N",
    ),
    Verb(name="unmap", operands="place length?", text="`munmap`"),
    Verb(name="protect", operands="place length? protection", text="`mprotect`"),
    Verb(
        name="advise",
        operands="place length? advice",
        text="`madvise`: FREE_REUSABLE, FREE_REUSE, ZERO, ZERO_WIRED_PAGES",
    ),
    Verb(
        name="alias",
        operands="name place length? protection",
        text="a second mapping of the same memory",
    ),
    Verb(
        name="write",
        operands="place value length?",
        text="store a function that returns the value into one cell of 16 bytes, or into each of the length",
    ),
    Verb(
        name="read",
        operands="place",
        text="load; the outcome's value is the function's that stands there",
    ),
    Verb(name="kernel-write", operands="place value", text="`read(2)` of a file into the memory"),
    Verb(
        name="execute",
        operands="place",
        text="call the function; the outcome's value is what it returned",
    ),
    Verb(
        name="invalidate",
        operands="place length?",
        text="`sys_icache_invalidate` of a cell, or of the length",
    ),
    Verb(
        name="clear-cache", operands="place length?", text="`__builtin___clear_cache` of the same"
    ),
    Verb(name="flush-by-hand", operands="", text="cache maintenance that reads CTR_EL0"),
    Verb(name="barrier", operands="", text="an ISB"),
    Verb(name="toggle", operands="value", text="`pthread_jit_write_protect_np`: 0 write, 1 run"),
    Verb(name="supported", operands="", text="`pthread_jit_write_protect_supported_np`; its value"),
    Verb(
        name="callback",
        operands="name",
        text="`pthread_jit_write_with_callback_np`: the steps up to `return` or `escape` are the callback's",
    ),
    Verb(
        name="return",
        operands="value?",
        text="the callback returns; the call's value is the outcome's",
    ),
    Verb(name="escape", operands="kind", text="the callback is left by longjmp or throw"),
    Verb(name="freeze", operands="", text="`pthread_jit_write_freeze_callbacks_np`"),
    Verb(
        name="dlopen", operands="name options words", text="load an image, as `image` describes one"
    ),
    Verb(
        name="symbol", operands="name", text="`dlsym` of a function of the API: 1 there, 0 missing"
    ),
    Verb(name="thread", operands="name", text="start a thread; its steps begin with @NAME"),
    Verb(name="end-thread", operands="", text="the thread ends"),
    Verb(
        name="fork",
        operands="name",
        text="`fork`; the steps of the child's one thread begin with @NAME",
    ),
    Verb(name="exec", operands="", text="`execve` of the same program"),
    Verb(
        name="handler",
        operands="signal action",
        text="`sigaction`: catch goes on behind the access that faulted, heal toggles to RW and tries it again",
    ),
    Verb(
        name="deliver",
        operands="signal",
        text="a signal arrives: the steps up to `handler-return` are the handler's",
    ),
    Verb(name="handler-return", operands="", text="the handler returns"),
    Verb(name="closure", operands="", text="make a libffi closure, as importing ctypes does"),
    Verb(name="page-size", operands="", text="`getpagesize()`; its value"),
    Verb(name="alive", operands="", text="`dead` once the process has ended, `ok` before"),
)
VERB_OF: Mapping[str, Verb] = MappingProxyType({verb.name: verb for verb in VERBS})
