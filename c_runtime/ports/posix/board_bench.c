/* One kernel, timed on numbers that any host can make again. */
#include "board.h"
#include "ftv_crc32.h"

#include <stdlib.h>
#include <string.h>

#define MAX_TOKENS      4096U
#define MAX_INPUTS      4128U
#define MAX_REPETITIONS 100000U
#define TILE            16U

typedef void (*linear_fn)(int32_t *sums, const int8_t *x, uint32_t tokens, uint32_t stride, const uint8_t *tile,
                          uint32_t inputs, void *scratch);

/* What a kernel is called with. */
typedef struct job {
    linear_fn function;
    int32_t *sums;
    int8_t *x;
    uint8_t *tile;
    void *scratch;
    uint32_t tokens, inputs, stride;
} job;

static bool is_called(const ftv_line_bench *request, const char *name) {
    return strlen(name) == request->name_bytes && memcmp(name, request->name, request->name_bytes) == 0;
}

static const ftv_kernels *find(const ftv_line_bench *request, bool *five_in_a_byte) {
    static const struct {
        const char *name;
        const ftv_kernels *kernels;
        bool five_in_a_byte;
    } known[] = {{"linear_s8t2_ref", &ftv_kernels_ref, false},
                 {"linear_s8t2_portable", &ftv_kernels_portable, false},
                 {"linear_s8t5_ref", &ftv_kernels_ref, true},
                 {"linear_s8t5_portable", &ftv_kernels_portable, true}};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (is_called(request, known[i].name)) {
            *five_in_a_byte = known[i].five_in_a_byte;
            return known[i].kernels;
        }
    }
    return NULL;
}

/* Weight + 1 of channel `channel` and input `k`: 0, 1 or 2; 1 beyond the inputs. */
static uint32_t trit(const job *j, uint32_t k, uint32_t channel) {
    return k < j->inputs ? (7U * k + 5U * channel) % 3U : 1U;
}

static void fill_t2(job *j) {
    for (uint32_t i = 0; i < j->stride * 4U; i++) { /* blocks of 64 bytes: 16 channels x 16 inputs */
        uint32_t block = i / 64U, row = i % 64U / TILE, channel = i % TILE, byte = 0;
        for (uint32_t s = 0; s < 4U; s++) {
            byte |= trit(j, 16U * block + 4U * s + row, channel) << (2U * s);
        }
        j->tile[i] = (uint8_t)byte;
    }
}

static void fill_t5(job *j) {
    for (uint32_t i = 0; i < (j->inputs + 4U) / 5U * TILE; i++) {
        uint32_t value = 0;
        for (uint32_t s = 0; s < 5U; s++) {
            value = 3U * value + trit(j, i / TILE * 5U + s, i % TILE);
        }
        j->tile[i] = (uint8_t)((256U * value + 242U) / 243U);
    }
}

static void fill_rows(job *j) {
    for (uint32_t token = 0; token < j->tokens; token++) {
        for (uint32_t k = 0; k < j->inputs; k++) {
            j->x[(size_t)token * j->stride + k] = (int8_t)((int32_t)((37U * token + 11U * k) % 255U) - 127);
        }
    }
}

ftv_line_error posix_bench(const ftv_line_bench *request, ftv_line_bench_result *result) {
    bool five_in_a_byte = false;
    const ftv_kernels *kernels = find(request, &five_in_a_byte);
    if (kernels == NULL) {
        return FTV_LINE_ERR_ABSENT;
    }
    if (request->tokens - 1U >= MAX_TOKENS || request->inputs - 1U >= MAX_INPUTS ||
        request->repetitions > MAX_REPETITIONS) {
        return FTV_LINE_ERR_PAYLOAD;
    }
    job j = {.function = five_in_a_byte ? kernels->linear_s8t5 : kernels->linear_s8t2,
             .tokens = request->tokens,
             .inputs = request->inputs,
             .stride = (request->inputs + 15U) / 16U * 16U};
    size_t values = (size_t)j.tokens * TILE;
    j.sums = posix_allocate(values * sizeof *j.sums);
    j.x = posix_allocate((size_t)j.tokens * j.stride);
    j.tile = posix_allocate((size_t)j.stride * 4U + 64U);
    j.scratch = posix_allocate(kernels->linear_scratch_bytes(j.inputs) + 16U);
    fill_rows(&j);
    if (five_in_a_byte) {
        fill_t5(&j);
    } else {
        fill_t2(&j);
    }
    uint32_t started = posix_clock_us();
    for (uint32_t i = 0; i < request->repetitions; i++) {
        j.function(j.sums, j.x, j.tokens, j.stride, j.tile, j.inputs, j.scratch);
    }
    result->microseconds = posix_clock_us() - started;
    result->crc32 = ftv_crc32_words(0, j.sums, values);
    free(j.sums);
    free(j.x);
    free(j.tile);
    free(j.scratch);
    return FTV_LINE_OK;
}
