"""10,000 mutations of real modules: each is accepted or refused with a place, and wasmtime gives the same verdict."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from interlock import bytecode
from interlock.bytecode.text_lexer import Lexer
from interlock.errors import (
    LimitExceededError,
    UnsupportedError,
    WasmInvalidError,
    WasmMalformedError,
)
from tests.fuzz.mutation import mutate
from tests.unit.bytecode import oracle

if TYPE_CHECKING:
    from pathlib import Path

BINARY_MUTATIONS = 10_000  # over all seeds
TEXT_MUTATIONS = 1_500


@pytest.mark.parametrize("name", oracle.SEED_NAMES)
def test_mutated_modules_get_the_verdict_that_wasmtime_gives(name: str) -> None:
    data = oracle.wat2wasm(oracle.seed(name))
    chance = random.Random(name)  # noqa: S311  (a reproducible sequence)
    verdicts = {True: 0, False: 0, None: 0}
    for number in range(BINARY_MUTATIONS // len(oracle.SEED_NAMES)):
        mutated = mutate(data, chance)

        ours = oracle.verdict(mutated)

        verdicts[ours] += 1
        if ours is not None:
            assert ours == oracle.is_valid(mutated), f"{name} {number}: {mutated.hex()}"
    # The mutations reach all answers: else they test nothing.
    assert min(verdicts.values()) > 0


def test_mutations_of_a_large_module_are_located_errors(quickjs_wasm: Path) -> None:
    data = quickjs_wasm.read_bytes()
    chance = random.Random("quickjs")  # noqa: S311  (a reproducible sequence)
    for _ in range(8):
        mutated = mutate(data, chance)

        ours = oracle.verdict(mutated)

        assert ours is None or ours == oracle.is_valid(mutated)


@pytest.mark.parametrize("name", oracle.SEED_NAMES)
def test_mutated_texts_are_modules_or_located_errors(name: str) -> None:
    words = Lexer(oracle.seed(name), "").tokens[:-1]
    other = [
        word for seed in oracle.SEED_NAMES for word in Lexer(oracle.seed(seed), "").tokens[:-1]
    ]
    chance = random.Random(name)  # noqa: S311  (a reproducible sequence)
    for _ in range(TEXT_MUTATIONS // len(oracle.SEED_NAMES)):
        mutated = list(words)
        for _ in range(chance.choice((1, 1, 2))):
            at = chance.randrange(len(mutated))
            match chance.randrange(4):
                case 0:
                    del mutated[at]
                case 1:
                    mutated[at] = chance.choice(other)
                case 2:
                    mutated.insert(at, chance.choice(other))
                case _:
                    to = chance.randrange(len(mutated))
                    mutated[at], mutated[to] = mutated[to], mutated[at]
        text = " ".join(mutated)
        try:
            validated = bytecode.validate(bytecode.parse_wat(text))
        except (
            WasmMalformedError,
            WasmInvalidError,
            UnsupportedError,
            LimitExceededError,
        ) as error:
            assert error.span is not None  # noqa: PT017  (one of several outcomes)
            assert error.span.line == 1  # noqa: PT017
        else:
            theirs = bytecode.decode(oracle.wat2wasm(text))
            assert bytecode.encode(validated.module)
            assert oracle.without_customs(validated.module) == oracle.without_customs(theirs)


@pytest.mark.parametrize("seed", range(4))
def test_damaged_texts_are_located_errors(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311  (a reproducible sequence)
    text = oracle.seed(oracle.SEED_NAMES[seed])
    for _ in range(250):
        at = chance.randrange(len(text))
        damaged = (
            text[:at] + chance.choice('()"\\;$@\0\n\ud800é1') + text[at + chance.randrange(3) :]
        )
        try:
            bytecode.validate(bytecode.parse_wat(damaged))
        except (WasmMalformedError, WasmInvalidError, UnsupportedError) as error:
            assert error.span is not None  # noqa: PT017  (one of several outcomes)
