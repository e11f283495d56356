/* assembly.h - Mach-O: how a function of an .S file begins and ends, and what C calls it. */
#define C_NAME(name) _##name

    .macro FUNCTION name
    .globl _\name
    .private_extern _\name
    .p2align 4
_\name:
    .endm

    .macro END_FUNCTION name
    .endm

    .text
