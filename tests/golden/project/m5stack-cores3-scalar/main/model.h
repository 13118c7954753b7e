/* What the model and the board fix, as constants. Rendered by ftervit golden for m5stack-cores3. */
#ifndef MODEL_H
#define MODEL_H

#include "ftv.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MODEL_ENCODING     FTV_T5
#define MODEL_IMAGE_SIZE   16U /* pixels */
#define MODEL_PATCH_SIZE   8U /* pixels */
#define MODEL_WIDTH        32U
#define MODEL_DEPTH        2U
#define MODEL_HEADS        2U
#define MODEL_HIDDEN       64U
#define MODEL_MOST_CLASSES 32U
#define MODEL_PIXELS_BYTES 768U /* 3 image_size^2 */
#define MODEL_MOST_INPUTS  192U
#define MODEL_WORKERS      2U
#define MODEL_NEAR_BYTES   46128U /* SRAM */
#define MODEL_FAR_BYTES    0U /* PSRAM */
#define MODEL_SPARE_BYTES  0U /* SRAM, of the heap */

/* Where every buffer of a pass lies. */
extern const ftv_plan model_plan;

/* The kernels for chips without a vector unit. */
extern const ftv_kernels model_kernels;

/* Scratch of one call: linear_scratch_bytes of model_kernels for MODEL_MOST_INPUTS, its scratch_bytes, the most of both. */
#define MODEL_LINEAR_SCRATCH_BYTES 5472U
#define MODEL_STEPS_SCRATCH_BYTES  21376U
#define MODEL_KERNEL_SCRATCH_BYTES 21376U

#ifdef __cplusplus
}
#endif
#endif
