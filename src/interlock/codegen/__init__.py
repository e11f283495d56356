"""Code generation: a function of a validated module → LLVM IR (here) → object file (in a compiler process).

Analogous to Cranelift's `wasm` translation plus its `Context::compile`; the ABI is docs/internals/abi.md.  This package is
the only user of llvmlite, and only its compiler process imports it.  Names resolve on first use (PEP 562): the compiler
process loads none of the lowering, and starts while the host does.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from interlock.codegen.compiler import Compiler
    from interlock.codegen.instance_layout import InstanceLayout
    from interlock.codegen.lowering import lower
    from interlock.codegen.protocol import SYMBOL

_HOME_OF = {
    "Compiler": "compiler",
    "InstanceLayout": "instance_layout",
    "lower": "lowering",
    "SYMBOL": "protocol",
}

__all__ = ["SYMBOL", "Compiler", "InstanceLayout", "lower"]


def __getattr__(name: str) -> object:
    """Import the public name's home on first use."""
    home = _HOME_OF.get(name)
    if home is None:
        message = f"module 'interlock.codegen' has no attribute {name!r}"
        raise AttributeError(message)
    value = getattr(importlib.import_module(f"interlock.codegen.{home}"), name)
    globals()[name] = value
    return value
