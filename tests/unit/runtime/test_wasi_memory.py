"""Hostile pointers and lengths: an error number, never a crash, never a byte outside the memory."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from interlock import limits
from interlock.runtime.wasi.abi import Errno, OpenFlag

from .conftest import MEMORY_BYTES, failing

if TYPE_CHECKING:
    from .conftest import Guest

_END = MEMORY_BYTES


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("fd_read", (4, _END - 4, 1, 0)),
        ("fd_read", (4, 0x5000, 1, _END - 3)),
        ("fd_write", (4, 0xFFFFFFF8, 1, 0)),
        ("fd_pread", (4, 0xFFFFFFF8, 1, 0, 0)),
        ("fd_pwrite", (4, 0xFFFFFFF8, 1, 0, 0)),
        ("fd_seek", (4, 0, 0, _END - 7)),
        ("fd_tell", (4, _END)),
        ("fd_fdstat_get", (4, _END - 23)),
        ("fd_filestat_get", (4, _END - 63)),
        ("fd_prestat_get", (3, _END - 7)),
        ("fd_prestat_dir_name", (3, _END, 1)),
        ("fd_readdir", (3, _END - 10, 11, 0, 0)),
        ("fd_readdir", (3, 0, 0xFFFFFFFF, 0, 0)),
        ("fd_readdir", (3, 0, 100, 0, _END - 3)),
        ("path_open", (3, 0, _END - 3, 4, 0, 2, 0, 0, 0)),
        ("path_open", (3, 0, 0x100, 4, 0, 2, 0, 0, _END - 3)),
        ("path_create_directory", (3, 0xFFFFFFFF, 0xFFFFFFFF)),
        ("path_filestat_get", (3, 0, 0x100, 4, _END - 63)),
        ("path_readlink", (3, 0x100, 4, _END - 3, 4, 0)),
        ("path_rename", (3, 0x100, 4, 3, _END, 4)),
        ("path_symlink", (_END, 4, 3, 0x100, 4)),
        ("args_get", (_END - 4, 0)),
        ("args_get", (0, _END - 4)),
        ("args_sizes_get", (0, _END - 3)),
        ("environ_get", (0, _END)),
        ("clock_time_get", (0, 0, _END - 7)),
        ("clock_res_get", (0, _END - 7)),
        ("random_get", (_END - 1, 2)),
        ("random_get", (0, 0xFFFFFFFF)),
        ("poll_oneoff", (_END - 47, 0, 1, 0)),
        ("poll_oneoff", (0, _END - 31, 1, 0)),
        ("poll_oneoff", (0, 0, 1, _END - 3)),
    ],
)
def test_pointer_outside_the_memory_is_a_fault(
    guest: Guest, name: str, args: tuple[int, ...]
) -> None:
    guest.open("file")
    guest.path("file")
    guest.put(0x5000, struct.pack("<II", 0, 4))

    with failing(Errno.EFAULT):
        guest.call(name, *args)


@pytest.mark.parametrize(
    "vectors",
    [
        [(0, MEMORY_BYTES + 1)],
        [(0xFFFFFFFF, 1)],
        [(0, 0xFFFFFFFF)],
        [(0, 4), (MEMORY_BYTES, 1)],
        [(MEMORY_BYTES + 1, 0)],
    ],
)
def test_hostile_vectors_are_a_fault(guest: Guest, vectors: list[tuple[int, int]]) -> None:
    fd = guest.open("file")
    for index, vector in enumerate(vectors):
        guest.put(0x5000 + 8 * index, struct.pack("<II", *vector))

    for name in ("fd_read", "fd_write"):
        with failing(Errno.EFAULT):
            guest.call(name, fd, 0x5000, len(vectors), 0x4000)


def test_vectors_at_the_limit_are_taken(guest: Guest) -> None:
    fd = guest.open("new", flags=OpenFlag.CREAT)
    guest.put(0x5000, struct.pack("<II", 0x100, 1) * (limits.WASI_IOVECS_MAX + 1))

    guest.call("fd_write", fd, 0x5000, limits.WASI_IOVECS_MAX, 0x4000)
    assert guest.unpack("<I") == (limits.WASI_IOVECS_MAX,)

    with failing(Errno.EINVAL):
        guest.call("fd_write", fd, 0x5000, limits.WASI_IOVECS_MAX + 1, 0x4000)
    with failing(Errno.EINVAL):
        guest.call("fd_write", fd, 0x5000, 0xFFFFFFFF, 0x4000)


def test_transfer_past_its_limit_is_cut(guest: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    fd = guest.open("new", flags=OpenFlag.CREAT)
    monkeypatch.setattr(limits, "WASI_TRANSFER_BYTES_MAX", 5)

    assert guest.write(fd, b"12345") == 5
    assert guest.write(fd, b"12", b"3456", b"7") == 5


def test_overlapping_vectors_are_filled_in_order(guest: Guest) -> None:
    fd = guest.open("file")
    guest.put(0x5000, struct.pack("<IIII", 0x100, 4, 0x101, 3))

    guest.call("fd_read", fd, 0x5000, 2, 0x4000)

    assert guest.unpack("<I") == (7,)
    assert guest.memory[0x100:0x104] == b"cent"


def test_vectors_over_their_own_array_are_read_first(guest: Guest) -> None:
    fd = guest.open("file")
    guest.put(0x5000, struct.pack("<IIII", 0x5000, 4, 0x5008, 3))

    guest.call("fd_read", fd, 0x5000, 2, 0x4000)

    assert guest.memory[0x5000:0x5004] + guest.memory[0x5008:0x500B] == b"content"
