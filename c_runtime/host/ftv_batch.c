/* Several images at a time: every worker has an arena of its own and runs whole passes in it. */
#include "ftv_batch.h"

#include <stdatomic.h>

/* From one worker's arena to the next: no two workers share a cache line, and a page apart they share few sets. */
#define PAGE 4096U

typedef struct batch {
    const ftv_model *model;
    ftv_options options;
    const uint8_t *pixels;
    int32_t *logits;
    uint8_t *arena;
    size_t worker_bytes;
    atomic_int status; /* of one image that failed */
} batch;

static size_t worker_bytes(const ftv_model *model, const ftv_kernels *kernels) {
    ftv_options alone = {.kernels = kernels};
    return (ftv_arena_bytes(model, &alone) + PAGE - 1U) / PAGE * PAGE + 64U;
}

size_t ftv_batch_arena_bytes(const ftv_model *model, const ftv_kernels *kernels, uint32_t workers) {
    return model != NULL && workers >= 1U && workers <= 64U ? worker_bytes(model, kernels) * workers : 0U;
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
               .worker_bytes = worker_bytes(model, kernels)};
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
