"""A process as Apple's contract sees it: chip, hardening, entitlements, version of macOS."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from interlock.contract.entitlements import (
    ALLOW_JIT,
    JIT_WRITE_ALLOWLIST,
    NO_ENTITLEMENTS,
    Entitlements,
)
from interlock.errors import UnknownNameError, UnsupportedError

_VERSION = re.compile(r"(\d{1,4})(?:\.(\d{1,4}))?(?:\.\d{1,4})*")


class Chip(StrEnum):
    """What executes the process's instructions."""

    APPLE_SILICON = "Apple silicon"
    INTEL = "Intel"
    ROSETTA = "Rosetta"


class MacosVersion(NamedTuple):
    """Major and minor version: 10.14, 11.2; later numbers decide nothing in the contract."""

    major: int
    minor: int = 0

    @classmethod
    def parse(cls, text: str) -> MacosVersion:
        """`11`, `11.2` or `11.2.3`."""
        found = _VERSION.fullmatch(text)
        if found is None:
            raise UnknownNameError(kind="version of macOS", name=text)
        return cls(int(found[1]), int(found[2] or 0))

    def __str__(self) -> str:
        """`11.2`."""
        return f"{self.major}.{self.minor}"


MACOS_FIRST_WITH_APPLE_SILICON = MacosVersion(11)
MACOS_DEFAULT = MacosVersion(26)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A process that the rules apply to.  `with_` makes another one of it."""

    name: str
    summary: str
    chip: Chip
    is_hardened: bool = False
    entitlements: Entitlements = NO_ENTITLEMENTS
    macos: MacosVersion = MACOS_DEFAULT

    @property
    def page_bytes(self) -> int:
        """Rule A12: 16 KiB for a native process of Apple silicon, 4 KiB for x86_64."""
        return 16384 if self.chip is Chip.APPLE_SILICON else 4096

    @property
    def is_enforcing_signatures(self) -> bool:
        """Whether a page without a signature may not be executed outside MAP_JIT memory."""
        return self.is_hardened and not self.entitlements.allows_unsigned_memory

    def with_(
        self, *, entitlements: Entitlements | None = None, macos: MacosVersion | None = None
    ) -> Profile:
        """This profile with other entitlements, or on another version of macOS."""
        changed = replace(
            self,
            entitlements=self.entitlements if entitlements is None else entitlements,
            macos=self.macos if macos is None else macos,
        )
        if changed.chip is not Chip.INTEL and changed.macos < MACOS_FIRST_WITH_APPLE_SILICON:
            feature = (
                f"profile {self.name} on macOS {changed.macos}: Apple silicon starts with 11.0"
            )
            raise UnsupportedError(feature)
        return changed


_LISTED = Entitlements.of({ALLOW_JIT: True, JIT_WRITE_ALLOWLIST: True})
_PROFILES = (
    Profile(
        name="macos-arm64",
        summary="native on Apple silicon, without the Hardened Runtime",
        chip=Chip.APPLE_SILICON,
    ),
    Profile(
        name="macos-arm64-hardened",
        summary="native on Apple silicon, hardened, with allow-jit",
        chip=Chip.APPLE_SILICON,
        is_hardened=True,
        entitlements=Entitlements.of({ALLOW_JIT: True}),
    ),
    Profile(
        name="macos-arm64-allowlist",
        summary="native on Apple silicon, hardened, with allow-jit and jit-write-allowlist",
        chip=Chip.APPLE_SILICON,
        is_hardened=True,
        entitlements=_LISTED,
    ),
    Profile(
        name="macos-x86_64",
        summary="on an Intel Mac, without the Hardened Runtime",
        chip=Chip.INTEL,
    ),
    Profile(
        name="macos-x86_64-hardened",
        summary="on an Intel Mac, hardened, with allow-jit",
        chip=Chip.INTEL,
        is_hardened=True,
        entitlements=Entitlements.of({ALLOW_JIT: True}),
    ),
    Profile(
        name="rosetta",
        summary="x86_64 code translated on Apple silicon, without the Hardened Runtime",
        chip=Chip.ROSETTA,
    ),
)
_BY_NAME = {each.name: each for each in _PROFILES}


def profiles() -> tuple[Profile, ...]:
    """All six, the one for development first."""
    return _PROFILES


def profile(name: str) -> Profile:
    """The profile of this name, for example ``macos-arm64-hardened``."""
    found = _BY_NAME.get(name)
    if found is None:
        near = tuple(difflib.get_close_matches(name, _BY_NAME, n=3, cutoff=0.4))
        raise UnknownNameError(kind="profile", name=name, near=near or tuple(_BY_NAME))
    return found
