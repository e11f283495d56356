"""Signals of a modelled process: the frame that a handler finds, laid out as Darwin's on arm64, and the way back from it."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from interlock.mac.cpu import NZCV, PC, SP

if TYPE_CHECKING:
    from interlock.mac.cpu import Registers
    from interlock.mac.kernel import GuestThread, Mac

NUMBERS = {
    "SIGILL": 4,
    "SIGTRAP": 5,
    "SIGFPE": 8,
    "SIGBUS": 10,
    "SIGSEGV": 11,
    "SIGURG": 16,
    "SIGUSR1": 30,
    "SIGUSR2": 31,
    "SIGINT": 2,
}
NAMES = {number: name for name, number in NUMBERS.items()}
SIG_DFL, SIG_IGN = 0, 1
_IGNORED_BY_DEFAULT = {NUMBERS["SIGURG"]}
_SI_USER = 0x10001
_FAULT_CODE = 1  # of every signal that the processor raises, below SI_USER

# struct __siginfo: si_signo si_errno si_code si_pid si_uid si_status si_addr, and what faults leave zero.
_SIGINFO = struct.Struct("<iiiIIiQ72x")
# struct __darwin_ucontext: uc_onstack uc_sigmask uc_stack uc_link uc_mcsize uc_mcontext.
_UCONTEXT = struct.Struct("<iIQQQQQQ")
# struct __darwin_mcontext64: __far __esr __exception, then x0 to x28, fp, lr, sp, pc, cpsr; and the vector registers.
_EXCEPTION = struct.Struct("<QII")
_STATE = struct.Struct("<33QII")
_VECTORS = 32 * 16
_MCONTEXT_BYTES = _EXCEPTION.size + _STATE.size + _VECTORS + 16
_RED_ZONE_BYTES = 128
_LINK = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """What `sigaction` was given."""

    handler: int = SIG_DFL
    mask: int = 0
    flags: int = 0

    def is_ignoring(self, number: int) -> bool:
        """Whether nothing happens when this signal is sent."""
        is_default = self.handler == SIG_DFL
        return self.handler == SIG_IGN or (is_default and number in _IGNORED_BY_DEFAULT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Interrupted:
    """What a signal interrupted: all registers, and where the handler finds those that it may change."""

    registers: Registers
    mcontext_address: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """A signal on its way to a thread; `code` as in `siginfo_t`."""

    number: int
    code: int = _SI_USER
    address: int = 0

    @classmethod
    def of_fault(cls, name: str, address: int) -> Signal:
        """One that the processor raised."""
        return cls(number=NUMBERS[name], code=_FAULT_CODE, address=address)


def enter(mac: Mac, thread: GuestThread, signal: Signal, handler: int) -> None:
    """Let the running thread go on in a handler; its return leads to `leave`."""
    from interlock.mac import libsystem

    cpu = mac.cpu
    state = [*(cpu.x(number) for number in range(31)), cpu.special(SP), cpu.special(PC)]
    mcontext = (cpu.special(SP) - _RED_ZONE_BYTES - _MCONTEXT_BYTES) & -16
    ucontext = (mcontext - _UCONTEXT.size) & -16
    siginfo = (ucontext - _SIGINFO.size) & -16
    mac.write(
        thread,
        mcontext,
        _EXCEPTION.pack(signal.address, 0, 0) + _STATE.pack(*state, cpu.special(NZCV), 0),
    )
    mac.write(thread, ucontext, _UCONTEXT.pack(0, 0, 0, 0, 0, 0, _MCONTEXT_BYTES, mcontext))
    mac.write(
        thread,
        siginfo,
        _SIGINFO.pack(signal.number, 0, signal.code, 0, 0, 0, signal.address),
    )
    thread.interrupted.append(Interrupted(registers=cpu.save(), mcontext_address=mcontext))
    cpu.set_special(SP, siginfo)
    for number, value in enumerate((signal.number, siginfo, ucontext)):
        cpu.set_x(number, value)
    cpu.set_x(_LINK, libsystem.SIGRETURN_STUB)
    cpu.set_special(PC, handler)


def leave(mac: Mac, thread: GuestThread) -> None:
    """`sigreturn`: the interrupted registers, as the handler has changed them in its frame."""
    before = thread.interrupted.pop()
    at = before.mcontext_address + _EXCEPTION.size
    state = _STATE.unpack(mac.read(thread, at, _STATE.size))
    cpu = mac.cpu
    cpu.restore(before.registers)
    for number in range(31):
        cpu.set_x(number, state[number])
    cpu.set_special(SP, state[31])
    cpu.set_special(PC, state[32])
    cpu.set_special(NZCV, state[33])
