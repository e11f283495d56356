"""Arguments, environment, clocks, random numbers, the end of the process; sockets, which do not exist here."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final, Never

from interlock.errors import ExitError
from interlock.runtime.wasi.abi import Errno, WasiError

if TYPE_CHECKING:
    from interlock.runtime.wasi.context import Context

CLOCKS: Final = (
    time.CLOCK_REALTIME,
    time.CLOCK_MONOTONIC,
    time.CLOCK_PROCESS_CPUTIME_ID,
    time.CLOCK_THREAD_CPUTIME_ID,
)
_RANDOM_CHUNK_BYTES = 1 << 20


def args_sizes_get(context: Context, count_out: int, bytes_out: int) -> None:
    """Number and total length of the arguments."""
    context.memory.write_u32(count_out, len(context.args))
    context.memory.write_u32(bytes_out, sum(map(len, context.args)))


def args_get(context: Context, pointers: int, buffer: int) -> None:
    """The arguments."""
    _write_strings(context, context.args, pointers, buffer)


def environ_sizes_get(context: Context, count_out: int, bytes_out: int) -> None:
    """Number and total length of the environment's variables."""
    context.memory.write_u32(count_out, len(context.env))
    context.memory.write_u32(bytes_out, sum(map(len, context.env)))


def environ_get(context: Context, pointers: int, buffer: int) -> None:
    """The environment's variables, as `KEY=VALUE`."""
    _write_strings(context, context.env, pointers, buffer)


def _write_strings(
    context: Context, strings: tuple[bytes, ...], pointers: int, buffer: int
) -> None:
    data = b"".join(strings)
    context.memory.span(pointers, 4 * len(strings))
    context.memory.write(buffer, data)
    for index, string in enumerate(strings):
        context.memory.write_u32(pointers + 4 * index, buffer)
        buffer += len(string)


def clock_res_get(context: Context, clock: int, resolution_out: int) -> None:
    """A clock's resolution in nanoseconds."""
    resolution = max(1, round(time.clock_getres(host_clock(clock)) * 1e9))
    context.memory.write_u64(resolution_out, resolution)


def clock_time_get(context: Context, clock: int, precision: int, time_out: int) -> None:
    """A clock's time in nanoseconds; the precision asked for is always met."""
    del precision
    context.memory.write_u64(time_out, time.clock_gettime_ns(host_clock(clock)))


def host_clock(clock: int) -> int:
    """The host's clock; EINVAL for one that preview 1 does not have."""
    if clock >= len(CLOCKS):
        raise WasiError(Errno.EINVAL)
    return CLOCKS[clock]


def random_get(context: Context, buffer: int, length: int) -> None:
    """Random bytes of the host's generator."""
    with context.memory.span(buffer, length) as target:
        for start in range(0, length, _RANDOM_CHUNK_BYTES):
            if context.is_interrupted():
                raise WasiError(Errno.EINTR)
            part = min(_RANDOM_CHUNK_BYTES, length - start)
            target[start : start + part] = os.urandom(part)


def sched_yield(context: Context) -> None:
    """Let other threads run."""
    del context
    os.sched_yield()


def proc_exit(context: Context, status: int) -> Never:
    """End the program."""
    del context
    raise ExitError(status)


def proc_raise(context: Context, signal: int) -> Never:
    """Signals do not exist here."""
    del context, signal
    raise WasiError(Errno.ENOSYS)


def _no_socket(context: Context, fd: int) -> Never:
    """EBADF, or ENOTSUP: no descriptor is a socket."""
    context.table.get(fd)
    raise WasiError(Errno.ENOTSUP)


def sock_accept(context: Context, fd: int, flags: int, fd_out: int) -> None:
    """No descriptor is a socket."""
    del flags, fd_out
    _no_socket(context, fd)


def sock_recv(
    context: Context, fd: int, iovs: int, count: int, flags: int, length_out: int, flags_out: int
) -> None:
    """No descriptor is a socket."""
    del iovs, count, flags, length_out, flags_out
    _no_socket(context, fd)


def sock_send(
    context: Context, fd: int, iovs: int, count: int, flags: int, length_out: int
) -> None:
    """No descriptor is a socket."""
    del iovs, count, flags, length_out
    _no_socket(context, fd)


def sock_shutdown(context: Context, fd: int, how: int) -> None:
    """No descriptor is a socket."""
    del how
    _no_socket(context, fd)
