/* The virtual board: the line of c_runtime/line/ on a computer, over a pseudo-terminal or TCP. */
#ifndef FTV_POSIX_BOARD_H
#define FTV_POSIX_BOARD_H

#include "ftv_line.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- the line itself (board_line.c) ---- */

/* A pseudo-terminal, or a TCP server with one client at a time. */
typedef struct posix_line {
    int listener; /* TCP: the listening socket; else -1 */
    int fd;       /* the terminal or the client; -1: nobody is there */
    int held;     /* pseudo-terminal: its other end, kept open so that it outlives clients; else -1 */
    char name[128];
} posix_line;

/* Opens it and fills in `name`, what a user gives as --port. False: errno says why. */
bool posix_open_pty(posix_line *line);
bool posix_open_tcp(posix_line *line, uint16_t port);

/* Waits until bytes arrive, at most `milliseconds`; takes a new client. */
void posix_wait(posix_line *line, int milliseconds);

size_t posix_read(posix_line *line, uint8_t *bytes, size_t capacity);

/* Writes all, or gives up: nobody is there, or nobody reads for two seconds. */
bool posix_write(posix_line *line, const uint8_t *bytes, size_t count);

uint32_t posix_clock_us(void);

/* ---- kernels with made-up numbers (board_bench.c), as section 5 of LINE_PROTOCOL.md has them ---- */

ftv_line_error posix_bench(const ftv_line_bench *request, ftv_line_bench_result *result);

/* ---- a camera that shows pictures from a file (board_camera.c) ---- */

typedef struct posix_camera {
    const ftv_model *model;
    const uint8_t *frames; /* [count][image_size][image_size][3]; NULL: no camera */
    uint32_t count;
    uint32_t shown; /* frames so far */
    uint32_t thumbnails_every;
    uint32_t every_us; /* time from one frame to the next */
    uint32_t last_us;
    bool on;
    int32_t *logits; /* [classes] */
} posix_camera;

/* If the camera is on and a frame is due: runs the model on it and tells the line. */
void posix_camera_step(posix_camera *camera, ftv_line *line, const ftv_line_config *config);

/* ---- memory and files; exit with a sentence on stderr where there are none ---- */

void *posix_allocate(size_t bytes); /* 16-byte aligned, zeroed */
uint8_t *posix_read_file(const char *path, size_t *bytes);

#endif
