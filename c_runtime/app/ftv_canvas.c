/* Boxes, letters and pictures in a strip of the display. */
#include "ftv_canvas.h"
#include "ftv_crop.h"

#define CHUNK 32U /* pixels of a picture that are converted together */

/* The part of a box that lies in the strip; rows count from the strip's top. */
static ftv_box clip(const ftv_canvas *canvas, ftv_box box) {
    int32_t right = box.x + box.width, bottom = box.y + box.height - canvas->top;
    int32_t left = box.x > 0 ? box.x : 0, top = box.y > canvas->top ? box.y - canvas->top : 0;
    right = right < canvas->width ? right : canvas->width;
    bottom = bottom < canvas->rows ? bottom : canvas->rows;
    return (ftv_box){left, top, right > left ? right - left : 0, bottom > top ? bottom - top : 0};
}

static uint16_t *pixel_at(const ftv_canvas *canvas, int32_t x, int32_t row) {
    return canvas->pixels + (size_t)row * canvas->width + (size_t)x;
}

void ftv_draw_box(const ftv_canvas *canvas, ftv_box box, uint16_t colour) {
    ftv_box seen = clip(canvas, box);
    for (int32_t row = 0; row < seen.height; row++) {
        uint16_t *pixels = pixel_at(canvas, seen.x, seen.y + row);
        for (int32_t i = 0; i < seen.width; i++) {
            pixels[i] = colour;
        }
    }
}

void ftv_draw_shade(const ftv_canvas *canvas, ftv_box box) {
    const uint32_t two_bits_less = 0x39E7U; /* each colour without its two lowest bits, moved down by two */
    ftv_box seen = clip(canvas, box);
    for (int32_t row = 0; row < seen.height; row++) {
        uint16_t *pixels = pixel_at(canvas, seen.x, seen.y + row);
        for (int32_t i = 0; i < seen.width; i++) {
            pixels[i] = (uint16_t)((uint32_t)pixels[i] >> 2 & two_bits_less);
        }
    }
}

/* ---- pictures ---- */

/* `count` pixels of the square's row `y`, from the picture's column `first` on. */
static void read_nearest(uint8_t *rgb, const ftv_camera_frame *frame, ftv_square square, uint32_t side, uint32_t y,
                         uint32_t first, uint32_t count) {
    if (side == square.side) {
        ftv_frame_row(rgb, frame, square.left + first, square.top + y, count);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        ftv_frame_row(rgb + 3U * i, frame, square.left + (first + i) * square.side / side, square.top + y, 1);
    }
}

static void draw_row(uint16_t *pixels, const ftv_camera_frame *frame, ftv_square square, uint32_t side, uint32_t y,
                     uint32_t first, uint32_t count) {
    uint8_t rgb[3U * CHUNK];
    for (uint32_t done = 0; done < count; done += CHUNK) {
        uint32_t now = count - done < CHUNK ? count - done : CHUNK;
        read_nearest(rgb, frame, square, side, y, first + done, now);
        for (uint32_t i = 0; i < now; i++) {
            pixels[done + i] = FTV_RGB(rgb[3U * i], rgb[3U * i + 1U], rgb[3U * i + 2U]);
        }
    }
}

void ftv_draw_frame(const ftv_canvas *canvas, const ftv_camera_frame *frame, int32_t x, int32_t y, uint32_t side) {
    ftv_square square = ftv_middle_square(frame);
    ftv_box seen = clip(canvas, (ftv_box){x, y, (int32_t)side, (int32_t)side});
    if (square.side == 0U) {
        return;
    }
    for (int32_t row = seen.y; row < seen.y + seen.height; row++) {
        uint32_t source = (uint32_t)(row + canvas->top - y) * square.side / side;
        draw_row(pixel_at(canvas, seen.x, row), frame, square, side, source, (uint32_t)(seen.x - x),
                 (uint32_t)seen.width);
    }
}

/* ---- letters ---- */

/* Ink of a glyph at twice its size: corners of diagonals are filled and outer corners rounded, as teletext did. */
static bool ink_twice(char character, int32_t x, int32_t y) {
    int32_t column = x / 2, row = y / 2, across = x % 2 != 0 ? 1 : -1, down = y % 2 != 0 ? 1 : -1;
    bool here = ftv_glyph_ink(character, column, row);
    bool beside = ftv_glyph_ink(character, column + across, row);
    bool below = ftv_glyph_ink(character, column, row + down);
    if (beside != below || beside == here) {
        return here;
    }
    if (ftv_glyph_ink(character, column - across, row) == beside ||
        ftv_glyph_ink(character, column, row - down) == below) {
        return here;
    }
    return beside;
}

static bool has_ink(char character, uint32_t scale, uint32_t x, uint32_t y) {
    if (scale % 2U == 0U) {
        return ink_twice(character, (int32_t)(2U * x / scale), (int32_t)(2U * y / scale));
    }
    return ftv_glyph_ink(character, (int32_t)(x / scale), (int32_t)(y / scale));
}

static void draw_letter(const ftv_canvas *canvas, int32_t x, int32_t y, ftv_type type, char character) {
    ftv_box box = {x, y, (int32_t)(FTV_GLYPH_COLUMNS * type.scale), (int32_t)(FTV_GLYPH_ROWS * type.scale)};
    ftv_box seen = clip(canvas, box);
    for (int32_t row = seen.y; row < seen.y + seen.height; row++) {
        for (int32_t column = seen.x; column < seen.x + seen.width; column++) {
            if (has_ink(character, type.scale, (uint32_t)(column - x), (uint32_t)(row + canvas->top - y))) {
                *pixel_at(canvas, column, row) = type.colour;
            }
        }
    }
}

void ftv_draw_text(const ftv_canvas *canvas, int32_t x, int32_t y, ftv_type type, const char *text, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        draw_letter(canvas, x + (int32_t)(i * FTV_CELL_WIDTH * type.scale), y, type, text[i]);
    }
}

uint32_t ftv_line_length(const char *text, uint32_t most) {
    uint32_t fitting = 0, last_space = 0;
    while (text[fitting] != '\0' && fitting <= most) {
        last_space = text[fitting] == ' ' ? fitting : last_space;
        fitting++;
    }
    if (fitting <= most) {
        return fitting;
    }
    return last_space > 0U ? last_space : most;
}

int32_t ftv_draw_wrapped(const ftv_canvas *canvas, ftv_box box, ftv_type type, const char *text) {
    uint32_t columns = (uint32_t)box.width / (FTV_CELL_WIDTH * type.scale);
    int32_t height = 0;
    while (*text != '\0' && columns > 0U) {
        uint32_t count = ftv_line_length(text, columns);
        if (canvas != NULL) {
            ftv_draw_text(canvas, box.x, box.y + height, type, text, count);
        }
        text += count;
        while (*text == ' ') {
            text++;
        }
        height += (int32_t)(FTV_CELL_HEIGHT * type.scale);
    }
    return height;
}

/* ---- the display ---- */

/* The strip's pixels as the display's bytes, in place. */
static void order_bytes(uint16_t *pixels, size_t count, bool little_endian) {
    uint8_t *bytes = (uint8_t *)pixels;
    for (size_t i = 0; i < count; i++) {
        uint32_t value = pixels[i];
        bytes[2U * i] = (uint8_t)(little_endian ? value : value >> 8);
        bytes[2U * i + 1U] = (uint8_t)(little_endian ? value >> 8 : value);
    }
}

bool ftv_display_paint(const ftv_app_config *config, ftv_paint_fn paint, const void *picture) {
    uint16_t width = config->display_width, height = config->display_height;
    uint32_t rows = config->strip_pixels / width;
    for (uint32_t top = 0; top < height; top += rows) {
        uint32_t count = height - top < rows ? height - top : rows;
        ftv_canvas canvas = {config->strip, width, height, (uint16_t)top, (uint16_t)count};
        paint(&canvas, picture);
        order_bytes(config->strip, (size_t)count * width, config->display_little_endian);
        if (!config->port.display_write(config->port.context, 0, (uint16_t)top, width, (uint16_t)count,
                                        config->strip)) {
            return false;
        }
    }
    return true;
}
