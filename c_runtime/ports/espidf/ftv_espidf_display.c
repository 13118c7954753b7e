/* An SPI display with an ST7789 or an ILI9341, in the commands that both share (MIPI DCS; ST7789V and ILI9341 datasheets).
 * esp_lcd moves the bytes; the panel itself needs too little for two drivers, one of which would be a download. */
#include "ftv_espidf.h"

#include "driver/gpio.h"
#include "driver/spi_master.h"
#include "esp_attr.h"
#include "esp_lcd_panel_io.h"
#include "esp_log.h"
#include "freertos/FreeRTOS.h"
#include "freertos/semphr.h"
#include "freertos/task.h"

#define TAG           "ftv"
#define WRITE_WAIT_MS 1000U
#define QUEUE_DEPTH   4U

#define CMD_RESET      0x01
#define CMD_WAKE       0x11
#define CMD_INVERT_OFF 0x20
#define CMD_INVERT_ON  0x21
#define CMD_ON         0x29
#define CMD_COLUMNS    0x2A
#define CMD_ROWS       0x2B
#define CMD_PIXELS     0x2C
#define CMD_ORIENT     0x36
#define CMD_FORMAT     0x3A
#define CMD_ST7789_RAM 0xB0

#define ORIENT_BGR    0x08U
#define ORIENT_SWAP   0x20U /* rows become columns */
#define ORIENT_FLIP_X 0x40U
#define ORIENT_FLIP_Y 0x80U
#define FORMAT_RGB565 0x55U
#define RAM_SHORT     240U /* both controllers hold 240 x 320 pixels, whatever glass is on them */
#define RAM_LONG      320U

static struct {
    const ftv_espidf_display *config;
    esp_lcd_panel_io_handle_t io;
    SemaphoreHandle_t done;
    StaticSemaphore_t done_memory;
    uint16_t gap_x;
    uint16_t gap_y;
} display;

static bool IRAM_ATTR transfer_done(esp_lcd_panel_io_handle_t io, esp_lcd_panel_io_event_data_t *event, void *context) {
    (void)io;
    (void)event;
    (void)context;
    BaseType_t woken = pdFALSE;
    xSemaphoreGiveFromISR(display.done, &woken);
    return woken == pdTRUE;
}

static bool send(int command, const uint8_t *parameters, size_t count) {
    return esp_lcd_panel_io_tx_param(display.io, command, parameters, count) == ESP_OK;
}

static bool send_byte(int command, uint32_t parameter) {
    uint8_t byte = (uint8_t)parameter;
    return send(command, &byte, 1);
}

static void pause(uint32_t milliseconds) {
    vTaskDelay(pdMS_TO_TICKS(milliseconds) + 1U);
}

static void make_output(int pin, uint32_t level) {
    const gpio_config_t output = {.pin_bit_mask = 1ULL << pin,
                                  .mode = GPIO_MODE_OUTPUT,
                                  .pull_up_en = GPIO_PULLUP_DISABLE,
                                  .pull_down_en = GPIO_PULLDOWN_DISABLE,
                                  .intr_type = GPIO_INTR_DISABLE};
    gpio_set_level((gpio_num_t)pin, level);
    gpio_config(&output);
    gpio_set_level((gpio_num_t)pin, level);
}

static void light(void *context, bool on) {
    (void)context;
    if (display.config != NULL && display.config->light != FTV_ESPIDF_NO_PIN) {
        gpio_set_level((gpio_num_t)display.config->light, on != display.config->light_active_low ? 1U : 0U);
    }
}

/* The bus and the panel's place on it. */
static bool open_bus(const ftv_espidf_display *config, size_t largest_write_bytes) {
    const spi_bus_config_t bus = {.mosi_io_num = config->mosi,
                                  .miso_io_num = FTV_ESPIDF_NO_PIN,
                                  .sclk_io_num = config->sclk,
                                  .quadwp_io_num = FTV_ESPIDF_NO_PIN,
                                  .quadhd_io_num = FTV_ESPIDF_NO_PIN,
                                  .max_transfer_sz = (int)largest_write_bytes};
    const esp_lcd_panel_io_spi_config_t panel = {.cs_gpio_num = config->cs,
                                                 .dc_gpio_num = config->dc,
                                                 .pclk_hz = config->clock_hz,
                                                 .trans_queue_depth = QUEUE_DEPTH,
                                                 .on_color_trans_done = transfer_done,
                                                 .lcd_cmd_bits = 8,
                                                 .lcd_param_bits = 8};
    spi_host_device_t host = config->host == 2 ? SPI2_HOST : SPI3_HOST;
    display.done = xSemaphoreCreateBinaryStatic(&display.done_memory);
    return spi_bus_initialize(host, &bus, SPI_DMA_CH_AUTO) == ESP_OK &&
           esp_lcd_new_panel_io_spi((esp_lcd_spi_bus_handle_t)host, &panel, &display.io) == ESP_OK;
}

static void reset_panel(const ftv_espidf_display *config) {
    if (config->reset != FTV_ESPIDF_NO_PIN) {
        make_output(config->reset, 0);
        pause(10);
        gpio_set_level((gpio_num_t)config->reset, 1);
        pause(120);
    }
    send(CMD_RESET, NULL, 0);
    pause(150);
}

/* Turns the picture clockwise, and notes where in the controller's memory the glass begins: at its end where rows are
 * flipped. */
static uint32_t orientation(const ftv_espidf_display *config) {
    bool wide = config->width > RAM_SHORT;
    uint16_t behind_x = (uint16_t)((wide ? RAM_LONG : RAM_SHORT) - config->width);
    uint16_t behind_y = (uint16_t)((wide ? RAM_SHORT : RAM_LONG) - config->height);
    switch (config->rotation_degrees) {
    case 90:
        display.gap_y = behind_x;
        return ORIENT_SWAP | ORIENT_FLIP_X;
    case 180:
        display.gap_x = behind_x;
        display.gap_y = behind_y;
        return ORIENT_FLIP_X | ORIENT_FLIP_Y;
    case 270:
        display.gap_x = behind_y;
        return ORIENT_SWAP | ORIENT_FLIP_Y;
    default:
        return 0;
    }
}

static bool set_up_panel(const ftv_espidf_display *config) {
    static const uint8_t little_endian[] = {0x00, 0xF8};
    bool good = send(CMD_WAKE, NULL, 0);
    pause(120);
    good = good && send_byte(CMD_FORMAT, FORMAT_RGB565) &&
           send_byte(CMD_ORIENT, orientation(config) | (config->bgr ? ORIENT_BGR : 0U)) &&
           send(config->inverted ? CMD_INVERT_ON : CMD_INVERT_OFF, NULL, 0);
    if (config->little_endian) {
        good = good && send(CMD_ST7789_RAM, little_endian, sizeof little_endian);
    }
    return good && send(CMD_ON, NULL, 0);
}

static bool fits(const ftv_espidf_display *config) {
    uint32_t longer = config->width > config->height ? config->width : config->height;
    uint32_t shorter = config->width > config->height ? config->height : config->width;
    if (longer > RAM_LONG || shorter > RAM_SHORT) {
        ESP_LOGE(TAG, "display: %u x %u pixels are more than its controller has", config->width, config->height);
        return false;
    }
    if (config->little_endian && config->panel != FTV_ESPIDF_ST7789) {
        ESP_LOGE(TAG, "display: this controller takes the high byte of a pixel first");
        return false;
    }
    return true;
}

static bool start(const ftv_espidf_display *config, size_t largest_write_bytes) {
    if (config->light != FTV_ESPIDF_NO_PIN) {
        make_output(config->light, config->light_active_low ? 1U : 0U);
    }
    if (!fits(config) || !open_bus(config, largest_write_bytes)) {
        return false;
    }
    reset_panel(config);
    display.config = set_up_panel(config) ? config : NULL;
    return display.config != NULL;
}

/* Columns or rows first .. first + count - 1. */
static bool choose(int command, uint32_t first, uint32_t count) {
    uint32_t last = first + count - 1U;
    const uint8_t range[] = {(uint8_t)(first >> 8), (uint8_t)first, (uint8_t)(last >> 8), (uint8_t)last};
    return send(command, range, sizeof range);
}

static bool write_pixels(void *context, uint16_t x, uint16_t y, uint16_t width, uint16_t height,
                         const uint16_t *pixels) {
    (void)context;
    if (display.config == NULL || width == 0U || height == 0U) {
        return false;
    }
    xSemaphoreTake(display.done, 0); /* of a transfer that came too late */
    return choose(CMD_COLUMNS, (uint32_t)x + display.gap_x, width) &&
           choose(CMD_ROWS, (uint32_t)y + display.gap_y, height) &&
           esp_lcd_panel_io_tx_color(display.io, CMD_PIXELS, pixels, (size_t)2U * width * height) == ESP_OK &&
           xSemaphoreTake(display.done, pdMS_TO_TICKS(WRITE_WAIT_MS)) == pdTRUE;
}

const ftv_espidf_display_driver ftv_espidf_display_spi = {start, write_pixels, light};
