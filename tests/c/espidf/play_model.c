/* A partition and PSRAM: where the model is read from. */
#include "ftv_espidf.h"

#include "esp_cache.h"
#include "esp_heap_caps.h"
#include "esp_partition.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HALF      0x10000U /* a multiple of every page */
#define PARTITION (2U * HALF)

static _Alignas(64) uint8_t flash[PARTITION];
static bool there = true, psram_is_full, psram_is_faulty;
static size_t freed;

const esp_partition_t *esp_partition_find_first(esp_partition_type_t type, esp_partition_subtype_t subtype,
                                                const char *label) {
    static const esp_partition_t found = {PARTITION};
    return there && type == 0x40 && subtype == 0 && strcmp(label, "model") == 0 ? &found : NULL;
}

esp_err_t esp_partition_mmap(const esp_partition_t *partition, size_t offset, size_t bytes, int memory,
                             const void **mapped, esp_partition_mmap_handle_t *handle) {
    *mapped = flash;
    *handle = 1;
    return partition->size == bytes && offset == 0U && memory == ESP_PARTITION_MMAP_DATA ? ESP_OK : -1;
}

/* PSRAM whose topmost address line is dead: both halves are one. */
static void *faulty_psram(void) {
    const int protection = PROT_READ | PROT_WRITE;
    FILE *half = tmpfile();
    if (half == NULL || ftruncate(fileno(half), HALF) != 0) {
        return NULL;
    }
    uint8_t *memory = mmap(NULL, PARTITION, protection, MAP_SHARED, fileno(half), 0);
    bool made = memory != MAP_FAILED &&
                mmap(memory + HALF, HALF, protection, MAP_SHARED | MAP_FIXED, fileno(half), 0) != MAP_FAILED;
    fclose(half);
    return made ? memory : NULL;
}

void *heap_caps_aligned_alloc(size_t alignment, size_t bytes, uint32_t caps) {
    printf("PSRAM: %s, %u bytes at a multiple of %u\n", (caps & MALLOC_CAP_SPIRAM) != 0U ? "yes" : "no",
           (unsigned)bytes, (unsigned)alignment);
    if (psram_is_full || psram_is_faulty) {
        return psram_is_full ? NULL : faulty_psram();
    }
    return aligned_alloc(alignment, (bytes + alignment - 1U) / alignment * alignment);
}

int esp_cache_msync(void *start, size_t bytes, int flags) {
    bool whole_lines = (uintptr_t)start % 64U == 0U && bytes % 64U == 0U;
    printf("cache: %s\n", whole_lines && flags == ESP_CACHE_MSYNC_FLAG_INVALIDATE ? "left" : "what?");
    return 0;
}

void heap_caps_free(void *memory) {
    freed++;
    if (psram_is_faulty) {
        munmap(memory, PARTITION);
    } else {
        free(memory);
    }
}

static void write_length(uint32_t length) {
    for (uint32_t i = 0; i < 4U; i++) {
        flash[12U + i] = (uint8_t)(length >> (8U * i));
    }
}

static void show(const char *what) {
    const void *image;
    size_t bytes;
    const char *error;
    bool mapped = ftv_espidf_map_model(&image, &bytes, &error);
    bool copied = ftv_espidf_copy_model(&image, &bytes);
    bool same = mapped && memcmp(image, flash, bytes) == 0;
    printf("%s: %s, copied %d, %u bytes, %s, freed %u\n", what, mapped ? image == flash ? "flash" : "PSRAM" : error,
           copied, (unsigned)bytes, same ? "the same" : "others", (unsigned)freed);
    if (copied) {
        free((void *)(uintptr_t)image);
    }
}

int main(void) {
    for (uint32_t i = 0; i < PARTITION; i++) {
        flash[i] = (uint8_t)(i * 7U + i / HALF);
    }
    write_length(1008);
    show("an image");
    psram_is_full = true;
    show("no room");
    psram_is_full = false;
    psram_is_faulty = true;
    write_length(PARTITION);
    show("faulty PSRAM");
    psram_is_faulty = false;
    write_length(PARTITION + 16U);
    show("a length beyond the partition");
    write_length(16);
    show("a length that is none");
    memset(flash, 0xFF, sizeof flash);
    show("an erased partition");
    there = false;
    show("no partition");
    return 0;
}
