/* Any text in the letters that the display has. */
#include "ftv_canvas.h"

#define FIRST_ACCENTED 0xC0U
#define LAST_ACCENTED  0x17FU

/* The letters of U+00C0 .. U+017F without their accents. */
static const char bases[] = "AAAAAAACEEEEIIIIDNOOOOOxOUUUUYTsaaaaaaaceeeeiiiidnooooo/ouuuuyty"
                            "AaAaAaCcCcCcCcDdDdEeEeEeEeEeGgGgGgGgHhHhIiIiIiIiIiIiJjKkkLlLlLlL"
                            "lLlNnNnNnnNnOoOoOoOoRrRrRrSsSsSsSsTtTtTtUuUuUuUuUuUuWwYyYZzZzZzs";

_Static_assert(sizeof bases == LAST_ACCENTED - FIRST_ACCENTED + 2U, "one letter for each");

uint32_t ftv_length(const char *text) {
    uint32_t count = 0;
    while (text[count] != '\0') {
        count++;
    }
    return count;
}

/* One character of UTF-8, as code point; *used: its bytes. Damaged: 0xFFFD, one byte. */
static uint32_t code_point(const char *utf8, uint32_t bytes, uint32_t *used) {
    uint32_t lead = (uint8_t)utf8[0];
    uint32_t length = lead < 0x80U ? 1U : lead < 0xC0U ? 0U : lead < 0xE0U ? 2U : lead < 0xF0U ? 3U : 4U;
    uint32_t value = length < 2U ? lead : lead & (0xFFU >> (length + 1U));
    *used = 1;
    if (length == 0U || length > bytes) {
        return 0xFFFDU;
    }
    for (uint32_t i = 1; i < length; i++) {
        uint32_t next = (uint8_t)utf8[i];
        if ((next & 0xC0U) != 0x80U) {
            return 0xFFFDU;
        }
        value = value << 6 | (next & 0x3FU);
    }
    *used = length;
    return value;
}

static char letter(uint32_t point) {
    if (point >= FIRST_ACCENTED && point <= LAST_ACCENTED) {
        return bases[point - FIRST_ACCENTED];
    }
    switch (point) {
    case 0x00A0:
        return ' ';
    case 0x2010:
    case 0x2011:
    case 0x2012:
    case 0x2013:
    case 0x2014:
        return '-';
    case 0x2018:
    case 0x2019:
        return '\'';
    case 0x201C:
    case 0x201D:
        return '"';
    default:
        return point >= 32U && point <= 126U ? (char)point : '?';
    }
}

void ftv_plain_letters(char *out, uint32_t capacity, const char *utf8, uint32_t bytes) {
    uint32_t count = 0, used = 0;
    for (uint32_t at = 0; at < bytes && count + 1U < capacity; at += used) {
        out[count++] = letter(code_point(utf8 + at, bytes - at, &used));
    }
    out[count] = '\0';
}
