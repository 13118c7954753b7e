/* Stands in for the assembly functions of c_runtime/src/kernels/esp32s3 where their C files run on this computer: hands
 * every call to a model of the chip. */
#include "kernels/esp32s3/ftv_esp32s3.h"

typedef void (*call_hook)(const char *function, const void *args, uint32_t bytes);

static call_hook hook;

void ftv_set_call_hook(call_hook function);
void ftv_set_call_hook(call_hook function) {
    hook = function;
}

#define MODELLED(function, arguments)                                                                                  \
    void function(const arguments *args) {                                                                             \
        hook(#function, args, sizeof *args);                                                                           \
    }

void ftv_prefetch_esp32s3(const void *data, uint32_t bytes) {
    const uint32_t args[2] = {ftv_address_of(data), bytes};
    hook("ftv_prefetch_esp32s3", args, sizeof args);
}

FTV_ESP32S3_FUNCTIONS(MODELLED)
