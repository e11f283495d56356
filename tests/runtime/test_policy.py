"""The embedder's policy: each field at its limit and one past it, only ever narrower than ours, frozen once the arena is open."""

from __future__ import annotations

import ctypes
import dataclasses
import re
from typing import TYPE_CHECKING

import hypothesis.strategies as st
import pytest
from hypothesis import given

import interlock
from interlock import core, limits
from interlock.artifacts import CodeOffset
from interlock.core import library
from interlock.policy import MAXIMA
from interlock.target import X86_64_LINUX_V2, Arch, System, Target

if TYPE_CHECKING:
    from pathlib import Path

POLICY_RULE = 50
RET = "c3"
IMPORTS = ("first", "second")


def _image(code: str, **fields: object) -> interlock.CodeImage:
    entries = {"f": CodeOffset(0)}
    parts = {"target": X86_64_LINUX_V2, "code": bytes.fromhex(code), "entries": entries} | fields
    return interlock.CodeImage(**parts)  # type: ignore[arg-type]  # tests give the right ones


def _jump_to(index: int) -> interlock.CodeImage:
    relocation = interlock.Relocation(offset=CodeOffset(1), kind=4, symbol=IMPORTS[index])
    return _image("e900000000", relocations=(relocation,))


def _rule(image: interlock.CodeImage, policy: interlock.Policy | None) -> int:
    found = interlock.validate_image(image, imports=IMPORTS, policy=policy)
    return found.rule if isinstance(found, interlock.Rejection) else 0


AARCH64 = Target(arch=Arch.AARCH64, system=System.LINUX, cpu="generic")
RET_A64 = "c0035fd6"


def _branch_a64(index: int) -> interlock.CodeImage:
    relocation = interlock.Relocation(offset=CodeOffset(0), kind=282, symbol=IMPORTS[index])
    return _image("00000014", relocations=(relocation,), target=AARCH64)


TABLE = interlock.JumpTable(rodata_offset=0, count=1, base_offset=0)
# What an image needs of each maximum.
NEEDS = [
    ("image_code_bytes_max", 3, _image("9090" + RET)),
    ("image_rodata_bytes_max", 5, _image(RET, rodata=bytes(5))),
    (
        "image_entries_max",
        2,
        _image(RET + RET, entries={"a": CodeOffset(0), "b": CodeOffset(1)}),
    ),
    ("image_relocations_max", 1, _jump_to(0)),
    ("image_tables_max", 1, _image(RET, rodata=bytes(4), jump_tables=(TABLE,))),
    ("frame_bytes_max", 24, _image("4883ec18" + RET)),  # sub rsp, 24
    ("frame_bytes_max", 24, _image("4883c418" + RET)),  # add rsp, 24
    ("frame_bytes_max", 24, _image("488d6424e8" + RET)),  # lea rsp, [rsp - 24]
    ("image_code_bytes_max", 4, _image(RET_A64, target=AARCH64)),
    ("image_relocations_max", 1, _branch_a64(0)),
    ("frame_bytes_max", 32, _image("ff8300d1" + RET_A64, target=AARCH64)),  # sub sp, sp, #32
    ("frame_bytes_max", 32, _image("ff830091" + RET_A64, target=AARCH64)),  # add sp, sp, #32
    (
        "frame_bytes_max",
        32,
        _image("fd7bbea9" + RET_A64, target=AARCH64),
    ),  # stp x29, x30, [sp, #-32]!
    (
        "frame_bytes_max",
        32,
        _image("fd7bc2a8" + RET_A64, target=AARCH64),
    ),  # ldp x29, x30, [sp], #32
]


@pytest.mark.parametrize(("field", "need", "image"), NEEDS)
def test_each_maximum_at_the_limit_and_one_past(
    field: str, need: int, image: interlock.CodeImage
) -> None:
    assert _rule(image, interlock.Policy(**{field: need})) == 0  # type: ignore[arg-type]
    assert _rule(image, interlock.Policy(**{field: need - 1})) == POLICY_RULE  # type: ignore[arg-type]
    assert _rule(image, interlock.Policy(**{field: 0})) == POLICY_RULE  # type: ignore[arg-type]


@pytest.mark.parametrize("name", MAXIMA)
@pytest.mark.parametrize("past", [-1, 1])
def test_a_value_outside_our_limits_is_no_policy(name: str, past: int) -> None:
    value = -1 if past < 0 else MAXIMA[name] + 1
    with pytest.raises(ValueError, match=f"Policy.{name} is {value}; it must be between 0 and"):
        interlock.Policy(**{name: value})  # type: ignore[arg-type]


# One instruction of each class, with a ret behind it where the flow goes on.
EXAMPLES = {
    "INTEGER": "01d8c3",
    "STACK": "50c3",
    "BRANCH": "c3",
    "INDIRECT": "ffd0c3",
    "STRING": "f3a4c3",
    "ATOMIC": "f0ff00c3",
    "BIT": "f30fb8c3c3",
    "SSE": "0f58c1c3",
    "AVX": "c5f058c2c3",
    "FMA": "c4e2f198c2c3",
    "TRAP": "0f0b",
    "NOP": "90c3",
}
EXAMPLES_A64 = {
    "INTEGER": "0000018b" + RET_A64,  # add x0, x0, x1
    "BRANCH": RET_A64,
    "INDIRECT": "20003fd6" + RET_A64,  # blr x1
    "ATOMIC": "410020b8" + RET_A64,  # ldadd w0, w1, [x2]
    "SIMD": "2028221e" + RET_A64,  # fadd s0, s1, s2
    "TRAP": "a0a02ad4",  # brk
    "NOP": "1f2003d5" + RET_A64,
}
CLASSES = [(name, _image(code)) for name, code in EXAMPLES.items()]
CLASSES += [(name, _image(code, target=AARCH64)) for name, code in EXAMPLES_A64.items()]


@pytest.mark.parametrize(("name", "image"), CLASSES)
def test_a_refused_class_is_refused(name: str, image: interlock.CodeImage) -> None:
    refused = frozenset({interlock.InstructionClass[name]})

    assert _rule(image, interlock.Policy()) == 0
    assert _rule(image, interlock.Policy(refused_classes=refused)) == POLICY_RULE


def test_each_class_has_an_example() -> None:
    assert {name for name, _ in CLASSES} == {each.name for each in interlock.InstructionClass}


def test_classes_are_the_headers(repository: Path) -> None:
    header = (repository / "core/include/interlock.h").read_text(encoding="utf-8")
    found = re.findall(r"^    IL_CLASS_(\w+) = 1 << (\d+),", header, re.MULTILINE)

    assert {name: 1 << int(bit) for name, bit in found} == {
        each.name: each.value for each in interlock.InstructionClass
    }


def test_a_refused_import_is_refused_and_the_others_are_not() -> None:
    policy = interlock.Policy(refused_imports=frozenset({"second"}))

    assert (_rule(_jump_to(0), policy), _rule(_jump_to(1), policy)) == (0, POLICY_RULE)
    assert (_rule(_branch_a64(0), policy), _rule(_branch_a64(1), policy)) == (0, POLICY_RULE)


def test_the_last_import_of_a_full_table_can_be_refused() -> None:
    names = tuple(f"import{index}" for index in range(limits.ARENA_IMPORTS_MAX))
    relocation = interlock.Relocation(offset=CodeOffset(1), kind=4, symbol=names[-1])
    image = _image("e900000000", relocations=(relocation,))
    policy = interlock.Policy(refused_imports=frozenset(names[-1:]))

    assert isinstance(interlock.validate_image(image, imports=names), interlock.Accepted)
    found = interlock.validate_image(image, imports=names, policy=policy)

    assert isinstance(found, interlock.Rejection)
    assert (found.rule, found.detail) == (POLICY_RULE, "the policy refuses this import")


def test_refusing_what_does_not_exist_is_an_error() -> None:
    with pytest.raises(ValueError, match="no InstructionClass"):
        interlock.Policy(refused_classes=frozenset({"avx"}))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="refuses imports which do not exist: nobody"):
        interlock.Region(4096, policy=interlock.Policy(refused_imports=frozenset({"nobody"})))


INSTRUCTIONS = [*(code.removesuffix(RET) for code in EXAMPLES.values()), "4883ec18", "4883c420"]
INSTRUCTIONS += ["0f05", "ebfe", "7500", "488d6424e8"]  # a system call among them
POLICIES = st.builds(
    interlock.Policy,
    refused_classes=st.frozensets(st.sampled_from(interlock.InstructionClass), max_size=3),
    refused_imports=st.frozensets(st.sampled_from(IMPORTS)),
    **{
        name: st.one_of(st.just(ours), st.integers(0, 40), st.integers(0, ours))
        for name, ours in MAXIMA.items()
    },
)
IMAGES = st.builds(
    lambda codes, rodata, index: _image(
        "".join(codes) + ("e900000000" if index is not None else RET),
        rodata=rodata,
        relocations=()
        if index is None
        else (
            interlock.Relocation(
                offset=CodeOffset(len(bytes.fromhex("".join(codes))) + 1),
                kind=4,
                symbol=IMPORTS[index],
            ),
        ),
    ),
    st.lists(st.sampled_from(INSTRUCTIONS), max_size=4),
    st.binary(max_size=8),
    st.sampled_from((None, 0, 1)),
)


def test_a_policy_only_narrows() -> None:
    seen = set()

    @given(IMAGES, POLICIES)
    def check(image: interlock.CodeImage, policy: interlock.Policy) -> None:
        ours, theirs = _rule(image, None), _rule(image, policy)
        seen.add((ours, theirs))
        assert ours == 0 or theirs != 0
        assert _rule(image, interlock.Policy()) == ours

    check()
    assert {(0, 0), (0, POLICY_RULE)} <= seen
    assert any(ours for ours, _ in seen)


# ---- In the writer


def test_the_writer_refuses_what_the_policy_refuses_and_writes_nothing() -> None:
    policy = interlock.Policy(frame_bytes_max=16)
    with interlock.Region(4096, policy=policy) as region:
        region.publish(bytes.fromhex("4883ec10 4883c410 c3"), entries={"f": 0})
        before = core.describe_region().code_bytes_used

        with pytest.raises(interlock.CodeRejectedError) as caught:
            region.publish(bytes.fromhex("4883ec18 4883c418 c3"), entries={"f": 0})

        assert core.describe_region().code_bytes_used == before
    assert caught.value.rejection.rule_id == "V050"


def test_an_engine_obeys_its_policy() -> None:
    policy = interlock.Policy(refused_imports=frozenset({"memory_grow"}))
    with interlock.Engine(interlock.Config(policy=policy)) as engine:
        instance = engine.instantiate(
            engine.compile_wat("""(module (memory 1)
                (func (export "size") (result i32) (memory.size))
                (func (export "grow") (result i32) (memory.grow (i32.const 1))))""")
        )

        assert instance.exports.size() == 1
        with pytest.raises(interlock.CodeRejectedError, match=r"V050.*refuses this import"):
            instance.exports.grow()


def _open_arena(policy: library.Policy) -> tuple[int, int]:
    handle = ctypes.c_uint64()
    status = library.CORE.il_arena_open(None, 0, ctypes.byref(policy), 4096, ctypes.byref(handle))
    return status, handle.value


def _permitted() -> library.Policy:
    return library.Policy(**MAXIMA)


@pytest.mark.parametrize("name", MAXIMA)
def test_the_writer_opens_no_arena_with_a_wider_policy(name: str) -> None:
    core.open_region()
    policy = _permitted()
    setattr(policy, name, MAXIMA[name] + 1)

    assert _open_arena(policy) == (library.INVALID_ARGUMENT, 0)

    setattr(policy, name, MAXIMA[name])
    status, arena = _open_arena(policy)
    assert status == library.OK
    assert library.CORE.il_arena_close(arena) == library.OK


@pytest.mark.parametrize(
    "bit", [max(each.value for each in interlock.InstructionClass) << 1, 1 << 31]
)
def test_the_writer_opens_no_arena_for_an_unknown_class(bit: int) -> None:
    core.open_region()
    policy = _permitted()
    policy.refused_classes = bit

    assert _open_arena(policy) == (library.INVALID_ARGUMENT, 0)


@pytest.mark.parametrize("index", [0, 31, 32, 255])
def test_the_writer_opens_no_arena_that_refuses_an_import_it_does_not_have(index: int) -> None:
    core.open_region()
    policy = _permitted()
    policy.refused_imports[index // 32] = 1 << index % 32

    assert _open_arena(policy) == (library.INVALID_ARGUMENT, 0)


def test_the_application_cannot_change_the_policy_of_an_open_arena() -> None:
    """The writer has a copy: what the application does to its own afterwards changes nothing."""
    core.open_region()
    policy = _permitted()
    policy.image_code_bytes_max = 0
    status, handle = _open_arena(policy)
    assert status == library.OK
    arena = core.Arena({}, code_bytes_max=4096)
    (process, own), *_ = arena._handles.items()
    arena._handles[process] = handle

    policy.image_code_bytes_max = limits.IMAGE_CODE_BYTES_MAX
    assert _open_arena(_permitted())[1] not in {0, handle}
    with pytest.raises(
        interlock.CodeRejectedError, match=r"V050.*more code than the policy permits"
    ):
        arena.publish(_image(RET))

    arena._handles[process] = own
    assert library.CORE.il_arena_close(handle) == library.OK


def test_a_policy_is_frozen_data() -> None:
    policy = interlock.Policy()

    with pytest.raises(dataclasses.FrozenInstanceError):
        policy.frame_bytes_max = 0  # type: ignore[misc]
    assert tuple(MAXIMA) == library.POLICY_MAXIMA
    assert hash(policy) == hash(interlock.Policy())
