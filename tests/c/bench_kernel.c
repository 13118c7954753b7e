/* bench_kernel NAME TOKENS INPUTS BYTES: BENCH with so much memory and not a byte more. Prints what the trigger does, the
 * error, the CRC-32. */
#include "ftv_app_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void trigger(void *context, bool high) {
    (void)context;
    printf("trigger %d ", high);
}

int main(int count, char **words) {
    if (count != 5) {
        return 2;
    }
    size_t bytes = strtoul(words[4], NULL, 10);
    void *memory = NULL;
    if (posix_memalign(&memory, FTV_ALIGN, bytes) != 0) {
        return 2;
    }
    ftv_app_config config = {.port = {.trigger = trigger}, .scratch = memory, .scratch_bytes = bytes};
    ftv_app *app = calloc(1, sizeof *app);
    app->config = &config;
    ftv_line_bench request = {.name = words[1],
                              .name_bytes = (uint32_t)strlen(words[1]),
                              .tokens = (uint32_t)strtoul(words[2], NULL, 10),
                              .inputs = (uint32_t)strtoul(words[3], NULL, 10),
                              .repetitions = 3};
    ftv_line_bench_result result = {0, 0, 0};
    ftv_line_error error = ftv_app_bench(app, &request, &result);
    printf("error %d crc %u\n", error, result.crc32);
    free(app);
    free(memory);
    return 0;
}
