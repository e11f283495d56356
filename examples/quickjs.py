"""Evaluates JavaScript: QuickJS, compiled to WebAssembly by the npm package quickjs-wasi, as machine code.

    npm install quickjs-wasi
    python examples/quickjs.py node_modules/quickjs-wasi/quickjs.wasm 'print([3, 1, 2].sort()); 6 * 7'

The package's own JavaScript side (`dist/index.js`) is what the imports below answer to: six functions of WASI preview 1,
and six of module `env` through which QuickJS calls its host.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import interlock

if TYPE_CHECKING:
    from collections.abc import Callable

_NO_VALUE = 0


class JavaScriptError(Exception):
    """JavaScript threw; the text is what `String(error)` gives."""


class QuickJs:
    """One QuickJS runtime in one instance.  Values are addresses of boxed JSValues in its memory."""

    def __init__(self, engine: interlock.Engine, wasm: bytes) -> None:
        self._functions: dict[str, Callable[[list[str]], None]] = {}
        env = {
            "host_call": self._host_call,
            "host_interrupt": lambda: 0,
            "host_promise_rejection": self._drop_rejection,
            "host_module_normalize": self._normalize,
            "host_module_load": lambda _name, _length_out: (
                _NO_VALUE
            ),  # no modules: "could not load"
            "host_get_timezone_offset": lambda _high, _low: 0,  # UTC
        }
        module = engine.compile_wasm(wasm, file="quickjs.wasm")
        wasi = interlock.Wasi(args=["quickjs"])
        self._instance = engine.instantiate(module, imports={"env": env}, wasi=wasi)
        self._js = self._instance.exports
        self._memory = self._js["memory"]
        self._js["_initialize"]()
        if self._js["qjs_init"]() != 0:
            message = "QuickJS could not make a runtime"
            raise JavaScriptError(message)

    def define(self, name: str, function: Callable[[list[str]], None]) -> None:
        """Make a global function that hands its arguments over as strings."""
        self._functions[name] = function
        text, length = self._new_text(name)
        value = self._js["qjs_new_host_function"](text, length, 0)
        scope = self._js["qjs_get_global"]()
        self._js["qjs_set_prop_string"](scope, text, value)
        self._js["wasm_free"](text)
        self._js["qjs_free_value"](value)
        self._js["qjs_free_value"](scope)

    def eval(self, source: str) -> str:
        """The value of a script, as `String(value)` gives it."""
        text, length = self._new_text(source)
        name, _ = self._new_text("<eval>")
        value = self._js["qjs_eval"](text, length, name, 0)
        self._js["wasm_free"](text)
        self._js["wasm_free"](name)
        if self._js["qjs_is_exception"](value):
            self._js["qjs_free_value"](value)
            value = self._js["qjs_get_exception"]()
            raise JavaScriptError(self._take_string(value))
        while self._js["qjs_is_job_pending"]():
            self._js["qjs_execute_pending_job"]()
        return self._take_string(value)

    def _take_string(self, value: int) -> str:
        text = self._string(value)
        self._js["qjs_free_value"](value)
        return text

    def _string(self, value: int) -> str:
        address = self._js["qjs_get_string"](value)
        if address == _NO_VALUE:
            return "<no text>"
        text = self._read_text(address)
        self._js["qjs_free_cstring"](address)
        return text

    def _new_text(self, text: str) -> tuple[int, int]:
        data = text.encode()
        address = self._js["wasm_malloc"](len(data) + 1)
        self._memory.write(address, data + b"\0")
        return address, len(data)

    def _read_text(self, address: int) -> str:
        length = self._js["strlen"](address)
        return bytes(self._memory.read(address, length)).decode(errors="replace")

    # ---- What QuickJS imports ------------------------------------------------------------------------------------

    def _host_call(self, name: int, length: int, _this: int, count: int, values: int) -> int:
        function = self._functions[bytes(self._memory.read(name, length)).decode()]
        raw = bytes(self._memory.read(values, 4 * count))
        addresses = [int.from_bytes(raw[at : at + 4], "little") for at in range(0, 4 * count, 4)]
        function([self._string(address) for address in addresses])
        result: int = self._js["qjs_get_undefined"]()
        return result

    def _drop_rejection(self, promise: int, reason: int, _is_handled: int) -> None:
        self._js["qjs_free_value"](promise)
        self._js["qjs_free_value"](reason)

    def _normalize(self, _base: int, name: int) -> int:
        return self._new_text(self._read_text(name))[0]


def main() -> int:
    """Evaluate each script of the command line in one runtime."""
    if len(sys.argv) < 3:
        print("usage: quickjs.py QUICKJS.WASM SCRIPT...", file=sys.stderr)
        return 2
    with interlock.Engine() as engine:
        runtime = QuickJs(engine, Path(sys.argv[1]).read_bytes())
        runtime.define("print", lambda args: print(*args))
        for script in sys.argv[2:]:
            try:
                print(runtime.eval(script))
            except JavaScriptError as error:
                print(f"JavaScript: {error}", file=sys.stderr)
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
