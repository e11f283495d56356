/* settings.c - il_apple_configure(): prints what each call of it answers, then what the Mac is like. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "machine_code.h"

int main(int count, char **words) {
    for (int i = 1; i < count; i++) {
        int is_use = strcmp(words[i], "use") == 0;
        int status = is_use ? pthread_jit_write_protect_supported_np() : il_apple_configure(words[i]);
        printf("%d %s\n", status, status == -1 && errno == EINVAL ? "EINVAL" : status == -1 ? "EBUSY" : "");
    }
    printf("page %d\n", getpagesize());
    return 0;
}
