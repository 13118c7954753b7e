/* The C of the ESP32-S3's attention on this computer: its assembly is a call of Python, and its matrix
 * product a table. */
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

#define IN_ASSEMBLY(function, args_type)                                                                               \
    void function(const args_type *args) {                                                                             \
        model(#function, args, sizeof *args);                                                                          \
    }

IN_ASSEMBLY(ftv_keys_s8_esp32s3, ftv_keys_args)
IN_ASSEMBLY(ftv_values_s8s16_esp32s3, ftv_values_args)
IN_ASSEMBLY(ftv_scores_s8s8_esp32s3, ftv_scores_args)
IN_ASSEMBLY(ftv_softmax_s32s16_esp32s3, ftv_softmax_args)
IN_ASSEMBLY(ftv_mix_s16s16_esp32s3, ftv_mix_args)
IN_ASSEMBLY(ftv_divide_s32s16_esp32s3, ftv_divide_args)
IN_ASSEMBLY(ftv_quantise_row_s32s8_esp32s3, ftv_quantise_row_args)

void ftv_decode_tiles_esp32s3(const ftv_layer_job *job, void *tiles) {
    (void)job;
    (void)tiles;
}

void ftv_multiply_tiles_esp32s3(const ftv_layer_job *job, void *tiles, void *scratch) {
    size_t first = (size_t)(job->x.codes - inputs) / job->x.stride;
    (void)tiles;
    (void)scratch;
    memcpy(job->out, outputs + first * job->out_stride, (size_t)job->tokens * job->out_stride * sizeof(int32_t));
}

size_t ftv_tiles_bytes_esp32s3(uint32_t columns, uint32_t tiles) {
    (void)columns;
    (void)tiles;
    return 0;
}

size_t ftv_layer_scratch_bytes_esp32s3(uint32_t tokens, uint32_t columns) {
    (void)tokens;
    (void)columns;
    return 0;
}
