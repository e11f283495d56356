"""`interlock build`: what it writes runs elsewhere too."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .conftest import Cli

KERNEL = """\
from interlock import jit
from interlock.types import Array, f64, i32

SCALE = 3


@jit
def scaled(a: i32) -> i32:
    return helper(a) * SCALE


@jit
def helper(a: i32) -> i32:
    return a // 2


@jit
def total(a: Array[f64]) -> f64:
    found = 0.0
    for i in range(len(a)):
        found += a[i]
    return found
"""
NODE = """\
const bytes = require("fs").readFileSync("kernel.wasm");
const module = new WebAssembly.Module(bytes);
const { exports } = new WebAssembly.Instance(module);
new Float64Array(exports.memory.buffer, 64, 3).set([1, 2, 4]);
const failures = JSON.parse(Buffer.from(WebAssembly.Module.customSections(module, "interlock.failure")[0]));
let raised = "";
try { exports.scaled(2147483647); } catch { raised = failures[exports["interlock.failure"].value - 1].exception; }
console.log(exports.scaled(-7), exports.total(64, 3n), raised);
"""


def test_a_built_file_runs_here(cli: Cli) -> None:
    cli.write("kernel.py", KERNEL)

    built = cli("build", "kernel.py", "-o", "kernel.wasm")

    assert (built.status, built.out) == (0, "")
    assert cli("run", "--invoke", "scaled", "kernel.wasm", "-7").out == "-12\n"
    assert cli("run", "--invoke", "helper", "kernel.wasm", "--", "-7").out == "-4\n"


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_a_built_file_runs_in_node(cli: Cli) -> None:
    cli.write("kernel.py", KERNEL)
    cli("build", "kernel.py", "-o", "kernel.wasm", "-q")

    done = subprocess.run(
        ["node", "-e", NODE], cwd=cli.directory, capture_output=True, text=True, check=False
    )

    assert (done.stdout, done.stderr) == ("-12 7 OverflowError\n", "")


def test_chosen_functions_are_exported(cli: Cli) -> None:
    cli.write("kernel.py", KERNEL)

    built = cli("build", "kernel.py", "-o", "k.wasm", "--function", "scaled", "--json")

    size = len((cli.directory / "k.wasm").read_bytes())
    assert json.loads(built.out) == {"file": "kernel.py", "output": "k.wasm", "bytes": size}
    assert cli("run", "--invoke", "helper", "k.wasm", "1").status == 2


def test_two_builds_are_equal(cli: Cli) -> None:
    cli.write("kernel.py", KERNEL)

    for name in ("a.wasm", "b.wasm"):
        cli("build", "kernel.py", "-o", name)

    assert (cli.directory / "a.wasm").read_bytes() == (cli.directory / "b.wasm").read_bytes()


def test_text_is_built(cli: Cli) -> None:
    cli.write("one.wat", '(module (func (export "one") (result i32) (i32.const 1)))')

    assert cli("build", "one.wat", "-o", "one.wasm").status == 0
    assert cli("run", "--invoke", "one", "one.wasm").out == "1\n"


@pytest.mark.parametrize(
    ("source", "status", "text"),
    [
        ("x = 1\n", 2, "defines no compiled function; there are: none"),
        (KERNEL.replace("a // 2", "a / 2"), 1, "in helper"),
        ("import nothing_of_this_name\n", 1, "kernel.py cannot be run: ModuleNotFoundError"),
        ("def f(:\n", 1, "kernel.py cannot be run: SyntaxError"),
    ],
)
def test_what_cannot_be_built_is_said_without_a_traceback(
    cli: Cli, source: str, status: int, text: str
) -> None:
    cli.write("kernel.py", source)

    done = cli("build", "kernel.py", "-o", "kernel.wasm")

    assert done.status == status
    assert text in done.err
    assert "Traceback" not in done.err
    assert not (cli.directory / "kernel.wasm").exists()
