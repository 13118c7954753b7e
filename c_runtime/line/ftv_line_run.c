/* RUN: the model on the pixels that PUT brought, watched through the engine's trace hook. */
#include "ftv_crc32.h"
#include "ftv_line_service.h"

/* What the trace hook of one run knows. */
typedef struct watch {
    ftv_line *line;
    uint32_t flags;
    uint16_t id;
    uint32_t started_us;
    uint32_t site_us;    /* when the work towards the next site began */
    uint32_t working_us; /* when WORKING was last sent */
} watch;

void ftv_line_working(ftv_line *line, uint16_t id, ftv_line_progress progress) {
    uint8_t *payload = ftv_line_payload(line);
    ftv_put_u16(payload, progress.site);
    ftv_put_u16(payload + 2, progress.block);
    ftv_put_u32(payload + 4, line->config->model != NULL ? line->config->model->depth : 0U);
    ftv_put_u32(payload + 8, progress.microseconds);
    ftv_line_send(line, FTV_LINE_VERSION, FTV_LINE_WORKING, id, 12);
}

/* The record of a site, the same one where a site comes in several calls; NULL if there is no room. The last block's
 * sites are the last records. */
static ftv_line_site *record_of(ftv_line *line, ftv_site site, uint32_t block) {
    ftv_line_site *sites = line->config->sites;
    for (uint32_t i = line->sites; i-- > 0U;) {
        if (sites[i].site == (uint16_t)site && sites[i].block == (uint16_t)block) {
            return &sites[i];
        }
    }
    if (line->sites == line->config->sites_capacity) {
        return NULL;
    }
    ftv_line_site *record = &sites[line->sites++];
    *record = (ftv_line_site){.site = (uint16_t)site, .block = (uint16_t)block};
    return record;
}

static uint32_t digest_rows(uint32_t crc, const uint8_t *data, uint32_t rows, uint32_t columns,
                            uint32_t bytes_per_value, uint32_t stride_bytes) {
    for (uint32_t row = 0; row < rows; row++) {
        const uint8_t *start = data + (size_t)row * stride_bytes;
        crc = bytes_per_value == 1U ? ftv_crc32(crc, start, columns)
                                    : ftv_crc32_words(crc, (const int32_t *)(const void *)start, columns);
    }
    return crc;
}

static void at_site(void *context, ftv_site site, uint32_t block, const void *data, uint32_t rows, uint32_t columns,
                    uint32_t bytes_per_value, uint32_t stride_bytes) {
    watch *w = context;
    uint32_t now = ftv_line_now(w->line);
    ftv_line_site *record = w->flags != 0U ? record_of(w->line, site, block) : NULL;
    if (record != NULL) {
        record->values += rows * columns;
        record->microseconds += (w->flags & FTV_LINE_TIMES) != 0U ? now - w->site_us : 0U;
        if ((w->flags & FTV_LINE_DIGESTS) != 0U) {
            record->crc32 = digest_rows(record->crc32, data, rows, columns, bytes_per_value, stride_bytes);
        }
    }
    if (now - w->working_us >= FTV_LINE_WORKING_EVERY_US) {
        w->working_us = now;
        ftv_line_working(w->line, w->id, (ftv_line_progress){(uint32_t)site, block, now - w->started_us});
    }
    w->site_us = ftv_line_now(w->line); /* neither digests nor writing count as the model's time */
}

static void send_result(ftv_line *line, const ftv_frame *request) {
    const ftv_line_config *config = line->config;
    ftv_line_guess top[FTV_LINE_TOP];
    uint32_t count = ftv_line_top(top, FTV_LINE_TOP, config->logits, config->model->classes);
    uint8_t *payload = ftv_line_payload(line);
    ftv_put_u32(payload, line->run_us);
    ftv_put_u32(payload + 4, ftv_crc32_words(0, config->logits, config->model->classes));
    ftv_put_u32(payload + 8, config->model->classes);
    ftv_put_u16(payload + 12, line->sites);
    ftv_put_u16(payload + 14, count);
    for (uint32_t i = 0; i < count; i++) {
        ftv_put_u16(payload + 16 + 4U * i, top[i].index);
        ftv_put_u16(payload + 18 + 4U * i, top[i].probability);
    }
    ftv_line_reply(line, request, 16U + 4U * count);
}

/* Why the run cannot be, or FTV_LINE_OK. */
static ftv_line_error check(const ftv_line *line, const ftv_frame *request, uint32_t flags, uint32_t crc) {
    const ftv_line_config *config = line->config;
    if (config->model == NULL) {
        return FTV_LINE_ERR_NO_MODEL;
    }
    if (request->length != 8U || (flags & ~(FTV_LINE_DIGESTS | FTV_LINE_TIMES)) != 0U) {
        return FTV_LINE_ERR_PAYLOAD;
    }
    bool room = config->sites != NULL && config->sites_capacity >= FTV_LINE_SITES(config->model->depth);
    bool clock = config->port.clock_us != NULL;
    if ((flags != 0U && !room) || ((flags & FTV_LINE_TIMES) != 0U && !clock)) {
        return FTV_LINE_ERR_ABSENT;
    }
    return ftv_crc32(0, config->pixels, ftv_line_pixels_bytes(config)) == crc ? FTV_LINE_OK : FTV_LINE_ERR_CHECKSUM;
}

static ftv_status run(ftv_line *line, uint16_t id, uint32_t flags) {
    const ftv_line_config *config = line->config;
    uint32_t now = ftv_line_now(line);
    watch w = {.line = line, .flags = flags, .id = id, .started_us = now, .site_us = now, .working_us = now};
    ftv_options options = {.kernels = NULL};
    if (config->options != NULL) {
        options = *config->options;
    }
    options.trace = at_site;
    options.trace_context = &w;
    line->run_id = 0;
    line->sites = 0;
    if (config->port.running != NULL) {
        config->port.running(config->port.context, true);
    }
    ftv_status status =
        ftv_run(config->model, &options, config->pixels, config->logits, config->arena, config->arena_bytes);
    line->run_us = ftv_line_now(line) - now;
    if (config->port.running != NULL) {
        config->port.running(config->port.context, false);
    }
    return status;
}

bool ftv_line_must_run(ftv_line *line, const ftv_frame *request) {
    uint32_t flags = request->length == 8U ? ftv_get_u32(request->payload) : 0U;
    uint32_t crc = request->length == 8U ? ftv_get_u32(request->payload + 4) : 0U;
    if (request->id == line->run_id && flags == line->run_flags && crc == line->run_pixels_crc) {
        send_result(line, request); /* the same request again: its reply was lost */
        return false;
    }
    ftv_line_error error = check(line, request, flags, crc);
    if (error != FTV_LINE_OK) {
        ftv_line_refuse(line, request, error, 0);
    }
    return error == FTV_LINE_OK;
}

void ftv_line_serve_run(ftv_line *line, const ftv_frame *request) {
    if (!ftv_line_must_run(line, request)) {
        return;
    }
    uint32_t flags = ftv_get_u32(request->payload), crc = ftv_get_u32(request->payload + 4);
    ftv_status status = run(line, request->id, flags);
    if (status != FTV_OK) {
        ftv_line_refuse(line, request, FTV_LINE_ERR_ENGINE, (int32_t)status);
        return;
    }
    line->run_id = request->id;
    line->run_flags = flags;
    line->run_pixels_crc = crc;
    send_result(line, request);
}
