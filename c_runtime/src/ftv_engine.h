/* Shared by the files of the engine: how a pass through the model is laid out in memory, and its steps. */
#ifndef FTV_ENGINE_H
#define FTV_ENGINE_H

#include "ftv.h"
#include "ftv_fixed.h"

#include <stdbool.h>

#define FTV_CODE_MAX    127 /* largest code of an 8-bit row */
#define FTV_QUERY_MAX   63  /* largest code of a row of Q */
#define FTV_NO_BLOCK    0xFFFFU
#define FTV_ROW_GROUP   16U /* rows of one task */
#define FTV_MAX_WORKERS 64U
#define FTV_PARTS       3U /* Q, K and V */
#define FTV_HEAD_TILES  4U /* tiles of the classifier that one task does */

/* Where everything lies. Embedding, attention and tokens use their buffers in turn. */
typedef struct ftv_buffers {
    int32_t *resident; /* Q16 [resident_tokens][width_stride]: residual stream, first rows */
    int32_t *residual; /* the other rows; columns beyond the width are written, never read */
    ftv_rows rows;     /* [tokens][width_stride]: what LayerNorm or attention hands to a matrix */
    uint8_t *patches;  /* [teams][patches_bytes]: 8-bit rows of a group's patches, see ftv_patches_at */
    int8_t *qkv;       /* codes of Q, K and V of `wave` heads, each of ftv_part_bytes() */
    int32_t *absmax;   /* of the rows in qkv, Q16 [wave][3][tokens] */
    ftv_narrow mixed;  /* attention's output [tokens][heads * head_rows] */
    int32_t *window;   /* residual rows of a group, Q16 [teams][group][width_stride]; NULL: worked on in place */
    uint8_t *hidden;   /* [teams][hidden_bytes]: see ftv_hidden */
    uint8_t *scratch;  /* [workers][scratch_bytes] */
    uint32_t width_stride;
    uint32_t hidden_stride;
    uint32_t group; /* tokens that go through proj and MLP together */
    uint32_t teams; /* groups at a time: 1, all workers on it, or one for each worker */
    uint32_t wave;  /* heads at a time */
    uint32_t resident_tokens;
    bool window_stays; /* attention uses none of its memory */
    uint32_t patch_stride;
    size_t patches_bytes;
    size_t hidden_bytes;
    size_t scratch_bytes;
} ftv_buffers;

/* One pass: the caller's choices and the buffers. */
typedef struct ftv_pass {
    const ftv_model *model;
    const ftv_kernels *kernels;
    const ftv_parallel *parallel;
    const ftv_copies *copies;
    ftv_trace_fn trace; /* may be NULL */
    void *trace_context;
    ftv_buffers buffers;
} ftv_pass;

/* The buffers of a model where a checked plan puts them. memories: where each begins. */
ftv_buffers ftv_lay_out(const ftv_model *model, const ftv_kernels *kernels, const ftv_plan *plan,
                        uint8_t *const memories[FTV_MEMORIES]);

/* The caller's choices, the defaults filled in. */
ftv_options ftv_settled(const ftv_options *options);

/* A worker's own scratch, 16-byte aligned. */
static inline uint8_t *ftv_scratch(const ftv_pass *pass, uint32_t worker) {
    return pass->buffers.scratch + pass->buffers.scratch_bytes * worker;
}

/* `bytes` rounded up so that what follows is aligned. */
static inline size_t ftv_align(size_t bytes) {
    return (bytes + (FTV_ALIGN - 1U)) & ~(size_t)(FTV_ALIGN - 1U);
}

static inline void ftv_for_each(const ftv_parallel *parallel, ftv_task_fn function, void *argument, uint32_t tasks) {
    parallel->run(parallel->context, function, argument, tasks);
}

/* Tiles of one task: all of them where nobody shares the work, else as many as the kernels like. */
static inline uint32_t ftv_share_tiles(const ftv_parallel *parallel, uint32_t all, const ftv_kernels *kernels) {
    uint32_t together = kernels->layer == NULL ? 1U : kernels->tiles;
    return parallel->workers == 1U || together == 0U ? ftv_ceil_div(all, parallel->workers) : together;
}

#define FTV_FIRST_IN_PLACE 4U /* rows that one worker makes before others can join, see ftv_quantise_in_place */

/* Rows of one task: as many tasks for each worker, of FTV_ROW_GROUP rows or a few less. */
static inline uint32_t ftv_share_rows(const ftv_parallel *parallel, uint32_t rows) {
    uint32_t rounds = ftv_ceil_div(rows, parallel->workers * FTV_ROW_GROUP);
    return parallel->workers == 1U ? rows : ftv_ceil_div(rows, parallel->workers * rounds);
}

/* What GELU puts out for a group, and the 8-bit rows that it becomes in place. */
typedef struct ftv_hidden {
    ftv_narrow narrow; /* [group][hidden_stride] */
    ftv_rows rows;     /* codes over the values, without gaps */
    int32_t *behind;   /* room for [group][width_stride] behind the codes, while nothing is narrow; NULL: too little */
} ftv_hidden;

ftv_hidden ftv_hidden_at(const ftv_buffers *buffers, uint32_t team);
ftv_rows ftv_patches_at(const ftv_buffers *buffers, uint32_t team);

/* Tokens first .. first + count - 1 on their way through proj and MLP, and who works on them. */
typedef struct ftv_group {
    const ftv_pass *pass;
    const ftv_parallel *parallel;
    uint32_t team;
    uint32_t first;
    uint32_t count;
} ftv_group;

/* NUMERICS.md, section 3: pixels [image_size][image_size][3] -> the group's rows of the residual stream. */
void ftv_embed(const ftv_group *group, const uint8_t *pixels, int32_t *residual);

/* ---- steps, each by the set's own function or composed of its inner loops; scratch: ftv_step_scratch_bytes() ---- */

size_t ftv_step_scratch_bytes(const ftv_model *model, const ftv_kernels *kernels);

void ftv_layer(const ftv_kernels *kernels, const ftv_layer_job *job, void *scratch);
void ftv_parts(const ftv_kernels *kernels, const ftv_qkv_part *parts, uint32_t count, void *scratch);
void ftv_attend(const ftv_kernels *kernels, const ftv_attend_job *job, void *scratch);
void ftv_norm_rows(const ftv_kernels *kernels, const ftv_norm_job *job, void *scratch);
void ftv_quantise_rows(const ftv_kernels *kernels, const ftv_quantise_job *job, void *scratch);
void ftv_patches(const ftv_kernels *kernels, const ftv_patches_job *job, void *scratch);
void ftv_embed_rows(const ftv_kernels *kernels, const ftv_embed_job *job, void *scratch);

/* What defines each step: composed of a set's inner loops. Scratch is 16-byte aligned. */
void ftv_layer_steps(const ftv_kernels *kernels, const ftv_layer_job *job, void *scratch);
size_t ftv_layer_scratch_bytes(const ftv_kernels *kernels, uint32_t tokens, uint32_t inputs);
/* Bytes of scratch that ftv_layer needs for this job, of whatever model: its tokens and encoding, its layer's inputs and
 * stored_rows count. blank: room to ask the set. */
size_t ftv_layer_job_bytes(const ftv_kernels *kernels, const ftv_layer_job *job, ftv_model *blank);
/* What a layer makes of a tile's exact sums [tokens][16], which it uses up. */
void ftv_put_sums(const ftv_layer_job *job, uint32_t tile, int32_t *sums);
void ftv_qkv_steps(const ftv_kernels *kernels, const ftv_qkv_part *part, void *scratch);
size_t ftv_qkv_scratch_bytes(const ftv_kernels *kernels, uint32_t tokens, uint32_t inputs, uint32_t head_rows);
void ftv_attend_steps(const ftv_kernels *kernels, const ftv_attend_job *job, void *scratch);
size_t ftv_attend_scratch_bytes(uint32_t tokens, uint32_t head_rows);
void ftv_norm_steps(const ftv_norm_job *job, void *scratch);
size_t ftv_norm_scratch_bytes(uint32_t columns);
void ftv_quantise_steps(const ftv_quantise_job *job);
void ftv_patches_steps(const ftv_patches_job *job, void *scratch);
size_t ftv_patches_scratch_bytes(uint32_t side);
void ftv_embed_steps(const ftv_embed_job *job);

/* ---- the same for whole sets of rows or tiles, shared out among workers ---- */

void ftv_attention(const ftv_pass *pass, const ftv_block *block, uint32_t queries);
/* inputs: of the matrix that reads the rows; norm->left_out says which channels these are. */
void ftv_norm_all(const ftv_pass *pass, const ftv_parallel *parallel, const ftv_norm_job *job, uint32_t inputs);
void ftv_quantise_all(const ftv_pass *pass, const ftv_parallel *parallel, const ftv_quantise_job *job);
/* The same in place: job->out.codes is job->in.values. */
void ftv_quantise_in_place(const ftv_pass *pass, const ftv_parallel *parallel, const ftv_quantise_job *job);
void ftv_layer_all(const ftv_pass *pass, const ftv_parallel *parallel, const ftv_layer_job *job);

/* Q16 outputs y [tokens][16], the first `channels` of them real, become narrow ones from column `column` on. */
void ftv_narrow_tile(const ftv_narrow *narrow, uint32_t column, const int32_t *y, uint32_t tokens, uint32_t channels);

/* Sums of `tokens` rows and a tile. */
static inline size_t ftv_sums_bytes(uint32_t tokens) {
    return (size_t)tokens * 16U * sizeof(int32_t);
}

/* ---- rows: the loops that vectorise ---- */

/* One row's absmax, as quantise_row of NUMERICS.md returns it. */
typedef struct ftv_absmax {
    uint32_t a;   /* 1 .. 2^31 - 1 */
    uint32_t a15; /* a * 2^k, 2^14 .. 2^15 - 1 */
    int32_t k;
} ftv_absmax;

/* a15 and k of an absmax a > 0. */
ftv_absmax ftv_absmax_of(uint32_t a);

/* max(1, max|x_i|), i < columns; |x_i| < 2^31. */
uint32_t ftv_row_absmax(const int32_t *x, uint32_t columns);

/* codes[i] = the code of x[i] in -levels..levels, i < columns; zeros up to `stride`. codes and x do not overlap. */
ftv_absmax ftv_quantise_row(int8_t *codes, const int32_t *x, uint32_t columns, uint32_t stride, int32_t levels);

/* Section 2 on the sixteen sums of each token, in place. scales: [tokens]; mantissas, bias: [16], bias in Q16. */
void ftv_requantise(int32_t *sums, uint32_t tokens, const ftv_multiplier *scales, const int32_t *mantissas,
                    const int32_t *bias, int32_t exponent);

/* Section 6: y = GELU(y), Q16, n values. */
void ftv_gelu(int32_t *y, uint32_t n);

/* Section 5, one query: scores acc_j [rows] -> weights w_j; returns S. Uses up the scores. */
typedef struct ftv_softmax_scales {
    uint32_t c;           /* log2 units of one score step: c * 2^-shift */
    int32_t shift;        /* k + e_a + 6 - shk */
    const int32_t *key;   /* [rows] a_K[j] >> shk */
    const int32_t *value; /* [rows] mv_j */
} ftv_softmax_scales;
uint32_t ftv_softmax(int16_t *weights, int32_t *scores, uint32_t rows, const ftv_softmax_scales *scales);

/* Rows from `row` on. */
static inline ftv_rows ftv_rows_from(ftv_rows all, uint32_t row) {
    all.codes += (size_t)row * all.stride;
    all.scales += row;
    return all;
}

/* Calls the caller's hook, if there is one. */
void ftv_trace_s8(const ftv_pass *pass, ftv_site site, uint32_t block, ftv_rows rows, uint32_t count, uint32_t columns);
void ftv_trace_s32(const ftv_pass *pass, ftv_site site, uint32_t block, const int32_t *data, uint32_t count,
                   uint32_t columns, uint32_t stride);

#endif
