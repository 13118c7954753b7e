/* The engine's own way to share out a layer, without the rest of a pass. */
#include "ftv_host_bench.h"

#include "ftv_engine.h"

size_t ftv_bench_layer_bytes(const ftv_kernels *kernels, const ftv_layer_job *job) {
    ftv_model blank;
    return ftv_align(ftv_layer_job_bytes(kernels, job, &blank));
}

void ftv_bench_layer(const ftv_kernels *kernels, const ftv_layer_job *job, const ftv_parallel *parallel, void *scratch,
                     size_t scratch_bytes) {
    ftv_pass pass = {
        .kernels = kernels, .parallel = parallel, .buffers = {.scratch = scratch, .scratch_bytes = scratch_bytes}};
    ftv_layer_all(&pass, parallel, job);
}
