"""The modelled loader on files that are not what our linker writes: each is refused by name, and nothing else is raised."""

from __future__ import annotations

import random
import struct

import pytest

pytest.importorskip("unicorn", reason="needs unicorn (the extra mac)")
pytest.importorskip("ziglang", reason="needs ziglang, zig's C compiler from PyPI")

from interlock import limits
from interlock.errors import InterlockError, LimitExceededError, LinkError
from interlock.mac import Program, loader
from tests.core.modelled_host import ALLOWLIST

TRIES = 400
HEADER_BYTES = 1700  # with the load commands


def test_library_is_read_as_it_is_built(modelled_library: bytes) -> None:
    macho = loader.parse(modelled_library)

    assert [each.name for each in macho.segments] == [
        "__TEXT",
        "__DATA_CONST",
        "__DATA",
        "__LINKEDIT",
    ]
    assert "_il_publish" in macho.exports
    assert len(macho.rebases) > 50
    assert {symbol for _, symbol in macho.binds} >= {
        "_mmap",
        "_pthread_jit_write_with_callback_np",
        "_sys_icache_invalidate",
    }
    assert "_pthread_jit_write_protect_np" not in {symbol for _, symbol in macho.binds}


def test_damaged_files_are_refused(modelled_library: bytes) -> None:
    """Bytes of the header, the load commands and the opcodes changed at random."""
    numbers = random.Random(7)  # noqa: S311  (no secret)
    refused = 0
    for _ in range(TRIES):
        data = bytearray(modelled_library)
        for _ in range(8):
            at = numbers.choice((numbers.randrange(HEADER_BYTES), numbers.randrange(len(data))))
            data[at] = numbers.randrange(256)
        try:
            loader.parse(bytes(data))
        except InterlockError:
            refused += 1
    assert refused > TRIES // 4


@pytest.mark.parametrize("length", [0, 4, 31, 32, 100, 1000, 4096, 100_000])
def test_cut_files_are_refused(modelled_library: bytes, length: int) -> None:
    with pytest.raises(InterlockError):
        loader.parse(modelled_library[:length])


def test_import_that_nobody_has_is_named(modelled_library: bytes) -> None:
    data = modelled_library.replace(b"_sys_icache_invalidate\0", b"_sys_icache_invalidatX\0")

    with pytest.raises(LinkError, match="_sys_icache_invalidatX"):
        Program(ALLOWLIST, data)


@pytest.mark.parametrize(("extra", "is_refused"), [(0, False), (1, True)])
def test_image_has_a_largest_size(modelled_library: bytes, extra: int, *, is_refused: bool) -> None:
    macho = loader.parse(modelled_library)
    last = macho.segments[-1]
    size = limits.MACHO_IMAGE_BYTES_MAX - last.address + extra
    at = modelled_library.index(b"__LINKEDIT\0")
    data = bytearray(modelled_library)
    struct.pack_into("<Q", data, at + 24, size)

    if is_refused:
        with pytest.raises(LimitExceededError):
            Program(ALLOWLIST, bytes(data))
    else:
        Program(ALLOWLIST, bytes(data))
