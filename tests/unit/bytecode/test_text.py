"""The text format: syntax errors by line and column, abbreviations, numbers, printing; wasmtime reads the same."""

from __future__ import annotations

import pytest

from interlock import limits
from interlock.bytecode import Module, decode, encode, parse_wat, to_wat, validate
from interlock.errors import LimitExceededError, UnsupportedError, WasmMalformedError
from tests.unit.bytecode import oracle

MALFORMED = {
    "unclosed module": ("(module", "expected `(`", 7),
    "behind the module": ("(module) (module)", "expected the end of the text", 9),
    "unclosed string": ('(module (data "a))', "unclosed string", 14),
    "escape": (r'(module (data "\q"))', "unclosed string", 14),
    "newline in a string": ('(module (data "a\nb"))', "unclosed string", 14),
    "unclosed comment": ("(module) (; (; ;)", "unclosed comment", 9),
    "unclosed annotation": ("(module (@a (b)", "unclosed annotation", 8),
    "annotation without id": ("(module (@ a))", "empty annotation id", 8),
    "character": ("(module ,)", "illegal character ','", 8),
    "space missing": ('(module (data "a""b"))', "a space is missing", 17),
    "field": ("(module (function))", "expected a module field", 9),
    "no list": ("(module func)", "expected `(`", 8),
    "operator": ("(module (func i32.foo))", "unknown operator i32.foo", 14),
    "operator of our table only": ("(module (func select t))", "unknown operator t", 21),
    "identifier": ("(module (func $))", "empty identifier", 14),
    "quoted identifier": ('(module (func $""))', "empty identifier", 14),
    "duplicate function": ("(module (func $f) (func $f))", "duplicate func $f", 24),
    "duplicate local": ("(module (func (param $x i32) (local $x i32)))", "duplicate local $x", 36),
    "duplicate parameter": ("(module (func (param $x i32) (param $x i32)))", "duplicate local $x", 36),
    "unknown function": ("(module (func call $g))", "unknown function $g", 19),
    "unknown local": ("(module (func local.get $g))", "unknown local $g", 24),
    "unknown global": ("(module (func global.get $g))", "unknown global $g", 25),
    "unknown type": ("(module (func (type $g)))", "unknown type $g", 20),
    "unknown table": ("(module (func table.get $g))", "unknown table $g", 24),
    "unknown memory": ("(module (func memory.grow $g))", "unknown memory $g", 26),
    "unknown data segment": ("(module (func data.drop $g))", "unknown data segment $g", 24),
    "unknown elem segment": ("(module (func elem.drop $g))", "unknown elem segment $g", 24),
    "unknown label": ("(module (func (block $a) br $a))", "unknown label $a", 28),
    "mismatching label": ("(module (func block $a end $b))", "mismatching label", 27),
    "mismatching label of else": ("(module (func if $a else $b end))", "mismatching label", 25),
    "inline type": ("(module (type (func)) (func (type 0) (param i32)))", "inline function type", 28),
    "type of a number out of reach": ("(module (func (type 3) (param i32)))", "unknown type 3", 14),
    "named parameter of a block": ("(module (func (block (param $x i32))))", "have no names here", 21),
    "named parameter of a call": (
        "(module (table 0 funcref) (func (call_indirect (param $x i32))))",
        "have no names here",
        47,
    ),
    "import behind a function": ('(module (func) (import "" "" (func)))', "import after function", 23),
    "inline import behind a memory": (
        '(module (memory 1) (func (import "" "")))',
        "import after memory",
        25,
    ),
    "two starts": ("(module (func $f) (start $f) (start $f))", "multiple start sections", 36),
    "i32 too large": ("(module (func i32.const 0x100000000 drop))", "constant out of range", 24),
    "i32 too small": ("(module (func i32.const -0x80000001 drop))", "constant out of range", 24),
    "i64 with very many digits": (f"(module (func i64.const {'9' * 5000} drop))", "constant out of range", 24),
    "f32 too large": ("(module (func f32.const 0x1p128 drop))", "constant out of range", 24),
    "f32 too large in decimal": ("(module (func f32.const 3.5e38 drop))", "constant out of range", 24),
    "f64 too large": ("(module (func f64.const 1e309 drop))", "constant out of range", 24),
    "huge exponent": ("(module (func f64.const 0x1p99999999999999999999 drop))", "constant out of range", 24),
    "nan payload 0": ("(module (func f32.const nan:0x0 drop))", "constant out of range", 24),
    "nan payload too large": ("(module (func f32.const nan:0x800000 drop))", "constant out of range", 24),
    "nan word": ("(module (func f32.const nan:canonical drop))", "not a number", 24),
    "integer": ("(module (func i32.const 1.0 drop))", "not a number", 24),
    "underscore": ("(module (func i32.const 1__0 drop))", "not a number", 24),
    "float": ("(module (func f32.const .5 drop))", "not a number", 24),
    "index": ("(module (func local.get -1))", "expected an index", 24),
    "large index": ("(module (func local.get 0x100000000))", "expected an index", 24),
    "alignment": ("(module (memory 1) (func i32.const 0 i32.load align=3 drop))", "power of 2", 46),
    "alignment 0": ("(module (memory 1) (func i32.const 0 i32.load align=0 drop))", "power of 2", 46),
    "offset": ("(module (memory 1) (func i32.const 0 i32.load offset=-1 drop))", "not a number", 46),
    "order of memarg": (
        "(module (memory 1) (func i32.const 0 i32.load align=1 offset=0 drop))",
        "unknown operator offset=0",
        54,
    ),
    "size": ("(module (memory 0x100000000))", "constant out of range", 16),
    "name": (r'(module (import "\ff" "" (func)))', "malformed UTF-8 encoding", 16),
    "surrogate": (r'(module (data "\u{d800}"))', "malformed Unicode escape", 14),
    "end without block": ("(module (func end))", "expected an instruction", 14),
    "else without if": ("(module (func block else end))", "expected an instruction", 20),
    "second else": ("(module (func if else else end))", "expected an instruction", 22),
    "block without end": ("(module (func block))", "expected `end`", 19),
    "folded if without then": ("(module (func (if (i32.const 0))))", "expected `(then`", 31),
    "folded if with more": ("(module (func (if (i32.const 0) (then) (nop))))", "expected `)`", 39),
    "then alone": ("(module (func (then)))", "expected an instruction", 15),
    "plain instruction in a folded one": ("(module (func (drop nop)))", "expected `(` or `)`", 20),
    "text in a body": ('(module (func "x"))', "expected an instruction", 14),
    "locals behind instructions": ("(module (func nop (local i32)))", "unknown operator local", 19),
    "results before parameters": ("(module (func (result i32) (param i32)))", "unknown operator param", 28),
    "type": ("(module (func (param i33)))", "expected a type", 21),
    "export of nothing": ('(module (export "x"))', "expected `(`", 19),
    "export kind": ('(module (export "x" (thing 0)))', "expected func, table", 21),
    "import kind": ('(module (import "" "" (thing)))', "expected func, table", 23),
    "heap type": ("(module (func ref.null funcref))", "expected a heap type", 23),
    "old elem without offset": ("(module (table 1 funcref) (func) (elem 0 func 0))", "in parentheses", 41),
}  # fmt: skip

# Wasmtime reads these all the same, against the standard's grammar.
_LENIENT = {"plain instruction in a folded one", "space missing", "two starts"}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed(name: str) -> None:
    text, message, offset = MALFORMED[name]
    with pytest.raises(WasmMalformedError) as caught:
        parse_wat("\n\n" + text, file="x.wat")
    span = caught.value.span
    assert message in caught.value.message
    assert span is not None
    newlines = text.count("\n", 0, offset)
    assert (span.start, span.line, span.column) == (offset + 2, 3 + newlines, offset)
    assert str(span) == f"x.wat:{3 + newlines}:{offset + 1}"
    if name not in _LENIENT:
        assert not oracle.accepts_text(text)


UNSUPPORTED = {
    "(type (struct))": "garbage collection",
    "(rec (type (func)))": "garbage collection",
    "(func (param anyref))": "garbage collection",
    "(func ref.null any drop)": "garbage collection",
    "(func (param (ref func)))": "typed function references",
    "(type $t (func)) (func ref.null $t drop)": "typed function references",
    "(table 1 funcref (ref.null func))": "typed function references",
    "(tag)": "exception handling",
    '(import "" "" (tag))': "exception handling",
    '(tag $t) (export "t" (tag $t))': "exception handling",
    "(func (param exnref))": "exception handling",
    "(memory 1 1 shared)": "threads",
    "(table i64 1 funcref)": "memory64",
    "(func unreachable return_call 0)": "tail calls",
    "(func (drop (v128.const i64x2 0 0)))": "SIMD",
}


@pytest.mark.parametrize("fields", UNSUPPORTED)
def test_parts_of_3_0_that_this_version_lacks_are_named(fields: str) -> None:
    with pytest.raises(UnsupportedError) as caught:
        parse_wat(f"(module {fields})")

    assert caught.value.feature == UNSUPPORTED[fields]
    assert caught.value.span is not None
    assert caught.value.span.line == 1
    assert oracle.wat2wasm(f"(module {fields})")


SAME = {
    "abbreviated fields": (
        '(module $name (func $f (export "a") (export "b") (param $x i32) (result i32) local.get $x)'
        ' (table $t (export "t") 1 2 funcref) (memory $m (export "m") 1) (global $g (export "g") (mut i32) i32.const 1))'
    ),
    "inline imports": (
        '(module (func $f (import "a" "b") (param i32)) (table (import "a" "c") 1 externref)'
        ' (memory (import "a" "d") 1 2) (global (import "a" "e") (mut i64)) (func (call $f (i32.const 1))))'
    ),
    "table of functions": "(module (func $f) (table funcref (elem $f 0 $f)) (table 0 funcref))",
    "table of expressions": "(module (func $f) (table $t funcref (elem (ref.func $f) (item ref.null func))))",
    "memory with data": r'(module (memory (data "a" "\n\t\\\"\'\00\u{20AC}")))',
    "empty memory with data": "(module (memory (data)))",
    "without module": '(func (export "f"))',
    "folded": (
        "(module (func (param i32) (result i32) (if (result i32) (local.get 0)"
        " (then (i32.add (i32.const 1) (i32.const 2))) (else (block $a (result i32) (br $a (i32.const 3)))))))"
    ),
    "folded if without else, condition in steps": (
        "(module (func (param i32) (if (local.get 0) (i32.const 1) (i32.add) (then))))"
    ),
    "folded if in a condition": (
        "(module (func (if $x (if (result i32) (i32.const 1) (then (i32.const 1)) (else (i32.const 0))) (then (br $x)))))"
    ),
    "unfolded with labels": "(module (func block $a loop $b i32.const 0 if $c i32.const 1 br_if $b else $c end $c end $b end $a))",
    "shadowed label": "(module (func (block $a (block $a (br $a)) (br $a))))",
    "block types": (
        "(module (type $t (func (param i32) (result i32))) (func (i32.const 0) (block (type $t))"
        " (block (param i32) (result i32)) (block (type $t) (param i32) (result i32)) (block (param i32) (drop))))"
    ),
    "types are shared": (
        "(module (func (param i32)) (type (func)) (type (func (param i32))) (type (func (param i32))) (func (param i64)))"
    ),
    "call_indirect": (
        "(module (table $a 1 funcref) (table $b 1 funcref) (type $t (func)) (func"
        " (call_indirect (i32.const 0)) (call_indirect $b (type $t) (i32.const 0))"
        " (call_indirect 1 (param i64) (result f32) (i64.const 0) (i32.const 0)) drop))"
    ),
    "bulk": (
        '(module (memory 1) (table $a 1 funcref) (table $b 1 funcref) (data $d "x") (elem $e func)'
        " (func (memory.init $d (i32.const 0) (i32.const 0) (i32.const 0)) (memory.copy (i32.const 0) (i32.const 0) (i32.const 0))"
        " (table.init $e (i32.const 0) (i32.const 0) (i32.const 0)) (table.init $b $e (i32.const 0) (i32.const 0) (i32.const 0))"
        " (table.copy (i32.const 0) (i32.const 0) (i32.const 0)) (table.copy $a $b (i32.const 0) (i32.const 0) (i32.const 0))"
        " data.drop $d elem.drop $e))"
    ),
    "references": (
        "(module (table $t 1 externref) (func (param (ref null extern)) (result (ref null func))"
        " (table.set $t (i32.const 0) (local.get 0)) (table.set (i32.const 0) (local.get 0)) (ref.null func)))"
    ),
    "select": "(module (func (drop (select (i32.const 1) (i32.const 1) (i32.const 1))) (drop (select (result i64) (i64.const 1) (i64.const 1) (i32.const 1)))))",
    "memargs": (
        "(module (memory 1) (func (param i32) (drop (i32.load8_u offset=0xff_ff align=1 (local.get 0)))"
        " (drop (f64.load align=4 (local.get 0))) (i64.store32 offset=5 (local.get 0) (i64.const 1))))"
    ),
    "integers": "(module (func (drop (i32.const 0xffff_ffff)) (drop (i32.const -0x8000_0000)) (drop (i32.const +7)) (drop (i64.const 18446744073709551615)) (drop (i64.const -9_223_372_036_854_775_808))))",
    "segments": (
        "(module (table $t 9 funcref) (table $x 9 externref) (memory $m 1) (func $f) (elem $a (i32.const 0) $f $f)"
        " (elem (offset i32.const 1) func $f) (elem (table $t) (i32.const 2) func $f) (elem (table $x) (offset (i32.const 0)) externref (ref.null extern))"
        ' (elem declare func $f) (elem func) (elem externref) (elem $p funcref (item ref.func $f) (ref.null func)) (data $d (memory $m) (i32.const 0) "x" "y")'
        ' (data (offset (i32.const 1))) (data "p"))'
    ),
    "old segments": '(module (table 1 funcref) (memory 1) (func) (elem 0 (i32.const 0) 0) (data 0 (i32.const 0) "x"))',
    "names": '(module $"a b" (func $"f g" (local $"x y" i32) (local.set $"x y" (i32.const 1)) (call $"f g")))',
    "comments and annotations": '(module ;; line\n(; a (; b ;) " ;) (@custom "x" (;)) ;) "y") (func(;x;)nop(;y;)))',
    "start": "(module (func $f) (start $f))",
    "export fields": '(module (func) (memory 1) (table 1 funcref) (global i32 (i32.const 1)) (export "" (func 0)) (export "m" (memory 0)) (export "t" (table 0)) (export "\\u{1F600}" (global 0)))',
    "limits": "(module (memory i32 1 2) (table i32 0x10 0xffffffff funcref))",
}  # fmt: skip


@pytest.mark.parametrize("name", SAME)
def test_text_means_what_wasmtime_reads(name: str) -> None:
    theirs = decode(oracle.wat2wasm(SAME[name]))

    ours = parse_wat(SAME[name])

    assert oracle.without_customs(ours) == oracle.without_customs(theirs)
    assert (ours.name, ours.function_names) == (theirs.name, theirs.function_names)
    assert ours.local_names == theirs.local_names
    assert oracle.is_valid(encode(ours))
    validate(ours)


@pytest.mark.parametrize("name", [*SAME, *oracle.SEED_NAMES])
def test_printing_and_parsing_gives_the_module_again(name: str) -> None:
    module = parse_wat(SAME[name] if name in SAME else oracle.seed(name))

    text = to_wat(module)

    again = parse_wat(text)
    assert again == module
    assert encode(again) == encode(module)
    theirs = decode(oracle.wat2wasm(text))
    assert oracle.without_customs(theirs) == oracle.without_customs(module)
    assert to_wat(again) == text


def test_names_that_are_no_identifiers_or_occur_twice_are_printed_so_that_text_stays_readable() -> (
    None
):
    module = Module(
        types=parse_wat("(func)").types,
        functions=parse_wat("(func) (func) (func)").functions,
        function_names={0: "f", 1: "f", 2: "a\nb", 7: "none"},
    )

    text = to_wat(module)

    assert parse_wat(text).function_names == {0: "f", 2: "a\nb"}
    assert decode(oracle.wat2wasm(text)).function_names == {0: "f", 2: "a\nb"}


def test_custom_sections_are_named_in_a_comment() -> None:
    data = b"\0asm\1\0\0\0" + b"\0\x05\3abc\1"

    assert ';; custom section "abc": 1 bytes' in to_wat(decode(data))


# -- limits ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["(block {})", "block {} end", "(if (i32.const 1) (then {}))"])
def test_nesting_limit(shape: str) -> None:
    before, after = shape.split("{}")
    depth = limits.WASM_NESTING_MAX

    parse_wat(f"(module (func {before * depth} nop {after * depth}))")

    with pytest.raises(LimitExceededError) as caught:
        parse_wat(f"(module (func {before * (depth + 1)} nop {after * (depth + 1)}))")
    assert (caught.value.limit, caught.value.value) == ("WASM_NESTING_MAX", depth + 1)


def test_folded_instructions_nest_without_recursion() -> None:
    depth = 100_000
    module = parse_wat(f"(module (func (drop {'(i32.eqz ' * depth}(i32.const 0){')' * depth})))")

    assert len(module.functions[0].body) == depth + 3


def test_deep_comments_and_annotations_need_no_recursion() -> None:
    depth = 100_000

    assert (
        parse_wat(f"{'(;' * depth}{';)' * depth}(module (@a{'(' * depth}{')' * depth}))")
        == Module()
    )


def test_printing_deep_nesting_stays_linear() -> None:
    depth = limits.WASM_NESTING_MAX
    module = parse_wat(f"(module (func {'block ' * depth}{'end ' * depth}))")

    assert len(to_wat(module)) < 200 * depth


LISTS = {
    "WASM_LOCALS_MAX": ("(module (func (local {})))", "i32 "),
    "WASM_PARAMS_MAX": ("(module (func (param {})))", "i32 "),
    "WASM_RESULTS_MAX": ("(module (type (func (result {}))))", "i32 "),
    "WASM_BR_TABLE_TARGETS_MAX": ("(module (func i32.const 0 br_table 0 {}))", "0 "),
    "WASM_MEMORIES_MAX": ("(module {})", "(memory 1)"),
}
SCALED = {
    "WASM_TYPES_MAX": ("(module {})", "(type (func))"),
    "WASM_IMPORTS_MAX": ("(module {})", '(import "" "" (memory 1))'),
    "WASM_FUNCTIONS_MAX": ("(module {})", "(func)"),
    "WASM_TABLES_MAX": ("(module {})", "(table 0 funcref)"),
    "WASM_GLOBALS_MAX": ("(module {})", "(global i32 i32.const 0)"),
    "WASM_EXPORTS_MAX": ("(module (func {}))", '(export "")'),
    "WASM_ELEM_SEGMENTS_MAX": ("(module {})", "(elem func)"),
    "WASM_DATA_SEGMENTS_MAX": ("(module {})", "(data)"),
    "WASM_TABLE_ELEMENTS_MAX": ("(module (func) (elem func {}))", "0 "),
}


@pytest.mark.parametrize("name", [*LISTS, *SCALED])
def test_limit_and_one_past_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name in SCALED:  # at their real size these take seconds
        monkeypatch.setattr(limits, name, 20)
    shape, word = LISTS[name] if name in LISTS else SCALED[name]
    maximum = getattr(limits, name)

    parse_wat(shape.format(word * maximum))

    with pytest.raises(LimitExceededError) as caught:
        parse_wat(shape.format(word * (maximum + 1)))
    assert (caught.value.limit, caught.value.value) == (name, maximum + 1)
    assert caught.value.span is not None
