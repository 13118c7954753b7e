/* A pool of threads for ftv_options.parallel, on computers: not part of what runs on a chip. */
#ifndef FTV_THREADS_H
#define FTV_THREADS_H

#include "ftv.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A pool of `workers` workers (1 .. 64), the calling thread among them. NULL where threads or memory are lacking.
 * One ftv_run at a time may use it. Where there are no POSIX threads (Windows) the pool has one worker. */
FTV_API const ftv_parallel *ftv_threads_create(uint32_t workers);

/* Ends the threads; NULL is allowed. */
FTV_API void ftv_threads_destroy(const ftv_parallel *parallel);

#ifdef __cplusplus
}
#endif
#endif
