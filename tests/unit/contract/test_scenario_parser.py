"""The text of scenarios: what it means, and where it is wrong."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock import limits
from interlock.contract import VERBS, ModelMachine, OutcomeKind, parse_scenarios, play
from interlock.errors import LimitExceededError, ScenarioError

_HEAD = "scenario a\nabout An example.\nrules A1\n"
_WHOLE = """\
# a comment
scenario whole
about    The first line,
about    and the second.
rules    A1 c8          # ids in any case
failures 3 64
profiles arm64
macos    12.1
entitlements +jit-write-allowlist -allow-jit +fatal-exceptions=jit
switch   monitor=on fork-state=rx
image    main: write weak:maybe NULL pair:other fill:3
image    libjit section=__DATA,__x size=12 shared-cache unterminated: patch

map code 4k rwx jit tag=64
@worker write code+32b 7 64b
> macos-arm64, macos-arm64-hardened: signal SIGBUS T1
> all: may ok 3 I1
callback write
> all: kill C8 "a message"
"""


def test_every_part_is_read() -> None:
    (found,) = parse_scenarios(_WHOLE, file="x")

    assert (found.name, found.about) == ("whole", "The first line, and the second.")
    assert (found.rules, found.failures, found.macos) == (("A1", "C8"), (3, 64), (12, 1))
    assert [each.name for each in found.profiles()] == [
        "macos-arm64",
        "macos-arm64-hardened",
        "macos-arm64-allowlist",
    ]
    assert found.switches == {"monitor": "on", "fork-state": "rx"}
    assert [each.words for each in found.images] == [
        ("write", "weak:maybe", "NULL", "pair:other", "fill:3"),
        ("patch",),
    ]
    assert set(found.images[1].options) == {"section", "size", "shared-cache", "unterminated"}
    for process in found.profiles():
        assert not process.entitlements.allows_jit
        assert process.entitlements.has("com.apple.security.fatal-exceptions")
    write, call = found.steps[1], found.steps[2]
    assert (write.step.verb, write.step.thread, write.step.value) == ("write", "worker", 7)
    assert write.step.place is not None
    assert write.step.place.offset.in_bytes(16384) == 32
    assert write.step.length is not None
    assert write.step.length.in_bytes(16384) == 64
    assert str(write.expectation_for("macos-arm64-hardened")) == "signal SIGBUS T1"
    assert str(write.expectation_for("macos-arm64-allowlist")) == "may ok 3 I1"
    assert str(call.expectation_for("rosetta")) == 'kill * C8 "a message"'


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("map code 1 rwx\n", "x:1:1", "before the first"),
        ("scenario a b\n", "x:1:10", "no name of a scenario"),
        (_HEAD + "alive\n" + _HEAD, "x:5:10", "two scenarios a"),
        ("scenario a\nrules A1\nalive\n", "x:1:1", "no `about`"),
        ("scenario a\nabout B.\nalive\n", "x:1:1", "no `rules`"),
        (_HEAD, "x:1:1", "no step"),
        ("scenario a\nrules A1 Z9\n", "x:2:1", "no rule 'Z9'"),
        ("scenario a\nfailures 1 x\n", "x:2:12", "'x' is no failure"),
        (_HEAD + "macos eleven\n", "x:4:1", "no version of macOS"),
        (_HEAD + "profiles macos-arm64\nmacos 10.15\nalive\n", "x:1:1", "starts with 11.0"),
        (_HEAD + "profiles windows\n", "x:4:10", "'windows' is no profile"),
        (_HEAD + "profiles\n", "x:4:1", "no profile is named"),
        (_HEAD + "entitlements jit\n", "x:4:14", "expected malformed"),
        (_HEAD + "entitlements +jit\n", "x:4:14", "one of allow-jit"),
        (_HEAD + "switch monitor=maybe\n", "x:4:1", "no value of monitor 'maybe'"),
        (_HEAD + "switch moniter=on\n", "x:4:1", "did you mean monitor"),
        (_HEAD + "image : write\n", "x:4:1", "no name of an image"),
        (_HEAD + "image main: 12\n", "x:4:13", "'12' is no callback"),
        (_HEAD + "image main site=3: f\n", "x:4:12", "expected one of"),
        (_HEAD + "image main size=x: f\n", "x:4:17", "'x' is no size"),
        (_HEAD + "image main size=1 size=2: f\n", "x:4:19", "given twice"),
        (_HEAD + "> all: ok\n", "x:4:1", "an outcome before the first step"),
        (_HEAD + "alive\nmacos 11\n", "x:5:1", "belongs before the first step"),
        (_HEAD + "alive\n> all ok\n", "x:5:1", "reads `> PROFILES: OUTCOME`"),
        (_HEAD + "alive\n> all: fine\n", "x:5:8", "'fine' is no outcome"),
        (_HEAD + "alive\n> all: errno\n", "x:5:8", "errno of which name"),
        (_HEAD + "alive\n> all: kill\n", "x:5:8", "a kill names the rule"),
        (_HEAD + "alive\n> all: ok 1 A1 A2\n", "x:5:16", "'A2' is too much"),
        (_HEAD + "mapp code 1 rwx\n", "x:4:1", "did you mean map"),
        (_HEAD + "@worker\n", "x:4:1", "a thread without a step"),
        (_HEAD + "@1 alive\n", "x:4:2", "no name of a thread"),
        (_HEAD + "map code 1\n", "x:4:1", "expected protection"),
        (_HEAD + "map code one rwx\n", "x:4:10", "'one' is no amount"),
        (_HEAD + "map code 1 rwxx\n", "x:4:12", "no protection"),
        (_HEAD + "map code 1 rwx git\n", "x:4:16", "expected one of"),
        (_HEAD + "map code 1 rwx fd=x\n", "x:4:19", "'x' is no fd"),
        (_HEAD + "map code 1 rwx fixed=other+1x\n", "x:4:28", "no amount"),
        (_HEAD + "write code+8b 1\n", "x:4:7", "multiple of 16 bytes"),
        (_HEAD + "write code 65536\n", "x:4:12", "more than 65535"),
        (_HEAD + "advise code FREE\n", "x:4:13", "expected FREE_REUSABLE"),
        (_HEAD + "symbol mmap\n", "x:4:8", "expected pthread_jit_write_protect_np"),
        (_HEAD + "handler SIGBUS ignore\n", "x:4:16", "expected catch, heal"),
        (_HEAD + "alive now\n", "x:4:7", "'now' is too much"),
    ],
)
def test_mistake_is_located(text: str, place: str, message: str) -> None:
    with pytest.raises(ScenarioError) as raised:
        parse_scenarios(text, file="x")

    assert str(raised.value).startswith(f"{place}: ")
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ("@nobody alive", "no thread nobody"),
        ("write code 1", "no region code"),
        ("return", "in no callback"),
        ("escape throw", "in no callback"),
        ("handler-return", "in no handler"),
        ("thread main", "a thread main already"),
        ("thread t\nfork t", "a thread t already"),
    ],
)
def test_mistake_that_shows_in_the_run_is_located(steps: str, message: str) -> None:
    (scenario,) = parse_scenarios(_HEAD + steps + "\n", file="x")

    with pytest.raises(ScenarioError, match=rf"x:[45]:1: .*{message}"):
        play(scenario, scenario.profiles()[0], ModelMachine())


def test_text_at_the_limit_of_size_and_one_past_it() -> None:
    whole = _HEAD + "alive\n"
    full = whole + "#" * (limits.SCENARIO_BYTES_MAX - len(whole))

    assert len(parse_scenarios(full)) == 1
    with pytest.raises(LimitExceededError, match="SCENARIO_BYTES_MAX"):
        parse_scenarios(full + "#")


def test_steps_at_the_limit_and_one_past_it() -> None:
    full = _HEAD + "alive\n" * limits.SCENARIO_STEPS_MAX

    assert len(parse_scenarios(full)[0].steps) == limits.SCENARIO_STEPS_MAX
    with pytest.raises(LimitExceededError, match="SCENARIO_STEPS_MAX"):
        parse_scenarios(full + "alive\n")


def test_length_at_the_limit_and_one_past_it() -> None:
    pages = limits.SCENARIO_LENGTH_BYTES_MAX // 16384

    parse_scenarios(_HEAD + f"map code {pages} rw\n")
    with pytest.raises(LimitExceededError, match="SCENARIO_LENGTH_BYTES_MAX"):
        parse_scenarios(_HEAD + f"write code 1 {pages + 1}\n")


@pytest.mark.parametrize("verb", VERBS, ids=lambda each: each.name)
def test_model_takes_every_step(verb: object) -> None:
    assert hasattr(verb, "name")
    assert hasattr(verb, "operands")
    operands = {
        "name": {"symbol": "pthread_jit_write_protect_np"}.get(verb.name, "fresh"),
        "place": "code",
        "length?": "16b",
        "length": "1",
        "protection": "r",
        "value": "1",
        "value?": "1",
        "advice": "FREE_REUSE",
        "action": "catch",
        "kind": "longjmp",
        "signal": "SIGUSR1",
    }
    before = {
        "return": "callback f\n",
        "escape": "callback f\n",
        "handler-return": "handler SIGUSR1 catch\ndeliver SIGUSR1\n",
    }
    words = [verb.name, *(operands.get(each, "") for each in verb.operands.split())]
    text = f"{_HEAD}map code 1 rw\n{before.get(verb.name, '')}{' '.join(words)}\n"
    (scenario,) = parse_scenarios(text)

    report = play(scenario, scenario.profiles()[0], ModelMachine())

    assert report.results[-1].outcome.kind in set(OutcomeKind)


@given(st.integers(0, len(_WHOLE)), st.text(max_size=4), st.integers(0, 6))
def test_damaged_text_is_read_or_refused_and_never_crashes(
    position: int, inserted: str, removed: int
) -> None:
    text = _WHOLE[:position] + inserted + _WHOLE[position + removed :]

    with contextlib.suppress(ScenarioError, LimitExceededError):
        for scenario in parse_scenarios(text):
            for process in scenario.profiles():
                play(scenario, process, ModelMachine())
