/* Frames of LINE_PROTOCOL.md: packets of bytes as printable text among other text. */
#ifndef FTV_FRAME_H
#define FTV_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FTV_FRAME_HEADER_BYTES 8U
#define FTV_FRAME_CRC_BYTES    4U

/* Bytes of a frame's binary form, and characters of its text (start, stop and line end included), for a payload of
 * at most `payload` bytes. Constants, so that buffers can be static. */
#define FTV_FRAME_BINARY_BYTES(payload) (FTV_FRAME_HEADER_BYTES + ((payload) + 3U) / 4U * 4U + FTV_FRAME_CRC_BYTES)
#define FTV_FRAME_TEXT_BYTES(payload)   (FTV_FRAME_BINARY_BYTES(payload) / 4U * 5U + 4U)

/* One frame. payload: `length` bytes. */
typedef struct ftv_frame {
    const uint8_t *payload;
    uint16_t length;
    uint16_t id;
    uint16_t session;
    uint8_t version;
    uint8_t type;
} ftv_frame;

/* Writes the frame's text, at most FTV_FRAME_TEXT_BYTES(length) characters, to `text`; returns how many, or 0 if
 * `capacity` is less. The payload may lie anywhere in `text`, but not across its end. */
size_t ftv_frame_encode(uint8_t *text, size_t capacity, const ftv_frame *frame);

/* Finds frames in a stream, a byte at a time. Text between frames, and whatever is damaged, it passes over. */
typedef struct ftv_decoder {
    uint8_t *buffer;  /* the caller's: FTV_FRAME_BINARY_BYTES(largest payload) bytes */
    size_t capacity;  /* of the buffer, bytes */
    size_t filled;    /* bytes in the buffer */
    uint32_t group;   /* value of the characters since the last whole group of five */
    uint8_t digits;   /* number of those characters */
    bool inside;      /* after a start character */
    uint32_t frames;  /* whole frames so far */
    uint32_t damaged; /* stopped like a frame, but is none */
} ftv_decoder;

void ftv_decoder_start(ftv_decoder *decoder, uint8_t *buffer, size_t capacity);

/* Takes one byte of the stream. True: it completed a frame, now in *frame, whose payload lies in the buffer and stays
 * until the next call. */
bool ftv_decoder_feed(ftv_decoder *decoder, uint8_t byte, ftv_frame *frame);

/* ---- little-endian numbers, wherever they lie ---- */

static inline uint16_t ftv_get_u16(const uint8_t *p) {
    return (uint16_t)(p[0] | (uint32_t)p[1] << 8);
}

static inline uint32_t ftv_get_u32(const uint8_t *p) {
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline void ftv_put_u16(uint8_t *p, uint32_t value) {
    p[0] = (uint8_t)value;
    p[1] = (uint8_t)(value >> 8);
}

static inline void ftv_put_u32(uint8_t *p, uint32_t value) {
    ftv_put_u16(p, value);
    ftv_put_u16(p + 2, value >> 16);
}

#endif
