/* NUMERICS.md, section 3: pixels to the residual stream. */
#include "ftv_engine.h"
#include "ftv_fixed.h"

typedef struct patch_task {
    const ftv_pass *pass;
    const uint8_t *pixels;
} patch_task;

size_t ftv_patch_scratch_bytes(const ftv_model *model) {
    return (size_t)ftv_round16(3U * model->patch_size * model->patch_size) * sizeof(int32_t);
}

/* One patch in Q16, in the order colour, y, x. corner: its first pixel. */
static void gather_patch(int32_t *row, const ftv_model *model, const uint8_t *corner) {
    uint32_t side = model->patch_size;
    for (uint32_t colour = 0; colour < 3U; colour++) {
        int32_t scale = model->pixel_scale[colour];
        int32_t offset = model->pixel_offset[colour] + 128;
        for (uint32_t y = 0; y < side; y++) {
            const uint8_t *line = corner + (size_t)y * model->image_size * 3U + colour;
            for (uint32_t x = 0; x < side; x++) {
                *row++ = (line[x * 3U] * scale + offset) >> 8;
            }
        }
    }
}

/* The patches of one line of patches. */
static void quantise_patches(void *argument, uint32_t task, uint32_t worker) {
    const patch_task *job = argument;
    const ftv_model *model = job->pass->model;
    ftv_rows out = job->pass->buffers.patches;
    int32_t *row = (int32_t *)(void *)ftv_scratch(job->pass, worker);
    uint32_t across = model->image_size / model->patch_size;
    const uint8_t *line = job->pixels + (size_t)task * model->patch_size * model->image_size * 3U;
    for (uint32_t i = 0; i < across; i++) {
        uint32_t patch = task * across + i;
        gather_patch(row, model, line + (size_t)i * model->patch_size * 3U);
        ftv_absmax absmax = ftv_quantise_row(out.codes + (size_t)patch * out.stride, row, model->patch.inputs,
                                             out.stride, FTV_CODE_MAX);
        out.scales[patch] = (ftv_multiplier){(uint16_t)absmax.a15, (int16_t)absmax.k};
    }
}

static void add_row(int32_t *x, const int16_t *values, uint32_t shift, uint32_t columns) {
    for (uint32_t c = 0; c < columns; c++) {
        x[c] = ftv_sat30(x[c] + values[c] * (INT32_C(1) << shift));
    }
}

/* The class token's row, and the position embedding on all rows that have one. */
static void add_embeddings(const ftv_pass *pass) {
    const ftv_model *model = pass->model;
    const ftv_buffers *buffers = &pass->buffers;
    uint32_t first = model->position_on_class_token ? 0U : 1U;
    for (uint32_t c = 0; c < buffers->width_stride; c++) {
        buffers->residual[c] = 0;
    }
    add_row(buffers->residual, model->cls, model->cls_shift, model->width);
    for (uint32_t token = first; token < model->tokens; token++) {
        add_row(buffers->residual + (size_t)token * buffers->width_stride,
                model->position + (size_t)(token - first) * model->width, model->position_shift, model->width);
    }
}

void ftv_embed(const ftv_pass *pass, const uint8_t *pixels) {
    const ftv_model *model = pass->model;
    const ftv_buffers *buffers = &pass->buffers;
    patch_task job = {pass, pixels};
    ftv_for_each(pass->parallel, quantise_patches, &job, model->image_size / model->patch_size);
    ftv_trace_s8(pass, FTV_SITE_PATCH_CODES, FTV_NO_BLOCK, buffers->patches, model->tokens - 1U, model->patch.inputs);
    ftv_layer_job layer = {.layer = &model->patch,
                           .encoding = model->encoding,
                           .tiles = model->patch.stored_rows / FTV_TILE,
                           .x = buffers->patches,
                           .tokens = model->tokens - 1U,
                           .output = FTV_STORE,
                           .out = buffers->residual + buffers->width_stride,
                           .out_stride = buffers->width_stride};
    ftv_layer_all(pass, pass->parallel, &layer);
    add_embeddings(pass);
    ftv_trace_s32(pass, FTV_SITE_EMBEDDED, FTV_NO_BLOCK, buffers->residual, model->tokens, model->width,
                  buffers->width_stride);
}
