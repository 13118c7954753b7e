/* A panel behind SPI: prints what ftv_espidf_display.c tells it. Argument: degrees of rotation, or "late". */
#include "ftv_espidf.h"

#include "driver/gpio.h"
#include "driver/spi_master.h"
#include "esp_lcd_panel_io.h"
#include "freertos/semphr.h"
#include "freertos/task.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool (*done)(esp_lcd_panel_io_handle_t, esp_lcd_panel_io_event_data_t *, void *);
static bool late; /* transfers do not end */

esp_err_t gpio_config(const gpio_config_t *config) {
    (void)config;
    return ESP_OK;
}

esp_err_t gpio_set_level(gpio_num_t pin, uint32_t level) {
    printf("pin %d = %u\n", pin, (unsigned)level);
    return ESP_OK;
}

void vTaskDelay(TickType_t ticks) {
    printf("wait %u\n", (unsigned)ticks - 1U);
}

SemaphoreHandle_t xSemaphoreCreateBinaryStatic(StaticSemaphore_t *memory) {
    memory->count = 0;
    return memory;
}

BaseType_t xSemaphoreTake(SemaphoreHandle_t semaphore, TickType_t ticks) {
    int taken = semaphore->count > 0;
    if (!taken && ticks > 0U) {
        printf("nothing after %u\n", (unsigned)ticks);
    }
    semaphore->count = 0;
    return taken;
}

BaseType_t xSemaphoreGiveFromISR(SemaphoreHandle_t semaphore, BaseType_t *woken) {
    semaphore->count = 1;
    *woken = pdTRUE;
    return pdTRUE;
}

int spi_bus_initialize(spi_host_device_t host, const spi_bus_config_t *config, int dma) {
    printf("bus %d mosi %d clock %d most %d\n", (int)host + 1, config->mosi_io_num, config->sclk_io_num,
           dma == SPI_DMA_CH_AUTO ? config->max_transfer_sz : -1);
    return 0;
}

int esp_lcd_new_panel_io_spi(esp_lcd_spi_bus_handle_t bus, const esp_lcd_panel_io_spi_config_t *config,
                             esp_lcd_panel_io_handle_t *io) {
    (void)bus;
    (void)io;
    done = config->on_color_trans_done;
    return 0;
}

int esp_lcd_panel_io_tx_param(esp_lcd_panel_io_handle_t io, int command, const void *parameters, size_t bytes) {
    (void)io;
    printf("%02x", (unsigned)command);
    for (size_t i = 0; i < bytes; i++) {
        printf(" %02x", ((const uint8_t *)parameters)[i]);
    }
    printf("\n");
    return 0;
}

int esp_lcd_panel_io_tx_color(esp_lcd_panel_io_handle_t io, int command, const void *pixels, size_t bytes) {
    (void)pixels;
    printf("%02x + %zu bytes\n", (unsigned)command, bytes);
    if (!late) {
        done(io, NULL, NULL);
    }
    return 0;
}

int main(int count, char **words) {
    static const uint16_t pixels[240U * 8U];
    ftv_espidf_display display = {.panel = FTV_ESPIDF_ST7789,
                                  .host = 3,
                                  .sclk = 21,
                                  .mosi = 47,
                                  .dc = 43,
                                  .cs = 44,
                                  .reset = FTV_ESPIDF_NO_PIN,
                                  .light = 48,
                                  .light_active_low = true,
                                  .clock_hz = 80000000,
                                  .width = 240,
                                  .height = 240,
                                  .inverted = true};
    late = count > 1 && strcmp(words[1], "late") == 0;
    display.rotation_degrees = (uint16_t)(count > 1 ? atoi(words[1]) : 0);
    if (!ftv_espidf_display_spi.start(&display, sizeof pixels)) {
        printf("refused\n");
        return 0;
    }
    printf("-- pixels\n");
    bool shown = ftv_espidf_display_spi.write(NULL, 0, 16, 240, 8, pixels);
    ftv_espidf_display_spi.light(NULL, true);
    printf(shown ? "shown\n" : "not shown\n");
    display.panel = FTV_ESPIDF_ILI9341;
    display.little_endian = true;
    printf(ftv_espidf_display_spi.start(&display, sizeof pixels) ? "taken\n" : "refused\n");
    return 0;
}
