"""The machine that code is made for.  Immutable, shared, part of every cache key."""

from __future__ import annotations

import enum
import os
import sys
from dataclasses import dataclass


class Arch(enum.Enum):
    """Instruction set; the value is the core's `il_arch`."""

    X86_64 = 1
    AARCH64 = 2


class System(enum.Enum):
    """Operating system."""

    LINUX = "linux"
    MACOS = "macos"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Architecture, system, and the CPU features which generated code may use (LLVM's names)."""

    arch: Arch
    system: System
    cpu: str
    features: tuple[str, ...] = ()

    @property
    def triple(self) -> str:
        """LLVM's target triple.  Objects are ELF on every system, since only our linker reads them."""
        return f"{self.arch.name.lower()}-unknown-linux-gnu"

    def __str__(self) -> str:
        """As on the command line: `x86_64-linux`."""
        return f"{self.arch.name.lower()}-{self.system.value}"


X86_64_LINUX_V2 = Target(arch=Arch.X86_64, system=System.LINUX, cpu="x86-64-v2")
X86_64_LINUX_V3 = Target(arch=Arch.X86_64, system=System.LINUX, cpu="x86-64-v3")
# What every AArch64 processor has.  x18 belongs to the platform: macOS and Windows change it at any time.
AARCH64_LINUX = Target(
    arch=Arch.AARCH64, system=System.LINUX, cpu="generic", features=("+reserve-x18",)
)

# Not in TARGETS, and nothing of it has run on a Mac.  macOS 12 runs on processors without AVX2.
X86_64_MACOS = Target(arch=Arch.X86_64, system=System.MACOS, cpu="x86-64-v2")
AARCH64_MACOS = Target(
    arch=Arch.AARCH64, system=System.MACOS, cpu="apple-m1", features=("+reserve-x18",)
)

TARGETS = {str(each): each for each in (X86_64_LINUX_V3, AARCH64_LINUX)}
"""By their names on the command line."""

# What x86-64-v3 asks for beyond v2 (System V ABI, AMD64 supplement, "Micro-Architecture Levels").
_V3_FLAGS = frozenset({"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"})
_V2_FLAGS = frozenset({"cx16", "lahf_lm", "popcnt", "sse4_1", "sse4_2", "ssse3"})


def host_target() -> Target | None:
    """The target of this machine, or None where this version generates no code for it."""
    if sys.platform not in {"linux", "darwin"}:
        return None
    system, machine = sys.platform, os.uname().machine
    fixed = {
        ("linux", "aarch64"): AARCH64_LINUX,
        ("darwin", "arm64"): AARCH64_MACOS,
        ("darwin", "x86_64"): X86_64_MACOS,
    }
    if (system, machine) != ("linux", "x86_64"):
        return fixed.get((system, machine))
    flags = _cpu_flags()
    if flags >= _V3_FLAGS | _V2_FLAGS:
        return X86_64_LINUX_V3
    return X86_64_LINUX_V2 if flags >= _V2_FLAGS else None


def _cpu_flags() -> frozenset[str]:
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as info:
        for line in info:
            if line.startswith("flags"):
                return frozenset(line.partition(":")[2].split())
    return frozenset()
