/* What the camera sees: shown, classified, told; and what is done when it fails. */
#include "ftv_app_parts.h"
#include "ftv_canvas.h"
#include "ftv_crop.h"

#define FIRST_PAUSE_US   250000U
#define LONGEST_PAUSE_US 30000000U
#define MANY_DAMAGED     20U /* frames in a row, after which the camera is started again */
#define SAY_EVERY_US     10000000U
#define SHOW_PAUSE_US    1000000U /* a camera that stays away for longer is mentioned on the display */
#define THUMBNAIL_SIDE   48U

bool ftv_app_has_camera(const ftv_app_config *config) {
    return config->camera_pixels != NULL && config->camera_logits != NULL && config->port.camera_take != NULL;
}

ftv_line_error ftv_app_switch_camera(void *context, bool on) {
    ftv_app *app = context;
    if (app->line_config.model == NULL) {
        return FTV_LINE_ERR_NO_MODEL;
    }
    app->camera.on = on;
    if (on) { /* who asks for predictions does not want quiet */
        app->claims = ftv_line_claims(&app->line);
        app->claimed = false;
    }
    return FTV_LINE_OK;
}

ftv_line_error ftv_app_choose_thumbnails(void *context, uint32_t every) {
    ((ftv_app *)context)->camera.thumbnails = every;
    return FTV_LINE_OK;
}

/* ---- faults ---- */

static void say_fault(ftv_app *app, const char *what, uint32_t now) {
    ftv_app_camera *camera = &app->camera;
    char line[FTV_APP_SENTENCE_BYTES];
    if (camera->said && now - camera->said_us < SAY_EVERY_US) {
        return;
    }
    camera->said = true;
    camera->said_us = now;
    ftv_text text = ftv_words(line, sizeof line);
    ftv_text_plain(&text, "camera: ");
    ftv_text_plain(&text, what);
    ftv_text_plain(&text, "; since boot time-outs ");
    ftv_text_number(&text, camera->timeouts);
    ftv_text_plain(&text, ", overflows ");
    ftv_text_number(&text, camera->overflows);
    ftv_text_plain(&text, ", failures ");
    ftv_text_number(&text, camera->failures);
    ftv_text_plain(&text, ", restarts ");
    ftv_text_number(&text, camera->restarts);
    ftv_end_words(&text);
    ftv_say(app, FTV_LOG_WARNING, line);
}

/* The camera is left alone for a while, twice as long as the last time, and then started again. */
static void go_down(ftv_app *app, uint32_t now) {
    ftv_app_camera *camera = &app->camera;
    camera->down = true;
    camera->down_us = now;
    camera->damaged = 0;
    camera->pause_us = camera->pause_us == 0U                     ? FIRST_PAUSE_US
                       : camera->pause_us < LONGEST_PAUSE_US / 2U ? 2U * camera->pause_us
                                                                  : LONGEST_PAUSE_US;
    if (camera->pause_us > SHOW_PAUSE_US) {
        ftv_show_error(app, "Camera", "The camera sends no pictures. It is started again now and then.");
    }
}

static void note_fault(ftv_app *app, ftv_camera_status status) {
    ftv_app_camera *camera = &app->camera;
    uint32_t now = ftv_app_now(app);
    switch (status) {
    case FTV_CAMERA_TIMEOUT:
        camera->timeouts++;
        say_fault(app, "no picture in time, starting it again", now);
        go_down(app, now);
        break;
    case FTV_CAMERA_OVERFLOW:
        camera->overflows++;
        say_fault(app, "a picture came damaged", now);
        if (++camera->damaged >= MANY_DAMAGED) {
            go_down(app, now);
        }
        break;
    case FTV_CAMERA_FAILED:
        camera->failures++;
        say_fault(app, "it does not answer, starting it again", now);
        go_down(app, now);
        break;
    default:
        break;
    }
}

static void start_again(ftv_app *app) {
    const ftv_app_port *port = &app->config->port;
    app->camera.down = false;
    app->camera.restarts++;
    if (port->camera_restart != NULL && !port->camera_restart(port->context)) {
        note_fault(app, FTV_CAMERA_FAILED);
    }
}

static void note_frame(ftv_app *app) {
    ftv_app_camera *camera = &app->camera;
    camera->damaged = 0;
    if (camera->pause_us > 0U) {
        camera->pause_us = 0;
        app->display.keeps = false;
        ftv_say(app, FTV_LOG_INFO, "camera: pictures come again");
    }
}

/* True: *frame is there, and has to be given back. */
static bool take(ftv_app *app, ftv_camera_frame *frame) {
    const ftv_app_port *port = &app->config->port;
    ftv_camera_status status = port->camera_take(port->context, frame);
    if (status != FTV_CAMERA_FRAME) {
        note_fault(app, status);
        return false;
    }
    note_frame(app);
    return true;
}

static void give(const ftv_app *app, const ftv_camera_frame *frame) {
    const ftv_app_port *port = &app->config->port;
    if (port->camera_give != NULL) {
        port->camera_give(port->context, frame);
    }
}

/* ---- inference ---- */

/* The engine's trace hook: life goes on between two layers. */
static void between_layers(void *context, ftv_site site, uint32_t block, const void *data, uint32_t rows,
                           uint32_t columns, uint32_t bytes_per_value, uint32_t stride_bytes) {
    (void)site, (void)block, (void)data, (void)rows, (void)columns, (void)bytes_per_value, (void)stride_bytes;
    ftv_app *app = context;
    ftv_camera_frame frame;
    uint32_t started = ftv_app_now(app);
    ftv_line_poll_busy(&app->line);
    if (app->camera.on && !app->camera.down && ftv_show_is_due(app) && take(app, &frame)) {
        ftv_show_frame(app, &frame);
        give(app, &frame);
    }
    app->aside_us += ftv_app_now(app) - started;
}

/* True: the logits are there, *microseconds the engine's time. */
static bool infer(ftv_app *app, uint32_t *microseconds) {
    const ftv_app_config *config = app->config;
    ftv_options options = app->options;
    options.trace = between_layers;
    options.trace_context = app;
    app->aside_us = 0;
    app->run_started_us = ftv_app_now(app);
    app->running = true;
    if (config->port.trigger != NULL) {
        config->port.trigger(config->port.context, true);
    }
    ftv_status status = ftv_run(&app->model, &options, config->camera_pixels, config->camera_logits, config->arena,
                                config->arena_bytes);
    app->running = false;
    *microseconds = ftv_app_now(app) - app->run_started_us - app->aside_us;
    if (config->port.trigger != NULL) {
        config->port.trigger(config->port.context, false);
    }
    if (status != FTV_OK) {
        ftv_say(app, FTV_LOG_ERROR, ftv_status_text(status));
        app->camera.on = false;
    }
    return status == FTV_OK;
}

static void send_thumbnail(ftv_app *app) {
    const ftv_app_config *config = app->config;
    uint32_t size = app->model.image_size, side = size < THUMBNAIL_SIDE ? size : THUMBNAIL_SIDE;
    uint8_t *pixels = config->scratch;
    if (config->scratch_bytes < 3U * side * side) {
        return;
    }
    for (uint32_t i = 0; i < side * side; i++) {
        uint32_t row = i / side * size / side, column = i % side * size / side;
        for (uint32_t c = 0; c < 3U; c++) {
            pixels[3U * i + c] = config->camera_pixels[3U * ((size_t)row * size + column) + c];
        }
    }
    ftv_line_thumbnail(&app->line, &(ftv_line_picture){.pixels = pixels,
                                                       .frame = app->camera.frames,
                                                       .width = (uint16_t)side,
                                                       .height = (uint16_t)side,
                                                       .format = FTV_LINE_RGB888});
}

/* What the display shows of the result. */
static void keep_result(ftv_app *app, uint32_t microseconds) {
    ftv_line_guess top;
    uint32_t bytes = 0;
    ftv_line_top(&top, 1, app->config->camera_logits, app->model.classes);
    const char *label = ftv_label(&app->model, top.index, &bytes);
    ftv_plain_letters(app->display.label, sizeof app->display.label, label, bytes);
    app->display.probability = top.probability;
    app->display.microseconds = microseconds;
    app->predicted = true;
}

static void classify(ftv_app *app) {
    uint32_t microseconds = 0;
    if (!infer(app, &microseconds) || !app->camera.on) {
        return;
    }
    app->camera.frames++;
    keep_result(app, microseconds);
    ftv_line_predict(&app->line, &app->model, app->config->camera_logits, app->camera.frames, microseconds);
    if (app->camera.thumbnails > 0U && app->camera.frames % app->camera.thumbnails == 0U) {
        send_thumbnail(app);
    }
}

void ftv_app_look(ftv_app *app) {
    const ftv_app_config *config = app->config;
    ftv_app_camera *camera = &app->camera;
    ftv_camera_frame frame;
    if (camera->down) {
        if (ftv_app_now(app) - camera->down_us < camera->pause_us) {
            return;
        }
        start_again(app);
    }
    if (camera->down || !take(app, &frame)) {
        return;
    }
    if (ftv_show_is_due(app)) {
        ftv_show_frame(app, &frame);
    }
    bool cropped = !app->claimed && ftv_crop(config->camera_pixels, app->model.image_size, &frame, config->scratch,
                                             config->scratch_bytes);
    give(app, &frame);
    if (cropped) {
        classify(app);
    } else if (!app->claimed) {
        camera->on = false;
        ftv_say(app, FTV_LOG_ERROR, "camera: its pictures are larger than the application has memory for");
        ftv_show_error(app, "Camera", "Its pictures are larger than the application has memory for.");
    }
}
