/* The memory plan: 46,128 bytes of SRAM, 0 of PSRAM, 2 workers.
 * Embedding, attention and tokens (proj and MLP) take turns in the same places. */
#include "model.h"

const ftv_plan model_plan = {
    .places =
        {
            [FTV_BUFFER_SCRATCH] = {FTV_NEAR, 0U, 43264U},
            [FTV_BUFFER_RESIDENT] = {FTV_NEAR, 0U, 0U},
            [FTV_BUFFER_RESIDUAL] = {FTV_NEAR, 43456U, 640U},
            [FTV_BUFFER_ROWS] = {FTV_NEAR, 43264U, 192U},
            [FTV_BUFFER_PATCHES] = {FTV_NEAR, 44096U, 992U},
            [FTV_BUFFER_QKV] = {FTV_NEAR, 44096U, 1536U},
            [FTV_BUFFER_ABSMAX] = {FTV_NEAR, 46000U, 128U},
            [FTV_BUFFER_MIXED] = {FTV_NEAR, 45632U, 368U},
            [FTV_BUFFER_WINDOW] = {FTV_NEAR, 0U, 0U},
            [FTV_BUFFER_HIDDEN] = {FTV_NEAR, 44096U, 752U},
        },
    .bytes = {MODEL_NEAR_BYTES, MODEL_FAR_BYTES, MODEL_SPARE_BYTES},
    .workers = MODEL_WORKERS,
    .group = 5U, /* of 5 tokens */
    .teams = 1U,
    .wave = 2U, /* of 2 heads */
    .window = 0U,
    .resident = 0U,
};
