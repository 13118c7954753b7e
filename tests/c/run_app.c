/* The application with made-up devices and a made-up clock: run_app MODEL [KEY=VALUE]... Prints what happens, one event
 * a line, and at the end what the line says about the board.
 *
 *   kernels=NAME  ref, portable, scalar, fused (with qkv), or one that is wrong: linear, scores, mix, qkv, parts, layer, attend,
 *                 norm, quantise
 *   core=N        on which worker it is wrong
 *   workers=N
 *   camera=WORD   what each look gives, the last one for ever: F frame, - none, T time-out, O damaged, X failed
 *   restart=WORD  what each restart gives, the last one for ever: + works, x does not; a frame's faults go with it
 *   display=N     works for N strips, then fails; without it there is no display
 *   steps=N       rounds of the loop
 *   scratch=N     bytes less than FTV_APP_SCRATCH_BYTES
 *   shared=1      scratch is the arena */
#include "ftv_app.h"
#include "ftv_engine.h"
#include "ftv_line_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIDE    24U
#define STEP_US 1000U

static struct {
    const char *camera, *restart;
    uint32_t now_us;
    uint32_t core, wrong_core;
    uint32_t held;
    long strips;
    bool high;
} world = {.camera = "F", .restart = "+", .strips = -1};

static uint8_t camera_pixels[SIDE * SIDE * 2U];
static ftv_model model;

static const char *value_of(int count, char **words, const char *key, const char *otherwise) {
    size_t length = strlen(key);
    for (int i = 2; i < count; i++) {
        if (strncmp(words[i], key, length) == 0 && words[i][length] == '=') {
            return words[i] + length + 1U;
        }
    }
    return otherwise;
}

static uint32_t number_of(int count, char **words, const char *key, const char *otherwise) {
    return (uint32_t)strtoul(value_of(count, words, key, otherwise), NULL, 10);
}

static void *allocate(size_t bytes) {
    void *memory = NULL;
    if (posix_memalign(&memory, FTV_ALIGN, bytes > 0U ? bytes : 1U) != 0) {
        exit(2);
    }
    memset(memory, 0xA5, bytes);
    return memory;
}

/* ---- devices ---- */

static size_t read_line(void *context, uint8_t *bytes, size_t capacity) {
    (void)context, (void)bytes, (void)capacity;
    return 0;
}

static bool write_line(void *context, const uint8_t *bytes, size_t count) {
    (void)context;
    return printf("line: ") > 0 && fwrite(bytes, 1, count, stdout) == count;
}

static uint32_t clock_us(void *context) {
    (void)context;
    return world.now_us += 10U;
}

static void log_line(void *context, ftv_log_level level, const char *text) {
    (void)context;
    printf("log: %d %s\n", level, text);
}

static void wait_a_little(void *context, uint32_t milliseconds) {
    (void)context, (void)milliseconds;
    world.now_us += STEP_US;
}

static ftv_camera_status take(void *context, ftv_camera_frame *frame) {
    (void)context;
    char what = *world.camera;
    world.camera += world.camera[1] != '\0' ? 1 : 0;
    switch (what) {
    case 'F':
        *frame = (ftv_camera_frame){camera_pixels, SIDE, SIDE, FTV_PIXELS_RGB565_BE, &world};
        if (++world.held > 2U) {
            printf("too many frames are held\n");
        }
        return FTV_CAMERA_FRAME;
    case 'T':
        return FTV_CAMERA_TIMEOUT;
    case 'O':
        return FTV_CAMERA_OVERFLOW;
    case 'X':
        return FTV_CAMERA_FAILED;
    default:
        return FTV_CAMERA_NOT_YET;
    }
}

static void give(void *context, const ftv_camera_frame *frame) {
    (void)context;
    world.held -= frame->handle == &world ? 1U : 0U;
}

static bool restart(void *context) {
    (void)context;
    bool works = *world.restart == '+';
    world.restart += world.restart[1] != '\0' ? 1 : 0;
    printf("restart: %u ms\n", world.now_us / 1000U);
    return works;
}

static bool show(void *context, uint16_t x, uint16_t y, uint16_t width, uint16_t height, const uint16_t *pixels) {
    (void)context, (void)x, (void)y, (void)width, (void)height, (void)pixels;
    return world.strips-- > 0;
}

static void trigger(void *context, bool high) {
    (void)context;
    if (high == world.high) {
        printf("the trigger does not change\n");
    }
    world.high = high;
    printf("trigger: %d\n", high);
}

static void on_worker(void *context, uint32_t worker, void (*function)(void *argument), void *argument) {
    (void)context;
    world.core = worker;
    function(argument);
    world.core = 0;
}

/* ---- kernels that are wrong on one core ---- */

static int32_t error(void) {
    return world.core == world.wrong_core ? 1 : 0;
}

static void wrong_linear(int32_t *sums, const int8_t *x, uint32_t tokens, uint32_t stride, const uint8_t *tile,
                         uint32_t inputs, void *scratch) {
    ftv_kernels_portable.linear_s8t2(sums, x, tokens, stride, tile, inputs, scratch);
    sums[tokens * 16U - 1U] += tokens % 2U == 1U ? error() : 0;
}

static void wrong_scores(int32_t *scores, const int8_t *q, const int8_t *k, uint32_t rows, uint32_t stride,
                         uint32_t head_dim) {
    ftv_kernels_portable.scores_s8s8(scores, q, k, rows, stride, head_dim);
    scores[rows - 1U] -= error();
}

static void wrong_mix(int32_t *sums, const int16_t *weights, const int8_t *v, uint32_t rows, uint32_t stride,
                      uint32_t head_dim) {
    ftv_kernels_portable.mix_s16s8(sums, weights, v, rows, stride, head_dim);
    sums[head_dim - 1U] += error();
}

static size_t fused_scratch_bytes(const ftv_model *of) {
    return ftv_qkv_scratch_bytes(&ftv_kernels_portable, of->tokens, of->width, of->head_rows);
}

static void fused_qkv(const ftv_qkv_part *part, void *scratch) {
    ftv_qkv_steps(&ftv_kernels_portable, part, scratch);
}

static void wrong_qkv(const ftv_qkv_part *part, void *scratch) {
    fused_qkv(part, scratch);
    part->absmax[part->first + part->count - 1U] += part->count == 1U ? error() : 0;
}

/* Wrong where several parts come together. */
static void wrong_parts(const ftv_qkv_part *parts, uint32_t count, void *scratch) {
    const ftv_qkv_part *last = parts + count - 1U;
    ftv_kernels_scalar.parts(parts, count, scratch);
    last->absmax[last->first + last->count - 1U] += count > 1U ? error() : 0;
}

static void wrong_layer(const ftv_layer_job *job, void *scratch) {
    ftv_layer_steps(&ftv_kernels_portable, job, scratch);
    if (job->output == FTV_ADD && job->tokens == 1U) {
        job->out[job->column] += error();
    }
}

static void wrong_attend(const ftv_attend_job *job, void *scratch) {
    ftv_attend_steps(&ftv_kernels_portable, job, scratch);
    job->out.absmax[(job->first + job->count - 1U) * (job->out.stride / 16U)] += error();
}

static void wrong_norm(const ftv_norm_job *job, void *scratch) {
    ftv_norm_steps(job, scratch);
    job->out.scales[job->rows - 1U].exponent = (int16_t)(job->out.scales[job->rows - 1U].exponent + error());
}

static void wrong_quantise(const ftv_quantise_job *job, void *scratch) {
    (void)scratch;
    ftv_quantise_steps(job);
    job->out.codes[job->piece - 1U] ^= (int8_t)error();
}

static size_t step_scratch_bytes(const ftv_model *of) {
    const ftv_kernels plain = {.name = "", .linear_scratch_bytes = ftv_kernels_portable.linear_scratch_bytes};
    return ftv_step_scratch_bytes(of, &plain);
}

static ftv_kernels kernels_called(const char *name) {
    ftv_kernels kernels = ftv_kernels_portable;
    if (strcmp(name, "ref") == 0) {
        return ftv_kernels_ref;
    }
    if (strcmp(name, "scalar") == 0 || strcmp(name, "parts") == 0) {
        kernels = ftv_kernels_scalar;
        kernels.parts = name[0] == 's' ? kernels.parts : wrong_parts;
    }
    if (strcmp(name, "linear") == 0) {
        kernels.linear_s8t2 = wrong_linear;
    } else if (strcmp(name, "scores") == 0) {
        kernels.scores_s8s8 = wrong_scores;
    } else if (strcmp(name, "mix") == 0) {
        kernels.mix_s16s8 = wrong_mix;
    } else if (strcmp(name, "layer") == 0) {
        kernels.layer = wrong_layer;
        kernels.scratch_bytes = step_scratch_bytes;
    } else if (strcmp(name, "attend") == 0) {
        kernels.qkv = fused_qkv;
        kernels.attend = wrong_attend;
        kernels.scratch_bytes = step_scratch_bytes;
    } else if (strcmp(name, "norm") == 0) {
        kernels.norm = wrong_norm;
    } else if (strcmp(name, "quantise") == 0) {
        kernels.quantise = wrong_quantise;
    } else if (strcmp(name, "fused") == 0 || strcmp(name, "qkv") == 0) {
        kernels.qkv = name[0] == 'f' ? fused_qkv : wrong_qkv;
        kernels.scratch_bytes = fused_scratch_bytes;
    }
    kernels.name = name;
    return kernels;
}

static void run_serially(void *context, ftv_task_fn function, void *argument, uint32_t tasks) {
    (void)context;
    for (uint32_t task = 0; task < tasks; task++) {
        function(argument, task, 0);
    }
}

/* ---- the application ---- */

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

static void lend_memory(ftv_app_config *config, uint32_t less, bool shared) {
    ftv_options plain = config->options;
    plain.kernels = &ftv_kernels_ref;
    config->pixels_bytes = (size_t)3U * model.image_size * model.image_size;
    config->line_pixels = allocate(config->pixels_bytes);
    config->camera_pixels = allocate(config->pixels_bytes);
    config->logits = model.classes;
    config->line_logits = allocate(sizeof(int32_t) * model.classes);
    config->camera_logits = allocate(sizeof(int32_t) * model.classes);
    config->arena_bytes = larger(ftv_arena_bytes(&model, &config->options), ftv_arena_bytes(&model, &plain));
    config->scratch_bytes = ftv_app_scratch_bytes(&model, config->options.kernels, SIDE);
    if (shared) {
        config->arena_bytes = larger(config->arena_bytes, config->scratch_bytes);
    }
    config->scratch_bytes -= less;
    config->arena = allocate(config->arena_bytes);
    config->scratch = shared ? config->arena : allocate(config->scratch_bytes);
}

static void describe(const ftv_app *app) {
    static uint8_t json[4096];
    ftv_line line = app->line;
    for (uint32_t i = 0; i < app->line_config.numbers_count; i++) {
        line.numbers[i] = *app->line_config.numbers[i].value;
    }
    ftv_text text = {.out = json, .capacity = sizeof json};
    ftv_line_describe(&text, &line);
    printf("info: %.*s\n", (int)text.total, (const char *)json);
}

int main(int count, char **words) {
    static ftv_app app;
    static uint8_t file[1 << 20] __attribute__((aligned(16)));
    static uint16_t strip[64U * 8U];
    FILE *opened = count > 1 ? fopen(words[1], "rb") : NULL;
    size_t bytes = opened != NULL ? fread(file, 1, sizeof file, opened) : 0U;
    ftv_kernels kernels = kernels_called(value_of(count, words, "kernels", "portable"));
    ftv_parallel parallel = {run_serially, NULL, number_of(count, words, "workers", "1")};
    const char *display = value_of(count, words, "display", NULL);
    if (opened == NULL || ftv_open(&model, file, bytes) != FTV_OK) {
        return 2;
    }
    fclose(opened);
    world.camera = value_of(count, words, "camera", "-");
    world.restart = value_of(count, words, "restart", "+");
    world.wrong_core = number_of(count, words, "core", "0");
    ftv_app_config config = {.port = {.read = read_line,
                                      .write = write_line,
                                      .clock_us = clock_us,
                                      .log = log_line,
                                      .wait = wait_a_little,
                                      .camera_take = take,
                                      .camera_give = give,
                                      .camera_restart = restart,
                                      .trigger = trigger,
                                      .on_worker = on_worker},
                             .session = 7,
                             .image = file,
                             .image_bytes = sizeof file,
                             .options = {.kernels = &kernels, .parallel = &parallel},
                             .camera_at_boot = true};
    if (display != NULL) {
        world.strips = strtol(display, NULL, 10);
        config.port.display_write = show;
        config.display_width = config.display_height = 64;
        config.strip = strip;
        config.strip_pixels = sizeof strip / sizeof strip[0];
    }
    lend_memory(&config, number_of(count, words, "scratch", "0"), number_of(count, words, "shared", "0") != 0U);
    ftv_app_start(&app, &config);
    for (uint32_t i = number_of(count, words, "steps", "0"); i > 0U; i--) {
        ftv_app_step(&app);
    }
    describe(&app);
    printf("held: %u\n", world.held);
    free(config.line_pixels);
    free(config.camera_pixels);
    free(config.line_logits);
    free(config.camera_logits);
    if (config.scratch != config.arena) {
        free(config.scratch);
    }
    free(config.arena);
    return 0;
}
