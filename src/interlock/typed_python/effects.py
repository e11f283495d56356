"""Which array parameters a program's functions write, themselves or through what they call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from interlock.typed_python import tree

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


def written_arrays(
    functions: Sequence[tree.Function],
) -> Mapping[tree.Signature, frozenset[str]]:
    """The names of the array parameters that each function may write."""
    calls = {each.signature: list(_calls(each.body)) for each in functions}
    names = {each.signature: [param.name for param in each.params] for each in functions}
    written = {each.signature: set(_stores(each.body)) for each in functions}
    is_changed = True
    while is_changed:
        is_changed = False
        for signature, called in calls.items():
            passed = {
                argument.name
                for call in called
                for argument, name in zip(call.arguments, names[call.callee], strict=True)
                if isinstance(argument, tree.Array) and name in written[call.callee]
            }
            is_changed |= not passed <= written[signature]
            written[signature] |= passed
    return {signature: frozenset(found) for signature, found in written.items()}


def _stores(body: object) -> Iterator[str]:
    return (
        each.access.array.name
        for each in _nodes(body)
        if isinstance(each, tree.Store) and isinstance(each.access, tree.Access)
    )


def _calls(body: object) -> Iterator[tree.Call]:
    return (each for each in _nodes(body) if isinstance(each, tree.Call))


def _nodes(value: object) -> Iterator[object]:
    """Every node of a typed tree."""
    waiting = [value]
    while waiting:
        node = waiting.pop()
        if isinstance(node, tuple) and not isinstance(node, tree.Place):
            waiting += node
        elif isinstance(node, tree.Expr | tree.Stmt | tree.Access | tree.Deref):
            yield node
            # A signature leads to other functions.
            fields = node.__dataclass_fields__
            waiting += [getattr(node, name) for name in fields if name != "callee"]
