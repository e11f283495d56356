/* Lines over a socket, one at a time in each direction, and with a line at most one descriptor: how steps and outcomes travel. */
#ifndef INTERLOCK_PROBE_CHANNEL_H
#define INTERLOCK_PROBE_CHANNEL_H

#include <stdbool.h>

enum { LINE_BYTES_MAX = 1024, NO_DESCRIPTOR = -1 };

/* The next line without its end; false if the other side is gone, or sends what is no line. */
bool channel_receive(int socket, char line_out[LINE_BYTES_MAX], int *descriptor_out);

/* False if the other side is gone. */
bool channel_send(int socket, const char *line, int descriptor);

#endif
