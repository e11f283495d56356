"""C programs compiled for WASI behave under `interlock run` as under wasmtime: output, exit status and files."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "examples"

ASSEMBLY = b"""; counts down and prints a squared number at each step
        push 5
again:  dup dup mul print
        push 1 sub dup jnz again
        pop push 0x7fffffffffffffff push 1 add print halt
"""
DOCUMENT = {
    "name": 'caf\u00e9 \U0001f600 \x7f\n\t"\\',
    "numbers": [0, -1, 1.5, 1e21, 5e-324, 0.1, 123456789012345680, -0.0],
    "nested": {"b": [True, False, None, [], {}], "a": {"deep": [[[["x"]]]]}},
    "empty": "",
}


def _source(program: str) -> Path:
    """A program's C file: here, or among the examples."""
    found = HERE / f"{program}.c"
    return found if found.exists() else EXAMPLES / found.name


def _large_document() -> bytes:
    source = random.Random(7)  # noqa: S311  (the same document in every run)
    rows = [
        {"id": i, "weight": source.uniform(-1e6, 1e6), "tags": [f"t{source.randrange(50)}"] * 3}
        for i in range(2000)
    ]
    return json.dumps(rows).encode()


FILES = {
    "abc.txt": b"abc",
    "empty": b"",
    "block": bytes(range(64)),
    "large": bytes(i * i & 0xFF for i in range(300_000)),
    "sums": b"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  abc.txt\n"
    b"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  block\nnonsense\n",
    "count.vm": ASSEMBLY,
    "bad.vm": b"push 1\nfrob 2\n",
    "loop.vm": b"again: jmp again\n",
    "a.json": json.dumps(DOCUMENT).encode(),
    "large.json": _large_document(),
    "bad.json": '{"é": [1, 2,\n  tru]}'.encode(),
    "deep.json": b"[" * 600,
    "surrogate.json": b'"\\ud800x"',
    "lines": b"pear\napple\n\nfig\nbanana\napple\n" * 50,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Everything a program run leaves behind."""

    status: int
    stdout: bytes
    stderr: bytes
    files: dict[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One run: the program, its arguments, what its standard input holds, the expected status."""

    program: str
    args: tuple[str, ...] = ()
    stdin: bytes = b""
    status: int = 0

    def __str__(self) -> str:
        """The test id."""
        return " ".join((self.program, *self.args))


CASES = (
    Case(program="sha256", args=("-t",)),
    Case(program="sha256", args=("abc.txt", "empty", "block", "large")),
    Case(program="sha256", stdin=b"from standard input" * 1000),
    Case(program="sha256", args=("-2", "-k", "key" * 40, "-", "abc.txt"), stdin=b"x"),
    Case(program="sha256", args=("-o", "out.sums", "large", "abc.txt")),
    Case(program="sha256", args=("-c", "sums"), status=1),
    Case(program="sha256", args=("missing", "abc.txt"), status=1),
    Case(program="sha256", args=("-x",), status=2),
    Case(program="vm", args=("-b",), status=1),
    Case(program="vm", args=("count.vm",)),
    Case(program="vm", args=("-d", "count.vm")),
    Case(program="vm", args=("-s", "1000", "loop.vm", "bad.vm", "missing.vm"), status=1),
    Case(program="json", args=("a.json",)),
    Case(program="json", args=("-c", "-s", "a.json")),
    Case(program="json", args=("-i", "1", "-o", "out.json", "large.json")),
    Case(program="json", args=("-t", "large.json")),
    Case(program="json", args=("-q", "nested.a.deep[0][0]", "a.json")),
    Case(program="json", args=("-q", "nested.c", "a.json"), status=1),
    Case(program="json", stdin=b"[1, 2, {}]"),
    Case(program="json", args=("bad.json",), status=1),
    Case(program="json", args=("deep.json",), status=1),
    Case(program="json", args=("surrogate.json",), status=1),
    Case(program="sort", args=("3000",)),
    Case(program="sort", args=("0",)),
    Case(program="sort", args=("1777", "42")),
    Case(program="sort", args=("-l", "lines")),
    Case(program="sort", args=("-l", "-r"), stdin=b"b\na\nc"),
    Case(program="sort", args=("-1",), status=2),
    Case(program="nbody", args=("500", "40")),
    Case(program="nbody", args=("0", "1")),
    Case(program="nbody", args=("10", "999"), status=2),
)


def _lay_out(directory: Path) -> Path:
    directory.mkdir()
    for name, data in FILES.items():
        (directory / name).write_bytes(data)
    return directory


def _written(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def _run_interlock(wasm: Path, case: Case, directory: Path) -> Outcome:
    command = [sys.executable, "-m", "interlock", "run", "--dir", f"{directory}::/", str(wasm)]
    done = subprocess.run(
        [*command, *case.args], input=case.stdin, capture_output=True, check=False, timeout=300
    )
    return Outcome(
        status=done.returncode, stdout=done.stdout, stderr=done.stderr, files=_written(directory)
    )


def _run_wasmtime(wasm: Path, case: Case, directory: Path) -> Outcome:
    wasmtime = pytest.importorskip("wasmtime", reason="needs wasmtime, the second engine")
    streams = {name: directory.parent / name for name in ("stdin", "stdout", "stderr")}
    streams["stdin"].write_bytes(case.stdin)
    config = wasmtime.WasiConfig()
    config.argv = [case.program, *case.args]
    config.preopen_dir(str(directory), "/")
    config.stdin_file = str(streams["stdin"])
    config.stdout_file = str(streams["stdout"])
    config.stderr_file = str(streams["stderr"])
    engine = wasmtime.Engine()
    store = wasmtime.Store(engine)
    store.set_wasi(config)
    linker = wasmtime.Linker(engine)
    linker.define_wasi()
    instance = linker.instantiate(store, wasmtime.Module.from_file(engine, str(wasm)))
    status = 0
    try:
        instance.exports(store)["_start"](store)
    except wasmtime.ExitTrap as exit_trap:
        status = exit_trap.code
    store.close()
    return Outcome(
        status=status,
        stdout=streams["stdout"].read_bytes(),
        stderr=streams["stderr"].read_bytes(),
        files=_written(directory),
    )


@pytest.mark.parametrize("case", CASES, ids=str)
def test_program_behaves_as_under_wasmtime(
    case: Case, compile_c: Callable[[Path], Path], tmp_path: Path
) -> None:
    wasm = compile_c(_source(case.program))
    expected = _run_wasmtime(wasm, case, _lay_out(tmp_path / "wasmtime"))

    got = _run_interlock(wasm, case, _lay_out(tmp_path / "interlock"))

    assert expected.status == case.status
    assert got == expected


def test_json_output_is_the_same_document(
    compile_c: Callable[[Path], Path], tmp_path: Path
) -> None:
    wasm = compile_c(HERE / "json.c")
    case = Case(program="json", args=("-c", "large.json"))

    got = _run_interlock(wasm, case, _lay_out(tmp_path / "work"))

    assert json.loads(got.stdout) == json.loads(FILES["large.json"])


def test_directory_is_invisible_when_not_opened(
    compile_c: Callable[[Path], Path], tmp_path: Path
) -> None:
    wasm = compile_c(EXAMPLES / "sha256.c")
    (tmp_path / "secret").write_bytes(b"x")

    done = subprocess.run(
        [sys.executable, "-m", "interlock", "run", str(wasm), str(tmp_path / "secret")],
        capture_output=True,
        check=False,
    )

    assert done.returncode == 1
    assert done.stdout == b""
