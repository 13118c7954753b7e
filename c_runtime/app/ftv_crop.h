/* From a camera's frame to the pixels of a model. */
#ifndef FTV_CROP_H
#define FTV_CROP_H

#include "ftv_app.h"

/* The largest square in the middle of a frame. */
typedef struct ftv_square {
    uint32_t left;
    uint32_t top;
    uint32_t side; /* pixels; 0: the frame has none */
} ftv_square;

ftv_square ftv_middle_square(const ftv_camera_frame *frame);

/* rgb[0 .. 3 count - 1] = `count` pixels of row `y` from column `x` on, 8 bits a colour. Inside the frame. */
void ftv_frame_row(uint8_t *rgb, const ftv_camera_frame *frame, uint32_t x, uint32_t y, uint32_t count);

/* Bytes of memory that ftv_crop needs for frames whose middle square has this side. */
static inline size_t ftv_crop_bytes(uint32_t side) {
    return (size_t)side * 15U;
}

/* pixels [size][size][3] = the frame's middle square, resized with a triangle filter that covers all of it (Pillow's
 * BILINEAR), each value within 2 of the exact one. memory: 4-byte aligned, ftv_crop_bytes(side) bytes; overlaps nothing.
 * size and side: 1 .. 4096. False: the frame has no square, or the memory does not suffice. */
bool ftv_crop(uint8_t *pixels, uint32_t size, const ftv_camera_frame *frame, void *memory, size_t memory_bytes);

#endif
