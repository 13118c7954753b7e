/* NUMERICS.md, section 3: pixels to the residual stream. */
#include "ftv_engine.h"
#include "ftv_fixed.h"

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

static void quantise_patches(void *argument, uint32_t task, uint32_t worker) {
    const embedding *e = argument;
    const ftv_model *model = e->group->pass->model;
    int32_t *values = (int32_t *)(void *)ftv_scratch(e->group->pass, worker);
    uint32_t across = model->image_size / model->patch_size;
    uint32_t end = ftv_min_u32((task + 1U) * e->rows, e->patches_count);
    for (uint32_t row = task * e->rows; row < end; row++) {
        uint32_t patch = e->first_patch + row;
        uint32_t y = patch / across * model->patch_size, x = patch % across * model->patch_size;
        gather_patch(values, model, e->pixels + ((size_t)y * model->image_size + x) * 3U);
        ftv_absmax absmax = ftv_quantise_row(e->patches.codes + (size_t)row * e->patches.stride, values,
                                             model->patch.inputs, e->patches.stride, FTV_CODE_MAX);
        e->patches.scales[row] = (ftv_multiplier){(uint16_t)absmax.a15, (int16_t)absmax.k};
    }
}

static void add_row(int32_t *x, const int16_t *values, uint32_t shift, uint32_t columns) {
    for (uint32_t c = 0; c < columns; c++) {
        x[c] = ftv_sat30(x[c] + values[c] * (INT32_C(1) << shift));
    }
}

/* The class token's row, and the position embedding on all rows that have one. */
static void add_embeddings(void *argument, uint32_t task, uint32_t worker) {
    const embedding *e = argument;
    const ftv_model *model = e->group->pass->model;
    uint32_t stride = e->group->pass->buffers.width_stride, without = model->position_on_class_token ? 0U : 1U;
    uint32_t end = ftv_min_u32((task + 1U) * e->rows, e->group->count);
    (void)worker;
    for (uint32_t row = task * e->rows; row < end; row++) {
        int32_t *x = e->residual + (size_t)row * stride;
        uint32_t token = e->group->first + row;
        for (uint32_t c = 0; c < stride && token == 0U; c++) {
            x[c] = 0;
        }
        if (token == 0U) {
            add_row(x, model->cls, model->cls_shift, model->width);
        }
        if (token >= without) {
            add_row(x, model->position + (size_t)(token - without) * model->width, model->position_shift, model->width);
        }
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
