/* Life of a board: boot, then rounds of requests and camera frames. */
#include "ftv_app_parts.h"

#define CLAIM_US 1500000U /* a host that asked for something has the board for itself so long */
#define IDLE_MS  10U

/* ---- words ---- */

ftv_text ftv_words(char *buffer, size_t bytes) {
    return (ftv_text){.out = (uint8_t *)buffer, .capacity = bytes - 1U};
}

void ftv_end_words(ftv_text *text) {
    text->out[text->total < text->capacity ? text->total : text->capacity] = '\0';
}

void ftv_say(const ftv_app *app, ftv_log_level level, const char *text) {
    const ftv_app_port *port = &app->config->port;
    if (port->log != NULL) {
        port->log(port->context, level, text);
    }
}

uint32_t ftv_app_now(const ftv_app *app) {
    const ftv_app_port *port = &app->config->port;
    return port->clock_us != NULL ? port->clock_us(port->context) : 0U;
}

/* ---- boot ---- */

static void set_trigger(void *context, bool high) {
    const ftv_app_port *port = &((ftv_app *)context)->config->port;
    if (port->trigger != NULL) {
        port->trigger(port->context, high);
    }
}

static size_t read_line(void *context, uint8_t *bytes, size_t capacity) {
    const ftv_app_port *port = &((ftv_app *)context)->config->port;
    return port->read(port->context, bytes, capacity);
}

static bool write_line(void *context, const uint8_t *bytes, size_t count) {
    const ftv_app_port *port = &((ftv_app *)context)->config->port;
    return port->write(port->context, bytes, count);
}

static uint32_t clock_us(void *context) {
    return ftv_app_now(context);
}

static void prepare_display(ftv_app *app) {
    const ftv_app_config *config = app->config;
    bool there = config->display_width > 0U && config->display_height > 0U && config->port.display_write != NULL;
    app->display = (ftv_app_display){.works = there};
    if (there && (config->strip == NULL || config->strip_pixels < config->display_width)) {
        app->display.works = false;
        ftv_say(app, FTV_LOG_ERROR, "display: the application has no memory to draw in");
    }
}

static void light_display(const ftv_app *app) {
    const ftv_app_port *port = &app->config->port;
    if (app->display.works && port->display_light != NULL) {
        port->display_light(port->context, true);
    }
}

/* "name, version 1.0, on board X" */
static void announce(const ftv_app *app) {
    char line[FTV_APP_SENTENCE_BYTES];
    ftv_text text = ftv_words(line, sizeof line);
    for (uint32_t i = 0; i < app->config->facts_count; i++) {
        ftv_text_plain(&text, i > 0U ? ", " : "");
        ftv_text_plain(&text, app->config->facts[i].name);
        ftv_text_char(&text, ' ');
        ftv_text_plain(&text, app->config->facts[i].text);
    }
    ftv_end_words(&text);
    ftv_say(app, FTV_LOG_INFO, line);
}

/* "model: t2, 64 x 64 pixels, 10 classes; kernels portable, workers 2; self-test passed" */
static void announce_model(const ftv_app *app) {
    char line[FTV_APP_SENTENCE_BYTES];
    const ftv_model *model = &app->model;
    ftv_text text = ftv_words(line, sizeof line);
    ftv_text_plain(&text, "model: t");
    ftv_text_number(&text, (uint32_t)model->encoding);
    ftv_text_plain(&text, ", ");
    ftv_text_number(&text, model->image_size);
    ftv_text_plain(&text, " x ");
    ftv_text_number(&text, model->image_size);
    ftv_text_plain(&text, " pixels, ");
    ftv_text_number(&text, model->classes);
    ftv_text_plain(&text, " classes; kernels ");
    ftv_text_plain(&text, app->options.kernels->name);
    ftv_text_plain(&text, ", workers ");
    ftv_text_number(&text, app->options.parallel != NULL ? app->options.parallel->workers : 1U);
    ftv_text_plain(&text, "; self-test ");
    ftv_text_plain(&text, app->self_test);
    ftv_end_words(&text);
    ftv_say(app, FTV_LOG_INFO, line);
}

/* Opens the model and tests the kernels; what is wrong is said. */
static bool prepare_engine(ftv_app *app) {
    bool good = ftv_app_open_model(app);
    bool passed = !good || ftv_app_test_kernels(app);
    if (!passed) {
        good = ftv_app_has_memory_for_ref(app);
    }
    if (!good) {
        ftv_say(app, FTV_LOG_ERROR, app->model_error);
        ftv_show_error(app, "No model", app->model_error);
        return false;
    }
    announce_model(app);
    if (!passed) {
        ftv_show_error(app, "Self-test", app->self_test);
    }
    return true;
}

static void describe(ftv_app *app) {
    const ftv_app_config *config = app->config;
    uint32_t count = 0;
    for (; count < config->facts_count && count + 1U < FTV_APP_FACTS; count++) {
        app->facts[count] = config->facts[count];
    }
    if (app->self_test[0] != '\0') {
        app->facts[count++] = (ftv_line_fact){"self_test", app->self_test};
    }
    app->line_config.facts = app->facts;
    app->line_config.facts_count = count;
    if (ftv_app_has_camera(config)) {
        const ftv_app_camera *camera = &app->camera;
        const ftv_line_number numbers[FTV_APP_NUMBERS] = {{"frames", &camera->frames},
                                                          {"camera_timeouts", &camera->timeouts},
                                                          {"camera_overflows", &camera->overflows},
                                                          {"camera_failures", &camera->failures},
                                                          {"camera_restarts", &camera->restarts}};
        for (uint32_t i = 0; i < FTV_APP_NUMBERS; i++) {
            app->numbers[i] = numbers[i];
        }
        app->line_config.numbers = app->numbers;
        app->line_config.numbers_count = FTV_APP_NUMBERS;
    }
}

static void open_line(ftv_app *app, bool has_model) {
    const ftv_app_config *config = app->config;
    bool camera = ftv_app_has_camera(config);
    app->line_config = (ftv_line_config){.port = {.context = app,
                                                  .read = read_line,
                                                  .write = write_line,
                                                  .clock_us = config->port.clock_us != NULL ? clock_us : NULL,
                                                  .camera = camera ? ftv_app_switch_camera : NULL,
                                                  .thumbnails = camera ? ftv_app_choose_thumbnails : NULL,
                                                  .bench = config->scratch != NULL ? ftv_app_bench : NULL,
                                                  .running = set_trigger},
                                         .session = config->session,
                                         .window = config->window,
                                         .model = has_model ? &app->model : NULL,
                                         .options = &app->options,
                                         .pixels = config->line_pixels,
                                         .logits = config->line_logits,
                                         .arena = config->arena,
                                         .arena_bytes = config->arena_bytes,
                                         .sites = config->sites,
                                         .sites_capacity = config->sites_capacity,
                                         .model_error = has_model ? NULL : app->model_error};
    describe(app);
    ftv_line_start(&app->line, &app->line_config);
}

void ftv_app_start(ftv_app *app, const ftv_app_config *config) {
    app->config = config;
    app->options = config->options;
    if (app->options.kernels == NULL) {
        app->options.kernels = &ftv_kernels_portable;
    }
    app->camera = (ftv_app_camera){.on = false};
    app->claims = 0;
    app->claimed = app->predicted = app->running = false;
    app->model_error[0] = app->self_test[0] = '\0';
    prepare_display(app);
    ftv_show_boot(app, "Checking the model");
    light_display(app);
    announce(app);
    bool has_model = prepare_engine(app);
    bool camera = ftv_app_has_camera(config);
    app->camera.on = has_model && camera && config->camera_at_boot;
    open_line(app, has_model);
    if (has_model && !app->display.keeps) {
        ftv_show_boot(app, app->camera.on ? "Waiting for the camera" : camera ? "Camera off" : "Ready on the line");
    }
}

/* ---- the loop ---- */

/* Whether a host wants the board for itself: verify is not slowed down by the camera. */
static void note_claims(ftv_app *app) {
    uint32_t claims = ftv_line_claims(&app->line), now = ftv_app_now(app);
    if (claims != app->claims) {
        app->claims = claims;
        app->claimed = true;
        app->claimed_us = now;
    } else if (now - app->claimed_us >= CLAIM_US) {
        app->claimed = false;
    }
}

/* The live picture gives way to words when the camera goes off. */
static void note_camera_off(ftv_app *app) {
    if (!app->camera.on && app->display.live && !app->display.keeps) {
        app->display.live = false;
        app->predicted = false;
        ftv_show_boot(app, "Camera off");
    }
}

void ftv_app_step(ftv_app *app) {
    const ftv_app_port *port = &app->config->port;
    ftv_line_poll(&app->line);
    note_claims(app);
    if (app->camera.on) {
        ftv_app_look(app);
    }
    note_camera_off(app);
    if (port->wait != NULL) {
        port->wait(port->context, IDLE_MS);
    }
}
