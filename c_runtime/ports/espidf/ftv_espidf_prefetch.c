/* ESP32-S3: the data cache loads bytes of flash or PSRAM in the background, while the cores compute. A hint: where it
 * cannot be taken at once, it is dropped. */
#include "ftv_espidf.h"
#include "kernels/esp32s3/ftv_esp32s3.h"

#include "esp32s3/rom/cache.h"
#include "sdkconfig.h"
#include "soc/soc.h"

#include <stdatomic.h>

#define LINE_BYTES ((uint32_t)CONFIG_ESP32S3_DATA_CACHE_LINE_SIZE)
#define MOST_BYTES ((uint32_t)CONFIG_ESP32S3_DATA_CACHE_SIZE / 4U) /* the rest stays for what is being worked on */

const bool ftv_espidf_prefetch_linked = true;

/* Both cores share the cache's one preloader, whose address and size are two registers. */
static atomic_flag starting = ATOMIC_FLAG_INIT;

/* Whether the data cache is in between; flash and PSRAM are mapped into the same range. */
static bool is_cached(uint32_t address, uint32_t bytes) {
    return address >= SOC_DROM_LOW && address < SOC_DROM_HIGH && bytes <= SOC_DROM_HIGH - address;
}

void ftv_prefetch_esp32s3(const void *data, uint32_t bytes) {
    uint32_t address = ftv_address_of(data), first = address & ~(LINE_BYTES - 1U);
    if (bytes == 0U || !is_cached(address, bytes) ||
        atomic_flag_test_and_set_explicit(&starting, memory_order_acquire)) {
        return;
    }
    if (Cache_DCache_Preload_Done() != 0U) {
        uint32_t all = (address + bytes - first + LINE_BYTES - 1U) & ~(LINE_BYTES - 1U);
        /* What it returns is for switching ESP-IDF's automatic preload on again; ESP-IDF does not use that. */
        (void)Cache_Start_DCache_Preload(first, all < MOST_BYTES ? all : MOST_BYTES, 0);
    }
    atomic_flag_clear_explicit(&starting, memory_order_release);
}
