"""`interlock dump` and `interlock validate` on machine code."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Cli

ADD = """(module
  (func $add (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func $sub (export "minus") (param i32 i32) (result i32) (i32.sub (local.get 0) (local.get 1))))"""
# endbr64; lea eax, [rdi + rsi]; ret
GOOD = bytes.fromhex("f30f1efa8d0437c3")
# endbr64; syscall; cli; ret
BAD = bytes.fromhex("f30f1efa0f05fac3")


def test_wat_is_a_module_again(cli: Cli) -> None:
    cli.write("add.wat", ADD)

    done = cli("dump", "add.wat", "--stage", "wat")

    assert done.status == 0
    assert done.out.startswith("(module")
    cli.write("again.wat", done.out)
    assert cli("dump", "again.wat", "--stage", "wat").out == done.out


def test_llvm_shows_one_function_when_asked(cli: Cli) -> None:
    cli.write("add.wat", ADD)

    both = cli("dump", "add.wat", "--stage", "llvm").out
    one = cli("dump", "add.wat", "--stage", "llvm", "--function", "minus").out

    assert both.count("\ndefine ") == 2
    assert one.count("\ndefine ") == 1
    assert " sub " in one
    assert one == cli("dump", "add.wat", "--stage", "llvm", "--function", "1").out


def test_assembly_has_a_verdict_on_each_instruction(cli: Cli) -> None:
    pytest.importorskip("capstone", reason="needs capstone, the disassembler")
    cli.write("add.wat", ADD)

    done = cli("dump", "add.wat", "--stage", "asm", "--function", "add")

    lines = done.out.splitlines()
    assert lines[0].startswith("; function 0 add: ")
    row = re.compile(r" *[0-9a-f]+  (?:[0-9a-f]{2} )+ +\S.* ok")
    assert all(row.fullmatch(line) for line in lines[1:])
    assert any("ret" in line for line in lines)
    assert "\x1b" not in done.out
    painted = cli("dump", "add.wat", "--stage", "asm", "--color", "always").out
    assert "\x1b[32mok\x1b[0m" in painted


def test_dump_as_json(cli: Cli) -> None:
    cli.write("add.wat", ADD)

    found = json.loads(cli("dump", "add.wat", "--stage", "wat", "--json").out)

    assert set(found) == {"file", "stage", "text"}
    assert found["text"].startswith("(module")


@pytest.mark.parametrize("function", ["frob", "2", "-1"])
def test_function_that_is_not_there_is_refused(cli: Cli, function: str) -> None:
    cli.write("add.wat", ADD)

    done = cli("dump", "add.wat", "--stage", "llvm", f"--function={function}")

    assert (done.status, done.out) == (1, "")
    assert function in done.err


def test_good_machine_code_is_accepted(cli: Cli) -> None:
    cli.write("good.bin", GOOD)

    assert cli("validate", "good.bin").out == "good.bin: accepted, 8 bytes of code\n"
    cli.write("good", GOOD)
    done = cli("validate", "--raw", "--json", "good")
    assert done.status == 0
    assert json.loads(done.out) == {
        "file": "good",
        "kind": "raw",
        "accepted": True,
        "code_bytes": 8,
        "violations": [],
    }


def test_every_violation_is_printed(cli: Cli) -> None:
    cli.write("bad.bin", BAD)

    done = cli("validate", "bad.bin")

    assert (done.status, done.err) == (1, "")
    lines = done.out.splitlines()
    assert lines[0].startswith("bad.bin+0x4: V012 [0f 05] the instruction calls the system")
    assert lines[1].startswith("bad.bin+0x6: V013 [fa] ")
    assert cli("validate", "-q", "bad.bin").out == done.out


def test_violations_as_json(cli: Cli) -> None:
    cli.write("bad.bin", BAD)

    done = cli("validate", "--json", "bad.bin")

    assert done.status == 1
    found = json.loads(done.out)
    assert found["accepted"] is False
    assert [(each["rule"], each["offset"], each["bytes"]) for each in found["violations"]] == [
        ("V012", 4, "0f05"),
        ("V013", 6, "fa"),
    ]
    assert set(found["violations"][0]) == {"rule", "offset", "bytes", "text", "detail"}


def test_empty_machine_code_is_rejected(cli: Cli) -> None:
    cli.write("empty.bin", b"")

    done = cli("validate", "empty.bin")

    assert done.status == 1
    assert "V001" in done.out


@pytest.mark.parametrize("data", [b"\x7fELF", b"\x7fELF" + bytes(100), b""])
def test_broken_object_is_an_error_not_a_crash(cli: Cli, data: bytes) -> None:
    cli.write("broken.o", data)

    done = cli("validate", "broken.o")

    assert done.status == 1
    assert done.err.startswith("interlock: ")
    assert "Traceback" not in done.err


def test_object_of_a_c_compiler_is_linked_and_checked(cli: Cli, tmp_path: Path) -> None:
    pytest.importorskip("ziglang", reason="needs ziglang, zig's C compiler from PyPI")
    source = tmp_path / "add.c"
    source.write_text("int add(int a, int b) { return a + b; }\n")
    command = [sys.executable, "-m", "ziglang", "cc", "-target", "x86_64-linux-gnu", "-O2", "-c"]
    options = ["-fno-asynchronous-unwind-tables", "-fno-stack-protector", "-fcf-protection=none"]
    subprocess.run([*command, *options, "-o", str(tmp_path / "add.o"), str(source)], check=True)

    done = cli("validate", "add.o")

    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("add.o: accepted, ")


@pytest.mark.parametrize("name", ["no code", "no executable section"])
def test_object_without_code_is_never_reported_as_accepted(
    cli: Cli, tmp_path: Path, name: str
) -> None:
    """A verifier once passed a file in which it found nothing to verify."""
    pytest.importorskip("ziglang", reason="needs ziglang, zig's C compiler from PyPI")
    source = tmp_path / "source.c"
    is_empty = name == "no code"
    source.write_text("const int answer = 42;\n" if is_empty else "int f(void) { return 1; }\n")
    target = tmp_path / "object.o"
    command = [sys.executable, "-m", "ziglang", "cc", "-target", "x86_64-linux-gnu", "-O2", "-c"]
    subprocess.run([*command, "-o", str(target), str(source)], check=True)
    data = bytearray(target.read_bytes())
    table, count = int.from_bytes(data[40:48], "little"), int.from_bytes(data[60:62], "little")
    for head in range(table, table + 64 * count, 64):
        data[head + 8] &= 0xFF if is_empty else ~4 & 0xFF  # SHF_EXECINSTR
    target.write_bytes(data)

    done = cli("validate", "object.o")

    assert (done.status, done.out) == (1, "")
    assert done.err.startswith("interlock: object file: ")
