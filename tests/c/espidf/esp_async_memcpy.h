#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct async_memcpy_context_t *async_memcpy_t;
typedef struct async_memcpy_event_t async_memcpy_event_t;
typedef bool (*async_memcpy_isr_cb_t)(async_memcpy_t driver, async_memcpy_event_t *event, void *context);

typedef struct async_memcpy_config_t {
    uint32_t backlog;
    size_t sram_trans_align;
    size_t psram_trans_align;
} async_memcpy_config_t;

#define ASYNC_MEMCPY_DEFAULT_CONFIG() {8, 0, 0}

int esp_async_memcpy_install(const async_memcpy_config_t *config, async_memcpy_t *driver);
int esp_async_memcpy_uninstall(async_memcpy_t driver);
int esp_async_memcpy(async_memcpy_t driver, void *to, void *from, size_t bytes, async_memcpy_isr_cb_t made,
                     void *context);
