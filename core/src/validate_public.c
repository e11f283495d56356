/* validate_public.c - the code validator as anyone may call it: an opinion, not a permission.
 *
 * Owns the scratch, 1 MiB of static memory that is only touched as far as the image is long, behind a lock.
 */
#include <pthread.h>

#include "validate.h"

static pthread_mutex_t scratch_lock = PTHREAD_MUTEX_INITIALIZER;
static il_validate_scratch scratch;

/* Not taken before a fork, as others are: a report may wait for what the forking thread holds.  Nothing of the scratch outlasts a
 * call. */
void il_validate_forget(void) { scratch_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER; }

il_status il_validate(const il_image *image, const il_policy *policy, uint32_t import_count, il_report report, void *context,
                      il_verdict *verdict_out) {
    if (image == NULL || !il_image_is_complete(image) || verdict_out == NULL ||
        (policy != NULL && !il_policy_is_narrower(policy, import_count)))
        return IL_INVALID_ARGUMENT;
    if (pthread_mutex_lock(&scratch_lock) != 0) return IL_SYSTEM;
    const bool is_accepted = il_validate_image(image, policy, import_count, &scratch, report, context, verdict_out);
    (void)pthread_mutex_unlock(&scratch_lock);
    return is_accepted ? IL_OK : IL_REJECTED;
}
