/* The board esp32s3-eye, as ftervit's board file says. */
#include "ftv_espidf.h"

static const ftv_espidf_camera camera = {
    .data = {11, 9, 8, 10, 12, 18, 17, 16},
    .xclk = 15,
    .pclk = 13,
    .vsync = 6,
    .href = 7,
    .sda = 4,
    .scl = 5,
    .pwdn = FTV_ESPIDF_NO_PIN,
    .reset = FTV_ESPIDF_NO_PIN,
    .xclk_hz = 16000000,
    .width = 240,
    .height = 240,
    .format = FTV_PIXELS_RGB565_BE,
    .frame_buffers = 2,
    .frame_buffers_in_psram = true,
    .vflip = true,
    .hmirror = false,
};

static const ftv_espidf_display display = {
    .panel = FTV_ESPIDF_ST7789,
    .host = 3,
    .sclk = 21,
    .mosi = 47,
    .dc = 43,
    .cs = 44,
    .reset = FTV_ESPIDF_NO_PIN,
    .light = 48,
    .clock_hz = 80000000,
    .width = 240,
    .height = 240,
    .rotation_degrees = 0,
    .light_active_low = true,
    .inverted = true,
    .bgr = false,
    .little_endian = false,
};

const ftv_espidf_board ftv_board = {
    .name = "esp32s3-eye",
    .console = &ftv_espidf_console_usb,
    .camera_driver = &ftv_espidf_camera_esp32,
    .camera = &camera,
    .display_driver = &ftv_espidf_display_spi,
    .display = &display,
    .trigger = 46,
    .workers = 2,
};
