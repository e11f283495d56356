"""A WASI program without a program: a memory, and the calls that one would make."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from interlock.runtime.wasi import Wasi
from interlock.runtime.wasi.abi import RIGHTS_ALL, Errno

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MEMORY_BYTES = 1 << 20
# Where the calls below put things.
_PATH, _PATH_2, _OUT, _VECTORS, _BUFFER = 0x100, 0x2000, 0x4000, 0x5000, 0x10000


class WasiFailedError(Exception):
    """A call returned an error number."""

    def __init__(self, errno: int) -> None:
        super().__init__(Errno(errno).name)
        self.errno = errno


class Guest:
    """What a program does with its imports; each method raises on an error number."""

    def __init__(self, wasi: Wasi, **options: Callable[[], bool]) -> None:
        self.memory = bytearray(MEMORY_BYTES)
        self.wasi = wasi
        self.imports = wasi.imports(lambda: self, **options)

    def view(self) -> memoryview:
        return memoryview(self.memory)

    def call(self, name: str, *args: int) -> None:
        errno = self.imports[name](*args)
        if errno:
            raise WasiFailedError(errno)

    def put(self, address: int, data: bytes) -> tuple[int, int]:
        self.memory[address : address + len(data)] = data
        return address, len(data)

    def unpack(self, layout: str, address: int = _OUT) -> tuple[int, ...]:
        return struct.unpack_from(layout, self.memory, address)

    def path(self, path: str | bytes, address: int = _PATH) -> tuple[int, int]:
        return self.put(address, path.encode() if isinstance(path, str) else path)

    def open(
        self,
        path: str | bytes,
        *,
        fd: int = 3,
        follow: bool = True,
        flags: int = 0,
        base: int = RIGHTS_ALL,
        inheriting: int = RIGHTS_ALL,
        fd_flags: int = 0,
    ) -> int:
        where = self.path(path)
        self.call("path_open", fd, int(follow), *where, flags, base, inheriting, fd_flags, _OUT)
        return self.unpack("<I")[0]

    def write(self, fd: int, *parts: bytes) -> int:
        self.call("fd_write", fd, self._vectors(parts), len(parts), _OUT)
        return self.unpack("<I")[0]

    def read(self, fd: int, *sizes: int) -> bytes:
        address = self._vectors([bytes(size) for size in sizes])
        self.call("fd_read", fd, address, len(sizes), _OUT)
        return self._gather(sizes)

    def pread(self, fd: int, size: int, offset: int) -> bytes:
        self.call("fd_pread", fd, self._vectors([bytes(size)]), 1, offset, _OUT)
        return self._gather((size,))

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:
        self.call("fd_pwrite", fd, self._vectors([data]), 1, offset, _OUT)
        return self.unpack("<I")[0]

    def _gather(self, sizes: tuple[int, ...]) -> bytes:
        total = self.unpack("<I")[0]
        return bytes(self.memory[_BUFFER : _BUFFER + sum(sizes)])[:total]

    def _vectors(self, parts: tuple[bytes, ...] | list[bytes]) -> int:
        start = _BUFFER
        for index, part in enumerate(parts):
            self.put(start, part)
            self.put(_VECTORS + 8 * index, struct.pack("<II", start, len(part)))
            start += len(part)
        return _VECTORS

    def seek(self, fd: int, offset: int, whence: int) -> int:
        self.call("fd_seek", fd, offset, whence, _OUT)
        return self.unpack("<Q")[0]

    def fdstat(self, fd: int) -> tuple[int, ...]:
        self.call("fd_fdstat_get", fd, _OUT)
        return self.unpack("<BxH4xQQ")

    def stat(self, path: str, *, fd: int = 3, follow: bool = True) -> dict[str, int]:
        self.call("path_filestat_get", fd, int(follow), *self.path(path), _OUT)
        return self._filestat()

    def fstat(self, fd: int) -> dict[str, int]:
        self.call("fd_filestat_get", fd, _OUT)
        return self._filestat()

    def _filestat(self) -> dict[str, int]:
        names = ("dev", "ino", "type", "nlink", "size", "atime", "mtime", "ctime")
        return dict(zip(names, self.unpack("<QQB7xQQQQQ"), strict=True))

    def one(self, name: str, path: str | bytes, *, fd: int = 3) -> None:
        self.call(name, fd, *self.path(path))

    def rename(self, old: str, new: str, *, fd: int = 3, new_fd: int = 3) -> None:
        self.call("path_rename", fd, *self.path(old), new_fd, *self.path(new, _PATH_2))

    def link(self, old: str, new: str, *, follow: bool = False) -> None:
        self.call("path_link", 3, int(follow), *self.path(old), 3, *self.path(new, _PATH_2))

    def symlink(self, target: str, path: str) -> None:
        self.call("path_symlink", *self.path(target), 3, *self.path(path, _PATH_2))

    def readlink(self, path: str, size: int = 100) -> bytes:
        self.call("path_readlink", 3, *self.path(path), _BUFFER, size, _OUT)
        return bytes(self.memory[_BUFFER : _BUFFER + self.unpack("<I")[0]])

    def readdir(self, fd: int, size: int, cookie: int = 0) -> bytes:
        self.call("fd_readdir", fd, _BUFFER, size, cookie, _OUT)
        return bytes(self.memory[_BUFFER : _BUFFER + self.unpack("<I")[0]])


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """What no program may see: the parent of `root`."""
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "key").write_bytes(b"key")
    return tmp_path


@pytest.fixture
def root(outside: Path) -> Path:
    """The directory which the program is shown."""
    directory = outside / "root"
    (directory / "sub" / "deep").mkdir(parents=True)
    (directory / "file").write_bytes(b"content")
    (directory / "sub" / "inner").write_bytes(b"inner")
    return directory


@pytest.fixture
def make_guest() -> Iterator[Callable[..., Guest]]:
    """Makes programs from the options of `Wasi`, and closes them."""
    with contextlib.ExitStack() as stack:
        yield lambda **options: Guest(stack.enter_context(Wasi(**options)))


@pytest.fixture
def guest(root: Path, make_guest: Callable[..., Guest]) -> Guest:
    """A program with `root` as its descriptor 3, named `/`."""
    return make_guest(args=["program", "a b"], env={"K": "V=1"}, preopens={"/": root})


def failing(errno: Errno) -> pytest.RaisesExc[WasiFailedError]:
    """A context in which a call must return exactly this error number."""
    return pytest.RaisesExc(WasiFailedError, match=f"^{errno.name}$")


def names(directory: Path) -> list[str]:
    """What a directory holds."""
    return sorted(path.name for path in directory.iterdir())


def open_descriptors() -> int:
    """How many descriptors this process has open."""
    return len(names(Path("/proc/self/fd")))
