/* libFuzzer target for ftv_open: every input is opened as it is, and once more with magic, versions, length and hash
 * made right, so that the rules behind the hash are reached. The whole model is read after a success. */
#include "ftv.h"
#include "ftv_sha256.h"

#include <stdlib.h>
#include <string.h>

#define HEADER_BYTES 144
#define HASHED_FROM  48

static volatile uint32_t sink; /* keeps the reads */

static void touch(const void *start, size_t bytes) {
    const uint8_t *p = start;
    uint32_t sum = 0;
    for (size_t i = 0; i < bytes; i++)
        sum += p[i];
    sink += sum;
}

static void touch_linear(const ftv_linear *linear) {
    size_t rows = linear->stored_rows;
    touch(linear->tiles, rows / 16 * linear->tile_bytes);
    touch(linear->mantissas, 2 * (linear->per_channel ? rows : 1));
    touch(linear->bias, 2 * rows);
}

static void touch_norm(const ftv_model *model, const ftv_norm *norm, const ftv_linear *reader) {
    if (norm->left_out != NULL)
        touch(norm->left_out, 2 * (size_t)(model->width - reader->inputs));
    touch(norm->gamma, (model->width + 3) / 4);
    touch(norm->beta, (model->width + 3) / 4);
}

static void touch_labels(const ftv_model *model) {
    touch(model->meta, model->meta_bytes);
    for (uint32_t i = 0; i < model->classes && i < 100; i++) {
        uint32_t length;
        const char *label = ftv_label(model, i, &length);
        if (label == NULL)
            abort();
        touch(label, length);
    }
}

static void touch_model(const ftv_model *model) {
    uint32_t rows = model->position_on_class_token ? model->tokens : model->tokens - 1;
    touch_labels(model);
    touch_linear(&model->patch);
    touch(model->cls, 2u * model->width);
    touch(model->position, (size_t)2 * rows * model->width);
    for (uint32_t i = 0; i < model->depth; i++) {
        touch_norm(model, &model->blocks[i].norm1, &model->blocks[i].qkv);
        touch_linear(&model->blocks[i].qkv);
        touch_linear(&model->blocks[i].proj);
        touch_norm(model, &model->blocks[i].norm2, &model->blocks[i].fc1);
        touch_linear(&model->blocks[i].fc1);
        touch_linear(&model->blocks[i].fc2);
    }
    touch_norm(model, &model->norm, &model->head);
    touch_linear(&model->head);
}

static void open_image(const uint8_t *image, size_t bytes) {
    static ftv_model model;
    ftv_status status = ftv_open(&model, image, bytes);
    if (ftv_status_text(status)[0] == '\0')
        abort();
    if (status == FTV_OK)
        touch_model(&model);
}

static void make_prefix_right(uint8_t *image, size_t bytes) {
    static const uint8_t start[12] = {0x46, 0x54, 0x56, 0x49, 0x0D, 0x0A, 0x1A, 0x0A, 1, 0, 1, 0};
    uint8_t version = image[8] == 2 ? 2 : 1;
    memcpy(image, start, sizeof start);
    image[8] = version;
    for (int i = 0; i < 4; i++)
        image[12 + i] = (uint8_t)(bytes >> (8 * i));
    ftv_sha256(image + 16, image + HASHED_FROM, bytes - HASHED_FROM);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    uint8_t *image = malloc(bytes); /* exactly: AddressSanitizer sees a read beyond */
    if (image == NULL)
        return 0;
    memcpy(image, data, bytes);
    open_image(image, bytes);
    if (bytes >= HEADER_BYTES) {
        make_prefix_right(image, bytes);
        open_image(image, bytes);
    }
    free(image);
    return 0;
}
