"""The `path_*` functions: what is named below a directory that the program holds."""

from __future__ import annotations

import errno as host_errno
import os
import stat
from typing import TYPE_CHECKING

from interlock import limits
from interlock.runtime.wasi import abi
from interlock.runtime.wasi.abi import Errno, FdFlag, FileType, OpenFlag, Right, WasiError
from interlock.runtime.wasi.descriptors import Directory, File, new_times, pack_filestat
from interlock.runtime.wasi.resolution import resolve

if TYPE_CHECKING:
    from interlock.runtime.wasi.context import Context
    from interlock.runtime.wasi.descriptors import Descriptor
    from interlock.runtime.wasi.resolution import Place

_FILE_MODE = 0o666
_DIRECTORY_MODE = 0o777
_HOST_OPEN_FLAGS = (
    (OpenFlag.CREAT, os.O_CREAT),
    (OpenFlag.DIRECTORY, os.O_DIRECTORY),
    (OpenFlag.EXCL, os.O_EXCL),
    (OpenFlag.TRUNC, os.O_TRUNC),
)
_HOST_FD_FLAGS = (
    (FdFlag.APPEND, os.O_APPEND),
    (FdFlag.DSYNC, os.O_DSYNC),
    (FdFlag.RSYNC, os.O_RSYNC),
    (FdFlag.SYNC, os.O_SYNC),
)


def _path(context: Context, address: int, length: int) -> bytes:
    """A path from the program: UTF-8 without NUL."""
    if length > limits.WASI_PATH_BYTES_MAX:
        context.memory.span(address, length)
        raise WasiError(Errno.ENAMETOOLONG)
    path = context.memory.read(address, length)
    if b"\0" in path:
        raise WasiError(Errno.EINVAL)
    try:
        path.decode()
    except UnicodeDecodeError:
        raise WasiError(Errno.EILSEQ) from None
    return path


def _follows(lookup_flags: int) -> bool:
    if lookup_flags & ~abi.SYMLINK_FOLLOW:
        raise WasiError(Errno.EINVAL)
    return lookup_flags == abi.SYMLINK_FOLLOW


# ---- Opening ---------------------------------------------------------------------------------------------------------


def path_open(
    context: Context,
    fd: int,
    lookup_flags: int,
    address: int,
    length: int,
    open_flags: int,
    base: int,
    inheriting: int,
    fd_flags: int,
    fd_out: int,
) -> None:
    """Open or create a file, or open a directory."""
    # Rights that preview 1 does not know are asked for by programs which ask for everything.
    base, inheriting = base & abi.RIGHTS_ALL, inheriting & abi.RIGHTS_ALL
    directory = context.table.directory(fd, _rights_to_open(open_flags, fd_flags))
    if (base | inheriting) & ~directory.inheriting:
        raise WasiError(Errno.ENOTCAPABLE)
    path = _path(context, address, length)
    follow = _follows(lookup_flags)
    if open_flags & OpenFlag.CREAT and open_flags & OpenFlag.EXCL:
        follow = False  # as POSIX says: a link which is in the way is in the way
    context.memory.span(fd_out, 4)
    context.table.require_room()
    with resolve(directory.host_fd, path, follow=follow) as place:
        opened = _open(place, open_flags, base, inheriting, fd_flags)
    context.memory.write_u32(fd_out, context.table.insert(opened))


def _rights_to_open(open_flags: int, fd_flags: int) -> int:
    if open_flags & ~OpenFlag.ALL or fd_flags & ~FdFlag.ALL:
        raise WasiError(Errno.EINVAL)
    if open_flags & OpenFlag.CREAT and open_flags & OpenFlag.DIRECTORY:
        raise WasiError(Errno.EINVAL)
    rights = Right.PATH_OPEN
    if open_flags & OpenFlag.CREAT:
        rights |= Right.PATH_CREATE_FILE
    if open_flags & OpenFlag.TRUNC:
        rights |= Right.PATH_FILESTAT_SET_SIZE
    return rights


def _open(place: Place, open_flags: int, base: int, inheriting: int, fd_flags: int) -> Descriptor:
    """Open without following, without becoming a terminal's session, without waiting for a pipe's other end."""
    flags = os.O_NOFOLLOW | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC
    for table, given in ((_HOST_OPEN_FLAGS, open_flags), (_HOST_FD_FLAGS, fd_flags)):
        for flag, host_flag in table:
            flags |= host_flag if given & flag else 0
    wants_write = bool(base & abi.RIGHTS_WRITE) or bool(open_flags & OpenFlag.TRUNC)
    if wants_write:
        flags |= os.O_RDWR if base & Right.FD_READ else os.O_WRONLY
    if place.must_be_directory:
        if open_flags & OpenFlag.CREAT:
            raise WasiError(Errno.EISDIR)
        flags |= os.O_DIRECTORY
    host_fd = os.open(place.name, flags, _FILE_MODE, dir_fd=place.directory_fd)
    try:
        return _describe(host_fd, base, inheriting, fd_flags, wants_write=wants_write)
    except BaseException:
        os.close(host_fd)
        raise


def _describe(
    host_fd: int, base: int, inheriting: int, fd_flags: int, *, wants_write: bool
) -> Descriptor:
    kind = abi.file_type(os.fstat(host_fd).st_mode)
    if kind is FileType.DIRECTORY:
        return Directory(
            base=base & abi.RIGHTS_DIRECTORY, inheriting=inheriting, type=kind, host_fd=host_fd
        )
    if kind is not FileType.REGULAR_FILE and not fd_flags & FdFlag.NONBLOCK:
        os.set_blocking(host_fd, True)
    held = abi.RIGHTS_TERMINAL if os.isatty(host_fd) else abi.RIGHTS_FILE
    if not wants_write:
        held &= ~abi.RIGHTS_WRITE
    return File(
        base=base & held, inheriting=inheriting & held, type=kind, host_fd=host_fd, flags=fd_flags
    )


# ---- Status and times ------------------------------------------------------------------------------------------------


def path_filestat_get(
    context: Context, fd: int, lookup_flags: int, address: int, length: int, filestat_out: int
) -> None:
    """What the host knows about a file."""
    directory = context.table.directory(fd, Right.PATH_FILESTAT_GET)
    path = _path(context, address, length)
    with resolve(directory.host_fd, path, follow=_follows(lookup_flags)) as place:
        record = pack_filestat(place.status())
    context.memory.write(filestat_out, record)


def path_filestat_set_times(
    context: Context,
    fd: int,
    lookup_flags: int,
    address: int,
    length: int,
    atime: int,
    mtime: int,
    flags: int,
) -> None:
    """Set access and modification time of a file."""
    directory = context.table.directory(fd, Right.PATH_FILESTAT_SET_TIMES)
    path = _path(context, address, length)
    with resolve(directory.host_fd, path, follow=_follows(lookup_flags)) as place:
        times = new_times(place.status(), atime, mtime, flags)
        os.utime(place.name, ns=times, dir_fd=place.directory_fd, follow_symlinks=False)


# ---- Names -----------------------------------------------------------------------------------------------------------


def path_create_directory(context: Context, fd: int, address: int, length: int) -> None:
    """Make a directory."""
    directory = context.table.directory(fd, Right.PATH_CREATE_DIRECTORY)
    path = _bare(_path(context, address, length))
    with resolve(directory.host_fd, path, follow=False) as place:
        os.mkdir(place.name, _DIRECTORY_MODE, dir_fd=place.directory_fd)


def path_remove_directory(context: Context, fd: int, address: int, length: int) -> None:
    """Remove an empty directory."""
    directory = context.table.directory(fd, Right.PATH_REMOVE_DIRECTORY)
    # The slash must not make a link be followed: `rmdir link/` fails on the host too.
    path = _bare(_path(context, address, length))
    with resolve(directory.host_fd, path, follow=False) as place:
        os.rmdir(place.name, dir_fd=place.directory_fd)


def path_unlink_file(context: Context, fd: int, address: int, length: int) -> None:
    """Remove a name of a file."""
    directory = context.table.directory(fd, Right.PATH_UNLINK_FILE)
    path = _path(context, address, length)
    with resolve(directory.host_fd, path, follow=False) as place:
        if stat.S_ISDIR(place.status().st_mode):
            raise WasiError(Errno.EISDIR)
        os.unlink(place.name, dir_fd=place.directory_fd)


def path_rename(
    context: Context,
    fd: int,
    address: int,
    length: int,
    new_fd: int,
    new_address: int,
    new_length: int,
) -> None:
    """Rename within what the program holds."""
    source_directory = context.table.directory(fd, Right.PATH_RENAME_SOURCE)
    target_directory = context.table.directory(new_fd, Right.PATH_RENAME_TARGET)
    source_path = _path(context, address, length)
    target_path = _path(context, new_address, new_length)
    with (
        resolve(source_directory.host_fd, _bare(source_path), follow=False) as source,
        resolve(target_directory.host_fd, _bare(target_path), follow=False) as target,
    ):
        needs_directory = source_path.endswith(b"/") or target_path.endswith(b"/")
        if needs_directory and not stat.S_ISDIR(source.status().st_mode):
            raise WasiError(Errno.ENOTDIR)
        os.rename(
            source.name,
            target.name,
            src_dir_fd=source.directory_fd,
            dst_dir_fd=target.directory_fd,
        )


def path_link(
    context: Context,
    fd: int,
    lookup_flags: int,
    address: int,
    length: int,
    new_fd: int,
    new_address: int,
    new_length: int,
) -> None:
    """Give a file a second name."""
    source_directory = context.table.directory(fd, Right.PATH_LINK_SOURCE)
    target_directory = context.table.directory(new_fd, Right.PATH_LINK_TARGET)
    source_path = _path(context, address, length)
    target_path = _path(context, new_address, new_length)
    with (
        resolve(source_directory.host_fd, source_path, follow=_follows(lookup_flags)) as source,
        resolve(target_directory.host_fd, _bare(target_path), follow=False) as target,
    ):
        source.status()
        if target_path.endswith(b"/"):
            raise WasiError(Errno.ENOENT)
        os.link(
            source.name,
            target.name,
            src_dir_fd=source.directory_fd,
            dst_dir_fd=target.directory_fd,
            follow_symlinks=False,
        )


def path_symlink(
    context: Context, address: int, length: int, fd: int, new_address: int, new_length: int
) -> None:
    """Make a symbolic link; an absolute target would mean another file outside, so it is refused."""
    directory = context.table.directory(fd, Right.PATH_SYMLINK)
    target = _path(context, address, length)
    path = _path(context, new_address, new_length)
    if not target:
        raise WasiError(Errno.ENOENT)
    if target.startswith(b"/"):
        raise WasiError(Errno.EPERM)
    with resolve(directory.host_fd, _bare(path), follow=False) as place:
        if path.endswith(b"/") and not _exists(place):
            raise WasiError(Errno.ENOENT)
        os.symlink(target, place.name, dir_fd=place.directory_fd)


def path_readlink(
    context: Context,
    fd: int,
    address: int,
    length: int,
    buffer: int,
    buffer_length: int,
    used_out: int,
) -> None:
    """What a symbolic link says, cut to the buffer."""
    directory = context.table.directory(fd, Right.PATH_READLINK)
    path = _path(context, address, length)
    context.memory.span(buffer, buffer_length)
    with resolve(directory.host_fd, path, follow=False) as place:
        target = os.readlink(place.name, dir_fd=place.directory_fd)[:buffer_length]
    context.memory.write(buffer, target)
    context.memory.write_u32(used_out, len(target))


def _bare(path: bytes) -> bytes:
    """Without trailing slashes: these calls act on the name itself, never on what a link leads to."""
    return path.rstrip(b"/") or path


def _exists(place: Place) -> bool:
    try:
        os.lstat(place.name, dir_fd=place.directory_fd)
    except OSError as error:
        if error.errno == host_errno.ENOENT:
            return False
        raise
    return True
