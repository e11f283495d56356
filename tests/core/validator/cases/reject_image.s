# V001 no entry: nothing could be called
#! entries
ret
---
# V001 more entries than the limit, of which none is read
#! count entry_count 4097
ret
---
# V001 more relocations than the limit
#! count relocation_count 65537
ret
---
# V001 more jump tables than the limit
#! count jump_table_count 1025
ret
---
# V001 more constants than the limit
#! count rodata_bytes 4194305
ret
---
# V001 more code than the limit
#! count code_bytes 4194305
ret
---
# V001 no code
#! count code_bytes 0
ret
---
# V002 no architecture has this number
#! arch 3
ret
---
# V003 an entry inside an instruction
#! entries 0 1
mov eax, 1
ret
---
# V003 an entry past the end
#! entries 0 2
nop
ret
---
# V003 entries out of order
#! entries 1 0
nop
ret
---
# V003 the same entry twice
#! entries 0 0
ret
---
# V003 an entry far outside the bitmap
#! entries 0 0xffffffff
ret
