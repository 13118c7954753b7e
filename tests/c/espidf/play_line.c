/* A console with and without a reader behind ftv_espidf_line.c. */
#include "ftv_espidf.h"

#include "esp_log.h"
#include "freertos/semphr.h"
#include "freertos/task.h"

#include <stdio.h>
#include <string.h>

static uint8_t heard[4096];
static size_t heard_count, longest;
static bool reader = true;
static uint32_t waited_ms;
static const char *to_come = "";
static vprintf_like_t hook;
static int locked, cut;

SemaphoreHandle_t xSemaphoreCreateMutexStatic(StaticSemaphore_t *memory) {
    memory->count = 1;
    return memory;
}

BaseType_t xSemaphoreTake(SemaphoreHandle_t semaphore, TickType_t ticks) {
    (void)ticks;
    locked += semaphore->count--;
    return pdTRUE;
}

BaseType_t xSemaphoreGive(SemaphoreHandle_t semaphore) {
    semaphore->count = 1;
    locked = 0;
    return pdTRUE;
}

void vTaskDelay(TickType_t ticks) {
    waited_ms += ticks;
}

vprintf_like_t esp_log_set_vprintf(vprintf_like_t function) {
    hook = function;
    return vprintf;
}

static bool start(const ftv_espidf_uart *uart, size_t receive_bytes) {
    printf("port %d, room for %zu frames\n", uart->port, receive_bytes / FTV_LINE_TEXT_BYTES);
    return true;
}

static size_t read_bytes(uint8_t *bytes, size_t capacity, uint32_t wait_ms) {
    size_t count = strlen(to_come) < capacity ? strlen(to_come) : capacity;
    memcpy(bytes, to_come, count);
    to_come += count;
    waited_ms += count == 0U ? wait_ms : 0U;
    return count;
}

static size_t write_bytes(const uint8_t *bytes, size_t count, uint32_t wait_ms) {
    cut += locked != 1; /* written outside the lock */
    if (!reader) {
        waited_ms += wait_ms;
        return 0;
    }
    longest = count > longest ? count : longest;
    memcpy(heard + heard_count, bytes, count);
    heard_count += count;
    return count;
}

static void log_line(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    hook(format, arguments);
    va_end(arguments);
}

static void say(const char *what) {
    printf("%s: %zu bytes, waited %u ms\n", what, heard_count, (unsigned)waited_ms);
    heard_count = waited_ms = 0;
}

static bool now(void) {
    return waited_ms >= 8U;
}

int main(void) {
    static const ftv_espidf_console console = {start, read_bytes, write_bytes};
    static const ftv_espidf_board board = {.console = &console, .uart = {.port = 1}};
    static const uint8_t frame[1000];
    uint8_t bytes[8] = {0};
    bool started = ftv_espidf_line_start(&board);
    ftv_espidf_line_write(NULL, frame, sizeof frame);
    printf("started %d longest %zu\n", started, longest);
    say("frame");
    log_line("I (%d) ftv: %s\n", 7, "ready");
    printf("%.*s|", (int)heard_count, heard);
    say("log");
    log_line("%0300d\n", 1);
    printf("%d %d|", heard[heard_count - 2U] == '\r', heard[heard_count - 1U] == '\n');
    say("long log");
    reader = false;
    bool first = ftv_espidf_line_write(NULL, frame, sizeof frame);
    bool second = ftv_espidf_line_write(NULL, frame, sizeof frame);
    printf("%d %d|", first, second);
    say("no reader");
    reader = true;
    printf("%d|", ftv_espidf_line_write(NULL, frame, sizeof frame));
    say("a reader again");
    ftv_espidf_line_wait(50, NULL);
    say("nothing comes");
    to_come = "abc";
    ftv_espidf_line_wait(50, NULL);
    size_t count = ftv_espidf_line_read(NULL, bytes, sizeof bytes);
    printf("%zu %s|", count, bytes);
    say("bytes come");
    ftv_espidf_line_wait(50, now);
    say("a frame comes");
    printf("cut %d\n", cut);
    return 0;
}
