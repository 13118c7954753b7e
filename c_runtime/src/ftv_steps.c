/* The steps of a pass: a set's own function where it has one, else the composition that defines the step. */
#include "ftv_engine.h"
#include "ftv_fixed.h"

void ftv_layer(const ftv_kernels *kernels, const ftv_layer_job *job, void *scratch) {
    if (kernels->layer != NULL) {
        kernels->layer(job, scratch);
    } else {
        ftv_layer_steps(kernels, job, scratch);
    }
}

void ftv_parts(const ftv_kernels *kernels, const ftv_qkv_part *parts, uint32_t count, void *scratch) {
    if (kernels->parts != NULL) {
        kernels->parts(parts, count, scratch);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        ftv_qkv_part part = parts[i];
        part.again = i > 0U ? 1U : 0U;
        if (kernels->qkv != NULL) {
            kernels->qkv(&part, scratch);
        } else {
            ftv_qkv_steps(kernels, &part, scratch);
        }
    }
}

void ftv_attend(const ftv_kernels *kernels, const ftv_attend_job *job, void *scratch) {
    if (kernels->attend != NULL) {
        kernels->attend(job, scratch);
    } else {
        ftv_attend_steps(kernels, job, scratch);
    }
}

void ftv_norm_rows(const ftv_kernels *kernels, const ftv_norm_job *job, void *scratch) {
    if (kernels->norm != NULL) {
        kernels->norm(job, scratch);
    } else {
        ftv_norm_steps(job, scratch);
    }
}

void ftv_quantise_rows(const ftv_kernels *kernels, const ftv_quantise_job *job, void *scratch) {
    if (kernels->quantise != NULL) {
        kernels->quantise(job, scratch);
    } else {
        ftv_quantise_steps(job);
    }
}

void ftv_patches(const ftv_kernels *kernels, const ftv_patches_job *job, void *scratch) {
    if (kernels->patches != NULL) {
        kernels->patches(job, scratch);
    } else {
        ftv_patches_steps(job, scratch);
    }
}

void ftv_embed_rows(const ftv_kernels *kernels, const ftv_embed_job *job, void *scratch) {
    if (kernels->embed != NULL) {
        kernels->embed(job, scratch);
    } else {
        ftv_embed_steps(job);
    }
}

/* ---- memory ---- */

size_t ftv_part_bytes(const ftv_kernels *kernels, ftv_part part, uint32_t tokens, uint32_t head_rows) {
    size_t codes = (size_t)ftv_round16(tokens) * head_rows;
    return part == FTV_V && kernels->value_bytes > 1U ? codes * kernels->value_bytes : codes;
}

static size_t max_size(size_t a, size_t b) {
    return a > b ? a : b;
}

static uint32_t most_inputs(const ftv_model *model) {
    uint32_t patch = model->patch.inputs;
    uint32_t inner = model->width > model->hidden ? model->width : model->hidden;
    return patch > inner ? patch : inner;
}

size_t ftv_step_scratch_bytes(const ftv_model *model, const ftv_kernels *kernels) {
    size_t own = kernels->scratch_bytes != NULL ? kernels->scratch_bytes(model) : 0U;
    size_t most = max_size(own, ftv_patches_scratch_bytes(model->patch_size));
    if (kernels->layer == NULL) {
        most = max_size(most, ftv_layer_scratch_bytes(kernels, model->tokens, most_inputs(model)));
    }
    if (kernels->qkv == NULL && kernels->parts == NULL) {
        most = max_size(most, ftv_qkv_scratch_bytes(kernels, model->tokens, model->width, model->head_rows));
    }
    if (kernels->attend == NULL) {
        most = max_size(most, ftv_attend_scratch_bytes(model->tokens, model->head_rows));
    }
    if (kernels->norm == NULL) {
        most = max_size(most, ftv_norm_scratch_bytes(model->width));
    }
    return ftv_align(most) + ftv_sums_bytes(FTV_HEAD_TILES);
}

size_t ftv_layer_job_bytes(const ftv_kernels *kernels, const ftv_layer_job *job, ftv_model *blank) {
    uint32_t inputs = job->layer->inputs;
    if (kernels->layer == NULL || kernels->scratch_bytes == NULL) {
        return ftv_layer_scratch_bytes(kernels, job->tokens, inputs);
    }
    for (size_t i = 0; i < sizeof *blank; i++) {
        ((uint8_t *)blank)[i] = 0;
    }
    blank->encoding = job->encoding;
    blank->tokens = job->tokens;
    blank->width = blank->hidden = blank->patch.inputs = inputs;
    blank->classes = blank->head.stored_rows = job->layer->stored_rows; /* sizes of a head count for every set */
    blank->patch_size = blank->heads = 1;
    blank->head_dim = blank->head_rows = FTV_TILE;
    return kernels->scratch_bytes(blank);
}
