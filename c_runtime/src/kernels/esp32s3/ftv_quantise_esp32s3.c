/* The step `quantise`: narrow rows in whole sixteens go to assembly, all others to the C that defines it. */
#include "ftv_esp32s3.h"

#ifdef FTV_ESP32S3
#include <stdbool.h>

#include "ftv_engine.h"
#include "ftv_fixed.h"

/* Whether a row's pieces stand side by side, in whole sixteens. */
static bool is_for_vectors(const ftv_quantise_job *job) {
    return job->rows > 0U && job->pieces > 0U && job->piece > 0U && job->piece % FTV_TILE == 0U &&
           (job->pieces == 1U || job->piece_stride == job->piece);
}

void ftv_quantise_esp32s3(const ftv_quantise_job *job, void *scratch) {
    (void)scratch;
    if (!is_for_vectors(job)) {
        ftv_quantise_steps(job);
        return;
    }
    ftv_quantise_narrow_args args = {
        .values = ftv_address_of(job->in.values),
        .values_row = job->in.stride * (uint32_t)sizeof(int16_t),
        .absmax = ftv_address_of(job->in.absmax),
        .absmax_row = job->in.stride / FTV_TILE * (uint32_t)sizeof(int32_t),
        .rows = job->rows,
        .groups = job->pieces * job->piece / FTV_TILE,
        .codes = ftv_address_of(job->out.codes),
        .codes_row = job->out.stride,
        .scales = ftv_address_of(job->out.scales),
    };
    ftv_quantise_narrow_esp32s3(&args);
}
#endif
