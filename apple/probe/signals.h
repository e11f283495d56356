/* Names of signals. */
#ifndef INTERLOCK_PROBE_SIGNALS_H
#define INTERLOCK_PROBE_SIGNALS_H

/* `SIGBUS`; "unnamed" for one that no scenario comes to. */
const char *signal_name(int number);

/* 0 for an unknown name. */
int signal_number(const char *name);

#endif
