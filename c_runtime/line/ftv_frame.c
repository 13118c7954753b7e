#include "ftv_frame.h"
#include "ftv_crc32.h"

#define START '~'
#define STOP  '|'
#define DIGIT 85U

/* The alphabet of Z85 (ZeroMQ RFC 32): digits, letters, and punctuation without quotes, backslash, `~` and `|`. */
static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

/* Value of the characters 0x21 .. 0x7D; 0xFF: not in the alphabet. */
static const uint8_t values[] = {68, 255, 84,  83, 82, 72,  255, 75,  76, 70, 65, 255, 63, 62, 69, 0,   1,  2,  3,
                                 4,  5,   6,   7,  8,  9,   64,  255, 73, 66, 74, 71,  81, 36, 37, 38,  39, 40, 41,
                                 42, 43,  44,  45, 46, 47,  48,  49,  50, 51, 52, 53,  54, 55, 56, 57,  58, 59, 60,
                                 61, 77,  255, 78, 67, 255, 255, 10,  11, 12, 13, 14,  15, 16, 17, 18,  19, 20, 21,
                                 22, 23,  24,  25, 26, 27,  28,  29,  30, 31, 32, 33,  34, 35, 79, 255, 80};

static uint32_t value_of(uint8_t character) {
    return character >= 0x21U && character <= 0x7DU ? values[character - 0x21U] : 0xFFU;
}

/* ---- encoding ---- */

static void encode_group(uint8_t *text, const uint8_t *bytes) {
    uint32_t group = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
    for (uint32_t i = 5; i-- > 0U;) {
        text[i] = (uint8_t)digits[group % DIGIT];
        group /= DIGIT;
    }
}

/* The binary form: header, payload, padding, CRC. The payload may overlap. */
static void lay_out(uint8_t *binary, size_t bytes, const ftv_frame *frame) {
    size_t end = bytes - FTV_FRAME_CRC_BYTES;
    uint8_t *payload = binary + FTV_FRAME_HEADER_BYTES;
    if ((uintptr_t)frame->payload < (uintptr_t)payload) { /* moves upwards: from the end */
        for (size_t i = frame->length; i-- > 0U;) {
            payload[i] = frame->payload[i];
        }
    } else {
        for (size_t i = 0; i < frame->length; i++) {
            payload[i] = frame->payload[i];
        }
    }
    binary[0] = frame->version;
    binary[1] = frame->type;
    ftv_put_u16(binary + 2, frame->id);
    ftv_put_u16(binary + 4, frame->length);
    ftv_put_u16(binary + 6, frame->session);
    for (size_t i = FTV_FRAME_HEADER_BYTES + frame->length; i < end; i++) {
        binary[i] = 0;
    }
    ftv_put_u32(binary + end, ftv_crc32(0, binary, end));
}

size_t ftv_frame_encode(uint8_t *text, size_t capacity, const ftv_frame *frame) {
    size_t bytes = FTV_FRAME_BINARY_BYTES(frame->length), total = FTV_FRAME_TEXT_BYTES(frame->length);
    if (capacity < total) {
        return 0;
    }
    /* The binary form lies at the end of the text's room. Five characters for four bytes never overtake it: before
     * group i of n the text ends at 1 + 5 i, and the group lies at 4 + n + 4 i >= 1 + 5 i + 4. */
    uint8_t *binary = text + total - bytes, *out = text;
    lay_out(binary, bytes, frame);
    *out++ = START;
    for (size_t i = 0; i < bytes; i += 4U, out += 5) {
        uint8_t group[4] = {binary[i], binary[i + 1U], binary[i + 2U], binary[i + 3U]};
        encode_group(out, group);
    }
    *out++ = STOP;
    *out++ = '\r';
    *out++ = '\n';
    return total;
}

/* ---- decoding ---- */

void ftv_decoder_start(ftv_decoder *decoder, uint8_t *buffer, size_t capacity) {
    *decoder = (ftv_decoder){.buffer = buffer, .capacity = capacity};
}

static void begin(ftv_decoder *decoder) {
    decoder->inside = true;
    decoder->filled = 0;
    decoder->digits = 0;
    decoder->group = 0;
}

/* False: the stream holds no frame here. */
static bool take_digit(ftv_decoder *decoder, uint32_t value) {
    uint64_t group = (uint64_t)decoder->group * DIGIT + value;
    if (value >= DIGIT || group > 0xFFFFFFFFU) {
        return false;
    }
    decoder->group = (uint32_t)group;
    if (++decoder->digits < 5U) {
        return true;
    }
    if (decoder->capacity - decoder->filled < 4U) {
        return false;
    }
    for (uint32_t i = 0; i < 4U; i++) {
        decoder->buffer[decoder->filled++] = (uint8_t)(decoder->group >> (24U - 8U * i));
    }
    decoder->digits = 0;
    decoder->group = 0;
    return true;
}

static bool is_padded(const uint8_t *padding, const uint8_t *end) {
    while (padding < end) {
        if (*padding++ != 0U) {
            return false;
        }
    }
    return true;
}

static bool read_frame(const ftv_decoder *decoder, ftv_frame *frame) {
    const uint8_t *binary = decoder->buffer;
    if (decoder->digits != 0U || decoder->filled < FTV_FRAME_HEADER_BYTES + FTV_FRAME_CRC_BYTES) {
        return false;
    }
    const uint8_t *end = binary + decoder->filled - FTV_FRAME_CRC_BYTES;
    uint16_t length = ftv_get_u16(binary + 4);
    if (decoder->filled != FTV_FRAME_BINARY_BYTES((size_t)length) ||
        ftv_get_u32(end) != ftv_crc32(0, binary, (size_t)(end - binary)) ||
        !is_padded(binary + FTV_FRAME_HEADER_BYTES + length, end)) {
        return false;
    }
    *frame = (ftv_frame){.payload = binary + FTV_FRAME_HEADER_BYTES,
                         .length = length,
                         .id = ftv_get_u16(binary + 2),
                         .session = ftv_get_u16(binary + 6),
                         .version = binary[0],
                         .type = binary[1]};
    return true;
}

bool ftv_decoder_feed(ftv_decoder *decoder, uint8_t byte, ftv_frame *frame) {
    if (byte == START) { /* always a start, even within a frame: it was cut short */
        begin(decoder);
        return false;
    }
    if (!decoder->inside) {
        return false;
    }
    if (byte != STOP) {
        decoder->inside = take_digit(decoder, value_of(byte));
        return false;
    }
    decoder->inside = false;
    if (read_frame(decoder, frame)) {
        decoder->frames++;
        return true;
    }
    decoder->damaged += decoder->filled >= FTV_FRAME_HEADER_BYTES + FTV_FRAME_CRC_BYTES ? 1U : 0U;
    return false;
}
