"""The article's own flow: compile, write, run; and the one-liner `load`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import interlock

if TYPE_CHECKING:
    from pathlib import Path

WAT = """
(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start") (call $exit (i32.const 7)))
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))
"""


def test_compile_write_run() -> None:
    compiled = interlock.compile(WAT, language="wat", file="seven.wat")
    assert set(compiled.images) == {1, 2}
    assert compiled.code_bytes > 0

    published = interlock.write(compiled)

    assert published.run() == 7
    instance: Any = published.instantiate(wasi=interlock.Wasi())
    assert instance.exports.add(40, 2) == 42


def test_what_compile_makes_is_bytes_that_can_be_written_alone() -> None:
    compiled = interlock.compile(WAT, language="wat")
    code = interlock.write(compiled.images[2])
    # vmctx, then the two numbers
    add: Any = code.function("f", "i32(i64, i32, i32)")

    assert add(0, 20, 22) == 42


def test_damaged_code_is_refused_when_it_is_written() -> None:
    compiled = interlock.compile(WAT, language="wat")
    image = compiled.images[2]
    damaged = interlock.CodeImage(
        target=image.target, code=b"\x0f\x05" + image.code, entries=image.entries
    )

    with pytest.raises(interlock.CodeRejectedError, match="V012"):
        interlock.write(damaged)


def test_load_takes_binary_and_text(tmp_path: Path) -> None:
    from interlock import bytecode

    text, binary = tmp_path / "add.wat", tmp_path / "add.wasm"
    text.write_text(WAT, encoding="utf-8")
    binary.write_bytes(bytecode.encode(bytecode.parse_wat(WAT)))
    for path in (text, binary, str(binary)):
        instance: Any = interlock.load(path, wasi=interlock.Wasi())
        assert instance.exports.add(2, 3) == 5
        assert instance.run() == 7
        instance.close()


@pytest.mark.parametrize(
    ("source", "language", "error"),
    [
        ("(module", "wat", interlock.WasmMalformedError),
        (b"(module", "wat", interlock.WasmMalformedError),
        (b"\0asm\1\0\0\0\1", "wasm", interlock.WasmMalformedError),
        ("(module (func (result i32)))", "wat", interlock.WasmInvalidError),
        ("", "js", interlock.UnsupportedError),
        ("text", "wasm", TypeError),
    ],
)
def test_wrong_sources_are_located_errors(
    source: str | bytes, language: str, error: type[Exception]
) -> None:
    with pytest.raises(error) as caught:
        interlock.compile(source, language=language)

    if isinstance(caught.value, interlock.SourceError):
        assert caught.value.span is not None


def test_run_needs_a_start_function() -> None:
    compiled = interlock.compile('(module (memory (export "memory") 1))', language="wat")

    with pytest.raises(TypeError, match="_start"):
        interlock.write(compiled).run()
