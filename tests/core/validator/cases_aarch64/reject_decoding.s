# V010 zeros
.inst 0x00000000
ret
---
# V010 an unallocated word
.inst 0xffffffff
---
# V010 pointer authentication by a hint
paciasp
ret
---
# V010 waiting for an event
wfe
ret
---
# V010 speculation barrier
csdb
ret
---
# V010 an instruction barrier, for code that changes itself
isb
ret
---
# V010 a barrier for devices
dsb sy
ret
---
# V010 a barrier beyond the inner shareable domain
dmb sy
ret
---
# V010 a memory tag
irg x0, x1
ret
---
# V010 a tagged store
stg x0, [x0]
ret
---
# V010 a copy of any length
cpyfp [x0]!, [x1]!, x2!
ret
---
# V010 a scalable vector
add z0.d, z1.d, z2.d
ret
---
# V010 64 bytes at once
ld64b x0, [x8]
ret
---
# V010 half precision
fadd h0, h1, h2
ret
---
# V010 a cipher
aese v0.16b, v1.16b
ret
---
# V010 authenticated load
ldraa x0, [x1]
ret
---
# V010 an unprivileged load
ldtr x0, [x1]
ret
---
# V010 a shift of a 32-bit register by 32 and more
.inst 0x0b02c020
ret
---
# V010 a reserved logical immediate
.inst 0x9240fc00
ret
---
# V010 a vector of two 64-bit lanes in half a register
.inst 0x0ee28420
ret
---
# V010 two results in one register
ldp x1, x2, [x0]
.inst 0xa9400400 | 1
.inst 0xa9400401
ret
---
# V010 two vector results in one register
.inst 0xad400400 | 1
ret
---
# V010 two exclusive results in one register
.inst 0xc87f0401
ret
---
# V010 writeback into the register that is loaded
.inst 0xf8408400
ret
---
# V010 writeback into the register that is stored
.inst 0xf8008c21
ret
---
# V010 writeback into the second register of a pair
.inst 0xa8c10020
ret
---
# V010 the status of an exclusive store over its value
.inst 0xc8007c20
ret
---
# V010 the status of an exclusive store over its address
.inst 0xc8017c22 & ~0x3e0 | 1 << 5
ret
---
# V010 the status of an exclusive store over its second value
.inst 0xc8210440 | 1 << 10
ret
---
# V010 the status of an exclusive store of a pair over its first value
.inst 0xc8200000 | 1 << 16 | 2 << 10 | 3 << 5 | 1
ret
---
# V010 the status of an exclusive store of a pair over its address
.inst 0xc8200000 | 3 << 16 | 2 << 10 | 3 << 5 | 1
ret
---
# V011 half a word behind the return
ret
.byte 0x1f, 0x20
---
# V010 a pair is loaded over its base: the second register
.inst 0xa8c10420
ret
---
# V010 a pair is stored over its base: the second register
.inst 0xa8810420
ret
