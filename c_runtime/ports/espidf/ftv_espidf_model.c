/* The model's partition, mapped into the address space. */
#include "ftv_espidf.h"

#include "esp_partition.h"

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
