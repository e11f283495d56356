"""The core's library through plain ctypes, without the package: what the tests of code memory drive.

Imported by tests, and by the processes that they start (which is why it needs nothing but the standard library).
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

OK: Final = 0
REJECTED: Final = 1
INVALID_ARGUMENT: Final = 3
NO_MEMORY: Final = 4
SYSTEM: Final = 5
WRITER_LOST: Final = 6
UNSUPPORTED: Final = 7
STALE: Final = 8
FORKED: Final = 9
PROTOCOL: Final = 10

VIEW_BYTES: Final = 64 << 20
# IL_PAYLOAD_FILE_BYTES: the largest image's arrays, in whole 64 KiB
PAYLOAD_BYTES: Final = 0x8D0000
# endbr64; mov eax, 42; ret
RETURNS_42: Final = bytes.fromhex("f30f1efa b82a000000 c3")

_u32, _u64, _pointer = ctypes.c_uint32, ctypes.c_uint64, ctypes.c_void_p


class Image(ctypes.Structure):
    """il_image."""

    _fields_ = (
        ("arch", _u32),
        ("code_bytes", _u32),
        ("rodata_bytes", _u32),
        ("entry_count", _u32),
        ("relocation_count", _u32),
        ("jump_table_count", _u32),
        ("code", _pointer),
        ("rodata", _pointer),
        ("entries", _pointer),
        ("relocations", _pointer),
        ("jump_tables", _pointer),
    )


class Verdict(ctypes.Structure):
    """il_verdict."""

    _fields_ = (
        ("rule", _u32),
        ("offset", _u32),
        ("bytes", ctypes.c_uint8 * 16),
        ("bytes_count", _u32),
        ("detail", ctypes.c_char * 96),
    )


class RegionInfo(ctypes.Structure):
    """il_region_info."""

    _fields_ = (
        ("code_base", _u64),
        ("rodata_base", _u64),
        ("view_bytes", _u64),
        ("writer", _u32),
        ("writer_pid", ctypes.c_int32),
        ("has_seals", ctypes.c_bool),
        ("has_mseal", ctypes.c_bool),
        ("code_bytes_used", _u64),
    )


class Failure(ctypes.Structure):
    """il_failure."""

    _fields_ = (("operation", ctypes.c_char_p), ("error_number", ctypes.c_int32))


class Core:
    """The functions of libinterlock that concern code memory."""

    def __init__(self, directory: Path) -> None:
        self.writer_path = str(directory / "interlock-writer")
        self.library = ctypes.CDLL(str(directory / "libinterlock.so"))
        self.library.il_arena_open.argtypes = [_pointer, _u32, _pointer, _u64, _pointer]
        self.library.il_publish.argtypes = [_u64, _pointer, _pointer, _pointer, _pointer]
        self.library.il_arena_close.argtypes = [_u64]
        self.library.il_retire.argtypes = [_u64]
        self.library.il_rule_text.restype = ctypes.c_char_p
        self.library.il_status_text.restype = ctypes.c_char_p

    def open_region(self, writer_path: str | None = None) -> int:
        """il_region_open, with the writer beside the library unless told otherwise."""
        return int(self.library.il_region_open((writer_path or self.writer_path).encode()))

    def describe(self) -> RegionInfo:
        """il_region_describe."""
        info = RegionInfo()
        if self.library.il_region_describe(ctypes.byref(info)) != OK:
            raise OSError(self.failure())
        return info

    def failure(self) -> tuple[str, int]:
        """il_last_failure."""
        found = Failure()
        self.library.il_last_failure(ctypes.byref(found))
        return (found.operation or b"").decode(), found.error_number

    def open_arena(self, bytes_max: int, imports: tuple[int, ...] = ()) -> tuple[int, int]:
        """il_arena_open: status and handle."""
        table = (_u64 * len(imports))(*imports)
        arena = _u64()
        status = self.library.il_arena_open(
            table if imports else None, len(imports), None, bytes_max, ctypes.byref(arena)
        )
        return status, arena.value

    def close_arena(self, arena: int) -> int:
        """il_arena_close."""
        return int(self.library.il_arena_close(arena))

    def publish(
        self,
        arena: int,
        code: bytes,
        *,
        rodata: bytes = b"",
        entries: tuple[int, ...] = (0,),
        relocations: tuple[tuple[int, int], ...] = (),
    ) -> tuple[int, int, int, Verdict]:
        """il_publish: status, handle, address, verdict.  Relocations are (offset, import index)."""
        entry_array = (_u32 * len(entries))(*entries)
        words = [word for offset, index in relocations for word in (offset, 4, index)]
        relocation_array = (_u32 * len(words))(*words)
        image = Image(
            arch=1,
            code_bytes=len(code),
            rodata_bytes=len(rodata),
            entry_count=len(entries),
            relocation_count=len(relocations),
            code=ctypes.cast(ctypes.c_char_p(code), _pointer),
            rodata=ctypes.cast(ctypes.c_char_p(rodata), _pointer),
            entries=ctypes.cast(entry_array, _pointer),
            relocations=ctypes.cast(relocation_array, _pointer),
        )
        handle, address, verdict = _u64(), _u64(), Verdict()
        status = self.library.il_publish(
            arena,
            ctypes.byref(image),
            ctypes.byref(handle),
            ctypes.byref(address),
            ctypes.byref(verdict),
        )
        return status, handle.value, address.value, verdict

    def retire(self, code: int) -> int:
        """il_retire."""
        return int(self.library.il_retire(code))


def call(address: int) -> int:
    """Call `int f(void)` at an address."""
    return int(ctypes.CFUNCTYPE(ctypes.c_int)(address)())
