"""The `fd_*` functions.  Each gets unsigned integers, returns nothing, and fails with WasiError or OSError."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from interlock import limits
from interlock.runtime.wasi import abi
from interlock.runtime.wasi.abi import Errno, FdFlag, FileType, Right, WasiError
from interlock.runtime.wasi.descriptors import Directory, File, HostDescriptor, new_times

if TYPE_CHECKING:
    from interlock.runtime.wasi.context import Context

_WHENCE = (os.SEEK_SET, os.SEEK_CUR, os.SEEK_END)
_OFFSET_MAX = (1 << 63) - 1
# In preview 1's order.
_ADVICE = (
    os.POSIX_FADV_NORMAL,
    os.POSIX_FADV_SEQUENTIAL,
    os.POSIX_FADV_RANDOM,
    os.POSIX_FADV_WILLNEED,
    os.POSIX_FADV_DONTNEED,
    os.POSIX_FADV_NOREUSE,
)
# What the host lets a process change after opening; each flag with the host's.
_SETTABLE = ((FdFlag.APPEND, os.O_APPEND), (FdFlag.NONBLOCK, os.O_NONBLOCK))


def host_offset(value: int) -> int:
    """A file offset or size as the host takes it: EINVAL beyond 63 bits."""
    if value > _OFFSET_MAX:
        raise WasiError(Errno.EINVAL)
    return value


# ---- Reading and writing ---------------------------------------------------------------------------------------------


def fd_read(context: Context, fd: int, iovs: int, count: int, read_out: int) -> None:
    """Read at the current position."""
    file = context.table.file(fd, Right.FD_READ)
    context.memory.span(read_out, 4)
    buffers = context.memory.iovecs(iovs, count)
    context.memory.write_u32(read_out, file.read(buffers, context.is_interrupted))


def fd_write(context: Context, fd: int, iovs: int, count: int, written_out: int) -> None:
    """Write at the current position."""
    file = context.table.file(fd, Right.FD_WRITE)
    context.memory.span(written_out, 4)
    buffers = context.memory.iovecs(iovs, count)
    context.memory.write_u32(written_out, file.write(buffers, context.is_interrupted))


def fd_pread(context: Context, fd: int, iovs: int, count: int, offset: int, read_out: int) -> None:
    """Read at an offset; the position stays."""
    file = context.table.host_file(fd, Right.FD_READ | Right.FD_SEEK)
    context.memory.span(read_out, 4)
    buffers = context.memory.iovecs(iovs, count)
    context.memory.write_u32(read_out, os.preadv(file.host_fd, buffers, host_offset(offset)))


def fd_pwrite(
    context: Context, fd: int, iovs: int, count: int, offset: int, written_out: int
) -> None:
    """Write at an offset; the position stays."""
    file = context.table.host_file(fd, Right.FD_WRITE | Right.FD_SEEK)
    context.memory.span(written_out, 4)
    buffers = context.memory.iovecs(iovs, count)
    context.memory.write_u32(written_out, os.pwritev(file.host_fd, buffers, host_offset(offset)))


def fd_seek(context: Context, fd: int, delta: int, whence: int, position_out: int) -> None:
    """Move the position.  Asking for it alone needs FD_TELL only."""
    signed = delta - (1 << 64) if delta >> 63 else delta
    if whence >= len(_WHENCE):
        raise WasiError(Errno.EINVAL)
    is_tell = signed == 0 and _WHENCE[whence] == os.SEEK_CUR
    file = _positioned(context, fd, Right.FD_TELL if is_tell else Right.FD_SEEK)
    context.memory.span(position_out, 8)
    context.memory.write_u64(position_out, os.lseek(file.host_fd, signed, _WHENCE[whence]))


def fd_tell(context: Context, fd: int, position_out: int) -> None:
    """The position."""
    file = _positioned(context, fd, Right.FD_TELL)
    context.memory.write_u64(position_out, os.lseek(file.host_fd, 0, os.SEEK_CUR))


def _positioned(context: Context, fd: int, right: int) -> File:
    """ESPIPE for a pipe or a stream, which says more than the missing right."""
    file = context.table.host_file(fd)
    if file.type is FileType.UNKNOWN and not file.base & right:
        raise WasiError(Errno.ESPIPE)
    # The right to seek includes the right to ask.
    if right == Right.FD_TELL and file.base & Right.FD_SEEK:
        return file
    file.require(right)
    return file


# ---- The descriptor itself -------------------------------------------------------------------------------------------


def fd_close(context: Context, fd: int) -> None:
    """Close a descriptor."""
    context.table.remove(fd)


def fd_renumber(context: Context, source: int, target: int) -> None:
    """Move a descriptor to another number, in one step."""
    context.table.renumber(source, target)


def fd_fdstat_get(context: Context, fd: int, fdstat_out: int) -> None:
    """Type, flags and rights."""
    found = context.table.get(fd)
    record = abi.FDSTAT.pack(found.type, found.flags, found.base, found.inheriting)
    context.memory.write(fdstat_out, record)


def fd_fdstat_set_flags(context: Context, fd: int, flags: int) -> None:
    """Change APPEND and NONBLOCK; the synchronising flags are fixed when a file is opened."""
    found = context.table.get(fd)
    if flags & ~FdFlag.ALL:
        raise WasiError(Errno.EINVAL)
    found.require(Right.FD_FDSTAT_SET_FLAGS)
    settable = FdFlag.APPEND | FdFlag.NONBLOCK
    if (flags ^ found.flags) & ~settable or not isinstance(found, File):
        raise WasiError(Errno.ENOTSUP)
    host_flags = fcntl.fcntl(found.host_fd, fcntl.F_GETFL)
    for flag, host_flag in _SETTABLE:
        host_flags = host_flags | host_flag if flags & flag else host_flags & ~host_flag
    fcntl.fcntl(found.host_fd, fcntl.F_SETFL, host_flags)
    found.flags = flags


def fd_fdstat_set_rights(context: Context, fd: int, base: int, inheriting: int) -> None:
    """Give rights up; ENOTCAPABLE for one that is not held."""
    found = context.table.get(fd)
    if base & ~found.base or inheriting & ~found.inheriting:
        raise WasiError(Errno.ENOTCAPABLE)
    found.base, found.inheriting = base, inheriting


# ---- The file --------------------------------------------------------------------------------------------------------


def fd_filestat_get(context: Context, fd: int, filestat_out: int) -> None:
    """What the host knows about the file."""
    found = context.table.get(fd)
    found.require(Right.FD_FILESTAT_GET)
    context.memory.write(filestat_out, found.filestat())


def fd_filestat_set_size(context: Context, fd: int, size: int) -> None:
    """Cut or extend the file."""
    file = context.table.host_file(fd, Right.FD_FILESTAT_SET_SIZE)
    os.ftruncate(file.host_fd, host_offset(size))


def fd_filestat_set_times(context: Context, fd: int, atime: int, mtime: int, flags: int) -> None:
    """Set access and modification time."""
    found = context.table.get(fd)
    found.require(Right.FD_FILESTAT_SET_TIMES)
    if not isinstance(found, HostDescriptor):
        raise WasiError(Errno.ENOTSUP)
    times = new_times(os.fstat(found.host_fd), atime, mtime, flags)
    os.utime(found.host_fd, ns=times)


def fd_allocate(context: Context, fd: int, offset: int, length: int) -> None:
    """Make room in the file."""
    file = context.table.host_file(fd, Right.FD_ALLOCATE)
    os.posix_fallocate(file.host_fd, host_offset(offset), host_offset(length))


def fd_advise(context: Context, fd: int, offset: int, length: int, advice: int) -> None:
    """Tell the host how the file will be read."""
    file = context.table.host_file(fd, Right.FD_ADVISE)
    if advice >= len(_ADVICE):
        raise WasiError(Errno.EINVAL)
    os.posix_fadvise(file.host_fd, host_offset(offset), host_offset(length), _ADVICE[advice])


def fd_sync(context: Context, fd: int) -> None:
    """Data and metadata to the disk."""
    _synchronise(context, fd, Right.FD_SYNC)


def fd_datasync(context: Context, fd: int) -> None:
    """Data to the disk."""
    _synchronise(context, fd, Right.FD_DATASYNC)


def _synchronise(context: Context, fd: int, right: int) -> None:
    found = context.table.get(fd)
    found.require(right)
    if not isinstance(found, HostDescriptor):
        raise WasiError(Errno.EINVAL)
    if right == Right.FD_SYNC:
        os.fsync(found.host_fd)
    else:
        os.fdatasync(found.host_fd)


# ---- Directories -----------------------------------------------------------------------------------------------------


def fd_prestat_get(context: Context, fd: int, prestat_out: int) -> None:
    """The length of a pre-opened directory's name; EBADF ends a program's search for them."""
    context.memory.write(prestat_out, abi.PRESTAT.pack(0, len(_preopen_name(context, fd))))


def fd_prestat_dir_name(context: Context, fd: int, name_out: int, length: int) -> None:
    """The name of a pre-opened directory."""
    name = _preopen_name(context, fd)
    if length < len(name):
        raise WasiError(Errno.ENAMETOOLONG)
    context.memory.write(name_out, name)


def _preopen_name(context: Context, fd: int) -> bytes:
    found = context.table.get(fd)
    if not isinstance(found, Directory) or found.preopen is None:
        raise WasiError(Errno.EBADF)
    return found.preopen


def fd_readdir(
    context: Context, fd: int, buffer: int, length: int, cookie: int, used_out: int
) -> None:
    """Entries from a cookie on.  A buffer filled to its end, the last entry cut, says that there are more.

    Cookies are indices into a snapshot, which cookie 0 renews: what is created or removed in between moves nothing.
    """
    directory = context.table.directory(fd, Right.FD_READDIR)
    context.memory.span(used_out, 4)
    target = context.memory.span(buffer, length)
    if cookie == 0 or not directory.entries:
        directory.take_snapshot()
    used = 0
    for index in range(min(cookie, limits.WASI_DIRECTORY_ENTRIES_MAX), len(directory.entries)):
        if used >= length:
            break
        entry = directory.entries[index]
        head = abi.DIRENT.pack(index + 1, entry.inode, len(entry.name), entry.type)
        record = (head + entry.name)[: length - used]
        target[used : used + len(record)] = record
        used += len(record)
    context.memory.write_u32(used_out, used)
