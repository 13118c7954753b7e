/* The data cache's preloader as two functions: what is asked of it, by one core and by two at a time. */
#define _POSIX_C_SOURCE 200809L
#include "kernels/esp32s3/ftv_esp32s3.h"

#include "esp32s3/rom/cache.h"

#include <pthread.h>
#include <stdio.h>

#define ROUNDS 20000U

static uint32_t busy;   /* the preloader still loads */
static uint32_t starts; /* no atomic: only one core at a time may get here */
static int quiet;

uint32_t Cache_DCache_Preload_Done(void) {
    return busy != 0U ? 0U : 2U;
}

uint32_t Cache_Start_DCache_Preload(uint32_t address, uint32_t bytes, uint32_t order) {
    starts++;
    if (!quiet) {
        printf("load %08x + %x order %u\n", (unsigned)address, (unsigned)bytes, (unsigned)order);
    }
    return 0;
}

static void ask(const char *what, uint32_t address, uint32_t bytes) {
    uint32_t before = starts;
    printf("%s: ", what);
    ftv_prefetch_esp32s3((const void *)(uintptr_t)address, bytes);
    if (starts == before) {
        printf("nothing\n");
    }
}

static void *core(void *unused) {
    (void)unused;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        ftv_prefetch_esp32s3((const void *)(uintptr_t)(0x3C000000U + 64U * i), 64);
    }
    return NULL;
}

int main(void) {
    pthread_t threads[2];
    ask("whole lines", 0x3C100040, 1536);
    ask("parts of lines", 0x3C100050, 100);
    ask("a long piece", 0x3C100000, 40000);
    ask("nothing wanted", 0x3C100000, 0);
    ask("SRAM", 0x3FC90000, 1536);
    ask("beyond the end", 0x3DFFFFC0, 65);
    busy = 1;
    ask("while it loads", 0x3C100000, 64);
    busy = 0;
    quiet = 1;
    starts = 0;
    for (int i = 0; i < 2; i++) {
        pthread_create(&threads[i], NULL, core, NULL);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    printf("two cores: %s\n", starts > 0U && starts <= 2U * ROUNDS ? "in turn" : "wrong");
    return 0;
}
