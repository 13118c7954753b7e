#include <stddef.h>
#include <stdint.h>

#define ESP_OK 0
typedef int esp_err_t;
typedef int esp_partition_type_t;
typedef int esp_partition_subtype_t;
typedef uint32_t esp_partition_mmap_handle_t;
enum { ESP_PARTITION_MMAP_DATA };

typedef struct esp_partition {
    uint32_t size;
} esp_partition_t;

const esp_partition_t *esp_partition_find_first(esp_partition_type_t type, esp_partition_subtype_t subtype,
                                                const char *label);
esp_err_t esp_partition_mmap(const esp_partition_t *partition, size_t offset, size_t bytes, int memory,
                             const void **mapped, esp_partition_mmap_handle_t *handle);
