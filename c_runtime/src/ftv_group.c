/* What a group of tokens goes through between two attentions: x += proj(attention's output); x += fc2(gelu(fc1(norm x)));
 * the next norm. Its rows may come and go while kernels compute. NUMERICS.md, section 7. */
#include "ftv_group.h"
#include "ftv_fixed.h"

/* What a group works on. */
typedef struct group_view {
    int32_t *residual;    /* [count][width_stride], the window where there is one */
    ftv_rows rows;        /* [count] rows of buffers.rows: codes of one step after the other */
    ftv_narrow mixed;     /* [count] */
    ftv_narrow hidden;    /* [count][hidden_stride] */
    ftv_rows hidden_rows; /* the same place */
} group_view;

static ftv_narrow narrow_from(ftv_narrow all, uint32_t row) {
    all.values += (size_t)row * all.stride;
    all.absmax += (size_t)row * (all.stride / FTV_TILE);
    return all;
}

static int32_t *residual_of(const ftv_group *group) {
    const ftv_buffers *b = &group->pass->buffers;
    if (group->first < b->resident_tokens) {
        return b->resident + (size_t)group->first * b->width_stride;
    }
    return b->residual + (size_t)(group->first - b->resident_tokens) * b->width_stride;
}

bool ftv_has_window(const ftv_group *group) {
    const ftv_buffers *b = &group->pass->buffers;
    return b->window != NULL && group->first >= b->resident_tokens;
}

static size_t words_of(const ftv_group *group) {
    return (size_t)group->count * group->pass->buffers.width_stride;
}

static group_view view_of(const ftv_group *group) {
    const ftv_buffers *b = &group->pass->buffers;
    ftv_hidden hidden = ftv_hidden_at(b, group->team);
    group_view view = {.residual = residual_of(group),
                       .rows = ftv_rows_from(b->rows, group->first),
                       .mixed = narrow_from(b->mixed, group->first),
                       .hidden = hidden.narrow,
                       .hidden_rows = hidden.rows};
    if (ftv_has_window(group)) {
        view.residual = b->window + (size_t)group->team * b->group * b->width_stride;
    }
    return view;
}

static void apply_layer(const ftv_group *group, const ftv_linear *layer, ftv_layer_job job) {
    job.layer = layer;
    job.encoding = group->pass->model->encoding;
    job.tiles = layer->stored_rows / FTV_TILE;
    job.tokens = group->count;
    ftv_layer_all(group->pass, group->parallel, &job);
}

static void add_to_residual(const ftv_group *group, const group_view *view, const ftv_linear *layer, ftv_rows x) {
    apply_layer(group, layer,
                (ftv_layer_job){
                    .x = x, .output = FTV_ADD, .out = view->residual, .out_stride = group->pass->buffers.width_stride});
}

/* reader: of the rows. */
static void norm_group(const ftv_group *group, const group_view *view, const ftv_norm *norm, const ftv_linear *reader) {
    const ftv_model *model = group->pass->model;
    ftv_norm_job job = {.x = view->residual,
                        .x_stride = group->pass->buffers.width_stride,
                        .rows = group->count,
                        .columns = model->width,
                        .norm = norm,
                        .eps_q32 = model->eps_q32,
                        .out = view->rows};
    ftv_norm_all(group->pass, group->parallel, &job, reader->inputs);
}

static void project_and_norm(const ftv_group *group, const group_view *view, const ftv_block *block, uint32_t index) {
    const ftv_pass *pass = group->pass;
    const ftv_model *model = pass->model;
    ftv_quantise_job job = {.in = view->mixed,
                            .rows = group->count,
                            .pieces = model->heads,
                            .piece = model->head_dim,
                            .piece_stride = model->head_rows,
                            .out = view->rows};
    ftv_quantise_all(pass, group->parallel, &job);
    ftv_trace_s8(pass, FTV_SITE_ATTENTION_CODES, index, view->rows, group->count, model->width);
    add_to_residual(group, view, &block->proj, view->rows);
    ftv_trace_s32(pass, FTV_SITE_PROJ_RESIDUAL, index, view->residual, group->count, model->width,
                  pass->buffers.width_stride);
    norm_group(group, view, &block->norm2, &block->fc1);
    ftv_trace_s8(pass, FTV_SITE_NORM2_CODES, index, view->rows, group->count, block->fc1.inputs);
}

/* fc2 is left to do. */
static void mlp_to_codes(const ftv_group *group, const group_view *view, const ftv_block *block, uint32_t index) {
    const ftv_pass *pass = group->pass;
    const ftv_model *model = pass->model;
    apply_layer(group, &block->fc1, (ftv_layer_job){.x = view->rows, .output = FTV_ACTIVATE, .narrow = view->hidden});
    ftv_quantise_job job = {.in = view->hidden,
                            .rows = group->count,
                            .pieces = 1,
                            .piece = model->hidden,
                            .piece_stride = pass->buffers.hidden_stride,
                            .out = view->hidden_rows};
    ftv_quantise_in_place(pass, group->parallel, &job);
    ftv_trace_s8(pass, FTV_SITE_HIDDEN_CODES, index, view->hidden_rows, group->count, model->hidden);
}

static void mlp_from_codes(const ftv_group *group, const group_view *view, const ftv_block *block, uint32_t index) {
    const ftv_pass *pass = group->pass;
    add_to_residual(group, view, &block->fc2, view->hidden_rows);
    ftv_trace_s32(pass, FTV_SITE_FC2_RESIDUAL, index, view->residual, group->count, pass->model->width,
                  pass->buffers.width_stride);
}

/* The first norm of block `next`, or the last norm of all. */
static void norm_next(const ftv_group *group, const group_view *view, uint32_t next) {
    const ftv_model *model = group->pass->model;
    if (next == model->depth) {
        norm_group(group, view, &model->norm, &model->head);
        ftv_trace_s8(group->pass, FTV_SITE_NORM_CODES, FTV_NO_BLOCK, view->rows, group->count, model->head.inputs);
        return;
    }
    const ftv_block *block = &model->blocks[next];
    norm_group(group, view, &block->norm1, &block->qkv);
    ftv_trace_s8(group->pass, FTV_SITE_NORM1_CODES, next, view->rows, group->count, block->qkv.inputs);
}

/* ---- windows: residual rows come and go while kernels compute ---- */

void ftv_start_coming(ftv_traffic *t, const ftv_group *group, int32_t *to) {
    t->coming = t->copies->start(t->copies->context, to, residual_of(group), words_of(group) * sizeof(int32_t));
    t->arrival = to;
}

static void start_going(ftv_traffic *t, const ftv_group *group, const int32_t *from) {
    t->going = t->copies->start(t->copies->context, residual_of(group), from, words_of(group) * sizeof(int32_t));
    t->is_going = true;
}

/* The rows that have arrived. */
static int32_t *wait_until_come(ftv_traffic *t) {
    int32_t *rows = t->arrival;
    t->copies->wait(t->copies->context, t->coming);
    t->arrival = NULL;
    return rows;
}

void ftv_wait_until_gone(ftv_traffic *t) {
    if (t->is_going) {
        t->copies->wait(t->copies->context, t->going);
        t->is_going = false;
    }
}

typedef struct move_task {
    int32_t *to;
    const int32_t *from;
    size_t words;
    size_t share;
} move_task;

static void move_words(void *argument, uint32_t task, uint32_t worker) {
    const move_task *move = argument;
    (void)worker;
    size_t first = task * move->share;
    size_t end = first + move->share < move->words ? first + move->share : move->words;
    int32_t *restrict to = move->to;
    const int32_t *restrict from = move->from;
    for (size_t i = first; i < end; i++) {
        to[i] = from[i];
    }
}

static void move_rows(const ftv_group *group, int32_t *to, const int32_t *from) {
    size_t words = words_of(group);
    move_task move = {to, from, words, ftv_ceil_div((uint32_t)words, group->parallel->workers)};
    ftv_for_each(group->parallel, move_words, &move, group->parallel->workers);
}

/* Copies that are made at once. */
static uint32_t copy_now(void *context, void *to, const void *from, size_t bytes) {
    (void)context;
    move_task move = {to, from, bytes / sizeof(int32_t), bytes / sizeof(int32_t)};
    move_words(&move, 0, 0);
    return 0;
}

static void wait_for_nothing(void *context, uint32_t copy) {
    (void)context;
    (void)copy;
}

const ftv_copies ftv_copies_at_once = {NULL, copy_now, wait_for_nothing};

/* proj and norm2 of a group with a window, whose rows may have arrived before. Only fc1 wants their place: till then the
 * rows before them can take their leave. */
static void project_in_window(const ftv_group *group, group_view *view, const ftv_block *block, uint32_t index,
                              ftv_traffic *t) {
    int32_t *window = view->residual, *behind = ftv_hidden_at(&group->pass->buffers, group->team).behind;
    if (t->arrival == NULL && behind == NULL) {
        ftv_wait_until_gone(t);
    }
    if (t->arrival == NULL) {
        ftv_start_coming(t, group, behind != NULL ? behind : window);
    }
    view->residual = wait_until_come(t);
    project_and_norm(group, view, block, index);
    ftv_wait_until_gone(t);
    if (view->residual != window) {
        move_rows(group, window, view->residual);
        view->residual = window;
    }
}

/* ---- what groups of tokens go through between two attentions ---- */

static void run_block(const ftv_group_tasks *tasks, const ftv_group *group, const ftv_group *following,
                      group_view *view, ftv_traffic *t) {
    uint32_t index = tasks->next - 1U;
    const ftv_block *block = &group->pass->model->blocks[index];
    if (ftv_has_window(group)) {
        project_in_window(group, view, block, index, t);
    } else {
        project_and_norm(group, view, block, index);
    }
    mlp_to_codes(group, view, block, index);
    int32_t *behind = ftv_hidden_at(&group->pass->buffers, group->team).behind;
    if (following != NULL && ftv_has_window(following) && behind != NULL) {
        ftv_start_coming(t, following, behind);
    }
    mlp_from_codes(group, view, block, index);
}

void ftv_run_group(const ftv_group_tasks *tasks, const ftv_group *group, const ftv_group *following, ftv_traffic *t) {
    group_view view = view_of(group);
    if (tasks->pixels != NULL) {
        ftv_wait_until_gone(t);
        ftv_embed(group, tasks->pixels, view.residual);
    } else {
        run_block(tasks, group, following, &view, t);
    }
    norm_next(group, &view, tasks->next);
    if (ftv_has_window(group)) {
        start_going(t, group, view.residual);
    }
}
