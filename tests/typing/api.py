"""The public interface as the type checker sees it: mypy reads this file, nothing runs it."""

from __future__ import annotations

from typing import assert_type

import interlock


def embedding(wasm: bytes) -> None:
    """An engine, a module, an instance, and its exports."""
    with interlock.Engine(interlock.Config(code_bytes_max=64 << 20)) as engine:
        assert_type(engine.protection, interlock.Protection)
        module = engine.compile_wasm(wasm)
        assert_type(module, interlock.Module)
        wasi = interlock.Wasi(args=["program"], env={"K": "V"}, preopens={"/": "."})
        instance = engine.instantiate(module, imports={"env": {"log": print}}, wasi=wasi)
        assert_type(instance, interlock.Instance)
        assert_type("add" in instance.exports, bool)
        assert_type(instance.run(), int)


def own_machine_code(code: bytes) -> None:
    """A region, published code, and a function of it."""
    with interlock.Region(4 << 20) as region:
        published = region.publish(code, entries={"f": 0})
        assert_type(published, interlock.PublishedCode)
        published.function("f", "i64(i64, i64)")


def own_policy() -> None:
    """A policy that narrows, for a region and for an engine."""
    policy = interlock.Policy(
        refused_classes=frozenset({interlock.InstructionClass.AVX}), frame_bytes_max=4096
    )
    assert_type(interlock.Config(policy=policy).policy, interlock.Policy | None)
    assert_type(interlock.Region(4096, policy=policy), interlock.Region)


def refusal(error: interlock.CodeRejectedError) -> None:
    """A rejection is data."""
    assert_type(error.rejection, interlock.Rejection)
    assert_type(error.rejection.rule_id, str)
    assert_type(error.rejection.bytes_seen, bytes)


def one_liner() -> None:
    """The default engine."""
    assert_type(interlock.load("plugin.wasm"), interlock.Instance)


def trap(error: interlock.Trap) -> None:
    """A trap names its kind."""
    assert_type(error.kind, str)


def apples_contract(plist: bytes) -> None:
    """Rules, a profile, entitlements, a scenario."""
    contract = interlock.contract
    process = contract.profile("macos-arm64-hardened")
    assert_type(process, contract.Profile)
    assert_type(contract.rules(), tuple[contract.Rule, ...])
    assert_type(contract.rule("C8").applies_to(process), bool)
    assert_type(contract.parse_plist(plist), contract.Entitlements)
    for scenario in contract.parse_scenarios("scenario a"):
        assert_type(contract.play(scenario, process, contract.ModelMachine()), contract.Report)


@interlock.struct
class Point:
    """A struct."""

    x: interlock.types.f64


@interlock.jit
def scaled(points: interlock.types.Array[Point], by: interlock.types.i32) -> interlock.types.f64:
    """Fields of structs and arrays keep their types."""
    points[0].x *= by
    return points[0].x


@interlock.jit(inline=True)
def half(a: interlock.types.i64) -> interlock.types.i64:
    """Numbers are those of Python."""
    return a // 2


def compiled_functions() -> None:
    """A compiled function keeps its signature."""
    assert_type(half(3), int)
    assert_type(half.python(3), int)
    assert_type(half.inspect("wat"), str)
    half("3")  # type: ignore[arg-type]  # that is the test
    scaled(interlock.empty(3, Point), 2)
    assert_type(interlock.build_wasm(half, scaled), bytes)
