/* The memory plan: 19,104 bytes of SRAM, 0 of PSRAM, 2 workers.
 * Embedding, attention and MLP take turns in the same places. */
#include "model.h"

const ftv_plan model_plan = {
    .places =
        {
            [FTV_BUFFER_SCRATCH] = {FTV_NEAR, 0U, 16640U},
            [FTV_BUFFER_RESIDUAL] = {FTV_NEAR, 16832U, 640U},
            [FTV_BUFFER_ROWS] = {FTV_NEAR, 16640U, 192U},
            [FTV_BUFFER_PATCHES] = {FTV_NEAR, 17472U, 784U},
            [FTV_BUFFER_QKV] = {FTV_NEAR, 17472U, 480U},
            [FTV_BUFFER_ABSMAX] = {FTV_NEAR, 18592U, 128U},
            [FTV_BUFFER_MIXED] = {FTV_NEAR, 17952U, 640U},
            [FTV_BUFFER_HIDDEN] = {FTV_NEAR, 17472U, 1280U},
            [FTV_BUFFER_HIDDEN_ROWS] = {FTV_NEAR, 18752U, 352U},
        },
    .bytes = {MODEL_NEAR_BYTES, MODEL_FAR_BYTES},
    .workers = MODEL_WORKERS,
    .mlp_tokens = 5U, /* of 5 */
};
