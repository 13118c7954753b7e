/* The virtual board: the application of c_runtime/app/ on a computer. Its line is a pseudo-terminal or TCP, its camera
 * shows pictures from a file, its display is a PNG file. */
#ifndef FTV_POSIX_BOARD_H
#define FTV_POSIX_BOARD_H

#include "ftv_app.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- the line (board_line.c) ---- */

/* A pseudo-terminal, or a TCP server with one client at a time. */
typedef struct posix_line {
    int listener; /* TCP: the listening socket; else -1 */
    int fd;       /* the terminal or the client; -1: nobody is there */
    int held;     /* pseudo-terminal: its other end, kept open so that it outlives clients; else -1 */
    bool deaf;    /* nobody has read for so long that what is written is dropped at once */
    char name[128];
} posix_line;

/* Opens it and fills in `name`, what a user gives as --port. False: errno says why. */
bool posix_open_pty(posix_line *line);
bool posix_open_tcp(posix_line *line, uint16_t port);

/* Waits until bytes arrive, at most `milliseconds`; takes a new client. */
void posix_wait(posix_line *line, int milliseconds);

size_t posix_read(posix_line *line, uint8_t *bytes, size_t capacity);

/* Writes all, or gives up: nobody is there, or nobody reads for two seconds; then until somebody does, without waiting. */
bool posix_write(posix_line *line, const uint8_t *bytes, size_t count);

uint64_t posix_clock_us(void);

/* ---- a camera that shows pictures from a file (board_camera.c) ---- */

typedef enum posix_fault { POSIX_NO_FAULT, POSIX_TIMEOUT, POSIX_OVERFLOW, POSIX_FAILED } posix_fault;

typedef struct posix_camera {
    const uint8_t *frames; /* [count][frame_bytes]; NULL: no camera */
    size_t frame_bytes;
    uint32_t count;
    uint16_t width;
    uint16_t height;
    ftv_pixel_format format;
    uint32_t every_us; /* time from one frame to the next */
    uint32_t repeat;   /* frames that show the same picture */
    uint64_t started_us;
    uint64_t taken; /* number of the last frame that was taken, from 1 on */
    uint32_t held;  /* frames that were not given back */
    posix_fault fault;
    uint32_t fault_after; /* frames: until the fault, since the last restart; an overflow every so many */
    uint32_t delivered;   /* since the last restart */
    bool refuses;         /* the next restart fails */
} posix_camera;

ftv_camera_status posix_camera_take(posix_camera *camera, ftv_camera_frame *frame);
void posix_camera_give(posix_camera *camera);
bool posix_camera_restart(posix_camera *camera);

/* Microseconds until the next frame, at most `most`. */
uint64_t posix_camera_due(const posix_camera *camera, uint64_t most);

/* ---- a display that is a file (board_display.c) ---- */

typedef struct posix_display {
    const char *folder; /* NULL: no display */
    uint16_t width;
    uint16_t height;
    uint32_t every_us; /* a file at most so often */
    bool keep;         /* numbered files, too */
    uint32_t kept;
    bool dirty; /* a whole screen has not been saved yet */
    uint64_t saved_us;
    uint8_t *rgb; /* [height][width][3] */
    uint8_t *png; /* room for the file */
} posix_display;

/* Exits with a sentence where there is no memory. */
void posix_display_open(posix_display *display);

/* RGB565, big-endian, whole rows. */
bool posix_display_write(posix_display *display, uint16_t y, uint16_t rows, const uint16_t *pixels);

/* Saves the last whole screen, if that is due. Exits with a sentence if it cannot be written. */
void posix_display_save(posix_display *display);

/* ---- options (board_options.c) ---- */

typedef struct posix_options {
    const char *model;
    const char *made_for;
    const char *frames;
    const char *camera;
    uint16_t camera_width, camera_height;
    ftv_pixel_format camera_format;
    bool camera_off;
    posix_fault fault;
    uint32_t fault_after;
    const char *display;
    uint16_t display_width, display_height;
    uint32_t display_fps;
    bool display_keep;
    bool until_eof;
    const ftv_kernels *kernels;
    bool tcp;
    uint16_t port;
    uint32_t threads;
    uint32_t fps;
    uint32_t repeat;
} posix_options;

/* Exits with a sentence on stderr where they are wrong. */
posix_options posix_parse(int count, char **words);

/* ---- memory and files; exit with a sentence on stderr where there are none ---- */

_Noreturn void posix_die(const char *what, const char *why);
void *posix_allocate(size_t bytes); /* 16-byte aligned, zeroed */
uint8_t *posix_read_file(const char *path, size_t *bytes);

#endif
