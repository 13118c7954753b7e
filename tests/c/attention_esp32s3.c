/* The C of the ESP32-S3's attention on this computer: its assembly is a call of Python, and the steps of others that it
 * uses are the C that defines them. */
#include "ftv_engine.h"
#include "kernels/esp32s3/ftv_esp32s3.h"

#include <string.h>

typedef void (*assembly)(const char *function, const void *args, uint32_t bytes);

static assembly model;
static const int32_t *outputs;
static const int8_t *inputs;

void use_model(assembly function) {
    model = function;
}

/* What the layer puts out for rows of x that begin at `x`. */
void use_layer(const int32_t *y, const int8_t *x) {
    outputs = y;
    inputs = x;
}

#define IN_ASSEMBLY(function, args_type)                                                                                \
    void function(const args_type *args) {                                                                             \
        model(#function, args, sizeof *args);                                                                          \
    }

IN_ASSEMBLY(ftv_keys_s8_esp32s3, ftv_keys_args)
IN_ASSEMBLY(ftv_values_s8s16_esp32s3, ftv_values_args)
IN_ASSEMBLY(ftv_scores_s8s8_esp32s3, ftv_scores_args)
IN_ASSEMBLY(ftv_softmax_s32s16_esp32s3, ftv_softmax_args)
IN_ASSEMBLY(ftv_mix_s16s16_esp32s3, ftv_mix_args)
IN_ASSEMBLY(ftv_divide_s32s16_esp32s3, ftv_divide_args)

void ftv_layer_esp32s3(const ftv_layer_job *job, void *scratch) {
    size_t first = (size_t)(job->x.codes - inputs) / job->x.stride;
    (void)scratch;
    memcpy(job->out, outputs + first * job->out_stride, (size_t)job->tokens * job->out_stride * sizeof(int32_t));
}

size_t ftv_layer_scratch_bytes_esp32s3(uint32_t tokens, uint32_t columns) {
    (void)tokens;
    (void)columns;
    return 0;
}

void ftv_quantise_row_s32s8_esp32s3(const ftv_quantise_row_args *args) {
    const int32_t *x = (const int32_t *)(uintptr_t)args->x;
    int8_t *codes = (int8_t *)(uintptr_t)args->codes;
    int32_t *absmax = (int32_t *)(uintptr_t)args->absmax;
    for (uint32_t row = 0; row < args->rows; row++) {
        absmax[row] = (int32_t)ftv_quantise_row(codes + row * args->codes_row, x + row * (args->x_row / 4U),
                                                16U * args->groups, args->codes_row, (int32_t)(args->levels_q21 >> 21))
                          .a;
    }
}
