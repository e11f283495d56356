"""`sign.sh` with programs of ours in place of Apple's, which write down how they are called."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Final

import pytest

from interlock.contract import parse_plist
from interlock.kit import write_kit

if TYPE_CHECKING:
    from pathlib import Path

# `file` says what the fixtures' files say of themselves; plutil leaves comments out as Apple's does.
FAKES: Final = {
    "codesign": 'printf "codesign %s\\n" "$*" >>"$LOG"; for each; do last=$each; done; [ "$last" != "${FAIL:-}" ]',
    "hdiutil": 'printf "hdiutil %s\\n" "$*" >>"$LOG"',
    "xcrun": 'printf "xcrun %s\\n" "$*" >>"$LOG"',
    "file": 'case $2 in ./bin/interlock-launcher) echo "Mach-O 64-bit executable arm64" ;; ./sign.sh) echo "POSIX shell script" ;; *) cat "$2" ;; esac',
    "plutil": 'sed "/<!--/,/-->/d" "$5" >"$4"; cp "$4" "$LOG.plist"; printf "plutil %s %s\\n" "$1" "$2" >>"$LOG"',
}
DEEPEST_FIRST: Final = (
    "Python.framework/Versions/3.13/Resources/Python.app/Contents/MacOS/Python",
    "lib/python3.13/site-packages/a b/c.so",
    "lib/libpython3.13.dylib",
    "bin/python3.13",
)
# In the words of file(1) on a Mac.
CONTENTS: Final = {
    "bin/python3.13": "Mach-O 64-bit executable arm64",
    DEEPEST_FIRST[0]: "Mach-O 64-bit executable arm64",
    "bin/pip": "a /usr/bin/env python3 script text executable",
    "lib/libpython3.13.dylib": "Mach-O 64-bit dynamically linked shared library arm64",
    "lib/python3.13/site-packages/a b/c.so": "Mach-O universal binary with 2 architectures: [x86_64:Mach-O 64-bit bundle x86_64]",
    "lib/python3.13/config/python.o": "Mach-O 64-bit object arm64",
    "lib/python3.13/os.py": "Python script text executable, ASCII text",
}
IDENTITY: Final = "Developer ID Application: A B (TEAM)"


class Signing:
    """A kit with a Python in it, and the fakes."""

    def __init__(self, tmp_path: Path) -> None:
        self.kit = tmp_path / "my app"
        self.log = tmp_path / "log"
        self.programs = tmp_path / "programs"
        write_kit(self.kit, python="@executable_path/../lib/libpython3.13.dylib")
        for name, content in CONTENTS.items():
            path = self.kit / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
        (self.kit / "bin/python3").symlink_to("python3.13")
        self.write_launcher("exit 0")
        self.programs.mkdir()
        for name, body in FAKES.items():
            self._program(self.programs / name, body)

    def write_launcher(self, end: str) -> None:
        self._program(
            self.kit / "bin/interlock-launcher", f'printf "launcher %s\\n" "$*" >>"$LOG"; {end}'
        )

    @staticmethod
    def _program(path: Path, body: str) -> None:
        path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        path.chmod(0o755)

    def __call__(self, *args: str, fail: str = "") -> tuple[int, list[str]]:
        """The status, and the calls with the folder of the moment taken out."""
        self.log.write_text("", encoding="utf-8")
        path = f"{self.programs}:{os.environ['PATH']}"
        env = {**os.environ, "PATH": path, "LOG": str(self.log), "FAIL": fail}
        done = subprocess.run(
            [self.kit / "sign.sh", *args], env=env, capture_output=True, check=False
        )
        lines = self.log.read_text(encoding="utf-8").replace(str(self.kit), "KIT").splitlines()
        return done.returncode, lines


@pytest.fixture
def signing(tmp_path: Path) -> Signing:
    return Signing(tmp_path)


@pytest.mark.parametrize(
    ("identity", "options"),
    [
        ("-", "--force --sign - --timestamp=none"),
        (IDENTITY, f"--force --sign {IDENTITY} --timestamp --options runtime"),
    ],
    ids=("ad hoc", "identity"),
)
def test_every_program_and_library_is_signed_and_the_launcher_last(
    signing: Signing, identity: str, options: str
) -> None:
    status, calls = signing(identity)

    assert status == 0
    nested, rest = calls[:4], calls[4:]
    assert nested == [f"codesign {options} ./{name}" for name in DEEPEST_FIRST]
    assert rest[0] == "plutil -convert xml1"
    assert rest[1].startswith(f"codesign {options} --entitlements /")
    assert rest[1].endswith("/entitlements.plist bin/interlock-launcher")
    assert rest[2:] == [
        "codesign --verify --strict --verbose=2 bin/interlock-launcher",
        "codesign --display --verbose=4 --entitlements - bin/interlock-launcher",
        "launcher -m interlock mac check",
    ]


def test_codesign_gets_the_same_entitlements_without_comments(signing: Signing) -> None:
    signing("-")

    given = signing.log.with_name("log.plist").read_bytes()
    written = (signing.kit / "interlock-launcher.entitlements").read_bytes()
    assert b"<!--" in written
    assert b"<!--" not in given
    assert parse_plist(given).values == parse_plist(written).values


def test_with_a_profile_an_image_is_made_signed_notarised_and_stapled(signing: Signing) -> None:
    status, calls = signing(IDENTITY, "profile")

    assert status == 0
    assert calls[-5:] == [
        "hdiutil create -ov -volname my app -srcfolder . KIT.dmg",
        f"codesign --force --sign {IDENTITY} --timestamp KIT.dmg",
        "xcrun notarytool submit KIT.dmg --keychain-profile profile --wait",
        "xcrun stapler staple KIT.dmg",
        "xcrun stapler validate KIT.dmg",
    ]


@pytest.mark.parametrize("fail", ["./lib/libpython3.13.dylib", "bin/interlock-launcher"])
def test_nothing_follows_what_could_not_be_signed(signing: Signing, fail: str) -> None:
    status, calls = signing(IDENTITY, "profile", fail=fail)

    assert status != 0
    assert not [call for call in calls if not call.startswith(("codesign", "plutil"))]
    assert fail != "bin/interlock-launcher" or "--verify" not in calls[-1]


def test_nothing_is_notarised_that_failed_its_check(signing: Signing) -> None:
    signing.write_launcher("exit 1")

    status, calls = signing(IDENTITY, "profile")

    assert status == 1
    assert calls[-1] == "launcher -m interlock mac check"


def test_virtual_environment_is_not_notarised(signing: Signing) -> None:
    (signing.kit / "pyvenv.cfg").touch()

    assert signing(IDENTITY)[0] == 0
    status, calls = signing(IDENTITY, "profile")

    assert status == 1
    assert calls[-1] == "launcher -m interlock mac check"


def test_identity_must_be_given(signing: Signing) -> None:
    status, calls = signing()

    assert status != 0
    assert calls == []
