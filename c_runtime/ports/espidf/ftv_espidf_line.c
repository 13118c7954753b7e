/* The line and ESP-IDF's log share one console: a lock keeps each frame and each piece of log whole. When nobody reads,
 * output is dropped after one bounded wait, and without waiting from then on. */
#include "ftv_espidf.h"

#include "esp_log.h"
#include "freertos/FreeRTOS.h"
#include "freertos/semphr.h"
#include "freertos/task.h"

#include <stdarg.h>
#include <stdio.h>

#define PIECE_BYTES   256U /* drivers take a piece whole or not at all */
#define WRITE_WAIT_MS 200U
#define LOCK_WAIT_MS  2000U
#define FRAME_POLL_MS 4U /* how late a camera frame may be noticed */
#define LOG_BYTES     256U

static struct {
    const ftv_espidf_console *console;
    SemaphoreHandle_t lock;
    StaticSemaphore_t lock_memory;
    bool stalled; /* the last write found no reader */
    bool has_early;
    uint8_t early; /* a byte that ended a wait, not read yet */
    char log[LOG_BYTES];
} line;

static bool lock(void) {
    return xSemaphoreTake(line.lock, pdMS_TO_TICKS(LOCK_WAIT_MS)) == pdTRUE;
}

static void unlock(void) {
    xSemaphoreGive(line.lock);
}

/* Under the lock. */
static bool write_all(const uint8_t *bytes, size_t count) {
    while (count > 0U) {
        size_t piece = count < PIECE_BYTES ? count : PIECE_BYTES;
        size_t written = line.console->write(bytes, piece, line.stalled ? 0U : WRITE_WAIT_MS);
        line.stalled = written == 0U;
        if (line.stalled) {
            return false;
        }
        bytes += written;
        count -= written;
    }
    return true;
}

/* One piece of log, its line end as terminals expect it. */
static int log_hook(const char *format, va_list arguments) {
    static const uint8_t end[] = {'\r', '\n'};
    if (!lock()) {
        return 0;
    }
    int length = vsnprintf(line.log, sizeof line.log, format, arguments);
    size_t count = length <= 0 ? 0U : (size_t)length < sizeof line.log ? (size_t)length : sizeof line.log - 1U;
    bool ends = count > 0U && (line.log[count - 1U] == '\n' || (size_t)length > count);
    write_all((const uint8_t *)line.log, ends ? count - 1U : count);
    if (ends) {
        write_all(end, sizeof end);
    }
    unlock();
    return length;
}

bool ftv_espidf_line_start(const ftv_espidf_board *board) {
    line.lock = xSemaphoreCreateMutexStatic(&line.lock_memory);
    if (board->console == NULL ||
        !board->console->start(&board->uart, (size_t)FTV_ESPIDF_WINDOW * FTV_LINE_TEXT_BYTES)) {
        return false;
    }
    line.console = board->console;
    esp_log_set_vprintf(log_hook);
    return true;
}

size_t ftv_espidf_line_read(void *context, uint8_t *bytes, size_t capacity) {
    (void)context;
    size_t early = line.has_early && capacity > 0U ? 1U : 0U;
    if (line.console == NULL || capacity == 0U) {
        return 0;
    }
    if (early > 0U) {
        *bytes = line.early;
        line.has_early = false;
    }
    return early + (capacity > early ? line.console->read(bytes + early, capacity - early, 0U) : 0U);
}

bool ftv_espidf_line_write(void *context, const uint8_t *bytes, size_t count) {
    (void)context;
    if (line.console == NULL || !lock()) {
        return false;
    }
    bool written = write_all(bytes, count);
    unlock();
    return written;
}

/* True: a byte has arrived. */
static bool wait_for_byte(uint32_t milliseconds) {
    if (line.console == NULL) {
        vTaskDelay(pdMS_TO_TICKS(milliseconds) > 0U ? pdMS_TO_TICKS(milliseconds) : 1U);
        return false;
    }
    line.has_early = line.has_early || line.console->read(&line.early, 1U, milliseconds) == 1U;
    return line.has_early;
}

void ftv_espidf_line_wait(uint32_t milliseconds, bool (*arrived)(void)) {
    for (;;) {
        uint32_t step = arrived != NULL && milliseconds > FRAME_POLL_MS ? FRAME_POLL_MS : milliseconds;
        if ((arrived != NULL && arrived()) || wait_for_byte(step) || step == milliseconds) {
            return;
        }
        milliseconds -= step;
    }
}
