"""Damage for binary modules."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

_INTERESTING = (0x00, 0x01, 0x0B, 0x20, 0x41, 0x6A, 0x7F, 0x80, 0xFC, 0xFF)


def mutate(data: bytes, chance: random.Random) -> bytes:
    """One to four changes behind the header: a byte, a bit, one less, one more, a piece moved."""
    out = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        at = chance.randrange(8, len(out))
        match chance.randrange(6):
            case 0:
                out[at] = chance.randrange(256)
            case 1:
                out[at] ^= 1 << chance.randrange(8)
            case 2:
                del out[at]
            case 3:
                out.insert(at, chance.choice(_INTERESTING))
            case 4:
                out[at] = chance.choice(_INTERESTING)
            case _:
                piece = out[at : at + chance.randrange(1, 8)]
                to = chance.randrange(8, len(out))
                out[to:to] = piece
    return bytes(out)
