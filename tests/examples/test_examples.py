"""The examples do what their first lines say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from interlock import core

if TYPE_CHECKING:
    from collections.abc import Callable


def _run(*command: str, status: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == status, done.stderr
    return done.stdout


def test_hello_c_greets(compile_c: Callable[[Path], Path], repository: Path) -> None:
    wasm = compile_c(repository / "examples/hello.c")

    assert (
        _run("-m", "interlock", "run", str(wasm), "Ada", "Grace") == "Hello, Ada!\nHello, Grace!\n"
    )


def test_hello_wat_greets(repository: Path) -> None:
    assert (
        _run("-m", "interlock", "run", str(repository / "examples/hello.wat")) == "Hello, world!\n"
    )


def test_hello_wat_adds_when_invoked(repository: Path) -> None:
    wat = str(repository / "examples/hello.wat")

    assert _run("-m", "interlock", "run", "--invoke", "add", wat, "2", "3") == "5\n"


def test_machine_code_adds_and_is_refused(repository: Path) -> None:
    out = _run(str(repository / "examples/machine_code.py"))

    assert out.splitlines()[0] == "add(40, 2) = 42"
    assert "V012" in out
    assert "0x9" in out
    assert "0f 05" in out


def test_policy_refuses_more(repository: Path) -> None:
    first, *refused = _run(str(repository / "examples/policy.py")).splitlines()

    assert first == "add(40, 2) = 42"
    assert [line.split(" at ")[0] for line in refused] == ["refused: V050"] * 3


def test_policy_in_c_refuses_more(repository: Path, tmp_path: Path) -> None:
    pytest.importorskip("ziglang", reason="needs ziglang, zig's C compiler from PyPI")
    native = Path(core.WRITER_PATH).parent
    program = str(tmp_path / "policy")
    flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", f"-I{repository / 'core/include'}"]
    link = [f"-L{native}", "-linterlock", f"-Wl,-rpath,{native}", "-o", program]
    source = str(repository / "examples/policy.c")
    _run("-m", "ziglang", "cc", "-target", "x86_64-linux-gnu.2.17", *flags, source, *link)

    done = subprocess.run(
        [program, str(native / "interlock-writer")], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout
    first, vectors, frame, wider = done.stdout.splitlines()
    assert first == "accepted: f() = 42"
    assert vectors.startswith("refused: V050 at 0:")
    assert frame.startswith("refused: V050 at 0:")
    assert wider == "a wider policy: an argument is outside its documented range"


def test_quickjs_evaluates_javascript(quickjs_wasm: Path, repository: Path) -> None:
    script = """
        print('sorted', [3, 1, 2].sort());
        const fib = n => n < 2 ? n : fib(n - 1) + fib(n - 2);
        Promise.resolve(1).then(() => print('later'));
        JSON.stringify({fib: fib(15), text: 'caf\\u00e9'.toUpperCase(), root: Math.sqrt(2)})
    """

    out = _run(str(repository / "examples/quickjs.py"), str(quickjs_wasm), script)

    expected = (
        "sorted 1,2,3\nlater\n" + '{"fib":610,"text":"CAF\u00c9","root":1.4142135623730951}\n'
    )
    assert out == expected


def test_quickjs_reports_an_exception(quickjs_wasm: Path, repository: Path) -> None:
    example = str(repository / "examples/quickjs.py")

    _run(example, str(quickjs_wasm), "null.x", status=1)
