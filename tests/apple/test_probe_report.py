"""The probe itself, built for this Linux: it plays, judges and reports with libinterlock_apple as it will on a Mac."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from apple.probe import build, cases, drop_in
from interlock.contract import parse_scenarios, probe_result
from interlock.errors import ProbeResultError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")

PROFILES = ("macos-arm64", "macos-arm64-hardened", "macos-arm64-allowlist", "rosetta")


@pytest.fixture(scope="session")
def probe(driver_toolchain: build.Toolchain, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build.build(tmp_path_factory.mktemp("probe"), driver_toolchain)


def _run(probe: Path, profile: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(probe), *arguments],
        env={**os.environ, "INTERLOCK_APPLE": f"profile={profile}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def _objects(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def _refused(profile: str) -> set[str]:
    """What the drop-in library cannot be: there the probe may find it to differ from a Mac."""
    return {
        scenario.name
        for scenario in build.scenarios()
        for each in scenario.profiles()
        if each.name == profile and drop_in.refusal(each, scenario)
    }


@pytest.mark.parametrize("profile", PROFILES)
def test_probe_finds_what_the_library_cannot_be(probe: Path, tmp_path: Path, profile: str) -> None:
    result = tmp_path / "result.jsonl"

    done = _run(probe, profile, str(result))

    cases = {each["scenario"]: each for each in _objects(result) if "scenario" in each}
    differing = {name for name, each in cases.items() if each["verdict"] == "differs"}
    agreeing = {name for name, each in cases.items() if each["verdict"] == "agrees"}
    assert differing <= _refused(profile), done.stdout
    assert len(agreeing) > 0.9 * len(cases)
    assert done.returncode == (1 if differing else 0)
    assert done.stdout.count("\nDIFFERS ") == len(differing)


ANSWERS = {
    "macos-arm64-hardened": {
        "jit-regions": "many",
        "hardened-rwx-errno": "EACCES",
        "unsigned-memory-lifts-wx": "yes",
        "address-hint": "honoured",
        "kernel-write": "follows-state",
        "double-mapping": "allowed",
        "handler-state": "rx",
        "handler-change": "survives",
        "monitor": "on",
        "fork-state": "rx",
    },
    "macos-arm64": {"unhardened-list": "ignored", "fork-state": "inherited"},
}


@pytest.mark.parametrize("profile", ANSWERS)
def test_mac_that_answers_otherwise_is_found_out(probe: Path, tmp_path: Path, profile: str) -> None:
    """A Mac whose every switch is not the model's default: an answer of each, no disagreement of any rule."""
    result = tmp_path / "result.jsonl"
    answers = ANSWERS[profile]

    done = _run(probe, f"{profile} {' '.join(f'{k}={v}' for k, v in answers.items())}", str(result))

    switches = {each["switch"]: each["values"] for each in _objects(result) if "switch" in each}
    assert {name: switches[name] for name in answers} == {k: [v] for k, v in answers.items()}
    differing = {
        each["scenario"]
        for each in _objects(result)
        if each.get("verdict") == "differs" and "scenario" in each
    }
    assert differing <= _refused(profile), done.stdout


def test_result_can_be_imported_once_a_mac_wrote_it(probe: Path, tmp_path: Path) -> None:
    path = tmp_path / "result.jsonl"
    _run(probe, "macos-arm64-hardened", "--note", "a test", str(path))
    header, *rest = _objects(path)
    with pytest.raises(ProbeResultError, match="no Mac has a process"):
        probe_result.read(path)
    path.write_text("\n".join(map(json.dumps, [{**header, "process": "arm64"}, *rest])), "utf-8")

    result = probe_result.read(path)

    assert result.note == "a test"
    assert result.rules["A1"][0] > 5
    # Questions 2, 4 and 7 as the library is set; what it does not touch stays open.
    assert result.switches["hardened-rwx-errno"].values == ("EINVAL",)
    assert result.switches["fork-state"].values == ("unset",)
    assert result.switches["kernel-write"].values == ("EFAULT",)
    assert result.switches["unhardened-list"].cases == 0


def test_one_scenario_alone(probe: Path, tmp_path: Path) -> None:
    result = tmp_path / "result.jsonl"

    done = _run(probe, "macos-arm64", "--only", "correct-program", str(result))

    assert done.returncode == 0
    assert "1 cases: 1 agree, 0 differ, 0 are unknown" in done.stdout
    (case,) = [each for each in _objects(result) if "scenario" in each]
    assert (case["scenario"], case["verdict"]) == ("correct-program", "agrees")


def test_missing_driver_is_unknown_and_named(probe: Path, tmp_path: Path) -> None:
    alone = shutil.copy(probe, tmp_path)
    result = tmp_path / "result.jsonl"

    done = _run(alone, "macos-arm64", "--only", "correct-program", str(result))

    assert done.returncode == 0
    (case,) = [each for each in _objects(result) if "scenario" in each]
    assert case["verdict"] == "unknown"
    assert "is missing: interlock-probe --sign | sh -e" in case["why"]


@pytest.mark.parametrize("steps", [64, 65])
def test_scenario_of_more_steps_than_the_probe_plays_is_not_built(
    driver_toolchain: build.Toolchain, tmp_path: Path, steps: int
) -> None:
    text = "scenario a\nabout A.\nrules C8\nprofiles macos-arm64\n" + "alive\n" * steps
    (scenario,) = parse_scenarios(text)
    (profile,) = scenario.profiles()
    case = cases.Case(scenario=scenario, profile=profile, program="driver", refusal="")
    source = cases.source([case], sign_commands=[])
    builder = build.Builder(tmp_path, driver_toolchain)

    if steps == 64:
        assert builder.probe(source).exists()
        return
    with pytest.raises(RuntimeError, match="CASE_STEPS_MAX"):
        builder.probe(source)


@pytest.mark.parametrize(
    ("profile", "arguments"),
    [("macos-arm64", ()), ("macos-arm64", ("--fast", "x")), ("", ("x",))],
)
def test_wrong_use_is_said(probe: Path, profile: str, arguments: tuple[str, ...]) -> None:
    done = _run(probe, profile, *arguments)

    assert done.returncode == 2
    assert done.stderr
