/* ftv_app: what a board does with a model. It boots, checks model and kernels, looks through the camera, shows what it
 * sees on the display and answers on the line.
 *
 * Portable: no heap, no stdio, no globals, no operating system. A port (ports/) lends it devices through ftv_app_port
 * and memory through ftv_app_config. One ftv_app belongs to one task; the engine's workers are the port's affair.
 */
#ifndef FTV_APP_H
#define FTV_APP_H

#include "ftv.h"
#include "ftv_line.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- devices ---- */

typedef enum ftv_log_level { FTV_LOG_ERROR = 1, FTV_LOG_WARNING, FTV_LOG_INFO } ftv_log_level;

/* What a camera's pixels are. Each row of 16-bit pixels is `width` pixels without gaps. */
typedef enum ftv_pixel_format {
    FTV_PIXELS_RGB565_BE = 1, /* two bytes a pixel, the one with red first: what OV2640 and GC0308 send */
    FTV_PIXELS_YUYV,          /* Y0 U Y1 V, BT.601 full range */
    FTV_PIXELS_GRAY8,
    FTV_PIXELS_RGB888
} ftv_pixel_format;

typedef struct ftv_camera_frame {
    const uint8_t *pixels; /* [height][width] */
    uint16_t width;
    uint16_t height;
    ftv_pixel_format format;
    void *handle; /* the port's own */
} ftv_camera_frame;

typedef enum ftv_camera_status {
    FTV_CAMERA_FRAME = 0, /* *frame is filled in; camera_give() returns it */
    FTV_CAMERA_NOT_YET,   /* no frame has come since the last one */
    FTV_CAMERA_TIMEOUT,   /* no frame for so long that something is wrong */
    FTV_CAMERA_OVERFLOW,  /* a frame came damaged or incomplete, and is gone */
    FTV_CAMERA_FAILED     /* the device does not answer */
} ftv_camera_status;

/* A board's devices. Every function gets `context`; NULL where the board has no such thing, except read and write. */
typedef struct ftv_app_port {
    void *context;
    /* The line, as in ftv_line_port. */
    size_t (*read)(void *context, uint8_t *bytes, size_t capacity);
    bool (*write)(void *context, const uint8_t *bytes, size_t count);
    uint32_t (*clock_us)(void *context); /* microseconds; wraps */
    /* One line of log, without its end. */
    void (*log)(void *context, ftv_log_level level, const char *text);
    /* Sleeps until bytes or a frame arrive, at most `milliseconds`. */
    void (*wait)(void *context, uint32_t milliseconds);
    /* Never waits. At most two frames are held at a time. */
    ftv_camera_status (*camera_take)(void *context, ftv_camera_frame *frame);
    void (*camera_give)(void *context, const ftv_camera_frame *frame);
    /* Stops the camera and starts it again, after TIMEOUT or FAILED. */
    bool (*camera_restart)(void *context);
    /* Shows RGB565 pixels, bytes in the display's order as ftv_app_config says; returns when they may be overwritten. */
    bool (*display_write)(void *context, uint16_t x, uint16_t y, uint16_t width, uint16_t height,
                          const uint16_t *pixels);
    void (*display_light)(void *context, bool on);
    /* High while the engine runs: for oscilloscopes and power analysers. */
    void (*trigger)(void *context, bool high);
    /* Runs function(argument) on the core of engine worker `worker` and returns when it is done. NULL: call it here. */
    void (*on_worker)(void *context, uint32_t worker, void (*function)(void *argument), void *argument);
} ftv_app_port;

/* ---- what an application was made for ---- */

#define FTV_APP_SHAPE_ANY NULL

/* The shapes that the memory plan and the rendered kernels of an application fit. */
typedef struct ftv_app_shape {
    uint32_t encoding; /* ftv_encoding */
    uint32_t image_size;
    uint32_t patch_size;
    uint32_t width;
    uint32_t depth;
    uint32_t heads;
    uint32_t hidden;
    uint32_t most_classes;
} ftv_app_shape;

/* The same in a place of the application's image where `ftervit flash --model-only` finds it: 288 bytes after its start,
 * behind ESP-IDF's esp_app_desc_t (section .rodata_custom_desc). Little-endian, 96 bytes. */
typedef struct ftv_app_descriptor {
    char magic[8];    /* "ftv-app", 0 */
    uint32_t version; /* 1 */
    uint32_t bytes;   /* 96 */
    char board[32];   /* UTF-8, zeros behind it */
    ftv_app_shape shape;
    uint32_t numerics;      /* version of NUMERICS.md that the engine computes */
    uint32_t image_version; /* version of IMAGE_FORMAT.md that it reads */
    uint32_t reserved[2];   /* 0 */
} ftv_app_descriptor;

_Static_assert(sizeof(ftv_app_descriptor) == 96, "its layout is a format");

/* ---- the application ---- */

typedef struct ftv_app_config {
    ftv_app_port port;
    const ftv_line_fact *facts; /* "app", "version", "board", ... */
    uint32_t facts_count;
    const char *board; /* for the boot screen */
    uint16_t session;  /* as in ftv_line_config */
    uint16_t window;
    /* The model: `image` is mapped from its partition and stays; NULL with a sentence in image_error where there is
     * none. */
    const void *image;
    size_t image_bytes; /* of the partition or file: the header's own length counts, what is behind it is ignored */
    const char *image_error;
    const ftv_app_shape *shape; /* NULL: any */
    ftv_options options;        /* kernels, parallel, plan */
    void *arena;
    size_t arena_bytes;
    /* Memory, for a model of `shape`. */
    uint8_t *line_pixels;   /* [pixels_bytes] what PUT brings */
    uint8_t *camera_pixels; /* [pixels_bytes] what the camera sees; NULL: no camera */
    size_t pixels_bytes;    /* 3 image_size^2 */
    int32_t *line_logits;   /* [logits] */
    int32_t *camera_logits; /* [logits] */
    uint32_t logits;        /* most_classes */
    ftv_line_site *sites;   /* [sites_capacity] */
    uint32_t sites_capacity;
    void *scratch; /* 16-byte aligned: self-test and BENCH; see ftv_app_scratch_bytes */
    size_t scratch_bytes;
    /* The display; width 0: none. */
    uint16_t display_width;
    uint16_t display_height;
    bool display_little_endian; /* order of a pixel's bytes in memory; big-endian otherwise */
    uint16_t *strip;            /* [strip_pixels] what is drawn before it is shown */
    uint32_t strip_pixels;      /* at least 8 rows of the display */
    bool camera_at_boot;        /* looks without being asked */
} ftv_app_config;

#ifdef __cplusplus
}
#endif
#endif
