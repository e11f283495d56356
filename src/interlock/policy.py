"""The embedder's own rules for machine code: data that can only narrow ours (docs/reference/policy.md)."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from interlock import limits

# The fields that are numbers, in the order of the core's `il_policy`, and our own limit of each.
MAXIMA: Final = {
    "image_code_bytes_max": limits.IMAGE_CODE_BYTES_MAX,
    "image_rodata_bytes_max": limits.IMAGE_RODATA_BYTES_MAX,
    "image_entries_max": limits.IMAGE_ENTRIES_MAX,
    "image_relocations_max": limits.IMAGE_RELOCATIONS_MAX,
    "image_tables_max": limits.IMAGE_TABLES_MAX,
    "frame_bytes_max": limits.FRAME_BYTES_MAX,
}


class InstructionClass(enum.Enum):
    """Classes of instructions; the value is the core's `il_instruction_class`.  An instruction can be in several."""

    INTEGER = 1 << 0  # moves, arithmetic, logic, flags
    STACK = 1 << 1  # push, pop, leave
    BRANCH = 1 << 2  # direct jumps and calls, ret
    INDIRECT = 1 << 3  # calls and jumps through a register or memory
    STRING = 1 << 4  # rep movs, rep stos
    ATOMIC = 1 << 5  # lock prefix, xchg with memory, fences
    BIT = 1 << 6  # bit manipulation extensions
    SSE = 1 << 7  # legacy-encoded vector and floating point
    AVX = 1 << 8  # VEX-encoded vector and floating point
    FMA = 1 << 9  # fused multiply-add, half-precision conversion
    TRAP = 1 << 10  # trap words
    NOP = 1 << 11  # nops, landing pads, pause, prefetch
    SIMD = 1 << 12  # AArch64: vectors and floating point


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What an arena's code may not do, beyond our own policy: handed to the writer process once, and frozen there.

    `refused_classes`: instructions of these classes are refused.
    `refused_imports`: names of imports to which no relocation may refer.
    `image_…_max`: of one image (for an engine: of one function).
    `frame_bytes_max`: of one adjustment of the stack pointer; `push` and `pop` are `InstructionClass.STACK`.

    Each maximum starts at our own limit and can only be lowered; 0 permits none.  Code that breaks the policy is refused
    with rule V050.  Raises `ValueError` for a value outside its bounds.
    """

    refused_classes: frozenset[InstructionClass] = frozenset()
    refused_imports: frozenset[str] = frozenset()
    image_code_bytes_max: int = limits.IMAGE_CODE_BYTES_MAX
    image_rodata_bytes_max: int = limits.IMAGE_RODATA_BYTES_MAX
    image_entries_max: int = limits.IMAGE_ENTRIES_MAX
    image_relocations_max: int = limits.IMAGE_RELOCATIONS_MAX
    image_tables_max: int = limits.IMAGE_TABLES_MAX
    frame_bytes_max: int = limits.FRAME_BYTES_MAX

    def __post_init__(self) -> None:
        """Check here what ctypes would cut off; whether the policy is narrower is decided in the writer again."""
        for name, ours in MAXIMA.items():
            value = getattr(self, name)
            if not 0 <= value <= ours:
                message = f"Policy.{name} is {value}; it must be between 0 and {ours}"
                raise ValueError(message)
        if unknown := self.refused_classes - set(InstructionClass):
            message = f"Policy.refused_classes holds {unknown}, which are no InstructionClass"
            raise ValueError(message)
