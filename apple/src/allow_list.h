/* allow_list.h - the list of callbacks: read from ELF images as the system's thread library reads it from Mach-O images. */
#ifndef INTERLOCK_APPLE_ALLOW_LIST_H
#define INTERLOCK_APPLE_ALLOW_LIST_H

#include <stdbool.h>

#include "interlock/pthread_jit.h"

enum il_list_state { IL_LIST_OFF, IL_LIST_OPEN, IL_LIST_FROZEN };

/* Before main: note what the images list that are there now. */
void il_list_start(void);

/* The settings are known: the list is off, open (freeze-late), or frozen with what was noted; kills if that is too much (C15). */
void il_list_apply_settings(void);

enum il_list_state il_list_state(void);
bool il_list_has(pthread_jit_write_callback_t callback);

/* Read all images that are there now, and lock the list; kills if that is too much (C15). */
void il_list_freeze(void);

/* End the process: the callback is not listed, for the most specific reason. */
_Noreturn void il_list_kill(pthread_jit_write_callback_t callback);

#endif
