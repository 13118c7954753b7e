/* ftv-board: a board without hardware. It serves LINE_PROTOCOL.md for one model, with the engine of the chip.
 *
 * Usage: ftv-board [--pty | --tcp PORT] [--threads N] [--kernels ref|portable] [--frames FILE] [--fps N] MODEL.ftv
 *
 * The first line on stdout is the port: /dev/pts/N, or socket://127.0.0.1:PORT (--tcp 0 chooses one). --frames gives
 * the board a camera: raw RGB pictures of the model's size. SIGHUP is the reset button: memory is cleared, the session
 * is new, the line stays. SIGTERM ends it. A file that is no valid model leaves a board without a model. */
#define _DEFAULT_SOURCE 1

#include "board.h"
#include "ftv_threads.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WINDOW  8U
#define IDLE_MS 5

typedef struct options {
    const char *model;
    const char *frames;
    const ftv_kernels *kernels;
    bool tcp;
    uint16_t port;
    uint32_t threads;
    uint32_t fps;
} options;

typedef struct board {
    posix_line line;
    posix_camera camera;
    ftv_model model;
    ftv_options engine;
    ftv_line_config config;
    ftv_line protocol;
} board;

static volatile sig_atomic_t reset_pressed;

static void press_reset(int number) {
    (void)number;
    reset_pressed = 1;
}

static void die(const char *what, const char *why) {
    fprintf(stderr, "ftv-board: %s: %s\n", what, why);
    exit(2);
}

void *posix_allocate(size_t bytes) {
    void *memory = NULL;
    if (posix_memalign(&memory, FTV_ALIGN, bytes + FTV_ALIGN) != 0) {
        die("memory", "there is not enough");
    }
    memset(memory, 0, bytes);
    return memory;
}

uint8_t *posix_read_file(const char *path, size_t *bytes) {
    FILE *file = fopen(path, "rb");
    long size = -1;
    if (file == NULL || fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) < 0) {
        die(path, strerror(errno));
    }
    uint8_t *content = posix_allocate((size_t)size);
    rewind(file);
    if (fread(content, 1, (size_t)size, file) != (size_t)size) {
        die(path, "cannot be read");
    }
    fclose(file);
    *bytes = (size_t)size;
    return content;
}

/* ---- options ---- */

static uint32_t number(const char *text, uint32_t highest) {
    char *end = NULL;
    unsigned long value = text != NULL ? strtoul(text, &end, 10) : 0;
    if (text == NULL || *text == '\0' || *end != '\0' || value > highest) {
        die(text != NULL ? text : "option", "a number is missing or too large");
    }
    return (uint32_t)value;
}

static const ftv_kernels *kernels_called(const char *name) {
    if (name != NULL && strcmp(name, "ref") == 0) {
        return &ftv_kernels_ref;
    }
    if (name == NULL || strcmp(name, "portable") != 0) {
        die("--kernels", "ref or portable");
    }
    return &ftv_kernels_portable;
}

/* One option and its value; returns how many words it took. */
static int take_option(options *chosen, const char *word, const char *value) {
    if (strcmp(word, "--pty") == 0) {
        chosen->tcp = false;
        return 1;
    }
    if (strcmp(word, "--tcp") == 0) {
        chosen->tcp = true;
        chosen->port = (uint16_t)number(value, 65535);
    } else if (strcmp(word, "--threads") == 0) {
        chosen->threads = number(value, 64);
    } else if (strcmp(word, "--fps") == 0) {
        chosen->fps = number(value, 1000);
    } else if (strcmp(word, "--kernels") == 0) {
        chosen->kernels = kernels_called(value);
    } else if (strcmp(word, "--frames") == 0 && value != NULL) {
        chosen->frames = value;
    } else {
        die(word, "unknown option");
    }
    return 2;
}

static options parse(int count, char **words) {
    options chosen = {.kernels = &ftv_kernels_portable, .threads = 1, .fps = 5};
    for (int i = 1; i < count;) {
        if (words[i][0] == '-') {
            i += take_option(&chosen, words[i], i + 1 < count ? words[i + 1] : NULL);
        } else {
            chosen.model = words[i++];
        }
    }
    if (chosen.model == NULL || chosen.threads == 0U || chosen.fps == 0U) {
        die("usage", "ftv-board [--pty | --tcp PORT] [--threads N] [--kernels ref|portable] [--frames FILE] [--fps N] "
                     "MODEL.ftv");
    }
    return chosen;
}

/* ---- what the line may ask of this board ---- */

static size_t read_line(void *context, uint8_t *bytes, size_t capacity) {
    return posix_read(&((board *)context)->line, bytes, capacity);
}

static bool write_line(void *context, const uint8_t *bytes, size_t count) {
    return posix_write(&((board *)context)->line, bytes, count);
}

static uint32_t clock_us(void *context) {
    (void)context;
    return posix_clock_us();
}

static ftv_line_error switch_camera(void *context, bool on) {
    ((board *)context)->camera.on = on;
    return FTV_LINE_OK;
}

static ftv_line_error choose_thumbnails(void *context, uint32_t every) {
    ((board *)context)->camera.thumbnails_every = every;
    return FTV_LINE_OK;
}

static ftv_line_error bench(void *context, const ftv_line_bench *request, ftv_line_bench_result *result) {
    (void)context;
    return posix_bench(request, result);
}

/* ---- life of the board ---- */

static void load_model(board *b, const options *chosen) {
    size_t bytes = 0;
    const uint8_t *image = posix_read_file(chosen->model, &bytes);
    ftv_status status = ftv_open(&b->model, image, bytes);
    ftv_line_config *config = &b->config;
    if (status != FTV_OK) {
        config->model_error = ftv_status_text(status);
        return;
    }
    b->engine = (ftv_options){.kernels = chosen->kernels, .parallel = ftv_threads_create(chosen->threads)};
    config->model = &b->model;
    config->options = &b->engine;
    config->pixels = posix_allocate((size_t)3U * b->model.image_size * b->model.image_size);
    config->logits = posix_allocate(sizeof(int32_t) * b->model.classes);
    config->arena_bytes = ftv_arena_bytes(&b->model, &b->engine);
    config->arena = posix_allocate(config->arena_bytes);
    config->sites_capacity = FTV_LINE_SITES(b->model.depth);
    config->sites = posix_allocate(sizeof(ftv_line_site) * config->sites_capacity);
}

static void load_frames(board *b, const options *chosen) {
    size_t bytes = 0, frame_bytes = (size_t)3U * b->model.image_size * b->model.image_size;
    if (chosen->frames == NULL || b->config.model == NULL) {
        return;
    }
    const uint8_t *frames = posix_read_file(chosen->frames, &bytes);
    if (bytes < frame_bytes) {
        die(chosen->frames, "holds no whole picture of the model's size");
    }
    b->camera = (posix_camera){.model = &b->model,
                               .frames = frames,
                               .count = (uint32_t)(bytes / frame_bytes),
                               .every_us = 1000000U / chosen->fps,
                               .logits = posix_allocate(sizeof(int32_t) * b->model.classes)};
    b->config.port.camera = switch_camera;
    b->config.port.thumbnails = choose_thumbnails;
}

/* As from the reset button: nothing is remembered, the session is another. */
static void boot(board *b) {
    static const char banner[] = "I (0) boot: virtual board\r\nI (1) ftv: ready\r\n";
    ftv_line_config *config = &b->config;
    uint16_t before = config->session;
    uint32_t seed = posix_clock_us() ^ (uint32_t)time(NULL) ^ (uint32_t)getpid() << 8;
    config->session = (uint16_t)((seed * 2654435761U) >> 16);
    while (config->session == 0U || config->session == before) {
        config->session++;
    }
    if (config->model != NULL) {
        memset(config->pixels, 0, (size_t)3U * b->model.image_size * b->model.image_size);
    }
    b->camera.on = false;
    b->camera.thumbnails_every = 0;
    ftv_line_start(&b->protocol, config);
    posix_write(&b->line, (const uint8_t *)banner, sizeof banner - 1U);
}

static void serve(board *b) {
    for (;;) {
        if (reset_pressed != 0) {
            reset_pressed = 0;
            boot(b);
        }
        posix_wait(&b->line, IDLE_MS);
        ftv_line_poll(&b->protocol);
        if (b->camera.frames != NULL) {
            posix_camera_step(&b->camera, &b->protocol, &b->config);
        }
    }
}

int main(int count, char **words) {
    static board b;
    static const ftv_line_fact facts[] = {{"app", "ftv-board"}, {"version", "1"}, {"board", "host"}};
    options chosen = parse(count, words);
    b.config = (ftv_line_config){.port = {&b, read_line, write_line, clock_us, NULL, NULL, bench},
                                 .facts = facts,
                                 .facts_count = sizeof facts / sizeof facts[0],
                                 .window = WINDOW};
    load_model(&b, &chosen);
    load_frames(&b, &chosen);
    if (!(chosen.tcp ? posix_open_tcp(&b.line, chosen.port) : posix_open_pty(&b.line))) {
        die(chosen.tcp ? "TCP port" : "pseudo-terminal", strerror(errno));
    }
    signal(SIGHUP, press_reset);
    signal(SIGPIPE, SIG_IGN);
    boot(&b);
    printf("%s\n", b.line.name);
    fflush(stdout);
    serve(&b);
}
