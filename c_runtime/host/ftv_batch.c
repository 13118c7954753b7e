/* Several images at a time: every worker has an arena of its own and runs whole passes in it. */
#include "ftv_batch.h"

#include <stdatomic.h>

/* From one worker's arena to the next: no two workers share a cache line, and a page apart they share few sets. */
#define PAGE 4096U

/* Tokens that go through proj and MLP together, about: each group decodes all weights of a block again, and its hidden rows
 * have to stay in the second cache. */
#define GROUP 100U

typedef struct batch {
    const ftv_model *model;
    ftv_options options;
    ftv_plan plan;
    const uint8_t *pixels;
    int32_t *logits;
    uint8_t *arena;
    size_t worker_bytes;
    atomic_int status; /* of one image that failed */
} batch;

static uint32_t larger(uint32_t a, uint32_t b) {
    return a > b ? a : b;
}

/* The engine's plan for one worker, with larger groups: what groups use comes last in it, so that it may grow. */
static ftv_plan plan_of(const ftv_model *model, const ftv_kernels *kernels) {
    const ftv_buffer grown[2] = {FTV_BUFFER_HIDDEN, FTV_BUFFER_PATCHES};
    ftv_options alone = {.kernels = kernels};
    ftv_plan plan = ftv_make_plan(model, &alone);
    uint32_t bytes[FTV_BUFFERS], groups = (model->tokens + GROUP - 1U) / GROUP;
    plan.group = larger(plan.group, (model->tokens + groups - 1U) / groups);
    ftv_plan_needs(bytes, model, &alone, &plan);
    for (uint32_t i = 0; i < 2U; i++) {
        ftv_plan_place *place = &plan.places[grown[i]];
        place->bytes = bytes[grown[i]];
        plan.bytes[FTV_NEAR] = larger(plan.bytes[FTV_NEAR], place->offset + place->bytes);
    }
    return plan;
}

static size_t worker_bytes(const ftv_plan *plan) {
    return (plan->bytes[FTV_NEAR] + PAGE - 1U) / PAGE * PAGE + 64U;
}

size_t ftv_batch_arena_bytes(const ftv_model *model, const ftv_kernels *kernels, uint32_t workers) {
    if (model == NULL || workers < 1U || workers > 64U) {
        return 0U;
    }
    ftv_plan plan = plan_of(model, kernels);
    return worker_bytes(&plan) * workers;
}

static void run_image(void *argument, uint32_t task, uint32_t worker) {
    batch *b = argument;
    size_t side = b->model->image_size;
    ftv_status status =
        ftv_run(b->model, &b->options, b->pixels + task * side * side * 3U,
                b->logits + (size_t)task * b->model->classes, b->arena + worker * b->worker_bytes, b->worker_bytes);
    if (status != FTV_OK) {
        atomic_store(&b->status, (int)status);
    }
}

ftv_status ftv_run_batch(const ftv_model *model, const ftv_kernels *kernels, const ftv_parallel *parallel,
                         const uint8_t *pixels, uint32_t images, int32_t *logits, void *arena, size_t arena_bytes) {
    if (model == NULL || parallel == NULL || pixels == NULL || logits == NULL || arena == NULL) {
        return FTV_ERR_ARGUMENT;
    }
    batch b = {.model = model,
               .options = {.kernels = kernels},
               .pixels = pixels,
               .logits = logits,
               .arena = arena,
               .plan = plan_of(model, kernels)};
    b.options.plan = &b.plan;
    b.worker_bytes = worker_bytes(&b.plan);
    if ((uintptr_t)arena % FTV_ALIGN != 0U) {
        return FTV_ERR_ALIGN;
    }
    if (arena_bytes / parallel->workers < b.worker_bytes) {
        return FTV_ERR_ARENA;
    }
    atomic_init(&b.status, (int)FTV_OK);
    parallel->run(parallel->context, run_image, &b, images);
    return (ftv_status)atomic_load(&b.status);
}
