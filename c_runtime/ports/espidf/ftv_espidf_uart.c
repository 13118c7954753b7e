/* A UART as the console. */
#include "ftv_espidf.h"

#include "driver/uart.h"
#include "freertos/FreeRTOS.h"

#include <stdio.h>

#define TRANSMIT_BYTES 2048
#define LEAST_RECEIVE  (2 * 128) /* the driver wants more than the hardware's FIFO */

static uart_port_t port;

static TickType_t ticks(uint32_t milliseconds) {
    TickType_t count = pdMS_TO_TICKS(milliseconds);
    return milliseconds > 0U && count == 0U ? 1U : count;
}

static bool start(const ftv_espidf_uart *uart, size_t receive_bytes) {
    const uart_config_t config = {.baud_rate = uart->baud,
                                  .data_bits = UART_DATA_8_BITS,
                                  .parity = UART_PARITY_DISABLE,
                                  .stop_bits = UART_STOP_BITS_1,
                                  .flow_ctrl = UART_HW_FLOWCTRL_DISABLE,
                                  .source_clk = UART_SCLK_DEFAULT};
    int receive = receive_bytes < LEAST_RECEIVE ? LEAST_RECEIVE : (int)receive_bytes;
    port = (uart_port_t)uart->port;
    fflush(stdout);
    uart_wait_tx_idle_polling(port); /* the boot's log, at the boot's speed */
    return uart_driver_install(port, receive, TRANSMIT_BYTES, 0, NULL, 0) == ESP_OK &&
           uart_param_config(port, &config) == ESP_OK &&
           uart_set_pin(port, uart->tx, uart->rx, UART_PIN_NO_CHANGE, UART_PIN_NO_CHANGE) == ESP_OK;
}

static size_t read_bytes(uint8_t *bytes, size_t capacity, uint32_t wait_ms) {
    int count = uart_read_bytes(port, bytes, (uint32_t)capacity, ticks(wait_ms));
    return count > 0 ? (size_t)count : 0U;
}

/* A UART without flow control always drains: the wait is bounded by the baud rate. */
static size_t write_bytes(const uint8_t *bytes, size_t count, uint32_t wait_ms) {
    (void)wait_ms;
    int written = uart_write_bytes(port, bytes, count);
    return written > 0 ? (size_t)written : 0U;
}

const ftv_espidf_console ftv_espidf_console_uart = {start, read_bytes, write_bytes};
