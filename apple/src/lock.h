/* lock.h - one lock for the table of mappings, the mode of pages and the list; signals are blocked while it is held.
 *
 * The fault handler takes it: a handler that interrupted the holder on the same thread would wait for itself.
 */
#ifndef INTERLOCK_APPLE_LOCK_H
#define INTERLOCK_APPLE_LOCK_H

#include <signal.h>

void il_lock(sigset_t *mask_out);
void il_unlock(const sigset_t *mask);

#endif
