/* Copies that are made as late as they may be, and watched until then: ftv_options.copies for tests. What is wrong ends
 * the program with a sentence on stderr. */
#ifndef LATE_COPIES_H
#define LATE_COPIES_H

#include "ftv.h"

#define MOST_LATE 8U

typedef struct late_copy {
    uint8_t *to;
    const uint8_t *from;
    uint8_t *before; /* what the source was at the start; NULL: an earlier copy still has to read or write here */
    size_t bytes;
} late_copy;

typedef struct late_copies {
    late_copy waiting[MOST_LATE]; /* those that were started and not made */
    uint32_t count;
    uint32_t started;
    uint32_t most; /* that ever waited together */
} late_copies;

/* ftv_copies.start and wait; context: late_copies, zeros at first. */
uint32_t late_start(void *context, void *to, const void *from, size_t bytes);
void late_wait(void *context, uint32_t number);

#endif
