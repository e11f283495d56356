"""Code generation: a function of a validated module → LLVM IR (here) → object file (in a compiler process).

Analogous to Cranelift's `wasm` translation plus its `Context::compile`; the ABI is docs/internals/abi.md.  This package is
the only user of llvmlite, and only its compiler process imports it.
"""

from __future__ import annotations

from interlock.codegen.compiler import Compiler
from interlock.codegen.instance_layout import InstanceLayout
from interlock.codegen.lowering import SYMBOL, lower

__all__ = ["SYMBOL", "Compiler", "InstanceLayout", "lower"]
