/* The ESP32-S3's kernels on a computer: their C as on the chip, their assembly handed to a model of the processor. */
#ifndef FTV_ESP32S3_HOST_H
#define FTV_ESP32S3_HOST_H

#include "ftv.h"

/* Runs the assembly function of that name on its struct of 32-bit fields. */
typedef void (*ftv_esp32s3_hook)(void *context, const char *function, const void *args, uint32_t bytes);

/* From now on the kernels' assembly goes to `hook`. Everything that kernels are given must lie in one piece of memory,
 * which begins at `memory` here and at `address` in the model. Not for several threads. hook: NULL: no more. */
FTV_API void ftv_esp32s3_attach(ftv_esp32s3_hook hook, void *context, const void *memory, uint32_t address);

#endif
