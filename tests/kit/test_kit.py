"""Writing the kit: all of it or nothing, into a folder that is new or empty."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from interlock.contract import read_linkage
from interlock.kit import Kit, claims, write_kit

OWN = "@executable_path/../lib/libpython3.13.dylib"
FOREIGN = "/Library/Frameworks/Python.framework/Versions/3.13/Python"
FILES = {"bin/interlock-launcher", "interlock-launcher.entitlements", "sign.sh", "README.md"}


def _files(directory: Path) -> set[str]:
    found = (path for path in directory.rglob("*") if not path.is_dir())
    return {str(path.relative_to(directory)) for path in found}


def _write(directory: Path, python: str = OWN) -> Kit:
    return write_kit(directory, python=python)


def test_kit_is_what_it_says(tmp_path: Path) -> None:
    out = tmp_path / "app"

    made = _write(out)

    assert _files(out) == set(made.files) == FILES
    assert made.linkage == read_linkage((out / "bin/interlock-launcher").read_bytes())[0]
    modes = {name: stat.S_IMODE((out / name).stat().st_mode) for name in FILES}
    assert {name for name in modes if modes[name] == 0o755} == {"bin/interlock-launcher", "sign.sh"}
    assert {modes[name] for name in FILES} == {0o755, 0o644}
    assert stat.S_IMODE(out.stat().st_mode) == 0o755
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize(("python", "is_foreign"), [(OWN, False), (FOREIGN, True)])
def test_python_outside_the_folder_is_not_signed_with_it(
    tmp_path: Path,
    python: str,
    is_foreign: bool,  # noqa: FBT001  (a case)
) -> None:
    made = _write(tmp_path / "app", python)

    guide = (tmp_path / "app/README.md").read_text(encoding="utf-8")
    text = (tmp_path / "app/interlock-launcher.entitlements").read_text(encoding="utf-8")
    assert made.claims == claims.claims(is_python_foreign=is_foreign)
    assert f"<key>{claims.DISABLE_LIBRARY_VALIDATION}</key>" in text or not is_foreign
    assert ("virtual environment" in guide) == is_foreign
    assert python in guide
    assert "$" not in guide


def test_empty_folder_will_do(tmp_path: Path) -> None:
    out = tmp_path / "app"
    out.mkdir()

    _write(out)

    assert _files(out) == FILES


def test_name_may_be_as_long_as_the_file_system_allows(tmp_path: Path) -> None:
    out = tmp_path / ("x" * 255)

    _write(out)

    assert _files(out) == FILES
    with pytest.raises(OSError, match="too long"):
        _write(tmp_path / ("x" * 256))
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("name", ["a b", "-n", "$(id)", "a\nb", "é", "x/", "./y"])
def test_any_name_will_do(tmp_path: Path, name: str) -> None:
    _write(Path(f"{tmp_path}/{name}"))

    assert _files(tmp_path / name) == FILES


def _file(out: Path) -> None:
    out.write_text("mine", encoding="utf-8")


def _folder(out: Path) -> None:
    out.mkdir()
    (out / "mine").touch()


def _link_to_nothing(out: Path) -> None:
    out.symlink_to(out.with_name("nowhere"))


def _link_to_empty(out: Path) -> None:
    out.with_name("empty").mkdir()
    out.symlink_to(out.with_name("empty"))


def _pipe(out: Path) -> None:
    os.mkfifo(out)


@pytest.mark.parametrize("make", [_file, _folder, _link_to_nothing, _link_to_empty, _pipe])
def test_what_is_there_stays_as_it_is(tmp_path: Path, make: object) -> None:
    out = tmp_path / "app"
    assert callable(make)
    make(out)
    before = sorted((str(path), path.lstat()) for path in tmp_path.rglob("*"))

    with pytest.raises(OSError, match="is there already") as raised:
        _write(out)

    assert raised.value.filename == str(out)
    assert sorted((str(path), path.lstat()) for path in tmp_path.rglob("*")) == before


def test_folder_that_somebody_fills_meanwhile_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "app"
    rename = Path.rename

    def fill_first(self: Path, target: Path) -> Path:
        _folder(out)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fill_first)
    with pytest.raises(OSError, match="is there already"):
        _write(out)

    assert _files(tmp_path) == {"app/mine"}


@pytest.mark.parametrize("call", ["write_bytes", "chmod", "rename", "mkdir"])
def test_failure_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "disk")

    monkeypatch.setattr(Path, call, fail)
    with pytest.raises(OSError, match="No space"):
        _write(tmp_path / "app")

    assert list(tmp_path.iterdir()) == []


def test_interruption_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "chmod", interrupt)
    with pytest.raises(KeyboardInterrupt):
        _write(tmp_path / "app")

    assert list(tmp_path.iterdir()) == []


def test_folder_without_parent_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as raised:
        _write(tmp_path / "no/app")

    assert str(tmp_path / "no") in str(raised.value.filename)
