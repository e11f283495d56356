"""The compiler process may refuse, die or hang: a clear error, and the next function gets a new one."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from interlock import limits
from interlock.codegen import Compiler
from interlock.errors import ClosedError, CompileError
from interlock.target import X86_64_LINUX_V2

if TYPE_CHECKING:
    from collections.abc import Iterator

GOOD = "define i32 @f(ptr %vmctx, i32 %p0) {\n  %v = add i32 %p0, 1\n  ret i32 %v\n}\n"
# Enough for LLVM to be busy when the host loses patience.
LONG = (
    "define i32 @f(ptr %p) {\nentry:\n"
    + "".join(f"  %a{n} = load volatile i32, ptr %p\n" for n in range(400_000))
    + "  ret i32 0\n}\n"
)


@pytest.fixture
def compiler() -> Iterator[Compiler]:
    made = Compiler(X86_64_LINUX_V2)
    yield made
    made.close()


def _pid(compiler: Compiler) -> int:
    assert compiler._process is not None
    return compiler._process.pid


def test_an_object_file_comes_back(compiler: Compiler) -> None:
    made = compiler.compile(GOOD)

    assert made.data.startswith(b"\x7fELF")
    assert made.symbol == "f"


def test_optimised_ir_comes_back_as_text(compiler: Compiler) -> None:
    assert "add i32 %p0, 1" in compiler.optimise(GOOD)


@pytest.mark.parametrize(
    "ir",
    [
        "nonsense",
        GOOD.replace("ret i32 %v", "ret i32 %w"),
        GOOD.replace("ret i32 %v", "ret i64 %v"),
        GOOD.replace("}", ""),
    ],
)
def test_ir_that_is_none_is_an_error_and_the_process_lives(compiler: Compiler, ir: str) -> None:
    compiler.compile(GOOD)
    before = _pid(compiler)

    with pytest.raises(CompileError, match="LLVM"):
        compiler.compile(ir)

    assert _pid(compiler) == before
    assert compiler.compile(GOOD).data


def test_a_killed_process_is_an_error_and_replaced(compiler: Compiler) -> None:
    compiler.compile(GOOD)
    before = _pid(compiler)
    os.kill(before, signal.SIGKILL)

    with pytest.raises(CompileError, match=r"died.*SIGKILL"):
        compiler.compile(GOOD)

    assert compiler.compile(GOOD).data
    assert _pid(compiler) != before


def test_compiling_for_too_long_is_an_error(
    compiler: Compiler, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler.compile(GOOD)
    before = _pid(compiler)
    monkeypatch.setattr(limits, "COMPILE_SECONDS_MAX", 0)

    with pytest.raises(CompileError, match="COMPILE_SECONDS_MAX"):
        compiler.compile(LONG)

    monkeypatch.undo()
    assert compiler.compile(GOOD).data
    with pytest.raises(ProcessLookupError):
        os.kill(before, 0)


def test_an_interrupt_ends_compiling(compiler: Compiler) -> None:
    asked = []

    def is_interrupted() -> bool:
        asked.append(True)
        return len(asked) > 2

    with pytest.raises(CompileError, match="interrupted"):
        compiler.compile(LONG, is_interrupted=is_interrupted)
    assert compiler.compile(GOOD).data


def test_memory_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "COMPILE_MEMORY_BYTES_MAX", 400 << 20)
    compiler = Compiler(X86_64_LINUX_V2)
    try:
        assert compiler.compile(GOOD).data
        with pytest.raises(CompileError):
            compiler.compile(LONG)
        assert compiler.compile(GOOD).data
    finally:
        compiler.close()


def test_closing_ends_the_process_and_is_idempotent() -> None:
    compiler = Compiler(X86_64_LINUX_V2)
    compiler.prestart()
    pid = _pid(compiler)

    compiler.close()
    compiler.close()

    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(ClosedError):
        compiler.compile(GOOD)


def test_a_fork_gets_a_process_of_its_own(compiler: Compiler) -> None:
    compiler.compile(GOOD)
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if compiler.compile(GOOD).data else 2
            compiler.close()
        finally:
            os._exit(status)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert compiler.compile(GOOD).data
