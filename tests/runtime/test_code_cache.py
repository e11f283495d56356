"""Compiled code on disk: it is used, and nothing that was done to it gets past its reader and the code validator."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import interlock
from interlock import CodeImage, JumpTable, Relocation, codegen
from interlock.artifacts import CodeOffset
from interlock.cache import FOLDER_VARIABLE, Cache
from interlock.runtime.code_cache import CodeCache, decode, encode
from interlock.target import X86_64_LINUX_V3

if TYPE_CHECKING:
    from pathlib import Path

IMPORTS = ("first", "second")
IMAGE = CodeImage(
    target=X86_64_LINUX_V3,
    code=b"\xc3" * 9,
    rodata=b"constants",
    entries={codegen.SYMBOL: CodeOffset(1)},
    relocations=(
        Relocation(offset=CodeOffset(1), kind=4, symbol="second"),
        Relocation(offset=CodeOffset(3), kind=275, symbol=None, rodata_offset=8),
    ),
    jump_tables=(JumpTable(rodata_offset=0, count=2, base_offset=5),),
)
WAT = """(module (memory 1)
  (func $helper (param i32) (result i32) local.get 0 i32.const 3 i32.mul)
  (func (export "f") (param i32) (result i32)
    (memory.fill (i32.const 0) (local.get 0) (i32.const 8)) local.get 0 call $helper))"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def _run(compiled: list[str] | None = None) -> int:
    """Call the function in an engine of its own; `compiled` hears which functions LLVM was asked for."""
    with interlock.Engine(interlock.Config(cache=True)) as engine:
        ask = engine._compiler.compile

        def asked(ir: str, **options: object) -> object:
            if compiled is not None:
                compiled.append(ir)
            return ask(ir, **options)  # type: ignore[arg-type]  # what was passed

        engine._compiler.compile = asked  # type: ignore[method-assign,assignment]  # to count
        found = engine.instantiate(engine.compile_wat(WAT)).exports["f"](5)  # type: ignore[operator]  # a function
        assert isinstance(found, int)
        return found


def test_an_image_is_read_as_it_was_written() -> None:
    assert decode(encode(IMAGE, IMPORTS), IMAGE.target, IMPORTS) == IMAGE


def test_every_length_counts() -> None:
    data = encode(IMAGE, IMPORTS)

    for changed in [*(data[:at] for at in range(len(data))), data + b"\0"]:
        with pytest.raises(ValueError, match="an image"):
            decode(changed, IMAGE.target, IMPORTS)


def test_an_import_that_does_not_exist_is_no_import() -> None:
    with pytest.raises(ValueError, match="import that does not exist"):
        decode(encode(IMAGE, IMPORTS), IMAGE.target, IMPORTS[:1])


@pytest.mark.usefixtures("folder")
def test_a_second_engine_compiles_nothing() -> None:
    cold: list[str] = []
    warm: list[str] = []

    assert _run(cold) == _run(warm) == 15

    assert len(cold) == 2
    assert warm == []


def test_a_damaged_entry_is_compiled_again(folder: Path) -> None:
    _run()
    for entry in folder.iterdir():
        entry.write_bytes(entry.read_bytes()[:-1])
    again: list[str] = []

    assert _run(again) == 15

    assert len(again) == 2


def test_code_that_the_core_refuses_is_compiled_again(folder: Path) -> None:
    _run()
    cache = Cache(str(folder))
    keys = [bytes.fromhex(each.name) for each in folder.iterdir()]
    for key in keys:  # as one would write it who may write the folder
        hostile = cache.get(key)
        assert hostile is not None
        code_bytes = int.from_bytes(hostile[:4], "little")
        assert hostile[-code_bytes:] != bytes(
            code_bytes
        )  # the code: these functions have no constants
        cache.put(key, hostile[:-code_bytes] + bytes(code_bytes))
    again: list[str] = []

    assert _run(again) == 15

    assert len(again) == 2
    warm: list[str] = []
    assert _run(warm) == 15  # what was refused has been replaced
    assert warm == []


def test_every_changed_byte_is_refused_or_has_no_effect_on_the_reader(folder: Path) -> None:
    _run()
    cache = Cache(str(folder))
    with interlock.Engine() as engine:
        gates = tuple(engine.gate_names)
        for entry in folder.iterdir():
            data = cache.get(bytes.fromhex(entry.name))
            assert data is not None
            for at in range(len(data)):
                changed = data[:at] + bytes([data[at] ^ 0x80]) + data[at + 1 :]
                try:
                    image = decode(changed, engine.target, gates)
                except ValueError:
                    continue
                try:
                    engine._arena.publish(image).retire()  # never run
                except interlock.InterlockError:
                    continue


def test_another_compiler_finds_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with interlock.Engine() as engine:
        gates = tuple(engine.gate_names)
        image = CodeImage(
            target=engine.target, code=b"\xc3", entries={codegen.SYMBOL: CodeOffset(0)}
        )
        CodeCache(engine.target, gates).put("ir", image)
        assert CodeCache(engine.target, gates).get("ir") == image
        monkeypatch.setattr(interlock, "__version__", "0.0.0")
        assert CodeCache(engine.target, gates).get("ir") is None
        assert len(list(folder.iterdir())) == 1


@pytest.mark.parametrize("place", ["", "/proc/nowhere"])
def test_without_a_folder_it_compiles(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, place)

    assert _run() == 15


def test_without_being_asked_nothing_is_kept(folder: Path) -> None:
    with interlock.Engine() as engine:
        instance = engine.instantiate(engine.compile_wat(WAT))
        assert instance.exports["f"](5) == 15  # type: ignore[operator]  # a function

    assert not folder.exists()


SCRIPT = """
import interlock
from interlock.types import i64

@interlock.jit
def twice(a: i64) -> i64:
    return a * 2

@interlock.jit(cache=True)
def cached(a: i64) -> i64:
    return twice(a) + {addend}

print(cached(4))
"""


def test_a_python_function_is_kept_and_an_edit_of_it_is_another(folder: Path) -> None:
    script = folder.parent / "script.py"
    counts = []
    for addend in (1, 1, 2):
        script.write_text(SCRIPT.format(addend=addend))
        done = subprocess.run(
            [sys.executable, str(script)],
            env={**os.environ, FOLDER_VARIABLE: str(folder)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == f"{8 + addend}\n"
        counts.append(len(list(folder.iterdir())))

    assert counts == [2, 2, 3]
