"""The probe for macOS as the linker made it: the lists of its images stand where a Mac looks for them, or wrong as meant."""

from __future__ import annotations

import plistlib
from typing import TYPE_CHECKING

import pytest

from apple.probe import build, cases, signing
from interlock.contract import parse_scenarios

if TYPE_CHECKING:
    from pathlib import Path

    from interlock.contract.scenario import ImageText

lief = pytest.importorskip("lief", reason="needs lief")
pytest.importorskip("ziglang", reason="needs ziglang, zig's C compiler from PyPI")
lief.logging.disable()

ARCHS = ("aarch64", "x86_64")
LIST = ("__DATA_CONST", "__pth_jit_func")
WORD = 8
_API = {
    "_pthread_jit_write_protect_np",
    "_pthread_jit_write_protect_supported_np",
    "_pthread_jit_write_with_callback_np",
    "_pthread_jit_write_freeze_callbacks_np",
    "_sys_icache_invalidate",
}
_SYSTEM_LIBRARY = "/usr/lib/libSystem.B.dylib"


def _images(text: str) -> tuple[ImageText, ...]:
    (scenario,) = parse_scenarios(f"scenario a\nabout A.\nrules C8\n{text}\nalive\n")
    return scenario.images


@pytest.fixture(scope="module", params=ARCHS)
def builder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> object:
    folder = tmp_path_factory.mktemp(f"probe-{request.param}")
    return build.Builder(folder, build.macos(request.param))


def _some_cases() -> list[cases.Case]:
    scenario = build.scenarios()[0]
    (profile, *_) = scenario.profiles()
    return [cases.Case(scenario=scenario, profile=profile, program="driver", refusal="")]


_files: list[object] = []  # what LIEF hands out lives as long as its file


def _parsed(path: Path) -> object:
    file = lief.MachO.parse(str(path))
    _files.append(file)
    return file.at(0)


def _section(path: Path, segment: str, name: str) -> object | None:
    return _parsed(path).get_section(segment, name)


def test_driver_calls_apples_functions_of_the_system_alone(builder: build.Builder) -> None:
    driver = _parsed(builder.executable())

    imported = {each.name for each in driver.imported_functions}
    assert imported >= _API
    assert [each.name for each in driver.libraries] == [_SYSTEM_LIBRARY]
    assert driver.get_section(*LIST) is None


@pytest.mark.parametrize(
    ("image", "words"),
    [
        ("image main: write", 2),
        ("image main: first second third", 4),
        ("image main: first NULL second", 4),  # two uses of the macro
        ("image main: write weak:maybe", 3),
        ("image main unterminated: write", 1),
        ("image main size=16 unterminated: pair:write", 2),
        ("image main: fill:2046 write", 2048),
    ],
)
def test_list_stands_in_its_section(builder: build.Builder, image: str, words: int) -> None:
    section = _section(builder.executable(*_images(image)), *LIST)

    assert section is not None
    assert section.size == words * WORD


@pytest.mark.parametrize("size", [0, 12])
def test_size_is_what_the_image_states(builder: build.Builder, size: int) -> None:
    section = _section(builder.executable(*_images(f"image main size={size}: write")), *LIST)

    assert section is not None
    assert section.size == size


def test_list_in_another_section_is_not_in_the_right_one(builder: build.Builder) -> None:
    path = builder.executable(*_images("image main section=__DATA,__pth_jit_func: write"))

    assert _section(path, *LIST) is None
    assert _section(path, "__DATA", "__pth_jit_func").size == 2 * WORD


def test_each_library_has_a_list_of_its_own(builder: build.Builder) -> None:
    both = _images("image main: first\nimage libjit: second")
    path = builder.executable(*both)
    library = builder.library(both[1])

    assert _section(path, *LIST).size == 2 * WORD
    assert _section(library, *LIST).size == 2 * WORD
    assert f"@rpath/{library.name}" in {each.name for each in _parsed(path).libraries}


def test_missing_weak_callback_is_a_weak_import(builder: build.Builder) -> None:
    driver = _parsed(builder.executable(*_images("image main: weak:maybe write")))

    weak = [each for each in driver.bindings if each.weak_import]
    assert [each.symbol.name for each in weak] == ["_missing_callback_maybe"]


def test_programs_run_on_apple_silicon_unsigned_by_us(builder: build.Builder) -> None:
    """A Mac kills arm64 programs without any signature; the linker's own is ad hoc, and codesign replaces it."""
    driver = _parsed(builder.executable())

    is_arm = driver.header.cpu_type == lief.MachO.Header.CPU_TYPE.ARM64
    assert driver.has_code_signature or not is_arm


def test_probe_needs_nothing_but_the_system(builder: build.Builder) -> None:
    probe = builder.probe(cases.source(_some_cases(), sign_commands=[]))

    assert [each.name for each in _parsed(probe).libraries] == [_SYSTEM_LIBRARY]
    assert not _API & {each.name for each in _parsed(probe).imported_functions}


# ---- Signing -----------------------------------------------------------------------------------------------------------------


def test_each_process_has_a_program_and_its_property_list(tmp_path: Path) -> None:
    made = [
        (scenario, profile, signing.signed_program(scenario, profile))
        for scenario in build.scenarios()
        for profile in scenario.profiles()
        if not cases.refusal(scenario)
    ]

    commands = signing.write(tmp_path, [each for _, _, each in made], [])

    for scenario, profile, program in made:
        (line,) = [
            each
            for each in commands
            if each.startswith("codesign ") and each.endswith(f" signed/{program.name}")
        ]
        assert ("--options runtime" in line) == profile.is_hardened
        plist = tmp_path / "entitlements" / f"{program.name}.plist"
        held = plistlib.loads(plist.read_bytes()) if plist.exists() else {}
        assert ("--entitlements" in line) == bool(held)
        granted = {key for key in profile.entitlements.values if profile.entitlements.has(key)}
        assert granted <= set(held), scenario.name


def test_hardened_program_that_loads_libraries_takes_those_without_a_team() -> None:
    (scenario,) = [each for each in build.scenarios() if each.name == "library-loaded-later"]
    for profile in scenario.profiles():
        program = signing.signed_program(scenario, profile)
        key = "com.apple.security.cs.disable-library-validation"
        assert (key in program.entitlements) == profile.is_hardened
