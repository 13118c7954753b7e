/* Requests in, replies out. */
#include "ftv_line_service.h"

#define SENTENCE_OFFSET 8U

_Static_assert(FTV_LINE_PAYLOAD_BYTES % 4U == 0U && FTV_LINE_PAYLOAD_BYTES >= 256U && FTV_LINE_PAYLOAD_BYTES <= 4096U,
               "FTV_LINE_PAYLOAD_BYTES: a multiple of 4 from 256 to 4096");

/* ---- replies ---- */

const char *ftv_line_error_text(ftv_line_error error) {
    switch (error) {
    case FTV_LINE_OK:
        return "success";
    case FTV_LINE_ERR_VERSION:
        return "the board speaks another version of the line protocol";
    case FTV_LINE_ERR_SESSION:
        return "the board was reset since the session began";
    case FTV_LINE_ERR_REQUEST:
        return "the board does not know this request";
    case FTV_LINE_ERR_PAYLOAD:
        return "the request has a wrong length or an impossible value";
    case FTV_LINE_ERR_RANGE:
        return "the request reaches beyond the end of the data";
    case FTV_LINE_ERR_CHECKSUM:
        return "the pixels on the board are not those of the request";
    case FTV_LINE_ERR_NO_MODEL:
        return "the board has no valid model";
    case FTV_LINE_ERR_ABSENT:
        return "not on this board";
    case FTV_LINE_ERR_ENGINE:
        return "the engine refused to run";
    case FTV_LINE_ERR_NO_RESULT:
        return "the board does not hold results of that run";
    case FTV_LINE_ERR_FAILED:
        return "a device of the board failed";
    default:
        return "unknown error";
    }
}

bool ftv_line_send(ftv_line *line, uint8_t version, uint8_t type, uint16_t id, uint32_t length) {
    const ftv_line_port *port = &line->config->port;
    ftv_frame frame = {.payload = ftv_line_payload(line),
                       .length = (uint16_t)length,
                       .id = id,
                       .session = line->config->session,
                       .version = version,
                       .type = type};
    size_t count = ftv_frame_encode(line->text, sizeof line->text, &frame);
    return count > 0U && port->write(port->context, line->text, count);
}

void ftv_line_reply(ftv_line *line, const ftv_frame *request, uint32_t length) {
    ftv_line_send(line, request->version, (uint8_t)(request->type | FTV_LINE_REPLY), request->id, length);
}

void ftv_line_refuse(ftv_line *line, const ftv_frame *request, ftv_line_error error, int32_t detail) {
    uint8_t *payload = ftv_line_payload(line);
    const char *text = ftv_line_error_text(error);
    uint16_t id = request->id;
    uint32_t length = SENTENCE_OFFSET;
    ftv_put_u16(payload, (uint32_t)error);
    payload[2] = request->type;
    payload[3] = 0;
    ftv_put_u32(payload + 4, (uint32_t)detail);
    while (*text != '\0') {
        payload[length++] = (uint8_t)*text++;
    }
    ftv_line_send(line, 0, FTV_LINE_ERROR, id, length);
}

uint32_t ftv_line_now(const ftv_line *line) {
    const ftv_line_port *port = &line->config->port;
    return port->clock_us != NULL ? port->clock_us(port->context) : 0U;
}

/* ---- requests ---- */

static uint32_t features(const ftv_line_config *config) {
    uint32_t bits = 1U << FTV_LINE_HELLO | 1U << FTV_LINE_GET;
    bits |= config->model != NULL ? 1U << FTV_LINE_PUT | 1U << FTV_LINE_RUN : 0U;
    bits |= config->port.camera != NULL ? 1U << FTV_LINE_CAMERA : 0U;
    bits |= config->port.thumbnails != NULL ? 1U << FTV_LINE_THUMBNAILS : 0U;
    bits |= config->port.bench != NULL ? 1U << FTV_LINE_BENCH : 0U;
    return bits;
}

static void serve_hello(ftv_line *line, const ftv_frame *request) {
    const ftv_line_config *config = line->config;
    if (request->length != 4U) {
        ftv_line_refuse(line, request, FTV_LINE_ERR_PAYLOAD, 0);
        return;
    }
    if (request->payload[0] > FTV_LINE_VERSION || request->payload[1] < FTV_LINE_VERSION) {
        ftv_line_refuse(line, request, FTV_LINE_ERR_VERSION, (int32_t)FTV_LINE_VERSION);
        return;
    }
    line->run_id = 0;
    uint8_t *payload = ftv_line_payload(line);
    payload[0] = FTV_LINE_VERSION;
    payload[1] = 0;
    ftv_put_u16(payload + 2, config->window > 0U ? config->window : 1U);
    ftv_put_u16(payload + 4, FTV_LINE_PAYLOAD_BYTES);
    ftv_put_u16(payload + 6, 0);
    ftv_put_u32(payload + 8, features(config));
    ftv_put_u32(payload + 12, ftv_line_pixels_bytes(config));
    ftv_line_reply(line, request, 16);
}

/* Replies with nothing, or with the error. */
static void conclude(ftv_line *line, const ftv_frame *request, ftv_line_error error) {
    if (error == FTV_LINE_OK) {
        ftv_line_reply(line, request, 0);
    } else {
        ftv_line_refuse(line, request, error, 0);
    }
}

static void serve_camera(ftv_line *line, const ftv_frame *request) {
    const ftv_line_port *port = &line->config->port;
    ftv_line_error error = FTV_LINE_ERR_ABSENT;
    if (request->length != 4U || request->payload[0] > 1U) {
        error = FTV_LINE_ERR_PAYLOAD;
    } else if (port->camera != NULL) {
        error = port->camera(port->context, request->payload[0] == 1U);
    }
    conclude(line, request, error);
}

static void serve_thumbnails(ftv_line *line, const ftv_frame *request) {
    const ftv_line_port *port = &line->config->port;
    ftv_line_error error = FTV_LINE_ERR_ABSENT;
    if (request->length != 4U) {
        error = FTV_LINE_ERR_PAYLOAD;
    } else if (port->thumbnails != NULL) {
        error = port->thumbnails(port->context, ftv_get_u32(request->payload));
    }
    conclude(line, request, error);
}

static void serve_bench(ftv_line *line, const ftv_frame *request) {
    const ftv_line_port *port = &line->config->port;
    ftv_line_bench_result result = {0, 0, 0};
    ftv_line_error error = FTV_LINE_ERR_ABSENT;
    if (request->length <= 12U || ftv_get_u32(request->payload + 8) == 0U) {
        error = FTV_LINE_ERR_PAYLOAD;
    } else if (port->bench != NULL) {
        ftv_line_bench bench = {.name = (const char *)request->payload + 12,
                                .name_bytes = request->length - 12U,
                                .tokens = ftv_get_u32(request->payload),
                                .inputs = ftv_get_u32(request->payload + 4),
                                .repetitions = ftv_get_u32(request->payload + 8)};
        error = port->bench(port->context, &bench, &result);
    }
    if (error != FTV_LINE_OK) {
        ftv_line_refuse(line, request, error, 0);
        return;
    }
    uint8_t *payload = ftv_line_payload(line);
    ftv_put_u32(payload, result.microseconds);
    ftv_put_u32(payload + 4, result.cycles);
    ftv_put_u32(payload + 8, result.crc32);
    ftv_line_reply(line, request, 12);
}

static void serve_current(ftv_line *line, const ftv_frame *request) {
    switch (request->type) {
    case FTV_LINE_PUT:
        ftv_line_serve_put(line, request);
        break;
    case FTV_LINE_GET:
        ftv_line_serve_get(line, request);
        break;
    case FTV_LINE_RUN:
        ftv_line_serve_run(line, request);
        break;
    case FTV_LINE_CAMERA:
        serve_camera(line, request);
        break;
    case FTV_LINE_THUMBNAILS:
        serve_thumbnails(line, request);
        break;
    case FTV_LINE_BENCH:
        serve_bench(line, request);
        break;
    default:
        ftv_line_refuse(line, request, FTV_LINE_ERR_REQUEST, 0);
        break;
    }
}

static void hold(ftv_line *line, const ftv_frame *request) {
    line->holds = true;
    line->held = *request;
    line->held_us = line->working_us = ftv_line_now(line);
}

/* True if it was a request. */
static bool serve(ftv_line *line, const ftv_frame *request, bool busy) {
    if (request->type >= FTV_LINE_REPLY || request->id == 0U) {
        return false; /* an echo of ours */
    }
    line->claims += request->type == FTV_LINE_CAMERA || request->type == FTV_LINE_THUMBNAILS ? 0U : 1U;
    if (request->type == FTV_LINE_HELLO && request->version == 0U) {
        serve_hello(line, request);
    } else if (request->version != FTV_LINE_VERSION) {
        ftv_line_refuse(line, request, FTV_LINE_ERR_VERSION, (int32_t)FTV_LINE_VERSION);
    } else if (request->session != line->config->session) {
        ftv_line_refuse(line, request, FTV_LINE_ERR_SESSION, 0);
    } else if (busy && request->type == FTV_LINE_BENCH) {
        hold(line, request);
    } else if (busy && request->type == FTV_LINE_RUN) {
        if (ftv_line_must_run(line, request)) {
            hold(line, request);
        }
    } else {
        serve_current(line, request);
    }
    return !line->holds;
}

/* ---- the caller's side ---- */

void ftv_line_start(ftv_line *line, const ftv_line_config *config) {
    line->config = config;
    line->run_id = 0;
    line->sites = 0;
    line->run_flags = 0;
    line->run_pixels_crc = 0;
    line->run_us = 0;
    line->claims = 0;
    line->holds = false;
    line->taken = line->waiting_count = 0;
    for (uint32_t i = 0; i < FTV_LINE_NUMBERS; i++) {
        line->numbers[i] = 0;
    }
    ftv_decoder_start(&line->decoder, line->received, sizeof line->received);
}

uint32_t ftv_line_claims(const ftv_line *line) {
    return line->claims;
}

/* True: *byte is the next one from the port. */
static bool next_byte(ftv_line *line, uint8_t *byte) {
    const ftv_line_port *port = &line->config->port;
    if (line->taken == line->waiting_count) {
        line->taken = 0;
        line->waiting_count = (uint8_t)port->read(port->context, line->waiting, sizeof line->waiting);
    }
    if (line->waiting_count == 0U) {
        return false;
    }
    *byte = line->waiting[line->taken++];
    return true;
}

/* Until nothing more has arrived, or a request is held. */
static uint32_t serve_all(ftv_line *line, bool busy) {
    uint32_t served = 0;
    uint8_t byte = 0;
    while (!line->holds && next_byte(line, &byte)) {
        ftv_frame request;
        if (ftv_decoder_feed(&line->decoder, byte, &request)) {
            served += serve(line, &request, busy) ? 1U : 0U;
        }
    }
    return served;
}

uint32_t ftv_line_poll(ftv_line *line) {
    uint32_t served = 0;
    if (line->holds) {
        line->holds = false;
        served += serve(line, &line->held, false) ? 1U : 0U;
    }
    return served + serve_all(line, false);
}

uint32_t ftv_line_poll_busy(ftv_line *line) {
    uint32_t served = serve_all(line, true);
    uint32_t now = ftv_line_now(line);
    if (line->holds && now - line->working_us >= FTV_LINE_WORKING_EVERY_US) {
        line->working_us = now;
        ftv_line_working(line, line->held.id, (ftv_line_progress){0, 0xFFFFU, now - line->held_us});
    }
    return served;
}

bool ftv_line_thumbnail(ftv_line *line, const ftv_line_picture *picture) {
    const uint32_t header = 16, room = FTV_LINE_PAYLOAD_BYTES - header;
    uint32_t pixel_bytes = picture->format == FTV_LINE_RGB565 ? 2U : 3U;
    uint32_t total = (uint32_t)picture->width * picture->height * pixel_bytes; /* < 2^32 for sides below 2^15 */
    if (picture->width >= 0x8000U || picture->height >= 0x8000U || total == 0U) {
        return false;
    }
    for (uint32_t offset = 0; offset < total; offset += room) {
        uint8_t *payload = ftv_line_payload(line);
        uint32_t count = total - offset < room ? total - offset : room;
        ftv_put_u32(payload, picture->frame);
        ftv_put_u16(payload + 4, picture->width);
        ftv_put_u16(payload + 6, picture->height);
        payload[8] = (uint8_t)picture->format;
        payload[9] = payload[10] = payload[11] = 0;
        ftv_put_u32(payload + 12, offset);
        for (uint32_t i = 0; i < count; i++) {
            payload[header + i] = picture->pixels[offset + i];
        }
        if (!ftv_line_send(line, FTV_LINE_VERSION, FTV_LINE_THUMBNAIL, 0, header + count)) {
            return false;
        }
    }
    return true;
}
