"""Linked images on disk, by the LLVM IR that they were made of, and by everything that made them.

An image from there is as untrusted as one from LLVM: this file parses it as hostile, and the core validates its code.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import struct
from typing import TYPE_CHECKING, Final

import interlock
from interlock import cache, codegen, link
from interlock.artifacts import CodeImage, CodeOffset, JumpTable, Relocation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interlock.target import Target

# Bytes of code and of constants, the entry; how many relocations and jump tables.
_HEAD: Final = struct.Struct("<5I")
_RELOCATION: Final = struct.Struct("<4I")  # offset, kind, 1 + number of the import or 0, constant
_JUMP_TABLE: Final = struct.Struct("<3I")  # constant, count, base


class CodeCache:
    """The images of one target; where there is no folder, it holds none."""

    def __init__(self, target: Target, imports: tuple[str, ...]) -> None:
        folder = cache.default_folder()
        self._cache = None if folder is None else cache.Cache(folder)
        self._target = target
        self._imports = imports
        self._made_by: bytes | None = None

    def get(self, ir: str) -> CodeImage | None:
        """The image of a function, if it is there."""
        if self._cache is None:
            return None
        key = self._key(ir)
        data = self._cache.get(key)
        if data is None:
            return None
        try:
            return decode(data, self._target, self._imports)
        except ValueError:
            self._cache.discard(key)
            return None

    def put(self, ir: str, image: CodeImage) -> None:
        """Keep the image of a function."""
        if self._cache is not None:
            self._cache.put(self._key(ir), encode(image, self._imports))

    def discard(self, ir: str) -> None:
        """Forget an image that the core refuses."""
        if self._cache is not None:
            self._cache.discard(self._key(ir))

    def _key(self, ir: str) -> bytes:
        if self._made_by is None:
            self._made_by = _made_by(self._target, self._imports)
        return cache.make_key(self._made_by, ir.encode())


def encode(image: CodeImage, imports: tuple[str, ...]) -> bytes:
    """A function's image as bytes."""
    (entry,) = image.entries.values()
    numbers = {name: 1 + at for at, name in enumerate(imports)}
    parts = [
        _HEAD.pack(
            *(len(image.code), len(image.rodata), entry),
            *(len(image.relocations), len(image.jump_tables)),
        )
    ]
    parts += (
        _RELOCATION.pack(
            *(each.offset, each.kind),
            *(0 if each.symbol is None else numbers[each.symbol], each.rodata_offset),
        )
        for each in image.relocations
    )
    parts += (
        _JUMP_TABLE.pack(each.rodata_offset, each.count, each.base_offset)
        for each in image.jump_tables
    )
    return b"".join([*parts, image.code, image.rodata])


def decode(data: bytes, target: Target, imports: tuple[str, ...]) -> CodeImage:
    """The image that bytes stand for.  Raises `ValueError` if they are none."""
    if len(data) < _HEAD.size:
        raise ValueError("an image ends in its head")
    code_bytes, rodata_bytes, entry, relocation_count, table_count = _HEAD.unpack_from(data)
    tables_at = _HEAD.size + _RELOCATION.size * relocation_count
    code_at = tables_at + _JUMP_TABLE.size * table_count
    if code_at + code_bytes + rodata_bytes != len(data):
        raise ValueError("an image has another length than its head says")
    symbols = (None, *imports)
    relocations = []
    for offset, kind, number, constant in _RELOCATION.iter_unpack(data[_HEAD.size : tables_at]):
        if number >= len(symbols):
            raise ValueError("an image refers to an import that does not exist")
        relocations.append(
            Relocation(
                offset=CodeOffset(offset),
                kind=kind,
                symbol=symbols[number],
                rodata_offset=constant,
            )
        )
    return CodeImage(
        target=target,
        code=data[code_at : code_at + code_bytes],
        rodata=data[code_at + code_bytes :],
        entries={codegen.SYMBOL: CodeOffset(entry)},
        relocations=tuple(relocations),
        jump_tables=tuple(
            JumpTable(rodata_offset=constant, count=count, base_offset=base)
            for constant, count, base in _JUMP_TABLE.iter_unpack(data[tables_at:code_at])
        ),
    )


def _made_by(target: Target, imports: tuple[str, ...]) -> bytes:
    """A key of all that turns IR into an image: by content, so that an edit of the sources is another compiler."""
    words = (
        *(interlock.__version__, target.triple, target.cpu, ",".join(target.features)),
        *imports,
    )
    return cache.make_key(*(word.encode() for word in words), *_sources())


def _sources() -> Iterator[bytes]:
    """The compiler process's source, the linker's, and the file with llvmlite's version."""
    (linker,) = link.__path__
    yield _contents(f"{codegen.__path__[0]}/compiler_process.py")
    for name in sorted(os.listdir(linker)):  # noqa: PTH208  (start-up time)
        if name.endswith(".py"):
            yield _contents(f"{linker}/{name}")
    found = importlib.util.find_spec("llvmlite")
    for folder in (found and found.submodule_search_locations) or ():
        yield _contents(f"{folder}/_version.py")


def _contents(path: str) -> bytes:
    with contextlib.suppress(OSError), open(path, "rb") as stream:
        return stream.read()
    return b""
