/* Rows of the residual stream between PSRAM and SRAM by DMA, while the cores compute: ftv_copies by ESP-IDF's asynchronous
 * memory copy. DMA goes past the data cache, so the rows in PSRAM are written back and dropped from it once, and from then on
 * copies alone touch them. */
#include "ftv_espidf.h"

#include "esp_async_memcpy.h"
#include "esp_attr.h"
#include "esp_cache.h"
#include "esp_idf_version.h"
#include "esp_log.h"
#include "esp_system.h"
#include "esp_timer.h"

#include <stdatomic.h>
#include <string.h>

#define TAG         "ftv"
#define ITEM_BYTES  4032U /* the most that one of the DMA's descriptors takes, in whole FTV_COPY_ALIGN */
#define ITEMS       32U   /* descriptors */
#define MOST_PIECES 4U    /* that wait at a time */
#define PIECE_BYTES (ITEMS / MOST_PIECES * ITEM_BYTES)
#define MOST_US     1000000 /* a thousand times what the pieces that wait can take */

static async_memcpy_t driver;
static uint32_t started;      /* pieces, ever */
static _Atomic uint32_t made; /* of these; by the interrupt handler */

static IRAM_ATTR bool count_piece(async_memcpy_t from, async_memcpy_event_t *event, void *context) {
    (void)from;
    (void)event;
    (void)context;
    atomic_fetch_add_explicit(&made, 1U, memory_order_release);
    return false;
}

/* Pieces are made in order. Waiting is rare and takes well under a millisecond: it spins. False: the DMA has stopped. */
static bool has_come(uint32_t piece) {
    int64_t start = esp_timer_get_time();
    while ((int32_t)(atomic_load_explicit(&made, memory_order_acquire) - piece) < 0) {
        if (esp_timer_get_time() - start > MOST_US) {
            return false;
        }
    }
    return true;
}

static void wait_for_piece(void *context, uint32_t piece) {
    (void)context;
    if (!has_come(piece)) {
        esp_system_abort("ftv: the DMA that copies residual rows has stopped");
    }
}

static bool is_in(const void *address, const void *start, size_t bytes) {
    return (uintptr_t)address - (uintptr_t)start < bytes;
}

static struct {
    uint8_t *start;
    size_t bytes;
} far_rows;

static bool drop_from_cache(void *start, size_t bytes) {
    return esp_cache_msync(start, bytes, ESP_CACHE_MSYNC_FLAG_INVALIDATE) == ESP_OK;
}

/* What the DMA has refused, after all that it still had to do. */
static void copy_by_core(uint8_t *to, const uint8_t *from, size_t bytes) {
    wait_for_piece(NULL, started);
    memcpy(to, from, bytes);
    drop_from_cache(is_in(to, far_rows.start, far_rows.bytes) ? to : (uint8_t *)(uintptr_t)from, bytes);
}

static uint32_t start_copy(void *context, void *to, const void *from, size_t bytes) {
    (void)context;
    for (size_t at = 0; at < bytes; at += PIECE_BYTES) {
        size_t piece = bytes - at < PIECE_BYTES ? bytes - at : PIECE_BYTES;
        uint8_t *there = (uint8_t *)to + at;
        uint8_t *here = (uint8_t *)(uintptr_t)from + at;
        wait_for_piece(NULL, started - (MOST_PIECES - 1U));
        if (esp_async_memcpy(driver, there, here, piece, count_piece, NULL) == ESP_OK) {
            started++;
        } else {
            copy_by_core(there, here, piece);
        }
    }
    return started;
}

static bool start_driver(void) {
    async_memcpy_config_t config = ASYNC_MEMCPY_DEFAULT_CONFIG();
    config.backlog = ITEMS;
#if ESP_IDF_VERSION >= ESP_IDF_VERSION_VAL(5, 3, 0)
    config.dma_burst_size = FTV_COPY_ALIGN;
#else
    config.sram_trans_align = 4; /* bursts there, too */
    config.psram_trans_align = FTV_COPY_ALIGN;
#endif
    return esp_async_memcpy_install(&config, &driver) == ESP_OK;
}

/* There and back again. */
static bool works(uint8_t *scratch, size_t bytes) {
    uint8_t *back = scratch + bytes;
    for (size_t i = 0; i < bytes; i++) {
        scratch[i] = (uint8_t)(i * 151U + i / 256U);
    }
    memset(back, 0, bytes);
    start_copy(NULL, far_rows.start, scratch, bytes);
    return has_come(start_copy(NULL, back, far_rows.start, bytes)) && memcmp(scratch, back, bytes) == 0;
}

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

const ftv_copies *ftv_espidf_start_copies(void *rows, size_t bytes, void *scratch, size_t scratch_bytes) {
    static const ftv_copies copies = {NULL, start_copy, wait_for_piece};
    size_t tried = smaller(smaller(bytes, scratch_bytes / 2U), 2U * PIECE_BYTES) / FTV_COPY_ALIGN * FTV_COPY_ALIGN;
    far_rows.start = rows;
    far_rows.bytes = bytes;
    if (!drop_from_cache(rows, bytes) || !start_driver()) {
        ESP_LOGW(TAG, "copies: no DMA for them, the cores make them");
        return NULL;
    }
    if (!works(scratch, tried)) {
        esp_async_memcpy_uninstall(driver); /* what it still has to do must not come later */
        ESP_LOGE(TAG, "copies: the DMA does not bring back what it took, the cores make them");
        return NULL;
    }
    return &copies;
}
