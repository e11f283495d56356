"""Lowering: one function of a validated module → one LLVM module as text, whose function is `protocol.SYMBOL`.

One pass over the body; code that cannot be reached is skipped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from interlock import limits
from interlock.bytecode import BY_NAME
from interlock.codegen.function_builder import FunctionBuilder
from interlock.codegen.instructions import HANDLERS
from interlock.errors import InternalError, LimitExceededError, UnsupportedError

if TYPE_CHECKING:
    from interlock.bytecode import ValidatedModule
    from interlock.codegen.instance_layout import InstanceLayout
    from interlock.target import Target

_CONTROL: Final = {BY_NAME[name].code: name for name in ("block", "loop", "if", "else", "end")}


def lower(module: ValidatedModule, layout: InstanceLayout, func_index: int, target: Target) -> str:
    """The LLVM IR of a defined function.

    Raises `LimitExceededError`, and `UnsupportedError` for an instruction that validation accepts and nothing lowers: there
    is none in this version.
    """
    to = FunctionBuilder(module, layout, func_index, target)
    body = module.function(func_index).body
    unreached = 0  # depth of blocks opened in code that cannot be reached
    is_reached = True
    for code, immediate in zip(body.codes, body.immediates, strict=True):
        control = _CONTROL.get(code)
        if is_reached:
            if len(to.out) > limits.LOWERED_LINES_MAX:
                raise LimitExceededError(
                    limit="LOWERED_LINES_MAX",
                    value=len(to.out),
                    maximum=limits.LOWERED_LINES_MAX,
                )
            handler = HANDLERS.get(code)
            if handler is None:
                raise UnsupportedError(f"lowering of opcode {code:#x}")
            is_reached = handler(to, code, immediate) is not False
        elif control in {"block", "loop", "if"}:
            unreached += 1
        elif unreached and control == "end":
            unreached -= 1
        elif not unreached and control == "else":
            is_reached = to.begin_else()
        elif not unreached and control == "end":
            is_reached = to.end(is_reached=False)
    if to.frames:
        raise InternalError(stage="lowering", detail="blocks are left open")
    return to.assemble()
