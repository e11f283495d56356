"""The launcher, read with LIEF on any machine, and as a program of Linux: it hosts Python and the core there too."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Final

import pytest

import interlock
from interlock import limits
from interlock.errors import InternalError, LimitExceededError
from interlock.kit import launcher

from .conftest import NATIVE

lief = pytest.importorskip("lief", reason="needs lief")
lief.logging.disable()

OWN: Final = "@executable_path/../lib/libpython3.13.dylib"
SECTION: Final = "__il_python"
CODE_SIGNATURE_COMMAND_BYTES: Final = 16


def _parse(data: bytes) -> lief.MachO.Binary:
    return lief.MachO.parse(list(data)).at(0)


@pytest.fixture(params=launcher.ARCHITECTURES)
def architecture(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def macho(architecture: str) -> lief.MachO.Binary:
    return _parse(launcher.launcher_for(architecture, python=OWN))


def test_core_is_loaded_at_the_start_from_the_package_that_python_imports(
    macho: lief.MachO.Binary,
) -> None:
    dylibs = {each.name: each.command for each in macho.libraries}

    assert dylibs == {
        "/usr/lib/libSystem.B.dylib": lief.MachO.LoadCommand.TYPE.LOAD_DYLIB,
        launcher.CORE_LIBRARY: lief.MachO.LoadCommand.TYPE.LOAD_DYLIB,
    }
    home = "@executable_path/../lib/python3.{}/site-packages/interlock/core/_native"
    assert [each.path for each in macho.rpaths] == [home.format(minor) for minor in range(11, 15)]


def test_rpaths_cover_every_version_that_the_package_promises(repository: Path) -> None:
    text = (repository / "pyproject.toml").read_text(encoding="utf-8")
    promised = [line.split(":: ")[-1][:-2] for line in text.splitlines() if ":: 3." in line]
    data = (NATIVE / "interlock-launcher-arm64").read_bytes()

    assert len(promised) >= 3
    assert all(f"/python{version}/".encode() in data for version in promised)


def test_launcher_has_no_list_and_no_call_that_kills_it(macho: lief.MachO.Binary) -> None:
    assert "__pth_jit_func" not in [each.name for each in macho.sections]
    assert {each.name for each in macho.imported_symbols} == {
        *("_dlopen", "_dlsym", "_dlerror", "_fprintf", "___stderrp", "dyld_stub_binder"),
    }


def test_launcher_is_a_program_for_macos_12_with_pythons_stack(
    macho: lief.MachO.Binary, architecture: str
) -> None:
    cpus = lief.MachO.Header.CPU_TYPE
    assert macho.header.cpu_type == {"arm64": cpus.ARM64, "x86_64": cpus.X86_64}[architecture]
    assert macho.header.file_type == lief.MachO.Header.FILE_TYPE.EXECUTE
    assert lief.MachO.Header.FLAGS.PIE in macho.header.flags_list
    assert list(macho.build_version.minos)[:2] == [12, 0]
    assert macho.main_command.stack_size == 16 << 20


def test_nothing_that_is_called_stands_in_writable_memory(macho: lief.MachO.Binary) -> None:
    assert {each.segment.name for each in macho.bindings} == {"__DATA_CONST"}
    assert "__la_symbol_ptr" not in [each.name for each in macho.sections]


def test_there_is_room_for_the_command_of_a_signature(macho: lief.MachO.Binary) -> None:
    end_of_commands = 32 + macho.header.sizeof_cmds
    room = min(each.offset for each in macho.sections if each.offset) - end_of_commands

    assert macho.has_code_signature or room >= CODE_SIGNATURE_COMMAND_BYTES


@pytest.mark.parametrize(
    "python",
    [OWN, "/opt/p y/libpython3.13.dylib", "/é/" + "x" * (limits.LAUNCHER_PYTHON_BYTES_MAX - 4)],
)
def test_path_of_python_goes_into_its_section_and_nowhere_else(
    architecture: str, python: str
) -> None:
    before = (NATIVE / f"interlock-launcher-{architecture}").read_bytes()

    after = launcher.launcher_for(architecture, python=python)

    section = _parse(after).get_section(SECTION)
    start, end = section.offset, section.offset + section.size
    assert bytes(section.content) == python.encode().ljust(1024, b"\0")
    assert (before[:start], before[end:]) == (after[:start], after[end:])
    assert not any(before[start:end])


def test_path_may_be_as_long_as_the_limit_and_no_longer() -> None:
    longest = "/" + "x" * (limits.LAUNCHER_PYTHON_BYTES_MAX - 1)
    data = launcher.launcher_for("arm64", python=longest)

    assert longest.encode() + b"\0" in data
    with pytest.raises(LimitExceededError, match="LAUNCHER_PYTHON_BYTES_MAX"):
        launcher.launcher_for("arm64", python=longest + "x")


@pytest.mark.parametrize("python", ["", "libpython3.13.dylib", "@rpath/x", "/x\0y", "../x"])
def test_path_that_depends_on_where_one_stands_is_refused(python: str) -> None:
    with pytest.raises(ValueError, match="neither an absolute path"):
        launcher.launcher_for("arm64", python=python)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"@rpath/libinterlock.dylib", b"@rpath/libinterlock_dylib", "does not load the core"),
        (b"__cstring\0\0\0\0\0\0\0__TEXT\0\0\0\0\0\0", b"__pth_jit_func\0\0__DATA_CONST", "a list"),
        (b"__il_python", b"__il_pythox", "no room"),
    ],
)
def test_launcher_that_would_not_do_is_a_bug_of_ours(old: bytes, new: bytes, message: str) -> None:
    data = (NATIVE / "interlock-launcher-arm64").read_bytes()
    assert old in data
    changed = data.replace(old, new.ljust(len(old), b"\0"))

    with pytest.raises(InternalError, match=message):
        launcher.check(changed, "arm64")


def test_launcher_of_another_machine_is_a_bug_of_ours() -> None:
    with pytest.raises(InternalError, match="another architecture"):
        launcher.check((NATIVE / "interlock-launcher-arm64").read_bytes(), "x86_64")


def test_import_of_the_plain_toggle_is_a_bug_of_ours() -> None:
    data = (NATIVE / "interlock-launcher-arm64").read_bytes()
    # The string table ends the symbol table; a longer name fits over two shorter ones.
    start = data.rindex(b"_dlopen\0")
    toggle = b"_pthread_jit_write_protect_np\0"
    changed = data[:start] + toggle + data[start + len(toggle) :]

    with pytest.raises(InternalError, match="imports a call that kills it"):
        launcher.check(changed, "arm64")


# ---- The same program on Linux: what hosting Python this way does --------------------------------------------------------------


def _python_library() -> str:
    directory, name = map(sysconfig.get_config_var, ("LIBDIR", "INSTSONAME"))
    path = Path(str(directory), str(name))
    if not sysconfig.get_config_var("Py_ENABLE_SHARED") or not path.exists():
        pytest.skip("needs a Python with a shared library")
    return str(path)


@pytest.fixture
def host(repository: Path, tmp_path: Path) -> Path:
    """The launcher for this machine, in the `bin` of a virtual environment."""
    pytest.importorskip("ziglang", reason="needs ziglang, zig's C compiler from PyPI")
    if sys.platform != "linux":
        pytest.skip("needs Linux: on a Mac `interlock mac check` is the test")
    library = _python_library()
    native = Path(interlock.__file__).parent / "core/_native"
    program = tmp_path / "prefix/bin/interlock-launcher"
    program.parent.mkdir(parents=True)
    (tmp_path / "prefix/pyvenv.cfg").write_text(
        f"home = {Path(sys.base_prefix, 'bin')}\n", encoding="utf-8"
    )
    # What is installed for this test is installed there; a .pth file counts in the compiler process too, which is isolated.
    packages = tmp_path / f"prefix/lib/python3.{sys.version_info.minor}/site-packages"
    packages.mkdir(parents=True)
    installed = [each for each in sys.path if each.endswith("site-packages")]
    roots = [str(Path(interlock.__file__).parents[1]), *installed]
    (packages / "installed.pth").write_text("\n".join(roots), encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "ziglang",
        "cc",
        "-std=c11",
        "-O2",
        "-Wall",
        "-Wextra",
        "-Werror",
    ]
    source = repository / "apple/launcher/launcher.c"
    linking = [f"-L{native}", "-Wl,--no-as-needed", "-linterlock", f"-Wl,-rpath,{native}"]
    subprocess.run([*command, str(source), *linking, "-o", str(program)], check=True)
    elf = lief.ELF.parse(str(program))
    offset = elf.get_section(f"__TEXT,{SECTION}").file_offset
    data = bytearray(program.read_bytes())
    data[offset : offset + len(library)] = library.encode()
    program.write_bytes(data)
    return program


def _run(program: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program, *args], capture_output=True, text=True, check=False, timeout=120
    )


def test_hosted_python_is_the_environment_that_the_launcher_lies_in(host: Path) -> None:
    done = _run(host, "-c", "import sys; print(sys.executable, sys.prefix, *sys.argv)", "a", "b c")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{host} {host.parents[1]} -c a b c\n"


def test_hosted_python_publishes_with_the_core_that_the_launcher_loaded(host: Path) -> None:
    script = (
        "import interlock\n"
        "before = {line.split()[-1] for line in open('/proc/self/maps') if 'libinterlock' in line}\n"
        "with interlock.Engine() as engine:\n"
        "    code = engine.compile_wat('(module (func (export \"f\") (result i32) i32.const 42))')\n"
        "    print(engine.instantiate(code).exports.f())\n"
        "after = {line.split()[-1] for line in open('/proc/self/maps') if 'libinterlock' in line}\n"
        "print(len(before), before == after)\n"
    )

    done = _run(host, "-c", script)

    assert (done.returncode, done.stdout, done.stderr) == (0, "42\n1 True\n", "")


def test_status_of_the_script_is_the_launchers(host: Path) -> None:
    assert _run(host, "-c", "raise SystemExit(7)").returncode == 7


def test_launcher_that_names_no_python_or_a_missing_one_says_so(host: Path) -> None:
    data = host.read_bytes()
    library = _python_library().encode()
    host.write_bytes(data.replace(library, bytes(len(library))))
    empty = _run(host)
    host.write_bytes(data.replace(library, b"/nowhere".ljust(len(library), b"\0")))
    missing = _run(host)

    assert (empty.returncode, missing.returncode) == (2, 2)
    assert empty.stderr.startswith("interlock-launcher: names no Python")
    assert missing.stderr.startswith("interlock-launcher: /nowhere: ")
