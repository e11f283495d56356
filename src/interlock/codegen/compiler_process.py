"""The compiler process: reads LLVM IR from its standard input, writes object files to its standard output.

Started by `compiler.py` as a file; the only place that imports llvmlite.
"""

from __future__ import annotations

import os
import resource
import sys
from typing import Any, Final

# Text of IR above which LLVM's whole pipeline takes seconds: such functions are interpreters and generated tables, whose
# speed it hardly changes (benchmarks/RESULTS.md).
QUICK_IR_CHARACTERS: Final = 100_000

# Jump tables of four bytes an entry: the one shape that the linker and the code validator know.
_OPTIONS: Final = {"aarch64": ("-aarch64-enable-compress-jump-tables=false",)}


def main() -> None:
    """Serve requests until the host closes the pipe."""
    triple, cpu, features, memory_bytes_max, package_root = sys.argv[1:]
    _limit(int(memory_bytes_max))
    sys.path.insert(0, package_root)
    # The pipes are for answers only: whatever prints, prints elsewhere.
    source, sink = os.dup(0), os.dup(1)
    os.dup2(2, 1)
    _serve(_Llvm(triple, cpu, features), source, sink)


def _limit(memory_bytes_max: int) -> None:
    for what, most in (
        (resource.RLIMIT_AS, memory_bytes_max),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (bound, bound))


class _Llvm:
    """LLVM's optimiser and code generator for one target."""

    def __init__(self, triple: str, cpu: str, features: str) -> None:
        import llvmlite.binding as llvm

        self._llvm = llvm
        arch = triple.split("-", maxsplit=1)[0]
        if arch == os.uname().machine.replace("arm64", "aarch64"):
            llvm.initialize_native_target()
            llvm.initialize_native_asmprinter()
        else:  # only to be looked at
            llvm.initialize_all_targets()
            llvm.initialize_all_asmprinters()
        for option in _OPTIONS.get(arch, ()):
            llvm.set_option("", option)
        self._triple = triple
        target = llvm.Target.from_triple(triple)
        options = {"cpu": cpu, "features": features, "reloc": "pic", "codemodel": "small"}
        self._machine = target.create_target_machine(opt=2, **options)
        self._quick_machine = target.create_target_machine(opt=1, **options)
        self._layout = str(self._machine.target_data)

    def optimise(self, ir: str) -> tuple[Any, Any]:
        """A module, verified and optimised, and the machine that shall emit it."""
        from interlock.codegen.protocol import SYMBOL

        llvm = self._llvm
        module = llvm.parse_assembly(ir)
        module.triple = self._triple
        module.data_layout = self._layout
        module.verify()
        # A builder caches analyses of the module it ran on: one for each.
        options = llvm.create_pipeline_tuning_options(speed_level=1)
        builder = llvm.create_pass_builder(self._machine, options)
        if len(ir) <= QUICK_IR_CHARACTERS:
            builder.getModulePassManager().run(module, builder)
            return module, self._machine
        passes = llvm.create_new_function_pass_manager()
        passes.add_sroa_pass()
        passes.add_instruction_combine_pass()
        passes.add_simplify_cfg_pass()
        passes.run(module.get_function(SYMBOL), builder)
        return module, self._quick_machine

    def answer(self, what: int, ir: str) -> bytes:
        """An object file, or optimised IR as text."""
        from interlock.codegen.protocol import COMPILE

        module, machine = self.optimise(ir)
        if what == COMPILE:
            data: bytes = machine.emit_object(module)
            return data
        return str(module).encode()


def _serve(llvm: _Llvm, source: int, sink: int) -> None:
    from interlock.codegen.protocol import DONE, HEADER

    with open(source, "rb") as requests, open(sink, "wb") as replies:
        while len(header := requests.read(HEADER.size)) == HEADER.size:
            what, length = HEADER.unpack(header)
            try:
                status, reply = DONE, llvm.answer(what, requests.read(length).decode())
            except (RuntimeError, MemoryError, UnicodeError) as error:
                status, reply = 1, f"{type(error).__name__}: {error}".encode()
            replies.write(HEADER.pack(status, len(reply)) + reply)
            replies.flush()


if __name__ == "__main__":
    main()
