/* Every assembly function of src/kernels/esp32s3/ by its name, for a model of the processor. */
#include "ftv_esp32s3_host.h"

#ifdef FTV_ESP32S3_WINDOW
#include "kernels/esp32s3/ftv_esp32s3.h"

#include <stdlib.h>

uintptr_t ftv_esp32s3_window;

static struct {
    ftv_esp32s3_hook run;
    void *context;
} model;

void ftv_esp32s3_attach(ftv_esp32s3_hook hook, void *context, const void *memory, uint32_t address) {
    model.run = hook;
    model.context = context;
    ftv_esp32s3_window = (uintptr_t)memory - address;
}

static void hand_over(const char *function, const void *args, uint32_t bytes) {
    if (model.run == NULL) {
        abort(); /* a computer cannot run these: kernels_esp32s3 was chosen without a model */
    }
    model.run(model.context, function, args, bytes);
}

#define HAND_OVER(function, type)                                                                                      \
    void function(const type *args) {                                                                                  \
        hand_over(#function, args, sizeof *args);                                                                      \
    }

FTV_ESP32S3_FUNCTIONS(HAND_OVER)
#endif
