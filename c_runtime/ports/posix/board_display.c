/* The display as a PNG file: what it shows is written under another name first, so that no reader finds half of it. */
#include "board.h"
#include "ftv_crc32.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_MOST 65535U /* bytes of a stored block */

/* ---- PNG without compression ---- */

static uint8_t *put_u32(uint8_t *at, uint32_t value) {
    for (uint32_t shift = 32; shift > 0; shift -= 8) {
        *at++ = (uint8_t)(value >> (shift - 8U));
    }
    return at;
}

/* Ends the chunk that began at `start` with its length and name; returns the byte after it. */
static uint8_t *end_chunk(uint8_t *start, uint8_t *end) {
    put_u32(start, (uint32_t)(end - start) - 8U);
    return put_u32(end, ftv_crc32(0, start + 4, (size_t)(end - start) - 4U));
}

static uint8_t *begin_chunk(uint8_t *start, const char *name) {
    memcpy(start + 4, name, 4);
    return start + 8;
}

static uint8_t *put_header(uint8_t *start, uint32_t width, uint32_t height) {
    static const uint8_t rest[] = {8, 2, 0, 0, 0}; /* 8 bits, RGB */
    uint8_t *at = put_u32(put_u32(begin_chunk(start, "IHDR"), width), height);
    memcpy(at, rest, sizeof rest);
    return end_chunk(start, at + sizeof rest);
}

/* One byte of what is compressed, in stored blocks. */
typedef struct deflate {
    uint8_t *at;
    size_t left; /* bytes that are still to come, all blocks together */
    size_t room; /* in this block */
    uint32_t a, b;
} deflate;

static void put_byte(deflate *stream, uint8_t byte) {
    if (stream->room == 0U) {
        stream->room = stream->left < BLOCK_MOST ? stream->left : BLOCK_MOST;
        *stream->at++ = stream->room == stream->left ? 1 : 0;
        for (uint32_t i = 0; i < 4U; i++) { /* the length, then its complement */
            size_t word = i < 2U ? stream->room : ~stream->room;
            *stream->at++ = (uint8_t)(word >> (8U * (i % 2U)));
        }
    }
    *stream->at++ = byte;
    stream->left--;
    stream->room--;
    stream->a = (stream->a + byte) % 65521U;
    stream->b = (stream->b + stream->a) % 65521U;
}

static uint8_t *put_pixels(uint8_t *start, const posix_display *display) {
    size_t row_bytes = 3U * (size_t)display->width;
    uint8_t *at = begin_chunk(start, "IDAT");
    *at++ = 0x78;
    *at++ = 0x01;
    deflate stream = {.at = at, .left = (row_bytes + 1U) * display->height, .a = 1};
    for (size_t y = 0; y < display->height; y++) {
        put_byte(&stream, 0); /* no filter */
        for (size_t i = 0; i < row_bytes; i++) {
            put_byte(&stream, display->rgb[y * row_bytes + i]);
        }
    }
    return end_chunk(start, put_u32(stream.at, stream.b << 16 | stream.a));
}

static size_t encode(const posix_display *display) {
    static const uint8_t signature[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
    memcpy(display->png, signature, sizeof signature);
    uint8_t *at = put_header(display->png + sizeof signature, display->width, display->height);
    at = put_pixels(at, display);
    return (size_t)(end_chunk(at, begin_chunk(at, "IEND")) - display->png);
}

/* ---- files ---- */

static void write_file(const posix_display *display, const char *name, size_t bytes) {
    char path[4096], temporary[4096];
    int length = snprintf(path, sizeof path, "%s/%s", display->folder, name);
    int longer = snprintf(temporary, sizeof temporary, "%s/.%s.part", display->folder, name);
    if (length < 0 || longer < 0 || (size_t)longer >= sizeof temporary) {
        posix_die(display->folder, "the name is too long");
    }
    FILE *file = fopen(temporary, "wb");
    bool written = file != NULL && fwrite(display->png, 1, bytes, file) == bytes;
    if (file == NULL || fclose(file) != 0 || !written || rename(temporary, path) != 0) {
        posix_die(temporary, strerror(errno));
    }
}

void posix_display_open(posix_display *display) {
    size_t pixels = (size_t)display->width * display->height;
    display->rgb = posix_allocate(3U * pixels);
    display->png = posix_allocate(3U * pixels + display->height + pixels / 1000U + 256U);
}

bool posix_display_write(posix_display *display, uint16_t y, uint16_t rows, const uint16_t *pixels) {
    const uint8_t *bytes = (const uint8_t *)pixels;
    uint8_t *rgb = display->rgb + 3U * (size_t)y * display->width;
    for (size_t i = 0; i < (size_t)rows * display->width; i++) {
        uint32_t value = (uint32_t)bytes[2U * i] << 8 | bytes[2U * i + 1U];
        uint32_t red = value >> 11, green = value >> 5 & 63U, blue = value & 31U;
        rgb[3U * i] = (uint8_t)(red << 3 | red >> 2);
        rgb[3U * i + 1U] = (uint8_t)(green << 2 | green >> 4);
        rgb[3U * i + 2U] = (uint8_t)(blue << 3 | blue >> 2);
    }
    if (y + rows == display->height) {
        display->dirty = true;
        posix_display_save(display);
    }
    return true;
}

void posix_display_save(posix_display *display) {
    uint64_t now = posix_clock_us();
    if (!display->dirty || now - display->saved_us < display->every_us) {
        return;
    }
    size_t bytes = encode(display);
    display->dirty = false;
    display->saved_us = now;
    if (display->keep) {
        char name[32];
        snprintf(name, sizeof name, "display-%06u.png", (unsigned)++display->kept);
        write_file(display, name, bytes);
    }
    write_file(display, "display.png", bytes);
}
