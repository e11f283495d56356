"""What a rule of Apple's contract is: types without content; the content is in `rules_*.py`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from interlock.contract.entitlements import short_name
from interlock.contract.profile import Chip

if TYPE_CHECKING:
    from interlock.contract.profile import MacosVersion, Profile

ANY_ERRNO = "any"  # the sources do not agree on the number, or nobody wrote it down


class Mark(StrEnum):
    """How a statement is known; `apple-contract.md` explains each."""

    MAC = "MAC"
    DOC = "DOC"
    SRC = "SRC"
    TEST = "TEST"
    OBS = "OBS"
    INF = "INF"
    UNK = "UNK"


MARK_MEANINGS = {
    Mark.MAC: "what the probe saw on a real Mac; it may also speak against the rule",
    Mark.DOC: "Apple says so: header comment, manual page or developer documentation",
    Mark.SRC: "read in Apple's published source",
    Mark.TEST: "asserted by one of Apple's own published tests",
    Mark.OBS: "a third party reports it from a real machine",
    Mark.INF: "inferred from the others; plausible, and stated nowhere",
    Mark.UNK: "answered by nothing that was read; do not build on it without a Mac",
}


class System(StrEnum):
    """Where a rule holds.  Everything but section O is about macOS."""

    MACOS = "macOS"
    IOS = "iOS"


class Observation(StrEnum):
    """How anyone could see that the rule holds."""

    SCENARIO = "by running a scenario"
    STATIC = "by reading sources, binaries or property lists"
    ADVICE = "not at all: it is advice, or costs time and memory only"
    DEVICE = "on a device only"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """When a rule or an effect applies; every part that is given must hold."""

    chips: frozenset[Chip] = frozenset(Chip)
    hardened: bool | None = None
    entitled: tuple[str, ...] = ()
    not_entitled: tuple[str, ...] = ()
    macos_from: MacosVersion | None = None
    macos_before: MacosVersion | None = None
    system: System = System.MACOS

    def holds_for(self, profile: Profile) -> bool:
        """Whether a process of this profile is meant."""
        return (
            self.system is System.MACOS
            and profile.chip in self.chips
            and self.hardened in {None, profile.is_hardened}
            and all(profile.entitlements.has(key) for key in self.entitled)
            and not any(profile.entitlements.has(key) for key in self.not_entitled)
            and (self.macos_from is None or profile.macos >= self.macos_from)
            and (self.macos_before is None or profile.macos < self.macos_before)
        )

    def __str__(self) -> str:
        """`Apple silicon, hardened, without allow-jit, macOS 11.2 and later`."""
        parts = [] if self.system is System.MACOS else [self.system.value]
        if self.chips != frozenset(Chip):
            parts.append(" or ".join(chip.value for chip in Chip if chip in self.chips))
        if self.hardened is not None:
            parts.append("hardened" if self.hardened else "not hardened")
        if self.entitled:
            parts.append("with " + " and ".join(map(short_name, self.entitled)))
        if self.not_entitled:
            parts.append("without " + ", ".join(map(short_name, self.not_entitled)))
        if self.macos_from is not None:
            parts.append(f"macOS {self.macos_from} and later")
        if self.macos_before is not None:
            parts.append(f"before macOS {self.macos_before}")
        return ", ".join(parts) or "always"


ALWAYS = Condition()


class EffectKind(StrEnum):
    """What the system does when the rule is not kept."""

    NONE = "none"
    SILENT = "silent"
    ERRNO = "errno"
    SIGNAL = "signal"
    KILL = "kill"
    BUILD = "build"


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One consequence.  `name` is the errno or the signal, `message` Apple's text of a crash report."""

    kind: EffectKind
    text: str
    name: str = ""
    message: str = ""
    when: Condition = ALWAYS

    def __str__(self) -> str:
        """`kill SIGTRAP "BUG IN …": the callback is not listed (Apple silicon)`."""
        name = f" {self.name}" if self.name else ""
        message = f' "{self.message}"' if self.message else ""
        when = f" ({self.when})" if self.when != ALWAYS else ""
        return f"{self.kind.value}{name}{message}: {self.text}{when}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A source, and how far it carries."""

    mark: Mark
    source: str

    def __str__(self) -> str:
        """`DOC pthread.h`."""
        return f"{self.mark.value} {self.source}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule: what must be kept, when, what happens otherwise, and who says so."""

    id: str
    statement: str
    effects: tuple[Effect, ...]
    evidence: tuple[Evidence, ...]
    observation: Observation
    example: str
    when: tuple[Condition, ...] = (ALWAYS,)

    @property
    def marks(self) -> tuple[Mark, ...]:
        """The marks of its evidence, strongest first."""
        found = {each.mark for each in self.evidence}
        return tuple(mark for mark in Mark if mark in found)

    def applies_to(self, profile: Profile) -> bool:
        """Whether the rule concerns a process of this profile."""
        return any(condition.holds_for(profile) for condition in self.when)

    def effect_for(self, profile: Profile, kind: EffectKind) -> Effect | None:
        """The first effect of this kind that a process of this profile meets."""
        for effect in self.effects:
            if effect.kind is kind and effect.when.holds_for(profile):
                return effect
        return None
