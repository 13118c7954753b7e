/* ftv_espidf: the application of app/ftv_app.h on ESP-IDF 5.1 or newer.
 *
 * A board is data: a const ftv_espidf_board, whose pointers also choose the drivers. A driver that no board names is not
 * linked. After the start nothing here takes memory from the heap; ESP-IDF's drivers do, while they start.
 */
#ifndef FTV_ESPIDF_H
#define FTV_ESPIDF_H

#include "ftv_app.h"

#ifdef __cplusplus
extern "C" {
#endif

#define FTV_ESPIDF_NO_PIN            (-1)
#define FTV_ESPIDF_PARTITION         "model"
#define FTV_ESPIDF_PARTITION_TYPE    0x40
#define FTV_ESPIDF_PARTITION_SUBTYPE 0x00

/* Whole frames of FTV_LINE_TEXT_BYTES that a console's receive buffer holds. */
#ifndef FTV_ESPIDF_WINDOW
#define FTV_ESPIDF_WINDOW 4U
#endif

/* ---- console: log lines and the line ---- */

typedef struct ftv_espidf_uart {
    int port;
    int tx;
    int rx;
    int baud;
} ftv_espidf_uart;

/* Calls never wait longer than `wait_ms`; both return how many bytes they moved. */
typedef struct ftv_espidf_console {
    bool (*start)(const ftv_espidf_uart *uart, size_t receive_bytes);
    size_t (*read)(uint8_t *bytes, size_t capacity, uint32_t wait_ms);
    size_t (*write)(const uint8_t *bytes, size_t count, uint32_t wait_ms);
} ftv_espidf_console;

extern const ftv_espidf_console ftv_espidf_console_uart;
extern const ftv_espidf_console ftv_espidf_console_usb; /* the chip's own USB-Serial-JTAG */

/* ---- I2C: chips that power others ---- */

typedef struct ftv_espidf_i2c_write {
    const char *device;
    const char *purpose;
    uint16_t delay_ms; /* after it */
    uint8_t address;
    uint8_t register_address;
    uint8_t value; /* of the bits in mask; the others stay */
    uint8_t mask;
} ftv_espidf_i2c_write;

typedef struct ftv_espidf_i2c {
    int sda;
    int scl;
    uint32_t clock_hz; /* at most */
    const ftv_espidf_i2c_write *writes;
    uint32_t writes_count;
} ftv_espidf_i2c;

/* ---- camera ---- */

/* In the words of the component esp32-camera. A pin may be FTV_ESPIDF_NO_PIN. */
typedef struct ftv_espidf_camera {
    int data[8];
    int xclk;
    int pclk;
    int vsync;
    int href;
    int sda;
    int scl;
    int pwdn;
    int reset;
    int xclk_hz;
    uint16_t width; /* one of esp32-camera's frame sizes */
    uint16_t height;
    ftv_pixel_format format;
    uint8_t frame_buffers;
    bool frame_buffers_in_psram;
    bool vflip;
    bool hmirror;
} ftv_espidf_camera;

typedef struct ftv_espidf_camera_driver {
    bool (*start)(const ftv_espidf_camera *camera);
    bool (*arrived)(void); /* a frame that the last take() missed */
    ftv_camera_status (*take)(void *context, ftv_camera_frame *frame);
    void (*give)(void *context, const ftv_camera_frame *frame);
    bool (*restart)(void *context);
} ftv_espidf_camera_driver;

extern const ftv_espidf_camera_driver ftv_espidf_camera_esp32; /* ftv_espidf_camera.c: needs espressif/esp32-camera */

/* ---- display ---- */

typedef enum ftv_espidf_panel { FTV_ESPIDF_ST7789 = 1, FTV_ESPIDF_ILI9341 } ftv_espidf_panel;

typedef struct ftv_espidf_display {
    ftv_espidf_panel panel;
    int host; /* 2 or 3: SPI2, SPI3 */
    int sclk;
    int mosi;
    int dc;
    int cs;
    int reset;
    int light;
    uint32_t clock_hz;
    uint16_t width; /* before rotation */
    uint16_t height;
    uint16_t rotation_degrees; /* clockwise: 0, 90, 180, 270 */
    bool light_active_low;
    bool inverted;
    bool bgr;
    bool little_endian; /* which byte of a pixel goes first */
} ftv_espidf_display;

typedef struct ftv_espidf_display_driver {
    bool (*start)(const ftv_espidf_display *display, size_t largest_write_bytes);
    bool (*write)(void *context, uint16_t x, uint16_t y, uint16_t width, uint16_t height, const uint16_t *pixels);
    void (*light)(void *context, bool on);
} ftv_espidf_display_driver;

extern const ftv_espidf_display_driver ftv_espidf_display_spi;

/* ---- the board ---- */

typedef struct ftv_espidf_board {
    const char *name;
    const ftv_espidf_console *console; /* NULL: none, then nobody can ask */
    ftv_espidf_uart uart;              /* for ftv_espidf_console_uart */
    const ftv_espidf_i2c *i2c;         /* NULL: none */
    const ftv_espidf_camera_driver *camera_driver;
    const ftv_espidf_camera *camera; /* NULL: none */
    const ftv_espidf_display_driver *display_driver;
    const ftv_espidf_display *display; /* NULL: none */
    int trigger;                       /* pin, or FTV_ESPIDF_NO_PIN */
    uint32_t workers;                  /* cores that the engine may use: 1 or 2 */
} ftv_espidf_board;

/* What a project's board.c defines. */
extern const ftv_espidf_board ftv_board;

/* Where the engine reads the model from. */
typedef enum ftv_espidf_model { FTV_ESPIDF_MODEL_IN_FLASH, FTV_ESPIDF_MODEL_IN_PSRAM } ftv_espidf_model;

/* Runs the application for ever. It fills in of *config: port, session, window, image, image_bytes, image_error, board,
 * options.parallel, options.copies, display_width, display_height, display_little_endian. The rest is the caller's, who sets everything
 * else before, memory included; strip lies in internal RAM. Call it from app_main, pinned to core 0. */
_Noreturn void ftv_espidf_main(const ftv_espidf_board *board, ftv_app *app, ftv_app_config *config,
                               ftv_espidf_model model);

/* ---- pieces, for firmware that brings its own main ---- */

/* Maps the model's partition for good; its bytes are more than the image's. False: *error is a sentence. */
bool ftv_espidf_map_model(const void **image, size_t *bytes, const char **error);

/* The fastest kernels that the chip has. A project for one model names its own instead. */
extern const ftv_kernels *const ftv_espidf_kernels;

/* Makes of a mapped image one in PSRAM, for good; *bytes becomes its length. False: there is no room, it is no image, or
 * the copy differs; then all stays as it was. */
bool ftv_espidf_copy_model(const void **image, size_t *bytes);

/* Starts copies by DMA between SRAM and the residual rows in PSRAM, once, and tries them: for ftv_options.copies. rows:
 * FTV_BUFFER_RESIDUAL, `bytes` of it, both multiples of FTV_COPY_ALIGN, which from now on only copies may touch. scratch: SRAM
 * for the trial, 16-byte aligned. NULL: they do not work; the log says so, and the cores can copy. */
const ftv_copies *ftv_espidf_start_copies(void *rows, size_t bytes, void *scratch, size_t scratch_bytes);

/* Starts the workers, once: 1, the caller's task alone, or 2, a task on the other core as well. The caller's task is pinned
 * to core 0, and it alone runs the engine. */
const ftv_parallel *ftv_espidf_start_workers(uint32_t workers);

/* ftv_app_port.on_worker. */
void ftv_espidf_on_worker(void *context, uint32_t worker, void (*function)(void *argument), void *argument);

/* Writes all that the board's chips need before camera and display start, and releases the bus. False: at least one did
 * not answer; the log says which. */
bool ftv_espidf_write_i2c(const ftv_espidf_i2c *bus);

/* Starts the console; from here on ESP-IDF's log goes through it too, never in the middle of a frame. */
bool ftv_espidf_line_start(const ftv_espidf_board *board);
size_t ftv_espidf_line_read(void *context, uint8_t *bytes, size_t capacity);
bool ftv_espidf_line_write(void *context, const uint8_t *bytes, size_t count);
/* Sleeps until a byte has arrived or arrived() says so (NULL: bytes alone), at most `milliseconds`. */
void ftv_espidf_line_wait(uint32_t milliseconds, bool (*arrived)(void));

#ifdef __cplusplus
}
#endif
#endif
