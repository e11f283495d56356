"""The `fd_*` and `path_*` functions on files that the program may use."""

from __future__ import annotations

import os
import stat
import struct
from typing import TYPE_CHECKING

import pytest

from interlock import limits
from interlock.runtime.wasi.abi import (
    RIGHTS_ALL,
    RIGHTS_DIRECTORY,
    RIGHTS_WRITE,
    Errno,
    FdFlag,
    FileType,
    OpenFlag,
    Right,
)

from .conftest import failing, names, open_descriptors

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import Guest

READ_ONLY = RIGHTS_ALL & ~RIGHTS_WRITE


def _open_directory(guest: Guest, path: str) -> int:
    return guest.open(path, flags=OpenFlag.DIRECTORY, base=RIGHTS_DIRECTORY)


def _entries(data: bytes) -> list[tuple[int, int, int, bytes]]:
    """(next cookie, inode, type, name) of each whole entry."""
    found, at = [], 0
    while at + 24 <= len(data):
        cookie, inode, length, kind = struct.unpack_from("<QQIB", data, at)
        name = data[at + 24 : at + 24 + length]
        if len(name) < length:
            break
        found.append((cookie, inode, kind, name))
        at += 24 + length
    return found


# ---- Reading, writing, position --------------------------------------------------------------------------------------


def test_new_file_holds_what_was_written(guest: Guest, root: Path) -> None:
    fd = guest.open("new", flags=OpenFlag.CREAT)

    assert guest.write(fd, b"one ", b"", b"two") == 7

    assert (root / "new").read_bytes() == b"one two"
    assert guest.seek(fd, 0, 1) == 7
    assert guest.seek(fd, (1 << 64) - 3, 2) == 4
    assert guest.read(fd, 2, 0, 10) == b"two"
    assert guest.read(fd, 5) == b""


def test_seek_before_the_start_is_invalid(guest: Guest) -> None:
    fd = guest.open("file")

    with failing(Errno.EINVAL):
        guest.seek(fd, (1 << 64) - 1, 0)
    with failing(Errno.EINVAL):
        guest.seek(fd, 0, 3)


def test_pread_and_pwrite_leave_the_position(guest: Guest, root: Path) -> None:
    fd = guest.open("file")

    assert guest.pread(fd, 4, 3) == b"tent"
    assert guest.pwrite(fd, b"XY", 2) == 2

    assert guest.seek(fd, 0, 1) == 0
    assert (root / "file").read_bytes() == b"coXYent"
    with failing(Errno.EINVAL):
        guest.pread(fd, 4, 1 << 63)


def test_append_writes_at_the_end(guest: Guest, root: Path) -> None:
    fd = guest.open("file", fd_flags=FdFlag.APPEND)
    guest.seek(fd, 0, 0)
    guest.write(fd, b"!")
    guest.call("fd_fdstat_set_flags", fd, 0)
    guest.seek(fd, 0, 0)
    guest.write(fd, b"C")

    assert (root / "file").read_bytes() == b"Content!"
    assert guest.fdstat(fd)[1] == 0


def test_truncating_needs_its_right(guest: Guest, root: Path) -> None:
    guest.call(
        "fd_fdstat_set_rights", 3, RIGHTS_DIRECTORY & ~Right.PATH_FILESTAT_SET_SIZE, RIGHTS_ALL
    )

    with failing(Errno.ENOTCAPABLE):
        guest.open("file", flags=OpenFlag.TRUNC)

    assert (root / "file").read_bytes() == b"content"


def test_size_can_be_set_and_allocated(guest: Guest, root: Path) -> None:
    fd = guest.open("file")

    guest.call("fd_filestat_set_size", fd, 3)
    assert (root / "file").read_bytes() == b"con"
    guest.call("fd_allocate", fd, 0, 10)
    assert guest.fstat(fd)["size"] == 10
    with failing(Errno.EINVAL):
        guest.call("fd_filestat_set_size", fd, 1 << 63)


def test_synchronising_and_advice_succeed(guest: Guest) -> None:
    fd = guest.open("file")
    guest.call("fd_sync", fd)
    guest.call("fd_datasync", fd)
    guest.call("fd_sync", 3)
    for advice in range(6):
        guest.call("fd_advise", fd, 0, 0, advice)
    with failing(Errno.EINVAL):
        guest.call("fd_advise", fd, 0, 0, 6)


# ---- Opening and rights ----------------------------------------------------------------------------------------------


def test_exclusive_creation_refuses_what_exists(guest: Guest) -> None:
    with failing(Errno.EEXIST):
        guest.open("file", flags=OpenFlag.CREAT | OpenFlag.EXCL)


def test_missing_file_is_not_created_unasked(guest: Guest, root: Path) -> None:
    with failing(Errno.ENOENT):
        guest.open("missing")
    with failing(Errno.ENOENT):
        guest.open("missing/file", flags=OpenFlag.CREAT)
    with failing(Errno.ENOTDIR):
        guest.open("file/x", flags=OpenFlag.CREAT)

    assert not (root / "missing").exists()


def test_directory_and_file_are_told_apart(guest: Guest) -> None:
    with failing(Errno.ENOTDIR):
        guest.open("file", flags=OpenFlag.DIRECTORY)
    with failing(Errno.ENOTDIR):
        guest.open("file/")
    with failing(Errno.EISDIR):
        guest.open("sub")
    with failing(Errno.EISDIR):
        guest.open("new/", flags=OpenFlag.CREAT)
    assert guest.fdstat(guest.open("sub", base=RIGHTS_DIRECTORY))[0] == FileType.DIRECTORY
    assert guest.fdstat(guest.open("file"))[0] == FileType.REGULAR_FILE


def test_file_opened_for_reading_cannot_be_written(guest: Guest, root: Path) -> None:
    fd = guest.open("file", base=READ_ONLY)

    with failing(Errno.ENOTCAPABLE):
        guest.write(fd, b"x")
    with failing(Errno.ENOTCAPABLE):
        guest.call("fd_filestat_set_size", fd, 0)
    with failing(Errno.ENOTCAPABLE):
        guest.call("fd_allocate", fd, 0, 100)
    assert (root / "file").read_bytes() == b"content"


def test_file_opened_for_writing_cannot_be_read(guest: Guest) -> None:
    fd = guest.open("file", base=RIGHTS_ALL & ~Right.FD_READ)

    with failing(Errno.ENOTCAPABLE):
        guest.read(fd, 1)


def test_rights_only_shrink(guest: Guest) -> None:
    fd = guest.open("file", base=Right.FD_READ, inheriting=0)
    assert guest.fdstat(fd)[2:] == (Right.FD_READ, 0)

    with failing(Errno.ENOTCAPABLE):
        guest.call("fd_fdstat_set_rights", fd, Right.FD_READ | Right.FD_WRITE, 0)
    guest.call("fd_fdstat_set_rights", fd, 0, 0)

    with failing(Errno.ENOTCAPABLE):
        guest.read(fd, 1)
    with failing(Errno.ENOTCAPABLE):
        guest.seek(fd, 0, 0)
    with failing(Errno.ENOTCAPABLE):
        guest.seek(fd, 0, 1)
    with failing(Errno.ENOTCAPABLE):
        guest.fstat(fd)


def test_directory_hands_on_only_what_it_inherits(guest: Guest) -> None:
    rights = RIGHTS_DIRECTORY & ~Right.PATH_UNLINK_FILE
    fd = guest.open(
        "sub", flags=OpenFlag.DIRECTORY, base=rights, inheriting=RIGHTS_DIRECTORY | Right.FD_READ
    )

    with failing(Errno.ENOTCAPABLE):
        guest.open("inner", fd=fd, base=Right.FD_WRITE, inheriting=0)
    with failing(Errno.ENOTCAPABLE):
        guest.one("path_unlink_file", "inner", fd=fd)
    inner = guest.open("inner", fd=fd, base=Right.FD_READ, inheriting=0)
    assert guest.read(inner, 10) == b"inner"


@pytest.mark.parametrize(
    ("right", "call"),
    [
        (Right.PATH_OPEN, lambda g: g.open("file")),
        (Right.PATH_CREATE_FILE, lambda g: g.open("new", flags=OpenFlag.CREAT)),
        (Right.PATH_CREATE_DIRECTORY, lambda g: g.one("path_create_directory", "new")),
        (Right.PATH_REMOVE_DIRECTORY, lambda g: g.one("path_remove_directory", "sub/deep")),
        (Right.PATH_UNLINK_FILE, lambda g: g.one("path_unlink_file", "file")),
        (Right.PATH_RENAME_SOURCE, lambda g: g.rename("file", "new")),
        (Right.PATH_RENAME_TARGET, lambda g: g.rename("file", "new")),
        (Right.PATH_LINK_SOURCE, lambda g: g.link("file", "new")),
        (Right.PATH_LINK_TARGET, lambda g: g.link("file", "new")),
        (Right.PATH_SYMLINK, lambda g: g.symlink("file", "new")),
        (Right.PATH_READLINK, lambda g: g.readlink("file")),
        (Right.PATH_FILESTAT_GET, lambda g: g.stat("file")),
        (
            Right.PATH_FILESTAT_SET_TIMES,
            lambda g: g.call("path_filestat_set_times", 3, 0, *g.path("file"), 0, 0, 10),
        ),
        (Right.FD_READDIR, lambda g: g.readdir(3, 100)),
        (Right.FD_FILESTAT_GET, lambda g: g.fstat(3)),
        (Right.FD_SYNC, lambda g: g.call("fd_sync", 3)),
        (Right.FD_DATASYNC, lambda g: g.call("fd_datasync", 3)),
    ],
)
def test_call_without_its_right_is_not_capable(
    guest: Guest, root: Path, right: int, call: Callable[[Guest], object]
) -> None:
    before = names(root)
    guest.call("fd_fdstat_set_rights", 3, RIGHTS_DIRECTORY & ~right, RIGHTS_ALL)

    with failing(Errno.ENOTCAPABLE):
        call(guest)

    assert names(root) == before


def test_unknown_flags_are_invalid(guest: Guest) -> None:
    for options in (
        {"flags": 16},
        {"fd_flags": 32},
        {"flags": OpenFlag.CREAT | OpenFlag.DIRECTORY},
    ):
        with failing(Errno.EINVAL):
            guest.open("new", **options)
    with failing(Errno.EINVAL):
        guest.call("path_open", 3, 2, *guest.path("file"), 0, 2, 0, 0, 0x4000)
    with failing(Errno.EINVAL):
        guest.call("fd_fdstat_set_flags", guest.open("file"), 32)
    with failing(Errno.ENOTSUP):
        guest.call("fd_fdstat_set_flags", guest.open("file"), FdFlag.SYNC)


def test_opening_a_pipe_without_a_writer_does_not_wait(guest: Guest, root: Path) -> None:
    os.mkfifo(root / "pipe")

    fd = guest.open("pipe", base=READ_ONLY, fd_flags=FdFlag.NONBLOCK)

    assert guest.read(fd, 10) == b""
    assert guest.fdstat(fd)[0] == FileType.UNKNOWN


# ---- Descriptors -----------------------------------------------------------------------------------------------------


def test_lowest_free_number_is_taken(guest: Guest) -> None:
    assert [guest.open("file") for _ in range(3)] == [4, 5, 6]
    guest.call("fd_close", 5)
    guest.call("fd_close", 1)

    assert [guest.open("file") for _ in range(3)] == [1, 5, 7]


def test_closed_descriptor_is_bad(guest: Guest) -> None:
    fd = guest.open("file")
    guest.call("fd_close", fd)

    for number in (fd, 99, 0xFFFFFFFF):
        with failing(Errno.EBADF):
            guest.call("fd_close", number)
        with failing(Errno.EBADF):
            guest.read(number, 1)
        with failing(Errno.EBADF):
            guest.fdstat(number)


def test_descriptors_at_the_limit_are_given(
    guest: Guest, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "WASI_DESCRIPTORS_MAX", 20)
    for expected in range(4, 20):
        assert guest.open("file") == expected

    with failing(Errno.EMFILE):
        guest.open("new", flags=OpenFlag.CREAT)

    assert not (root / "new").exists()


def test_renumber_moves_and_closes(guest: Guest) -> None:
    file, other = guest.open("file"), guest.open("sub/inner")
    before = open_descriptors()

    guest.call("fd_renumber", file, other)

    assert guest.read(other, 10) == b"content"
    assert open_descriptors() == before - 1
    for source, target in ((file, other), (other, file), (other, 77)):
        with failing(Errno.EBADF):
            guest.call("fd_renumber", source, target)
    guest.call("fd_renumber", other, other)
    with failing(Errno.ENOTSUP):
        guest.call("fd_renumber", other, 3)
    with failing(Errno.ENOTSUP):
        guest.call("fd_renumber", 3, other)


def test_close_gives_all_descriptors_back(make_guest: Callable[..., Guest], root: Path) -> None:
    before = open_descriptors()
    guest = make_guest(preopens={"/": root, "again": root})
    for _ in range(5):
        guest.open("file")

    guest.wasi.close()
    guest.wasi.close()

    assert open_descriptors() == before


def test_preopens_are_named(make_guest: Callable[..., Guest], root: Path) -> None:
    guest = make_guest(preopens={"/": root, "däta": root / "sub"})

    names = []
    for fd in (3, 4):
        guest.call("fd_prestat_get", fd, 0x4000)
        tag, length = guest.unpack("<B3xI")
        assert tag == 0
        guest.call("fd_prestat_dir_name", fd, 0x6000, length)
        names.append(bytes(guest.memory[0x6000 : 0x6000 + length]).decode())
    assert names == ["/", "däta"]
    with failing(Errno.EBADF):
        guest.call("fd_prestat_get", 5, 0x4000)
    with failing(Errno.ENAMETOOLONG):
        guest.call("fd_prestat_dir_name", 4, 0x6000, 2)
    assert guest.read(guest.open("inner", fd=4), 10) == b"inner"


# ---- Names -----------------------------------------------------------------------------------------------------------


def test_directories_are_made_and_removed(guest: Guest, root: Path) -> None:
    guest.one("path_create_directory", "new/")
    assert (root / "new").is_dir()
    with failing(Errno.EEXIST):
        guest.one("path_create_directory", "new")
    with failing(Errno.ENOTEMPTY):
        guest.one("path_remove_directory", "sub")
    with failing(Errno.ENOTDIR):
        guest.one("path_remove_directory", "file")
    with failing(Errno.EISDIR):
        guest.one("path_unlink_file", "new")
    guest.one("path_remove_directory", "new/")
    assert not (root / "new").exists()


def test_file_is_unlinked(guest: Guest, root: Path) -> None:
    with failing(Errno.ENOTDIR):
        guest.one("path_unlink_file", "file/")
    guest.one("path_unlink_file", "file")

    assert not (root / "file").exists()


def test_rename_moves_files_and_directories(guest: Guest, root: Path) -> None:
    guest.rename("file", "sub/moved")
    guest.rename("sub/", "renamed/")

    assert (root / "renamed" / "moved").read_bytes() == b"content"
    with failing(Errno.ENOTDIR):
        guest.rename("renamed/moved/", "x")
    with failing(Errno.ENOTDIR):
        guest.rename("renamed/moved", "x/")


def test_hard_link_is_a_second_name(guest: Guest) -> None:
    guest.link("file", "second")

    assert guest.stat("second")["nlink"] == 2
    assert guest.stat("second")["ino"] == guest.stat("file")["ino"]
    with failing(Errno.ENOENT):
        guest.link("file", "third/")
    with failing(Errno.ENOTDIR):
        guest.link("file/", "third")


def test_symbolic_link_is_made_and_read(guest: Guest, root: Path) -> None:
    guest.symlink("sub/inner", "link")

    assert (root / "link").readlink().as_posix() == "sub/inner"
    assert guest.readlink("link") == b"sub/inner"
    assert guest.readlink("link", 3) == b"sub"
    assert guest.stat("link")["type"] == FileType.REGULAR_FILE
    assert guest.stat("link", follow=False)["type"] == FileType.SYMBOLIC_LINK
    with failing(Errno.EINVAL):
        guest.readlink("file")
    with failing(Errno.ENOENT):
        guest.symlink("x", "new/")
    with failing(Errno.ENOENT):
        guest.symlink("", "new")


def test_status_is_the_hosts(guest: Guest, root: Path) -> None:
    expected = (root / "file").stat()

    found = guest.stat("sub/../file")

    assert found == guest.fstat(guest.open("file"))
    assert found["size"] == 7
    assert found["ino"] == expected.st_ino
    assert found["mtime"] == expected.st_mtime_ns
    assert guest.stat("sub/")["type"] == FileType.DIRECTORY
    with failing(Errno.ENOTDIR):
        guest.stat("file/")


def test_times_are_set(guest: Guest, root: Path) -> None:
    fd = guest.open("file")
    guest.call("fd_filestat_set_times", fd, 1_000_000_007, 2_000_000_011, 1 | 4)
    status = (root / "file").stat()
    assert (status.st_atime_ns, status.st_mtime_ns) == (1_000_000_007, 2_000_000_011)

    guest.call("path_filestat_set_times", 3, 0, *guest.path("file"), 5, 9, 4)
    status = (root / "file").stat()
    assert (status.st_atime_ns, status.st_mtime_ns) == (1_000_000_007, 9)

    guest.call("fd_filestat_set_times", fd, 0, 0, 8)
    assert (root / "file").stat().st_mtime_ns > 1_000_000_000_000_000_000
    for flags in (3, 12, 16):
        with failing(Errno.EINVAL):
            guest.call("fd_filestat_set_times", fd, 0, 0, flags)


def test_times_of_a_link_itself_are_set(guest: Guest, root: Path) -> None:
    (root / "link").symlink_to("file")
    before = (root / "file").stat().st_mtime_ns

    guest.call("path_filestat_set_times", 3, 0, *guest.path("link"), 5, 9, 4)

    assert (root / "link").lstat().st_mtime_ns == 9
    assert (root / "file").stat().st_mtime_ns == before


# ---- Directories -----------------------------------------------------------------------------------------------------


def test_listing_has_every_entry_once(guest: Guest, root: Path) -> None:
    (root / "link").symlink_to("file")

    entries = _entries(guest.readdir(3, 4096))

    assert {name: kind for _, _, kind, name in entries} == {
        b".": FileType.DIRECTORY,
        b"..": FileType.DIRECTORY,
        b"file": FileType.REGULAR_FILE,
        b"sub": FileType.DIRECTORY,
        b"link": FileType.SYMBOLIC_LINK,
    }
    assert [cookie for cookie, *_ in entries] == [1, 2, 3, 4, 5]
    inodes = {name: inode for _, inode, _, name in entries}
    assert inodes[b"file"] == (root / "file").stat().st_ino
    assert inodes[b".."] != root.parent.stat().st_ino


@pytest.mark.parametrize("size", [24, 25, 30, 64, 100, 1000])
def test_listing_in_small_buffers_has_every_entry_once(guest: Guest, root: Path, size: int) -> None:
    names = {f"entry{number:03}" for number in range(40)}
    for name in names:
        (root / "sub" / "deep" / name).touch()
    fd = _open_directory(guest, "sub/deep")
    found: list[bytes] = []
    cookie = 0

    while True:
        data = guest.readdir(fd, size, cookie)
        entries = _entries(data)
        found += [name for *_, name in entries]
        if len(data) < size:
            break
        if entries:
            cookie = entries[-1][0]
        else:
            size *= 2  # not even one entry fits

    assert sorted(found) == sorted([b".", b"..", *(name.encode() for name in names)])


def test_listing_goes_on_after_entries_were_removed(guest: Guest, root: Path) -> None:
    for number in range(10):
        (root / "sub" / "deep" / f"e{number}").touch()
    fd = _open_directory(guest, "sub/deep")
    first = _entries(guest.readdir(fd, 4 * 26))
    for *_, name in first[2:]:
        guest.one("path_unlink_file", f"sub/deep/{name.decode()}")

    rest = _entries(guest.readdir(fd, 4096, first[-1][0]))

    assert len({name for *_, name in first + rest}) == 12
    assert len(_entries(guest.readdir(fd, 4096))) == 12 - len(first[2:])


def test_listing_past_the_end_is_empty(guest: Guest) -> None:
    assert guest.readdir(3, 4096, 1000) == b""
    assert guest.readdir(3, 4096, (1 << 64) - 1) == b""
    assert guest.readdir(3, 0) == b""


def test_listing_at_the_limit_is_given(guest: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "WASI_DIRECTORY_ENTRIES_MAX", 4)
    assert len(_entries(guest.readdir(3, 4096))) == 4

    monkeypatch.setattr(limits, "WASI_DIRECTORY_ENTRIES_MAX", 3)
    with failing(Errno.EOVERFLOW):
        guest.readdir(3, 4096)


def test_file_cannot_be_listed(guest: Guest) -> None:
    with failing(Errno.ENOTDIR):
        guest.readdir(guest.open("file"), 100)


def test_host_modes_of_new_files_obey_the_umask(guest: Guest, root: Path) -> None:
    mask = os.umask(0o027)
    try:
        guest.open("new", flags=OpenFlag.CREAT)
        guest.one("path_create_directory", "newdir")
    finally:
        os.umask(mask)

    assert stat.S_IMODE((root / "new").stat().st_mode) == 0o640
    assert stat.S_IMODE((root / "newdir").stat().st_mode) == 0o750
