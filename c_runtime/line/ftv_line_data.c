/* PUT and GET: data of any size in pieces, each of which may come twice or in any order. */
#include "ftv_line_service.h"
#include "ftv_line_text.h"

#define PUT_HEADER 8U
#define GET_HEADER 12U

uint32_t ftv_line_pixels_bytes(const ftv_line_config *config) {
    return config->model != NULL ? 3U * config->model->image_size * config->model->image_size : 0U;
}

void ftv_line_serve_put(ftv_line *line, const ftv_frame *request) {
    const ftv_line_config *config = line->config;
    uint32_t total = ftv_line_pixels_bytes(config);
    if (request->length < PUT_HEADER || ftv_get_u32(request->payload) != FTV_LINE_KIND_PIXELS) {
        ftv_line_refuse(line, request, FTV_LINE_ERR_PAYLOAD, 0);
        return;
    }
    if (config->model == NULL) {
        ftv_line_refuse(line, request, FTV_LINE_ERR_NO_MODEL, 0);
        return;
    }
    uint32_t offset = ftv_get_u32(request->payload + 4), count = request->length - PUT_HEADER;
    if (offset > total || count > total - offset) {
        ftv_line_refuse(line, request, FTV_LINE_ERR_RANGE, 0);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        config->pixels[offset + i] = request->payload[PUT_HEADER + i];
    }
    uint8_t *payload = ftv_line_payload(line);
    ftv_put_u32(payload, offset);
    ftv_put_u32(payload + 4, count);
    ftv_line_reply(line, request, 8);
}

/* A request for bytes `offset` .. of something. */
typedef struct window {
    uint8_t *out;
    uint32_t offset;
    uint32_t room; /* bytes, a multiple of 4 */
} window;

/* Each reader fills the window and returns the size of the whole. */

/* The pieces of one description show the same numbers. */
static void read_numbers(ftv_line *line) {
    const ftv_line_config *config = line->config;
    for (uint32_t i = 0; i < config->numbers_count && i < FTV_LINE_NUMBERS; i++) {
        line->numbers[i] = *config->numbers[i].value;
    }
}

static uint32_t read_info(ftv_line *line, window w) {
    ftv_text text = {.out = w.out, .capacity = w.room, .skip = w.offset};
    if (w.offset == 0U) {
        read_numbers(line);
    }
    ftv_line_describe(&text, line);
    return (uint32_t)text.total;
}

static uint32_t read_labels(const ftv_line *line, window w) {
    const ftv_model *model = line->config->model;
    for (uint32_t i = 0; i < w.room && w.offset + i < model->labels_bytes; i++) {
        w.out[i] = (uint8_t)model->labels[w.offset + i];
    }
    return model->labels_bytes;
}

static uint32_t read_logits(const ftv_line *line, window w) {
    const ftv_line_config *config = line->config;
    for (uint32_t i = 0; i + 4U <= w.room && (w.offset + i) / 4U < config->model->classes; i += 4U) {
        ftv_put_u32(w.out + i, (uint32_t)config->logits[(w.offset + i) / 4U]);
    }
    return 4U * config->model->classes;
}

static uint32_t read_sites(const ftv_line *line, window w) {
    const uint32_t words = 4;
    for (uint32_t i = 0; i + 4U <= w.room && (w.offset + i) / 4U < words * line->sites; i += 4U) {
        uint32_t index = (w.offset + i) / 4U;
        const ftv_line_site *record = &line->config->sites[index / words];
        const uint32_t word[4] = {record->site | (uint32_t)record->block << 16, record->values, record->crc32,
                                  record->microseconds};
        ftv_put_u32(w.out + i, word[index % words]);
    }
    return 4U * words * line->sites;
}

/* Why it cannot be read, or FTV_LINE_OK. */
static ftv_line_error check(const ftv_line *line, uint32_t kind, uint16_t run_id, uint32_t offset) {
    switch (kind) {
    case FTV_LINE_KIND_INFO:
        return FTV_LINE_OK;
    case FTV_LINE_KIND_LABELS:
        return line->config->model != NULL ? FTV_LINE_OK : FTV_LINE_ERR_NO_MODEL;
    case FTV_LINE_KIND_LOGITS:
    case FTV_LINE_KIND_SITES:
        if (offset % 4U != 0U) {
            return FTV_LINE_ERR_PAYLOAD;
        }
        return line->run_id != 0U && run_id == line->run_id ? FTV_LINE_OK : FTV_LINE_ERR_NO_RESULT;
    default:
        return FTV_LINE_ERR_PAYLOAD;
    }
}

static uint32_t read_kind(ftv_line *line, uint32_t kind, window w) {
    switch (kind) {
    case FTV_LINE_KIND_LABELS:
        return read_labels(line, w);
    case FTV_LINE_KIND_LOGITS:
        return read_logits(line, w);
    case FTV_LINE_KIND_SITES:
        return read_sites(line, w);
    default:
        return read_info(line, w);
    }
}

void ftv_line_serve_get(ftv_line *line, const ftv_frame *request) {
    if (request->length != 8U) {
        ftv_line_refuse(line, request, FTV_LINE_ERR_PAYLOAD, 0);
        return;
    }
    uint32_t kind = ftv_get_u16(request->payload);
    uint16_t run_id = ftv_get_u16(request->payload + 2);
    uint32_t offset = ftv_get_u32(request->payload + 4);
    ftv_line_error error = check(line, kind, run_id, offset);
    uint8_t *payload = ftv_line_payload(line);
    window w = {payload + GET_HEADER, offset, FTV_LINE_PAYLOAD_BYTES - GET_HEADER};
    uint32_t total = error == FTV_LINE_OK ? read_kind(line, kind, w) : 0U;
    if (error == FTV_LINE_OK && offset > total) {
        error = FTV_LINE_ERR_RANGE;
    }
    if (error != FTV_LINE_OK) {
        ftv_line_refuse(line, request, error, 0);
        return;
    }
    uint32_t count = total - offset < w.room ? total - offset : w.room;
    ftv_put_u16(payload, kind);
    ftv_put_u16(payload + 2, run_id);
    ftv_put_u32(payload + 4, offset);
    ftv_put_u32(payload + 8, total);
    ftv_line_reply(line, request, GET_HEADER + count);
}
