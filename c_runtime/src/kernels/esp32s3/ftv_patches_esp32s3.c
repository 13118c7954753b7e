/* ESP32-S3: the steps `patches` and `embed`, the picture on its way into the residual stream. */
#include "ftv_esp32s3.h"

#ifdef FTV_ESP32S3
#include <stdbool.h>

#include "ftv_engine.h"
#include "ftv_fixed.h"

/* A patch in Q16 and its absmax. */
typedef struct patch_scratch {
    int32_t *row;
    uint32_t *absmax;
} patch_scratch;

size_t ftv_patches_scratch_bytes_esp32s3(uint32_t side) {
    return ftv_patches_scratch_bytes(side) + FTV_ALIGN;
}

static patch_scratch lay_out(uint32_t side, void *base) {
    uint8_t *absmax = (uint8_t *)base + ftv_patches_scratch_bytes(side);
    return (patch_scratch){base, (uint32_t *)(void *)absmax};
}

static void gather_patch(const ftv_patches_job *job, uint32_t patch, int32_t *row) {
    ftv_patch_args args = {.pixels = ftv_address_of(job->pixels + (size_t)patch * job->side * 3U),
                           .line_bytes = job->line_bytes,
                           .side = job->side,
                           .row = ftv_address_of(row)};
    for (uint32_t colour = 0; colour < 3U; colour++) {
        args.colours[colour].scale = job->scale[colour];
        args.colours[colour].offset = job->offset[colour] + 128;
    }
    ftv_patch_u8s32_esp32s3(&args);
}

static void quantise_patch(const ftv_patches_job *job, uint32_t patch, patch_scratch scratch) {
    uint32_t columns = 3U * job->side * job->side;
    ftv_quantise_row_args args = {.x = ftv_address_of(scratch.row),
                                  .x_row = columns * (uint32_t)sizeof(int32_t),
                                  .x_group = FTV_TILE * (uint32_t)sizeof(int32_t),
                                  .rows = 1,
                                  .groups = columns / FTV_TILE,
                                  .levels_q21 = (uint32_t)FTV_CODE_MAX << 21,
                                  .codes = ftv_address_of(job->out.codes + (size_t)patch * job->out.stride),
                                  .codes_row = job->out.stride,
                                  .codes_group = FTV_TILE,
                                  .absmax = ftv_address_of(scratch.absmax)};
    ftv_quantise_row_s32s8_esp32s3(&args);
    ftv_absmax absmax = ftv_absmax_of(*scratch.absmax);
    job->out.scales[patch] = (ftv_multiplier){(uint16_t)absmax.a15, (int16_t)absmax.k};
}

void ftv_patches_esp32s3(const ftv_patches_job *job, void *base) {
    if (job->side % 4U != 0U || job->out.stride != 3U * job->side * job->side) {
        ftv_patches_steps(job, base);
        return;
    }
    patch_scratch scratch = lay_out(job->side, base);
    for (uint32_t patch = 0; patch < job->patches; patch++) {
        gather_patch(job, patch, scratch.row);
        quantise_patch(job, patch, scratch);
    }
}

/* In images the values never begin at a multiple of 16; where they did, the last read would be beyond them. */
static bool is_for_vectors(const ftv_embed_job *job) {
    uintptr_t start = (uintptr_t)job->values;
    return job->rows > 0U && job->columns > 0U && job->columns % 8U == 0U && start % 16U != 0U && start % 2U == 0U;
}

void ftv_embed_esp32s3(const ftv_embed_job *job, void *scratch) {
    (void)scratch;
    if (!is_for_vectors(job)) {
        ftv_embed_steps(job);
        return;
    }
    ftv_embed_args args = {.x = ftv_address_of(job->x),
                           .x_row = job->x_stride * (uint32_t)sizeof(int32_t),
                           .values = ftv_address_of(job->values),
                           .rows = job->rows,
                           .eights = job->columns / 8U,
                           .shift = job->shift};
    ftv_embed_s16s32_esp32s3(&args);
}
#endif
