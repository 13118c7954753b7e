/* Drawing into a strip of the display: a few whole rows at a time, so that no frame buffer is needed. */
#ifndef FTV_CANVAS_H
#define FTV_CANVAS_H

#include "ftv_app.h"

#define FTV_GLYPH_COLUMNS 5U
#define FTV_GLYPH_ROWS    9U /* the last two are below the baseline */
#define FTV_CELL_WIDTH    6U /* of a character at scale 1, with the blank beside it */
#define FTV_CELL_HEIGHT   10U

/* A colour as displays have it: five bits red, six green, five blue. */
#define FTV_RGB(red, green, blue) ((uint16_t)(((red) >> 3) << 11 | ((green) >> 2) << 5 | (blue) >> 3))

/* Rows `top` .. `top + rows - 1` of a display of `width` columns. What is drawn outside them is left out. */
typedef struct ftv_canvas {
    uint16_t *pixels; /* [rows][width] */
    uint16_t width;
    uint16_t height; /* of the whole display */
    uint16_t top;
    uint16_t rows;
} ftv_canvas;

typedef struct ftv_box {
    int32_t x;
    int32_t y;
    int32_t width;
    int32_t height;
} ftv_box;

/* True where the character has ink, at column x and row y of its cell. Characters outside 32..126 have none. */
bool ftv_glyph_ink(char character, int32_t x, int32_t y);

void ftv_draw_box(const ftv_canvas *canvas, ftv_box box, uint16_t colour);

/* A quarter of the light of what is there. */
void ftv_draw_shade(const ftv_canvas *canvas, ftv_box box);

/* The frame's middle square, scaled to `side` pixels by taking the nearest ones. */
void ftv_draw_frame(const ftv_canvas *canvas, const ftv_camera_frame *frame, int32_t x, int32_t y, uint32_t side);

typedef struct ftv_type {
    uint32_t scale; /* 1: cells of 6 x 10; corners are rounded at even scales */
    uint16_t colour;
} ftv_type;

/* One line of `count` characters, its first cell's corner at x, y. */
void ftv_draw_text(const ftv_canvas *canvas, int32_t x, int32_t y, ftv_type type, const char *text, uint32_t count);

/* Characters of `text` that go on a line of `most`: up to a space, or cut within a long word. */
uint32_t ftv_line_length(const char *text, uint32_t most);

/* Text wrapped between words to the box's width; returns the height that it takes. NULL canvas: measures only. */
int32_t ftv_draw_wrapped(const ftv_canvas *canvas, ftv_box box, ftv_type type, const char *text);

/* ---- the display ---- */

typedef void (*ftv_paint_fn)(const ftv_canvas *canvas, const void *picture);

/* Calls paint(canvas, picture) for every strip from the top on and shows it. False: the display failed. */
bool ftv_display_paint(const ftv_app_config *config, ftv_paint_fn paint, const void *picture);

/* ---- words ---- */

uint32_t ftv_length(const char *text);

/* out = UTF-8 as characters 32..126 and a 0: accents are dropped, what has no letter becomes '?'. Cut at `capacity`. */
void ftv_plain_letters(char *out, uint32_t capacity, const char *utf8, uint32_t bytes);

#endif
