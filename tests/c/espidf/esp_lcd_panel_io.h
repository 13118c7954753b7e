#ifndef ESP_LCD_PANEL_IO_H
#define ESP_LCD_PANEL_IO_H

#include <stdbool.h>
#include <stddef.h>

typedef struct played_panel *esp_lcd_panel_io_handle_t;
typedef int esp_lcd_spi_bus_handle_t;
typedef struct esp_lcd_panel_io_event_data_t {
    int unused;
} esp_lcd_panel_io_event_data_t;

typedef struct esp_lcd_panel_io_spi_config_t {
    int cs_gpio_num;
    int dc_gpio_num;
    int spi_mode;
    unsigned pclk_hz;
    size_t trans_queue_depth;
    bool (*on_color_trans_done)(esp_lcd_panel_io_handle_t, esp_lcd_panel_io_event_data_t *, void *);
    void *user_ctx;
    int lcd_cmd_bits;
    int lcd_param_bits;
} esp_lcd_panel_io_spi_config_t;

int esp_lcd_new_panel_io_spi(esp_lcd_spi_bus_handle_t bus, const esp_lcd_panel_io_spi_config_t *config,
                             esp_lcd_panel_io_handle_t *io);
int esp_lcd_panel_io_tx_param(esp_lcd_panel_io_handle_t io, int command, const void *parameters, size_t bytes);
int esp_lcd_panel_io_tx_color(esp_lcd_panel_io_handle_t io, int command, const void *pixels, size_t bytes);

#endif
