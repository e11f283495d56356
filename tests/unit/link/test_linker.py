"""The linker believes nothing about an object: damage is a `LinkError`, and what is linked passes the code validator."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

import interlock
from interlock import core, limits
from interlock.artifacts import Accepted, ObjectFile
from interlock.codegen import Compiler
from interlock.errors import LimitExceededError, LinkError
from interlock.link import closed_code, link, stub_images
from interlock.target import X86_64_LINUX_V2

# A switch with a jump table, constants, a call of an import.
IR = """
declare void @memory_fill(ptr, ptr, i64, i32, i64)
define double @f(ptr %vmctx, i32 %i, double %x) nounwind {
entry:
  switch i32 %i, label %other [
    i32 0, label %a
    i32 1, label %b
    i32 2, label %c
    i32 3, label %d
    i32 4, label %e
  ]
a:
  call void @memory_fill(ptr %vmctx, ptr %vmctx, i64 1, i32 2, i64 3)
  br label %other
b:
  %vb = fmul double %x, 1.25
  ret double %vb
c:
  %vc = fdiv double 3.5, %x
  ret double %vc
d:
  %vd = call double @llvm.sqrt.f64(double %x)
  ret double %vd
e:
  store volatile i32 5, ptr %vmctx
  br label %other
other:
  ret double 0x400921FB54442D18
}
declare double @llvm.sqrt.f64(double)
"""


def _compile(ir: str) -> ObjectFile:
    compiler = Compiler(X86_64_LINUX_V2)
    try:
        return compiler.compile(ir)
    finally:
        compiler.close()


@pytest.fixture(scope="module")
def obj() -> ObjectFile:
    return _compile(IR)


def test_a_linked_image_passes_the_code_validator(obj: ObjectFile) -> None:
    names = core.gate_names()
    image = link(obj, names)

    assert isinstance(core.validate(image, names), Accepted)
    assert [each.symbol for each in image.relocations] == ["memory_fill"]
    assert [each.count for each in image.jump_tables] == [5]
    assert set(image.entries) == {"f"}


def test_entries_of_a_jump_table_are_code_offsets(obj: ObjectFile) -> None:
    image = link(obj, core.gate_names())
    table = image.jump_tables[0]

    for at in range(table.count):
        place = table.rodata_offset + 4 * at
        value = struct.unpack_from("<i", image.rodata, place)[0]
        target = value + limits.RODATA_DELTA_BYTES + table.rodata_offset
        assert 0 < target < len(image.code)


@pytest.mark.parametrize("name", ["memory_fill", "memory_grow"])
def test_a_symbol_that_is_no_import_is_an_error(obj: ObjectFile, name: str) -> None:
    imports = [each for each in core.gate_names() if each != "memory_fill"]
    assert name in core.gate_names()

    with pytest.raises(LinkError, match="memory_fill: is neither"):
        link(obj, imports)


def test_a_reference_to_data_elsewhere_is_an_error() -> None:
    made = _compile(
        """
@elsewhere = external global i32
define i32 @f() { %v = load i32, ptr @elsewhere ret i32 %v }""".replace(" ret", "\n  ret")
    )

    with pytest.raises(LinkError):
        link(made, core.gate_names())


def test_writable_data_is_an_error() -> None:
    made = _compile("""
@counter = internal global i32 3
define i32 @f() {
  %v = load volatile i32, ptr @counter
  store volatile i32 %v, ptr @counter
  ret i32 %v
}""")

    with pytest.raises(LinkError, match="writable"):
        link(made, core.gate_names())


def test_an_object_without_the_function_is_an_error(obj: ObjectFile) -> None:
    with pytest.raises(LinkError, match="defines no code"):
        link(ObjectFile(target=obj.target, data=obj.data, symbol="g"), core.gate_names())


@pytest.mark.parametrize("data", [b"", b"\x7fELF", b"MZ" + bytes(200), bytes(64)])
def test_what_is_no_object_is_an_error(data: bytes) -> None:
    with pytest.raises(LinkError):
        link(ObjectFile(target=X86_64_LINUX_V2, data=data, symbol="f"), ())


def _link_or_refuse(obj: ObjectFile, data: bytes) -> None:
    names = core.gate_names()
    try:
        image = link(ObjectFile(target=obj.target, data=data, symbol=obj.symbol), names)
        # Whatever it is now, the validator decides without harm.
        core.validate(image, names)
    except (LinkError, LimitExceededError):
        pass


def test_every_truncation_is_refused_or_harmless(obj: ObjectFile) -> None:
    for length in range(0, len(obj.data), 7):
        _link_or_refuse(obj, obj.data[:length])


@given(st.data())
def test_damage_is_refused_or_harmless(obj: ObjectFile, data: st.DataObject) -> None:
    damaged = bytearray(obj.data)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        damaged[at] = data.draw(st.integers(0, 255))

    _link_or_refuse(obj, bytes(damaged))


@pytest.mark.parametrize("value", [0, 1, 0x7F, 0x80, 0xFF])
def test_any_byte_of_the_file_header_may_be_wrong(obj: ObjectFile, value: int) -> None:
    for at in range(64):
        damaged = bytearray(obj.data)
        damaged[at] = value
        _link_or_refuse(obj, bytes(damaged))


def _sections(data: bytes) -> tuple[int, int]:
    """Where the section headers start, and how many there are."""
    return struct.unpack_from("<Q", data, 0x28)[0], struct.unpack_from("<H", data, 0x3C)[0]


def test_sections_that_share_their_bytes_are_refused(obj: ObjectFile) -> None:
    """Thousands of headers over one large section would be that many copies of it."""
    start, count = _sections(obj.data)
    damaged = bytearray(obj.data)
    for index in range(count):
        struct.pack_into("<QQ", damaged, start + 64 * index + 24, 0, len(damaged))

    with pytest.raises(LinkError, match="larger than the file"):
        link(ObjectFile(target=obj.target, data=bytes(damaged), symbol="f"), core.gate_names())


def test_a_long_name_is_refused(obj: ObjectFile) -> None:
    """Thousands of symbols with one long name would be that many copies of it."""
    start, count = _sections(obj.data)
    names = struct.unpack_from("<H", obj.data, 0x3E)[0]
    assert names < count
    damaged = bytearray(obj.data)
    struct.pack_into("<QQ", damaged, start + 64 * names + 24, len(damaged), 5000)
    damaged += b"f" * 4999 + b"\0"

    with pytest.raises(LinkError, match="without an end"):
        link(ObjectFile(target=obj.target, data=bytes(damaged), symbol="f"), core.gate_names())


@given(st.integers(0, 63), st.integers(0, 9), st.integers(0, 2**64 - 1))
def test_section_headers_may_say_anything(
    obj: ObjectFile, section: int, field: int, value: int
) -> None:
    headers, count = _sections(obj.data)
    layout = "<IIQQQQIIQQ"
    at = headers + section % count * 64
    fields = list(struct.unpack_from(layout, obj.data, at))
    fields[field] = value if layout[field + 1] == "Q" else value & 0xFFFFFFFF
    damaged = bytearray(obj.data)
    struct.pack_into(layout, damaged, at, *fields)

    _link_or_refuse(obj, bytes(damaged))


@pytest.mark.parametrize(
    ("imported", "defined"),
    [(0, 1), (3, 2), (0, limits.IMAGE_ENTRIES_MAX), (1, limits.IMAGE_ENTRIES_MAX)],
)
def test_stubs_cover_all_functions_in_images_of_limited_size(imported: int, defined: int) -> None:
    names = core.gate_names()
    images = list(
        stub_images(X86_64_LINUX_V2, range(imported), range(imported, imported + defined))
    )

    assert all(isinstance(core.validate(image, names), Accepted) for image in images)
    entries = [name for image in images for name in image.entries]
    assert sorted(entries) == sorted(f"f{index}" for index in range(imported + defined))
    assert len(images) == -(-(imported + defined) // limits.IMAGE_ENTRIES_MAX)


def test_closed_functions_trap() -> None:
    with interlock.Region(4096) as region:
        code = region.publish(closed_code(region.target), entries={"closed": 0})
        with pytest.raises(interlock.Trap, match="retired"):
            code.function("closed", "void()")()
