# What core/binding/binding.c offers.

from collections.abc import Callable
from typing import Self

# Addresses for il_exec.host_call and il_exec.compile.
HOST_CALL: int
COMPILE: int

class MemoryBuffer:
    # The bytes of the `il_memory` at an address; keeps the owner alive.
    def __new__(cls, address: int, owner: object, *args: object) -> Self: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...
    def close_buffer(self) -> None: ...

def make_function(
    name: str,
    doc: str,
    exec_address: int,
    funcref_address: int,
    signature: str,
    owner: object,
    /,
) -> Callable[..., object]: ...
def register_instance(
    instance: object,
    vmctx_address: int,
    functions: tuple[tuple[Callable[..., object], str, str] | None, ...],
    /,
) -> None: ...
def forget_instance(vmctx_address: int, /) -> None: ...
