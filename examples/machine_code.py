"""Publishes machine code of one's own, calls it, and shows a refusal.

python examples/machine_code.py
"""

from __future__ import annotations

import interlock

# endbr64; lea rax, [rdi + rsi]; ret
ADD = bytes.fromhex("f30f1efa 488d0437 c3")
# endbr64; mov eax, 39 (getpid); syscall; ret
SYSTEM_CALL = bytes.fromhex("f30f1efa b827000000 0f05 c3")


def main() -> None:
    """Publish both; only one is accepted."""
    with interlock.Region(1 << 20) as region:
        code = region.publish(ADD, entries={"add": 0})
        add = code.function("add", "i64(i64, i64)")
        print("add(40, 2) =", add(40, 2))
        try:
            region.publish(SYSTEM_CALL, entries={"getpid": 0})
        except interlock.CodeRejectedError as error:
            print("refused:", error)


if __name__ == "__main__":
    main()
