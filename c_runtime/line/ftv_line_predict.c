/* Predictions: the most probable classes, and the JSON line that says so. */
#include "ftv_crc32.h"
#include "ftv_line_service.h"
#include "ftv_line_text.h"

#define PREFIX      "@ftv "
#define LABEL_BYTES 48U /* of a label in a line; longer ones are cut */
#define END_BYTES   22U /* of a line: a comma before the guess, and what follows the last one */

/* round(2^24 * 2^(-i/32)) */
static const uint32_t powers[33] = {16777216U, 16417715U, 16065917U, 15721658U, 15384775U, 15055111U, 14732511U,
                                    14416824U, 14107901U, 13805598U, 13509772U, 13220286U, 12937002U, 12659789U,
                                    12388516U, 12123055U, 11863283U, 11609078U, 11360319U, 11116891U, 10878679U,
                                    10645571U, 10417458U, 10194234U, 9975792U,  9762032U,  9552851U,  9348154U,
                                    9147842U,  8951823U,  8760003U,  8572295U,  8388608U};

/* e^(-x / 2^16) in units of 2^-24, within 10^-4 of it. */
static uint32_t exp_minus(uint32_t x) {
    uint64_t halvings = (uint64_t)x * 94548U; /* log2(e) * 2^16: in units of 2^-32 */
    uint32_t whole = (uint32_t)(halvings >> 32);
    if (whole >= 25U) {
        return 0;
    }
    uint32_t part = (uint32_t)(halvings >> 16) & 0xFFFFU;
    uint32_t index = part >> 11, rest = part & 0x7FFU;
    uint32_t value = powers[index] - (((powers[index] - powers[index + 1U]) * rest) >> 11);
    return value >> whole;
}

static void insert(ftv_line_guess *top, uint32_t place, uint32_t last, uint32_t index) {
    for (uint32_t i = last; i > place; i--) {
        top[i] = top[i - 1U];
    }
    top[place].index = (uint16_t)index;
}

static uint32_t choose(ftv_line_guess *top, uint32_t count, const int32_t *logits, uint32_t classes) {
    uint32_t chosen = 0;
    for (uint32_t index = 0; index < classes; index++) {
        uint32_t place = chosen;
        while (place > 0U && logits[top[place - 1U].index] < logits[index]) {
            place--;
        }
        if (place < count) {
            chosen += chosen < count ? 1U : 0U;
            insert(top, place, chosen - 1U, index);
        }
    }
    return chosen;
}

uint32_t ftv_line_top(ftv_line_guess *top, uint32_t count, const int32_t *logits, uint32_t classes) {
    uint32_t chosen = choose(top, count, logits, classes);
    if (chosen == 0U) {
        return 0;
    }
    int32_t largest = logits[top[0].index];
    uint64_t sum = 0;
    for (uint32_t i = 0; i < classes; i++) {
        sum += exp_minus((uint32_t)largest - (uint32_t)logits[i]);
    }
    uint32_t shift = 0; /* so that the division has 32 bits: sum >> shift < 2^18 */
    while (sum >> shift >= 1U << 18) {
        shift++;
    }
    uint32_t divisor = (uint32_t)(sum >> shift);
    for (uint32_t i = 0; i < chosen; i++) {
        uint32_t power = exp_minus((uint32_t)largest - (uint32_t)logits[top[i].index]) >> shift;
        top[i].probability = (uint16_t)((power * 10000U + divisor / 2U) / divisor);
    }
    return chosen;
}

/* Bytes of a label that a line shows: cut between characters. */
static uint32_t shown(const char *label, uint32_t bytes) {
    if (bytes <= LABEL_BYTES) {
        return bytes;
    }
    bytes = LABEL_BYTES;
    while (bytes > 0U && ((uint8_t)label[bytes] & 0xC0U) == 0x80U) {
        bytes--;
    }
    return bytes;
}

static void write_guess(ftv_text *text, const ftv_model *model, ftv_line_guess guess) {
    uint32_t bytes = 0;
    const char *label = ftv_label(model, guess.index, &bytes);
    ftv_text_plain(text, "{\"index\":");
    ftv_text_number(text, guess.index);
    ftv_text_plain(text, ",\"label\":");
    ftv_text_string(text, label, label != NULL ? shown(label, bytes) : 0U);
    ftv_text_plain(text, ",\"probability\":");
    ftv_text_fraction(text, guess.probability);
    ftv_text_char(text, '}');
}

/* Characters of a guess: they depend on what its label escapes. */
static size_t guess_bytes(const ftv_model *model, ftv_line_guess guess) {
    ftv_text measured = {.out = NULL, .capacity = 0};
    write_guess(&measured, model, guess);
    return measured.total;
}

bool ftv_line_predict(ftv_line *line, const ftv_model *model, const int32_t *logits, uint32_t frame,
                      uint32_t microseconds) {
    const ftv_line_port *port = &line->config->port;
    ftv_text text = {.out = line->text, .capacity = sizeof line->text};
    ftv_line_guess top[FTV_LINE_TOP];
    uint32_t count = ftv_line_top(top, FTV_LINE_TOP, logits, model->classes);
    ftv_text_plain(&text, PREFIX "{\"event\":\"prediction\"");
    ftv_text_member(&text, "frame", frame);
    ftv_text_member(&text, "microseconds", microseconds);
    ftv_text_plain(&text, ",\"top\":[");
    /* With the smallest payload, 256 bytes, or labels of escapes, fewer classes fit. */
    for (uint32_t i = 0; i < count && text.total + guess_bytes(model, top[i]) + END_BYTES <= text.capacity; i++) {
        if (i > 0U) {
            ftv_text_char(&text, ',');
        }
        write_guess(&text, model, top[i]);
    }
    ftv_text_char(&text, ']');
    uint32_t crc = ftv_crc32(0, line->text + sizeof PREFIX - 1U, text.total - (sizeof PREFIX - 1U));
    const uint8_t big_endian[4] = {(uint8_t)(crc >> 24), (uint8_t)(crc >> 16), (uint8_t)(crc >> 8), (uint8_t)crc};
    ftv_text_plain(&text, ",\"crc\":\"");
    ftv_text_hex(&text, big_endian, 4);
    ftv_text_plain(&text, "\"}\r\n");
    return text.total <= text.capacity && port->write(port->context, line->text, text.total);
}
