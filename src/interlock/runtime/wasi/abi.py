"""The numbers of WASI preview 1: functions and signatures, error numbers, rights, flags and record layouts.

Source: `wasi_snapshot_preview1.witx` of the WASI repository, `legacy/preview1`.
"""

from __future__ import annotations

import enum
import errno as host_errno
import stat
import struct
from typing import Final

MODULE: Final = "wasi_snapshot_preview1"

# Name → signature: `i` is i32, `I` is i64, results after the colon.
WASI_FUNCTIONS: Final = {
    "args_get": "ii:i",
    "args_sizes_get": "ii:i",
    "clock_res_get": "ii:i",
    "clock_time_get": "iIi:i",
    "environ_get": "ii:i",
    "environ_sizes_get": "ii:i",
    "fd_advise": "iIIi:i",
    "fd_allocate": "iII:i",
    "fd_close": "i:i",
    "fd_datasync": "i:i",
    "fd_fdstat_get": "ii:i",
    "fd_fdstat_set_flags": "ii:i",
    "fd_fdstat_set_rights": "iII:i",
    "fd_filestat_get": "ii:i",
    "fd_filestat_set_size": "iI:i",
    "fd_filestat_set_times": "iIIi:i",
    "fd_pread": "iiiIi:i",
    "fd_prestat_dir_name": "iii:i",
    "fd_prestat_get": "ii:i",
    "fd_pwrite": "iiiIi:i",
    "fd_read": "iiii:i",
    "fd_readdir": "iiiIi:i",
    "fd_renumber": "ii:i",
    "fd_seek": "iIii:i",
    "fd_sync": "i:i",
    "fd_tell": "ii:i",
    "fd_write": "iiii:i",
    "path_create_directory": "iii:i",
    "path_filestat_get": "iiiii:i",
    "path_filestat_set_times": "iiiiIIi:i",
    "path_link": "iiiiiii:i",
    "path_open": "iiiiiIIii:i",
    "path_readlink": "iiiiii:i",
    "path_remove_directory": "iii:i",
    "path_rename": "iiiiii:i",
    "path_symlink": "iiiii:i",
    "path_unlink_file": "iii:i",
    "poll_oneoff": "iiii:i",
    "proc_exit": "i:",
    "proc_raise": "i:i",
    "random_get": "ii:i",
    "sched_yield": ":i",
    "sock_accept": "iii:i",
    "sock_recv": "iiiiii:i",
    "sock_send": "iiiii:i",
    "sock_shutdown": "ii:i",
}

# In the order of their numbers.
_ERRNO_TEXT: Final = (
    "SUCCESS E2BIG EACCES EADDRINUSE EADDRNOTAVAIL EAFNOSUPPORT EAGAIN EALREADY EBADF EBADMSG EBUSY "
    "ECANCELED ECHILD ECONNABORTED ECONNREFUSED ECONNRESET EDEADLK EDESTADDRREQ EDOM EDQUOT EEXIST "
    "EFAULT EFBIG EHOSTUNREACH EIDRM EILSEQ EINPROGRESS EINTR EINVAL EIO EISCONN EISDIR ELOOP EMFILE "
    "EMLINK EMSGSIZE EMULTIHOP ENAMETOOLONG ENETDOWN ENETRESET ENETUNREACH ENFILE ENOBUFS ENODEV ENOENT "
    "ENOEXEC ENOLCK ENOLINK ENOMEM ENOMSG ENOPROTOOPT ENOSPC ENOSYS ENOTCONN ENOTDIR ENOTEMPTY "
    "ENOTRECOVERABLE ENOTSOCK ENOTSUP ENOTTY ENXIO EOVERFLOW EOWNERDEAD EPERM EPIPE EPROTO "
    "EPROTONOSUPPORT EPROTOTYPE ERANGE EROFS ESPIPE ESRCH ESTALE ETIMEDOUT ETXTBSY EXDEV ENOTCAPABLE"
)


class Errno(enum.IntEnum):
    """Error numbers which programs see (preview 1's own; the host's differ)."""

    SUCCESS = 0
    EACCES = 2
    EAGAIN = 6
    EBADF = 8
    EEXIST = 20
    EFAULT = 21
    EFBIG = 22
    EILSEQ = 25
    EINTR = 27
    EINVAL = 28
    EIO = 29
    EISDIR = 31
    ELOOP = 32
    EMFILE = 33
    ENAMETOOLONG = 37
    ENOENT = 44
    ENOMEM = 48
    ENOSYS = 52
    ENOTDIR = 54
    ENOTEMPTY = 55
    ENOTSUP = 58
    EOVERFLOW = 61
    EPERM = 63
    EPIPE = 64
    ESPIPE = 70
    ENOTCAPABLE = 76


_FROM_HOST: Final = {
    getattr(host_errno, name): number
    for number, name in enumerate(_ERRNO_TEXT.split())
    if hasattr(host_errno, name)
}


class WasiError(Exception):
    """A call fails with this error number; never leaves the package."""

    def __init__(self, errno: Errno) -> None:
        super().__init__(errno)
        self.errno = errno


def errno_of(error: OSError) -> int:
    """Preview 1's number for a failed system call."""
    if error.errno is None:
        return Errno.EIO
    return _FROM_HOST.get(error.errno, Errno.EIO)


class Right:
    """Bits of `rights`."""

    FD_DATASYNC = 1 << 0
    FD_READ = 1 << 1
    FD_SEEK = 1 << 2
    FD_FDSTAT_SET_FLAGS = 1 << 3
    FD_SYNC = 1 << 4
    FD_TELL = 1 << 5
    FD_WRITE = 1 << 6
    FD_ADVISE = 1 << 7
    FD_ALLOCATE = 1 << 8
    PATH_CREATE_DIRECTORY = 1 << 9
    PATH_CREATE_FILE = 1 << 10
    PATH_LINK_SOURCE = 1 << 11
    PATH_LINK_TARGET = 1 << 12
    PATH_OPEN = 1 << 13
    FD_READDIR = 1 << 14
    PATH_READLINK = 1 << 15
    PATH_RENAME_SOURCE = 1 << 16
    PATH_RENAME_TARGET = 1 << 17
    PATH_FILESTAT_GET = 1 << 18
    PATH_FILESTAT_SET_SIZE = 1 << 19
    PATH_FILESTAT_SET_TIMES = 1 << 20
    FD_FILESTAT_GET = 1 << 21
    FD_FILESTAT_SET_SIZE = 1 << 22
    FD_FILESTAT_SET_TIMES = 1 << 23
    PATH_SYMLINK = 1 << 24
    PATH_REMOVE_DIRECTORY = 1 << 25
    PATH_UNLINK_FILE = 1 << 26
    POLL_FD_READWRITE = 1 << 27
    SOCK_SHUTDOWN = 1 << 28
    SOCK_ACCEPT = 1 << 29


RIGHTS_ALL: Final = (1 << 30) - 1
RIGHTS_WRITE: Final = Right.FD_WRITE | Right.FD_ALLOCATE | Right.FD_FILESTAT_SET_SIZE
RIGHTS_FILE: Final = (
    RIGHTS_WRITE
    | Right.FD_DATASYNC
    | Right.FD_READ
    | Right.FD_SEEK
    | Right.FD_FDSTAT_SET_FLAGS
    | Right.FD_SYNC
    | Right.FD_TELL
    | Right.FD_ADVISE
    | Right.FD_FILESTAT_GET
    | Right.FD_FILESTAT_SET_TIMES
    | Right.POLL_FD_READWRITE
)
# A terminal: without seek and tell, which is how C libraries recognise one.
RIGHTS_TERMINAL: Final = RIGHTS_FILE & ~(
    Right.FD_SEEK | Right.FD_TELL | Right.FD_ADVISE | Right.FD_ALLOCATE | Right.FD_FILESTAT_SET_SIZE
)
RIGHTS_DIRECTORY: Final = RIGHTS_ALL & ~(
    RIGHTS_WRITE
    | Right.FD_READ
    | Right.FD_SEEK
    | Right.FD_TELL
    | Right.POLL_FD_READWRITE
    | Right.SOCK_SHUTDOWN
    | Right.SOCK_ACCEPT
)


class FileType(enum.IntEnum):
    """What a descriptor or a directory entry is."""

    UNKNOWN = 0
    BLOCK_DEVICE = 1
    CHARACTER_DEVICE = 2
    DIRECTORY = 3
    REGULAR_FILE = 4
    SOCKET_DGRAM = 5
    SOCKET_STREAM = 6
    SYMBOLIC_LINK = 7


_FILE_TYPES: Final = {
    stat.S_IFBLK: FileType.BLOCK_DEVICE,
    stat.S_IFCHR: FileType.CHARACTER_DEVICE,
    stat.S_IFDIR: FileType.DIRECTORY,
    stat.S_IFREG: FileType.REGULAR_FILE,
    stat.S_IFSOCK: FileType.SOCKET_STREAM,
    stat.S_IFLNK: FileType.SYMBOLIC_LINK,
}


def file_type(mode: int) -> FileType:
    """The type in a host's `st_mode`; pipes have none in preview 1."""
    return _FILE_TYPES.get(stat.S_IFMT(mode), FileType.UNKNOWN)


class FdFlag:
    """Bits of `fdflags`."""

    APPEND = 1
    DSYNC = 2
    NONBLOCK = 4
    RSYNC = 8
    SYNC = 16
    ALL = 31


class OpenFlag:
    """Bits of `oflags`."""

    CREAT = 1
    DIRECTORY = 2
    EXCL = 4
    TRUNC = 8
    ALL = 15


class TimeFlag:
    """Bits of `fstflags`."""

    ATIM = 1
    ATIM_NOW = 2
    MTIM = 4
    MTIM_NOW = 8
    ALL = 15


SYMLINK_FOLLOW: Final = 1  # the one bit of lookupflags

# Records, as laid out in the guest's memory.
CIOVEC: Final = struct.Struct("<II")
FDSTAT: Final = struct.Struct("<BxH4xQQ")
FILESTAT: Final = struct.Struct("<QQB7xQQQQQ")
PRESTAT: Final = struct.Struct("<B3xI")
DIRENT: Final = struct.Struct("<QQIB3x")
SUBSCRIPTION_HEAD: Final = struct.Struct("<QB7x")
SUBSCRIPTION_CLOCK: Final = struct.Struct("<I4xQQH6x")
SUBSCRIPTION_FD: Final = struct.Struct("<I")
SUBSCRIPTION_BYTES: Final = 48
EVENT: Final = struct.Struct("<QHB5xQH6x")
