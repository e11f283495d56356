"""Validation of function bodies: the algorithm of the standard's appendix, "Validation Algorithm", without recursion.

The operand stack is one list of value types.  Under the operands of each control frame lies one `_FLOOR`, so that a pop
needs no comparison of heights: an empty frame shows the floor, which is no type.  `None` is the standard's `Bot`, the
type of operands that unreachable code conjures up.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, NoReturn, TypeAlias

from interlock import limits
from interlock.bytecode.module import BlockType, Function, Immediate, Module
from interlock.bytecode.opcodes import (
    BY_CODE,
    CODES_END,
    VALIDATED_FEATURES,
    Feature,
    Imm,
    Opcode,
    code_of,
)
from interlock.bytecode.types import FuncType, GlobalType, ValType
from interlock.errors import InterlockError, LimitExceededError, UnsupportedError, WasmInvalidError

_FLOOR: Final = "floor"
Operand: TypeAlias = "ValType | str | None"
Types: TypeAlias = tuple[ValType, ...]

I32: Final = ValType.I32
_LOCAL_GET: Final = code_of("local.get")
_LOOP: Final = code_of("loop")
_IF: Final = code_of("if")
_ELSE: Final = code_of("else")
_LOCALS_EXPANDED: Final = 1_000
"""Functions with more locals look their types up in the runs: expanding costs more than the input that asks for it."""


class _FinishedError(Exception):
    """The `end` of the function was met."""


class _RefusalError(Exception):
    """A broken rule, not yet located.  Like its neighbours it never leaves this file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What bodies refer to (the standard's context C)."""

    module: Module
    types: tuple[FuncType, ...]
    function_types: tuple[FuncType, ...]
    table_types: tuple[ValType, ...]
    memory_count: int
    global_types: tuple[GlobalType, ...]
    elem_types: tuple[ValType, ...]
    data_count: int
    declared_functions: frozenset[int]


class _RunLocals:
    """Types of very many locals, looked up in their runs."""

    def __init__(self, params: Types, runs: Sequence[tuple[int, ValType]]) -> None:
        pairs = [*((1, kind) for kind in params), *runs]
        self._ends = list(accumulate(count for count, _ in pairs))
        self._kinds = [kind for _, kind in pairs]

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> ValType:
        return self._kinds[bisect.bisect_right(self._ends, index)]


class _Frame:
    """A control frame."""

    __slots__ = ("code", "end_types", "floor", "start_types", "unreachable")

    def __init__(self, code: int, start_types: Types, end_types: Types, floor: int) -> None:
        self.code = code
        self.start_types = start_types
        self.end_types = end_types
        self.floor = floor  # where the frame's _FLOOR lies
        self.unreachable = False

    @property
    def label_types(self) -> Types:
        return self.start_types if self.code == _LOOP else self.end_types


def _local_types(params: Types, function: Function) -> Types | _RunLocals:
    if function.local_count > _LOCALS_EXPANDED:
        return _RunLocals(params, function.local_runs)
    return params + function.locals


class BodyValidator:
    """Validates the body of one function."""

    __slots__ = ("context", "frames", "function", "locals", "operands", "results")

    def __init__(self, context: Context, function: Function) -> None:
        func_type = context.types[function.type_index]
        self.context = context
        self.function = function
        self.results = func_type.results
        self.locals = _local_types(func_type.params, function)
        self.operands: list[Operand] = [_FLOOR]
        self.frames = [_Frame(0, (), func_type.results, 0)]

    def validate(self) -> None:
        """Raise the first broken rule, located."""
        body, module = self.function.body, self.context.module
        if any(kind is ValType.V128 for _, kind in self.function.local_runs):
            raise UnsupportedError(Feature.SIMD.value, span=self.function.span)
        at = -1
        operands, local_types = self.operands, self.locals
        push, pop = operands.append, operands.pop
        local_count, simple, handlers = len(local_types), _SIMPLE, _HANDLERS
        memory_count = self.context.memory_count
        rows = zip(body.codes, body.immediates, body.offsets, strict=True)
        try:
            for code, immediate, at in rows:  # noqa: B007  (`at` locates what is raised)
                row = simple[code]
                if row is not None:
                    params, result, align = row
                    if align >= 0 and (
                        immediate[0] > align
                        or immediate[2] >= memory_count
                        or immediate[1] > 0xFFFFFFFF
                    ):
                        self._refuse_memarg(immediate, align)
                    for want in params:
                        got = pop()
                        if got is not want:
                            self._check(got, want)
                    if result is not None:
                        push(result)
                elif code == _LOCAL_GET and immediate < local_count:
                    push(local_types[immediate])
                else:
                    handlers[code](self, immediate)
        except _RefusalError as refusal:
            raise WasmInvalidError(str(refusal), span=module.span(at)) from None
        except _UnlocatedError as unlocated:
            raise unlocated.locate(module, at) from None
        except _FinishedError:
            if next(rows, None) is None:
                return
            raise WasmInvalidError("instructions after the end", span=module.span(at)) from None
        raise WasmInvalidError("END opcode expected", span=self.function.span or module.span(0))

    # -- operands -------------------------------------------------------------------------------------------------------

    def _check(self, got: Operand, want: ValType) -> None:
        """Judge an operand that was popped and is not the wanted type itself."""
        if got is None:
            return
        if got is not _FLOOR:
            _refuse(f"type mismatch: expected {want}, found {got}")
        self.operands.append(_FLOOR)
        if not self.frames[-1].unreachable:
            _refuse(f"type mismatch: expected {want}, found nothing")

    def _pop(self) -> ValType | None:
        """Pop any operand; None is `Bot`."""
        got = self.operands.pop()
        if isinstance(got, str):
            self.operands.append(got)
            if not self.frames[-1].unreachable:
                _refuse("type mismatch: expected a value, found nothing")
            return None
        return got

    def _pop_type(self, want: ValType) -> None:
        got = self.operands.pop()
        if got is not want:
            self._check(got, want)

    def _pop_types(self, wants: Types) -> None:
        operands, count = self.operands, len(wants)
        if count > 1 and tuple(operands[-count:]) == wants:
            del operands[-count:]
            return
        for want in reversed(wants):
            got = operands.pop()
            if got is not want:
                self._check(got, want)

    def _push_types(self, types: Types) -> None:
        self.operands.extend(types)
        if len(self.operands) > limits.WASM_OPERANDS_MAX:
            raise _UnlocatedError(
                LimitExceededError,
                "WASM_OPERANDS_MAX",
                len(self.operands),
                limits.WASM_OPERANDS_MAX,
            )

    # -- control --------------------------------------------------------------------------------------------------------

    def _block_type(self, immediate: BlockType) -> tuple[Types, Types]:
        if immediate is None:
            return (), ()
        if isinstance(immediate, ValType):
            if immediate is ValType.V128:
                _unsupported(Feature.SIMD)
            return (), _RESULT_TYPES[immediate]
        func_type = self._type(immediate)
        return func_type.params, func_type.results

    def _type(self, index: int) -> FuncType:
        if index >= len(self.context.types):
            _refuse(f"unknown type {index}")
        return self.context.types[index]

    def _open(self, code: int, immediate: BlockType) -> None:
        start_types, end_types = self._block_type(immediate)
        if code == _IF:
            self._pop_type(I32)
        self._pop_types(start_types)
        self.frames.append(_Frame(code, start_types, end_types, len(self.operands)))
        self.operands.append(_FLOOR)
        self._push_types(start_types)

    def _close(self) -> _Frame:
        """Pop the results of the innermost frame and the frame itself."""
        frame = self.frames[-1]
        self._pop_types(frame.end_types)
        if self.operands[-1] is not _FLOOR:
            _refuse("type mismatch: values remaining on stack at end of block")
        self.operands.pop()
        self.frames.pop()
        return frame

    def _block(self, immediate: BlockType) -> None:
        self._open(0, immediate)

    def _loop(self, immediate: BlockType) -> None:
        self._open(_LOOP, immediate)

    def _if(self, immediate: BlockType) -> None:
        self._open(_IF, immediate)

    def _else(self, _: None) -> None:
        if self.frames[-1].code != _IF:
            _refuse("else found outside of an `if` block")
        frame = self._close()
        self.frames.append(_Frame(_ELSE, frame.start_types, frame.end_types, frame.floor))
        self.operands.append(_FLOOR)
        self._push_types(frame.start_types)

    def _end(self, _: None) -> None:
        frame = self._close()
        if frame.code == _IF and frame.start_types != frame.end_types:
            _refuse("type mismatch: an `if` without `else` must not change the stack")
        if not self.frames:
            raise _FinishedError
        self._push_types(frame.end_types)

    def _set_unreachable(self) -> None:
        frame = self.frames[-1]
        del self.operands[frame.floor + 1 :]
        frame.unreachable = True

    def _unreachable(self, _: None) -> None:
        self._set_unreachable()

    def _label(self, label: int) -> Types:
        if label >= len(self.frames):
            _refuse(f"unknown label {label}")
        return self.frames[-1 - label].label_types

    def _br(self, label: int) -> None:
        self._pop_types(self._label(label))
        self._set_unreachable()

    def _br_if(self, label: int) -> None:
        types = self._label(label)
        self._pop_type(I32)
        if types:
            self._pop_types(types)
            self._push_types(types)

    def _br_table(self, labels: tuple[int, ...]) -> None:
        self._pop_type(I32)
        default = self._label(labels[-1])
        # Labels of one type tuple agree: each tuple is checked once, however many labels share it.
        seen: set[int] = {id(default)}
        for label in set(labels):
            types = self._label(label)
            if id(types) in seen:
                continue
            seen.add(id(types))
            if len(types) != len(default):
                _refuse("type mismatch: labels of different arity")
            self._peek_types(types)
        self._pop_types(default)
        self._set_unreachable()

    def _peek_types(self, wants: Types) -> None:
        """Check the operands on top without changing them (in unreachable code `Bot` stays `Bot`)."""
        count = len(wants)
        frame = self.frames[-1]
        operands = self.operands[max(frame.floor + 1, len(self.operands) - count) :]
        for want, got in zip(reversed(wants), reversed(operands), strict=False):
            if got is not want and got is not None:
                _refuse(f"type mismatch: expected {want}, found {got}")
        if len(operands) < count and not frame.unreachable:
            _refuse(f"type mismatch: expected {count} values, found {len(operands)}")

    def _return(self, _: None) -> None:
        self._pop_types(self.results)
        self._set_unreachable()

    # -- calls ----------------------------------------------------------------------------------------------------------

    def _function_type(self, index: int) -> FuncType:
        if index >= len(self.context.function_types):
            _refuse(f"unknown function {index}")
        return self.context.function_types[index]

    def _call(self, index: int) -> None:
        func_type = self._function_type(index)
        self._pop_types(func_type.params)
        self._push_types(func_type.results)

    def _call_indirect(self, immediate: tuple[int, int]) -> None:
        type_index, table_index = immediate
        if self._table(table_index) is not ValType.FUNCREF:
            _refuse("type mismatch: call_indirect needs a table of funcref")
        func_type = self._type(type_index)
        self._pop_type(I32)
        self._pop_types(func_type.params)
        self._push_types(func_type.results)

    # -- variables and parametric instructions ---------------------------------------------------------------------------

    def _drop(self, _: None) -> None:
        self._pop()

    def _select(self, _: None) -> None:
        self._pop_type(I32)
        first, second = self._pop(), self._pop()
        for kind in (first, second):
            if kind is not None and kind.is_ref:
                _refuse("type mismatch: select without a type takes numbers")
        if first is not second and first is not None and second is not None:
            _refuse(f"type mismatch: select of {second} and {first}")
        self.operands.append(second if first is None else first)

    def _select_t(self, types: Types) -> None:
        if len(types) != 1:
            _refuse("invalid result arity")
        if types[0] is ValType.V128:
            _unsupported(Feature.SIMD)
        self._pop_type(I32)
        self._pop_type(types[0])
        self._pop_type(types[0])
        self.operands.append(types[0])

    def _local(self, index: int) -> ValType:
        if index >= len(self.locals):
            _refuse(f"unknown local {index}")
        return self.locals[index]

    def _local_get(self, index: int) -> None:
        self.operands.append(self._local(index))

    def _local_set(self, index: int) -> None:
        self._pop_type(self._local(index))

    def _local_tee(self, index: int) -> None:
        kind = self._local(index)
        self._pop_type(kind)
        self.operands.append(kind)

    def _global(self, index: int) -> GlobalType:
        if index >= len(self.context.global_types):
            _refuse(f"unknown global {index}")
        return self.context.global_types[index]

    def _global_get(self, index: int) -> None:
        self.operands.append(self._global(index).value_type)

    def _global_set(self, index: int) -> None:
        variable = self._global(index)
        if not variable.mutable:
            _refuse("immutable global")
        self._pop_type(variable.value_type)

    # -- memories, tables, references -------------------------------------------------------------------------------------

    def _refuse_memarg(self, memarg: tuple[int, int, int], natural: int) -> NoReturn:
        self._memory(memarg[2])
        if memarg[0] > natural:
            _refuse("alignment must not be larger than natural")
        _refuse("offset out of range")

    def _memory(self, index: int) -> None:
        if index >= self.context.memory_count:
            _refuse(f"unknown memory {index}")

    def _table(self, index: int) -> ValType:
        if index >= len(self.context.table_types):
            _refuse(f"unknown table {index}")
        return self.context.table_types[index]

    def _elem(self, index: int) -> ValType:
        if index >= len(self.context.elem_types):
            _refuse(f"unknown elem segment {index}")
        return self.context.elem_types[index]

    def _data(self, index: int) -> None:
        if index >= self.context.data_count:
            _refuse(f"unknown data segment {index}")

    def _pop_i32s(self, count: int) -> None:
        for _ in range(count):
            self._pop_type(I32)

    def _memory_size(self, index: int) -> None:
        self._memory(index)
        self.operands.append(I32)

    def _memory_grow(self, index: int) -> None:
        self._memory(index)
        self._pop_type(I32)
        self.operands.append(I32)

    def _memory_fill(self, index: int) -> None:
        self._memory(index)
        self._pop_i32s(3)

    def _memory_copy(self, immediate: tuple[int, int]) -> None:
        for index in immediate:
            self._memory(index)
        self._pop_i32s(3)

    def _memory_init(self, immediate: tuple[int, int]) -> None:
        self._memory(immediate[1])
        self._data(immediate[0])
        self._pop_i32s(3)

    def _table_get(self, index: int) -> None:
        kind = self._table(index)
        self._pop_type(I32)
        self.operands.append(kind)

    def _table_set(self, index: int) -> None:
        self._pop_type(self._table(index))
        self._pop_type(I32)

    def _table_size(self, index: int) -> None:
        self._table(index)
        self.operands.append(I32)

    def _table_grow(self, index: int) -> None:
        kind = self._table(index)
        self._pop_type(I32)
        self._pop_type(kind)
        self.operands.append(I32)

    def _table_fill(self, index: int) -> None:
        kind = self._table(index)
        self._pop_type(I32)
        self._pop_type(kind)
        self._pop_type(I32)

    def _table_copy(self, immediate: tuple[int, int]) -> None:
        if self._table(immediate[0]) is not self._table(immediate[1]):
            _refuse("type mismatch: tables of different types")
        self._pop_i32s(3)

    def _table_init(self, immediate: tuple[int, int]) -> None:
        kind = self._table(immediate[1])
        if self._elem(immediate[0]) is not kind:
            _refuse("type mismatch: segment and table of different types")
        self._pop_i32s(3)

    def _ref_null(self, kind: ValType | int) -> None:
        if not isinstance(kind, ValType):
            _unsupported(Feature.FUNCTION_REFERENCES if kind >= 0 else Feature.GC)
        self.operands.append(kind)

    def _ref_is_null(self, _: None) -> None:
        kind = self._pop()
        if kind is not None and not kind.is_ref:
            _refuse(f"type mismatch: expected a reference, found {kind}")
        self.operands.append(I32)

    def _ref_func(self, index: int) -> None:
        self._function_type(index)
        if index not in self.context.declared_functions:
            _refuse("undeclared function reference")
        self.operands.append(ValType.FUNCREF)


class _UnlocatedError(Exception):
    """An error other than `WasmInvalidError`, not yet located."""

    def __init__(
        self,
        kind: type[LimitExceededError | UnsupportedError],
        text: str,
        value: int = 0,
        maximum: int = 0,
    ) -> None:
        super().__init__(text)
        self.kind, self.text, self.value, self.maximum = kind, text, value, maximum

    def locate(self, module: Module, offset: int) -> InterlockError:
        span = module.span(offset)
        if self.kind is UnsupportedError:
            return UnsupportedError(self.text, span=span)
        return LimitExceededError(
            limit=self.text, value=self.value, maximum=self.maximum, span=span
        )


def _refuse(message: str) -> NoReturn:
    raise _RefusalError(message)


def _unsupported(feature: Feature) -> NoReturn:
    raise _UnlocatedError(UnsupportedError, feature.value)


Handler: TypeAlias = Callable[[BodyValidator, Immediate], None]
_RESULT_TYPES: Final[dict[ValType, Types]] = {kind: (kind,) for kind in ValType}
_Row: TypeAlias = tuple[Types, ValType | None, int]


def _simple_row(opcode: Opcode | None) -> _Row | None:
    """Reversed parameters, result, natural alignment (-1: no access), of what needs no more than that."""
    if opcode is None or opcode.feature not in VALIDATED_FEATURES:
        return None
    if opcode.params is None or opcode.results is None:
        return None
    if opcode.immediates and opcode.immediates[0] not in _SIMPLE_IMMEDIATES:
        return None
    result = opcode.results[0] if opcode.results else None
    return opcode.params[::-1], result, -1 if opcode.align is None else opcode.align


_SIMPLE_IMMEDIATES: Final = frozenset({Imm.MEMARG, Imm.I32, Imm.I64, Imm.F32, Imm.F64})
_SIMPLE: Final = [_simple_row(opcode) for opcode in BY_CODE]


def _refuse_feature(feature: Feature) -> Handler:
    return lambda _validator, _immediate: _unsupported(feature)


def _elem_drop(validator: BodyValidator, index: int) -> None:
    validator._elem(index)  # noqa: SLF001  (this file's own class)


def _data_drop(validator: BodyValidator, index: int) -> None:
    validator._data(index)  # noqa: SLF001  (this file's own class)


def _handlers() -> list[Handler]:
    """For each code without a simple row, the method that knows it."""
    table: list[Handler] = [_refuse_feature(Feature.CORE)] * CODES_END
    own = {"data.drop": _data_drop, "elem.drop": _elem_drop}
    for code, opcode in enumerate(BY_CODE):
        if opcode is None:
            continue
        if opcode.feature not in VALIDATED_FEATURES:
            table[code] = _refuse_feature(opcode.feature)
        elif _SIMPLE[code] is None:
            method = "_" + opcode.name.replace(".", "_").replace(" ", "_")
            table[code] = own.get(opcode.name) or getattr(BodyValidator, method)
    return table


_HANDLERS: Final = _handlers()
