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
    /* High while the engine runs, or a kernel of BENCH: for oscilloscopes and power analysers. */
    void (*trigger)(void *context, bool high);
    /* Runs function(argument) on the core of engine worker `worker` and returns when it is done. NULL: call it here. */
    void (*on_worker)(void *context, uint32_t worker, void (*function)(void *argument), void *argument);
    /* Clock cycles of the calling core, for BENCH; wraps. NULL: not counted. */
    uint32_t (*cycles)(void *context);
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
    uint32_t image_version; /* latest version of IMAGE_FORMAT.md that it reads */
    uint32_t reserved[2];   /* 0 */
} ftv_app_descriptor;

_Static_assert(sizeof(ftv_app_descriptor) == 96, "its layout is a format");

/* The shape that an application for `model` alone has. */
ftv_app_shape ftv_app_shape_of(const ftv_model *model);

/* Bytes of ftv_app_config.scratch, as a constant and as a function. `inputs`: the largest of 3 patch_size^2, width and
 * hidden; `linear_scratch_bytes`: what the kernels' function of that name says for them, or scratch_bytes if that is
 * more; `camera_side`: the shorter side of the camera's frames, 0 without a camera. BENCH serves what fits; more memory serves larger shapes. */
#define FTV_APP_SCRATCH_BYTES(inputs, linear_scratch_bytes, camera_side)                                               \
    (24576U + 48U * (((inputs) + 15U) / 16U * 16U) + ((linear_scratch_bytes) + 15U) / 16U * 16U + 16U * (camera_side))
size_t ftv_app_scratch_bytes(const ftv_model *model, const ftv_kernels *kernels, uint32_t camera_side);

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
    void *scratch; /* 16-byte aligned: self-test, BENCH, resizing; see ftv_app_scratch_bytes. May be the arena. */
    size_t scratch_bytes;
    /* The display; width 0: none. */
    uint16_t display_width;
    uint16_t display_height;
    bool display_little_endian; /* order of a pixel's bytes in memory; big-endian otherwise */
    uint16_t *strip;            /* [strip_pixels] what is drawn before it is shown */
    uint32_t strip_pixels;      /* at least 8 rows of the display */
    bool camera_at_boot;        /* looks without being asked */
} ftv_app_config;

#define FTV_APP_FACTS          16U  /* of ftv_app_config, at most 15 */
#define FTV_APP_NUMBERS        5U   /* that INFO counts */
#define FTV_APP_SENTENCE_BYTES 240U /* of an error, with its 0 */
#define FTV_APP_LABEL_BYTES    64U  /* of what the display shows */

/* What the camera did since boot, and how it is mended. Private. */
typedef struct ftv_app_camera {
    bool on;             /* asked to look */
    bool down;           /* waits for its next restart */
    uint8_t damaged;     /* overflows since the last whole frame */
    uint32_t thumbnails; /* every n-th frame; 0: none */
    uint32_t frames;     /* that were classified */
    uint32_t timeouts;
    uint32_t overflows;
    uint32_t failures;
    uint32_t restarts;
    uint32_t pause_us; /* before the next restart */
    uint32_t down_us;  /* when the pause began */
    uint32_t said_us;  /* when the log last heard of it */
    bool said;
} ftv_app_camera;

/* What the display shows. Private. */
typedef struct ftv_app_display {
    bool works;
    bool keeps;          /* an error stays on it for a while: */
    uint32_t keep_us;    /* since when */
    bool live;           /* a picture of the camera has been drawn */
    uint32_t picture_us; /* when */
    char label[FTV_APP_LABEL_BYTES];
    uint32_t probability; /* 1/10000 */
    uint32_t microseconds;

} ftv_app_display;

/* The state of an application; all fields are private. 13 KB on a chip with 32-bit pointers, mostly the
 * model's table of pointers. */
typedef struct ftv_app {
    const ftv_app_config *config;
    ftv_options options; /* config's, with the kernels that passed the self-test */
    ftv_line_config line_config;
    ftv_line_fact facts[FTV_APP_FACTS];
    ftv_line_number numbers[FTV_APP_NUMBERS];
    ftv_app_camera camera;
    ftv_app_display display;
    uint32_t claims; /* ftv_line_claims when the line was last looked at */
    uint32_t claimed_us;
    bool claimed;            /* a host was here less than 1.5 s ago */
    bool predicted;          /* at least once since boot */
    bool running;            /* the camera's inference */
    uint32_t run_started_us; /* of the camera's inference */
    uint32_t aside_us;       /* time in it for line and display */
    char model_error[FTV_APP_SENTENCE_BYTES];
    char self_test[FTV_APP_SENTENCE_BYTES];
    ftv_line line;
    ftv_model model;
} ftv_app;

/* Boots: shows the boot screen, opens and checks the model, tests the kernels, opens the line. Never fails: what is
 * wrong is said on display, log and line. Called again, it boots again. `config` outlives the app. */
void ftv_app_start(ftv_app *app, const ftv_app_config *config);

/* One round of the loop: requests, a camera frame, an inference, then at most a few milliseconds in port.wait. */
void ftv_app_step(ftv_app *app);

#ifdef __cplusplus
}
#endif
#endif
