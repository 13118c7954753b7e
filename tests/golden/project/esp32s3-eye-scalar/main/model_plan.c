/* The memory plan: 35,248 bytes of SRAM, 0 of PSRAM, 2 workers.
 * Embedding, attention and tokens (proj and MLP) take turns in the same places. */
#include "model.h"

const ftv_plan model_plan = {
    .places =
        {
            [FTV_BUFFER_SCRATCH] = {FTV_NEAR, 0U, 32384U},
            [FTV_BUFFER_RESIDENT] = {FTV_NEAR, 0U, 0U},
            [FTV_BUFFER_RESIDUAL] = {FTV_NEAR, 32576U, 640U},
            [FTV_BUFFER_ROWS] = {FTV_NEAR, 32384U, 192U},
            [FTV_BUFFER_PATCHES] = {FTV_NEAR, 33216U, 992U},
            [FTV_BUFFER_QKV] = {FTV_NEAR, 33216U, 1536U},
            [FTV_BUFFER_ABSMAX] = {FTV_NEAR, 35120U, 128U},
            [FTV_BUFFER_MIXED] = {FTV_NEAR, 34752U, 368U},
            [FTV_BUFFER_WINDOW] = {FTV_NEAR, 0U, 0U},
            [FTV_BUFFER_HIDDEN] = {FTV_NEAR, 33216U, 752U},
        },
    .bytes = {MODEL_NEAR_BYTES, MODEL_FAR_BYTES, MODEL_SPARE_BYTES},
    .workers = MODEL_WORKERS,
    .group = 5U, /* of 5 tokens */
    .teams = 1U,
    .wave = 2U, /* of 2 heads */
    .window = 0U,
    .resident = 0U,
};
