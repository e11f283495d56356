"""The wheels of all platforms, built here: contents, tags that say what is inside, and the same bytes each time."""

from __future__ import annotations

import base64
import csv
import functools
import hashlib
import io
import zipfile
from typing import TYPE_CHECKING, Final

import pytest

from tools import build_wheels

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

lief = pytest.importorskip("lief", reason="needs lief")
pytest.importorskip("hatchling", reason="needs hatchling")
pytest.importorskip("ziglang", reason="needs ziglang, zig's C compiler from PyPI")
lief.logging.disable()

TAGS: Final = {
    "x86_64-linux": "py3-none-manylinux_2_17_x86_64",
    "aarch64-linux": "py3-none-manylinux_2_17_aarch64",
    "x86_64-macos": "py3-none-macosx_12_0_x86_64",
    "aarch64-macos": "py3-none-macosx_12_0_arm64",
}
NATIVE: Final = "interlock/core/_native/"
APPLE: Final = "interlock/apple/_native/"
APPLE_FILES: Final = {
    "linux": {
        "include/interlock/pthread_jit.h",
        "lib/libinterlock_apple.so",
        "lib/pkgconfig/interlock_apple.pc",
        "lib/cmake/interlock_apple/interlock_apple-config.cmake",
    },
    "macos": set[str](),  # the system has the calls
}
LAUNCHERS: Final = (
    "kit/_native/interlock-launcher-arm64",
    "kit/_native/interlock-launcher-x86_64",
)
FILES: Final = {
    "linux": {"libinterlock.so", "interlock-writer", "_binding.abi3.so"},
    "macos": {"libinterlock.dylib", "_binding.abi3.so"},
}


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Builds the wheel of a target, once."""

    @functools.cache
    def of_target(target: str) -> Path:
        return build_wheels.build_wheel(tmp_path_factory.mktemp(target), target)

    return of_target


def test_every_target_of_the_core_has_a_wheel() -> None:
    platforms = {
        name: f"py3-none-{each.wheel_platform}"
        for name, each in build_wheels.load_core_build().TARGETS.items()
    }

    assert platforms == TAGS


@pytest.mark.parametrize("target", TAGS)
def test_wheel_is_named_and_tagged_for_its_platform(
    wheel: Callable[[str], Path], target: str
) -> None:
    with zipfile.ZipFile(wheel(target)) as archive:
        name = next(each for each in archive.namelist() if each.endswith(".dist-info/WHEEL"))
        lines = archive.read(name).decode().splitlines()

    assert wheel(target).name.endswith(f"-{TAGS[target]}.whl")
    assert [each for each in lines if each.startswith("Tag: ")] == [f"Tag: {TAGS[target]}"]
    assert "Root-Is-Purelib: false" in lines


@pytest.mark.parametrize("target", TAGS)
def test_record_lists_every_file_with_its_digest(wheel: Callable[[str], Path], target: str) -> None:
    with zipfile.ZipFile(wheel(target)) as archive:
        (record,) = (each for each in archive.namelist() if each.endswith(".dist-info/RECORD"))
        rows = {row[0]: row[1:] for row in csv.reader(io.StringIO(archive.read(record).decode()))}
        found = {each: archive.read(each) for each in archive.namelist() if each != record}

    assert rows.pop(record) == ["", ""]
    assert rows.keys() == found.keys()
    for name, content in found.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        assert rows[name] == [f"sha256={digest}", str(len(content))], name


@pytest.mark.parametrize("target", TAGS)
def test_wheel_holds_the_files_of_its_machine_and_no_others(
    wheel: Callable[[str], Path], target: str, repository: Path
) -> None:
    arch, system = target.split("-")
    with zipfile.ZipFile(wheel(target)) as archive:
        infos = {each.filename: each for each in archive.infolist()}
        binaries = {name: archive.read(name) for name in infos if name.startswith(NATIVE)}

    assert binaries.keys() == {f"{NATIVE}{name}" for name in FILES[system]}
    in_apple = {name for name in infos if name.startswith(APPLE)}
    assert in_apple == {f"{APPLE}{name}" for name in APPLE_FILES[system]}
    # The launchers for macOS are in every wheel: `interlock mac kit` writes them anywhere.
    others = ("__init__.py", "py.typed", "cli/rules/V001.md", "kit/files/sign.sh", *LAUNCHERS)
    assert {f"interlock/{name}" for name in others} <= infos.keys()
    for name, content in binaries.items():
        assert str(repository).encode() not in content, name
        if system == "linux":
            elf = lief.ELF.parse(list(content))
            machines = {"x86_64": lief.ELF.ARCH.X86_64, "aarch64": lief.ELF.ARCH.AARCH64}
            assert elf.header.machine_type == machines[arch]
        else:
            macho = lief.MachO.parse(list(content)).at(0)
            cpus = lief.MachO.Header.CPU_TYPE
            assert macho.header.cpu_type == {"x86_64": cpus.X86_64, "aarch64": cpus.ARM64}[arch]
            minimum = "_".join(map(str, macho.build_version.minos[:2]))
            assert f"macosx_{minimum}_" in TAGS[target]
    if system == "linux":
        mode = infos[f"{NATIVE}interlock-writer"].external_attr >> 16
        assert mode & 0o111 == 0o111


@pytest.mark.parametrize("target", TAGS)
def test_the_same_sources_make_the_same_wheel(
    wheel: Callable[[str], Path], target: str, tmp_path: Path
) -> None:
    again = build_wheels.build_wheel(tmp_path, target)

    assert again.read_bytes() == wheel(target).read_bytes()
