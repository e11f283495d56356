"""Whole processes: `import interlock`, and hello world."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from benchmarks import measure, zig

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NODE_HELLO = """
const { WASI } = require('node:wasi');
const wasi = new WASI({ version: 'preview1', args: ['hello'] });
const module = new WebAssembly.Module(require('node:fs').readFileSync(process.argv[1]));
wasi.start(new WebAssembly.Instance(module, wasi.getImportObject()));
"""
WASMTIME_HELLO = """
import sys, wasmtime
engine = wasmtime.Engine()
config = wasmtime.WasiConfig()
config.inherit_stdout()
store = wasmtime.Store(engine)
store.set_wasi(config)
linker = wasmtime.Linker(engine)
linker.define_wasi()
instance = linker.instantiate(store, wasmtime.Module.from_file(engine, sys.argv[1]))
try:
    instance.exports(store)["_start"](store)
except wasmtime.ExitTrap:
    pass
"""


def run(work: Path) -> list[measure.Table]:
    """Two tables: importing, and saying hello."""
    python = sys.executable
    imports = {
        "python, nothing imported": [python, "-c", "pass"],
        "import interlock": [python, "-c", "import interlock"],
    }
    if _has_wasmtime():
        imports["import wasmtime"] = [python, "-c", "import wasmtime"]
    values = measure.medians(
        {name: _process(command) for name, command in imports.items()}, rounds=11
    )
    tables = [measure.table("Import, whole process", "python, nothing imported", values)]

    wasm = str(
        zig.compile_c(zig.HERE.parent / "examples/hello.c", work / "hello.wasm", *zig.WASI_COMMAND)
    )
    hello = {"interlock run hello.wasm": [python, "-m", "interlock", "run", wasm]}
    remarks = []
    node = shutil.which("node")
    if node:
        hello["node, the same file"] = [node, "--no-warnings", "-e", NODE_HELLO, wasm]
    else:
        remarks.append("node was not measured: needs node on PATH")
    if _has_wasmtime():
        hello["wasmtime from Python"] = [python, "-c", WASMTIME_HELLO, wasm]
    else:
        remarks.append("wasmtime was not measured: needs the package wasmtime")
    for name, command in hello.items():
        if b"Hello, world!" not in subprocess.run(command, check=True, capture_output=True).stdout:
            raise ArithmeticError(name)
    values = measure.medians(
        {name: _process(command) for name, command in hello.items()}, rounds=11
    )
    base = "interlock run hello.wasm"
    tables.append(measure.table("Hello world, whole process", base, values, remarks=tuple(remarks)))
    return tables


def _process(command: list[str]) -> Callable[[], float]:
    return lambda: measure.time_ns(
        lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    )


def _has_wasmtime() -> bool:
    import importlib.util

    return importlib.util.find_spec("wasmtime") is not None
