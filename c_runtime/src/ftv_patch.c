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

/* Where the pixels of a group of tokens go. */
typedef struct embedding {
    const ftv_group *group;
    const uint8_t *pixels;
    ftv_rows patches;     /* of the group's patches */
    int32_t *residual;    /* [count][width_stride] */
    uint32_t first_patch; /* of the group */
    uint32_t patches_count;
    uint32_t rows; /* of one task */
} embedding;

/* Patches of a task, as far as they lie side by side at a time. */
static void quantise_patches(void *argument, uint32_t task, uint32_t worker) {
    const embedding *e = argument;
    const ftv_model *model = e->group->pass->model;
    uint32_t across = model->image_size / model->patch_size, line_bytes = model->image_size * 3U;
    uint32_t end = ftv_min_u32((task + 1U) * e->rows, e->patches_count);
    ftv_patches_job job = {.line_bytes = line_bytes,
                           .side = model->patch_size,
                           .scale = model->pixel_scale,
                           .offset = model->pixel_offset};
    for (uint32_t row = task * e->rows; row < end; row += job.patches) {
        uint32_t y = (e->first_patch + row) / across, x = (e->first_patch + row) % across;
        job.pixels = e->pixels + (size_t)y * model->patch_size * line_bytes + (size_t)x * model->patch_size * 3U;
        job.patches = ftv_min_u32(across - x, end - row);
        job.out = ftv_rows_from(e->patches, row);
        ftv_patches(e->group->pass->kernels, &job, ftv_scratch(e->group->pass, worker));
    }
}

/* The class token's row, and the position embedding on all rows that have one. */
static void add_embeddings(void *argument, uint32_t task, uint32_t worker) {
    const embedding *e = argument;
    const ftv_pass *pass = e->group->pass;
    const ftv_model *model = pass->model;
    uint32_t stride = pass->buffers.width_stride, without = model->position_on_class_token ? 0U : 1U;
    uint32_t row = task * e->rows, token = e->group->first + row;
    uint32_t end = ftv_min_u32(row + e->rows, e->group->count);
    ftv_embed_job job = {.x = e->residual + (size_t)row * stride, .x_stride = stride, .columns = model->width};
    if (token == 0U) {
        for (uint32_t c = 0; c < stride; c++) {
            job.x[c] = 0;
        }
        job.values = model->cls;
        job.rows = 1;
        job.shift = model->cls_shift;
        ftv_embed_rows(pass->kernels, &job, ftv_scratch(pass, worker));
    }
    uint32_t skipped = token < without ? 1U : 0U;
    job.x += (size_t)skipped * stride;
    job.values = model->position + (size_t)(token + skipped - without) * model->width;
    job.rows = end - row - skipped;
    job.shift = model->position_shift;
    if (job.rows > 0U) {
        ftv_embed_rows(pass->kernels, &job, ftv_scratch(pass, worker));
    }
}

static void share_rows(embedding *e, ftv_task_fn function, uint32_t rows) {
    e->rows = ftv_share_rows(e->group->parallel, rows);
    ftv_for_each(e->group->parallel, function, e, ftv_ceil_div(rows, e->rows));
}

void ftv_embed(const ftv_group *group, const uint8_t *pixels, int32_t *residual) {
    const ftv_pass *pass = group->pass;
    const ftv_model *model = pass->model;
    uint32_t has_class_token = group->first == 0U ? 1U : 0U;
    embedding e = {.group = group,
                   .pixels = pixels,
                   .patches = ftv_patches_at(&pass->buffers, group->team),
                   .residual = residual,
                   .first_patch = group->first + has_class_token - 1U,
                   .patches_count = group->count - has_class_token};
    if (e.patches_count > 0U) {
        share_rows(&e, quantise_patches, e.patches_count);
        ftv_trace_s8(pass, FTV_SITE_PATCH_CODES, FTV_NO_BLOCK, e.patches, e.patches_count, model->patch.inputs);
        ftv_layer_job layer = {.layer = &model->patch,
                               .encoding = model->encoding,
                               .tiles = model->patch.stored_rows / FTV_TILE,
                               .x = e.patches,
                               .tokens = e.patches_count,
                               .output = FTV_STORE,
                               .out = residual + has_class_token * pass->buffers.width_stride,
                               .out_stride = pass->buffers.width_stride};
        ftv_layer_all(pass, group->parallel, &layer);
    }
    share_rows(&e, add_embeddings, group->count);
    ftv_trace_s32(pass, FTV_SITE_EMBEDDED, FTV_NO_BLOCK, residual, group->count, model->width,
                  pass->buffers.width_stride);
}
