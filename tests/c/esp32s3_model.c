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

MODELLED(ftv_decode_t2s8_esp32s3, ftv_decode_args)
MODELLED(ftv_decode_t5s8_esp32s3, ftv_decode_args)
MODELLED(ftv_energy_s8_esp32s3, ftv_energy_args)
MODELLED(ftv_linear_s8s8_esp32s3, ftv_linear_args)
