"""What a call costs: Python -> (i32, i32) -> i32."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sysconfig
import timeit
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import measure, zig

if TYPE_CHECKING:
    from collections.abc import Callable

CALLS = 200_000
WAT = """(module (func (export "add") (param i32 i32) (result i32)
  (i32.add (local.get 0) (local.get 1))))"""


def run(work: Path) -> list[measure.Table]:
    """Our exported function against a C extension's, cffi's and wasmtime's."""
    import interlock

    extension = zig.compile_c(
        zig.HERE / "kernels/fastcall.c", work / "fastcall.so", "-O3", "-fPIC", "-shared"
    )
    remarks: list[str] = []
    with interlock.Engine() as engine:
        ours = engine.instantiate(engine.compile_wat(WAT))
        functions: dict[str, Callable[[int, int], int]] = {
            "C extension (METH_FASTCALL)": _load(extension, "fastcall").add,
            "interlock export": ours.exports["add"],
            "plain Python function": lambda left, right: left + right,
        }
        for name, make in (
            ("cffi, API mode", lambda: _cffi_api(work)),
            ("cffi, ABI mode", lambda: _cffi_abi(extension)),
            ("wasmtime", _wasmtime),
        ):
            try:
                functions[name] = make()
            except measure.PeerMissingError as missing:
                remarks.append(f"{name} was not measured: {missing}")
        for name, function in functions.items():
            if function(40, 2) != 42:
                raise ArithmeticError(name)
        contestants = {name: _timer(function, name) for name, function in functions.items()}
        values = measure.medians(contestants, rounds=9)
    base = "C extension (METH_FASTCALL)"
    return [measure.table("A call, (i32, i32) -> i32", base, values, remarks=tuple(remarks))]


def _timer(function: Callable[[int, int], int], name: str) -> Callable[[], float]:
    calls = CALLS // 100 if name == "wasmtime" else CALLS
    empty = timeit.Timer("pass")
    timer = timeit.Timer("f(2, 3)", globals={"f": function})
    return lambda: max(0.0, (timer.timeit(calls) - empty.timeit(calls)) * 1e9 / calls)


def _load(path: Path, name: str) -> Any:
    loader = importlib.machinery.ExtensionFileLoader(name, str(path))
    spec = importlib.util.spec_from_loader(name, loader)
    if spec is None:
        raise ImportError(name)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def _cffi() -> Any:
    try:
        import cffi
    except ImportError as error:
        raise measure.PeerMissingError("needs the package cffi") from error
    return cffi.FFI()


def _cffi_api(work: Path) -> Callable[[int, int], int]:
    include = Path(sysconfig.get_paths()["include"])
    if not (include / "Python.h").exists():
        raise measure.PeerMissingError(f"needs Python.h in {include}")
    ffi = _cffi()
    ffi.cdef("int32_t add(int32_t, int32_t);")
    ffi.set_source(
        "interlock_cffi_peer",
        "#include <stdint.h>\nstatic int32_t add(int32_t a, int32_t b)"
        " { return (int32_t)((uint32_t)a + (uint32_t)b); }",
    )
    source = work / "interlock_cffi_peer.c"
    ffi.emit_c_code(str(source))
    flags = ("-O3", "-fPIC", "-shared", f"-I{include}", "-w", "-fno-sanitize=all")
    module = _load(
        zig.compile_c(source, work / "interlock_cffi_peer.so", *flags), "interlock_cffi_peer"
    )
    function: Callable[[int, int], int] = module.lib.add
    return function


def _cffi_abi(extension: Path) -> Callable[[int, int], int]:
    ffi = _cffi()
    ffi.cdef("int32_t add_plain(int32_t, int32_t);")
    function: Callable[[int, int], int] = ffi.dlopen(str(extension)).add_plain
    return function


def _wasmtime() -> Callable[[int, int], int]:
    try:
        import wasmtime
    except ImportError as error:
        raise measure.PeerMissingError("needs the package wasmtime") from error
    store = wasmtime.Store()
    instance = wasmtime.Instance(store, wasmtime.Module(store.engine, WAT), [])
    add = instance.exports(store)["add"]
    return lambda left, right: add(store, left, right)
