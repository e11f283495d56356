"""Rows of the opcode table: scalar instructions.  `opcodes.py` says how a row is read."""

from __future__ import annotations

from typing import Final

CORE: Final = """
00 unreachable          -               *    trap
01 nop                  -               :    do nothing
02 block                blocktype       *    begin a block whose label is its end
03 loop                 blocktype       *    begin a block whose label is its beginning
04 if                   blocktype       *    pop a condition and begin one of two blocks
05 else                 -               *    end the first block of an `if` and begin the second
0B end                  -               *    end a block or an expression
0C br                   label           *    branch to a label
0D br_if                label           *    branch to a label if the condition is not zero
0E br_table             labels          *    branch to the label that the index selects, the last one by default
0F return               -               *    return from the function
10 call                 func            *    call a function
11 call_indirect        type,table      *    call the function in a table slot if it has the given type
1A drop                 -               *    discard a value
1B select               -               *    one of two numbers, by a condition
20 local.get            local           *    read a local
21 local.set            local           *    write a local
22 local.tee            local           *    write a local and keep the value
23 global.get           global          *    read a global
24 global.set           global          *    write a global
28 i32.load             memarg:2        i:i  load 4 bytes
29 i64.load             memarg:3        i:I  load 8 bytes
2A f32.load             memarg:2        i:f  load 4 bytes
2B f64.load             memarg:3        i:F  load 8 bytes
2C i32.load8_s          memarg:0        i:i  load 1 byte, sign extended
2D i32.load8_u          memarg:0        i:i  load 1 byte, zero extended
2E i32.load16_s         memarg:1        i:i  load 2 bytes, sign extended
2F i32.load16_u         memarg:1        i:i  load 2 bytes, zero extended
30 i64.load8_s          memarg:0        i:I  load 1 byte, sign extended
31 i64.load8_u          memarg:0        i:I  load 1 byte, zero extended
32 i64.load16_s         memarg:1        i:I  load 2 bytes, sign extended
33 i64.load16_u         memarg:1        i:I  load 2 bytes, zero extended
34 i64.load32_s         memarg:2        i:I  load 4 bytes, sign extended
35 i64.load32_u         memarg:2        i:I  load 4 bytes, zero extended
36 i32.store            memarg:2        ii:  store 4 bytes
37 i64.store            memarg:3        iI:  store 8 bytes
38 f32.store            memarg:2        if:  store 4 bytes
39 f64.store            memarg:3        iF:  store 8 bytes
3A i32.store8           memarg:0        ii:  store the low byte
3B i32.store16          memarg:1        ii:  store the low 2 bytes
3C i64.store8           memarg:0        iI:  store the low byte
3D i64.store16          memarg:1        iI:  store the low 2 bytes
3E i64.store32          memarg:2        iI:  store the low 4 bytes
3F memory.size          memory          :i   size in pages
40 memory.grow          memory          i:i  grow by pages; the old size, or -1
41 i32.const            i32             :i   a number
42 i64.const            i64             :I   a number
43 f32.const            f32             :f   a number
44 f64.const            f64             :F   a number
45 i32.eqz              -               i:i  is zero
46 i32.eq               -               ii:i equal
47 i32.ne               -               ii:i not equal
48 i32.lt_s             -               ii:i less, signed
49 i32.lt_u             -               ii:i less, unsigned
4A i32.gt_s             -               ii:i greater, signed
4B i32.gt_u             -               ii:i greater, unsigned
4C i32.le_s             -               ii:i less or equal, signed
4D i32.le_u             -               ii:i less or equal, unsigned
4E i32.ge_s             -               ii:i greater or equal, signed
4F i32.ge_u             -               ii:i greater or equal, unsigned
50 i64.eqz              -               I:i  is zero
51 i64.eq               -               II:i equal
52 i64.ne               -               II:i not equal
53 i64.lt_s             -               II:i less, signed
54 i64.lt_u             -               II:i less, unsigned
55 i64.gt_s             -               II:i greater, signed
56 i64.gt_u             -               II:i greater, unsigned
57 i64.le_s             -               II:i less or equal, signed
58 i64.le_u             -               II:i less or equal, unsigned
59 i64.ge_s             -               II:i greater or equal, signed
5A i64.ge_u             -               II:i greater or equal, unsigned
5B f32.eq               -               ff:i equal
5C f32.ne               -               ff:i not equal
5D f32.lt               -               ff:i less
5E f32.gt               -               ff:i greater
5F f32.le               -               ff:i less or equal
60 f32.ge               -               ff:i greater or equal
61 f64.eq               -               FF:i equal
62 f64.ne               -               FF:i not equal
63 f64.lt               -               FF:i less
64 f64.gt               -               FF:i greater
65 f64.le               -               FF:i less or equal
66 f64.ge               -               FF:i greater or equal
67 i32.clz              -               i:i  count leading zeros
68 i32.ctz              -               i:i  count trailing zeros
69 i32.popcnt           -               i:i  count ones
6A i32.add              -               ii:i add, modulo 2^32
6B i32.sub              -               ii:i subtract, modulo 2^32
6C i32.mul              -               ii:i multiply, modulo 2^32
6D i32.div_s            -               ii:i divide, signed; traps on zero and overflow
6E i32.div_u            -               ii:i divide, unsigned; traps on zero
6F i32.rem_s            -               ii:i remainder, signed; traps on zero
70 i32.rem_u            -               ii:i remainder, unsigned; traps on zero
71 i32.and              -               ii:i bitwise and
72 i32.or               -               ii:i bitwise or
73 i32.xor              -               ii:i bitwise exclusive or
74 i32.shl              -               ii:i shift left, count modulo 32
75 i32.shr_s            -               ii:i shift right, sign filled
76 i32.shr_u            -               ii:i shift right, zero filled
77 i32.rotl             -               ii:i rotate left
78 i32.rotr             -               ii:i rotate right
79 i64.clz              -               I:I  count leading zeros
7A i64.ctz              -               I:I  count trailing zeros
7B i64.popcnt           -               I:I  count ones
7C i64.add              -               II:I add, modulo 2^64
7D i64.sub              -               II:I subtract, modulo 2^64
7E i64.mul              -               II:I multiply, modulo 2^64
7F i64.div_s            -               II:I divide, signed; traps on zero and overflow
80 i64.div_u            -               II:I divide, unsigned; traps on zero
81 i64.rem_s            -               II:I remainder, signed; traps on zero
82 i64.rem_u            -               II:I remainder, unsigned; traps on zero
83 i64.and              -               II:I bitwise and
84 i64.or               -               II:I bitwise or
85 i64.xor              -               II:I bitwise exclusive or
86 i64.shl              -               II:I shift left, count modulo 64
87 i64.shr_s            -               II:I shift right, sign filled
88 i64.shr_u            -               II:I shift right, zero filled
89 i64.rotl             -               II:I rotate left
8A i64.rotr             -               II:I rotate right
8B f32.abs              -               f:f  clear the sign
8C f32.neg              -               f:f  flip the sign
8D f32.ceil             -               f:f  round up
8E f32.floor            -               f:f  round down
8F f32.trunc            -               f:f  round towards zero
90 f32.nearest          -               f:f  round to nearest, ties to even
91 f32.sqrt             -               f:f  square root
92 f32.add              -               ff:f add
93 f32.sub              -               ff:f subtract
94 f32.mul              -               ff:f multiply
95 f32.div              -               ff:f divide
96 f32.min              -               ff:f minimum; NaN if one is
97 f32.max              -               ff:f maximum; NaN if one is
98 f32.copysign         -               ff:f the first with the sign of the second
99 f64.abs              -               F:F  clear the sign
9A f64.neg              -               F:F  flip the sign
9B f64.ceil             -               F:F  round up
9C f64.floor            -               F:F  round down
9D f64.trunc            -               F:F  round towards zero
9E f64.nearest          -               F:F  round to nearest, ties to even
9F f64.sqrt             -               F:F  square root
A0 f64.add              -               FF:F add
A1 f64.sub              -               FF:F subtract
A2 f64.mul              -               FF:F multiply
A3 f64.div              -               FF:F divide
A4 f64.min              -               FF:F minimum; NaN if one is
A5 f64.max              -               FF:F maximum; NaN if one is
A6 f64.copysign         -               FF:F the first with the sign of the second
A7 i32.wrap_i64         -               I:i  the low 32 bits
A8 i32.trunc_f32_s      -               f:i  truncate, signed; traps on NaN and overflow
A9 i32.trunc_f32_u      -               f:i  truncate, unsigned; traps on NaN and overflow
AA i32.trunc_f64_s      -               F:i  truncate, signed; traps on NaN and overflow
AB i32.trunc_f64_u      -               F:i  truncate, unsigned; traps on NaN and overflow
AC i64.extend_i32_s     -               i:I  sign extend
AD i64.extend_i32_u     -               i:I  zero extend
AE i64.trunc_f32_s      -               f:I  truncate, signed; traps on NaN and overflow
AF i64.trunc_f32_u      -               f:I  truncate, unsigned; traps on NaN and overflow
B0 i64.trunc_f64_s      -               F:I  truncate, signed; traps on NaN and overflow
B1 i64.trunc_f64_u      -               F:I  truncate, unsigned; traps on NaN and overflow
B2 f32.convert_i32_s    -               i:f  nearest number, signed
B3 f32.convert_i32_u    -               i:f  nearest number, unsigned
B4 f32.convert_i64_s    -               I:f  nearest number, signed
B5 f32.convert_i64_u    -               I:f  nearest number, unsigned
B6 f32.demote_f64       -               F:f  nearest number
B7 f64.convert_i32_s    -               i:F  the same number, signed
B8 f64.convert_i32_u    -               i:F  the same number, unsigned
B9 f64.convert_i64_s    -               I:F  nearest number, signed
BA f64.convert_i64_u    -               I:F  nearest number, unsigned
BB f64.promote_f32      -               f:F  the same number
BC i32.reinterpret_f32  -               f:i  the same bits
BD i64.reinterpret_f64  -               F:I  the same bits
BE f32.reinterpret_i32  -               i:f  the same bits
BF f64.reinterpret_i64  -               I:F  the same bits
"""

SIGN_EXTENSION: Final = """
C0 i32.extend8_s  - i:i sign extend the low byte
C1 i32.extend16_s - i:i sign extend the low 2 bytes
C2 i64.extend8_s  - I:I sign extend the low byte
C3 i64.extend16_s - I:I sign extend the low 2 bytes
C4 i64.extend32_s - I:I sign extend the low 4 bytes
"""

REFERENCE_TYPES: Final = """
1C select~t    valtypes * one of two values of a given type, by a condition
25 table.get   table    * read a table element
26 table.set   table    * write a table element
D0 ref.null    heaptype * a null reference
D1 ref.is_null -        * is the reference null
D2 ref.func    func     * a reference to a function
"""

REFERENCE_TYPES_PREFIXED: Final = """
0F table.grow table * grow by elements with a value; the old size, or -1
10 table.size table * size in elements
11 table.fill table * write a value to a range of elements
"""

SATURATING_CONVERSION: Final = """
00 i32.trunc_sat_f32_s - f:i truncate, signed; saturates, NaN gives 0
01 i32.trunc_sat_f32_u - f:i truncate, unsigned; saturates, NaN gives 0
02 i32.trunc_sat_f64_s - F:i truncate, signed; saturates, NaN gives 0
03 i32.trunc_sat_f64_u - F:i truncate, unsigned; saturates, NaN gives 0
04 i64.trunc_sat_f32_s - f:I truncate, signed; saturates, NaN gives 0
05 i64.trunc_sat_f32_u - f:I truncate, unsigned; saturates, NaN gives 0
06 i64.trunc_sat_f64_s - F:I truncate, signed; saturates, NaN gives 0
07 i64.trunc_sat_f64_u - F:I truncate, unsigned; saturates, NaN gives 0
"""

BULK_MEMORY: Final = """
08 memory.init data,memory   iii: copy from a data segment to memory
09 data.drop   data          :    make a data segment empty
0A memory.copy memory,memory iii: copy within memory; the first memory is the destination
0B memory.fill memory        iii: write one byte value to a range
0C table.init  elem,table    iii: copy from an element segment to a table
0D elem.drop   elem          :    make an element segment empty
0E table.copy  table,table   iii: copy between tables; the first table is the destination
"""

TAIL_CALL: Final = """
12 return_call          func       * call a function in place of the present one
13 return_call_indirect type,table * call through a table in place of the present function
"""

EXCEPTION_HANDLING: Final = """
08 throw     tag               * throw an exception with a tag
0A throw_ref -                 * throw an exception by reference
1F try_table blocktype,catches * begin a block whose exceptions branch to labels
"""

FUNCTION_REFERENCES: Final = """
14 call_ref        type  * call a function by reference
15 return_call_ref type  * call by reference in place of the present function
D4 ref.as_non_null -     * trap if the reference is null
D5 br_on_null      label * branch if the reference is null
D6 br_on_non_null  label * branch with the reference unless it is null
"""

GC_UNPREFIXED: Final = """
D3 ref.eq - * are two references equal
"""

GC: Final = """
00 struct.new           type                              * make a structure from field values
01 struct.new_default   type                              * make a structure of default values
02 struct.get           type,field                        * read a field
03 struct.get_s         type,field                        * read a packed field, sign extended
04 struct.get_u         type,field                        * read a packed field, zero extended
05 struct.set           type,field                        * write a field
06 array.new            type                              * make an array of copies of a value
07 array.new_default    type                              * make an array of default values
08 array.new_fixed      type,count                        * make an array from operands
09 array.new_data       type,data                         * make an array from a data segment
0A array.new_elem       type,elem                         * make an array from an element segment
0B array.get            type                              * read an element
0C array.get_s          type                              * read a packed element, sign extended
0D array.get_u          type                              * read a packed element, zero extended
0E array.set            type                              * write an element
0F array.len            -                                 * number of elements
10 array.fill           type                              * write a value to a range of elements
11 array.copy           type,type                         * copy between arrays; the first type is the destination's
12 array.init_data      type,data                         * copy from a data segment to an array
13 array.init_elem      type,elem                         * copy from an element segment to an array
14 ref.test             heaptype                          * has the reference this type, null not included
15 ref.test~null        heaptype                          * has the reference this type, null included
16 ref.cast             heaptype                          * trap unless the reference has this type, null not included
17 ref.cast~null        heaptype                          * trap unless the reference has this type, null included
18 br_on_cast           castflags,label,heaptype,heaptype * branch if the reference has the second type
19 br_on_cast_fail      castflags,label,heaptype,heaptype * branch unless the reference has the second type
1A any.convert_extern   -                                 * an external reference as an internal one
1B extern.convert_any   -                                 * an internal reference as an external one
1C ref.i31              -                                 * a reference that holds 31 bits
1D i31.get_s            -                                 * the 31 bits, sign extended
1E i31.get_u            -                                 * the 31 bits, zero extended
"""
