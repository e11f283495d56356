"""Drives the code validator through ctypes."""

from __future__ import annotations

import ctypes
import functools
import mmap
import os
import struct
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
    missing: str = ""  # the array that is NULL


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
        images = [pointer, pointer, ctypes.c_uint32]
        self._lib.il_validate.argtypes = [*images, pointer, pointer, pointer]

    def status(self, image: Image, *, null: str = "") -> int:
        """What il_validate returns: il_status; null: the argument that is NULL."""
        return self._validate(image, None, null)[0]

    def _validate(self, image: Image, report: Any, null: str = "") -> tuple[int, CVerdict]:
        verdict = CVerdict()
        values = {"image": _c_image(image), "policy": _c_policy(image.policy), "verdict": verdict}
        pointers = {name: ctypes.byref(value) for name, value in values.items() if name != null}
        status = self._lib.il_validate(
            pointers.get("image"),
            pointers.get("policy"),
            image.imports,
            report,
            None,
            pointers.get("verdict"),
        )
        return int(status), verdict

    def first(self, image: Image) -> Violation | None:
        """The verdict of il_validate; None when accepted."""
        status, verdict = self._validate(image, None)
        if status not in (0, 1) or (status == 0) != (verdict.rule == 0):
            raise AssertionError((status, verdict.rule))
        return None if status == 0 else _violation(verdict)

    def every(self, image: Image) -> list[Violation]:
        """What il_validate reports."""
        found: list[Violation] = []

        def report(_context: Any, verdict: Any) -> None:
            found.append(_violation(verdict.contents))

        status, verdict = self._validate(image, REPORT(report))
        if (status == 0) != (not found) or (found and _violation(verdict) != found[-1]):
            raise AssertionError((status, found))
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


class _Fence:
    """Memory before a page that cannot be read: an array that is read past its end is a crash."""

    def __init__(self) -> None:
        page = mmap.PAGESIZE
        # Private: a forked process must not write into the arrays of another.
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        self._map = mmap.mmap(-1, FENCE_BYTES + page, flags=flags)
        self._start = ctypes.addressof(ctypes.c_char.from_buffer(self._map))
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.mprotect(ctypes.c_void_p(self._start + FENCE_BYTES), page, 0) != 0:
            raise OSError(ctypes.get_errno(), "mprotect")

    def place(self, data: bytes) -> int:
        """Copies data to the end; its address."""
        start = FENCE_BYTES - len(data)
        self._map[start:FENCE_BYTES] = data
        return self._start + start


FENCE_BYTES = 8 << 20
_ARRAYS = ("code", "rodata", "entries", "relocations", "jump_tables")


@functools.cache
def _fences() -> dict[str, _Fence]:
    return {name: _Fence() for name in _ARRAYS}


def _c_image(image: Image) -> CImage:
    """Valid until the next one is made."""
    numbers = (
        image.entries,
        [n for item in image.relocations for n in item],
        [n for item in image.tables for n in item],
    )
    data = (image.code, image.rodata, *(struct.pack(f"<{len(n)}I", *n) for n in numbers))
    counts = {
        "code_bytes": len(image.code),
        "rodata_bytes": len(image.rodata),
        "entry_count": len(image.entries),
        "relocation_count": len(image.relocations),
        "jump_table_count": len(image.tables),
    }
    result = CImage(arch=image.arch, **(counts | image.counts))
    for name, array in zip(_ARRAYS, data, strict=True):
        setattr(result, name, None if name == image.missing else _fences()[name].place(array))
    return result
