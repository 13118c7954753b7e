/* How much memory a pass needs, and where everything lies in it. */
#include "ftv_engine.h"
#include "ftv_fixed.h"

/* Hands out the arena from front to back. Sums fit 32 bits for every valid model and FTV_MAX_WORKERS. */
typedef struct cursor {
    uintptr_t base;
    size_t used;
} cursor;

static void *take(cursor *at, size_t bytes) {
    void *place = (void *)(at->base + at->used); /* base 0: only `used` matters */
    at->used += ftv_align(bytes);
    return place;
}

static size_t max_size(size_t a, size_t b) {
    return a > b ? a : b;
}

static uint32_t most_inputs(const ftv_model *model) {
    uint32_t patch = model->patch.inputs;
    uint32_t inner = model->width > model->hidden ? model->width : model->hidden;
    return patch > inner ? patch : inner;
}

static size_t worker_bytes(const ftv_model *model, size_t linear_scratch_bytes) {
    size_t linear = ftv_sums_bytes(model->tokens) + linear_scratch_bytes;
    size_t rows = max_size(ftv_patch_scratch_bytes(model), ftv_norm_scratch_bytes(model));
    return ftv_align(max_size(max_size(linear, rows), ftv_attention_scratch_bytes(model, linear_scratch_bytes)));
}

static ftv_rows take_rows(cursor *at, uint32_t rows, uint32_t stride) {
    int8_t *codes = take(at, (size_t)rows * stride);
    ftv_multiplier *scales = take(at, rows * sizeof(ftv_multiplier));
    return (ftv_rows){codes, scales, stride};
}

static size_t take_patches(ftv_buffers *buffers, const ftv_model *model, cursor at) {
    buffers->patches = take_rows(&at, model->tokens - 1U, ftv_round16(model->patch.inputs));
    return at.used;
}

static size_t take_attention(ftv_buffers *buffers, const ftv_model *model, cursor at) {
    size_t rows = (size_t)model->heads * 3U * model->tokens;
    buffers->qkv = take(&at, rows * model->head_rows);
    buffers->absmax = take(&at, rows * sizeof(int32_t));
    buffers->mixed = take(&at, (size_t)model->tokens * buffers->width_stride * sizeof(int32_t));
    return at.used;
}

/* As many tokens go through the MLP together as fit where attention's values were, in groups of even size. */
static size_t take_mlp(ftv_buffers *buffers, const ftv_model *model, cursor at, size_t end) {
    size_t token_bytes = buffers->hidden_stride * (sizeof(int32_t) + 1U) + sizeof(ftv_multiplier);
    size_t fitting = (end - at.used) / token_bytes;
    uint32_t most = fitting >= model->tokens  ? model->tokens
                    : fitting > FTV_ROW_GROUP ? (uint32_t)fitting
                                              : FTV_ROW_GROUP;
    uint32_t groups = ftv_ceil_div(model->tokens, most);
    buffers->mlp_tokens = ftv_ceil_div(model->tokens, groups);
    buffers->hidden = take(&at, (size_t)buffers->mlp_tokens * buffers->hidden_stride * sizeof(int32_t));
    buffers->hidden_rows = take_rows(&at, buffers->mlp_tokens, buffers->hidden_stride);
    return at.used;
}

ftv_buffers ftv_lay_out(const ftv_model *model, const ftv_kernels *kernels, uint32_t workers, uintptr_t base) {
    cursor at = {base, 0};
    ftv_buffers buffers = {0};
    buffers.width_stride = ftv_round16(model->width);
    buffers.hidden_stride = ftv_round16(model->hidden);
    size_t linear_scratch_bytes = kernels->linear_scratch_bytes(most_inputs(model));
    buffers.scratch_bytes = worker_bytes(model, linear_scratch_bytes);
    buffers.scratch = take(&at, buffers.scratch_bytes * workers);
    buffers.residual = take(&at, (size_t)model->tokens * buffers.width_stride * sizeof(int32_t));
    buffers.rows = take_rows(&at, model->tokens, buffers.width_stride);
    size_t patches = take_patches(&buffers, model, at);
    size_t attention = take_attention(&buffers, model, at);
    size_t mlp = take_mlp(&buffers, model, at, max_size(patches, attention));
    buffers.total_bytes = max_size(max_size(patches, attention), mlp);
    return buffers;
}
