"""The core's library through plain ctypes, without the package: what the tests of code memory drive.

Imported by tests, and by the processes that they start (which is why it needs nothing but the standard library).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import threading
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

# ---- Machine code of this machine ---------------------------------------------------------------------------------------

# Set by tools/test_aarch64.py, whose machine is an emulator: qemu-user.
IS_QEMU: Final = "INTERLOCK_TEST_QEMU" in os.environ
IS_AARCH64: Final = platform.machine() in {"aarch64", "arm64"}
ARCH: Final = 2 if IS_AARCH64 else 1


def code(*, x86_64: str, aarch64: str) -> bytes:
    """This machine's of the two, which do the same: bytes, or words of 32 bits, in hexadecimal."""
    words = (int(word, 16).to_bytes(4, "little") for word in aarch64.split())
    return b"".join(words) if IS_AARCH64 else bytes.fromhex(x86_64)


LANDING: Final = code(x86_64="f30f1efa", aarch64="d503245f")
RETURN: Final = code(x86_64="c3", aarch64="d65f03c0")
NOP: Final = code(x86_64="90", aarch64="d503201f")
POISON: Final = code(x86_64="cc", aarch64="d42aa1a0")
SYSTEM_CALL: Final = code(x86_64="0f05", aarch64="d4000001")
# Calls an import, which is relocated: (offset, kind) of the branch.
CALL_IMPORT: Final = LANDING + code(
    x86_64="50 e800000000 59 c3",  # push rax; call; pop rcx; ret
    aarch64="a9bf7bfd 94000000 a8c17bfd d65f03c0",  # stp x29, x30; bl; ldp x29, x30; ret
)
BRANCH: Final = (8, 283) if IS_AARCH64 else (6, 4)
# Returns the four bytes of constants at offset 8, and how they are relocated: (offset, target, kind).
CONSTANT_8: Final = LANDING + code(
    x86_64=f"8b05 {(VIEW_BYTES + 8 - 10).to_bytes(4, 'little').hex()} c3",  # mov eax, [rip + d]
    aarch64="90000008 b9400100 d65f03c0",  # adrp x8; ldr w0, [x8]; ret
)
CONSTANT_8_RELOCATIONS: Final = ((4, 8, 275), (8, 8, 285)) if IS_AARCH64 else ()


def returns(number: int) -> bytes:
    """Code which returns a number below 2^16."""
    return LANDING + code(
        x86_64=f"b8 {number.to_bytes(4, 'little').hex()} c3",
        aarch64=f"{0x52800000 | number << 5:08x} d65f03c0",
    )


def nops(size: int) -> bytes:
    """Code of this size which returns, rounded up to whole instructions."""
    count = -(-(size - len(LANDING) - len(RETURN)) // len(NOP))
    return LANDING + NOP * count + RETURN


RETURNS_42: Final = returns(42)

# ---- The core ---------------------------------------------------------------------------------------------------------------

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
        relocations: tuple[tuple[int, ...], ...] = (),
    ) -> tuple[int, int, int, Verdict]:
        """il_publish: status, handle, address, verdict.  Relocations are (offset, import index) or (offset, target, kind)."""
        entry_array = (_u32 * len(entries))(*entries)
        words = [
            word
            for offset, target, *kind in relocations
            for word in (offset, *(kind or BRANCH[1:]), target)
        ]
        relocation_array = (_u32 * len(words))(*words)
        image = Image(
            arch=ARCH,
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
        if IS_QEMU and status == OK:
            with _call_lock:
                forget_translations(self.describe().code_base)
        return status, handle.value, address.value, verdict

    def retire(self, code: int) -> int:
        """il_retire."""
        return int(self.library.il_retire(code))


# Under qemu-user: while the view moves, nobody can run there.
_call_lock = threading.Lock()


def forget_translations(code_base: int) -> None:
    """qemu-user translates code once, and takes `ic ivau` for a no-op: moving the view to where it is makes it look again."""
    mremap = ctypes.CDLL(None).mremap
    mremap.argtypes, mremap.restype = (
        (_pointer, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int),
        _pointer,
    )
    if mremap(code_base, VIEW_BYTES, VIEW_BYTES, 0) != code_base:
        raise OSError("mremap of the code view")


def call(address: int) -> int:
    """Call `int f(void)` at an address."""
    with _call_lock if IS_QEMU else contextlib.nullcontext():
        return int(ctypes.CFUNCTYPE(ctypes.c_int)(address)())
