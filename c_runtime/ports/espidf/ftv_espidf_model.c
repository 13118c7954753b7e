/* The model: its partition, mapped into the address space, or a copy in PSRAM. */
#include "ftv_espidf.h"

#include "esp_cache.h"
#include "esp_heap_caps.h"
#include "esp_log.h"
#include "esp_partition.h"

#include <string.h>

#define TAG          "ftv"
#define HEADER_BYTES 144U /* IMAGE_FORMAT.md */
#define FILE_BYTES   12U
#define COPY_ALIGN   64U /* of the image's matrices; a multiple of the data cache's lines */

bool ftv_espidf_map_model(const void **image, size_t *bytes, const char **error) {
    esp_partition_mmap_handle_t mapping; /* never unmapped */
    const esp_partition_t *partition =
        esp_partition_find_first((esp_partition_type_t)FTV_ESPIDF_PARTITION_TYPE,
                                 (esp_partition_subtype_t)FTV_ESPIDF_PARTITION_SUBTYPE, FTV_ESPIDF_PARTITION);
    *image = NULL;
    *bytes = 0;
    if (partition == NULL) {
        *error = "The flash has no partition named model.";
        return false;
    }
    if (esp_partition_mmap(partition, 0, partition->size, ESP_PARTITION_MMAP_DATA, image, &mapping) != ESP_OK) {
        *image = NULL;
        *error = "The model's partition cannot be mapped.";
        return false;
    }
    *bytes = partition->size;
    *error = NULL;
    return true;
}

/* The image's own length, as its header says; 0 where that cannot be. */
static size_t length_of(const uint8_t *image, size_t bytes) {
    size_t length = bytes >= HEADER_BYTES ? ftv_get_u32(image + FILE_BYTES) : 0U;
    return length >= HEADER_BYTES && length <= bytes ? length : 0U;
}

/* What is compared afterwards is what PSRAM gives back, not what the data cache still holds. */
static void leave_the_cache(void *copy, size_t bytes) {
    (void)esp_cache_msync(copy, bytes, ESP_CACHE_MSYNC_FLAG_INVALIDATE);
}

bool ftv_espidf_copy_model(const void **image, size_t *bytes) {
    size_t length = *image != NULL ? length_of(*image, *bytes) : 0U;
    if (length == 0U) {
        return false; /* the application says what is wrong with it */
    }
    size_t whole = (length + COPY_ALIGN - 1U) / COPY_ALIGN * COPY_ALIGN;
    void *copy = heap_caps_aligned_alloc(COPY_ALIGN, whole, MALLOC_CAP_SPIRAM | MALLOC_CAP_8BIT);
    if (copy == NULL) {
        ESP_LOGW(TAG, "model: PSRAM has no %u bytes for it", (unsigned)length);
        return false;
    }
    memcpy(copy, *image, length);
    leave_the_cache(copy, whole);
    if (memcmp(copy, *image, length) != 0) {
        ESP_LOGE(TAG, "model: its copy in PSRAM differs, that memory is faulty");
        heap_caps_free(copy);
        return false;
    }
    *image = copy;
    *bytes = length;
    return true;
}
