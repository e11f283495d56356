"""What a person signs: each driver once for each process that it stands for, and the commands, for ad hoc or a real identity."""

from __future__ import annotations

import plistlib
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from apple.probe import images, wire
from interlock.contract.entitlements import SHORT_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from interlock.contract import Profile, Scenario
    from interlock.contract.scenario import ImageText

_KEY_DIGITS: Final = 8
# Without it a hardened process loads only libraries of its own team, which an ad hoc signature has none of.
_LIBRARY_VALIDATION: Final = "com.apple.security.cs.disable-library-validation"
_HEAD: Final = (
    "# Run in the folder of interlock-probe:  ./interlock-probe --sign | sh -e",
    '# IDENTITY="Developer ID Application: ..." signs with that identity instead of ad hoc.',
    "mkdir -p signed",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedProgram:
    """A driver for one kind of process."""

    driver: str
    is_hardened: bool
    entitlements: Mapping[str, object]

    @property
    def name(self) -> str:
        """The file name below `signed/`: the same for the same signature."""
        text = f"{self.is_hardened} {sorted(self.entitlements.items())}"
        return f"{self.driver}-{sha256(text.encode()).hexdigest()[:_KEY_DIGITS]}"


def signed_program(scenario: Scenario, profile: Profile) -> SignedProgram:
    """The driver that plays the scenario in a process of this profile."""
    entitlements: dict[str, object] = {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in profile.entitlements.values.items()
    }
    opens = any(each.step.verb == "dlopen" for each in scenario.steps)
    if profile.is_hardened and (opens or len(scenario.images) > 1):
        entitlements[_LIBRARY_VALIDATION] = True
    return SignedProgram(
        driver=f"driver-{images.key(*scenario.images)}",
        is_hardened=profile.is_hardened,
        entitlements=entitlements,
    )


def library_entitlements(image: ImageText) -> Mapping[str, object]:
    """What a scenario puts on a library, where it counts for nothing (C21)."""
    names = image.options.get("entitlements", "").split(",")
    return {SHORT_NAMES[name]: True for name in names if name}


def libraries(scenario: Scenario) -> list[ImageText]:
    """The libraries that a scenario links or opens."""
    opened = [wire.image_of(each.step) for each in scenario.steps if each.step.verb == "dlopen"]
    return [*scenario.images[1:], *opened]


def write(folder: Path, programs: Iterable[SignedProgram], of: Iterable[ImageText]) -> list[str]:
    """Write the property lists below `entitlements/`; the commands that sign everything."""
    plists = folder / "entitlements"
    plists.mkdir(exist_ok=True)
    made = {each.name: each for each in programs}
    opened = {images.library_name(each): each for each in of}
    lines = [*_HEAD]
    for name, image in sorted(opened.items()):
        _write_plist(plists / f"{name}.plist", library_entitlements(image))
        lines += _commands(
            name, name, is_hardened=False, has_plist=bool(image.options.get("entitlements"))
        )
    for name, each in sorted(made.items()):
        _write_plist(plists / f"{name}.plist", each.entitlements)
        lines += _commands(
            each.driver, name, is_hardened=each.is_hardened, has_plist=bool(each.entitlements)
        )
    return lines


def _write_plist(path: Path, entitlements: Mapping[str, object]) -> None:
    if entitlements:
        path.write_bytes(plistlib.dumps(dict(entitlements)))


def _commands(source: str, name: str, *, is_hardened: bool, has_plist: bool) -> list[str]:
    options = " --options runtime" if is_hardened else ""
    options += f" --entitlements entitlements/{name}.plist" if has_plist else ""
    return [
        f"cp {source} signed/{name}",
        f'codesign --force --sign "${{IDENTITY:--}}"{options} signed/{name}',
    ]
