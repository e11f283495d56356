/* launcher.c - a host program for Python on macOS whose allow-list holds the core's callback.  Has not run on a Mac.
 *
 * The system reads the lists of the images that are there when a process starts, then locks the list (contract C18); an extension
 * module comes later, so its list never counts in a host without freeze-late (C19).  This program links libinterlock.dylib, so its
 * list is read in time, and then becomes Python in the same process: an exec would start again without the library (K4).  It calls
 * nothing of the core, has no list of its own, and carries the entitlements, which count in a main program only (C21).
 */
#include <dlfcn.h>
#include <stdio.h>

enum { EXIT_USAGE = 2, PYTHON_LIBRARY_BYTES = 1024 };

/* Where Python's library is: written by `interlock mac kit` and then covered by the signature, so that neither the environment nor
 * a file beside the program decides what runs with its entitlements.  volatile: its content is not the compiler's to know. */
__attribute__((used, section("__TEXT,__il_python"))) static const volatile char python_library[PYTHON_LIBRARY_BYTES] = "";

typedef int python_main(int argc, char **argv);

static int fail(const char *message) {
    (void)fprintf(stderr, "interlock-launcher: %s\n", message);
    return EXIT_USAGE;
}

int main(int argc, char **argv) {
    if (python_library[0] == '\0') return fail("names no Python: `interlock mac kit` makes the one to use");
    /* Extension modules look up Python's functions among all images. */
    void *const python = dlopen((const char *)python_library, RTLD_NOW | RTLD_GLOBAL);
    if (python == NULL) return fail(dlerror());
    /* POSIX has a function's address come as a data pointer. */
    python_main *const run = (python_main *)dlsym(python, "Py_BytesMain");
    if (run == NULL) return fail(dlerror());
    return run(argc, argv);
}
