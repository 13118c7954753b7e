/* The board qemu-esp32s3, as ftervit's board file says. */
#include "ftv_espidf.h"

const ftv_espidf_board ftv_board = {
    .name = "qemu-esp32s3",
    .console = &ftv_espidf_console_uart,
    .uart = {.port = 0, .tx = 43, .rx = 44, .baud = 115200},
    .trigger = FTV_ESPIDF_NO_PIN,
    .workers = 2,
};
