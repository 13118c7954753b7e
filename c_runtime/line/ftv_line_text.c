#include "ftv_line_text.h"

static const char hex_digits[] = "0123456789abcdef";

void ftv_text_char(ftv_text *text, char character) {
    if (text->total >= text->skip && text->total - text->skip < text->capacity) {
        text->out[text->total - text->skip] = (uint8_t)character;
    }
    text->total++;
}

void ftv_text_plain(ftv_text *text, const char *words) {
    while (*words != '\0') {
        ftv_text_char(text, *words++);
    }
}

void ftv_text_number(ftv_text *text, uint32_t value) {
    char decimals[10];
    uint32_t count = 0;
    do {
        decimals[count++] = (char)('0' + value % 10U);
        value /= 10U;
    } while (value > 0U);
    while (count > 0U) {
        ftv_text_char(text, decimals[--count]);
    }
}

void ftv_text_fraction(ftv_text *text, uint32_t value) {
    ftv_text_number(text, value / 10000U);
    ftv_text_char(text, '.');
    for (uint32_t unit = 1000U; unit > 0U; unit /= 10U) {
        ftv_text_char(text, (char)('0' + value / unit % 10U));
    }
}

void ftv_text_hex(ftv_text *text, const uint8_t *bytes, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        ftv_text_char(text, hex_digits[bytes[i] >> 4]);
        ftv_text_char(text, hex_digits[bytes[i] & 15U]);
    }
}

static void put_escape(ftv_text *text, uint8_t code) {
    ftv_text_plain(text, "\\u00");
    ftv_text_hex(text, &code, 1);
}

/* Bytes of the control character at `bytes`, U+0080 .. U+009F in UTF-8 among them, or of a `~`; 0: it is neither. */
static size_t escaped_bytes(const char *bytes, size_t count) {
    uint8_t first = (uint8_t)bytes[0];
    if (first < 0x20U || first == '~' || first == 0x7FU) {
        return 1;
    }
    return first == 0xC2U && count > 1U && ((uint8_t)bytes[1] & 0xE0U) == 0x80U ? 2U : 0U;
}

void ftv_text_string(ftv_text *text, const char *bytes, size_t count) {
    ftv_text_char(text, '"');
    for (size_t i = 0; i < count; i++) {
        size_t escaped = escaped_bytes(bytes + i, count - i);
        if (escaped > 0U) {
            i += escaped - 1U;
            put_escape(text, (uint8_t)bytes[i]); /* the second of two bytes is the character's number */
            continue;
        }
        if (bytes[i] == '"' || bytes[i] == '\\') {
            ftv_text_char(text, '\\');
        }
        ftv_text_char(text, bytes[i]);
    }
    ftv_text_char(text, '"');
}

void ftv_text_quoted(ftv_text *text, const char *words) {
    size_t count = 0;
    while (words[count] != '\0') {
        count++;
    }
    ftv_text_string(text, words, count);
}

void ftv_text_member(ftv_text *text, const char *name, uint32_t value) {
    ftv_text_plain(text, ",\"");
    ftv_text_plain(text, name);
    ftv_text_plain(text, "\":");
    ftv_text_number(text, value);
}

void ftv_text_changing(ftv_text *text, const char *name, uint32_t value) {
    ftv_text_plain(text, ",\"");
    ftv_text_plain(text, name);
    ftv_text_plain(text, "\":");
    size_t end = text->total + 10U;
    ftv_text_number(text, value);
    while (text->total < end) {
        ftv_text_char(text, ' ');
    }
}
