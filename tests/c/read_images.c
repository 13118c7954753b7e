/* Opens every image of a batch and prints what ftv_open says, one line of numbers an image.
 *
 * Batch: for each image u32 length, u32 shift (bytes by which its start is moved off a multiple of 16), the bytes.
 * Each image lies in an allocation of exactly its size, so that AddressSanitizer sees any read outside it, and
 * everything that the model points to is read once. */
#include "ftv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t *start_of_image;

static void print(long long value) {
    printf(" %lld", value);
}

static void print_offset(const void *p) {
    print((const uint8_t *)p - start_of_image);
}

static uint32_t sum_bytes(const uint8_t *p, size_t bytes) {
    uint32_t sum = 0;
    for (size_t i = 0; i < bytes; i++)
        sum += p[i];
    return sum;
}

static long long sum_s16(const int16_t *p, size_t values) {
    long long sum = 0;
    for (size_t i = 0; i < values; i++)
        sum += p[i];
    return sum;
}

static void print_linear(const ftv_linear *linear) {
    uint32_t count = linear->per_channel ? linear->stored_rows : 1;
    long long mantissas = 0;
    for (uint32_t i = 0; i < count; i++)
        mantissas += linear->mantissas[i];
    print(linear->rows);
    print(linear->inputs);
    print(linear->stored_rows);
    print(linear->tile_bytes);
    print(linear->exponent);
    print(linear->bias_shift);
    print(linear->per_channel);
    print_offset(linear->tiles);
    print_offset(linear->mantissas);
    print_offset(linear->bias);
    print(mantissas);
    print(sum_s16(linear->bias, linear->stored_rows));
    print(sum_bytes(linear->tiles, (size_t)linear->stored_rows / 16 * linear->tile_bytes));
}

static void print_left_out(const uint16_t *channels, uint32_t count) {
    print(count);
    for (uint32_t i = 0; i < count; i++)
        print(channels[i]);
}

static void print_norm(const ftv_model *model, const ftv_norm *norm, const ftv_linear *reader) {
    size_t bytes = (model->width + 3) / 4;
    print_offset(norm->gamma);
    print_offset(norm->beta);
    print(norm->beta_ratio.mantissa);
    print(norm->beta_ratio.exponent);
    print(sum_bytes(norm->gamma, bytes));
    print(sum_bytes(norm->beta, bytes));
    print_left_out(norm->left_out, model->width - reader->inputs);
}

static void print_header(const ftv_model *m) {
    print(m->encoding);
    print(m->image_bytes);
    print(m->image_size);
    print(m->patch_size);
    print(m->width);
    print(m->depth);
    print(m->heads);
    print(m->head_dim);
    print(m->head_rows);
    print(m->hidden);
    print(m->classes);
    print(m->tokens);
    print(m->position_on_class_token);
    print(m->eps_q32);
    print(m->attention.mantissa);
    print(m->attention.exponent);
    for (int i = 0; i < 3; i++)
        print(m->pixel_scale[i]);
    for (int i = 0; i < 3; i++)
        print(m->pixel_offset[i]);
}

static void print_text(const ftv_model *m) {
    print_offset(m->meta);
    print(m->meta_bytes);
    print_offset(m->labels);
    print(m->labels_bytes);
    for (uint32_t i = 0; i < m->classes; i++) {
        uint32_t length;
        const char *label = ftv_label(m, i, &length);
        print_offset(label);
        print(length);
    }
}

static void print_model(const ftv_model *m) {
    uint32_t rows = m->position_on_class_token ? m->tokens : m->tokens - 1;
    print_header(m);
    print_text(m);
    print_linear(&m->patch);
    print_offset(m->cls);
    print_offset(m->position);
    print(m->cls_shift);
    print(m->position_shift);
    print(sum_s16(m->cls, m->width));
    print(sum_s16(m->position, (size_t)rows * m->width));
    for (uint32_t i = 0; i < m->depth; i++) {
        print_norm(m, &m->blocks[i].norm1, &m->blocks[i].qkv);
        print_linear(&m->blocks[i].qkv);
        print_linear(&m->blocks[i].proj);
        print_norm(m, &m->blocks[i].norm2, &m->blocks[i].fc1);
        print_linear(&m->blocks[i].fc1);
        print_linear(&m->blocks[i].fc2);
    }
    print_norm(m, &m->norm, &m->head);
    print_linear(&m->head);
}

/* 0 where ftv_label finds nothing outside the classes. */
static int beyond_labels(const ftv_model *m) {
    uint32_t length = 1;
    return ftv_label(m, m->classes, &length) != NULL || length != 0 || ftv_label(m, UINT32_MAX, NULL) != NULL;
}

static int open_one(const uint8_t *data, uint32_t bytes, uint32_t shift) {
    uint8_t *allocation = malloc((size_t)bytes + shift);
    ftv_model *model = malloc(sizeof *model);
    if (allocation == NULL || model == NULL)
        return 1;
    memcpy(allocation + shift, data, bytes);
    memset(model, 0xA5, sizeof *model);
    start_of_image = allocation + shift;
    ftv_status status = ftv_open(model, allocation + shift, bytes);
    printf("%d", (int)status);
    int failed = ftv_status_text(status)[0] == '\0';
    if (status == FTV_OK) {
        print_model(model);
        failed |= beyond_labels(model);
    }
    printf("\n");
    free(model);
    free(allocation);
    return failed;
}

static uint8_t *read_file(const char *path, size_t *bytes) {
    FILE *file = fopen(path, "rb");
    uint8_t *data = NULL;
    if (file == NULL)
        return NULL;
    if (fseek(file, 0, SEEK_END) == 0) {
        *bytes = (size_t)ftell(file);
        rewind(file);
        data = malloc(*bytes + 1);
        if (data != NULL && fread(data, 1, *bytes, file) != *bytes)
            exit(1);
    }
    fclose(file);
    return data;
}

static int open_null(void) {
    static ftv_model model;
    uint32_t length = 1;
    return ftv_open(NULL, &model, 0) != FTV_ERR_ARGUMENT || ftv_open(&model, NULL, 0) != FTV_ERR_ARGUMENT ||
           ftv_label(NULL, 0, &length) != NULL || length != 0;
}

int main(int argc, char **argv) {
    size_t bytes = 0, at = 0;
    uint8_t *batch = argc == 2 ? read_file(argv[1], &bytes) : NULL;
    int failed = batch == NULL || open_null();
    while (!failed && at + 8 <= bytes) {
        uint32_t header[2];
        memcpy(header, batch + at, 8);
        if (header[0] > bytes - at - 8)
            return 1;
        failed |= open_one(batch + at + 8, header[0], header[1]);
        at += 8 + (size_t)header[0];
    }
    free(batch);
    return failed;
}
