/* allow_list.c - see allow_list.h; the rules are C8 to C20 and F1 to F5, the decision is docs/decisions/0016. */
#include "allow_list.h"

#include <link.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "contract.h"
#include "report.h"

enum { PAGE_BYTES_MAX = 65536, NOTES_MAX = 64, IMAGE_WORDS_MAX = 65536 };

typedef pthread_jit_write_callback_t callback_word;

/* The list, on pages of its own: it is read-only once it is frozen. */
static union {
    struct {
        size_t count;
        callback_word callbacks[IL_ALLOWLIST_ENTRIES_MAX];
    } list;
    char pages[PAGE_BYTES_MAX];
} config __attribute__((aligned(PAGE_BYTES_MAX)));

static enum il_list_state state;
static bool is_full; /* the images have more callbacks than fit */

/* ---- One image ------------------------------------------------------------------------------------------------------------- */

struct image {
    const callback_word *words; /* its section */
    size_t bytes;
    unsigned lists; /* how often the macro was used in it */
};

/* An Interlock note: distances from its own words to the start and stop of the section. */
static void read_note(const char *description, struct image *image) {
    int64_t start;
    int64_t stop;
    memcpy(&start, description, sizeof start);
    memcpy(&stop, description + sizeof start, sizeof stop);
    const char *first = description + start;
    image->words = (const callback_word *)(const void *)first;
    image->bytes = (size_t)(description + sizeof start + stop - first);
    image->lists++;
}

static size_t padded(size_t bytes, size_t alignment) {
    return (bytes + alignment - 1) / alignment * alignment;
}

static void read_notes(const char *at, size_t bytes, size_t alignment, struct image *image) {
    const char *end = at + bytes;
    alignment = alignment == 8 ? 8 : 4;
    for (unsigned i = 0; i < NOTES_MAX && (size_t)(end - at) >= sizeof(ElfW(Nhdr)); i++) {
        const ElfW(Nhdr) *note = (const void *)at;
        const char *name = at + sizeof *note;
        const char *description = at + padded(sizeof *note + note->n_namesz, alignment);
        bool is_ours = note->n_type == IL_APPLE_NOTE_TYPE && note->n_namesz == sizeof IL_APPLE_NOTE_NAME &&
                       memcmp(name, IL_APPLE_NOTE_NAME, sizeof IL_APPLE_NOTE_NAME) == 0;
        if (is_ours && note->n_descsz == 2 * sizeof(int64_t)) {
            read_note(description, image);
        }
        at = description + padded(note->n_descsz, alignment);
    }
}

static struct image read_image(const struct dl_phdr_info *info) {
    struct image image = {0};
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        if (segment->p_type == PT_NOTE) {
            read_notes((const char *)info->dlpi_addr + segment->p_vaddr, segment->p_memsz, segment->p_align, &image);
        }
    }
    return image;
}

/* How many words a scan takes: up to the first NULL, none if the size is odd (C11, C12). */
static size_t listed_words(const struct image *image) {
    size_t words = image->bytes % sizeof(callback_word) == 0 ? image->bytes / sizeof(callback_word) : 0;
    for (size_t i = 0; i < words && i < IMAGE_WORDS_MAX; i++) {
        if (image->words[i] == NULL) {
            return i;
        }
    }
    return words;
}

/* ---- All images ------------------------------------------------------------------------------------------------------------ */

static int add_image(struct dl_phdr_info *info, size_t bytes, void *unused) {
    struct image image = read_image(info);
    size_t words = listed_words(&image);
    (void)bytes;
    (void)unused;
    for (size_t i = 0; i < words; i++) {
        if (config.list.count == IL_ALLOWLIST_ENTRIES_MAX) {
            is_full = true;
            return 1;
        }
        config.list.callbacks[config.list.count++] = image.words[i];
    }
    return 0;
}

static void lock_list(void) {
    if (is_full) {
        il_kill(IL_RULE_C15);
    }
    state = IL_LIST_FROZEN;
    if (syscall(SYS_mprotect, &config, sizeof config, PROT_READ) != 0) {
        il_fail("the list of callbacks cannot be locked");
    }
}

void il_list_start(void) {
    dl_iterate_phdr(add_image, NULL);
}

void il_list_apply_settings(void) {
    bool is_honoured = il_mac.profile.is_hardened || il_mac.switches[IL_SWITCH_UNHARDENED_LIST] == IL_UNHARDENED_LIST_HONOURED;
    if (!il_holds(IL_RULE_C8) || !is_honoured) {
        state = IL_LIST_OFF;
    } else if (il_is_entitled(IL_GRANTS_JIT_WRITE_ALLOWLIST_FREEZE_LATE)) {
        state = IL_LIST_OPEN;
    } else {
        lock_list();
    }
}

void il_list_freeze(void) {
    config.list.count = 0; /* the images of the start are read again, with those that came later */
    is_full = false;
    dl_iterate_phdr(add_image, NULL);
    lock_list();
}

enum il_list_state il_list_state(void) {
    return state;
}

bool il_list_has(pthread_jit_write_callback_t callback) {
    for (size_t i = 0; i < config.list.count; i++) {
        if (config.list.callbacks[i] == callback) {
            return true;
        }
    }
    return false;
}

/* ---- Why a callback is not listed ------------------------------------------------------------------------------------------ */

struct search {
    pthread_jit_write_callback_t callback;
    enum il_rule_id reason;
};

/* Stops at the image that holds the callback anywhere in its section. */
static int explain(struct dl_phdr_info *info, size_t bytes, void *data) {
    struct search *search = data;
    struct image image = read_image(info);
    size_t listed = listed_words(&image);
    (void)bytes;
    for (size_t i = 0; i < image.bytes / sizeof(callback_word) && i < IMAGE_WORDS_MAX; i++) {
        if (image.words[i] != search->callback) {
            continue;
        }
        if (i < listed) { /* well made, and read too late */
            search->reason = il_holds(IL_RULE_F5) ? IL_RULE_F5 : IL_RULE_C18;
        } else if (image.bytes % sizeof(callback_word) != 0) {
            search->reason = IL_RULE_C12;
        } else {
            search->reason = image.lists > 1 ? IL_RULE_C11 : IL_RULE_C14; /* a NULL that ends a list, or a weak callback's */
        }
        return 1;
    }
    return 0;
}

void il_list_kill(pthread_jit_write_callback_t callback) {
    struct search search = {callback, IL_RULE_C8};
    dl_iterate_phdr(explain, &search);
    il_kill(search.reason);
}
