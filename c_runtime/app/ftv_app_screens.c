/* What stands on the display: the boot screen, errors, the live picture with what is in it. */
#include "ftv_app_parts.h"
#include "ftv_canvas.h"

#define PICTURE_EVERY_US 66000U
#define ERROR_STAYS_US   4000000U

#define NIGHT FTV_RGB(12U, 16U, 28U)
#define WHITE FTV_RGB(255U, 255U, 255U)
#define GREY  FTV_RGB(150U, 160U, 176U)
#define GREEN FTV_RGB(64U, 208U, 140U)
#define AMBER FTV_RGB(255U, 190U, 60U)
#define RED   FTV_RGB(190U, 36U, 44U)
#define BLACK FTV_RGB(0U, 0U, 0U)

/* What suits the size of the display. */
typedef struct layout {
    int32_t width, height;
    uint32_t scale; /* of text */
    int32_t margin;
    int32_t line;    /* height of a line of text */
    ftv_box picture; /* a square that fills the short side */
    ftv_box bar;     /* below it or, where nothing is left, over its lower end: the label and a line of numbers */
} layout;

static layout layout_of(const ftv_canvas *canvas, int32_t label_lines) {
    layout l = {.width = canvas->width, .height = canvas->height};
    int32_t side = l.width < l.height ? l.width : l.height;
    l.scale = side >= 160 ? 2U : 1U;
    l.margin = side >= 160 ? 6 : 3;
    l.line = (int32_t)(FTV_CELL_HEIGHT * l.scale);
    int32_t bar = (label_lines + 1) * l.line + l.line / 2 - 2;
    l.picture = (ftv_box){(l.width - side) / 2, 0, side, side};
    int32_t top = l.height - side >= bar ? side : l.height - bar;
    l.bar = (ftv_box){0, top, l.width, l.height - top};
    return l;
}

static int32_t text_width(uint32_t scale, uint32_t characters) {
    return (int32_t)(characters * FTV_CELL_WIDTH * scale) - (int32_t)scale;
}

static const char *fact(const ftv_app_config *config, const char *name, const char *otherwise) {
    for (uint32_t i = 0; i < config->facts_count; i++) {
        const char *a = config->facts[i].name, *b = name;
        while (*a != '\0' && *a == *b) {
            a++;
            b++;
        }
        if (*a == *b) {
            return config->facts[i].text;
        }
    }
    return otherwise;
}

static bool show(ftv_app *app, ftv_paint_fn paint, const void *picture) {
    if (app->display.works && !ftv_display_paint(app->config, paint, picture)) {
        app->display.works = false;
        ftv_say(app, FTV_LOG_ERROR, "display: it does not take pictures and is left alone until the next reset");
    }
    return app->display.works;
}

/* ---- boot ---- */

typedef struct boot_screen {
    char name[24];
    char version[40];
    char board[40];
    const char *status;
} boot_screen;

/* The largest even scale at which the text fits, or 1. */
static uint32_t fitting_scale(int32_t width, uint32_t characters, uint32_t most) {
    uint32_t scale = most;
    while (scale > 1U && text_width(scale, characters) > width) {
        scale = scale > 2U ? scale - 2U : 1U;
    }
    return scale;
}

static void centred(const ftv_canvas *canvas, int32_t y, ftv_type type, const char *text) {
    uint32_t count = ftv_length(text);
    ftv_draw_text(canvas, (canvas->width - text_width(type.scale, count)) / 2, y, type, text, count);
}

static void paint_boot(const ftv_canvas *canvas, const void *picture) {
    const boot_screen *screen = picture;
    layout l = layout_of(canvas, 1);
    uint32_t scale = fitting_scale(l.width - 2 * l.margin, ftv_length(screen->name), 2U * l.scale);
    int32_t name = l.height / 4 - (int32_t)(4U * scale), below = name + (int32_t)(9U * scale);
    ftv_draw_box(canvas, (ftv_box){0, 0, l.width, l.height}, NIGHT);
    centred(canvas, name, (ftv_type){scale, WHITE}, screen->name);
    ftv_draw_box(canvas, (ftv_box){(l.width - l.width / 4) / 2, below, l.width / 4, (int32_t)l.scale}, GREEN);
    below += l.line / 2;
    centred(canvas, below, (ftv_type){fitting_scale(l.width, ftv_length(screen->version), l.scale), GREY},
            screen->version);
    centred(canvas, below + l.line, (ftv_type){fitting_scale(l.width, ftv_length(screen->board), l.scale), GREY},
            screen->board);
    ftv_box box = {l.margin, 0, l.width - 2 * l.margin, 0};
    box.y = l.height - l.margin - ftv_draw_wrapped(NULL, box, (ftv_type){l.scale, WHITE}, screen->status);
    ftv_draw_wrapped(canvas, box, (ftv_type){l.scale, WHITE}, screen->status);
}

static void copy_plain(char *out, uint32_t capacity, const char *text) {
    ftv_plain_letters(out, capacity, text, ftv_length(text));
}

void ftv_show_boot(ftv_app *app, const char *status) {
    boot_screen screen = {.status = status};
    copy_plain(screen.name, sizeof screen.name, fact(app->config, "app", "ftervit"));
    ftv_text version = ftv_words(screen.version, sizeof screen.version);
    ftv_text_plain(&version, "version ");
    ftv_text_plain(&version, fact(app->config, "version", "unknown"));
    ftv_end_words(&version);
    copy_plain(screen.board, sizeof screen.board, app->config->board != NULL ? app->config->board : "");
    show(app, paint_boot, &screen);
}

/* ---- errors ---- */

typedef struct error_screen {
    const char *title;
    char sentence[FTV_APP_SENTENCE_BYTES];
} error_screen;

static void paint_error(const ftv_canvas *canvas, const void *picture) {
    const error_screen *screen = picture;
    layout l = layout_of(canvas, 1);
    int32_t head = l.line + l.margin;
    ftv_box box = {l.margin, head + l.margin, l.width - 2 * l.margin, l.height - head - l.margin};
    ftv_type type = {l.scale, WHITE};
    if (ftv_draw_wrapped(NULL, box, type, screen->sentence) > box.height) {
        type.scale = 1;
    }
    ftv_draw_box(canvas, (ftv_box){0, 0, l.width, l.height}, NIGHT);
    ftv_draw_box(canvas, (ftv_box){0, 0, l.width, head}, RED);
    ftv_draw_text(canvas, l.margin, (head - (int32_t)(7U * l.scale)) / 2, (ftv_type){l.scale, WHITE}, screen->title,
                  ftv_length(screen->title));
    ftv_draw_wrapped(canvas, box, type, screen->sentence);
}

void ftv_show_error(ftv_app *app, const char *title, const char *sentence) {
    error_screen screen = {.title = title};
    copy_plain(screen.sentence, sizeof screen.sentence, sentence);
    app->display.keeps = show(app, paint_error, &screen);
    app->display.keep_us = ftv_app_now(app);
}

/* ---- live ---- */

typedef struct live_screen {
    const ftv_camera_frame *frame;
    const char *label;
    char left[16];
    char right[16];
    uint32_t probability; /* 1/10000 */
} live_screen;

/* "412 ms", "23.4 s" */
static void put_time(ftv_text *text, uint32_t microseconds) {
    if (microseconds >= 10000000U) {
        ftv_text_number(text, microseconds / 1000000U);
        ftv_text_char(text, '.');
        ftv_text_number(text, microseconds / 100000U % 10U);
        ftv_text_plain(text, " s");
        return;
    }
    ftv_text_number(text, microseconds / 1000U);
    if (microseconds < 10000U) {
        ftv_text_char(text, '.');
        ftv_text_number(text, microseconds / 100U % 10U);
    }
    ftv_text_plain(text, " ms");
}

/* "93.1%" */
static void put_percent(ftv_text *text, uint32_t probability) {
    uint32_t tenths = (probability + 5U) / 10U;
    ftv_text_number(text, tenths / 10U);
    ftv_text_char(text, '.');
    ftv_text_number(text, tenths % 10U);
    ftv_text_char(text, '%');
}

/* Characters that fit beside each other. */
static uint32_t columns_of(const layout *l) {
    return (uint32_t)(l->width - 2 * l->margin + (int32_t)l->scale) / (FTV_CELL_WIDTH * l->scale);
}

/* The label on one line or two; what does not fit there is cut. Returns the lines. NULL canvas: counts them only. */
static int32_t put_label(const ftv_canvas *canvas, const layout *l, int32_t y, const char *label) {
    const ftv_type type = {l->scale, WHITE};
    uint32_t columns = columns_of(l), first = ftv_line_length(label, columns);
    const char *rest = label + first + (label[first] == ' ' ? 1 : 0);
    uint32_t left = ftv_length(rest), shown = left > columns ? columns - 2U : left;
    if (canvas != NULL) {
        ftv_draw_text(canvas, l->margin, y, type, label, first);
        ftv_draw_text(canvas, l->margin, y + l->line, type, rest, shown);
        if (shown < left) {
            int32_t x = l->margin + (int32_t)(shown * FTV_CELL_WIDTH * l->scale);
            ftv_draw_text(canvas, x, y + l->line, type, "..", 2);
        }
    }
    return left > 0U ? 2 : 1;
}

static void paint_live(const ftv_canvas *canvas, const void *picture) {
    const live_screen *screen = picture;
    layout l = layout_of(canvas, 1);
    int32_t lines = put_label(NULL, &l, 0, screen->label);
    l = layout_of(canvas, lines);
    if (l.picture.width < l.width || l.picture.height < l.height) {
        ftv_draw_box(canvas, (ftv_box){0, 0, l.width, l.height}, BLACK);
    }
    ftv_draw_frame(canvas, screen->frame, l.picture.x, l.picture.y, (uint32_t)l.picture.width);
    ftv_draw_shade(canvas, l.bar);
    int32_t thick = (int32_t)l.scale + 1, first = l.bar.y + thick + l.line / 4;
    int32_t filled = (int32_t)((uint32_t)l.width * screen->probability / 10000U);
    ftv_draw_box(canvas, (ftv_box){0, l.bar.y, filled, thick}, GREEN);
    put_label(canvas, &l, first, screen->label);
    uint32_t count = ftv_length(screen->right);
    ftv_draw_text(canvas, l.margin, first + lines * l.line, (ftv_type){l.scale, GREEN}, screen->left,
                  ftv_length(screen->left));
    ftv_draw_text(canvas, l.width - l.margin - text_width(l.scale, count), first + lines * l.line,
                  (ftv_type){l.scale, GREY}, screen->right, count);
}

bool ftv_show_is_due(const ftv_app *app) {
    const ftv_app_display *display = &app->display;
    uint32_t now = ftv_app_now(app);
    if (!display->works || (display->keeps && now - display->keep_us < ERROR_STAYS_US)) {
        return false;
    }
    return !display->live || now - display->picture_us >= PICTURE_EVERY_US;
}

void ftv_show_frame(ftv_app *app, const ftv_camera_frame *frame) {
    ftv_app_display *display = &app->display;
    live_screen screen = {.frame = frame, .label = app->predicted ? display->label : "Looking..."};
    ftv_text left = ftv_words(screen.left, sizeof screen.left), right = ftv_words(screen.right, sizeof screen.right);
    if (app->predicted) {
        screen.probability = display->probability;
        put_percent(&left, display->probability);
        put_time(&right, display->microseconds);
    } else if (app->running) {
        ftv_text_number(&right, (ftv_app_now(app) - app->run_started_us) / 1000000U);
        ftv_text_plain(&right, " s");
    }
    ftv_end_words(&left);
    ftv_end_words(&right);
    display->keeps = false;
    display->picture_us = ftv_app_now(app);
    display->live = show(app, paint_live, &screen);
}
