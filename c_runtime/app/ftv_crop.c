/* Centre crop, colours, and resizing: a separable filter, columns of a row of output first, in integers. */
#include "ftv_crop.h"

#define SIDE_MAX    4096U
#define WEIGHT_BITS 14U

ftv_square ftv_middle_square(const ftv_camera_frame *frame) {
    uint32_t side = frame->width < frame->height ? frame->width : frame->height;
    return (ftv_square){(frame->width - side) / 2U, (frame->height - side) / 2U, side};
}

/* ---- colours ---- */

static void put_rgb565(uint8_t *rgb, const uint8_t *source) {
    uint32_t value = (uint32_t)source[0] << 8 | source[1];
    uint32_t red = value >> 11, green = value >> 5 & 63U, blue = value & 31U;
    rgb[0] = (uint8_t)(red << 3 | red >> 2);
    rgb[1] = (uint8_t)(green << 2 | green >> 4);
    rgb[2] = (uint8_t)(blue << 3 | blue >> 2);
}

static uint8_t clamp(int32_t value) {
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

/* BT.601, full range; factors in units of 2^-16. */
static void put_yuv(uint8_t *rgb, int32_t y, int32_t u, int32_t v) {
    const int32_t half = 1 << 15;
    int32_t luma = y * 65536 + half;
    rgb[0] = clamp((luma + 91881 * (v - 128)) >> 16);
    rgb[1] = clamp((luma - 22554 * (u - 128) - 46802 * (v - 128)) >> 16);
    rgb[2] = clamp((luma + 116130 * (u - 128)) >> 16);
}

static void unpack_yuyv(uint8_t *rgb, const uint8_t *row, uint32_t x, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *pair = row + (size_t)(x + i) / 2U * 4U;
        put_yuv(rgb + 3U * (size_t)i, pair[2U * ((x + i) % 2U)], pair[1], pair[3]);
    }
}

void ftv_frame_row(uint8_t *rgb, const ftv_camera_frame *frame, uint32_t x, uint32_t y, uint32_t count) {
    size_t first = (size_t)y * frame->width + x;
    switch (frame->format) {
    case FTV_PIXELS_RGB565_BE:
        for (uint32_t i = 0; i < count; i++) {
            put_rgb565(rgb + 3U * (size_t)i, frame->pixels + 2U * (first + i));
        }
        break;
    case FTV_PIXELS_YUYV:
        unpack_yuyv(rgb, frame->pixels + (size_t)y * frame->width * 2U, x, count);
        break;
    case FTV_PIXELS_GRAY8:
        for (uint32_t i = 0; i < 3U * count; i++) {
            rgb[i] = frame->pixels[first + i / 3U];
        }
        break;
    case FTV_PIXELS_RGB888:
    default:
        for (uint32_t i = 0; i < 3U * count; i++) {
            rgb[i] = frame->pixels[3U * first + i];
        }
        break;
    }
}

/* ---- the filter ---- */

/* The inputs of one output: first .. end - 1. A tap's weight falls in a straight line from the output's centre to
 * `support`; positions are in units of 1 / (2 outputs). */
typedef struct taps {
    uint32_t first;
    uint32_t end;
    uint32_t centre;
    uint32_t support;
    uint32_t unit; /* from one input to the next, half */
    uint32_t sum;  /* of the raw weights */
} taps;

static uint32_t raw_weight(const taps *t, uint32_t input) {
    uint32_t position = (2U * input + 1U) * t->unit;
    uint32_t distance = position > t->centre ? position - t->centre : t->centre - position;
    return distance < t->support ? t->support - distance : 0U;
}

static taps taps_of(uint32_t output, uint32_t outputs, uint32_t inputs) {
    taps t = {
        .centre = (2U * output + 1U) * inputs, .support = 2U * (inputs > outputs ? inputs : outputs), .unit = outputs};
    uint32_t low = t.centre > t.support ? t.centre - t.support : 0U;
    uint32_t high = (t.centre + t.support) / (2U * outputs) + 1U;
    t.first = low / (2U * outputs);
    t.end = high < inputs ? high : inputs;
    for (uint32_t i = t.first; i < t.end; i++) {
        t.sum += raw_weight(&t, i);
    }
    return t;
}

/* In units of 2^-14 of the whole. */
static uint32_t weight(const taps *t, uint32_t input) {
    return ((raw_weight(t, input) << WEIGHT_BITS) + t->sum / 2U) / t->sum;
}

/* sums[3 side] = the square's rows under `vertical`, units of 2^-14. */
static void mix_rows(uint32_t *sums, uint8_t *row, const ftv_camera_frame *frame, ftv_square square,
                     const taps *vertical) {
    uint32_t values = 3U * square.side;
    for (uint32_t i = 0; i < values; i++) {
        sums[i] = 0;
    }
    for (uint32_t y = vertical->first; y < vertical->end; y++) {
        uint32_t w = weight(vertical, y);
        if (w == 0U) {
            continue;
        }
        ftv_frame_row(row, frame, square.left, square.top + y, square.side);
        for (uint32_t i = 0; i < values; i++) {
            sums[i] += w * row[i];
        }
    }
    for (uint32_t i = 0; i < values; i++) {
        sums[i] = (sums[i] + 32U) >> 6; /* units of 2^-8, so that the next sum has room */
    }
}

static void mix_columns(uint8_t *pixel, const uint32_t *sums, const taps *horizontal) {
    const uint32_t half = 1U << (WEIGHT_BITS + 7U);
    uint32_t colour[3] = {half, half, half};
    for (uint32_t x = horizontal->first; x < horizontal->end; x++) {
        uint32_t w = weight(horizontal, x);
        for (uint32_t c = 0; c < 3U; c++) {
            colour[c] += w * sums[3U * x + c];
        }
    }
    for (uint32_t c = 0; c < 3U; c++) {
        uint32_t value = colour[c] >> (WEIGHT_BITS + 8U);
        pixel[c] = (uint8_t)(value > 255U ? 255U : value);
    }
}

bool ftv_crop(uint8_t *pixels, uint32_t size, const ftv_camera_frame *frame, void *memory, size_t memory_bytes) {
    ftv_square square = ftv_middle_square(frame);
    if (square.side == 0U || square.side > SIDE_MAX || memory_bytes < ftv_crop_bytes(square.side)) {
        return false;
    }
    uint32_t *sums = memory;
    uint8_t *row = (uint8_t *)memory + 12U * (size_t)square.side;
    for (uint32_t y = 0; y < size; y++) {
        taps vertical = taps_of(y, size, square.side);
        mix_rows(sums, row, frame, square, &vertical);
        for (uint32_t x = 0; x < size; x++) {
            taps horizontal = taps_of(x, size, square.side);
            mix_columns(pixels + 3U * ((size_t)y * size + x), sums, &horizontal);
        }
    }
    return true;
}
