/* memory.c - what the library does with memory beyond the scenarios: other protections, files, limits, the heap. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "machine_code.h"

static int check(const char *name, int is_right) {
    printf("%s: %s\n", name, is_right ? "yes" : "no");
    return is_right;
}

static int fails(long status, int number, const char *rule) {
    int error = errno;
    return status == -1 && error == number && strcmp(il_apple_rule(), rule) == 0;
}

/* A file of 5,000 bytes keeps its contents, and its mapping takes whole pages of a Mac. */
static int maps_files(const char *name) {
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
    char text[5000] = "contents";
    int is_written = write(fd, text, sizeof text) == sizeof text;
    char *shared = mmap(NULL, sizeof text, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *copy = mmap(NULL, sizeof text, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    int is_right = is_written && shared != MAP_FAILED && copy != MAP_FAILED && strcmp(copy, text) == 0;
    is_right &= (uintptr_t)shared % (size_t)getpagesize() == 0 && (uintptr_t)copy % (size_t)getpagesize() == 0;
    strcpy(shared, "changed");
    char back[8] = "";
    is_right &= pread(fd, back, sizeof back, 0) == sizeof back && strcmp(back, "changed") == 0;
    is_right &= munmap(shared, sizeof text) == 0 && munmap(copy, sizeof text) == 0;
    return close(fd) == 0 && is_right;
}

/* Memory that mmap did not make. */
static int protects_the_heap(void) {
    size_t page = (size_t)getpagesize();
    unsigned char *heap = aligned_alloc(page, 4 * page);
    int is_right = heap != NULL && mprotect(heap + page, page, PROT_READ | PROT_EXEC) == 0 && heap[page] + 1 > 0;
    is_right &= mprotect(heap + page, page, PROT_READ | PROT_WRITE) == 0;
    heap[page] = 1;
    is_right &= fails(mprotect(heap + page, page, PROT_READ | PROT_WRITE | PROT_EXEC), EACCES, "P3");
    free(heap);
    return is_right;
}

static int keeps_neighbours(unsigned char *jit, size_t page) {
    int is_right = mprotect(jit, page, PROT_READ | PROT_WRITE) == 0;
    is_right &= mprotect(jit + page, page, PROT_READ | PROT_EXEC) == 0;
    jit[0] = 1;
    is_right &= mprotect(jit, 2 * page, PROT_READ) == 0 && jit[0] == 1;
    is_right &= fails(mprotect(jit + 1, page, PROT_READ), EINVAL, "A12");
    is_right &= munmap(jit + page, page) == 0;
    is_right &= mprotect(jit, 2 * page, PROT_READ) == -1 && errno == ENOMEM;
    return is_right;
}

/* How many mappings the table takes before it is full. */
static long fill_table(void) {
    size_t page = (size_t)getpagesize();
    long count = 0;
    while (mmap(NULL, page, PROT_NONE, MAP_ANON | MAP_PRIVATE, -1, 0) != MAP_FAILED) {
        count++;
    }
    return errno == ENOMEM ? count : -1;
}

int main(int count, char **words) {
    size_t page = (size_t)getpagesize();
    unsigned char *jit = mmap(NULL, 2 * page, PROT_NONE, MAP_ANON | MAP_PRIVATE | MAP_JIT, -1, 0);
    if (count > 2 && strcmp(words[2], "fill") == 0) {
        printf("%ld\n", fill_table());
        return EXIT_SUCCESS;
    }
    int right = check("page sizes agree", page == vm_page_size && sysconf(_SC_PAGESIZE) == (long)page);
    right &= check("files", maps_files(words[1]));
    right &= check("the heap", protects_the_heap());
    right &= check("neighbours", keeps_neighbours(jit, page));
    right &= check("tags", mmap(NULL, page, PROT_READ, MAP_ANON | MAP_PRIVATE, VM_MAKE_TAG(64), 0) != MAP_FAILED);
    right &= check("bits below a tag", fails((long)mmap(NULL, page, PROT_READ, MAP_ANON | MAP_PRIVATE, 3, 0), EINVAL, "A5"));
    right &= check("flags of Linux", mmap(NULL, page, PROT_READ, MAP_ANON | MAP_PRIVATE | MAP_POPULATE, -1, 0) != MAP_FAILED);
    int unknown = MAP_ANON | MAP_PRIVATE | 1 << 30;
    right &= check("unknown flags", fails((long)mmap(NULL, page, PROT_READ, unknown, -1, 0), EINVAL, "A3"));
    right &= check("madvise", madvise(jit, page, MADV_FREE_REUSABLE) == 0 && madvise(jit, page, MADV_FREE_REUSE) == 0);
    unsigned char *rwx = map_jit(page);
    right &= check("read into code", fails(read(0, rwx, 16), EFAULT, "P8") && fails(pread(0, rwx, 16, 0), EFAULT, "P8"));
    return right ? EXIT_SUCCESS : EXIT_FAILURE;
}
