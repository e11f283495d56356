"""Changes one condition or one statement of the contract's model at a time and lets the scenarios say whether they notice.

python tools/mutate_contract.py [MODULE...]

Prints each change that no scenario notices: either a scenario is missing, or the code is.
"""

from __future__ import annotations

import ast
import copy
import importlib
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType
from typing import TYPE_CHECKING

sys.path.insert(
    0, str(Path(__file__).parents[1])
)  # the scenarios are read as the probe's build reads them

from apple.probe import build
from interlock import contract

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

ROOT = Path(__file__).parents[1]
MODULES = ("allow_list", "memory", "memory_map", "process", "threads")
TIMEOUT_S = 20

_SWAPS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One changed module."""

    module: str
    line: int
    what: str
    source: str


def _nodes(tree: ast.Module) -> list[ast.AST]:
    """All nodes in an order that a copy of the tree shares."""
    return list(ast.walk(tree))


def _changes(node: ast.AST) -> Iterator[tuple[str, str, int]]:
    """What can be done to a node: a kind, a description and an index."""
    if isinstance(node, (ast.If, ast.IfExp)):
        yield "negate", f"not ({ast.unparse(node.test)})", 0
    if isinstance(node, ast.BoolOp):
        for index, each in enumerate(node.values):
            yield "drop", f"without {ast.unparse(each)}", index
    if isinstance(node, ast.Compare):
        for index, operator in enumerate(node.ops):
            swap = _SWAPS[type(operator)].__name__
            yield "swap", f"{ast.unparse(node)} with {swap}", index
    if isinstance(node, (ast.Assign, ast.AugAssign, ast.Expr)) and not _is_text(node):
        yield "delete", f"without {ast.unparse(node)}", 0


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _change(tree: ast.Module, position: int, kind: str, index: int) -> str:
    mutated = copy.deepcopy(tree)
    node = _nodes(mutated)[position]
    match node:
        case ast.If() | ast.IfExp() if kind == "negate":
            node.test = ast.UnaryOp(op=ast.Not(), operand=node.test)
        case ast.BoolOp() if kind == "drop":
            del node.values[index]
        case ast.Compare() if kind == "swap":
            node.ops[index] = _SWAPS[type(node.ops[index])]()
        case _:
            _replace_by_pass(mutated, node)
    return ast.unparse(ast.fix_missing_locations(mutated))


def _replace_by_pass(tree: ast.Module, gone: ast.AST) -> None:
    for parent in ast.walk(tree):
        for name in ("body", "orelse"):
            block = getattr(parent, name, None)
            if isinstance(block, list) and gone in block:
                block[block.index(gone)] = ast.Pass()


def mutants(module: str) -> Iterator[Mutant]:
    """Every change of a module's functions."""
    path = ROOT / "src/interlock/contract" / f"{module}.py"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
    }
    for position, node in enumerate(_nodes(tree)):
        if id(node) not in inside:
            continue
        for kind, what, index in _changes(node):
            source = _change(tree, position, kind, index)
            line = getattr(node, "lineno", 0)
            yield Mutant(module=module, line=line, what=what, source=source)


def _functions(module: ModuleType) -> dict[str, FunctionType]:
    """The module's own functions and methods by qualified name."""
    found: dict[str, FunctionType] = {}
    for value in vars(module).values():
        members = list(vars(value).values()) if isinstance(value, type) else [value]
        for member in members:
            function = member.fget if isinstance(member, property) else member
            function = getattr(function, "__func__", function)
            if isinstance(function, FunctionType) and function.__module__ == module.__name__:
                found[function.__qualname__] = function
    return found


def _code_objects(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _code_objects(constant)


def _notices(mutant: Mutant, cases: list[tuple[contract.Scenario, contract.Profile]]) -> bool:
    """In a child process: whether a scenario comes to something else, or anything breaks."""
    functions = _functions(importlib.import_module(f"interlock.contract.{mutant.module}"))
    for code in _code_objects(compile(mutant.source, mutant.module, "exec")):
        function = functions.get(code.co_qualname)
        if function is not None:
            function.__code__ = code
    try:
        return any(contract.play(*case, contract.ModelMachine()).failures for case in cases)
    except Exception:  # noqa: BLE001  (a change that breaks the model is noticed)
        return True


def _survives(mutant: Mutant, cases: list[tuple[contract.Scenario, contract.Profile]]) -> bool:
    child = os.fork()
    if not child:
        # An endless loop is noticed too.  Time of the processor, so that a busy machine changes no answer.
        signal.setitimer(signal.ITIMER_PROF, TIMEOUT_S)
        os._exit(_notices(mutant, cases))
    return os.waitpid(child, 0)[1] == 0


def main(modules: list[str]) -> int:
    """Try every mutant; whether any survives decides the status."""
    if not set(modules) <= set(MODULES):
        print(f"{__doc__}\nModules: {', '.join(MODULES)}", file=sys.stderr)
        return 2
    cases = [
        (scenario, profile) for scenario in build.scenarios() for profile in scenario.profiles()
    ]
    unchanged = (ROOT / "src/interlock/contract/threads.py").read_text(encoding="utf-8")
    if not _survives(Mutant(module="threads", line=0, what="", source=unchanged), cases):
        print("the unchanged model fails its scenarios")
        return 2
    found = [mutant for module in modules or MODULES for mutant in mutants(module)]
    survivors = [each for each in found if _survives(each, cases)]
    for each in survivors:
        print(f"{each.module}.py:{each.line}: {each.what}")
    print(f"{len(found)} changes, {len(survivors)} unnoticed")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
