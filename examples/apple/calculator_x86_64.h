/* calculator_x86_64.h - the templates of calculator.c; the machine's stack is the calculator's. */
static const struct template TEMPLATES[TEMPLATE_COUNT] = {
    [ADD] = {{0x59, 0x58, 0x01, 0xc8, 0x50}, 5, 0, 2, 1},            /* pop rcx; pop rax; add eax, ecx; push rax */
    [SUBTRACT] = {{0x59, 0x58, 0x29, 0xc8, 0x50}, 5, 0, 2, 1},       /* pop rcx; pop rax; sub eax, ecx; push rax */
    [MULTIPLY] = {{0x59, 0x58, 0x0f, 0xaf, 0xc1, 0x50}, 6, 0, 2, 1}, /* pop rcx; pop rax; imul eax, ecx; push rax */
    [NUMBER] = {{0xb8, 0, 0, 0, 0, 0x50}, 6, 1, 0, 1},               /* mov eax, immediate; push rax */
    [RESULT] = {{0x58, 0xc3}, 2, 0, 1, 0},                           /* pop rax; ret */
};
