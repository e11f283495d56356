/* What Linux has in place of what macOS alone has. */
#include <errno.h>

#include "driver.h"

void *system_remap(void *address, size_t bytes, int protection) {
    (void)address, (void)bytes, (void)protection;
    errno = 0;
    return MAP_FAILED;
}

const char *const system_libffi = "libffi.so.8";
