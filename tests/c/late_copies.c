#include "late_copies.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void fail(const char *what) {
    fprintf(stderr, "%s\n", what);
    abort();
}

static bool meets(const late_copy *copy, const uint8_t *start, size_t bytes) {
    return (start < copy->to + copy->bytes && copy->to < start + bytes) ||
           (start < copy->from + copy->bytes && copy->from < start + bytes);
}

/* Nothing may be read from where a copy goes, until it was waited for. */
uint32_t late_start(void *context, void *to, const void *from, size_t bytes) {
    late_copies *copies = context;
    if (copies->count == MOST_LATE || bytes % FTV_COPY_ALIGN != 0U) {
        fail("no such copy can be started");
    }
    bool meets_earlier = false;
    for (uint32_t i = 0; i < copies->count; i++) {
        meets_earlier =
            meets_earlier || meets(&copies->waiting[i], to, bytes) || meets(&copies->waiting[i], from, bytes);
    }
    late_copy *copy = &copies->waiting[copies->count++];
    *copy = (late_copy){to, from, meets_earlier ? NULL : malloc(bytes), bytes};
    if (copy->before != NULL) {
        memcpy(copy->before, from, bytes);
        memset(to, 0x5A, bytes);
    }
    copies->most = copies->count > copies->most ? copies->count : copies->most;
    return ++copies->started;
}

static void make(const late_copy *copy) {
    for (size_t i = 0; copy->before != NULL && i < copy->bytes; i++) {
        if (copy->to[i] != 0x5A || copy->from[i] != copy->before[i]) {
            fail("what is being copied was touched");
        }
    }
    memcpy(copy->to, copy->from, copy->bytes);
    free(copy->before);
}

void late_wait(void *context, uint32_t number) {
    late_copies *copies = context;
    uint32_t all = copies->started - copies->count, made = number > all ? number - all : 0U;
    if (number == 0U || number > copies->started) {
        fail("that copy was not started");
    }
    for (uint32_t i = 0; i < made; i++) {
        make(&copies->waiting[i]);
    }
    copies->count -= made;
    memmove(copies->waiting, copies->waiting + made, copies->count * sizeof copies->waiting[0]);
}
