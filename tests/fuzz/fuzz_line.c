/* libFuzzer target for the line: every input is fed to a board as it is; then it is cut into requests, framed with the
 * right session and CRC, so that what lies behind the CRC is reached. The board has a tiny model and every device. */
#include "ftv_line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SESSION 0x1234

static struct {
    const uint8_t *data;
    size_t bytes;
} input;

static ftv_model model;
static ftv_line_config config;

static size_t read_input(void *context, uint8_t *bytes, size_t capacity) {
    (void)context;
    size_t count = input.bytes < capacity ? input.bytes : capacity;
    memcpy(bytes, input.data, count);
    input.data += count;
    input.bytes -= count;
    return count;
}

/* What a board writes is a whole line: a prediction, or a frame that its own decoder takes. */
static bool check_output(void *context, const uint8_t *bytes, size_t count) {
    (void)context;
    static uint8_t buffer[FTV_FRAME_BINARY_BYTES(FTV_LINE_PAYLOAD_BYTES)];
    ftv_decoder decoder;
    ftv_frame frame;
    uint32_t frames = 0;
    ftv_decoder_start(&decoder, buffer, sizeof buffer);
    for (size_t i = 0; i < count; i++) {
        frames += ftv_decoder_feed(&decoder, bytes[i], &frame) ? 1U : 0U;
    }
    if (count < 2 || bytes[count - 1] != '\n' || (frames != 1 && bytes[0] != '@')) {
        abort();
    }
    return true;
}

static uint32_t clock_us(void *context) {
    uint32_t *now = context;
    return *now += 100000U;
}

static ftv_line_error camera(void *context, bool on) {
    (void)context;
    return on ? FTV_LINE_OK : FTV_LINE_ERR_FAILED;
}

static ftv_line_error thumbnails(void *context, uint32_t every) {
    (void)context;
    return every > 3U ? FTV_LINE_ERR_PAYLOAD : FTV_LINE_OK;
}

static ftv_line_error bench(void *context, const ftv_line_bench *request, ftv_line_bench_result *result) {
    (void)context;
    for (uint32_t i = 0; i < request->name_bytes; i++) {
        result->crc32 += (uint8_t)request->name[i];
    }
    return FTV_LINE_OK;
}

static void *allocate(size_t bytes) {
    void *memory = NULL;
    if (posix_memalign(&memory, FTV_ALIGN, bytes) != 0) {
        abort();
    }
    return memory;
}

static void prepare(void) {
    static uint32_t now;
    static _Alignas(16) uint8_t image[16384];
    static const ftv_line_fact facts[] = {{"app", "fuzz \"\\\n"}};
    const char *path = getenv("FTV_TINY_IMAGE");
    FILE *file = path != NULL ? fopen(path, "rb") : NULL;
    size_t bytes = file != NULL ? fread(image, 1, sizeof image, file) : 0U;
    if (file == NULL || ftv_open(&model, image, bytes) != FTV_OK) {
        abort();
    }
    fclose(file);
    size_t arena = ftv_arena_bytes(&model, NULL), sites = FTV_LINE_SITES(model.depth);
    config = (ftv_line_config){.port = {.context = &now,
                                        .read = read_input,
                                        .write = check_output,
                                        .clock_us = clock_us,
                                        .camera = camera,
                                        .thumbnails = thumbnails,
                                        .bench = bench},
                               .facts = facts,
                               .facts_count = 1,
                               .session = SESSION,
                               .model = &model,
                               .pixels = allocate((size_t)3 * model.image_size * model.image_size),
                               .logits = allocate(sizeof(int32_t) * model.classes),
                               .arena = allocate(arena),
                               .arena_bytes = arena,
                               .sites = allocate(sites * sizeof(ftv_line_site)),
                               .sites_capacity = (uint32_t)sites};
    memset(config.pixels, 0, (size_t)3 * model.image_size * model.image_size);
}

static void feed(ftv_line *line, const uint8_t *data, size_t bytes) {
    input.data = data;
    input.bytes = bytes;
    ftv_line_poll_busy(line);
    ftv_line_poll(line);
}

/* Each request: type, low byte of the id, payload length, payload. */
static void feed_framed(ftv_line *line, const uint8_t *data, size_t bytes) {
    static uint8_t text[FTV_FRAME_TEXT_BYTES(255U)];
    while (bytes >= 3) {
        size_t length = data[2] < bytes - 3 ? data[2] : bytes - 3;
        uint8_t type = data[0] & 0x0F;
        ftv_frame frame = {data + 3, (uint16_t)length, data[1], SESSION, type == 1 ? 0 : 1, type};
        feed(line, text, ftv_frame_encode(text, sizeof text, &frame));
        data += 3 + length;
        bytes -= 3 + length;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    static ftv_line line;
    if (config.model == NULL) {
        prepare();
    }
    ftv_line_start(&line, &config);
    feed(&line, data, bytes);
    feed_framed(&line, data, bytes);
    ftv_line_predict(&line, &model, config.logits, (uint32_t)bytes, 0);
    return 0;
}
