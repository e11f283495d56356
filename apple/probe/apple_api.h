/* Apple's interface to JIT memory: the system's own headers on a Mac, the drop-in header on Linux.  Nothing else differs. */
#ifndef INTERLOCK_PROBE_APPLE_API_H
#define INTERLOCK_PROBE_APPLE_API_H

#ifdef __APPLE__
#include <libkern/OSCacheControl.h>
#include <pthread.h>
#include <sys/mman.h>
#else
#include <interlock/pthread_jit.h>
#endif

#endif
