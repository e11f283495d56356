/* api.h - what the library exports, and the C library's own functions behind those whose place it takes. */
#ifndef INTERLOCK_APPLE_API_H
#define INTERLOCK_APPLE_API_H

#include <signal.h>
#include <stddef.h>
#include <sys/types.h>

#define IL_APPLE_API __attribute__((visibility("default")))

/* Exported by glibc under these names, declared by no header. */
extern ssize_t __read(int fd, void *buffer, size_t bytes);
extern ssize_t __pread64(int fd, void *buffer, size_t bytes, off_t offset);
extern long __sysconf(int name);
extern int __sigaction(int number, const struct sigaction *action, struct sigaction *old_out);

/* The first use ends the time in which il_apple_configure() may be called. */
void il_settle_settings(void);

#endif
