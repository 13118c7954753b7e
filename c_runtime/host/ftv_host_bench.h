/* A whole layer shared out among threads: what `ftervit bench` times. */
#ifndef FTV_HOST_BENCH_H
#define FTV_HOST_BENCH_H

#include "ftv.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of scratch of one worker for the job, a multiple of 16. */
FTV_API size_t ftv_bench_layer_bytes(const ftv_kernels *kernels, const ftv_layer_job *job);

/* The job's tiles by the workers of `parallel`, shared out as in a pass. scratch: [workers][scratch_bytes], 16-byte
 * aligned. */
FTV_API void ftv_bench_layer(const ftv_kernels *kernels, const ftv_layer_job *job, const ftv_parallel *parallel,
                             void *scratch, size_t scratch_bytes);

#ifdef __cplusplus
}
#endif
#endif
