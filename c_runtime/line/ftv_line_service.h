/* Shared by the files of the line: numbers of the protocol, and how a reply is made. */
#ifndef FTV_LINE_SERVICE_H
#define FTV_LINE_SERVICE_H

#include "ftv_line.h"

/* Types of frames, section 4 of LINE_PROTOCOL.md. A reply has the type of its request and bit 7. */
enum {
    FTV_LINE_HELLO = 0x01,
    FTV_LINE_PUT = 0x02,
    FTV_LINE_GET = 0x03,
    FTV_LINE_RUN = 0x04,
    FTV_LINE_CAMERA = 0x05,
    FTV_LINE_THUMBNAILS = 0x06,
    FTV_LINE_BENCH = 0x07,
    FTV_LINE_REPLY = 0x80,
    FTV_LINE_WORKING = 0xC0,
    FTV_LINE_THUMBNAIL = 0xC1,
    FTV_LINE_ERROR = 0xFF
};

/* What GET reads and PUT writes. */
enum {
    FTV_LINE_KIND_PIXELS = 1,
    FTV_LINE_KIND_INFO = 2,
    FTV_LINE_KIND_LABELS = 3,
    FTV_LINE_KIND_LOGITS = 4,
    FTV_LINE_KIND_SITES = 5
};

#define FTV_LINE_DIGESTS 1U /* flags of RUN */
#define FTV_LINE_TIMES   2U

#define FTV_LINE_WORKING_EVERY_US 250000U

/* Where the payload of the next frame is put together: FTV_LINE_PAYLOAD_BYTES. */
static inline uint8_t *ftv_line_payload(ftv_line *line) {
    return line->text;
}

/* Writes a frame whose payload is `length` bytes at ftv_line_payload(). False: the line is gone. */
bool ftv_line_send(ftv_line *line, uint8_t version, uint8_t type, uint16_t id, uint32_t length);

/* Answers a request with `length` bytes at ftv_line_payload(). */
void ftv_line_reply(ftv_line *line, const ftv_frame *request, uint32_t length);

/* Answers a request with an error. detail: a number that belongs to it, or 0. */
void ftv_line_refuse(ftv_line *line, const ftv_frame *request, ftv_line_error error, int32_t detail);

/* The clock, or 0 where there is none. */
uint32_t ftv_line_now(const ftv_line *line);

/* Bytes of the model's pixels; 0: no model. */
uint32_t ftv_line_pixels_bytes(const ftv_line_config *config);

void ftv_line_serve_put(ftv_line *line, const ftv_frame *request);
void ftv_line_serve_get(ftv_line *line, const ftv_frame *request);
void ftv_line_serve_run(ftv_line *line, const ftv_frame *request);

/* False: the RUN needs no engine and has been answered, because it came before or because it cannot be. */
bool ftv_line_must_run(ftv_line *line, const ftv_frame *request);

/* How far the work for a request is. */
typedef struct ftv_line_progress {
    uint32_t site; /* ftv_site; 0: it has not begun */
    uint32_t block;
    uint32_t microseconds; /* so far */
} ftv_line_progress;

/* Sends WORKING for the request `id`. */
void ftv_line_working(ftv_line *line, uint16_t id, ftv_line_progress progress);

#endif
