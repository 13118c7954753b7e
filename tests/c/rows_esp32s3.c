/* The row steps' C on this machine: what the chip does in assembly is handed to whoever set the hook. */
#include "kernels/esp32s3/ftv_esp32s3.h"

typedef void (*hook_fn)(const char *function, const void *args, uint32_t bytes);

void set_hook(hook_fn function);

static hook_fn hook;

void set_hook(hook_fn function) {
    hook = function;
}

void ftv_quantise_narrow_esp32s3(const ftv_quantise_narrow_args *args) {
    hook(__func__, args, sizeof *args);
}

void ftv_unpack_trits_t2s16_esp32s3(const ftv_unpack_trits_args *args) {
    hook(__func__, args, sizeof *args);
}

void ftv_norm_s32s8_esp32s3(const ftv_norm_rows_args *args) {
    hook(__func__, args, sizeof *args);
}
