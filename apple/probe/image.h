/* What every image of a scenario shows to the driver: its callbacks by their names there.  images.py writes the images. */
#ifndef INTERLOCK_PROBE_IMAGE_H
#define INTERLOCK_PROBE_IMAGE_H

#include "apple_api.h"

/* The context that the driver hands through pthread_jit_write_with_callback_np: every callback does what it says. */
typedef struct {
    int (*body)(void *context);
} probe_context;

typedef struct {
    const char *name;
    pthread_jit_write_callback_t callback;
} probe_callback;

/* Ended by a callback without a name. */
typedef const probe_callback probe_image[];

/* A function of its own, so that its address stands in the list of this image or in none. */
#define PROBE_CALLBACK(symbol)                                                                                                   \
    __attribute__((noinline, visibility("hidden"))) int symbol(void *context);                                                   \
    int symbol(void *context) { return ((const probe_context *)context)->body(context); }

/* The executable's images: its own and those of the libraries that it links, ended by NULL. */
extern const probe_callback *const probe_linked_images[];

#endif
