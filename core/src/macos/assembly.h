/* assembly.h - Mach-O: how a function of an .S file begins, and what C calls it. */
#define C_NAME(name) _##name

    .macro FUNCTION name
    .globl _\name
    .private_extern _\name
    .p2align 4
_\name:
    .endm

    .text
