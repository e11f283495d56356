"""One AArch64 core and its physical memory: the only file that knows Unicorn.

Unicorn's own page tables are replaced by a function of ours, which is asked once for each page and kind of access.  So a fetch and
a load of the same address can lead to different memory: the instruction view and the data view (docs/decisions/0019).
"""

from __future__ import annotations

import ctypes
import mmap
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from interlock.errors import InternalError, MissingPackageError

try:
    import unicorn
    from unicorn import arm64_const as arm64
    from unicorn import unicorn_const as uc_const
except ImportError:  # pragma: no cover  (CI has it)
    raise MissingPackageError(package="unicorn", extra="mac", need="the modelled Mac") from None

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE_BYTES = 16384
INSTRUCTION_BYTES = 4
_FIRST_PHYSICAL_ADDRESS = 1 << 40
_MAP_NORESERVE = 0x4000  # Linux's; Python names it since 3.13
_SYSTEM_CALL, _UNDEFINED, _BREAKPOINT = 2, 1, 7  # QEMU's numbers of exceptions
_UNTIL = (1 << 47) - PAGE_BYTES // 2  # in a page that no process has; never reached

_X = tuple(getattr(arm64, f"UC_ARM64_REG_X{number}") for number in range(31))
_V = tuple(getattr(arm64, f"UC_ARM64_REG_Q{number}") for number in range(32))
SP, PC = arm64.UC_ARM64_REG_SP, arm64.UC_ARM64_REG_PC
NZCV = arm64.UC_ARM64_REG_NZCV


class Access(Enum):
    """What an instruction wanted of an address."""

    READ = uc_const.UC_MEM_READ
    WRITE = uc_const.UC_MEM_WRITE
    FETCH = uc_const.UC_MEM_FETCH


class StopKind(Enum):
    """Why the core stopped."""

    SYSTEM_CALL = "svc"
    FAULT = "fault"
    UNDEFINED = "undefined instruction"
    BREAKPOINT = "brk"
    CACHE_TYPE = "mrs of CTR_EL0"
    TIME = "time slice"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """The core stopped at `pc` (of a system call: behind it); `address` and `access` are a fault's."""

    kind: StopKind
    pc: int
    address: int = 0
    access: Access = Access.READ


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Where a page lies, and whether stores may use the same translation as loads."""

    address: int
    is_writable: bool = False


@dataclass(slots=True, kw_only=True)
class Physical:
    """A range of physical memory, which costs nothing until it is touched; `host_address` is where we see it."""

    address: int
    size: int
    host_address: int
    memory: mmap.mmap

    def read(self, offset: int, size: int) -> bytes:
        """A copy of bytes."""
        return ctypes.string_at(self.host_address + offset, size)

    def write(self, offset: int, data: bytes) -> None:
        """Store bytes."""
        ctypes.memmove(self.host_address + offset, data, len(data))

    def copy_from(self, other: Physical) -> None:
        """Take over the other's bytes, as far as it was ever touched: pages of zeros stay untouched here."""
        zeros = bytes(PAGE_BYTES)
        for offset in range(0, other.size, PAGE_BYTES):
            page = other.read(offset, PAGE_BYTES)
            if page != zeros:
                self.write(offset, page)


Registers = Any  # Unicorn's opaque copy of all of them


class Cpu:
    """The core.  `translate` says where a page lies for an access, or None: a fault."""

    def __init__(self, translate: Callable[[int, Access], Frame | None]) -> None:
        self._translate = translate
        self._uc = unicorn.Uc(uc_const.UC_ARCH_ARM64, uc_const.UC_MODE_ARM)
        self._uc.ctl_set_cpu_model(arm64.UC_CPU_ARM64_MAX)  # the others lack what an Apple M1 has
        self._uc.ctl_set_page_size(PAGE_BYTES)
        self._uc.ctl_set_tlb_mode(uc_const.UC_TLB_VIRTUAL)
        self._next = _FIRST_PHYSICAL_ADDRESS
        self._stop: Stop | None = None
        self._is_probing = False  # every access succeeds, into a page that nobody looks at
        self._lent: int | None = (
            None  # the physical page at virtual address 0, while instructions are forgotten
        )
        self._sink = self.allocate(PAGE_BYTES)
        self._uc.hook_add(uc_const.UC_HOOK_TLB_FILL, self._fill)
        self._uc.hook_add(uc_const.UC_HOOK_INTR, self._interrupted)
        self._uc.hook_add(
            uc_const.UC_HOOK_INSN, self._system_register_read, None, 1, 0, arm64.UC_ARM64_INS_MRS
        )

    def allocate(self, size: int) -> Physical:
        """Zeroed physical memory."""
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_NORESERVE
        memory = mmap.mmap(-1, size, flags=flags)
        host_address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        address = self._next
        self._next += size
        self._uc.mem_map_ptr(address, size, uc_const.UC_PROT_ALL, host_address)
        return Physical(address=address, size=size, host_address=host_address, memory=memory)

    # ---- Registers --------------------------------------------------------------------------------------------------------------

    def x(self, number: int) -> int:
        """An integer register; 30 is the link register."""
        value: int = self._uc.reg_read(_X[number])
        return value

    def set_x(self, number: int, value: int) -> None:
        """Change an integer register."""
        self._uc.reg_write(_X[number], value & (1 << 64) - 1)

    def v(self, number: int) -> int:
        """All 128 bits of a vector register."""
        value: int = self._uc.reg_read(_V[number])
        return value

    def set_v(self, number: int, value: int) -> None:
        """Change a vector register."""
        self._uc.reg_write(_V[number], value)

    def special(self, register: int) -> int:
        """SP, PC or NZCV."""
        value: int = self._uc.reg_read(register)
        return value

    def set_special(self, register: int, value: int) -> None:
        """Change SP, PC or NZCV."""
        self._uc.reg_write(register, value)

    def clear(self) -> None:
        """All integer and vector registers as a new thread finds them."""
        for number in range(31):
            self.set_x(number, 0)
        for number in range(32):
            self.set_v(number, 0)

    def save(self) -> Registers:
        """A copy of all registers."""
        return self._uc.context_save()

    def restore(self, registers: Registers) -> None:
        """Take a copy back."""
        self._uc.context_restore(registers)

    # ---- Translation caches -----------------------------------------------------------------------------------------------------

    def forget_translations(self) -> None:
        """Ask anew where pages lie: rights or the address space have changed."""
        self._uc.ctl(uc_const.UC_CTL_TLB_FLUSH, uc_const.UC_CTL_IO_WRITE)

    def forget_instructions(self, physical_address: int, size: int) -> None:
        """The instruction view has changed in this range of one memory object."""
        # Unicorn wants virtual addresses, which it translates; none may be in use, so the lowest are lent to the range.
        self._lent = physical_address & -PAGE_BYTES
        start = physical_address % PAGE_BYTES
        self.forget_translations()
        self._uc.ctl_remove_cache(start, start + size)
        self._lent = None
        self.forget_translations()

    def forget_all_instructions(self) -> None:
        """Instruction views have changed."""
        self._uc.ctl_flush_tb()
        self.forget_translations()

    def watch_instructions(self, seen: Callable[[int], None]) -> None:
        """Be told the address of each instruction before it runs.  Slow."""

        def report(_uc: object, address: int, _size: int, _data: object) -> None:
            seen(address)

        self._uc.hook_add(uc_const.UC_HOOK_CODE, report)

    # ---- Running ----------------------------------------------------------------------------------------------------------------

    def run(self, *, instructions: int = 0) -> Stop:
        """Go on at PC until something stops it, or after so many instructions."""
        self._stop = None
        try:
            self._uc.emu_start(self.special(PC), _UNTIL, count=instructions)
        except unicorn.UcError as error:
            stop = self._last_stop()
            if stop.kind is StopKind.TIME:
                detail = f"{error} at {stop.pc:#x}"
                raise InternalError(stage="mac", detail=detail) from None
        stop = self._last_stop()
        return self._located(stop) if stop.kind is StopKind.FAULT else stop

    def _last_stop(self) -> Stop:
        return self._stop or Stop(kind=StopKind.TIME, pc=self.special(PC))

    def _fill(self, _uc: object, address: int, access: int, entry: Any, _data: object) -> bool:
        kind = Access(access)
        page = address & -PAGE_BYTES
        if page == _UNTIL & -PAGE_BYTES:
            return self._answer(entry, Frame(address=self._sink.address), address, kind)
        if self._lent is not None:
            return self._answer(entry, Frame(address=self._lent + page), address, kind)
        frame = self._translate(page, kind)
        if frame is None and self._is_probing:
            frame = Frame(address=self._sink.address, is_writable=True)
        if frame is None:
            self._stop = Stop(kind=StopKind.FAULT, pc=0, address=page, access=kind)
            return False
        return self._answer(entry, frame, address, kind)

    @staticmethod
    def _answer(entry: Any, frame: Frame, address: int, access: Access) -> bool:
        entry.paddr = frame.address + (address & PAGE_BYTES - 1)
        rights = uc_const.UC_PROT_EXEC if access is Access.FETCH else uc_const.UC_PROT_READ
        entry.perms = rights | (uc_const.UC_PROT_WRITE if frame.is_writable else 0)
        return True

    def _located(self, stop: Stop) -> Stop:
        """A fault with its address: the instruction once more, watched, and all registers as before."""
        pc = self.special(PC)
        if stop.access is Access.FETCH:
            return Stop(kind=StopKind.FAULT, pc=pc, address=pc, access=stop.access)
        sink, touched = self._sink.address, []

        # Unicorn gives the physical address.  What begins on the page before faults at the start of this one.
        def watch(
            _uc: object, _access: int, physical: int, _size: int, _value: int, _data: object
        ) -> None:
            if sink <= physical < sink + PAGE_BYTES:
                touched.append(stop.address + physical - sink)
            self._uc.emu_stop()

        before = self.save()
        self._is_probing = True
        self.forget_translations()
        hook = self._uc.hook_add(uc_const.UC_HOOK_MEM_READ | uc_const.UC_HOOK_MEM_WRITE, watch)
        self._uc.emu_start(pc, _UNTIL, count=1)
        self._uc.hook_del(hook)
        self._is_probing = False
        self.forget_translations()
        self.restore(before)
        address = touched[0] if touched else stop.address
        return Stop(kind=StopKind.FAULT, pc=pc, address=address, access=stop.access)

    def _interrupted(self, _uc: object, number: int, _data: object) -> None:
        kinds = {
            _SYSTEM_CALL: StopKind.SYSTEM_CALL,
            _UNDEFINED: StopKind.UNDEFINED,
            _BREAKPOINT: StopKind.BREAKPOINT,
        }
        kind = kinds.get(number)
        if kind is None:
            detail = f"exception {number} at {self.special(PC):#x}"
            raise InternalError(stage="mac", detail=detail)
        self._stop = Stop(kind=kind, pc=self.special(PC))
        self._uc.emu_stop()

    def _system_register_read(self, _uc: object, _register: int, which: Any, _data: object) -> int:
        if (which.op0, which.op1, which.crn, which.crm, which.op2) != (3, 3, 0, 0, 1):
            return 0
        self._stop = Stop(kind=StopKind.CACHE_TYPE, pc=self.special(PC))
        self._uc.emu_stop()
        return 1
