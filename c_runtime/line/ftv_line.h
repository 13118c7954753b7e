/* ftv_line: a board's end of the line that LINE_PROTOCOL.md defines. Serves requests, writes predictions.
 *
 * No heap, no stdio, no globals. The caller owns all memory and lends callbacks for the line, the clock and whatever
 * else the board can do. One ftv_line belongs to one task.
 */
#ifndef FTV_LINE_H
#define FTV_LINE_H

#include "ftv.h"
#include "ftv_frame.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FTV_LINE_VERSION 1U
#define FTV_LINE_TOP     5U /* classes of a prediction, at most */
#define FTV_LINE_NUMBERS 8U /* ftv_line_config.numbers, at most */

/* Largest payload of a frame, bytes: a multiple of 4 from 256 to 4096. It sets the two buffers of an ftv_line. */
#ifndef FTV_LINE_PAYLOAD_BYTES
#define FTV_LINE_PAYLOAD_BYTES 1024U
#endif
#define FTV_LINE_TEXT_BYTES FTV_FRAME_TEXT_BYTES(FTV_LINE_PAYLOAD_BYTES)

/* Codes of an error reply, section 6 of LINE_PROTOCOL.md. */
typedef enum ftv_line_error {
    FTV_LINE_OK = 0,
    FTV_LINE_ERR_VERSION = 1,    /* no common version of the protocol */
    FTV_LINE_ERR_SESSION = 2,    /* the board was reset since HELLO */
    FTV_LINE_ERR_REQUEST = 3,    /* unknown request */
    FTV_LINE_ERR_PAYLOAD = 4,    /* payload of a wrong length or with an impossible value */
    FTV_LINE_ERR_RANGE = 5,      /* beyond the end of what is read or written */
    FTV_LINE_ERR_CHECKSUM = 6,   /* the pixels on the board are not those that RUN meant */
    FTV_LINE_ERR_NO_MODEL = 7,   /* no valid model on the board */
    FTV_LINE_ERR_ABSENT = 8,     /* not on this board */
    FTV_LINE_ERR_ENGINE = 9,     /* ftv_run refused; detail: its ftv_status */
    FTV_LINE_ERR_NO_RESULT = 10, /* that run's results are not here */
    FTV_LINE_ERR_FAILED = 11     /* a device of the board failed */
} ftv_line_error;

/* One sentence in English for an error; never NULL. */
const char *ftv_line_error_text(ftv_line_error error);

/* What a run records at one site of the model (ftv.h, ftv_site). */
typedef struct ftv_line_site {
    uint16_t site;
    uint16_t block; /* 0xFFFF outside blocks */
    uint32_t values;
    uint32_t crc32;        /* of the values, row by row without gaps, little-endian; 0 if not asked for */
    uint32_t microseconds; /* since the site before, or since the start; 0 if not asked for */
} ftv_line_site;

/* Sites of a model of `depth` blocks: room that ftv_line_config.sites needs. */
#define FTV_LINE_SITES(depth) (4U + 6U * (depth))

typedef struct ftv_line_bench {
    const char *name; /* of a kernel, e.g. linear_s8t2_ref, see LINE_PROTOCOL.md; not terminated */
    uint32_t name_bytes;
    uint32_t tokens;
    uint32_t inputs;
    uint32_t repetitions; /* >= 1 */
} ftv_line_bench;

typedef struct ftv_line_bench_result {
    uint32_t microseconds; /* of all repetitions */
    uint32_t cycles;       /* the same; 0: not counted */
    uint32_t crc32;        /* of the results, see LINE_PROTOCOL.md */
} ftv_line_bench_result;

/* The line and what else the board has. Every function gets `context`. */
typedef struct ftv_line_port {
    void *context;
    /* Moves bytes that have arrived, at most `capacity`, to `bytes`; returns how many. Never waits. */
    size_t (*read)(void *context, uint8_t *bytes, size_t capacity);
    /* Writes all of it as one piece, not cut by log lines of other tasks; may wait. False: the line is gone. */
    bool (*write)(void *context, const uint8_t *bytes, size_t count);
    /* Microseconds since any moment; wraps. NULL: no clock, all times are 0 and WORKING is not sent. */
    uint32_t (*clock_us)(void *context);
    /* NULL where the board has no such thing; then requests for it are answered with FTV_LINE_ERR_ABSENT. */
    ftv_line_error (*camera)(void *context, bool on);
    ftv_line_error (*thumbnails)(void *context, uint32_t every); /* every n-th camera frame; 0: none */
    ftv_line_error (*bench)(void *context, const ftv_line_bench *request, ftv_line_bench_result *result);
    /* Called before and after the engine runs; may be NULL. */
    void (*running)(void *context, bool on);
} ftv_line_port;

/* Something the application says about itself in its description: "app", "version", "board", ... */
typedef struct ftv_line_fact {
    const char *name; /* lower case letters, digits and _; see LINE_PROTOCOL.md for those that have a meaning */
    const char *text; /* UTF-8 */
} ftv_line_fact;

/* A number in the description that changes: its value is read when the description is. */
typedef struct ftv_line_number {
    const char *name; /* as of a fact */
    const uint32_t *value;
} ftv_line_number;

/* All of it outlives the ftv_line. */
typedef struct ftv_line_config {
    ftv_line_port port;
    const ftv_line_fact *facts;
    uint32_t facts_count;
    uint16_t session;           /* not 0, and another after every reset: a random number */
    uint16_t window;            /* whole frames of FTV_LINE_TEXT_BYTES that the receive buffer holds; 0 means 1 */
    const ftv_model *model;     /* NULL: none; then the next six do not matter */
    const ftv_options *options; /* NULL: the defaults. The trace hook in it is not used. */
    uint8_t *pixels;            /* [image_size][image_size][3] */
    int32_t *logits;            /* [classes] */
    void *arena;                /* 16-byte aligned; in use only while ftv_line_poll runs */
    size_t arena_bytes;
    ftv_line_site *sites; /* [sites_capacity]; NULL: no digests and times */
    uint32_t sites_capacity;
    const char *model_error; /* why there is no model; may be NULL */
    const ftv_line_number *numbers;
    uint32_t numbers_count; /* at most FTV_LINE_NUMBERS; further ones are left out */
} ftv_line_config;

/* The state of a line; all fields are private. */
typedef struct ftv_line {
    const ftv_line_config *config;
    ftv_decoder decoder;
    uint16_t run_id; /* of the last run since HELLO, 0: none */
    uint16_t sites;  /* records of the last run */
    uint32_t run_flags;
    uint32_t run_pixels_crc;
    uint32_t run_us;
    uint32_t claims;
    bool holds;                         /* a request waits for the end of an inference: */
    ftv_frame held;                     /* its payload lies in `received` */
    uint32_t held_us;                   /* since when */
    uint32_t working_us;                /* when WORKING was last sent for it */
    uint32_t numbers[FTV_LINE_NUMBERS]; /* as they were when the description was last asked for */
    uint8_t taken;                      /* of `waiting`, bytes that the decoder has had */
    uint8_t waiting_count;
    uint8_t waiting[64]; /* bytes from the port */
    uint8_t received[FTV_FRAME_BINARY_BYTES(FTV_LINE_PAYLOAD_BYTES)];
    uint8_t text[FTV_LINE_TEXT_BYTES]; /* the frame or line being written */
} ftv_line;

void ftv_line_start(ftv_line *line, const ftv_line_config *config);

/* Answers every request that has arrived; returns how many. A run takes as long as ftv_run. */
uint32_t ftv_line_poll(ftv_line *line);

/* The same between two layers of an inference that the board does for itself, from its trace hook: all requests are
 * answered but those that need the engine. Such a one is held, and what comes after it waits for ftv_line_poll; in the
 * meantime WORKING says that the board lives. */
uint32_t ftv_line_poll_busy(ftv_line *line);

/* Requests so far but CAMERA and THUMBNAILS: a host that wants the board for itself. Wraps. */
uint32_t ftv_line_claims(const ftv_line *line);

/* ---- what a board says of its own accord ---- */

/* One class: its index, and its softmax probability in units of 1/10000. */
typedef struct ftv_line_guess {
    uint16_t index;
    uint16_t probability;
} ftv_line_guess;

/* The `count` most probable classes (at most `classes`), best first, equal logits by index; returns how many.
 * logits: Q16 [classes]. */
uint32_t ftv_line_top(ftv_line_guess *top, uint32_t count, const int32_t *logits, uint32_t classes);

/* Writes a prediction as one JSON line. `model` gives the labels. False: the line is gone. */
bool ftv_line_predict(ftv_line *line, const ftv_model *model, const int32_t *logits, uint32_t frame,
                      uint32_t microseconds);

typedef enum ftv_line_pixels {
    FTV_LINE_RGB888 = 1,
    FTV_LINE_RGB565 = 2 /* big-endian, as displays have it */
} ftv_line_pixels;

typedef struct ftv_line_picture {
    const uint8_t *pixels; /* [height][width] */
    uint32_t frame;        /* number of the camera frame */
    uint16_t width;
    uint16_t height;
    ftv_line_pixels format;
} ftv_line_picture;

/* Writes a picture as a burst of frames. False: the line is gone, or an impossible picture. */
bool ftv_line_thumbnail(ftv_line *line, const ftv_line_picture *picture);

#ifdef __cplusplus
}
#endif
#endif
