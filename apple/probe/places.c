/* Regions by name, and the operands that name places in them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cells.h"
#include "driver.h"

enum { NUMBER_BYTES_MAX = 24, WORDS_PER_REGION = 3 };

static region regions[REGIONS_MAX];
static size_t region_count;

region *region_add(const char *name) {
    for (size_t i = 0; i < region_count; i++) {
        if (strcmp(regions[i].name, name) == 0) {
            return &regions[i];
        }
    }
    if (region_count == REGIONS_MAX || strlen(name) >= NAME_BYTES_MAX) {
        protocol_error("no room for a region", name);
    }
    region *added = &regions[region_count++];
    *added = (region){.descriptor = NO_DESCRIPTOR};
    strcpy(added->name, name);
    return added;
}

size_t amount_bytes(const char *text) {
    char *unit;
    unsigned long number = strtoul(text, &unit, 10);
    if (strcmp(unit, "p") == 0) {
        return number * (size_t)getpagesize();
    }
    if (strcmp(unit, "b") != 0) {
        protocol_error("no amount", text);
    }
    return number;
}

char *place_address(const char *text, region **region_out) {
    const char *plus = strchr(text, '+');
    if (plus == NULL) {
        protocol_error("no place", text);
    }
    size_t name_bytes = (size_t)(plus - text);
    for (size_t i = 0; i < region_count; i++) {
        if (strlen(regions[i].name) == name_bytes && memcmp(regions[i].name, text, name_bytes) == 0) {
            *region_out = &regions[i];
            /* A program that takes MAP_FAILED for a pointer: wherever in the region, that is where it ends up. */
            return regions[i].address == MAP_FAILED ? MAP_FAILED : regions[i].address + amount_bytes(plus + 1);
        }
    }
    protocol_error("no region", text);
}

size_t range_bytes(const char *text, const char *address, const region *within) {
    if (strcmp(text, "-") != 0) {
        return amount_bytes(text);
    }
    size_t offset = (size_t)(address - within->address);
    return offset < within->bytes ? within->bytes - offset : 0;
}

/* ---- Through exec: the new program knows where its predecessor's regions were ---------------------------------------------- */

void regions_arguments(char *arguments[], size_t *count_inout) {
    static char numbers[REGIONS_MAX][2][NUMBER_BYTES_MAX];
    for (size_t i = 0; i < region_count; i++) {
        snprintf(numbers[i][0], NUMBER_BYTES_MAX, "%zu", (size_t)regions[i].address);
        snprintf(numbers[i][1], NUMBER_BYTES_MAX, "%zu", regions[i].bytes);
        arguments[(*count_inout)++] = regions[i].name;
        arguments[(*count_inout)++] = numbers[i][0];
        arguments[(*count_inout)++] = numbers[i][1];
    }
}

void regions_from_arguments(int count, char *arguments[]) {
    for (int i = 0; i + WORDS_PER_REGION <= count; i += WORDS_PER_REGION) {
        region *known = region_add(arguments[i]);
        known->address = (char *)strtoull(arguments[i + 1], NULL, 10);
        known->bytes = strtoull(arguments[i + 2], NULL, 10);
    }
}
