/* What macOS alone has. */
#include <errno.h>
#include <mach/mach.h>

#include "driver.h"

void *system_remap(void *address, size_t bytes, int protection) {
    vm_address_t mapped = 0;
    vm_prot_t current;
    vm_prot_t maximum;
    kern_return_t status = vm_remap(mach_task_self(), &mapped, bytes, 0, VM_FLAGS_ANYWHERE, mach_task_self(),
                                    (vm_address_t)address, FALSE, &current, &maximum, VM_INHERIT_DEFAULT);
    if (status != KERN_SUCCESS) {
        errno = EINVAL;
        return MAP_FAILED;
    }
    /* JIT memory keeps the protection that it has: mprotect may not touch it. */
    if (current != protection && mprotect((void *)mapped, bytes, protection) != 0) {
        return MAP_FAILED;
    }
    return (void *)mapped;
}

const char *const system_libffi = "/usr/lib/libffi.dylib";
