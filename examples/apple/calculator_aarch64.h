/* calculator_aarch64.h - the templates of calculator.c; the machine's stack is the calculator's, 16 bytes for each number. */
#define POP_BOTH 0xe1, 0x07, 0x41, 0xf8, 0xe0, 0x07, 0x41, 0xf8 /* ldr x1, [sp], #16; ldr x0, [sp], #16 */
#define PUSH 0xe0, 0x0f, 0x1f, 0xf8                             /* str x0, [sp, #-16]! */

static const struct template TEMPLATES[TEMPLATE_COUNT] = {
    [ADD] = {{POP_BOTH, 0x00, 0x00, 0x01, 0x0b, PUSH}, 16, 0, 2, 1},      /* add w0, w0, w1 */
    [SUBTRACT] = {{POP_BOTH, 0x00, 0x00, 0x01, 0x4b, PUSH}, 16, 0, 2, 1}, /* sub w0, w0, w1 */
    [MULTIPLY] = {{POP_BOTH, 0x00, 0x7c, 0x01, 0x1b, PUSH}, 16, 0, 2, 1}, /* mul w0, w0, w1 */
    /* ldr w0, the word behind the branch; b over it; the word */
    [NUMBER] = {{0x40, 0x00, 0x00, 0x18, 0x02, 0x00, 0x00, 0x14, 0, 0, 0, 0, PUSH}, 16, 8, 0, 1},
    [RESULT] = {{0xe0, 0x07, 0x41, 0xf8, 0xc0, 0x03, 0x5f, 0xd6}, 8, 0, 1, 0}, /* ldr x0, [sp], #16; ret */
};
