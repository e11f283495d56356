/* sha256.c - SHA-256 and SHA-224 of files (FIPS 180-4), HMAC (RFC 2104), and checking of a list of sums.
 *
 *   sha256 [-2] [-k KEY] [-o OUT] [FILE...]    print (or write to OUT) one line "sum  name" per file; "-" is standard input
 *   sha256 -c LIST                             check the sums of a list written by the first form
 *   sha256 -t                                  run the test vectors of FIPS 180-4
 *
 * Exit status: 0 done, 1 a file could not be read or a sum differs, 2 usage.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_BYTES = 64, DIGEST_WORDS = 8, DIGEST_BYTES = 32, SHA224_BYTES = 28, NAME_BYTES_MAX = 512 };

typedef struct sha256 {
    uint32_t state[DIGEST_WORDS];
    uint64_t length_bytes;
    uint32_t used;
    uint32_t digest_bytes;
    uint8_t block[BLOCK_BYTES];
} sha256;

typedef struct hmac {
    sha256 inner;
    sha256 outer;
} hmac;

static const uint32_t ROUND[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01,
    0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc,
    0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
    0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08,
    0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
    0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static const uint32_t INITIAL_256[DIGEST_WORDS] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                                   0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
static const uint32_t INITIAL_224[DIGEST_WORDS] = {0xc1059ed8, 0x367cd507, 0x3070dd17, 0xf70e5939,
                                                   0xffc00b31, 0x68581511, 0x64f98fa7, 0xbefa4fa4};

/* ---- The hash ------------------------------------------------------------------------------------------------------- */
static uint32_t rotate_right(uint32_t value, unsigned count) { return value >> count | value << (32 - count); }

static uint32_t load_be32(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void store_be32(uint8_t *at, uint32_t value) {
    at[0] = (uint8_t)(value >> 24);
    at[1] = (uint8_t)(value >> 16);
    at[2] = (uint8_t)(value >> 8);
    at[3] = (uint8_t)value;
}

static void compress(uint32_t state[DIGEST_WORDS], const uint8_t block[BLOCK_BYTES]) {
    uint32_t schedule[64];
    for (int t = 0; t < 16; t++) schedule[t] = load_be32(block + 4 * t);
    for (int t = 16; t < 64; t++) {
        uint32_t w15 = schedule[t - 15], w2 = schedule[t - 2];
        uint32_t s0 = rotate_right(w15, 7) ^ rotate_right(w15, 18) ^ w15 >> 3;
        uint32_t s1 = rotate_right(w2, 17) ^ rotate_right(w2, 19) ^ w2 >> 10;
        schedule[t] = schedule[t - 16] + s0 + schedule[t - 7] + s1;
    }
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
    for (int t = 0; t < 64; t++) {
        uint32_t s1 = rotate_right(e, 6) ^ rotate_right(e, 11) ^ rotate_right(e, 25);
        uint32_t t1 = h + s1 + ((e & f) ^ (~e & g)) + ROUND[t] + schedule[t];
        uint32_t s0 = rotate_right(a, 2) ^ rotate_right(a, 13) ^ rotate_right(a, 22);
        uint32_t t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
        h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d;
    state[4] += e, state[5] += f, state[6] += g, state[7] += h;
}

static void sha256_start(sha256 *hash, uint32_t digest_bytes) {
    memcpy(hash->state, digest_bytes == SHA224_BYTES ? INITIAL_224 : INITIAL_256, sizeof hash->state);
    hash->length_bytes = 0;
    hash->used = 0;
    hash->digest_bytes = digest_bytes;
}

static void sha256_add(sha256 *hash, const void *data, size_t bytes) {
    const uint8_t *at = data;
    hash->length_bytes += bytes;
    while (bytes > 0) {
        size_t take = BLOCK_BYTES - hash->used;
        if (take > bytes) take = bytes;
        memcpy(hash->block + hash->used, at, take);
        hash->used += (uint32_t)take;
        at += take;
        bytes -= take;
        if (hash->used == BLOCK_BYTES) {
            compress(hash->state, hash->block);
            hash->used = 0;
        }
    }
}

static void sha256_finish(sha256 *hash, uint8_t digest_out[DIGEST_BYTES]) {
    uint64_t length_bits = hash->length_bytes * 8;
    static const uint8_t padding[BLOCK_BYTES] = {0x80};
    size_t pad = hash->used < 56 ? 56 - hash->used : 120 - hash->used;
    sha256_add(hash, padding, pad);
    uint8_t tail[8];
    store_be32(tail, (uint32_t)(length_bits >> 32));
    store_be32(tail + 4, (uint32_t)length_bits);
    sha256_add(hash, tail, sizeof tail);
    for (int word = 0; word < DIGEST_WORDS; word++) store_be32(digest_out + 4 * word, hash->state[word]);
}

/* ---- HMAC ----------------------------------------------------------------------------------------------------------- */
static void hmac_start(hmac *mac, const char *key, uint32_t digest_bytes) {
    uint8_t pad[BLOCK_BYTES] = {0};
    size_t key_bytes = strlen(key);
    if (key_bytes > BLOCK_BYTES) {
        sha256 hash;
        uint8_t digest[DIGEST_BYTES];
        sha256_start(&hash, digest_bytes);
        sha256_add(&hash, key, key_bytes);
        sha256_finish(&hash, digest);
        memcpy(pad, digest, digest_bytes);
    } else {
        memcpy(pad, key, key_bytes);
    }
    for (int i = 0; i < BLOCK_BYTES; i++) pad[i] ^= 0x36;
    sha256_start(&mac->inner, digest_bytes);
    sha256_add(&mac->inner, pad, BLOCK_BYTES);
    for (int i = 0; i < BLOCK_BYTES; i++) pad[i] ^= 0x36 ^ 0x5c;
    sha256_start(&mac->outer, digest_bytes);
    sha256_add(&mac->outer, pad, BLOCK_BYTES);
}

static void hmac_finish(hmac *mac, uint8_t digest_out[DIGEST_BYTES]) {
    uint8_t inner[DIGEST_BYTES];
    sha256_finish(&mac->inner, inner);
    sha256_add(&mac->outer, inner, mac->inner.digest_bytes);
    sha256_finish(&mac->outer, digest_out);
}

/* ---- Files ---------------------------------------------------------------------------------------------------------- */
static void to_hex(const uint8_t *digest, uint32_t bytes, char *text_out) {
    static const char digits[] = "0123456789abcdef";
    for (uint32_t i = 0; i < bytes; i++) {
        text_out[2 * i] = digits[digest[i] >> 4];
        text_out[2 * i + 1] = digits[digest[i] & 15];
    }
    text_out[2 * bytes] = '\0';
}

static bool sum_of_file(const char *name, const char *key, uint32_t digest_bytes, char *text_out) {
    FILE *file = strcmp(name, "-") == 0 ? stdin : fopen(name, "rb");
    if (file == NULL) {
        fprintf(stderr, "sha256: %s: %s\n", name, strerror(errno));
        return false;
    }
    hmac mac;
    if (key != NULL) hmac_start(&mac, key, digest_bytes);
    else sha256_start(&mac.inner, digest_bytes);
    static uint8_t buffer[16384];
    size_t got;
    while ((got = fread(buffer, 1, sizeof buffer, file)) > 0) sha256_add(&mac.inner, buffer, got);
    bool is_read = !ferror(file);
    if (!is_read) fprintf(stderr, "sha256: %s: read error\n", name);
    if (file != stdin) fclose(file);
    uint8_t digest[DIGEST_BYTES];
    if (key != NULL) hmac_finish(&mac, digest);
    else sha256_finish(&mac.inner, digest);
    to_hex(digest, digest_bytes, text_out);
    return is_read;
}

static int check_list(const char *name) {
    FILE *list = strcmp(name, "-") == 0 ? stdin : fopen(name, "r");
    if (list == NULL) {
        fprintf(stderr, "sha256: %s: %s\n", name, strerror(errno));
        return 1;
    }
    char line[NAME_BYTES_MAX + 2 * DIGEST_BYTES + 4];
    int failed = 0, malformed = 0, number = 0;
    while (fgets(line, sizeof line, list) != NULL) {
        number++;
        line[strcspn(line, "\n")] = '\0';
        char *space = strstr(line, "  ");
        size_t digits = space == NULL ? 0 : (size_t)(space - line);
        if (digits != 2 * DIGEST_BYTES && digits != 2 * SHA224_BYTES) {
            fprintf(stderr, "sha256: %s:%d: not a line of sums\n", name, number);
            malformed++;
            continue;
        }
        *space = '\0';
        char text[2 * DIGEST_BYTES + 1];
        bool is_same = sum_of_file(space + 2, NULL, (uint32_t)digits / 2, text) && strcmp(text, line) == 0;
        printf("%s: %s\n", space + 2, is_same ? "OK" : "FAILED");
        failed += !is_same;
    }
    if (list != stdin) fclose(list);
    if (failed > 0) fprintf(stderr, "sha256: %d of the sums did not match\n", failed);
    return failed > 0 || malformed > 0;
}

/* ---- Test vectors ------------------------------------------------------------------------------------------------------ */
typedef struct vector {
    const char *text;
    uint32_t repeat;
    uint32_t digest_bytes;
    const char *expected;
} vector;

static const vector VECTORS[] = {
    {"", 1, 32, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", 1, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1, 32,
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    {"aaaaaaaaaa", 100000, 32, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
    {"abc", 1, 28, "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1, 28,
     "75388b16512776cc5dba5da1fd890150b0c6455cb4f58b1952522525"},
};

static int run_vectors(void) {
    int failed = 0;
    for (size_t i = 0; i < sizeof VECTORS / sizeof VECTORS[0]; i++) {
        const vector *test = &VECTORS[i];
        sha256 hash;
        uint8_t digest[DIGEST_BYTES];
        char text[2 * DIGEST_BYTES + 1];
        sha256_start(&hash, test->digest_bytes);
        for (uint32_t n = 0; n < test->repeat; n++) sha256_add(&hash, test->text, strlen(test->text));
        sha256_finish(&hash, digest);
        to_hex(digest, test->digest_bytes, text);
        bool is_same = strcmp(text, test->expected) == 0;
        printf("vector %zu: %s %s\n", i + 1, text, is_same ? "ok" : "WRONG");
        failed += !is_same;
    }
    return failed > 0;
}

static int usage(void) {
    fputs("usage: sha256 [-2] [-k KEY] [-o OUT] [FILE...] | -c LIST | -t\n", stderr);
    return 2;
}

int main(int argc, char **argv) {
    const char *key = NULL, *out_name = NULL;
    uint32_t digest_bytes = DIGEST_BYTES;
    int at = 1;
    for (; at < argc && argv[at][0] == '-' && argv[at][1] != '\0'; at++) {
        bool has_value = at + 1 < argc;
        if (strcmp(argv[at], "-t") == 0) return run_vectors();
        if (strcmp(argv[at], "-c") == 0) return has_value ? check_list(argv[at + 1]) : usage();
        if (strcmp(argv[at], "-2") == 0) digest_bytes = SHA224_BYTES;
        else if (strcmp(argv[at], "-k") == 0 && has_value) key = argv[++at];
        else if (strcmp(argv[at], "-o") == 0 && has_value) out_name = argv[++at];
        else return usage();
    }
    FILE *out = out_name == NULL ? stdout : fopen(out_name, "w");
    if (out == NULL) {
        fprintf(stderr, "sha256: %s: %s\n", out_name, strerror(errno));
        return 1;
    }
    static char *standard_input[] = {"-"};
    char **names = at < argc ? argv + at : standard_input;
    int count = at < argc ? argc - at : 1, failed = 0;
    for (int i = 0; i < count; i++) {
        char text[2 * DIGEST_BYTES + 1];
        if (sum_of_file(names[i], key, digest_bytes, text)) fprintf(out, "%s  %s\n", text, names[i]);
        else failed++;
    }
    if (fclose(out) != 0) failed++;
    return failed > 0;
}
