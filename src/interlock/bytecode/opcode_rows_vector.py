"""Rows of the opcode table: vectors (SIMD, relaxed SIMD) and threads.  `opcodes.py` says how a row is read."""

from __future__ import annotations

from typing import Final

SIMD: Final = """
00 v128.load                     memarg:4      i:v   load 16 bytes
01 v128.load8x8_s                memarg:3      i:v   load 8 lanes of 1 byte, each sign extended to 2
02 v128.load8x8_u                memarg:3      i:v   load 8 lanes of 1 byte, each zero extended to 2
03 v128.load16x4_s               memarg:3      i:v   load 4 lanes of 2 bytes, each sign extended to 4
04 v128.load16x4_u               memarg:3      i:v   load 4 lanes of 2 bytes, each zero extended to 4
05 v128.load32x2_s               memarg:3      i:v   load 2 lanes of 4 bytes, each sign extended to 8
06 v128.load32x2_u               memarg:3      i:v   load 2 lanes of 4 bytes, each zero extended to 8
07 v128.load8_splat              memarg:0      i:v   load 1 byte into all lanes
08 v128.load16_splat             memarg:1      i:v   load 2 bytes into all lanes
09 v128.load32_splat             memarg:2      i:v   load 4 bytes into all lanes
0A v128.load64_splat             memarg:3      i:v   load 8 bytes into all lanes
0B v128.store                    memarg:4      iv:   store 16 bytes
0C v128.const                    v128          :v    a vector
0D i8x16.shuffle                 lanes         vv:v  lanes of both operands, selected by the immediate
0E i8x16.swizzle                 -             vv:v  lanes of the first, selected by the second; 0 outside
0F i8x16.splat                   -             i:v   the value in all lanes
10 i16x8.splat                   -             i:v   the value in all lanes
11 i32x4.splat                   -             i:v   the value in all lanes
12 i64x2.splat                   -             I:v   the value in all lanes
13 f32x4.splat                   -             f:v   the value in all lanes
14 f64x2.splat                   -             F:v   the value in all lanes
15 i8x16.extract_lane_s          lane          v:i   one lane, sign extended
16 i8x16.extract_lane_u          lane          v:i   one lane, zero extended
17 i8x16.replace_lane            lane          vi:v  the vector with one lane replaced
18 i16x8.extract_lane_s          lane          v:i   one lane, sign extended
19 i16x8.extract_lane_u          lane          v:i   one lane, zero extended
1A i16x8.replace_lane            lane          vi:v  the vector with one lane replaced
1B i32x4.extract_lane            lane          v:i   one lane
1C i32x4.replace_lane            lane          vi:v  the vector with one lane replaced
1D i64x2.extract_lane            lane          v:I   one lane
1E i64x2.replace_lane            lane          vI:v  the vector with one lane replaced
1F f32x4.extract_lane            lane          v:f   one lane
20 f32x4.replace_lane            lane          vf:v  the vector with one lane replaced
21 f64x2.extract_lane            lane          v:F   one lane
22 f64x2.replace_lane            lane          vF:v  the vector with one lane replaced
23 i8x16.eq                      -             vv:v  equal; all ones or all zeros in each lane
24 i8x16.ne                      -             vv:v  not equal; all ones or all zeros in each lane
25 i8x16.lt_s                    -             vv:v  less, signed; all ones or all zeros in each lane
26 i8x16.lt_u                    -             vv:v  less, unsigned; all ones or all zeros in each lane
27 i8x16.gt_s                    -             vv:v  greater, signed; all ones or all zeros in each lane
28 i8x16.gt_u                    -             vv:v  greater, unsigned; all ones or all zeros in each lane
29 i8x16.le_s                    -             vv:v  less or equal, signed; all ones or all zeros in each lane
2A i8x16.le_u                    -             vv:v  less or equal, unsigned; all ones or all zeros in each lane
2B i8x16.ge_s                    -             vv:v  greater or equal, signed; all ones or all zeros in each lane
2C i8x16.ge_u                    -             vv:v  greater or equal, unsigned; all ones or all zeros in each lane
2D i16x8.eq                      -             vv:v  equal; all ones or all zeros in each lane
2E i16x8.ne                      -             vv:v  not equal; all ones or all zeros in each lane
2F i16x8.lt_s                    -             vv:v  less, signed; all ones or all zeros in each lane
30 i16x8.lt_u                    -             vv:v  less, unsigned; all ones or all zeros in each lane
31 i16x8.gt_s                    -             vv:v  greater, signed; all ones or all zeros in each lane
32 i16x8.gt_u                    -             vv:v  greater, unsigned; all ones or all zeros in each lane
33 i16x8.le_s                    -             vv:v  less or equal, signed; all ones or all zeros in each lane
34 i16x8.le_u                    -             vv:v  less or equal, unsigned; all ones or all zeros in each lane
35 i16x8.ge_s                    -             vv:v  greater or equal, signed; all ones or all zeros in each lane
36 i16x8.ge_u                    -             vv:v  greater or equal, unsigned; all ones or all zeros in each lane
37 i32x4.eq                      -             vv:v  equal; all ones or all zeros in each lane
38 i32x4.ne                      -             vv:v  not equal; all ones or all zeros in each lane
39 i32x4.lt_s                    -             vv:v  less, signed; all ones or all zeros in each lane
3A i32x4.lt_u                    -             vv:v  less, unsigned; all ones or all zeros in each lane
3B i32x4.gt_s                    -             vv:v  greater, signed; all ones or all zeros in each lane
3C i32x4.gt_u                    -             vv:v  greater, unsigned; all ones or all zeros in each lane
3D i32x4.le_s                    -             vv:v  less or equal, signed; all ones or all zeros in each lane
3E i32x4.le_u                    -             vv:v  less or equal, unsigned; all ones or all zeros in each lane
3F i32x4.ge_s                    -             vv:v  greater or equal, signed; all ones or all zeros in each lane
40 i32x4.ge_u                    -             vv:v  greater or equal, unsigned; all ones or all zeros in each lane
41 f32x4.eq                      -             vv:v  equal; all ones or all zeros in each lane
42 f32x4.ne                      -             vv:v  not equal; all ones or all zeros in each lane
43 f32x4.lt                      -             vv:v  less; all ones or all zeros in each lane
44 f32x4.gt                      -             vv:v  greater; all ones or all zeros in each lane
45 f32x4.le                      -             vv:v  less or equal; all ones or all zeros in each lane
46 f32x4.ge                      -             vv:v  greater or equal; all ones or all zeros in each lane
47 f64x2.eq                      -             vv:v  equal; all ones or all zeros in each lane
48 f64x2.ne                      -             vv:v  not equal; all ones or all zeros in each lane
49 f64x2.lt                      -             vv:v  less; all ones or all zeros in each lane
4A f64x2.gt                      -             vv:v  greater; all ones or all zeros in each lane
4B f64x2.le                      -             vv:v  less or equal; all ones or all zeros in each lane
4C f64x2.ge                      -             vv:v  greater or equal; all ones or all zeros in each lane
4D v128.not                      -             v:v   bitwise not
4E v128.and                      -             vv:v  bitwise and
4F v128.andnot                   -             vv:v  bitwise and with the complement of the second
50 v128.or                       -             vv:v  bitwise or
51 v128.xor                      -             vv:v  bitwise exclusive or
52 v128.bitselect                -             vvv:v bits of the first where the third is 1, else of the second
53 v128.any_true                 -             v:i   is any bit 1
54 v128.load8_lane               memarg:0,lane iv:v  load 1 byte into one lane
55 v128.load16_lane              memarg:1,lane iv:v  load 2 bytes into one lane
56 v128.load32_lane              memarg:2,lane iv:v  load 4 bytes into one lane
57 v128.load64_lane              memarg:3,lane iv:v  load 8 bytes into one lane
58 v128.store8_lane              memarg:0,lane iv:   store one lane of 1 byte
59 v128.store16_lane             memarg:1,lane iv:   store one lane of 2 bytes
5A v128.store32_lane             memarg:2,lane iv:   store one lane of 4 bytes
5B v128.store64_lane             memarg:3,lane iv:   store one lane of 8 bytes
5C v128.load32_zero              memarg:2      i:v   load 4 bytes into the first lane, 0 elsewhere
5D v128.load64_zero              memarg:3      i:v   load 8 bytes into the first lane, 0 elsewhere
5E f32x4.demote_f64x2_zero       -             v:v   two numbers demoted, 0 in the upper lanes
5F f64x2.promote_low_f32x4       -             v:v   the two lower numbers promoted
60 i8x16.abs                     -             v:v   absolute value
61 i8x16.neg                     -             v:v   negate
62 i8x16.popcnt                  -             v:v   count ones
63 i8x16.all_true                -             v:i   are all lanes not zero
64 i8x16.bitmask                 -             v:i   the top bit of each lane
65 i8x16.narrow_i16x8_s          -             vv:v  lanes of both operands narrowed, signed, saturating
66 i8x16.narrow_i16x8_u          -             vv:v  lanes of both operands narrowed, unsigned, saturating
67 f32x4.ceil                    -             v:v   round up
68 f32x4.floor                   -             v:v   round down
69 f32x4.trunc                   -             v:v   round towards zero
6A f32x4.nearest                 -             v:v   round to nearest, ties to even
6B i8x16.shl                     -             vi:v  shift left, count modulo the lane's bits
6C i8x16.shr_s                   -             vi:v  shift right, sign filled
6D i8x16.shr_u                   -             vi:v  shift right, zero filled
6E i8x16.add                     -             vv:v  add
6F i8x16.add_sat_s               -             vv:v  add, signed, saturating
70 i8x16.add_sat_u               -             vv:v  add, unsigned, saturating
71 i8x16.sub                     -             vv:v  subtract
72 i8x16.sub_sat_s               -             vv:v  subtract, signed, saturating
73 i8x16.sub_sat_u               -             vv:v  subtract, unsigned, saturating
74 f64x2.ceil                    -             v:v   round up
75 f64x2.floor                   -             v:v   round down
76 i8x16.min_s                   -             vv:v  minimum, signed
77 i8x16.min_u                   -             vv:v  minimum, unsigned
78 i8x16.max_s                   -             vv:v  maximum, signed
79 i8x16.max_u                   -             vv:v  maximum, unsigned
7A f64x2.trunc                   -             v:v   round towards zero
7B i8x16.avgr_u                  -             vv:v  average, rounded up, unsigned
7C i16x8.extadd_pairwise_i8x16_s -             v:v   add neighbours, sign extended
7D i16x8.extadd_pairwise_i8x16_u -             v:v   add neighbours, zero extended
7E i32x4.extadd_pairwise_i16x8_s -             v:v   add neighbours, sign extended
7F i32x4.extadd_pairwise_i16x8_u -             v:v   add neighbours, zero extended
80 i16x8.abs                     -             v:v   absolute value
81 i16x8.neg                     -             v:v   negate
82 i16x8.q15mulr_sat_s           -             vv:v  multiply as Q15, rounded, saturating
83 i16x8.all_true                -             v:i   are all lanes not zero
84 i16x8.bitmask                 -             v:i   the top bit of each lane
85 i16x8.narrow_i32x4_s          -             vv:v  lanes of both operands narrowed, signed, saturating
86 i16x8.narrow_i32x4_u          -             vv:v  lanes of both operands narrowed, unsigned, saturating
87 i16x8.extend_low_i8x16_s      -             v:v   the lower lanes, sign extended
88 i16x8.extend_high_i8x16_s     -             v:v   the upper lanes, sign extended
89 i16x8.extend_low_i8x16_u      -             v:v   the lower lanes, zero extended
8A i16x8.extend_high_i8x16_u     -             v:v   the upper lanes, zero extended
8B i16x8.shl                     -             vi:v  shift left, count modulo the lane's bits
8C i16x8.shr_s                   -             vi:v  shift right, sign filled
8D i16x8.shr_u                   -             vi:v  shift right, zero filled
8E i16x8.add                     -             vv:v  add
8F i16x8.add_sat_s               -             vv:v  add, signed, saturating
90 i16x8.add_sat_u               -             vv:v  add, unsigned, saturating
91 i16x8.sub                     -             vv:v  subtract
92 i16x8.sub_sat_s               -             vv:v  subtract, signed, saturating
93 i16x8.sub_sat_u               -             vv:v  subtract, unsigned, saturating
94 f64x2.nearest                 -             v:v   round to nearest, ties to even
95 i16x8.mul                     -             vv:v  multiply
96 i16x8.min_s                   -             vv:v  minimum, signed
97 i16x8.min_u                   -             vv:v  minimum, unsigned
98 i16x8.max_s                   -             vv:v  maximum, signed
99 i16x8.max_u                   -             vv:v  maximum, unsigned
9B i16x8.avgr_u                  -             vv:v  average, rounded up, unsigned
9C i16x8.extmul_low_i8x16_s      -             vv:v  multiply the lower lanes, sign extended
9D i16x8.extmul_high_i8x16_s     -             vv:v  multiply the upper lanes, sign extended
9E i16x8.extmul_low_i8x16_u      -             vv:v  multiply the lower lanes, zero extended
9F i16x8.extmul_high_i8x16_u     -             vv:v  multiply the upper lanes, zero extended
A0 i32x4.abs                     -             v:v   absolute value
A1 i32x4.neg                     -             v:v   negate
A3 i32x4.all_true                -             v:i   are all lanes not zero
A4 i32x4.bitmask                 -             v:i   the top bit of each lane
A7 i32x4.extend_low_i16x8_s      -             v:v   the lower lanes, sign extended
A8 i32x4.extend_high_i16x8_s     -             v:v   the upper lanes, sign extended
A9 i32x4.extend_low_i16x8_u      -             v:v   the lower lanes, zero extended
AA i32x4.extend_high_i16x8_u     -             v:v   the upper lanes, zero extended
AB i32x4.shl                     -             vi:v  shift left, count modulo the lane's bits
AC i32x4.shr_s                   -             vi:v  shift right, sign filled
AD i32x4.shr_u                   -             vi:v  shift right, zero filled
AE i32x4.add                     -             vv:v  add
B1 i32x4.sub                     -             vv:v  subtract
B5 i32x4.mul                     -             vv:v  multiply
B6 i32x4.min_s                   -             vv:v  minimum, signed
B7 i32x4.min_u                   -             vv:v  minimum, unsigned
B8 i32x4.max_s                   -             vv:v  maximum, signed
B9 i32x4.max_u                   -             vv:v  maximum, unsigned
BA i32x4.dot_i16x8_s             -             vv:v  multiply lanes, signed, and add neighbours
BC i32x4.extmul_low_i16x8_s      -             vv:v  multiply the lower lanes, sign extended
BD i32x4.extmul_high_i16x8_s     -             vv:v  multiply the upper lanes, sign extended
BE i32x4.extmul_low_i16x8_u      -             vv:v  multiply the lower lanes, zero extended
BF i32x4.extmul_high_i16x8_u     -             vv:v  multiply the upper lanes, zero extended
C0 i64x2.abs                     -             v:v   absolute value
C1 i64x2.neg                     -             v:v   negate
C3 i64x2.all_true                -             v:i   are all lanes not zero
C4 i64x2.bitmask                 -             v:i   the top bit of each lane
C7 i64x2.extend_low_i32x4_s      -             v:v   the lower lanes, sign extended
C8 i64x2.extend_high_i32x4_s     -             v:v   the upper lanes, sign extended
C9 i64x2.extend_low_i32x4_u      -             v:v   the lower lanes, zero extended
CA i64x2.extend_high_i32x4_u     -             v:v   the upper lanes, zero extended
CB i64x2.shl                     -             vi:v  shift left, count modulo the lane's bits
CC i64x2.shr_s                   -             vi:v  shift right, sign filled
CD i64x2.shr_u                   -             vi:v  shift right, zero filled
CE i64x2.add                     -             vv:v  add
D1 i64x2.sub                     -             vv:v  subtract
D5 i64x2.mul                     -             vv:v  multiply
D6 i64x2.eq                      -             vv:v  equal; all ones or all zeros in each lane
D7 i64x2.ne                      -             vv:v  not equal; all ones or all zeros in each lane
D8 i64x2.lt_s                    -             vv:v  less, signed; all ones or all zeros in each lane
D9 i64x2.gt_s                    -             vv:v  greater, signed; all ones or all zeros in each lane
DA i64x2.le_s                    -             vv:v  less or equal, signed; all ones or all zeros in each lane
DB i64x2.ge_s                    -             vv:v  greater or equal, signed; all ones or all zeros in each lane
DC i64x2.extmul_low_i32x4_s      -             vv:v  multiply the lower lanes, sign extended
DD i64x2.extmul_high_i32x4_s     -             vv:v  multiply the upper lanes, sign extended
DE i64x2.extmul_low_i32x4_u      -             vv:v  multiply the lower lanes, zero extended
DF i64x2.extmul_high_i32x4_u     -             vv:v  multiply the upper lanes, zero extended
E0 f32x4.abs                     -             v:v   absolute value
E1 f32x4.neg                     -             v:v   negate
E3 f32x4.sqrt                    -             v:v   square root
E4 f32x4.add                     -             vv:v  add
E5 f32x4.sub                     -             vv:v  subtract
E6 f32x4.mul                     -             vv:v  multiply
E7 f32x4.div                     -             vv:v  divide
E8 f32x4.min                     -             vv:v  minimum; NaN if one is
E9 f32x4.max                     -             vv:v  maximum; NaN if one is
EA f32x4.pmin                    -             vv:v  the second if it is less than the first, else the first
EB f32x4.pmax                    -             vv:v  the second if it is greater than the first, else the first
EC f64x2.abs                     -             v:v   absolute value
ED f64x2.neg                     -             v:v   negate
EF f64x2.sqrt                    -             v:v   square root
F0 f64x2.add                     -             vv:v  add
F1 f64x2.sub                     -             vv:v  subtract
F2 f64x2.mul                     -             vv:v  multiply
F3 f64x2.div                     -             vv:v  divide
F4 f64x2.min                     -             vv:v  minimum; NaN if one is
F5 f64x2.max                     -             vv:v  maximum; NaN if one is
F6 f64x2.pmin                    -             vv:v  the second if it is less than the first, else the first
F7 f64x2.pmax                    -             vv:v  the second if it is greater than the first, else the first
F8 i32x4.trunc_sat_f32x4_s       -             v:v   truncate, signed; saturates, NaN gives 0
F9 i32x4.trunc_sat_f32x4_u       -             v:v   truncate, unsigned; saturates, NaN gives 0
FA f32x4.convert_i32x4_s         -             v:v   nearest numbers, signed
FB f32x4.convert_i32x4_u         -             v:v   nearest numbers, unsigned
FC i32x4.trunc_sat_f64x2_s_zero  -             v:v   truncate two numbers, signed, saturating; 0 in the upper lanes
FD i32x4.trunc_sat_f64x2_u_zero  -             v:v   truncate two numbers, unsigned, saturating; 0 in the upper lanes
FE f64x2.convert_low_i32x4_s     -             v:v   the two lower lanes as numbers, signed
FF f64x2.convert_low_i32x4_u     -             v:v   the two lower lanes as numbers, unsigned
"""

RELAXED_SIMD: Final = """
100 i8x16.relaxed_swizzle               - vv:v  swizzle; free where the index is outside
101 i32x4.relaxed_trunc_f32x4_s         - v:v   truncate, signed; free where it does not fit
102 i32x4.relaxed_trunc_f32x4_u         - v:v   truncate, unsigned; free where it does not fit
103 i32x4.relaxed_trunc_f64x2_s_zero    - v:v   truncate two numbers, signed; free where it does not fit
104 i32x4.relaxed_trunc_f64x2_u_zero    - v:v   truncate two numbers, unsigned; free where it does not fit
105 f32x4.relaxed_madd                  - vvv:v multiply and add, rounded once or twice
106 f32x4.relaxed_nmadd                 - vvv:v negated multiply and add, rounded once or twice
107 f64x2.relaxed_madd                  - vvv:v multiply and add, rounded once or twice
108 f64x2.relaxed_nmadd                 - vvv:v negated multiply and add, rounded once or twice
109 i8x16.relaxed_laneselect            - vvv:v select by mask lanes; free for mixed masks
10A i16x8.relaxed_laneselect            - vvv:v select by mask lanes; free for mixed masks
10B i32x4.relaxed_laneselect            - vvv:v select by mask lanes; free for mixed masks
10C i64x2.relaxed_laneselect            - vvv:v select by mask lanes; free for mixed masks
10D f32x4.relaxed_min                   - vv:v  minimum; free for NaN and zeros
10E f32x4.relaxed_max                   - vv:v  maximum; free for NaN and zeros
10F f64x2.relaxed_min                   - vv:v  minimum; free for NaN and zeros
110 f64x2.relaxed_max                   - vv:v  maximum; free for NaN and zeros
111 i16x8.relaxed_q15mulr_s             - vv:v  multiply as Q15, rounded; free on overflow
112 i16x8.relaxed_dot_i8x16_i7x16_s     - vv:v  multiply lanes and add neighbours
113 i32x4.relaxed_dot_i8x16_i7x16_add_s - vvv:v multiply lanes, add groups of four and the third operand
"""

THREADS: Final = """
00 memory.atomic.notify       memarg:2 ii:i  wake waiting threads; how many were woken
01 memory.atomic.wait32       memarg:2 iiI:i wait while 4 bytes have the expected value, with a time limit
02 memory.atomic.wait64       memarg:3 iII:i wait while 8 bytes have the expected value, with a time limit
03 atomic.fence               order    :     order all accesses
10 i32.atomic.load            memarg:2 i:i   load 4 bytes atomically
11 i64.atomic.load            memarg:3 i:I   load 8 bytes atomically
12 i32.atomic.load8_u         memarg:0 i:i   load 1 byte atomically
13 i32.atomic.load16_u        memarg:1 i:i   load 2 bytes atomically
14 i64.atomic.load8_u         memarg:0 i:I   load 1 byte atomically
15 i64.atomic.load16_u        memarg:1 i:I   load 2 bytes atomically
16 i64.atomic.load32_u        memarg:2 i:I   load 4 bytes atomically
17 i32.atomic.store           memarg:2 ii:   store 4 bytes atomically
18 i64.atomic.store           memarg:3 iI:   store 8 bytes atomically
19 i32.atomic.store8          memarg:0 ii:   store 1 byte atomically
1A i32.atomic.store16         memarg:1 ii:   store 2 bytes atomically
1B i64.atomic.store8          memarg:0 iI:   store 1 byte atomically
1C i64.atomic.store16         memarg:1 iI:   store 2 bytes atomically
1D i64.atomic.store32         memarg:2 iI:   store 4 bytes atomically
1E i32.atomic.rmw.add         memarg:2 ii:i  add to 4 bytes atomically; the old value
1F i64.atomic.rmw.add         memarg:3 iI:I  add to 8 bytes atomically; the old value
20 i32.atomic.rmw8.add_u      memarg:0 ii:i  add to 1 byte atomically; the old value
21 i32.atomic.rmw16.add_u     memarg:1 ii:i  add to 2 bytes atomically; the old value
22 i64.atomic.rmw8.add_u      memarg:0 iI:I  add to 1 byte atomically; the old value
23 i64.atomic.rmw16.add_u     memarg:1 iI:I  add to 2 bytes atomically; the old value
24 i64.atomic.rmw32.add_u     memarg:2 iI:I  add to 4 bytes atomically; the old value
25 i32.atomic.rmw.sub         memarg:2 ii:i  subtract from 4 bytes atomically; the old value
26 i64.atomic.rmw.sub         memarg:3 iI:I  subtract from 8 bytes atomically; the old value
27 i32.atomic.rmw8.sub_u      memarg:0 ii:i  subtract from 1 byte atomically; the old value
28 i32.atomic.rmw16.sub_u     memarg:1 ii:i  subtract from 2 bytes atomically; the old value
29 i64.atomic.rmw8.sub_u      memarg:0 iI:I  subtract from 1 byte atomically; the old value
2A i64.atomic.rmw16.sub_u     memarg:1 iI:I  subtract from 2 bytes atomically; the old value
2B i64.atomic.rmw32.sub_u     memarg:2 iI:I  subtract from 4 bytes atomically; the old value
2C i32.atomic.rmw.and         memarg:2 ii:i  bitwise and with 4 bytes atomically; the old value
2D i64.atomic.rmw.and         memarg:3 iI:I  bitwise and with 8 bytes atomically; the old value
2E i32.atomic.rmw8.and_u      memarg:0 ii:i  bitwise and with 1 byte atomically; the old value
2F i32.atomic.rmw16.and_u     memarg:1 ii:i  bitwise and with 2 bytes atomically; the old value
30 i64.atomic.rmw8.and_u      memarg:0 iI:I  bitwise and with 1 byte atomically; the old value
31 i64.atomic.rmw16.and_u     memarg:1 iI:I  bitwise and with 2 bytes atomically; the old value
32 i64.atomic.rmw32.and_u     memarg:2 iI:I  bitwise and with 4 bytes atomically; the old value
33 i32.atomic.rmw.or          memarg:2 ii:i  bitwise or with 4 bytes atomically; the old value
34 i64.atomic.rmw.or          memarg:3 iI:I  bitwise or with 8 bytes atomically; the old value
35 i32.atomic.rmw8.or_u       memarg:0 ii:i  bitwise or with 1 byte atomically; the old value
36 i32.atomic.rmw16.or_u      memarg:1 ii:i  bitwise or with 2 bytes atomically; the old value
37 i64.atomic.rmw8.or_u       memarg:0 iI:I  bitwise or with 1 byte atomically; the old value
38 i64.atomic.rmw16.or_u      memarg:1 iI:I  bitwise or with 2 bytes atomically; the old value
39 i64.atomic.rmw32.or_u      memarg:2 iI:I  bitwise or with 4 bytes atomically; the old value
3A i32.atomic.rmw.xor         memarg:2 ii:i  bitwise exclusive or with 4 bytes atomically; the old value
3B i64.atomic.rmw.xor         memarg:3 iI:I  bitwise exclusive or with 8 bytes atomically; the old value
3C i32.atomic.rmw8.xor_u      memarg:0 ii:i  bitwise exclusive or with 1 byte atomically; the old value
3D i32.atomic.rmw16.xor_u     memarg:1 ii:i  bitwise exclusive or with 2 bytes atomically; the old value
3E i64.atomic.rmw8.xor_u      memarg:0 iI:I  bitwise exclusive or with 1 byte atomically; the old value
3F i64.atomic.rmw16.xor_u     memarg:1 iI:I  bitwise exclusive or with 2 bytes atomically; the old value
40 i64.atomic.rmw32.xor_u     memarg:2 iI:I  bitwise exclusive or with 4 bytes atomically; the old value
41 i32.atomic.rmw.xchg        memarg:2 ii:i  exchange 4 bytes atomically; the old value
42 i64.atomic.rmw.xchg        memarg:3 iI:I  exchange 8 bytes atomically; the old value
43 i32.atomic.rmw8.xchg_u     memarg:0 ii:i  exchange 1 byte atomically; the old value
44 i32.atomic.rmw16.xchg_u    memarg:1 ii:i  exchange 2 bytes atomically; the old value
45 i64.atomic.rmw8.xchg_u     memarg:0 iI:I  exchange 1 byte atomically; the old value
46 i64.atomic.rmw16.xchg_u    memarg:1 iI:I  exchange 2 bytes atomically; the old value
47 i64.atomic.rmw32.xchg_u    memarg:2 iI:I  exchange 4 bytes atomically; the old value
48 i32.atomic.rmw.cmpxchg     memarg:2 iii:i compare and exchange 4 bytes atomically; the old value
49 i64.atomic.rmw.cmpxchg     memarg:3 iII:I compare and exchange 8 bytes atomically; the old value
4A i32.atomic.rmw8.cmpxchg_u  memarg:0 iii:i compare and exchange 1 byte atomically; the old value
4B i32.atomic.rmw16.cmpxchg_u memarg:1 iii:i compare and exchange 2 bytes atomically; the old value
4C i64.atomic.rmw8.cmpxchg_u  memarg:0 iII:I compare and exchange 1 byte atomically; the old value
4D i64.atomic.rmw16.cmpxchg_u memarg:1 iII:I compare and exchange 2 bytes atomically; the old value
4E i64.atomic.rmw32.cmpxchg_u memarg:2 iII:I compare and exchange 4 bytes atomically; the old value
"""
