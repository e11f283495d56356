"""What the auditor says: a match of a rule at a place, and the finding that it is under a profile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Severity(IntEnum):
    """How bad a finding is; ordered, so that the worst of several is their maximum."""

    NOTE = 1
    WARNING = 2
    ERROR = 3

    def __str__(self) -> str:
        """`error`."""
        return self.name.lower()

    @property
    def lowered(self) -> Severity:
        """One step less, never less than a note."""
        return Severity(max(self - 1, Severity.NOTE))


class Profile(StrEnum):
    """The process that is judged; those for macOS are the contract's of the same name."""

    MACOS_ARM64 = "macos-arm64"
    MACOS_ARM64_HARDENED = "macos-arm64-hardened"
    MACOS_ARM64_ALLOWLIST = "macos-arm64-allowlist"
    MACOS_X86_64_HARDENED = "macos-x86_64-hardened"
    IOS_BROWSER_ENGINE = "ios-browser-engine"

    @property
    def architecture(self) -> str:
        """As Mach-O files name it."""
        return "x86_64" if self is Profile.MACOS_X86_64_HARDENED else "arm64"

    @property
    def is_hardened(self) -> bool:
        """Whether the process has the Hardened Runtime."""
        return self is not Profile.MACOS_ARM64


DEFAULT_PROFILE = Profile.MACOS_ARM64_HARDENED

Levels = Mapping[Profile, Severity | None]  # None: the rule says nothing under this profile


def everywhere(severity: Severity) -> dict[Profile, Severity | None]:
    """One severity under each profile."""
    return dict.fromkeys(Profile, severity)


class Origin(StrEnum):
    """Whose file it is, as its path tells.  What is not the project's own is lowered, never hidden."""

    OWN = "own"
    TEST = "test"
    VENDORED = "vendored"
    OTHER_SYSTEM = "other system"

    def weigh(self, severity: Severity) -> Severity:
        """A severity as it counts in such a file."""
        if self is Origin.OTHER_SYSTEM:
            return Severity.NOTE
        return severity if self is Origin.OWN else severity.lowered


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where something stands.

    `path` has `/` between its parts, and `!` before the name of an archive's member: `dist/a.whl!a/b.so`.  Lines and columns count
    from 1 and a range's end is exclusive; a binary has none, but may have an `architecture`, a `section` and an `offset` in its file.
    """

    path: str
    line: int = 0
    column: int = 0
    end_line: int = 0
    end_column: int = 0
    architecture: str = ""
    section: str = ""
    offset: int | None = None

    def __str__(self) -> str:
        """`a.c:12:3`, or `a.dylib (arm64, __DATA_CONST,__pth_jit_func)`."""
        if self.line:
            return f"{self.path}:{self.line}:{self.column or 1}"
        inside = [each for each in (self.architecture, self.section) if each]
        if self.offset is not None:
            inside.append(f"offset {self.offset:#x}")
        return f"{self.path} ({', '.join(inside)})" if inside else self.path


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Another place that belongs to a finding: what happens there."""

    place: Place
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """Replace the bytes `start` to `end` of a file."""

    path: str
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """Edits that mend a finding; a safe one changes nothing that works."""

    title: str
    edits: tuple[Edit, ...]
    is_safe: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """What a rule saw.  `condition` is what must hold for it (`only with LUAJIT_ENABLE_OSX_HRT`)."""

    place: Place
    message: str
    condition: str = ""
    steps: tuple[Step, ...] = ()
    fixes: tuple[Fix, ...] = ()
    levels: Levels | None = None  # where this occurrence is better or worse than its rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A match, with the severity that it has under the profile and in this file."""

    rule: str
    severity: Severity
    origin: Origin
    match: Match

    @property
    def place(self) -> Place:
        """Where it is."""
        return self.match.place

    @property
    def message(self) -> str:
        """What is wrong, with its condition."""
        return (
            f"{self.match.message} ({self.match.condition})"
            if self.match.condition
            else self.match.message
        )

    @property
    def order(self) -> tuple[str, int, int, int, str, str, str]:
        """What findings are sorted by."""
        place = self.place
        return (
            place.path,
            place.line,
            place.column,
            -1 if place.offset is None else place.offset,
            self.rule,
            place.architecture,
            self.message,
        )
