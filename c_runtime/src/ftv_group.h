/* What a group of tokens goes through between two attentions: a whole pass is these and ftv_attention (ftv_run.c). */
#ifndef FTV_GROUP_H
#define FTV_GROUP_H

#include "ftv_engine.h"

/* Copies that are on their way. A window's rows arrive behind GELU's codes, while fc2 of the group before reads these, and
 * leave while proj of the next group adds to those that have arrived. Those of the last group leave, and those of the first
 * arrive in the window itself, during attention, where that leaves the window alone. */
typedef struct ftv_traffic {
    const ftv_copies *copies;
    int32_t *arrival; /* where rows arrive; NULL: none do */
    bool is_going;
    uint32_t coming; /* ftv_copies' numbers */
    uint32_t going;
} ftv_traffic;

/* Pixels become tokens, or proj and MLP of a block; in any case the next norm. */
typedef struct ftv_group_tasks {
    const ftv_pass *pass;
    const uint8_t *pixels; /* NULL: not the embedding */
    uint32_t next;         /* block whose attention comes next; depth: none */
    uint32_t tokens;
} ftv_group_tasks;

/* The steps of a group. following: the group after this one; NULL: none, or it is another worker's. */
void ftv_run_group(const ftv_group_tasks *tasks, const ftv_group *group, const ftv_group *following, ftv_traffic *t);

/* Whether the group works on a copy of its rows. */
bool ftv_has_window(const ftv_group *group);

/* Its rows begin to come, to `to`. */
void ftv_start_coming(ftv_traffic *t, const ftv_group *group, int32_t *to);
void ftv_wait_until_gone(ftv_traffic *t);

/* Copies that are made at once. */
extern const ftv_copies ftv_copies_at_once;

#endif
