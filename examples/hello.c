/* hello.c - greets its arguments.
 *
 *   python -m ziglang cc -target wasm32-wasi -O2 examples/hello.c -o hello.wasm
 *   interlock run hello.wasm Ada Grace
 */
#include <stdio.h>

int main(int argc, char **argv) {
    if (argc < 2) puts("Hello, world!");
    for (int i = 1; i < argc; i++) printf("Hello, %s!\n", argv[i]);
    return 0;
}
