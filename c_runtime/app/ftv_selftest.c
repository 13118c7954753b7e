/* The kernels against their definition, on the core that will use them. */
#include "ftv_app_parts.h"
#include "ftv_engine.h"
#include "ftv_tile.h"

#define MOST_TOKENS 7U /* an odd number: kernels that take several tokens at a time have some left */
#define KEYS        7U
#define MOST_WEIGHT 8192U

/* One worker's test. */
typedef struct trial {
    const ftv_app *app;
    const char *failed; /* a kernel's name; NULL: none so far */
} trial;

/* Operands of the attention kernels. */
typedef struct attention_job {
    uint32_t head_dim;
    uint32_t stride;
    int8_t *q;        /* [stride] */
    int8_t *k;        /* [KEYS][stride], the values, too */
    int16_t *weights; /* [KEYS] */
    int32_t *sums;    /* [stride], at least KEYS */
    int32_t *expected;
} attention_job;

static bool same(const int32_t *a, const int32_t *b, uint32_t count) {
    bool equal = true;
    for (uint32_t i = 0; i < count; i++) {
        equal = equal && a[i] == b[i];
    }
    return equal;
}

/* What a kernel leaves alone must not look right. */
static void spoil(int32_t *sums, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        sums[i] = (int32_t)0x5A5A5A5A;
    }
}

/* ---- linear ---- */

static bool linear_is_right(const ftv_app *app, uint32_t inputs, uint32_t tokens, ftv_made_up kind) {
    ftv_tile_job job = {.encoding = app->model.encoding, .tokens = tokens, .inputs = inputs};
    uint32_t values = tokens * FTV_TILE_CHANNELS;
    ftv_tile_lay_out(&job, app->config->scratch, true);
    ftv_tile_fill(&job, kind);
    spoil(job.sums, values);
    ftv_linear_of(&ftv_kernels_ref, job.encoding)(job.expected, job.x, tokens, job.stride, job.tile, inputs,
                                                  job.scratch);
    ftv_linear_of(app->options.kernels, job.encoding)(job.sums, job.x, tokens, job.stride, job.tile, inputs,
                                                      job.scratch);
    return same(job.sums, job.expected, values);
}

static bool linear_works(const ftv_app *app) {
    const ftv_model *model = &app->model;
    const uint32_t inputs[] = {model->patch.inputs, model->width, model->hidden};
    bool right = true;
    for (uint32_t i = 0; i < 3U; i++) {
        for (uint32_t kind = FTV_MADE_AT_RANDOM; kind < FTV_MADE_KINDS; kind++) {
            right = right && linear_is_right(app, inputs[i], MOST_TOKENS, (ftv_made_up)kind);
        }
        right = right && linear_is_right(app, inputs[i], 1, FTV_MADE_AT_RANDOM);
        right = right && linear_is_right(app, inputs[i], 3, FTV_MADE_AT_RANDOM);
    }
    return right;
}

/* ---- attention ---- */

static attention_job lay_out(const ftv_app *app) {
    attention_job job = {.head_dim = app->model.head_dim, .stride = app->model.head_rows};
    uint8_t *at = app->config->scratch;
    uint32_t sums = job.stride > KEYS ? job.stride : KEYS;
    job.q = (int8_t *)at;
    at += job.stride;
    job.k = (int8_t *)at;
    at += (size_t)KEYS * job.stride;
    job.weights = (int16_t *)(void *)at;
    at += 16U;
    job.sums = (int32_t *)(void *)at;
    job.expected = job.sums + sums;
    return job;
}

static int8_t code(ftv_made_up kind, uint32_t a, uint32_t b) {
    return ftv_made_up_code(kind, a, b);
}

static void fill(const attention_job *job, ftv_made_up kind) {
    for (uint32_t c = 0; c < job->stride; c++) {
        job->q[c] = c < job->head_dim ? code(kind == FTV_MADE_LOWEST ? FTV_MADE_HIGHEST : kind, 99, c) : 0;
    }
    for (uint32_t i = 0; i < KEYS * job->stride; i++) {
        job->k[i] = i % job->stride < job->head_dim ? code(kind, i / job->stride, i % job->stride) : 0;
    }
    for (uint32_t j = 0; j < KEYS; j++) {
        job->weights[j] = (int16_t)(kind == FTV_MADE_AT_RANDOM ? ftv_hash(j, 7) % (MOST_WEIGHT + 1U) : MOST_WEIGHT);
    }
}

static bool scores_work(const ftv_app *app, const attention_job *job) {
    spoil(job->sums, KEYS);
    ftv_kernels_ref.scores_s8s8(job->expected, job->q, job->k, KEYS, job->stride, job->head_dim);
    app->options.kernels->scores_s8s8(job->sums, job->q, job->k, KEYS, job->stride, job->head_dim);
    return same(job->sums, job->expected, KEYS);
}

static bool mix_works(const ftv_app *app, const attention_job *job) {
    spoil(job->sums, job->head_dim);
    ftv_kernels_ref.mix_s16s8(job->expected, job->weights, job->k, KEYS, job->stride, job->head_dim);
    app->options.kernels->mix_s16s8(job->sums, job->weights, job->k, KEYS, job->stride, job->head_dim);
    return same(job->sums, job->expected, job->head_dim);
}

/* ---- all of it ---- */

static void test_here(void *argument) {
    trial *t = argument;
    const ftv_app *app = t->app;
    if (!linear_works(app)) {
        t->failed = app->model.encoding == FTV_T5 ? "linear_s8t5" : "linear_s8t2";
        return;
    }
    t->failed = ftv_selftest_steps(&app->model, app->options.kernels, app->config->scratch);
    attention_job job = lay_out(app);
    for (uint32_t kind = FTV_MADE_AT_RANDOM; kind < FTV_MADE_KINDS && t->failed == NULL; kind++) {
        fill(&job, (ftv_made_up)kind);
        if (!scores_work(app, &job)) {
            t->failed = "scores_s8s8";
        } else if (!mix_works(app, &job)) {
            t->failed = "mix_s16s8";
        }
    }
}

static const char *test_on(const ftv_app *app, uint32_t worker) {
    const ftv_app_port *port = &app->config->port;
    trial t = {app, NULL};
    if (port->on_worker != NULL) {
        port->on_worker(port->context, worker, test_here, &t);
    } else {
        test_here(&t);
    }
    return t.failed;
}

static void fall_back(ftv_app *app, const char *kernel, uint32_t worker) {
    char line[FTV_APP_SENTENCE_BYTES];
    ftv_text text = ftv_words(app->self_test, sizeof app->self_test);
    ftv_text_plain(&text, "failed: ");
    ftv_text_plain(&text, kernel);
    ftv_text_plain(&text, " on core ");
    ftv_text_number(&text, worker);
    ftv_text_plain(&text, "; using ref");
    ftv_end_words(&text);
    text = ftv_words(line, sizeof line);
    ftv_text_plain(&text, "self-test of the kernels ");
    ftv_text_plain(&text, app->options.kernels->name);
    ftv_text_char(&text, ' ');
    ftv_text_plain(&text, app->self_test);
    ftv_end_words(&text);
    ftv_say(app, FTV_LOG_ERROR, line);
    app->options.kernels = &ftv_kernels_ref;
    if (app->options.plan != NULL && ftv_check_plan(&app->model, &app->options) != FTV_OK) {
        app->options.plan = NULL; /* the engine's own plan, if there is memory for that */
    }
}

bool ftv_app_test_kernels(ftv_app *app) {
    const ftv_parallel *parallel = app->options.parallel;
    uint32_t workers = parallel != NULL ? parallel->workers : 1U;
    for (uint32_t worker = 0; worker < workers; worker++) {
        const char *failed = test_on(app, worker);
        if (failed != NULL) {
            fall_back(app, failed, worker);
            return false;
        }
    }
    ftv_text text = ftv_words(app->self_test, sizeof app->self_test);
    ftv_text_plain(&text, "passed");
    ftv_end_words(&text);
    return true;
}

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

size_t ftv_selftest_bytes(const ftv_model *model, const ftv_kernels *kernels) {
    const size_t attention = (1U + KEYS) * 256U + 16U + 2U * 256U * sizeof(int32_t);
    const uint32_t inputs[] = {model->patch.inputs, model->width, model->hidden};
    size_t most = larger(attention, ftv_selftest_steps_bytes(model, kernels));
    for (uint32_t i = 0; i < 3U; i++) {
        size_t linear = kernels->linear_scratch_bytes(inputs[i]);
        most = larger(most, ftv_tile_bytes(MOST_TOKENS, inputs[i], linear, true));
    }
    return most;
}
