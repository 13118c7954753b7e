/* The sets of kernels for computers, and which of them this CPU can run. */
#ifndef FTV_HOST_KERNELS_H
#define FTV_HOST_KERNELS_H

#include "ftv.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The sets that this CPU can run, fastest first: index 0, 1 and so on; NULL beyond the last one, which is ref. */
FTV_API const ftv_kernels *ftv_host_kernels(uint32_t index);

#ifdef __cplusplus
}
#endif
#endif
