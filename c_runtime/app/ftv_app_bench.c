/* BENCH: one kernel, timed on numbers that any host can make again. */
#include "ftv_app_parts.h"
#include "ftv_crc32.h"
#include "ftv_tile.h"

#define MAX_TOKENS      4096U
#define MAX_INPUTS      4128U
#define MAX_REPETITIONS 100000U

/* What is left of `name` after `start`; NULL if it starts otherwise. */
static const char *after(const char *name, uint32_t *bytes, const char *start) {
    while (*start != '\0') {
        if (*bytes == 0U || *name != *start) {
            return NULL;
        }
        name++;
        start++;
        --*bytes;
    }
    return name;
}

static bool is_called(const char *name, uint32_t bytes, const ftv_kernels *kernels) {
    const char *rest = after(name, &bytes, kernels->name);
    return rest != NULL && bytes == 0U;
}

/* The kernels that the name ends with; NULL: none. */
static const ftv_kernels *kernels_called(const ftv_app *app, const char *name, uint32_t bytes) {
    const ftv_kernels *given = app->config->options.kernels;
    const ftv_kernels *known[] = {given, &ftv_kernels_ref, &ftv_kernels_portable};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (known[i] != NULL && is_called(name, bytes, known[i])) {
            return known[i];
        }
    }
    return NULL;
}

static const ftv_kernels *find(const ftv_app *app, const ftv_line_bench *request, ftv_encoding *encoding) {
    static const ftv_encoding encodings[] = {FTV_T2, FTV_T5};
    static const char *const starts[] = {"linear_s8t2_", "linear_s8t5_"};
    for (size_t i = 0; i < 2U; i++) {
        uint32_t bytes = request->name_bytes;
        const char *rest = after(request->name, &bytes, starts[i]);
        if (rest != NULL) {
            *encoding = encodings[i];
            return kernels_called(app, rest, bytes);
        }
    }
    return NULL;
}

static uint32_t cycles(const ftv_app_port *port) {
    return port->cycles != NULL ? port->cycles(port->context) : 0U;
}

ftv_line_error ftv_app_bench(void *context, const ftv_line_bench *request, ftv_line_bench_result *result) {
    const ftv_app *app = context;
    const ftv_app_config *config = app->config;
    ftv_tile_job job = {.encoding = FTV_T2, .tokens = request->tokens, .inputs = request->inputs};
    const ftv_kernels *kernels = find(app, request, &job.encoding);
    if (kernels == NULL) {
        return FTV_LINE_ERR_ABSENT;
    }
    if (job.tokens - 1U >= MAX_TOKENS || job.inputs - 1U >= MAX_INPUTS || request->repetitions > MAX_REPETITIONS ||
        ftv_tile_bytes(job.tokens, job.inputs, kernels->linear_scratch_bytes(job.inputs), false) >
            config->scratch_bytes) {
        return FTV_LINE_ERR_PAYLOAD;
    }
    ftv_tile_lay_out(&job, config->scratch, false);
    ftv_tile_fill(&job, FTV_MADE_FOR_BENCH);
    ftv_linear_fn linear = ftv_linear_of(kernels, job.encoding);
    uint32_t started_us = ftv_app_now(app), started = cycles(&config->port);
    for (uint32_t i = 0; i < request->repetitions; i++) {
        linear(job.sums, job.x, job.tokens, job.stride, job.tile, job.inputs, job.scratch);
    }
    result->cycles = cycles(&config->port) - started;
    result->microseconds = ftv_app_now(app) - started_us;
    result->crc32 = ftv_crc32_words(0, job.sums, (size_t)job.tokens * FTV_TILE_CHANNELS);
    return FTV_LINE_OK;
}
