/* ESP-IDF's asynchronous copies as a thread that makes them later, and a data cache that only counts. */
#define _POSIX_C_SOURCE 200809L
#include "ftv_espidf.h"

#include "esp_async_memcpy.h"
#include "esp_cache.h"
#include "esp_system.h"
#include "esp_timer.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROWS (96U << 10)

typedef struct request {
    uint8_t *to;
    const uint8_t *from;
    size_t bytes;
    async_memcpy_isr_cb_t made;
} request;

static _Alignas(64) uint8_t far_rows[ROWS], near[ROWS], back[ROWS], scratch[4096];
static request waiting[64];
static uint32_t first, last, most_items, refused, backlog, dropped;
static size_t largest;
static const char *play;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static uint32_t items_of(const request *r) {
    return (uint32_t)((r->bytes + 4031U) / 4032U);
}

static void *dma(void *unused) {
    (void)unused;
    for (;;) {
        nanosleep(&(struct timespec){0, 200000}, NULL);
        pthread_mutex_lock(&lock);
        if (first == last || strcmp(play, "stopped") == 0) {
            pthread_mutex_unlock(&lock);
            continue;
        }
        request next = waiting[first % 64U];
        pthread_mutex_unlock(&lock);
        memcpy(next.to, next.from, next.bytes);
        if (strcmp(play, "wrong") == 0) {
            next.to[next.bytes / 2U]++;
        }
        pthread_mutex_lock(&lock);
        first++;
        next.made(NULL, NULL, NULL);
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

int esp_async_memcpy_install(const async_memcpy_config_t *config, async_memcpy_t *driver) {
    pthread_t thread;
    *driver = NULL;
    backlog = config->backlog;
    printf("driver: PSRAM in %u bytes\n", (unsigned)config->psram_trans_align);
    return strcmp(play, "none free") == 0 ? -1 : pthread_create(&thread, NULL, dma, NULL);
}

int esp_async_memcpy_uninstall(async_memcpy_t driver) {
    (void)driver;
    printf("driver: gone\n");
    return 0;
}

int esp_async_memcpy(async_memcpy_t driver, void *to, void *from, size_t bytes, async_memcpy_isr_cb_t made,
                     void *context) {
    static uint32_t asked;
    (void)driver;
    (void)context;
    if (strcmp(play, "refusing") == 0 && ++asked % 3U == 0U) {
        refused++;
        return -1;
    }
    pthread_mutex_lock(&lock);
    waiting[last++ % 64U] = (request){to, from, bytes, made};
    uint32_t items = 0;
    for (uint32_t i = first; i < last; i++) {
        items += items_of(&waiting[i % 64U]);
    }
    most_items = items > most_items ? items : most_items;
    largest = bytes > largest ? bytes : largest;
    pthread_mutex_unlock(&lock);
    return 0;
}

int esp_cache_msync(void *start, size_t bytes, int flags) {
    bool whole_lines = (uintptr_t)start % 64U == 0U && bytes % 64U == 0U;
    dropped += flags == ESP_CACHE_MSYNC_FLAG_INVALIDATE && whole_lines;
    return 0;
}

int64_t esp_timer_get_time(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void esp_system_abort(const char *why) {
    printf("abort: %s\n", why);
    exit(0);
}

int main(int argc, char **argv) {
    play = argc > 1 ? argv[1] : "";
    const ftv_copies *copies = ftv_espidf_start_copies(far_rows, ROWS, scratch, sizeof scratch);
    printf("copies: %s, dropped %u\n", copies != NULL ? "DMA" : "cores", (unsigned)dropped);
    if (copies == NULL) {
        return 0;
    }
    for (uint32_t i = 0; i < ROWS; i++) {
        near[i] = (uint8_t)(i * 31U + i / 251U);
    }
    if (strcmp(play, "stopping") == 0) {
        play = "stopped";
    }
    uint32_t there = copies->start(copies->context, far_rows, near, ROWS);
    uint32_t again = copies->start(copies->context, back, far_rows, ROWS);
    copies->wait(copies->context, again);
    copies->wait(copies->context, there);
    printf("%s, %s descriptors, at most %u bytes, refused %u, dropped %u\n",
           memcmp(near, back, ROWS) == 0 ? "the same" : "others", most_items <= backlog ? "enough" : "too few",
           (unsigned)largest, (unsigned)refused, (unsigned)dropped);
    return 0;
}
