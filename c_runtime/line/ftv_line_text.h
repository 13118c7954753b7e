/* JSON without stdio: text that is put together in pieces, of which a window is kept. */
#ifndef FTV_LINE_TEXT_H
#define FTV_LINE_TEXT_H

#include "ftv_line.h"

/* Keeps characters `skip` .. `skip + capacity - 1` of a text of any length. */
typedef struct ftv_text {
    uint8_t *out;
    size_t capacity;
    size_t skip;
    size_t total; /* characters so far, kept or not */
} ftv_text;

void ftv_text_char(ftv_text *text, char character);
void ftv_text_plain(ftv_text *text, const char *words);
void ftv_text_number(ftv_text *text, uint32_t value);
/* value / 10000 with four decimals. */
void ftv_text_fraction(ftv_text *text, uint32_t value);
void ftv_text_hex(ftv_text *text, const uint8_t *bytes, uint32_t count);
/* A JSON string of `count` bytes of UTF-8. Control characters are escaped, since terminals obey them, and `~`, since it
 * would begin a frame. */
void ftv_text_string(ftv_text *text, const char *bytes, size_t count);
/* The same of a terminated string. */
void ftv_text_quoted(ftv_text *text, const char *words);
/* `,"name":` and its number. */
void ftv_text_member(ftv_text *text, const char *name, uint32_t value);

/* The same of a number that changes: in ten columns, so that what follows stays where it is. */
void ftv_text_changing(ftv_text *text, const char *name, uint32_t value);

/* The board's description, a JSON object. */
void ftv_line_describe(ftv_text *text, const ftv_line *line);

#endif
