"""Values at the border between Python and published code."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, Any

import pytest

import interlock
from interlock import bytecode
from interlock.bytecode import Body, Function, FuncType, Module, ValType, code_of
from tests.core import core_library as lib

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[..., Any]

IDENTITIES = "(module {} )".format(
    " ".join(
        f'(func (export "{kind}") (param {kind}) (result {kind}) (local.get 0))'
        for kind in ("i32", "i64", "f32", "f64")
    )
)
KINDS = tuple(ValType[name] for name in ("I32", "I64", "F32", "F64"))


def pass_through(count: int, *, by_host: bool) -> bytes:
    """`f` returns its parameters, of all number types in turn; or what the imported `h` makes of them."""
    kinds = tuple(KINDS[at % 4] for at in range(count))
    gets = [(code_of("local.get"), at) for at in range(count)]
    call = [(code_of("call"), 0)] if by_host else []
    codes, immediates = zip(*gets, *call, (code_of("end"), None), strict=True)
    body = Body(codes=codes, immediates=immediates, offsets=(0,) * len(codes))
    imported = bytecode.Import(module="host", name="h", kind=bytecode.ExternKind.FUNC, desc=0)
    return bytecode.encode(
        Module(
            types=(FuncType(kinds, kinds),),
            imports=(imported,) if by_host else (),
            functions=(Function(type_index=0, local_runs=(), body=body),),
            exports=(bytecode.Export(name="f", kind=bytecode.ExternKind.FUNC, index=int(by_host)),),
        )
    )


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("i32", 2**31 - 1, 2**31 - 1),
        ("i32", -(2**31), -(2**31)),
        ("i32", 2**32 - 1, -1),
        ("i32", True, 1),
        ("i64", 2**63 - 1, 2**63 - 1),
        ("i64", -(2**63), -(2**63)),
        ("i64", 2**64 - 1, -1),
        ("f32", 0.1, struct.unpack("f", struct.pack("f", 0.1))[0]),
        ("f32", 1e39, math.inf),
        ("f64", 5e-324, 5e-324),
        ("f64", 3, 3.0),
    ],
)
def test_values_that_fit_arrive(make: Make, kind: str, value: float, expected: float) -> None:
    result = make(IDENTITIES).exports[kind](value)

    assert (result, type(result)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("kind", "value", "error"),
    [
        ("i32", 2**32, OverflowError),
        ("i32", -(2**31) - 1, OverflowError),
        ("i64", 2**64, OverflowError),
        ("i64", -(2**63) - 1, OverflowError),
        ("i64", 10**30, OverflowError),
        ("i32", 1.5, TypeError),
        ("i32", "1", TypeError),
        ("i64", None, TypeError),
        ("f64", "1", TypeError),
        ("f32", 10**400, OverflowError),
    ],
)
def test_values_that_do_not_fit_are_refused(
    make: Make, kind: str, value: object, error: type[Exception]
) -> None:
    with pytest.raises(error):
        make(IDENTITIES).exports[kind](value)


def test_nan_and_signs_of_zero_pass(make: Make) -> None:
    exports = make(IDENTITIES).exports

    assert math.isnan(exports.f64(math.nan))
    assert math.isnan(exports.f32(math.nan))
    assert math.copysign(1, exports.f64(-0.0)) == -1
    assert math.copysign(1, exports.f32(-0.0)) == -1


@pytest.mark.parametrize("count", [0, 2, 7])
def test_a_wrong_number_of_arguments_says_both_numbers(make: Make, count: int) -> None:
    with pytest.raises(TypeError, match=rf"i32 takes 1 argument, not {count}"):
        make(IDENTITIES).exports.i32(*range(count))
    with pytest.raises(TypeError, match="keyword"):
        make(IDENTITIES).exports.i32(a=1)


@pytest.mark.parametrize("by_host", [False, True])
@pytest.mark.parametrize("count", [2, 5, 6, 7, 8, 9, 40, 1000])
def test_any_number_of_values_passes_both_ways(
    engine: interlock.Engine, count: int, *, by_host: bool
) -> None:
    values = tuple(at * 3 - 7 if at % 4 < 2 else at + 0.5 for at in range(count))
    seen = []

    def host(*args: float) -> tuple[float, ...]:
        seen.append(args)
        return args

    module = engine.compile_wasm(pass_through(count, by_host=by_host))
    instance: Any = engine.instantiate(module, {"host": {"h": host}})

    assert instance.exports.f(*values) == values
    assert seen == ([values] if by_host else [])


HOST = """
(module (import "host" "h" (func $h (param i32) (result {0}))) (export "direct" (func $h))
  (func (export "f") (param i32) (result {0}) (call $h (local.get 0))))
"""


@pytest.mark.parametrize(
    ("results", "returned", "error"),
    [
        ("i32", None, TypeError),
        ("i32", "7", TypeError),
        ("i32", 2**32, OverflowError),
        ("i32 i64", 7, TypeError),
        ("i32 i64", (7,), TypeError),
        ("i32 i64", (7, 8, 9), TypeError),
        ("i32 i64", [7, 8], TypeError),
        ("i32 i64", (7, "8"), TypeError),
        ("", 7, TypeError),
    ],
)
@pytest.mark.parametrize("export", ["f", "direct"])
def test_what_a_host_function_must_not_return(
    make: Make, results: str, returned: object, error: type[Exception], export: str
) -> None:
    instance = make(HOST.format(results), host={"h": lambda _: returned})

    with pytest.raises(error):
        instance.exports[export](1)


def test_an_imported_function_can_be_exported_and_called(make: Make) -> None:
    instance = make(HOST.format("i32 i64"), host={"h": lambda number: (number, -number)})

    assert instance.exports.direct(5) == (5, -5)
    assert instance.exports.f(5) == (5, -5)


def test_exports_are_builtins_with_name_and_signature(make: Make) -> None:
    function = make(IDENTITIES).exports.i32

    assert type(function) is type(len)
    assert function.__name__ == "i32"
    assert function.__doc__ == "i32(i32) -> i32"


def test_names_may_hold_anything_that_is_unicode(make: Make) -> None:
    instance = make('(module (func (export "a\\00b \\e2\\82\\ac") (result i32) (i32.const 4)))')

    function = instance.exports["a\0b €"]

    assert function() == 4
    assert function.__name__ == "a\\0b €"


def test_references_at_the_border_are_unsupported_and_say_so(make: Make) -> None:
    instance = make('(module (func (export "f") (param funcref)) (func (export "g")))')

    instance.exports.g()
    with pytest.raises(interlock.UnsupportedError, match="references at the border to Python"):
        _ = instance.exports.f
    with pytest.raises(interlock.UnsupportedError, match=r"host\.h"):
        make('(module (import "host" "h" (func (param externref))))', host={"h": print})


def test_native_functions_take_the_platforms_arguments() -> None:
    # addsd xmm0, xmm1 or fadd d0, d0, d1   and   lea eax, [rdi + rsi] or add w0, w0, w1
    code = lib.LANDING + lib.code(x86_64="f20f58c1", aarch64="1e612800") + lib.RETURN
    add_offset = len(code)
    code += lib.LANDING + lib.code(x86_64="8d0437", aarch64="0b010000") + lib.RETURN
    with interlock.Region(4096) as region:
        published = region.publish(code, entries={"add": add_offset, "sum": 0})
        total: Any = published.function("sum", "f64(f64, f64)")
        add: Any = published.function("add", "i32(i32, i32)")

        assert total(0.5, 2) == 2.5
        assert add(2**31 - 1, 1) == -(2**31)
    with pytest.raises(interlock.ClosedError):
        add(1, 2)


@pytest.mark.parametrize("signature", ["", "i32", "i32(", "i8(i32)", "i32(i32 i32)", "i32(void)"])
def test_signatures_that_are_none_are_refused(signature: str) -> None:
    with interlock.Region(4096) as region:
        published = region.publish(lib.LANDING + lib.RETURN, entries={"f": 0})
        with pytest.raises(ValueError, match="signature"):
            published.function("f", signature)
