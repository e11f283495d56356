"""libSystem without a part in the contract: errno, clocks, signals, threads and timers, as far as the core calls them.

Time is virtual: it goes on with the instructions that run, so that the same program takes the same time always.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from interlock.contract.memory_map import Protection
from interlock.mac import signals
from interlock.mac.libsystem import ERRNO, service

if TYPE_CHECKING:
    from interlock.mac.kernel import GuestProcess, GuestThread, Mac

DATA_BYTES = 64
_DATA = ("___stack_chk_guard", "dyld_stub_binder")  # the second is a function that nobody calls
_GUARD = 0x5EC2_E7C0_FFEE_D00D  # any number

# struct kevent64_s: ident filter flags fflags data udata ext[2].
_KEVENT = struct.Struct("<QhHIqQ2Q")
_EVFILT_TIMER = -7
_EV_ADD, _EV_DELETE = 0x1, 0x2
_SIGACTION = struct.Struct("<QIi")
_SIG_BLOCK, _SIG_UNBLOCK, _SIG_SETMASK = 1, 2, 3
_TLV = struct.Struct("<QQQ")  # thunk, key, offset


@dataclass(slots=True, kw_only=True)
class Queue:
    """A kernel queue with timers: when each is due, by the thread that it is for."""

    timers: dict[int, int] = field(default_factory=dict)


def link_data(mac: Mac, process: GuestProcess) -> None:
    """Variables that programs bind to."""
    rights = Protection.READ | Protection.WRITE
    address = mac.spaces.map_image(process.model, DATA_BYTES, protection=rights)
    mac.spaces.write(process.model, address, _GUARD.to_bytes(8, "little"))
    for index, name in enumerate(_DATA):
        process.symbols[name] = address + 8 * index


def _fail(mac: Mac, thread: GuestThread, name: str) -> None:
    mac.write(thread, thread.errno_address, struct.pack("<i", ERRNO[name]))
    mac.cpu.set_x(0, -1)


@service("___error")
def _error(mac: Mac, thread: GuestThread) -> None:
    mac.cpu.set_x(0, thread.errno_address)


@service("_getpagesize")
def _page_size(mac: Mac, thread: GuestThread) -> None:
    mac.cpu.set_x(0, thread.process.model.profile.page_bytes)


@service("_getpid")
def _getpid(mac: Mac, thread: GuestThread) -> None:
    mac.cpu.set_x(0, thread.process.number)


@service("_close")
def _close(mac: Mac, thread: GuestThread) -> None:
    thread.process.queues.pop(mac.cpu.x(0) & 0xFFFFFFFF, None)
    mac.cpu.set_x(0, 0)


# ---- Time ----------------------------------------------------------------------------------------------------------------------


@service("_clock_gettime_nsec_np")
def _clock_gettime_nsec(mac: Mac, _thread: GuestThread) -> None:
    mac.cpu.set_x(0, mac.nanoseconds)


@service("_clock_gettime")
def _clock_gettime(mac: Mac, thread: GuestThread) -> None:
    seconds, rest = divmod(mac.nanoseconds, 1_000_000_000)
    mac.write(thread, mac.cpu.x(1), struct.pack("<qq", seconds, rest))
    mac.cpu.set_x(0, 0)


@service("_nanosleep")
def _nanosleep(mac: Mac, thread: GuestThread) -> None:
    seconds, rest = struct.unpack("<qq", mac.read(thread, mac.cpu.x(0), 16))
    mac.nanoseconds += seconds * 1_000_000_000 + rest
    mac.cpu.set_x(0, 0)


@service("_kqueue")
def _kqueue(mac: Mac, thread: GuestThread) -> None:
    number = 3 + len(thread.process.queues)
    thread.process.queues[number] = Queue()
    mac.cpu.set_x(0, number)


@service("_kevent64")
def _kevent(mac: Mac, thread: GuestThread) -> None:
    """Change timers, or wait for one."""
    queue = thread.process.queues.get(mac.cpu.x(0) & 0xFFFFFFFF)
    changes, count, room = mac.cpu.x(1), mac.cpu.x(2) & 0xFFFFFFFF, mac.cpu.x(4) & 0xFFFFFFFF
    if queue is None:
        _fail(mac, thread, "EINVAL")
        return
    for index in range(count):
        row = _KEVENT.unpack(mac.read(thread, changes + _KEVENT.size * index, _KEVENT.size))
        ident, filter_number, flags, _, after = row[:5]
        if filter_number == _EVFILT_TIMER and flags & _EV_ADD:
            queue.timers[ident] = mac.nanoseconds + after
        elif flags & _EV_DELETE:
            queue.timers.pop(ident, None)
    mac.cpu.set_x(0, 0)
    if room:
        thread.waits_for, thread.wake_address = queue, mac.cpu.x(3)


def wake(mac: Mac, thread: GuestThread, queue: Queue, ident: int) -> None:
    """A timer is due: what the waiting call of the thread returns.  It fires once."""
    del queue.timers[ident]
    event = _KEVENT.pack(ident, _EVFILT_TIMER, 0, 0, 1, 0, 0, 0)
    mac.write(thread, thread.wake_address, event)
    thread.waits_for = None


# ---- Signals -------------------------------------------------------------------------------------------------------------------


@service("_sigaction")
def _sigaction(mac: Mac, thread: GuestThread) -> None:
    process, number = thread.process, mac.cpu.x(0) & 0xFFFFFFFF
    new, old = mac.cpu.x(1), mac.cpu.x(2)
    before = process.actions.get(number, signals.Action())
    if new:
        handler, mask, flags = _SIGACTION.unpack(mac.read(thread, new, _SIGACTION.size))
        process.actions[number] = signals.Action(handler=handler, mask=mask, flags=flags)
        if handler in {signals.SIG_DFL, signals.SIG_IGN}:
            process.model.handlers.pop(signals.NAMES[number], None)
        else:
            process.model.set_handler(signals.NAMES[number], "catch")
    if old:
        mac.write(thread, old, _SIGACTION.pack(before.handler, before.mask, before.flags))
    mac.cpu.set_x(0, 0)


@service("_pthread_sigmask")
def _sigmask(mac: Mac, thread: GuestThread) -> None:
    how, new, old = mac.cpu.x(0) & 0xFFFFFFFF, mac.cpu.x(1), mac.cpu.x(2)
    if old:
        mac.write(thread, old, struct.pack("<I", thread.blocked))
    if new:
        (mask,) = struct.unpack("<I", mac.read(thread, new, 4))
        thread.blocked = {
            _SIG_BLOCK: thread.blocked | mask,
            _SIG_UNBLOCK: thread.blocked & ~mask,
            _SIG_SETMASK: mask,
        }[how]
    mac.cpu.set_x(0, 0)


@service("_raise")
def _raise(mac: Mac, thread: GuestThread) -> None:
    thread.send(mac.cpu.x(0) & 0xFFFFFFFF)
    mac.cpu.set_x(0, 0)


@service("_pthread_kill")
def _pthread_kill(mac: Mac, thread: GuestThread) -> None:
    target = mac.thread_at(thread.process, mac.cpu.x(0))
    if target is not None:
        target.send(mac.cpu.x(1) & 0xFFFFFFFF)
    mac.cpu.set_x(0, 0 if target is not None else ERRNO["ESRCH"])


@service("_kill")
def _kill(mac: Mac, thread: GuestThread) -> None:
    """Only asked whether a process exists."""
    number = mac.cpu.x(0) & 0xFFFFFFFF
    if any(other.process.number == number for other in mac.threads):
        mac.cpu.set_x(0, 0)
    else:
        _fail(mac, thread, "ESRCH")


# ---- Threads -------------------------------------------------------------------------------------------------------------------


@service("_pthread_self")
def _pthread_self(mac: Mac, thread: GuestThread) -> None:
    mac.cpu.set_x(0, thread.self_address)


@service("_pthread_get_stackaddr_np")
def _stack_address(mac: Mac, thread: GuestThread) -> None:
    mac.cpu.set_x(0, thread.stack_address + mac.stack_bytes)


@service("_pthread_get_stacksize_np")
def _stack_size(mac: Mac, _thread: GuestThread) -> None:
    mac.cpu.set_x(0, mac.stack_bytes)


@service("_pthread_create")
def _pthread_create(mac: Mac, thread: GuestThread) -> None:
    """The new thread runs when a timer wakes somebody, or its host lets it."""
    result, start, argument = mac.cpu.x(0), mac.cpu.x(2), mac.cpu.x(3)
    before = mac.cpu.save()
    name = f"thread {len(mac.threads)}"
    new = mac.add_thread(thread.process, thread.process.model.create_thread(name))
    new.blocked = thread.blocked
    new.start = (start, argument)
    mac.cpu.restore(before)
    mac.write(thread, result, new.self_address.to_bytes(8, "little"))
    mac.cpu.set_x(0, 0)


@service("_pthread_detach")
@service("_pthread_mutex_init")
@service("_pthread_mutex_lock")
@service("_pthread_mutex_unlock")
def _nothing_to_do(mac: Mac, _thread: GuestThread) -> None:
    """A thread gives the core away only where it holds no lock."""
    mac.cpu.set_x(0, 0)


@service("_pthread_key_create")
def _key_create(mac: Mac, thread: GuestThread) -> None:
    process = thread.process
    mac.write(thread, mac.cpu.x(0), (len(process.destructors) + 1).to_bytes(8, "little"))
    process.destructors.append(mac.cpu.x(1))
    mac.cpu.set_x(0, 0)


@service("_pthread_setspecific")
def _setspecific(mac: Mac, thread: GuestThread) -> None:
    thread.specific[mac.cpu.x(0)] = mac.cpu.x(1)
    mac.cpu.set_x(0, 0)


@service("_pthread_atfork")
def _atfork(mac: Mac, thread: GuestThread) -> None:
    thread.process.fork_handlers.append((mac.cpu.x(0), mac.cpu.x(1), mac.cpu.x(2)))
    mac.cpu.set_x(0, 0)


@service("__tlv_bootstrap")
def _thread_local(mac: Mac, thread: GuestThread) -> None:
    """The address of this thread's copy of a variable whose descriptor is in x0; every other register keeps its value."""
    _, _, offset = _TLV.unpack(mac.read(thread, mac.cpu.x(0), _TLV.size))
    mac.cpu.set_x(0, thread.variables_address + offset)
