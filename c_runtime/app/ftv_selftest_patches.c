/* The steps from pixels to the residual stream against their definition: made-up pixels, the model's own embeddings. */
#include "ftv_app_parts.h"
#include "ftv_engine.h"
#include "ftv_fixed.h"
#include "ftv_tile.h"

#define PATCHES 2U

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

static size_t pixel_bytes(const ftv_model *model) {
    return ftv_align((size_t)PATCHES * model->patch_size * model->patch_size * 3U);
}

static size_t code_bytes(const ftv_model *model) {
    return (size_t)PATCHES * ftv_round16(model->patch.inputs);
}

/* Of two results, either step's. */
static size_t result_bytes(const ftv_model *model) {
    size_t rows = code_bytes(model) + ftv_align(PATCHES * sizeof(ftv_multiplier));
    return larger(2U * rows, 2U * (size_t)ftv_round16(model->width) * sizeof(int32_t));
}

static bool same_bytes(const void *a, const void *b, size_t bytes) {
    const uint8_t *x = a, *y = b;
    bool equal = true;
    for (size_t i = 0; i < bytes; i++) {
        equal = equal && x[i] == y[i];
    }
    return equal;
}

static bool patches_work(const ftv_model *model, const ftv_kernels *kernels, ftv_made_up kind, uint8_t *memory) {
    uint8_t *results = memory + pixel_bytes(model);
    uint8_t *scratch = results + result_bytes(model);
    size_t row_bytes = code_bytes(model) + ftv_align(PATCHES * sizeof(ftv_multiplier));
    ftv_patches_job job = {.pixels = memory,
                           .line_bytes = PATCHES * model->patch_size * 3U,
                           .patches = PATCHES,
                           .side = model->patch_size,
                           .scale = model->pixel_scale,
                           .offset = model->pixel_offset,
                           .out = {.stride = ftv_round16(model->patch.inputs)}};
    for (uint32_t i = 0; i < model->patch_size * job.line_bytes; i++) {
        memory[i] = (uint8_t)ftv_made_up_code(kind, i / job.line_bytes, i % job.line_bytes);
    }
    for (uint32_t own = 0; own < 2U; own++) {
        uint8_t *codes = results + own * row_bytes;
        job.out.codes = (int8_t *)codes;
        job.out.scales = (ftv_multiplier *)(void *)(codes + code_bytes(model));
        for (size_t i = 0; i < row_bytes; i++) {
            codes[i] = own != 0U && i < code_bytes(model) ? 0x5A : 0;
        }
        if (own != 0U) {
            kernels->patches(&job, scratch);
        } else {
            ftv_patches_steps(&job, scratch);
        }
    }
    return same_bytes(results, results + row_bytes, row_bytes);
}

static bool embed_works(const ftv_model *model, const ftv_kernels *kernels, ftv_made_up kind, uint8_t *memory) {
    uint32_t stride = ftv_round16(model->width);
    int32_t *x[2] = {(int32_t *)(void *)memory, (int32_t *)(void *)memory + stride};
    for (uint32_t own = 0; own < 2U; own++) {
        for (uint32_t c = 0; c < stride; c++) {
            x[own][c] = ftv_made_up_code(kind, 0, c) * (INT32_C(1) << (c % 24U));
        }
        ftv_embed_job job = {x[own], stride, model->cls, 1, model->width, model->cls_shift};
        if (own != 0U) {
            kernels->embed(&job, memory + result_bytes(model));
        } else {
            ftv_embed_steps(&job);
        }
    }
    return same_bytes(x[0], x[1], model->width * sizeof(int32_t));
}

const char *ftv_selftest_patches(const ftv_model *model, const ftv_kernels *kernels, void *scratch) {
    for (uint32_t kind = FTV_MADE_AT_RANDOM; kind < FTV_MADE_KINDS; kind++) {
        if (kernels->patches != NULL && !patches_work(model, kernels, (ftv_made_up)kind, scratch)) {
            return "patches";
        }
        if (kernels->embed != NULL && !embed_works(model, kernels, (ftv_made_up)kind, scratch)) {
            return "embed";
        }
    }
    return NULL;
}

size_t ftv_selftest_patches_bytes(const ftv_model *model, const ftv_kernels *kernels) {
    size_t own = kernels->scratch_bytes != NULL ? kernels->scratch_bytes(model) : 0U;
    if (kernels->patches == NULL && kernels->embed == NULL) {
        return 0;
    }
    return pixel_bytes(model) + result_bytes(model) + larger(own, ftv_patches_scratch_bytes(model->patch_size));
}
