/* Runs one image file on one file of pixels and writes everything that the trace hook sees.
 *
 * Usage: run_image IMAGE PIXELS TRACE KERNELS WORKERS
 * TRACE: for each call i32 site, block, rows, columns, bytes per value, then the values without gaps.
 * Image, pixels, logits and arena lie in allocations of exactly their size, so that AddressSanitizer sees any access
 * outside them. Before the run, arenas that are too small or not aligned must be refused. */
#include "ftv.h"
#include "ftv_host_kernels.h"
#include "ftv_threads.h"
#include "late_copies.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct bytes {
    uint8_t *data;
    size_t size;
} bytes;

static void fail(const char *what) {
    fprintf(stderr, "%s\n", what);
    exit(1);
}

static void *allocate(size_t size) {
    void *memory = NULL;
    if (posix_memalign(&memory, 16, size) != 0) {
        fail("no memory");
    }
    return memory;
}

static bytes read_file(const char *path) {
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        fail(path);
    }
    bytes content = {NULL, (size_t)ftell(file)};
    content.data = allocate(content.size);
    rewind(file);
    if (fread(content.data, 1, content.size, file) != content.size) {
        fail(path);
    }
    fclose(file);
    return content;
}

static void write_trace(void *context, ftv_site site, uint32_t block, const void *data, uint32_t rows, uint32_t columns,
                        uint32_t bytes_per_value, uint32_t stride_bytes) {
    FILE *file = context;
    uint32_t head[5] = {(uint32_t)site, block, rows, columns, bytes_per_value};
    fwrite(head, sizeof head, 1, file);
    for (uint32_t row = 0; row < rows; row++) {
        fwrite((const uint8_t *)data + (size_t)row * stride_bytes, bytes_per_value, columns, file);
    }
}

static void expect(ftv_status status, ftv_status expected) {
    if (status != expected) {
        fprintf(stderr, "status %d (%s) instead of %d\n", status, ftv_status_text(status), expected);
        exit(1);
    }
}

static void expect_refusals(const ftv_model *model, const ftv_options *options, const uint8_t *pixels, int32_t *logits,
                            uint8_t *arena, size_t size) {
    static const ftv_parallel none = {NULL, NULL, 0};
    ftv_options without_workers = *options;
    without_workers.parallel = &none;
    expect(ftv_run(model, options, pixels, logits, arena, size - 1), FTV_ERR_ARENA);
    expect(ftv_run(model, options, pixels, logits, arena, 0), FTV_ERR_ARENA);
    expect(ftv_run(model, options, pixels, logits, arena + 4, size), FTV_ERR_ALIGN);
    expect(ftv_run(model, options, pixels, logits, NULL, size), FTV_ERR_ARGUMENT);
    expect(ftv_run(model, options, NULL, logits, arena, size), FTV_ERR_ARGUMENT);
    expect(ftv_run(model, options, pixels, NULL, arena, size), FTV_ERR_ARGUMENT);
    expect(ftv_run(NULL, options, pixels, logits, arena, size), FTV_ERR_ARGUMENT);
    expect(ftv_run(model, &without_workers, pixels, logits, arena, size), FTV_ERR_ARGUMENT);
}

/* A plan that is broken in one way is refused. */
static void expect_broken_plan(const ftv_model *model, const ftv_options *options, ftv_plan broken) {
    ftv_options with = *options;
    with.plan = &broken;
    expect(ftv_check_plan(model, &with), FTV_ERR_PLAN);
}

static void expect_broken_plans(const ftv_model *model, const ftv_options *options, const ftv_plan *plan) {
    for (uint32_t i = 0; i < FTV_BUFFERS; i++) {
        ftv_plan broken = *plan;
        if (plan->places[i].bytes == 0U) { /* nothing there that could be in the way */
            continue;
        }
        broken.places[i].bytes -= 16U;
        expect_broken_plan(model, options, broken);
        broken = *plan;
        broken.places[i].offset += 4U;
        expect_broken_plan(model, options, broken);
        broken = *plan;
        broken.places[i].memory = FTV_MEMORIES;
        expect_broken_plan(model, options, broken);
        broken = *plan;
        broken.places[i].offset = UINT32_MAX - 15U;
        expect_broken_plan(model, options, broken);
        broken = *plan;
        broken.places[i] = plan->places[i == 0U ? FTV_BUFFER_ROWS : FTV_BUFFER_SCRATCH];
        broken.places[i].bytes = plan->places[i].bytes;
        broken.places[i].offset = plan->places[i == 0U ? FTV_BUFFER_ROWS : FTV_BUFFER_SCRATCH].offset;
        expect_broken_plan(model, options, broken);
    }
    ftv_plan broken = *plan;
    broken.workers++;
    expect_broken_plan(model, options, broken);
    broken = *plan;
    broken.group = 0;
    expect_broken_plan(model, options, broken);
    broken = *plan;
    broken.group = model->tokens + 1U;
    expect_broken_plan(model, options, broken);
    broken = *plan;
    broken.teams = broken.workers + 1U;
    expect_broken_plan(model, options, broken);
    broken = *plan;
    broken.wave = 0;
    expect_broken_plan(model, options, broken);
    broken = *plan;
    broken.wave = model->heads + 1U;
    expect_broken_plan(model, options, broken);
    broken = *plan;
    broken.window = 2;
    expect_broken_plan(model, options, broken);
    broken = *plan;
    broken.resident = model->tokens + 1U;
    expect_broken_plan(model, options, broken);
    broken = *plan;
    memset(broken.bytes, 0, sizeof broken.bytes);
    for (uint32_t i = 0; i < FTV_BUFFERS; i++) { /* all is well, but nothing is in the arena */
        broken.places[i] = (ftv_plan_place){FTV_FAR, broken.bytes[FTV_FAR], plan->places[i].bytes};
        broken.bytes[FTV_FAR] += plan->places[i].bytes;
    }
    expect_broken_plan(model, options, broken);
}

/* The engine's own tiling, or the one that needs least memory. */
static ftv_plan tiled(const ftv_model *model, const ftv_options *options, int tight) {
    ftv_plan plan = ftv_make_plan(model, options);
    if (tight) {
        plan.group = model->tokens < 5U ? 1U : 5U;
        plan.teams = plan.wave = plan.window = 1;
        plan.resident = model->tokens / 3U;
    }
    return plan;
}

/* ---- copies that are as late as they may be ---- */

static void expect_same_from_late_copies(const ftv_model *model, const ftv_options *options, const uint8_t *pixels,
                                         const int32_t *expected, uint8_t *near) {
    late_copies late = {.count = 0};
    ftv_copies copies = {&late, late_start, late_wait};
    ftv_options with = *options;
    const ftv_plan *plan = options->plan;
    int32_t *logits = allocate(model->classes * sizeof *logits);
    with.copies = &copies;
    expect(ftv_run(model, &with, pixels, logits, near, plan->bytes[FTV_NEAR]), FTV_OK);
    if (memcmp(logits, expected, model->classes * sizeof *logits) != 0) {
        fail("late copies give other logits");
    }
    if (late.count != 0U || late.started == 0U) {
        fail("copies were not waited for, or there were none");
    }
    uint32_t width = (model->width + 15U) / 16U * 16U, hidden = (model->hidden + 15U) / 16U * 16U;
    if (late.most < 2U && hidden * 5U / 4U >= 4U * width && model->depth > 1U &&
        model->tokens - plan->resident > plan->group) {
        fail("no rows came while others went");
    }
    free(logits);
}

/* The same while rows of the residual stream, which want 64 bytes for themselves, are copied late: during attention, too,
 * and not where Q, K and V lie over the window. */
static void expect_same_beside_copies(const ftv_model *model, const ftv_options *options, const uint8_t *pixels,
                                      const int32_t *expected, uint8_t *near) {
    ftv_plan moved = *options->plan;
    ftv_copies copies = {NULL, late_start, late_wait};
    ftv_options with = *options;
    ftv_plan_place *residual = &moved.places[FTV_BUFFER_RESIDUAL];
    with.plan = &moved;
    with.copies = &copies;
    residual->offset = (moved.bytes[FTV_FAR] + 127U) / 64U * 64U + 16U;
    moved.bytes[FTV_FAR] = residual->offset + residual->bytes;
    expect(ftv_check_plan(model, &with), FTV_ERR_PLAN);
    residual->offset -= 16U;
    expect(ftv_check_plan(model, &with), FTV_OK);
    uint8_t *memory = allocate(moved.bytes[FTV_FAR] + 64U);
    with.far = memory + (64U - (uintptr_t)memory % 64U) % 64U;
    with.far_bytes = moved.bytes[FTV_FAR];
    expect_same_from_late_copies(model, &with, pixels, expected, near);
    ftv_plan_place *window = &moved.places[FTV_BUFFER_WINDOW], *qkv = &moved.places[FTV_BUFFER_QKV];
    bool is_larger = window->bytes > qkv->bytes;
    ftv_plan_place *larger = is_larger ? window : qkv, *smaller = is_larger ? qkv : window;
    smaller->memory = larger->memory;
    smaller->offset = larger->offset;
    expect_same_from_late_copies(model, &with, pixels, expected, near);
    with.far = (uint8_t *)with.far + 16;
    expect(ftv_run(model, &with, pixels, (int32_t *)(void *)near, near, moved.bytes[FTV_NEAR]), FTV_ERR_ALIGN);
    free(memory);
}

/* The same logits with neighbouring buffers in different memories, each memory of exactly the planned size. */
static void expect_same_from_three_memories(const ftv_model *model, const ftv_options *options, const uint8_t *pixels,
                                            const int32_t *expected, int tight) {
    ftv_plan plan = tiled(model, options, tight);
    ftv_options with = *options;
    uint32_t used[FTV_MEMORIES] = {0}, bytes[FTV_BUFFERS];
    ftv_plan_needs(bytes, model, options, &plan);
    for (uint32_t i = 0; i < FTV_BUFFERS; i++) {
        uint32_t memory = (i + 2U) % FTV_MEMORIES;
        plan.places[i] = (ftv_plan_place){memory, used[memory], bytes[i]};
        used[memory] += bytes[i];
    }
    plan.bytes[FTV_NEAR] = used[FTV_NEAR];
    plan.bytes[FTV_FAR] = used[FTV_FAR];
    plan.bytes[FTV_SPARE] = used[FTV_SPARE];
    with.plan = &plan;
    with.trace = NULL;
    expect_broken_plans(model, &with, &plan);
    uint8_t *near = allocate(used[FTV_NEAR]), *far = allocate(used[FTV_FAR]);
    uint8_t *spare = allocate(used[FTV_SPARE]);
    int32_t *logits = allocate(model->classes * sizeof *logits);
    expect(ftv_run(model, &with, pixels, logits, near, used[FTV_NEAR]), FTV_ERR_ARGUMENT);
    with.far = far;
    with.far_bytes = used[FTV_FAR];
    expect(ftv_run(model, &with, pixels, logits, near, used[FTV_NEAR]), FTV_ERR_ARGUMENT);
    with.spare = spare;
    with.spare_bytes = used[FTV_SPARE] - 1U;
    expect(ftv_run(model, &with, pixels, logits, near, used[FTV_NEAR]), FTV_ERR_ARENA);
    with.spare_bytes = used[FTV_SPARE];
    with.far_bytes = used[FTV_FAR] - 1U;
    expect(ftv_run(model, &with, pixels, logits, near, used[FTV_NEAR]), FTV_ERR_ARENA);
    with.far_bytes = used[FTV_FAR];
    expect(ftv_run(model, &with, pixels, logits, near, used[FTV_NEAR]), FTV_OK);
    if (memcmp(logits, expected, model->classes * sizeof *logits) != 0) {
        fail("three memories give other logits");
    }
    if (plan.window != 0U) {
        expect_same_beside_copies(model, &with, pixels, expected, near);
    }
    free(near);
    free(far);
    free(spare);
    free(logits);
}

static const ftv_kernels *kernels_named(const char *name) {
    for (uint32_t i = 0; ftv_host_kernels(i) != NULL; i++) {
        if (strcmp(ftv_host_kernels(i)->name, name) == 0) {
            return ftv_host_kernels(i);
        }
    }
    fail("this CPU has no such kernels");
    return NULL;
}

int main(int argc, char **argv) {
    static ftv_model model;
    if (argc != 6) {
        fail("usage: run_image IMAGE PIXELS TRACE KERNELS WORKERS");
    }
    bytes image = read_file(argv[1]);
    bytes pixels = read_file(argv[2]);
    FILE *trace = fopen(argv[3], "wb");
    const ftv_parallel *parallel = ftv_threads_create((uint32_t)atoi(argv[5]));
    if (trace == NULL || parallel == NULL) {
        fail("cannot start");
    }
    expect(ftv_open(&model, image.data, image.size), FTV_OK);
    ftv_options options = {.parallel = parallel, .trace = write_trace, .trace_context = trace};
    options.kernels = kernels_named(argv[4]);
    size_t size = ftv_arena_bytes(&model, &options);
    uint8_t *arena = allocate(size);
    int32_t *logits = allocate(model.classes * sizeof *logits);
    expect_refusals(&model, &options, pixels.data, logits, arena, size);
    expect(ftv_run(&model, &options, pixels.data, logits, arena, size), FTV_OK);
    expect_same_from_three_memories(&model, &options, pixels.data, logits, 0);
    expect_same_from_three_memories(&model, &options, pixels.data, logits, 1);
    ftv_threads_destroy(parallel);
    fclose(trace);
    free(logits);
    free(arena);
    free(pixels.data);
    free(image.data);
    return 0;
}
