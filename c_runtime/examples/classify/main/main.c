/* The engine in somebody else's firmware: map a model, open it, run it on one picture, print the best classes. */
#include "ftv_espidf.h"

#include "esp_heap_caps.h"
#include "esp_log.h"
#include "esp_timer.h"
#include "freertos/FreeRTOS.h"

#include <inttypes.h>
#include <string.h>

#define TAG         "classify"
#define TOP         3U
#define FILE_LENGTH 12 /* where an image says how long it is: IMAGE_FORMAT.md */

static ftv_model model;

/* Memory for the model at hand. An application for one model would have it static. */
static void *allocate(size_t bytes) {
    void *memory = heap_caps_aligned_alloc(FTV_ALIGN, bytes, MALLOC_CAP_DEFAULT);
    if (memory == NULL) {
        ESP_LOGE(TAG, "%u bytes are more than there are", (unsigned)bytes);
    }
    return memory;
}

/* RGB, row by row: here a grey picture with a white square in the middle, where a camera's would be. */
static void draw(uint8_t *pixels, uint32_t side) {
    memset(pixels, 0x80, (size_t)3U * side * side);
    for (uint32_t y = side / 4U; y < side - side / 4U; y++) {
        memset(pixels + (size_t)3U * (y * side + side / 4U), 0xFF, (size_t)3U * (side / 2U));
    }
}

static void print_top(const int32_t *logits) {
    ftv_line_guess top[TOP];
    uint32_t count = ftv_line_top(top, TOP, logits, model.classes);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t length = 0;
        const char *label = ftv_label(&model, top[i].index, &length);
        ESP_LOGI(TAG, "%u.%02u %%  %.*s", top[i].probability / 100U, top[i].probability % 100U, (int)length,
                 label != NULL ? label : "");
    }
}

static void classify(const ftv_options *options) {
    size_t arena_bytes = ftv_arena_bytes(&model, options);
    uint8_t *pixels = allocate((size_t)3U * model.image_size * model.image_size);
    int32_t *logits = allocate(sizeof(int32_t) * model.classes);
    void *arena = allocate(arena_bytes);
    if (pixels == NULL || logits == NULL || arena == NULL) {
        return;
    }
    draw(pixels, model.image_size);
    int64_t start_us = esp_timer_get_time();
    ftv_status status = ftv_run(&model, options, pixels, logits, arena, arena_bytes);
    int64_t took_us = esp_timer_get_time() - start_us;
    if (status != FTV_OK) {
        ESP_LOGE(TAG, "%s", ftv_status_text(status));
        return;
    }
    ESP_LOGI(TAG, "%" PRIu32 " x %" PRIu32 " pixels in %" PRIi64 " us, arena %u bytes", model.image_size,
             model.image_size, took_us, (unsigned)arena_bytes);
    print_top(logits);
}

/* Of a partition, the bytes that the image takes. */
static size_t image_bytes(const uint8_t *image, size_t partition_bytes) {
    uint32_t length = ftv_get_u32(image + FILE_LENGTH);
    return length < partition_bytes ? length : partition_bytes;
}

void app_main(void) {
    const void *image;
    size_t bytes;
    const char *error;
    if (!ftv_espidf_map_model(&image, &bytes, &error)) {
        ESP_LOGE(TAG, "%s", error);
        return;
    }
    ftv_status status = ftv_open(&model, image, image_bytes(image, bytes));
    if (status != FTV_OK) {
        ESP_LOGE(TAG, "%s", ftv_status_text(status));
        return;
    }
    const ftv_options options = {.kernels = ftv_espidf_kernels,
                                 .parallel = ftv_espidf_start_workers(portNUM_PROCESSORS)};
    classify(&options);
}
