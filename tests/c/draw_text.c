/* Draws a text as the display shows it: draw_text WIDTH HEIGHT SCALE ROWS TEXT > pixels. White on black, wrapped, in
 * strips of ROWS rows, RGB565 big-endian. TEXT is UTF-8. */
#include "ftv_canvas.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct words_to_draw {
    uint32_t scale;
    char text[512];
} words_to_draw;

static void paint(const ftv_canvas *canvas, const void *picture) {
    const words_to_draw *words = picture;
    ftv_box all = {0, 0, canvas->width, canvas->height};
    ftv_draw_box(canvas, all, FTV_RGB(0U, 0U, 0U));
    ftv_draw_wrapped(canvas, all, (ftv_type){words->scale, FTV_RGB(255U, 255U, 255U)}, words->text);
}

static bool write_strip(void *context, uint16_t x, uint16_t y, uint16_t width, uint16_t height,
                        const uint16_t *pixels) {
    (void)context;
    (void)x;
    (void)y;
    return fwrite(pixels, sizeof *pixels, (size_t)width * height, stdout) == (size_t)width * height;
}

int main(int count, char **words) {
    if (count != 6) {
        return 2;
    }
    ftv_app_config config = {.port = {.display_write = write_strip}};
    words_to_draw drawn = {.scale = (uint32_t)strtoul(words[3], NULL, 10)};
    config.display_width = (uint16_t)strtoul(words[1], NULL, 10);
    config.display_height = (uint16_t)strtoul(words[2], NULL, 10);
    config.strip_pixels = (uint32_t)strtoul(words[4], NULL, 10) * config.display_width;
    config.strip = malloc(config.strip_pixels * sizeof *config.strip);
    ftv_plain_letters(drawn.text, sizeof drawn.text, words[5], (uint32_t)strlen(words[5]));
    bool shown = config.strip != NULL && ftv_display_paint(&config, paint, &drawn);
    free(config.strip);
    return shown ? 0 : 1;
}
