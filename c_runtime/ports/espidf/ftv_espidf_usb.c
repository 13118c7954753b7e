/* The chip's USB-Serial-JTAG as the console. */
#include "ftv_espidf.h"

#include "driver/usb_serial_jtag.h"
#include "freertos/FreeRTOS.h"

#include <stdio.h>

#define TRANSMIT_BYTES 4096U /* a frame and some log, at least */

static TickType_t ticks(uint32_t milliseconds) {
    TickType_t count = pdMS_TO_TICKS(milliseconds);
    return milliseconds > 0U && count == 0U ? 1U : count;
}

static bool start(const ftv_espidf_uart *unused, size_t receive_bytes) {
    (void)unused;
    usb_serial_jtag_driver_config_t config = {.tx_buffer_size = TRANSMIT_BYTES,
                                              .rx_buffer_size = (uint32_t)receive_bytes};
    fflush(stdout);
    return usb_serial_jtag_driver_install(&config) == ESP_OK;
}

static size_t read_bytes(uint8_t *bytes, size_t capacity, uint32_t wait_ms) {
    size_t filled = 0;
    /* A ring's end splits what has arrived in two. */
    for (int part = 0; part < 2 && filled < capacity; part++) {
        int count = usb_serial_jtag_read_bytes(bytes + filled, (uint32_t)(capacity - filled),
                                               filled == 0U ? ticks(wait_ms) : 0U);
        filled += count > 0 ? (size_t)count : 0U;
    }
    return filled;
}

static size_t write_bytes(const uint8_t *bytes, size_t count, uint32_t wait_ms) {
    int written = usb_serial_jtag_write_bytes(bytes, count, ticks(wait_ms));
    return written > 0 ? (size_t)written : 0U;
}

const ftv_espidf_console ftv_espidf_console_usb = {start, read_bytes, write_bytes};
