"""Refuses more machine code than Interlock itself does: no vector instructions, no large frames, one import less.

python examples/policy.py
"""

from __future__ import annotations

import interlock

# lea rax, [rdi + rsi]; ret
ADD = bytes.fromhex("488d0437 c3")
# vaddpd ymm0, ymm0, ymm1; ret
ADD_VECTORS = bytes.fromhex("c5fd58c1 c3")
# sub rsp, 4096; add rsp, 4096; ret
LARGE_FRAME = bytes.fromhex("4881ec00100000 4881c400100000 c3")

POLICY = interlock.Policy(
    refused_classes=frozenset({interlock.InstructionClass.AVX, interlock.InstructionClass.FMA}),
    image_code_bytes_max=4096,
    frame_bytes_max=256,
)
NO_GROWTH = interlock.Policy(refused_imports=frozenset({"memory_grow"}))
GROWS = '(module (memory 1) (func (export "f") (result i32) (memory.grow (i32.const 1))))'


def main() -> None:
    """Machine code of one's own, then WebAssembly: each under a policy that is frozen in the writer process."""
    with interlock.Region(1 << 20, policy=POLICY) as region:
        add = region.publish(ADD, entries={"add": 0}).function("add", "i64(i64, i64)")
        print("add(40, 2) =", add(40, 2))
        for code in (ADD_VECTORS, LARGE_FRAME):
            try:
                region.publish(code, entries={"f": 0})
            except interlock.CodeRejectedError as error:
                print("refused:", error)
    with interlock.Engine(interlock.Config(policy=NO_GROWTH)) as engine:
        instance = engine.instantiate(engine.compile_wat(GROWS))
        try:
            instance.exports.f()
        except interlock.CodeRejectedError as error:
            print("refused:", error)


if __name__ == "__main__":
    main()
