/* Pictures from a file, one after the other, over and over. */
#include "board.h"

#define THUMBNAIL_SIDE 48U

static void send_thumbnail(const posix_camera *camera, ftv_line *line, const uint8_t *frame) {
    uint8_t pixels[THUMBNAIL_SIDE * THUMBNAIL_SIDE * 3U];
    uint32_t size = camera->model->image_size;
    uint32_t side = size < THUMBNAIL_SIDE ? size : THUMBNAIL_SIDE;
    for (uint32_t i = 0; i < side * side; i++) {
        uint32_t row = i / side * size / side, column = i % side * size / side;
        for (uint32_t c = 0; c < 3U; c++) {
            pixels[3U * i + c] = frame[3U * ((size_t)row * size + column) + c];
        }
    }
    ftv_line_thumbnail(line, &(ftv_line_picture){.pixels = pixels,
                                                 .frame = camera->shown,
                                                 .width = (uint16_t)side,
                                                 .height = (uint16_t)side,
                                                 .format = FTV_LINE_RGB888});
}

void posix_camera_step(posix_camera *camera, ftv_line *line, const ftv_line_config *config) {
    uint32_t now = posix_clock_us();
    if (!camera->on || now - camera->last_us < camera->every_us) {
        return;
    }
    size_t frame_bytes = (size_t)3U * camera->model->image_size * camera->model->image_size;
    const uint8_t *frame = camera->frames + camera->shown % camera->count * frame_bytes;
    camera->last_us = now;
    camera->shown++;
    if (ftv_run(camera->model, config->options, frame, camera->logits, config->arena, config->arena_bytes) != FTV_OK) {
        return;
    }
    ftv_line_predict(line, camera->model, camera->logits, camera->shown, posix_clock_us() - now);
    if (camera->thumbnails_every > 0U && camera->shown % camera->thumbnails_every == 0U) {
        send_thumbnail(camera, line, frame);
    }
}
