/* harden_macos.c - the Hardened Runtime of macOS belongs to the signature of the application: nothing turns it on in a process that
 * runs.  Has not run on a Mac.
 */
#include "region.h"

il_status il_harden(void) {
    return il_fail(IL_UNSUPPORTED, "on macOS the signature of the application turns the Hardened Runtime on, not the process", 0);
}
