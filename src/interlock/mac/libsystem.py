"""The modelled libSystem: what a program calls by name.  Its functions are instructions in guest memory that call the kernel.

A function is a stub, `movz w16, #number; svc #0x80; ret`, as the real ones are; `pthread_jit_write_with_callback_np` is code of its
own, since it calls the program back.  All of it lies below the addresses that the contract's map hands out.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from interlock.contract import OutcomeKind
from interlock.contract.memory import MAP_FAILED, MapRequest
from interlock.contract.memory_map import Protection
from interlock.contract.outcome import OK, Outcome, ok
from interlock.contract.process import SYMBOLS
from interlock.errors import InternalError
from interlock.mac import signals

if TYPE_CHECKING:
    from collections.abc import Callable

    from interlock.mac.kernel import GuestProcess, GuestThread, Mac

    Service = Callable[[Mac, GuestThread], None]

TEXT = 0x30_0000
STUB_BYTES = 16
STUB_CALL_BYTES = 8  # to behind the svc
_RETURN, _SUPERVISOR_CALL = 0xD65F03C0, 0xD4001001  # ret; svc #0x80

# Darwin's numbers.
ERRNO = {"EPERM": 1, "ESRCH": 3, "EACCES": 13, "EFAULT": 14, "EINVAL": 22, "ENOMEM": 12}
PROT = {Protection.READ: 1, Protection.WRITE: 2, Protection.EXECUTE: 4}
MAP_SHARED, MAP_PRIVATE, MAP_FIXED, MAP_JIT, MAP_ANON = 0x1, 0x2, 0x10, 0x800, 0x1000
MAP_RESILIENT_CODESIGN, MAP_RESILIENT_MEDIA, MAP_TPRO = 0x2000, 0x4000, 0x80000
_MAP_RESILIENT = MAP_RESILIENT_CODESIGN | MAP_RESILIENT_MEDIA
MAP_UNKNOWN = 0xFFF1_0000  # bits that no version of macOS gives a meaning
ADVICE = {"FREE_REUSABLE": 7, "FREE_REUSE": 8, "ZERO": 11, "ZERO_WIRED_PAGES": 6}
_ADVICE_NAMES = {number: name for name, number in ADVICE.items()}

# Numbers of the kernel that no name leads to.
RETURNED, HOST_BODY, ENTER_CALLBACK, LEAVE_CALLBACK, SIGRETURN, FIRST_SERVICE = range(1, 7)

_SERVICES: dict[str, Service] = {}


def service(name: str) -> Callable[[Service], Service]:
    """Make the function one of libSystem's."""

    def add(function: Service) -> Service:
        _SERVICES[name] = function
        return function

    return add


def _stub(number: int) -> bytes:
    return struct.pack("<4I", 0x52800010 | number << 5, _SUPERVISOR_CALL, _RETURN, 0)


def calling(name: str) -> bytes:
    """A function that calls the kernel by itself, past libSystem."""
    landing_pad = 0xD503245F  # bti c
    return struct.pack("<I", landing_pad) + _stub(FIRST_SERVICE + list(_SERVICES).index(name))


_WITH_CALLBACK = (
    0xA9BE7BFD,  # stp x29, x30, [sp, #-32]!
    0x910003FD,  # mov x29, sp
    0xA90107E0,  # stp x0, x1, [sp, #16]
    0x52800010 | ENTER_CALLBACK << 5,
    _SUPERVISOR_CALL,
    0xA94103E9,  # ldp x9, x0, [sp, #16]
    0xD63F0120,  # blr x9
    0x52800010 | LEAVE_CALLBACK << 5,
    _SUPERVISOR_CALL,
    0xA8C27BFD,  # ldp x29, x30, [sp], #32
    _RETURN,
    0,
)
RETURN_STUB, HOST_BODY_STUB, SIGRETURN_STUB, NOTHING_STUB, _CALLBACK_CODE, _FIRST_STUB = (
    TEXT + offset for offset in (0x00, 0x10, 0x20, 0x30, 0x40, 0x80)
)


def link(mac: Mac, process: GuestProcess) -> None:
    """Map libSystem into a process, and fill in its symbols: those which its macOS has."""
    from interlock.mac import libc  # its functions are in the table once it is imported

    code = b"".join(
        (
            *(_stub(number) for number in (RETURNED, HOST_BODY, SIGRETURN)),
            struct.pack("<4I", _RETURN, 0, 0, 0),
            struct.pack(f"<{len(_WITH_CALLBACK)}I", *_WITH_CALLBACK),
            bytes(_FIRST_STUB - _CALLBACK_CODE - 4 * len(_WITH_CALLBACK)),
            *(_stub(FIRST_SERVICE + index) for index in range(len(_SERVICES))),
        )
    )
    rights = Protection.READ | Protection.EXECUTE
    mac.spaces.map_image(process.model, len(code), protection=rights, at=TEXT)
    mac.spaces.write(process.model, TEXT, code)
    mac.spaces.synchronise(process.model, TEXT, len(code))
    for index, name in enumerate(_SERVICES):
        process.symbols[name] = _FIRST_STUB + STUB_BYTES * index
    process.symbols["_pthread_jit_write_with_callback_np"] = _CALLBACK_CODE
    for name in SYMBOLS:
        if process.model.symbol(name).value == 0:
            process.symbols[f"_{name}"] = 0
    libc.link_data(mac, process)


def serve(mac: Mac, thread: GuestThread, number: int) -> None:
    """A call of the system by the thread that runs."""
    match number:
        case _ if number == ENTER_CALLBACK:
            _enter_callback(mac, thread)
        case _ if number == LEAVE_CALLBACK:
            _leave_callback(mac, thread)
        case _ if number == SIGRETURN:
            thread.process.model.leave_handler(thread.model)
            signals.leave(mac, thread)
            mac.cpu.forget_translations()
        case _:
            services = tuple(_SERVICES.values())
            index = number - FIRST_SERVICE
            if not 0 <= index < len(services):
                raise InternalError(stage="mac", detail=f"system call {number}")
            services[index](mac, thread)


def finish(mac: Mac, thread: GuestThread, what: str, outcome: Outcome, *, value: int = 0) -> None:
    """End a service: result or errno in the registers, the timeline, and rights that may have changed."""
    thread.outcome = outcome
    mac.note(thread, what, outcome)
    if outcome.kind is OutcomeKind.ERRNO:
        number = ERRNO.get(outcome.name, ERRNO["EINVAL"])  # "any": nobody wrote it down
        mac.write(thread, thread.errno_address, struct.pack("<i", number))
        value = -1
    mac.cpu.set_x(0, value)
    mac.cpu.forget_translations()


# ---- The thread switch and the callback call -----------------------------------------------------------------------------------


@service("_pthread_jit_write_protect_np")
def _write_protect(mac: Mac, thread: GuestThread) -> None:
    argument = mac.cpu.x(0) & 0xFFFFFFFF
    outcome = thread.process.model.write_protect(thread.model, argument)
    finish(mac, thread, f"pthread_jit_write_protect_np({argument})", outcome)


@service("_pthread_jit_write_protect_supported_np")
def _write_protect_supported(mac: Mac, thread: GuestThread) -> None:
    outcome = thread.process.model.write_protect_supported(thread.model)
    what = "pthread_jit_write_protect_supported_np()"
    finish(mac, thread, what, outcome, value=outcome.value or 0)


def _enter_callback(mac: Mac, thread: GuestThread) -> None:
    callback = mac.cpu.x(0)
    outcome = thread.process.model.enter_callback(thread.model, callback)
    finish(mac, thread, f"pthread_jit_write_with_callback_np({callback:#x})", outcome)


def _leave_callback(mac: Mac, thread: GuestThread) -> None:
    result = mac.cpu.x(0) & 0xFFFFFFFF
    signed = result - (1 << 32) if result >> 31 else result
    outcome = thread.process.model.return_from_callback(thread.model, signed)
    finish(mac, thread, f"the callback returned {signed}", outcome, value=result)


@service("_pthread_jit_write_freeze_callbacks_np")
def _freeze(mac: Mac, thread: GuestThread) -> None:
    outcome = thread.process.model.freeze(thread.model)
    finish(mac, thread, "pthread_jit_write_freeze_callbacks_np()", outcome)


@service("_sys_icache_invalidate")
def _invalidate(mac: Mac, thread: GuestThread) -> None:
    address, size = mac.cpu.x(0), mac.cpu.x(1)
    mac.spaces.synchronise(thread.process.model, address, size)
    outcome = mac.barrier(thread)
    finish(mac, thread, f"sys_icache_invalidate({address:#x}, {size})", outcome)


# ---- Memory --------------------------------------------------------------------------------------------------------------------


def protection_of(bits: int) -> Protection:
    """Darwin's PROT bits as the contract's."""
    return Protection(sum(right for right, bit in PROT.items() if bits & bit))


def protection_bits(protection: Protection) -> int:
    """And the other way."""
    return sum(bit for right, bit in PROT.items() if right in protection)


def _rights(protection: Protection) -> str:
    letters = {Protection.READ: "r", Protection.WRITE: "w", Protection.EXECUTE: "x"}
    return "".join(letter for right, letter in letters.items() if right in protection) or "none"


@service("_mmap")
def _mmap(mac: Mac, thread: GuestThread) -> None:
    hint, size, bits, flags, descriptor = (mac.cpu.x(number) for number in range(5))
    flags &= 0xFFFFFFFF
    descriptor = (descriptor & 0xFFFFFFFF) - (1 << 32 if descriptor >> 31 & 1 else 0)
    model, protection = thread.process.model, protection_of(bits)
    outcome, address = model.memory.mmap(
        MapRequest(
            size=size,
            protection=protection,
            is_jit=bool(flags & MAP_JIT),
            is_anonymous=bool(flags & MAP_ANON),
            is_private=bool(flags & MAP_PRIVATE),
            is_shared=bool(flags & MAP_SHARED),
            is_resilient=bool(flags & _MAP_RESILIENT),
            is_tpro=bool(flags & MAP_TPRO),
            has_unknown_flag=bool(flags & MAP_UNKNOWN),
            fixed=hint if flags & MAP_FIXED else None,
            hint=hint or None,
            descriptor=descriptor,
        )
    )
    if address != MAP_FAILED:
        mac.spaces.adopt(model, address)
    jit = ", MAP_JIT" if flags & MAP_JIT else ""
    finish(mac, thread, f"mmap({size}, {_rights(protection)}{jit})", outcome, value=address)


@service("_munmap")
def _munmap(mac: Mac, thread: GuestThread) -> None:
    address, size = mac.cpu.x(0), mac.cpu.x(1)
    outcome = thread.process.model.memory.munmap(address, size)
    finish(mac, thread, f"munmap({address:#x}, {size})", outcome)


@service("_mprotect")
def _mprotect(mac: Mac, thread: GuestThread) -> None:
    address, size, protection = mac.cpu.x(0), mac.cpu.x(1), protection_of(mac.cpu.x(2))
    outcome = thread.process.model.memory.mprotect(address, size, protection)
    finish(mac, thread, f"mprotect({address:#x}, {size}, {_rights(protection)})", outcome)


@service("_madvise")
def _madvise(mac: Mac, thread: GuestThread) -> None:
    address, size = mac.cpu.x(0), mac.cpu.x(1)
    advice = _ADVICE_NAMES.get(mac.cpu.x(2) & 0xFFFFFFFF, "")
    outcome = OK
    if advice:
        outcome = thread.process.model.memory.madvise(address, size, advice)
    if outcome.kind is OutcomeKind.OK and advice not in {"", "FREE_REUSE"}:
        mac.spaces.zero(thread.process.model, address, size)
    finish(mac, thread, f"madvise({address:#x}, {size}, {advice})", outcome)


@service("_read")
def _read(mac: Mac, thread: GuestThread) -> None:
    """`read`: the one file that there is holds a function for each descriptor, which returns its number."""
    descriptor, address, size = (mac.cpu.x(number) for number in range(3))
    outcome = thread.process.model.kernel_store(thread.model, address, descriptor)
    if outcome.kind is OutcomeKind.OK:
        from interlock.mac.code import function_returning

        mac.write(thread, address, function_returning(descriptor)[:size])
        outcome = ok(size)
    finish(mac, thread, f"read(fd, {address:#x}, {size})", outcome, value=size)
