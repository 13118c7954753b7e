/* NUMERICS.md, section 3: pixels to the residual stream. */
#include "ftv_engine.h"
#include "ftv_fixed.h"

size_t ftv_patches_scratch_bytes(uint32_t side) {
    return (size_t)ftv_round16(3U * side * side) * sizeof(int32_t);
}

/* One patch in Q16, in the order colour, y, x. corner: its first pixel. */
static void gather_patch(int32_t *row, const ftv_patches_job *job, const uint8_t *corner) {
    for (uint32_t colour = 0; colour < 3U; colour++) {
        int32_t scale = job->scale[colour];
        int32_t offset = job->offset[colour] + 128;
        for (uint32_t y = 0; y < job->side; y++) {
            const uint8_t *line = corner + (size_t)y * job->line_bytes + colour;
            for (uint32_t x = 0; x < job->side; x++) {
                *row++ = (line[x * 3U] * scale + offset) >> 8;
            }
        }
    }
}

void ftv_patches_steps(const ftv_patches_job *job, void *scratch) {
    int32_t *row = scratch;
    for (uint32_t i = 0; i < job->patches; i++) {
        gather_patch(row, job, job->pixels + (size_t)i * job->side * 3U);
        ftv_absmax absmax = ftv_quantise_row(job->out.codes + (size_t)i * job->out.stride, row,
                                             3U * job->side * job->side, job->out.stride, FTV_CODE_MAX);
        job->out.scales[i] = (ftv_multiplier){(uint16_t)absmax.a15, (int16_t)absmax.k};
    }
}

void ftv_embed_steps(const ftv_embed_job *job) {
    for (uint32_t row = 0; row < job->rows; row++) {
        int32_t *x = job->x + (size_t)row * job->x_stride;
        const int16_t *values = job->values + (size_t)row * job->columns;
        for (uint32_t c = 0; c < job->columns; c++) {
            x[c] = ftv_sat30(x[c] + values[c] * (INT32_C(1) << job->shift));
        }
    }
}

/* ---- the whole picture ---- */

typedef struct patch_task {
    const ftv_pass *pass;
    const uint8_t *pixels;
} patch_task;

/* The patches of one line of patches. */
static void quantise_patches(void *argument, uint32_t task, uint32_t worker) {
    const patch_task *all = argument;
    const ftv_model *model = all->pass->model;
    uint32_t line_bytes = model->image_size * 3U;
    uint32_t across = model->image_size / model->patch_size;
    ftv_patches_job job = {.pixels = all->pixels + (size_t)task * model->patch_size * line_bytes,
                           .line_bytes = line_bytes,
                           .patches = across,
                           .side = model->patch_size,
                           .scale = model->pixel_scale,
                           .offset = model->pixel_offset,
                           .out = all->pass->buffers.patches};
    job.out.codes += (size_t)task * across * job.out.stride;
    job.out.scales += (size_t)task * across;
    ftv_patches(all->pass->kernels, &job, ftv_scratch(all->pass, worker));
}

/* The class token's row, and the position embedding on all rows that have one. */
static void add_embeddings(const ftv_pass *pass) {
    const ftv_model *model = pass->model;
    const ftv_buffers *buffers = &pass->buffers;
    uint32_t first = model->position_on_class_token ? 0U : 1U;
    for (uint32_t c = 0; c < buffers->width_stride; c++) {
        buffers->residual[c] = 0;
    }
    ftv_embed_job job = {buffers->residual, buffers->width_stride, model->cls, 1, model->width, model->cls_shift};
    ftv_embed_rows(pass->kernels, &job, ftv_scratch(pass, 0));
    job.x += (size_t)first * buffers->width_stride;
    job.values = model->position;
    job.rows = model->tokens - first;
    job.shift = model->position_shift;
    ftv_embed_rows(pass->kernels, &job, ftv_scratch(pass, 0));
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
