"""`poll_oneoff`: wait for a clock or for descriptors."""

from __future__ import annotations

import fcntl
import os
import select
import termios
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from interlock import limits
from interlock.runtime.wasi import abi
from interlock.runtime.wasi.abi import Errno, FileType, Right, WasiError
from interlock.runtime.wasi.descriptors import Descriptor, File
from interlock.runtime.wasi.process_calls import CLOCKS, host_clock

if TYPE_CHECKING:
    from interlock.runtime.wasi.context import Context

_CLOCK, _FD_READ, _FD_WRITE = range(3)
_ABSOLUTE = 1
_HANGUP = 1
_SLICE_NS = 50_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Subscription:
    """One thing to wait for: a deadline on the monotonic clock, a host descriptor, or at once with `errno`."""

    userdata: int
    kind: int
    deadline_ns: int | None = None
    descriptor: File | None = None
    errno: int = Errno.SUCCESS

    def event(self, nbytes: int = 0, flags: int = 0) -> bytes:
        return abi.EVENT.pack(self.userdata, self.errno, self.kind, nbytes, flags)


def poll_oneoff(
    context: Context, subscriptions: int, events_out: int, count: int, happened_out: int
) -> None:
    """Wait until at least one of the subscriptions happens, and report all that have."""
    if not 0 < count <= limits.WASI_SUBSCRIPTIONS_MAX:
        raise WasiError(Errno.EINVAL)
    size = abi.SUBSCRIPTION_BYTES
    data = context.memory.read(subscriptions, size * count)
    context.memory.span(events_out, abi.EVENT.size * count)
    context.memory.span(happened_out, 4)
    wanted = [_read(context, data[at : at + size]) for at in range(0, len(data), size)]
    events = [each.event() for each in wanted if _is_immediate(each)]
    waits = [each for each in wanted if not _is_immediate(each)]
    events += _wait(context, waits, is_needed=not events)
    context.memory.write(events_out, b"".join(events))
    context.memory.write_u32(happened_out, len(events))


def _is_immediate(subscription: _Subscription) -> bool:
    return subscription.deadline_ns is None and subscription.descriptor is None


def _read(context: Context, data: bytes) -> _Subscription:
    userdata, kind = abi.SUBSCRIPTION_HEAD.unpack_from(data)
    try:
        if kind == _CLOCK:
            deadline_ns = _deadline(*abi.SUBSCRIPTION_CLOCK.unpack_from(data, 16))
            return _Subscription(userdata=userdata, kind=kind, deadline_ns=deadline_ns)
        if kind in {_FD_READ, _FD_WRITE}:
            descriptor = _pollable(context, kind, *abi.SUBSCRIPTION_FD.unpack_from(data, 16))
            # An embedder's stream is always ready: reading it may wait.
            found = descriptor if isinstance(descriptor, File) else None
            return _Subscription(userdata=userdata, kind=kind, descriptor=found)
    except WasiError as error:
        return _Subscription(userdata=userdata, kind=kind, errno=error.errno)
    raise WasiError(Errno.EINVAL)


def _deadline(clock: int, timeout: int, precision: int, flags: int) -> int:
    del precision
    if clock > 1:
        raise WasiError(Errno.EINVAL if clock >= len(CLOCKS) else Errno.ENOTSUP)
    if flags & ~_ABSOLUTE:
        raise WasiError(Errno.EINVAL)
    now = time.monotonic_ns()
    if flags & _ABSOLUTE:
        return now + timeout - time.clock_gettime_ns(host_clock(clock))
    return now + timeout


def _pollable(context: Context, kind: int, fd: int) -> Descriptor:
    right = Right.FD_READ if kind == _FD_READ else Right.FD_WRITE
    return context.table.file(fd, right | Right.POLL_FD_READWRITE)


def _wait(context: Context, waits: list[_Subscription], *, is_needed: bool) -> list[bytes]:
    """Events that have happened; waits for the first one if `is_needed`."""
    poll = select.poll()
    masks: dict[int, int] = {}
    for each in waits:
        if each.descriptor is not None:
            mask = select.POLLIN if each.kind == _FD_READ else select.POLLOUT
            masks[each.descriptor.host_fd] = masks.get(each.descriptor.host_fd, 0) | mask
    for host_fd, mask in masks.items():
        poll.register(host_fd, mask)
    deadlines = [each.deadline_ns for each in waits if each.deadline_ns is not None]
    while True:
        now = time.monotonic_ns()
        left = max(0, min(min(deadlines, default=now + _SLICE_NS) - now, _SLICE_NS))
        ready = dict(poll.poll(-(-left // 1_000_000) if is_needed else 0))
        now = time.monotonic_ns()
        events = [event for each in waits if (event := _event(each, ready, now)) is not None]
        if events or not is_needed:
            return events
        if context.is_interrupted():
            raise WasiError(Errno.EINTR)


def _event(subscription: _Subscription, ready: dict[int, int], now: int) -> bytes | None:
    if subscription.deadline_ns is not None:
        return subscription.event() if subscription.deadline_ns <= now else None
    if subscription.descriptor is None:
        return None
    found = ready.get(subscription.descriptor.host_fd, 0)
    mask = select.POLLIN if subscription.kind == _FD_READ else select.POLLOUT
    if not found & (mask | select.POLLHUP | select.POLLERR):
        return None
    flags = _HANGUP if found & select.POLLHUP else 0
    nbytes = _readable_bytes(subscription.descriptor) if subscription.kind == _FD_READ else 0
    return subscription.event(nbytes, flags)


def _readable_bytes(file: File) -> int:
    """How much can be read at once; 0 where the host does not say."""
    try:
        if file.type is FileType.REGULAR_FILE:
            position = os.lseek(file.host_fd, 0, os.SEEK_CUR)
            return max(0, os.fstat(file.host_fd).st_size - position)
        answer = fcntl.ioctl(file.host_fd, termios.FIONREAD, bytes(4))
    except OSError:
        return 0
    return int.from_bytes(answer, "little")
