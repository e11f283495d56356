"""The words in which the tables of rules are written: short names for what they repeat."""

from __future__ import annotations

from interlock.contract.entitlements import (
    ALLOW_UNSIGNED_EXECUTABLE_MEMORY,
    DISABLE_EXECUTABLE_PAGE_PROTECTION,
    JIT_WRITE_ALLOWLIST,
    JIT_WRITE_ALLOWLIST_FREEZE_LATE,
)
from interlock.contract.profile import Chip
from interlock.contract.rule import (
    ALWAYS,
    ANY_ERRNO,
    Condition,
    Effect,
    EffectKind,
    Evidence,
    Mark,
    System,
)

UNSIGNED = (ALLOW_UNSIGNED_EXECUTABLE_MEMORY, DISABLE_EXECUTABLE_PAGE_PROTECTION)
LIST = (JIT_WRITE_ALLOWLIST,)
LATE = (JIT_WRITE_ALLOWLIST, JIT_WRITE_ALLOWLIST_FREEZE_LATE)
NATIVE = frozenset({Chip.APPLE_SILICON})
X86 = frozenset({Chip.INTEL, Chip.ROSETTA})

ON_APPLE_SILICON = Condition(chips=NATIVE)
ON_X86 = Condition(chips=X86)
HARDENED = Condition(hardened=True)
ENFORCING = Condition(hardened=True, not_entitled=UNSIGNED)
X86_ENFORCING = Condition(chips=X86, hardened=True, not_entitled=UNSIGNED)
LISTED = Condition(chips=NATIVE, entitled=LIST)
LISTED_LATE = Condition(chips=NATIVE, entitled=LATE)
LISTED_EARLY = Condition(
    chips=NATIVE, entitled=LIST, not_entitled=(JIT_WRITE_ALLOWLIST_FREEZE_LATE,)
)
ON_IOS = Condition(chips=NATIVE, system=System.IOS)

_CLIENT_BUG = "BUG IN CLIENT OF LIBPTHREAD: "
_INVALID_PAGE = "Code Signature Invalid: CODESIGNING, code 2, Invalid Page"


def none(text: str, *, when: Condition = ALWAYS) -> Effect:
    """Nothing happens: the rule states a fact."""
    return Effect(kind=EffectKind.NONE, text=text, when=when)


def silent(text: str, *, when: Condition = ALWAYS) -> Effect:
    """The system says nothing, and something is wrong."""
    return Effect(kind=EffectKind.SILENT, text=text, when=when)


def errno(name: str, text: str, *, when: Condition = ALWAYS) -> Effect:
    """A call fails with this errno."""
    return Effect(kind=EffectKind.ERRNO, name=name, text=text, when=when)


def any_errno(text: str, *, when: Condition = ALWAYS) -> Effect:
    """A call fails; with which errno is not settled."""
    return Effect(kind=EffectKind.ERRNO, name=ANY_ERRNO, text=text, when=when)


def signal(name: str, text: str, *, when: Condition = ALWAYS) -> Effect:
    """The thread gets this signal."""
    return Effect(kind=EffectKind.SIGNAL, name=name, text=text, when=when)


def crash(message: str, text: str, *, when: Condition = ALWAYS) -> Effect:
    """The system's thread library ends the process on purpose; SIGTRAP is inferred (C8)."""
    return Effect(
        kind=EffectKind.KILL, name="SIGTRAP", message=_CLIENT_BUG + message, text=text, when=when
    )


def code_signing_kill(text: str, *, when: Condition = ALWAYS) -> Effect:
    """The kernel ends the process because of a page without a valid signature."""
    return Effect(kind=EffectKind.KILL, name="SIGKILL", message=_INVALID_PAGE, text=text, when=when)


def kill(message: str, text: str, *, when: Condition = ALWAYS) -> Effect:
    """The kernel ends the process for this reason."""
    return Effect(kind=EffectKind.KILL, name="SIGKILL", message=message, text=text, when=when)


def build(text: str, *, when: Condition = ALWAYS) -> Effect:
    """The program does not compile, link or load."""
    return Effect(kind=EffectKind.BUILD, text=text, when=when)


def doc(source: str) -> Evidence:
    """Apple says so."""
    return Evidence(mark=Mark.DOC, source=source)


def src(source: str) -> Evidence:
    """Read in Apple's published source."""
    return Evidence(mark=Mark.SRC, source=source)


def tested(source: str) -> Evidence:
    """Asserted by a published test of Apple's."""
    return Evidence(mark=Mark.TEST, source=source)


def obs(source: str) -> Evidence:
    """Reported from a real machine."""
    return Evidence(mark=Mark.OBS, source=source)


def inf(source: str) -> Evidence:
    """Inferred."""
    return Evidence(mark=Mark.INF, source=source)


def unk(source: str) -> Evidence:
    """Not known."""
    return Evidence(mark=Mark.UNK, source=source)
