/* Operands in the layouts of IMAGE_FORMAT.md. */
#include "ftv_tile.h"

uint32_t ftv_hash(uint32_t a, uint32_t b) {
    uint32_t value = (a * 2654435761U) ^ (b * 40503U + 2246822519U);
    value = (value ^ value >> 15) * 2246822519U;
    return value >> 17;
}

int8_t ftv_made_up_code(ftv_made_up kind, uint32_t a, uint32_t b) {
    if (kind == FTV_MADE_AT_RANDOM) {
        return (int8_t)((int32_t)(ftv_hash(a, b) % 255U) - 127);
    }
    return (int8_t)(kind == FTV_MADE_LOWEST ? -127 : 127);
}

static int8_t input(ftv_made_up kind, uint32_t token, uint32_t k) {
    return kind == FTV_MADE_FOR_BENCH ? ftv_bench_input(token, k) : ftv_made_up_code(kind, token, k);
}

/* Weight + 1 of channel `channel` and input `k`: 0, 1 or 2; 1 beyond the inputs. */
static uint32_t trit(const ftv_tile_job *job, ftv_made_up kind, uint32_t channel, uint32_t k) {
    if (k >= job->inputs) {
        return 1;
    }
    switch (kind) {
    case FTV_MADE_FOR_BENCH:
        return (uint32_t)(ftv_bench_weight(channel, k) + 1);
    case FTV_MADE_HIGHEST:
    case FTV_MADE_LOWEST:
        return channel % 2U == 0U ? 2U : 0U;
    default:
        return ftv_hash(channel + 977U, k) % 3U;
    }
}

static void fill_t2(const ftv_tile_job *job, ftv_made_up kind) {
    for (uint32_t i = 0; i < job->stride * 4U; i++) { /* blocks of 64 bytes: 16 channels x 16 inputs */
        uint32_t block = i / 64U, row = i % 64U / FTV_TILE_CHANNELS, channel = i % FTV_TILE_CHANNELS, byte = 0;
        for (uint32_t s = 0; s < 4U; s++) {
            byte |= trit(job, kind, channel, 16U * block + 4U * s + row) << (2U * s);
        }
        job->tile[i] = (uint8_t)byte;
    }
}

static void fill_t5(const ftv_tile_job *job, ftv_made_up kind) {
    for (uint32_t i = 0; i < (job->inputs + 4U) / 5U * FTV_TILE_CHANNELS; i++) {
        uint32_t value = 0;
        for (uint32_t s = 0; s < 5U; s++) {
            value = 3U * value + trit(job, kind, i % FTV_TILE_CHANNELS, i / FTV_TILE_CHANNELS * 5U + s);
        }
        job->tile[i] = (uint8_t)((256U * value + 242U) / 243U);
    }
}

void ftv_tile_fill(const ftv_tile_job *job, ftv_made_up kind) {
    for (uint32_t token = 0; token < job->tokens; token++) {
        for (uint32_t k = 0; k < job->stride; k++) {
            job->x[(size_t)token * job->stride + k] = k < job->inputs ? input(kind, token, k) : 0;
        }
    }
    if (job->encoding == FTV_T5) {
        fill_t5(job, kind);
    } else {
        fill_t2(job, kind);
    }
}

/* ---- memory ---- */

static size_t sums_bytes(uint32_t tokens) {
    return (size_t)tokens * FTV_TILE_CHANNELS * sizeof(int32_t);
}

size_t ftv_tile_bytes(uint32_t tokens, uint32_t inputs, size_t scratch_bytes, bool twice) {
    size_t stride = ftv_round_16(inputs);
    return sums_bytes(tokens) * (twice ? 2U : 1U) + tokens * stride + stride * 4U + 16U + ftv_round_16(scratch_bytes);
}

void ftv_tile_lay_out(ftv_tile_job *job, void *memory, bool twice) {
    uint8_t *at = memory;
    job->stride = (uint32_t)ftv_round_16(job->inputs);
    job->sums = memory;
    at += sums_bytes(job->tokens);
    job->expected = (int32_t *)(void *)at;
    at += twice ? sums_bytes(job->tokens) : 0U;
    job->x = (int8_t *)at;
    at += (size_t)job->tokens * job->stride;
    job->tile = at;
    at += (size_t)job->stride * 4U + 16U; /* five weights a byte may take 16 more than two bits a weight do */
    job->scratch = at;
}
