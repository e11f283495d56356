"""Compute programs: our machine code against native code and wasmtime, one exported function, the same C source."""

from __future__ import annotations

import ctypes
import math
from typing import TYPE_CHECKING

from benchmarks import measure, zig

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# The argument makes native code run for about 0.2 seconds.
PROGRAMS = {"nbody": 2_000_000, "sha256": 800_000, "quicksort": 1 << 20}
_WRAP = 1 << 64


def run(work: Path) -> list[measure.Table]:
    """One table for each program, and one of the ratios."""
    tables = [_program(work, name, argument) for name, argument in PROGRAMS.items()]
    peers = [row.what for row in tables[0].rows]
    means = {
        peer: math.exp(
            sum(math.log(row.ratio) for each in tables for row in each.rows if row.what == peer)
            / len(tables)
        )
        for peer in peers
    }
    remarks = tuple(f"{peer}: {mean:.3f}" for peer, mean in means.items())
    last = tables[-1]
    remarks = (*last.remarks, "geometric mean of the ratios: " + ", ".join(remarks))
    tables[-1] = measure.Table(title=last.title, base=last.base, rows=last.rows, remarks=remarks)
    return tables


def _program(work: Path, name: str, argument: int) -> measure.Table:
    import interlock

    source = zig.HERE / "kernels" / f"{name}.c"
    native = ctypes.CDLL(str(zig.compile_c(source, work / f"{name}.so", *zig.NATIVE, "-lm"))).run
    native.argtypes = [ctypes.c_int32]
    native.restype = ctypes.c_int64
    wasm = zig.compile_c(source, work / f"{name}.wasm", *zig.WASI_REACTOR).read_bytes()
    with interlock.Engine() as engine:
        instance = engine.instantiate(engine.compile_wasm(wasm), wasi=interlock.Wasi())
        if "_initialize" in instance.exports:
            instance.exports["_initialize"]()
        functions: dict[str, Callable[[int], int]] = {
            "native -O3 x86-64-v3": native,
            "interlock": instance.exports["run"],
        }
        remarks: tuple[str, ...] = ()
        try:
            functions["wasmtime"] = _wasmtime(wasm)
        except measure.PeerMissingError as missing:
            remarks = (str(missing),)
        results = {what: function(1000) % _WRAP for what, function in functions.items()}
        if len(set(results.values())) != 1:
            message = f"{name}: results differ: {results}"
            raise ArithmeticError(message)
        contestants = {what: _timer(function, argument) for what, function in functions.items()}
        values = measure.medians(contestants, rounds=5, warm_up=1)
    return measure.table(f"{name}({argument})", "native -O3 x86-64-v3", values, remarks=remarks)


def _timer(function: Callable[[int], int], argument: int) -> Callable[[], float]:
    return lambda: measure.time_ns(lambda: function(argument))


def _wasmtime(wasm: bytes) -> Callable[[int], int]:
    try:
        import wasmtime
    except ImportError as error:
        raise measure.PeerMissingError("needs the package wasmtime") from error
    engine = wasmtime.Engine()
    store = wasmtime.Store(engine)
    store.set_wasi(wasmtime.WasiConfig())
    linker = wasmtime.Linker(engine)
    linker.define_wasi()
    exports = linker.instantiate(store, wasmtime.Module(engine, wasm)).exports(store)
    if "_initialize" in exports:
        exports["_initialize"](store)
    run_export = exports["run"]
    return lambda argument: run_export(store, argument)
