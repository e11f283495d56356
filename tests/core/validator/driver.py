"""Drives the code validator through ctypes."""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

RODATA_DELTA = 64 << 20


class CRelocation(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in ("offset", "kind", "target")]


class CJumpTable(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in ("rodata_offset", "count", "base_offset")]


class CImage(ctypes.Structure):
    _fields_ = [
        *(
            (name, ctypes.c_uint32)
            for name in (
                "arch",
                "code_bytes",
                "rodata_bytes",
                "entry_count",
                "relocation_count",
                "jump_table_count",
            )
        ),
        *(
            (name, ctypes.c_void_p)
            for name in ("code", "rodata", "entries", "relocations", "jump_tables")
        ),
    ]


class CVerdict(ctypes.Structure):
    _fields_ = [
        ("rule", ctypes.c_uint32),
        ("offset", ctypes.c_uint32),
        ("bytes", ctypes.c_uint8 * 16),
        ("bytes_count", ctypes.c_uint32),
        ("detail", ctypes.c_char * 96),
    ]


# IL_POLICY_PERMITTED: our own limits.
POLICY_MAXIMA = {
    "image_code_bytes_max": 4 << 20,
    "image_rodata_bytes_max": 4 << 20,
    "image_entries_max": 4096,
    "image_relocations_max": 65536,
    "image_tables_max": 1024,
    "frame_bytes_max": 256 << 10,
}


class CPolicy(ctypes.Structure):
    _fields_ = [
        ("refused_classes", ctypes.c_uint32),
        ("refused_imports", ctypes.c_uint32 * 8),
        *((name, ctypes.c_uint32) for name in POLICY_MAXIMA),
    ]


REPORT = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.POINTER(CVerdict))


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What is handed to the validator."""

    code: bytes
    rodata: bytes = b""
    entries: tuple[int, ...] = (0,)
    relocations: tuple[tuple[int, int, int], ...] = ()
    tables: tuple[tuple[int, int, int], ...] = ()  # rodata offset, count, base
    arch: int = 1
    imports: int = 0
    policy: dict[str, int] = field(default_factory=dict)  # fields of il_policy that are narrower
    counts: dict[str, int] = field(default_factory=dict)  # lies about a count


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    rule: int
    offset: int
    bytes: bytes
    detail: str


class Validator:
    """The C functions, with Python values."""

    def __init__(self, path: Path) -> None:
        self._lib = ctypes.CDLL(os.fspath(path))
        pointer = ctypes.c_void_p
        self._lib.il_validate.argtypes = [pointer, pointer, ctypes.c_uint32, pointer]
        self._lib.il_validate_all.argtypes = [
            pointer,
            pointer,
            ctypes.c_uint32,
            REPORT,
            pointer,
            pointer,
        ]

    def first(self, image: Image) -> Violation | None:
        """The verdict of il_validate; None when accepted."""
        c_image, keep = _c_image(image)
        policy = _c_policy(image.policy)
        verdict = CVerdict()
        status = self._lib.il_validate(
            ctypes.byref(c_image), ctypes.byref(policy), image.imports, ctypes.byref(verdict)
        )
        del keep
        if status not in (0, 1) or (status == 0) != (verdict.rule == 0):
            raise AssertionError((status, verdict.rule))
        return None if status == 0 else _violation(verdict)

    def every(self, image: Image) -> list[Violation]:
        """What il_validate_all reports."""
        c_image, keep = _c_image(image)
        policy = _c_policy(image.policy)
        found: list[Violation] = []

        def report(_context: Any, verdict: Any) -> None:
            found.append(_violation(verdict.contents))

        count = ctypes.c_uint32()
        status = self._lib.il_validate_all(
            ctypes.byref(c_image),
            ctypes.byref(policy),
            image.imports,
            REPORT(report),
            None,
            ctypes.byref(count),
        )
        del keep
        if count.value != len(found) or (status == 0) != (not found):
            raise AssertionError((status, count.value, found))
        return found

    def accepts(self, code: bytes) -> bool:
        """Whether an image of nothing but this code, entered at its start, is accepted."""
        return self.first(Image(code=code)) is None

    def accepts_instruction(self, encoding: bytes) -> bool:
        """Whether the encoding, with a ret behind it, passes each rule."""
        return self.accepts(encoding + b"\xc3")


def _violation(verdict: CVerdict) -> Violation:
    return Violation(
        rule=verdict.rule,
        offset=verdict.offset,
        bytes=bytes(verdict.bytes[: verdict.bytes_count]),
        detail=verdict.detail.decode("ascii"),
    )


def _c_policy(fields: dict[str, int]) -> CPolicy:
    values = POLICY_MAXIMA | fields
    words = values.pop("refused_imports", 0).to_bytes(32, "little")
    return CPolicy(refused_imports=(ctypes.c_uint32 * 8).from_buffer_copy(words), **values)


def _c_image(image: Image) -> tuple[CImage, list[Any]]:
    arrays = {
        "code": (ctypes.c_uint8 * max(1, len(image.code)))(*image.code),
        "rodata": (ctypes.c_uint8 * max(1, len(image.rodata)))(*image.rodata),
        "entries": (ctypes.c_uint32 * max(1, len(image.entries)))(*image.entries),
        "relocations": (CRelocation * max(1, len(image.relocations)))(
            *(CRelocation(*item) for item in image.relocations)
        ),
        "jump_tables": (CJumpTable * max(1, len(image.tables)))(
            *(CJumpTable(*item) for item in image.tables)
        ),
    }
    counts = {
        "code_bytes": len(image.code),
        "rodata_bytes": len(image.rodata),
        "entry_count": len(image.entries),
        "relocation_count": len(image.relocations),
        "jump_table_count": len(image.tables),
    }
    result = CImage(arch=image.arch, **(counts | image.counts))
    for name, array in arrays.items():
        setattr(result, name, ctypes.cast(array, ctypes.c_void_p).value)
    return result, list(arrays.values())
