/* assembly.h - ELF: how a function of an .S file begins, and what C calls it. */
#define C_NAME(name) name

    .macro FUNCTION name
    .globl \name
    .hidden \name
    .type \name, STT_FUNC
    .balign 16
\name:
    .endm

    .section .note.GNU-stack, "", %progbits
    .text
