"""Attacks on the pre-opened directory: nothing outside it is ever read, changed or named."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from interlock import limits
from interlock.runtime.wasi.abi import RIGHTS_DIRECTORY, Errno, OpenFlag

from .conftest import names, open_descriptors

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import Guest


def _errno(guest: Guest, path: str | bytes, **options: object) -> str:
    with pytest.raises(Exception) as caught:  # noqa: PT011  (the name is compared)
        guest.open(path, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    "path",
    [
        "..",
        "../secret",
        "sub/../../secret",
        "sub/deep/../../../secret",
        "./.././secret",
        "sub//..//..//secret",
        "/etc/passwd",
        "/",
        "//",
        "/file",
        "../root/file",
    ],
)
@pytest.mark.parametrize("flags", [0, OpenFlag.CREAT, OpenFlag.DIRECTORY, OpenFlag.TRUNC])
def test_path_that_leaves_is_refused(guest: Guest, path: str, flags: int) -> None:
    assert _errno(guest, path, flags=flags) == "EPERM"


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("../secret", "link"),
        ("/etc/passwd", "link"),
        ("..", "link/secret"),
        ("/", "link/etc/passwd"),
        ("sub/../../secret", "link"),
        ("sub/../..", "link/secrets/key"),
    ],
)
def test_link_that_leaves_is_refused(guest: Guest, root: Path, target: str, path: str) -> None:
    (root / "link").symlink_to(target)

    assert _errno(guest, path) == "EPERM"
    assert _errno(guest, path, flags=OpenFlag.CREAT) == "EPERM"


def test_link_out_of_a_subdirectory_is_refused(guest: Guest, root: Path) -> None:
    (root / "sub" / "up").symlink_to("../..")
    (root / "chain").symlink_to("sub/up")

    assert _errno(guest, "sub/up/secret") == "EPERM"
    assert _errno(guest, "chain/secret") == "EPERM"
    assert _errno(guest, "chain") == "EPERM"
    assert _errno(guest, "chain/") == "EPERM"


def test_link_inside_is_followed(guest: Guest, root: Path) -> None:
    (root / "one").symlink_to("sub/two")
    (root / "sub" / "two").symlink_to("../sub/deep/../inner")

    assert guest.read(guest.open("one"), 10) == b"inner"
    assert _errno(guest, "one", follow=False) == "ELOOP"


def test_trailing_slash_does_not_follow_a_link_out(guest: Guest, root: Path, outside: Path) -> None:
    (root / "link").symlink_to("../secrets")
    (root / "absolute").symlink_to(outside / "secrets")

    for name in ("link/", "absolute/", "link//", "link/.", "absolute/../secret"):
        assert _errno(guest, name) == "EPERM"
        assert _errno(guest, name, follow=False) == "EPERM"
    for call in ("path_remove_directory", "path_unlink_file", "path_create_directory"):
        with pytest.raises(Exception, match=r"ENOTDIR|EPERM|EEXIST"):
            guest.one(call, "link/")
    assert (outside / "secrets" / "key").exists()


def test_creation_through_a_dangling_link_stays_inside(
    guest: Guest, root: Path, outside: Path
) -> None:
    (root / "dangling").symlink_to("../created")
    (root / "inside").symlink_to("sub/created")

    assert _errno(guest, "dangling", flags=OpenFlag.CREAT) == "EPERM"
    assert _errno(guest, "inside", flags=OpenFlag.CREAT | OpenFlag.EXCL) == "EEXIST"
    guest.open("inside", flags=OpenFlag.CREAT)
    with pytest.raises(Exception, match="EEXIST"):
        guest.one("path_create_directory", "dangling/")

    assert not (outside / "created").exists()
    assert (root / "sub" / "created").exists()


def test_every_path_call_refuses_to_leave(guest: Guest, outside: Path, root: Path) -> None:
    (root / "out").symlink_to("..")
    before = names(outside)
    for prefix in ("../", "out/", "/"):
        for call in ("path_create_directory", "path_remove_directory", "path_unlink_file"):
            with pytest.raises(Exception, match="EPERM"):
                guest.one(call, f"{prefix}secrets")
        for attempt in (
            guest.stat,
            guest.readlink,
            lambda p: guest.rename("file", p),
            lambda p: guest.rename(p, "stolen"),
            lambda p: guest.link("file", p),
            lambda p: guest.link(p, "stolen"),
            lambda p: guest.symlink("file", p),
            lambda p: guest.call("path_filestat_set_times", 3, 1, *guest.path(p), 0, 0, 2 | 8),
        ):
            with pytest.raises(Exception, match="EPERM"):
                attempt(f"{prefix}secret")

    assert names(outside) == before
    assert (outside / "secret").read_bytes() == b"secret"


def test_absolute_link_cannot_be_made(guest: Guest, root: Path) -> None:
    with pytest.raises(Exception, match="EPERM"):
        guest.symlink("/etc/passwd", "link")

    assert not (root / "link").is_symlink()


def test_link_chain_at_the_limit_is_followed(guest: Guest, root: Path) -> None:
    previous = "file"
    for number in range(limits.WASI_SYMLINKS_MAX):
        (root / f"link{number}").symlink_to(previous)
        previous = f"link{number}"
    assert guest.read(guest.open(previous), 10) == b"content"

    (root / "past").symlink_to(previous)

    assert _errno(guest, "past") == "ELOOP"


def test_link_to_itself_is_a_loop(guest: Guest, root: Path) -> None:
    (root / "loop").symlink_to("loop")
    (root / "ring").symlink_to("sub/ring")
    (root / "sub" / "ring").symlink_to("../ring")

    assert _errno(guest, "loop") == "ELOOP"
    assert _errno(guest, "loop/x") == "ELOOP"
    assert _errno(guest, "ring") == "ELOOP"


def test_links_that_double_are_bounded(guest: Guest, root: Path) -> None:
    (root / "b0").symlink_to(".")
    for number in range(1, 30):
        (root / f"b{number}").symlink_to(f"b{number - 1}/b{number - 1}")

    assert _errno(guest, "b29") == "ELOOP"


@pytest.mark.parametrize("name", [b"file\0", b"\0", b"sub/\0/x", b"file\0.txt"])
def test_nul_in_a_name_is_refused(guest: Guest, name: bytes) -> None:
    assert _errno(guest, name) == "EINVAL"


def test_name_that_is_not_utf8_is_refused(guest: Guest) -> None:
    assert _errno(guest, b"\xff") == "EILSEQ"


def test_empty_name_names_nothing(guest: Guest) -> None:
    assert _errno(guest, "") == "ENOENT"


def test_hard_link_to_a_symbolic_link_stays_a_link(guest: Guest, root: Path) -> None:
    (root / "out").symlink_to("../secret")

    guest.link("out", "copy")

    assert (root / "copy").is_symlink()
    assert _errno(guest, "copy") == "EPERM"
    with pytest.raises(Exception, match="EPERM"):
        guest.link("out", "followed", follow=True)


def test_directory_moved_out_gives_no_way_up(guest: Guest, root: Path, outside: Path) -> None:
    deep = guest.open("sub/deep", flags=OpenFlag.DIRECTORY, base=RIGHTS_DIRECTORY)
    (root / "sub" / "deep").rename(outside / "deep")

    assert _errno(guest, "..", fd=deep) == "EPERM"
    assert _errno(guest, "../secret", fd=deep) == "EPERM"


def test_rename_during_the_walk_gives_no_way_up(
    guest: Guest, root: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_open = os.open

    def open_and_move(name: bytes, *args: int, dir_fd: int | None = None) -> int:
        opened = real_open(name, *args, dir_fd=dir_fd)
        if name == b"deep":
            (root / "sub" / "deep").rename(outside / "deep")
        return opened

    monkeypatch.setattr("interlock.runtime.wasi.resolution.os.open", open_and_move)

    # Were `..` asked of the kernel, it would now be the parent of `root`.
    assert _errno(guest, "sub/deep/../../../secret") == "EPERM"
    assert _errno(guest, "sub/../sub/../secret") == "ENOENT"


def test_directory_swapped_for_a_link_is_not_followed_blindly(
    guest: Guest, root: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_readlink = os.readlink
    (root / "a").symlink_to("sub")

    def readlink_and_swap(name: bytes, *, dir_fd: int) -> bytes:
        target = real_readlink(name, dir_fd=dir_fd)
        if name == b"a":
            (root / "sub").rename(root / "gone")
            (root / "sub").symlink_to(outside / "secrets")
        return target

    monkeypatch.setattr("interlock.runtime.wasi.resolution.os.readlink", readlink_and_swap)

    assert _errno(guest, "a/key") == "EPERM"


def test_file_swapped_for_a_link_after_resolving_is_not_followed(
    guest: Guest, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_open = os.open

    def swap_and_open(name: bytes, flags: int, *args: int, dir_fd: int | None = None) -> int:
        if name == b"file":
            (root / "file").unlink()
            (root / "file").symlink_to("../secret")
        return real_open(name, flags, *args, dir_fd=dir_fd)

    monkeypatch.setattr("interlock.runtime.wasi.path_calls.os.open", swap_and_open)

    assert _errno(guest, "file") == "ELOOP"


def test_link_swapped_all_the_time_never_leads_out(root: Path, guest: Guest) -> None:
    swap = root / "swap"
    swap.symlink_to("sub")
    stop = threading.Event()

    def swapper() -> None:
        number = 0
        while not stop.is_set():
            new = root / f"new{number % 2}"
            new.symlink_to("../secrets" if number % 2 else "sub")
            new.replace(swap)
            number += 1

    thread = threading.Thread(target=swapper)
    thread.start()
    try:
        for _ in range(300):
            assert _errno(guest, "swap/key") in {"EPERM", "ENOENT"}
    finally:
        stop.set()
        thread.join()


def test_magic_links_of_procfs_lead_nowhere(
    outside: Path, make_guest: Callable[..., Guest]
) -> None:
    if not os.path.isdir("/proc/self/fd"):  # noqa: PTH112
        pytest.skip("needs /proc")
    descriptor = os.open(outside, os.O_RDONLY)
    try:
        guest = make_guest(preopens={"/": "/proc"})
        for path in ("self/root/etc", "self/cwd/x", f"self/fd/{descriptor}/secret"):
            assert _errno(guest, path, base=2) in {"EPERM", "ENOENT"}
    finally:
        os.close(descriptor)


def test_path_at_the_limit_is_taken(guest: Guest) -> None:
    path = "./" * (limits.WASI_PATH_BYTES_MAX // 2 - 2) + "file"
    assert len(path) == limits.WASI_PATH_BYTES_MAX

    guest.open(path)

    assert _errno(guest, "." + "/" + path) == "ENAMETOOLONG"


def test_depth_at_the_limit_is_taken(guest: Guest, root: Path) -> None:
    inner = root
    for _ in range(limits.WASI_PATH_DEPTH_MAX + 1):
        inner /= "d"
        inner.mkdir()
    at_limit = "d/" * limits.WASI_PATH_DEPTH_MAX

    guest.stat(f"{at_limit}d")

    with pytest.raises(Exception, match="ENAMETOOLONG"):
        guest.stat(f"{at_limit}d/x")


def test_walk_leaves_no_descriptor_open(guest: Guest, root: Path) -> None:
    (root / "out").symlink_to("sub/deep/../../../secret")
    before = open_descriptors()

    for path in ("sub/deep/../deep/missing", "out", "sub/deep/../../..", "sub/inner/x"):
        _errno(guest, path)
        guest.stat("sub/deep/..")

    assert open_descriptors() == before


def test_nothing_is_visible_without_a_directory(make_guest: Callable[..., Guest]) -> None:
    guest = make_guest()

    for fd in range(3, 20):
        with pytest.raises(Exception, match="EBADF"):
            guest.call("fd_prestat_get", fd, 0)
        assert _errno(guest, "file", fd=fd) == "EBADF"
    for fd in range(3):
        assert _errno(guest, "file", fd=fd) == "ENOTDIR"


def test_error_numbers_have_the_values_of_preview_1() -> None:
    assert (Errno.EFAULT, Errno.EPERM, Errno.ENOTCAPABLE, Errno.EPIPE) == (21, 63, 76, 64)
