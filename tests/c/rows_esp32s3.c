/* The row steps' C on this machine: what the chip does in assembly is handed to whoever set the hook. */
#include "kernels/esp32s3/ftv_esp32s3.h"

typedef void (*hook_fn)(const char *function, const void *args, uint32_t bytes);

void set_hook(hook_fn function);

static hook_fn hook;

void set_hook(hook_fn function) {
    hook = function;
}

#define HAND_OVER(function, arguments)                                                                                 \
    void function(const arguments *args) {                                                                             \
        hook(#function, args, sizeof *args);                                                                           \
    }

FTV_ESP32S3_FUNCTIONS(HAND_OVER)
