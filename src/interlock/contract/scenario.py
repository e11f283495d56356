"""Scenarios: steps that a program takes, and what each comes to under each profile, as text.

    scenario unlisted-callback-kills
    about    A callback that is not on the list kills under the entitlement.
    rules    C8 C7
    image    main: validate

    map code 1 rwx jit
    callback other
    > macos-arm64-allowlist: kill C8
    > all: ok

A line `> PROFILES: OUTCOME` belongs to the step above it; the first line whose profiles fit decides, and where none fits the
step succeeds.  docs/explanation/contract.md has the whole language.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import TYPE_CHECKING

from interlock.contract.outcome import OutcomeKind
from interlock.contract.profile import profiles

if TYPE_CHECKING:
    from collections.abc import Mapping

    from interlock.contract.entitlements import Value
    from interlock.contract.outcome import Outcome
    from interlock.contract.profile import MacosVersion, Profile
    from interlock.contract.steps import Step
    from interlock.source import Span

ANY_NAME = "*"
# Short for the profiles that share what a rule asks.
GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "all": ("*",),
        "arm64": ("macos-arm64*",),
        "x86_64": ("macos-x86_64*", "rosetta"),
        "hardened": ("*-hardened", "macos-arm64-allowlist"),
        "toggling": ("macos-arm64", "macos-arm64-hardened"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """`> PROFILES: OUTCOME`.  `may`: the model must come to it, another machine can also succeed."""

    selectors: tuple[str, ...]
    kind: OutcomeKind
    span: Span
    name: str = ANY_NAME
    message: str = ""
    rule: str = ""
    value: int | None = None
    is_possible: bool = False

    def selects(self, profile_name: str) -> bool:
        """Whether the line is about this profile."""
        patterns = [each for name in self.selectors for each in GROUPS.get(name, (name,))]
        return any(fnmatchcase(profile_name, pattern) for pattern in patterns)

    def is_met_by(self, outcome: Outcome, *, is_exact: bool) -> bool:
        """Whether the outcome is the expected one.  A machine that knows no rules leaves `rule` and `message` empty."""
        if self.is_possible and not is_exact and outcome.kind is OutcomeKind.OK:
            return True
        return (
            outcome.kind is self.kind
            and self.name in {ANY_NAME, outcome.name}
            and (self.value is None or outcome.value == self.value)
            and (outcome.rule == self.rule or not (is_exact or outcome.rule))
            and (
                not self.message
                or outcome.message == self.message
                or not (is_exact or outcome.message)
            )
        )

    def __str__(self) -> str:
        """As it is written, without the profiles."""
        parts = ["may" if self.is_possible else "", self.kind.value]
        if self.kind not in {OutcomeKind.OK, OutcomeKind.DEAD}:
            parts.append(self.name)
        if self.value is not None:
            parts.append(str(self.value))
        parts += [self.rule, f'"{self.message}"' if self.message else ""]
        return " ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedStep:
    """A step and what it comes to."""

    step: Step
    expectations: tuple[Expectation, ...] = ()

    def expectation_for(self, profile_name: str) -> Expectation | None:
        """The line that decides for this profile; None: the step succeeds."""
        for each in self.expectations:
            if each.selects(profile_name):
                return each
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageText:
    """An image as a scenario describes it: words by name."""

    name: str
    words: tuple[str, ...]
    options: Mapping[str, str]
    span: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One scenario.  `granted` and `dropped` change the profile's entitlements."""

    name: str
    about: str
    span: Span
    rules: tuple[str, ...]
    failures: tuple[int, ...]
    steps: tuple[ExpectedStep, ...]
    selectors: tuple[str, ...] = ("all",)
    macos: MacosVersion | None = None
    granted: Mapping[str, Value] = field(default_factory=lambda: MappingProxyType({}))
    dropped: tuple[str, ...] = ()
    has_malformed_entitlements: bool = False
    switches: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    images: tuple[ImageText, ...] = ()

    def profiles(self) -> tuple[Profile, ...]:
        """The profiles that it is about, with its entitlements and version of macOS."""
        everyone = Expectation(selectors=self.selectors, kind=OutcomeKind.OK, span=self.span)
        return tuple(self._adapted(each) for each in profiles() if everyone.selects(each.name))

    def _adapted(self, profile: Profile) -> Profile:
        entitlements = profile.entitlements
        for key in self.dropped:
            entitlements = entitlements.without_key(key)
        for key, value in self.granted.items():
            entitlements = entitlements.with_key(key, value=value)
        if self.has_malformed_entitlements:
            # X6: the system ignores all of them.
            for key in tuple(entitlements.values):
                entitlements = entitlements.without_key(key)
        return profile.with_(entitlements=entitlements, macos=self.macos)
