/* ftv-board: a board without hardware. It runs the application of the boards on this computer, with their engine.
 *
 * The first line on stdout is the port: /dev/pts/N, or socket://127.0.0.1:PORT (--tcp 0 chooses one). The model's file
 * is its place in flash: what follows the model in it is ignored, and without a valid model the line stays open.
 * --made-for gives the application the memory and the shape of another model, as if it had been built for that.
 *
 * --camera shows raw pictures of --camera-size and --camera-format in turn, --frames raw RGB pictures of the model's
 * size; each --repeat times, --fps a second. The camera looks from the start unless --camera-off. --fail-camera lets it
 * fail after N pictures until it is started again (timeout; failed: the first restart fails, too), or damages every
 * N-th (overflow). --display FOLDER is a display of --display-size: display.png in that folder shows what it shows,
 * written at most --display-fps times a second, and with --display-keep under numbers, too.
 *
 * SIGHUP is the reset button: memory is cleared, the session is new, the line stays. SIGTERM ends it, and with
 * --until-eof the end of its standard input does, too: a program that started it cannot leave it behind. */
#define _DEFAULT_SOURCE 1

#include "board.h"
#include "ftv_threads.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WINDOW        8U
#define SCRATCH_BYTES (4U << 20) /* BENCH measures what fits */
#define STRIP_ROWS    16U

typedef struct board {
    posix_line line;
    posix_camera camera;
    posix_display display;
    uint64_t booted_us;
    ftv_app_shape shape;
    ftv_app_config config;
    ftv_app app;
} board;

static volatile sig_atomic_t reset_pressed;

static void press_reset(int number) {
    (void)number;
    reset_pressed = 1;
}

_Noreturn void posix_die(const char *what, const char *why) {
    fprintf(stderr, "ftv-board: %s: %s\n", what, why);
    exit(2);
}

void *posix_allocate(size_t bytes) {
    void *memory = NULL;
    if (posix_memalign(&memory, FTV_ALIGN, bytes + FTV_ALIGN) != 0) {
        posix_die("memory", "there is not enough");
    }
    memset(memory, 0, bytes);
    return memory;
}

uint8_t *posix_read_file(const char *path, size_t *bytes) {
    FILE *file = fopen(path, "rb");
    long size = -1;
    if (file == NULL || fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) < 0) {
        posix_die(path, strerror(errno));
    }
    uint8_t *content = posix_allocate((size_t)size);
    rewind(file);
    if (fread(content, 1, (size_t)size, file) != (size_t)size) {
        posix_die(path, "cannot be read");
    }
    fclose(file);
    *bytes = (size_t)size;
    return content;
}

/* ---- devices ---- */

static size_t read_line(void *context, uint8_t *bytes, size_t capacity) {
    return posix_read(&((board *)context)->line, bytes, capacity);
}

static bool write_line(void *context, const uint8_t *bytes, size_t count) {
    return posix_write(&((board *)context)->line, bytes, count);
}

static uint32_t clock_us(void *context) {
    (void)context;
    return (uint32_t)posix_clock_us();
}

/* As ESP-IDF writes it. */
static void log_line(void *context, ftv_log_level level, const char *text) {
    board *b = context;
    char line[512];
    unsigned long ms = (unsigned long)((posix_clock_us() - b->booted_us) / 1000U);
    int length = snprintf(line, sizeof line, "%c (%lu) ftv: %s\r\n", " EWI"[level], ms, text);
    if (length > 0 && (size_t)length < sizeof line) {
        posix_write(&b->line, (const uint8_t *)line, (size_t)length);
    }
}

static void wait_for_something(void *context, uint32_t milliseconds) {
    board *b = context;
    uint64_t most = 1000U * (uint64_t)milliseconds;
    bool looks = b->camera.frames != NULL && b->app.camera.on;
    uint64_t us = looks ? posix_camera_due(&b->camera, most) : most;
    if (b->display.folder != NULL) {
        posix_display_save(&b->display);
    }
    posix_wait(&b->line, (int)((us + 999U) / 1000U));
}

static ftv_camera_status take_frame(void *context, ftv_camera_frame *frame) {
    return posix_camera_take(&((board *)context)->camera, frame);
}

static void give_frame(void *context, const ftv_camera_frame *frame) {
    (void)frame;
    posix_camera_give(&((board *)context)->camera);
}

static bool restart_camera(void *context) {
    return posix_camera_restart(&((board *)context)->camera);
}

static bool write_display(void *context, uint16_t x, uint16_t y, uint16_t width, uint16_t height,
                          const uint16_t *pixels) {
    posix_display *display = &((board *)context)->display;
    return x == 0U && width == display->width && posix_display_write(display, y, height, pixels);
}

/* ---- making the board ---- */

/* Memory for a model of the shape, as a firmware project has it. */
static void allocate(ftv_app_config *config, const ftv_model *model) {
    uint32_t scratch = (uint32_t)ftv_app_scratch_bytes(model, config->options.kernels, 4096);
    config->pixels_bytes = (size_t)3U * model->image_size * model->image_size;
    config->line_pixels = posix_allocate(config->pixels_bytes);
    config->logits = model->classes;
    config->line_logits = posix_allocate(sizeof(int32_t) * model->classes);
    size_t arena = ftv_arena_bytes(model, &config->options);
    ftv_options plain = config->options; /* the self-test may choose ref */
    plain.kernels = &ftv_kernels_ref;
    size_t plain_arena = ftv_arena_bytes(model, &plain);
    config->arena_bytes = arena > plain_arena ? arena : plain_arena;
    config->arena = posix_allocate(config->arena_bytes);
    config->sites_capacity = FTV_LINE_SITES(model->depth);
    config->sites = posix_allocate(sizeof(ftv_line_site) * config->sites_capacity);
    config->scratch_bytes = scratch > SCRATCH_BYTES ? scratch : SCRATCH_BYTES;
    config->scratch = posix_allocate(config->scratch_bytes);
}

static void load_model(board *b, const posix_options *chosen) {
    static ftv_model model;
    ftv_app_config *config = &b->config;
    config->image = posix_read_file(chosen->model, &config->image_bytes);
    config->options = (ftv_options){.kernels = chosen->kernels, .parallel = ftv_threads_create(chosen->threads)};
    size_t bytes = config->image_bytes;
    const uint8_t *pattern = chosen->made_for != NULL ? posix_read_file(chosen->made_for, &bytes) : config->image;
    if (bytes >= 16U) { /* what follows the model in its file does not belong to it */
        size_t length = (size_t)pattern[12] | (size_t)pattern[13] << 8 | (size_t)pattern[14] << 16;
        length |= (size_t)pattern[15] << 24;
        bytes = length < bytes ? length : bytes;
    }
    if (ftv_open(&model, pattern, bytes) != FTV_OK) {
        return; /* the application says what is wrong */
    }
    b->shape = ftv_app_shape_of(&model);
    config->shape = &b->shape;
    allocate(config, &model);
}

static size_t pixel_bytes(ftv_pixel_format format) {
    return format == FTV_PIXELS_RGB888 ? 3U : format == FTV_PIXELS_GRAY8 ? 1U : 2U;
}

static void load_camera(board *b, const posix_options *chosen) {
    size_t bytes = 0;
    const char *path = chosen->camera != NULL ? chosen->camera : chosen->frames;
    if (path == NULL || b->config.shape == NULL) {
        return;
    }
    bool own = chosen->camera != NULL;
    uint16_t side = (uint16_t)b->shape.image_size;
    b->camera = (posix_camera){.frames = posix_read_file(path, &bytes),
                               .width = own ? chosen->camera_width : side,
                               .height = own ? chosen->camera_height : side,
                               .format = own ? chosen->camera_format : FTV_PIXELS_RGB888,
                               .every_us = 1000000U / chosen->fps,
                               .repeat = chosen->repeat,
                               .started_us = posix_clock_us(),
                               .fault = chosen->fault,
                               .fault_after = chosen->fault_after};
    b->camera.frame_bytes = (size_t)b->camera.width * b->camera.height * pixel_bytes(b->camera.format);
    b->camera.count = (uint32_t)(bytes / b->camera.frame_bytes);
    if (b->camera.count == 0U) {
        posix_die(path, own ? "holds no whole picture of --camera-size" : "holds no whole picture of the model's size");
    }
    b->config.camera_pixels = posix_allocate(b->config.pixels_bytes);
    b->config.camera_logits = posix_allocate(sizeof(int32_t) * b->config.logits);
    b->config.camera_at_boot = !chosen->camera_off;
    b->config.port.camera_take = take_frame;
    b->config.port.camera_give = give_frame;
    b->config.port.camera_restart = restart_camera;
}

static void make_display(board *b, const posix_options *chosen) {
    if (chosen->display == NULL) {
        return;
    }
    b->display = (posix_display){.folder = chosen->display,
                                 .width = chosen->display_width,
                                 .height = chosen->display_height,
                                 .every_us = 1000000U / chosen->display_fps,
                                 .keep = chosen->display_keep};
    posix_display_open(&b->display);
    b->config.display_width = b->display.width;
    b->config.display_height = b->display.height;
    b->config.strip_pixels = STRIP_ROWS * b->display.width;
    b->config.strip = posix_allocate(sizeof(uint16_t) * b->config.strip_pixels);
    b->config.port.display_write = write_display;
}

/* ---- life ---- */

/* As from the reset button: nothing is remembered, the session is another. */
static void boot(board *b) {
    static const char banner[] = "I (0) boot: virtual board\r\n";
    ftv_app_config *config = &b->config;
    uint16_t before = config->session;
    uint32_t seed = clock_us(b) ^ (uint32_t)time(NULL) ^ (uint32_t)getpid() << 8;
    config->session = (uint16_t)((seed * 2654435761U) >> 16);
    while (config->session == 0U || config->session == before) {
        config->session++;
    }
    if (config->line_pixels != NULL) {
        memset(config->line_pixels, 0, config->pixels_bytes);
    }
    b->booted_us = posix_clock_us();
    b->camera.held = 0;
    posix_write(&b->line, (const uint8_t *)banner, sizeof banner - 1U);
    ftv_app_start(&b->app, config);
}

static bool input_has_ended(void) {
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
    char ignored[64];
    return poll(&input, 1, 0) > 0 && read(STDIN_FILENO, ignored, sizeof ignored) == 0;
}

int main(int count, char **words) {
    static board b;
    static const ftv_line_fact facts[] = {{"app", "ftv-board"}, {"version", "1"}, {"board", "host"}};
    posix_options chosen = posix_parse(count, words);
    b.config = (ftv_app_config){.port = {.context = &b,
                                         .read = read_line,
                                         .write = write_line,
                                         .clock_us = clock_us,
                                         .log = log_line,
                                         .wait = wait_for_something},
                                .facts = facts,
                                .facts_count = sizeof facts / sizeof facts[0],
                                .board = "host",
                                .window = WINDOW};
    load_model(&b, &chosen);
    load_camera(&b, &chosen);
    make_display(&b, &chosen);
    if (!(chosen.tcp ? posix_open_tcp(&b.line, chosen.port) : posix_open_pty(&b.line))) {
        posix_die(chosen.tcp ? "TCP port" : "pseudo-terminal", strerror(errno));
    }
    signal(SIGHUP, press_reset);
    signal(SIGPIPE, SIG_IGN);
    boot(&b);
    printf("%s\n", b.line.name);
    fflush(stdout);
    while (!chosen.until_eof || !input_has_ended()) {
        if (reset_pressed != 0) {
            reset_pressed = 0;
            boot(&b);
        }
        ftv_app_step(&b.app);
    }
}
