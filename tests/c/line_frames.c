/* The frames of c_runtime/line/ for tests, one subprocess for many streams.
 *
 * Usage: line_frames decode CAPACITY | line_frames encode
 * decode: stdin holds streams, each u32 bytes and the bytes. For each stdout gets u32 frames, u32 damaged, then the
 * frames as records. encode: stdin holds records; stdout gets the text of each, after its u32 length.
 * A record: u8 version, u8 type, u16 id, u16 length, u16 session, payload.
 * Decoder's buffer, payload and text lie in allocations of exactly their size: AddressSanitizer sees what goes beyond. */
#include "ftv_frame.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *allocate(size_t bytes) {
    void *memory = malloc(bytes);
    if (memory == NULL) {
        exit(1);
    }
    return memory;
}

static void need(bool condition, const char *what) {
    if (!condition) {
        fprintf(stderr, "%s\n", what);
        exit(1);
    }
}

static bool read_u32(uint32_t *value) {
    uint8_t bytes[4];
    if (fread(bytes, 1, 4, stdin) != 4) {
        return false;
    }
    *value = ftv_get_u32(bytes);
    return true;
}

static void write_u32(uint32_t value) {
    uint8_t bytes[4];
    ftv_put_u32(bytes, value);
    fwrite(bytes, 1, 4, stdout);
}

/* A growing buffer for the records of one stream. */
static uint8_t *records;
static size_t records_bytes;

static void keep(const ftv_frame *frame) {
    records = realloc(records, records_bytes + 8U + frame->length);
    need(records != NULL, "no memory");
    uint8_t *out = records + records_bytes;
    out[0] = frame->version;
    out[1] = frame->type;
    ftv_put_u16(out + 2, frame->id);
    ftv_put_u16(out + 4, frame->length);
    ftv_put_u16(out + 6, frame->session);
    memcpy(out + 8, frame->payload, frame->length);
    records_bytes += 8U + frame->length;
}

static void decode(size_t capacity) {
    uint32_t bytes;
    while (read_u32(&bytes)) {
        uint8_t *stream = allocate(bytes + 1U), *buffer = allocate(capacity);
        ftv_decoder decoder;
        ftv_frame frame;
        need(fread(stream, 1, bytes, stdin) == bytes, "stdin ends early");
        ftv_decoder_start(&decoder, buffer, capacity);
        records_bytes = 0;
        for (uint32_t i = 0; i < bytes; i++) {
            if (ftv_decoder_feed(&decoder, stream[i], &frame)) {
                keep(&frame);
            }
        }
        write_u32(decoder.frames);
        write_u32(decoder.damaged);
        fwrite(records, 1, records_bytes, stdout);
        free(stream);
        free(buffer);
    }
}

/* The same text must come of a payload elsewhere, and of one in the text's own room, wherever it lies there. */
static void encode_one(const uint8_t *header, const uint8_t *payload) {
    uint16_t length = ftv_get_u16(header + 4);
    size_t total = FTV_FRAME_TEXT_BYTES((size_t)length);
    uint8_t *text = allocate(total), *again = allocate(total);
    ftv_frame frame = {payload, length, ftv_get_u16(header + 2), ftv_get_u16(header + 6), header[0], header[1]};
    need(ftv_frame_encode(text, total - 1U, &frame) == 0, "encoded into too little room");
    need(ftv_frame_encode(text, total, &frame) == total, "wrong length");
    for (size_t at = 0; at + length <= total; at += 1U + total / 7U) {
        memcpy(again + at, payload, length);
        frame.payload = again + at;
        need(ftv_frame_encode(again, total, &frame) == total && memcmp(again, text, total) == 0, "in place differs");
    }
    write_u32((uint32_t)total);
    fwrite(text, 1, total, stdout);
    free(text);
    free(again);
}

static void encode(void) {
    uint8_t header[8];
    while (fread(header, 1, 8, stdin) == 8) {
        uint16_t length = ftv_get_u16(header + 4);
        uint8_t *payload = allocate(length + 1U);
        need(fread(payload, 1, length, stdin) == length, "stdin ends early");
        encode_one(header, payload);
        free(payload);
    }
}

int main(int argc, char **argv) {
    need(argc >= 2, "usage: line_frames decode CAPACITY | line_frames encode");
    if (strcmp(argv[1], "decode") == 0 && argc == 3) {
        decode((size_t)strtoul(argv[2], NULL, 10));
    } else {
        encode();
    }
    free(records);
    return 0;
}
