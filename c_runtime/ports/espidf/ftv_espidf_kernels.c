/* The fastest kernels that the chip has. */
#include "ftv_espidf.h"

#include "sdkconfig.h"

#if CONFIG_IDF_TARGET_ESP32S3
#include "kernels/esp32s3/ftv_esp32s3.h"

const ftv_kernels *const ftv_espidf_kernels = &ftv_kernels_esp32s3;
#else
const ftv_kernels *const ftv_espidf_kernels = &ftv_kernels_portable;
#endif
