"""What a program's descriptors stand for, and the table of them.

A descriptor carries two sets of rights: `base` for calls on it, `inheriting` for what is opened through it.
"""

from __future__ import annotations

import os
import select
import stat
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

from interlock import limits
from interlock.runtime.wasi import abi
from interlock.runtime.wasi.abi import Errno, FileType, Right, WasiError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# How often a call that waits looks whether a time limit has passed.
_WAIT_MILLISECONDS = 50


@dataclass(slots=True, kw_only=True)
class Descriptor:
    """What all kinds share."""

    base: int
    inheriting: int = 0
    type: FileType = FileType.UNKNOWN
    flags: int = 0

    def require(self, rights: int) -> None:
        """ENOTCAPABLE unless all these rights are held."""
        if rights & ~self.base:
            raise WasiError(Errno.ENOTCAPABLE)

    def filestat(self) -> bytes:
        """The `filestat` record."""
        return abi.FILESTAT.pack(0, 0, self.type, 0, 0, 0, 0, 0)

    def flush(self) -> None:
        """Hand buffered output on."""

    def close(self) -> None:
        """Give the host's resources back."""


@dataclass(slots=True, kw_only=True)
class HostDescriptor(Descriptor):
    """Something with a file descriptor of the host."""

    host_fd: int
    is_owned: bool = True

    def filestat(self) -> bytes:
        """The `filestat` record of the open file."""
        return pack_filestat(os.fstat(self.host_fd))

    def close(self) -> None:
        """Close it unless it is the process's own standard stream."""
        host_fd, self.host_fd = self.host_fd, -1
        if self.is_owned and host_fd >= 0:
            os.close(host_fd)


@dataclass(slots=True, kw_only=True)
class File(HostDescriptor):
    """A file, pipe or device, read and written without a buffer in between."""

    def read(self, buffers: list[memoryview], is_interrupted: Callable[[], bool]) -> int:
        """Fill the buffers in order; the number of bytes, 0 at the end."""
        self._wait(select.POLLIN, is_interrupted)
        return os.readv(self.host_fd, buffers)

    def write(self, buffers: list[memoryview], is_interrupted: Callable[[], bool]) -> int:
        """Write the buffers in order; the number of bytes."""
        self._wait(select.POLLOUT, is_interrupted)
        return os.writev(self.host_fd, buffers)

    def _wait(self, events: int, is_interrupted: Callable[[], bool]) -> None:
        """Wait in slices until a pipe or device is ready, so that a time limit ends a call that blocks.

        Python restarts an interrupted system call, so waiting inside `readv` could not be ended.
        """
        if self.type is FileType.REGULAR_FILE or self.flags & abi.FdFlag.NONBLOCK:
            return
        poll = select.poll()
        poll.register(self.host_fd, events)
        while not poll.poll(_WAIT_MILLISECONDS):
            if is_interrupted():
                raise WasiError(Errno.EINTR)


@dataclass(slots=True, kw_only=True)
class Stream(Descriptor):
    """A Python stream of the embedder, or nothing: an empty input, an output that is thrown away."""

    stream: BinaryIO | None

    def read(self, buffers: list[memoryview], is_interrupted: Callable[[], bool]) -> int:
        """Fill the buffers in order with what one read of the stream gives."""
        del is_interrupted  # the embedder's stream blocks as it likes
        room = sum(buffer.nbytes for buffer in buffers)
        if self.stream is None or room == 0:
            return 0
        read = getattr(self.stream, "read1", self.stream.read)
        data = read(room)
        if data is None:
            raise WasiError(Errno.EAGAIN)
        start = 0
        for buffer in buffers:
            part = data[start : start + buffer.nbytes]
            buffer[: len(part)] = part
            start += len(part)
        return start

    def write(self, buffers: list[memoryview], is_interrupted: Callable[[], bool]) -> int:
        """Hand the buffers to the stream; the number of bytes it took."""
        del is_interrupted
        if self.stream is None:
            return sum(buffer.nbytes for buffer in buffers)
        total = 0
        for buffer in buffers:
            taken = self.stream.write(bytes(buffer))
            # Raw streams tell how much they took, None when they would block.
            if taken is None:
                raise WasiError(Errno.EAGAIN)
            total += taken
            if taken < buffer.nbytes:
                break
        return total

    def flush(self) -> None:
        """Flush the embedder's stream."""
        if self.stream is not None and not self.stream.closed:
            self.stream.flush()


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of a directory."""

    name: bytes
    inode: int
    type: FileType


@dataclass(slots=True, kw_only=True)
class Directory(HostDescriptor):
    """An open directory; `preopen` is its name for the program if it was given at the start."""

    preopen: bytes | None = None
    entries: list[Entry] = field(default_factory=list)

    def take_snapshot(self) -> None:
        """Take a new snapshot, into which cookies are indices."""
        inode = os.fstat(self.host_fd).st_ino
        # The parent's inode is none of the program's business.
        entries = [Entry(name=name, inode=inode, type=FileType.DIRECTORY) for name in (b".", b"..")]
        with os.scandir(self.host_fd) as found:
            for entry in found:
                if len(entries) >= limits.WASI_DIRECTORY_ENTRIES_MAX:
                    raise WasiError(Errno.EOVERFLOW)
                entries.append(
                    Entry(
                        name=os.fsencode(entry.name), inode=entry.inode(), type=_entry_type(entry)
                    )
                )
        self.entries = entries


def _entry_type(entry: os.DirEntry[str]) -> FileType:
    if entry.is_symlink():
        return FileType.SYMBOLIC_LINK
    if entry.is_dir(follow_symlinks=False):
        return FileType.DIRECTORY
    if entry.is_file(follow_symlinks=False):
        return FileType.REGULAR_FILE
    try:
        return abi.file_type(entry.stat(follow_symlinks=False).st_mode)
    except OSError:  # gone since it was listed
        return FileType.UNKNOWN


class DescriptorTable:
    """A program's descriptors by number; a new one takes the lowest that is free."""

    def __init__(self) -> None:
        self._by_number: dict[int, Descriptor] = {}

    def __iter__(self) -> Iterator[Descriptor]:
        """All of them."""
        return iter(list(self._by_number.values()))

    def set(self, number: int, descriptor: Descriptor) -> None:
        """Use a number that is free."""
        self._by_number[number] = descriptor

    def insert(self, descriptor: Descriptor) -> int:
        """Take the lowest free number; EMFILE at the limit, and then the descriptor is closed."""
        if len(self._by_number) >= limits.WASI_DESCRIPTORS_MAX:
            descriptor.close()
            raise WasiError(Errno.EMFILE)
        number = next(n for n in range(len(self._by_number) + 1) if n not in self._by_number)
        self._by_number[number] = descriptor
        return number

    def require_room(self) -> None:
        """EMFILE if `insert` would fail: asked before a file is created."""
        if len(self._by_number) >= limits.WASI_DESCRIPTORS_MAX:
            raise WasiError(Errno.EMFILE)

    def get(self, number: int) -> Descriptor:
        """EBADF for a number that stands for nothing."""
        descriptor = self._by_number.get(number)
        if descriptor is None:
            raise WasiError(Errno.EBADF)
        return descriptor

    def file(self, number: int, rights: int = 0) -> File | Stream:
        """A file or stream with these rights; EBADF for a directory."""
        descriptor = self.get(number)
        if not isinstance(descriptor, File | Stream):
            raise WasiError(Errno.EBADF)
        descriptor.require(rights)
        return descriptor

    def host_file(self, number: int, rights: int = 0) -> File:
        """A file of the host; ESPIPE for an embedder's stream, which has no position."""
        descriptor = self.file(number, rights)
        if not isinstance(descriptor, File):
            raise WasiError(Errno.ESPIPE)
        return descriptor

    def directory(self, number: int, rights: int = 0) -> Directory:
        """A directory with these rights; ENOTDIR for a file."""
        descriptor = self.get(number)
        if not isinstance(descriptor, Directory):
            raise WasiError(Errno.ENOTDIR)
        descriptor.require(rights)
        return descriptor

    def remove(self, number: int) -> None:
        """Close one."""
        descriptor = self.get(number)
        del self._by_number[number]
        descriptor.flush()
        descriptor.close()

    def renumber(self, source: int, target: int) -> None:
        """Give `source` the number `target`, closing what had it.  Pre-opened directories stay where they are."""
        moved, closed = self.get(source), self.get(target)
        if any(
            isinstance(each, Directory) and each.preopen is not None for each in (moved, closed)
        ):
            raise WasiError(Errno.ENOTSUP)
        if source == target:
            return
        self._by_number[target] = moved
        del self._by_number[source]
        closed.flush()
        closed.close()

    def close(self) -> None:
        """Close all."""
        while self._by_number:
            self._by_number.popitem()[1].close()


def pack_filestat(status: os.stat_result) -> bytes:
    """The `filestat` record of the host's answer."""
    mask = (1 << 64) - 1
    return abi.FILESTAT.pack(
        status.st_dev & mask,
        status.st_ino & mask,
        abi.file_type(status.st_mode),
        status.st_nlink,
        status.st_size,
        max(status.st_atime_ns, 0) & mask,
        max(status.st_mtime_ns, 0) & mask,
        max(status.st_ctime_ns, 0) & mask,
    )


def new_times(status: os.stat_result, atime: int, mtime: int, flags: int) -> tuple[int, int]:
    """Access and modification time in nanoseconds after a `set_times` with these `fstflags`."""
    both = (abi.TimeFlag.ATIM | abi.TimeFlag.ATIM_NOW, abi.TimeFlag.MTIM | abi.TimeFlag.MTIM_NOW)
    if flags & ~abi.TimeFlag.ALL or any(flags & pair == pair for pair in both):
        raise WasiError(Errno.EINVAL)
    now = time.time_ns()
    new_atime, new_mtime = status.st_atime_ns, status.st_mtime_ns
    if flags & both[0]:
        new_atime = atime if flags & abi.TimeFlag.ATIM else now
    if flags & both[1]:
        new_mtime = mtime if flags & abi.TimeFlag.MTIM else now
    return new_atime, new_mtime


def standard_stream(number: int) -> Descriptor | None:
    """The process's own descriptor 0, 1 or 2; None if it is closed."""
    try:
        status = os.fstat(number)
    except OSError:
        return None
    kind = abi.file_type(status.st_mode)
    rights = (
        (Right.FD_READ if number == 0 else Right.FD_WRITE)
        | Right.FD_FILESTAT_GET
        | Right.POLL_FD_READWRITE
    )
    if stat.S_ISREG(status.st_mode):
        rights |= Right.FD_SEEK | Right.FD_TELL
    return File(base=rights, type=kind, host_fd=number, is_owned=False)


def embedder_stream(number: int, stream: BinaryIO | None) -> Descriptor:
    """A Python stream, or None, as standard stream `number`."""
    right = Right.FD_READ if number == 0 else Right.FD_WRITE
    return Stream(base=right | Right.FD_FILESTAT_GET | Right.POLL_FD_READWRITE, stream=stream)
