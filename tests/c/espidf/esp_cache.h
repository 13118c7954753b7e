#include <stddef.h>

#define ESP_OK                          0
#define ESP_CACHE_MSYNC_FLAG_INVALIDATE 1

int esp_cache_msync(void *start, size_t bytes, int flags);
