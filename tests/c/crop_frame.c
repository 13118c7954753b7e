/* Crops one camera frame: crop_frame WIDTH HEIGHT FORMAT SIZE < frame > pixels. FORMAT: a number of ftv_pixel_format.
 * Frame, memory and pixels lie in allocations of exactly their size. */
#include "ftv_crop.h"

#include <stdio.h>
#include <stdlib.h>

int main(int count, char **words) {
    if (count != 5) {
        return 2;
    }
    unsigned long width = strtoul(words[1], NULL, 10), height = strtoul(words[2], NULL, 10);
    unsigned long format = strtoul(words[3], NULL, 10), size = strtoul(words[4], NULL, 10);
    size_t bytes = width * height * (format == FTV_PIXELS_RGB888 ? 3U : format == FTV_PIXELS_GRAY8 ? 1U : 2U);
    uint8_t *pixels = malloc(bytes), *out = malloc(3U * size * size);
    if (pixels == NULL || out == NULL || fread(pixels, 1, bytes, stdin) != bytes) {
        return 2;
    }
    ftv_camera_frame frame = {pixels, (uint16_t)width, (uint16_t)height, (ftv_pixel_format)format, NULL};
    size_t memory_bytes = ftv_crop_bytes(ftv_middle_square(&frame).side);
    void *memory = malloc(memory_bytes);
    if (ftv_crop(out, (uint32_t)size, &frame, memory, memory_bytes - 1U) ||
        !ftv_crop(out, (uint32_t)size, &frame, memory, memory_bytes)) {
        return 1;
    }
    fwrite(out, 3U, size * size, stdout);
    free(pixels);
    free(out);
    free(memory);
    return 0;
}
