/* Shared by the files of the engine: how a pass through the model is laid out in memory, and its steps. */
#ifndef FTV_ENGINE_H
#define FTV_ENGINE_H

#include "ftv.h"

#define FTV_CODE_MAX    127 /* largest code of an 8-bit row */
#define FTV_QUERY_MAX   63  /* largest code of a row of Q */
#define FTV_NO_BLOCK    0xFFFFU
#define FTV_ROW_GROUP   16U /* rows of one task */
#define FTV_MAX_WORKERS 64U

/* Eight-bit rows with their token scales. */
typedef struct ftv_rows {
    int8_t *codes;          /* [rows][stride], zero beyond the row's own values */
    ftv_multiplier *scales; /* [rows] */
    uint32_t stride;        /* bytes, a multiple of 16 */
} ftv_rows;

/* Where everything lies. Patches, attention and MLP use their buffers in turn. */
typedef struct ftv_buffers {
    int32_t *residual;    /* Q16 [tokens][width_stride]; columns beyond the width are written, never read */
    ftv_rows rows;        /* [tokens][width_stride]: what LayerNorm or attention hands to a matrix */
    ftv_rows patches;     /* [patches][patch_stride] */
    int8_t *qkv;          /* codes [heads][3][tokens][head_rows] */
    int32_t *absmax;      /* of the rows in qkv, Q16 [heads][3][tokens] */
    int32_t *mixed;       /* attention's output, Q16 [tokens][width_stride] */
    int32_t *hidden;      /* GELU's output, Q16 [mlp_tokens][hidden_stride] */
    ftv_rows hidden_rows; /* [mlp_tokens][hidden_stride] */
    uint8_t *scratch;     /* [workers][scratch_bytes] */
    uint32_t width_stride;
    uint32_t hidden_stride;
    uint32_t mlp_tokens; /* tokens that go through the MLP together */
    size_t scratch_bytes;
} ftv_buffers;

/* One pass: the caller's choices and the buffers. */
typedef struct ftv_pass {
    const ftv_model *model;
    const ftv_kernels *kernels;
    const ftv_parallel *parallel;
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

static inline void ftv_for_each(const ftv_pass *pass, ftv_task_fn function, void *argument, uint32_t tasks) {
    pass->parallel->run(pass->parallel->context, function, argument, tasks);
}

/* Scratch that a task of each step needs, bytes. */
size_t ftv_patch_scratch_bytes(const ftv_model *model);
size_t ftv_norm_scratch_bytes(const ftv_model *model);
size_t ftv_attention_scratch_bytes(const ftv_model *model, const ftv_kernels *kernels);

/* NUMERICS.md, section 3: pixels [image_size][image_size][3] -> residual. */
void ftv_embed(ftv_pass *pass, const uint8_t *pixels);

/* Section 4: the first `rows` rows of the residual stream -> buffers.rows. */
void ftv_norm_rows(ftv_pass *pass, const ftv_norm *norm, uint32_t rows);

/* Section 5: buffers.rows (all tokens) -> buffers.mixed (the first `queries` tokens). */
void ftv_attend(ftv_pass *pass, const ftv_block *block, uint32_t queries);

/* What ftv_kernels.qkv computes, step by step with the pass's model and linear kernels. scratch: 16-byte aligned,
 * (4 head_rows + 64) bytes for each token, at most 64 of them, then that of the linear kernel. */
void ftv_qkv_rows(const ftv_pass *pass, const ftv_qkv_part *part, uint8_t *scratch);

/* Section 1: Q16 [rows][stride] of `columns` values -> 8-bit rows of the same stride. */
void ftv_quantise_rows(ftv_pass *pass, const int32_t *q16, uint32_t rows, uint32_t columns, ftv_rows out);

/* ---- linear layers, section 2 ---- */

/* Sixteen output channels of a layer over `tokens` rows: sums[token * 16 + channel], Q16. */
typedef struct ftv_tile {
    const ftv_linear *layer;
    uint32_t index; /* of the tile */
} ftv_tile;

/* sums: [tokens][16], then `linear_scratch_bytes` of scratch for the kernel. */
void ftv_linear_tile(const ftv_pass *pass, ftv_tile tile, ftv_rows x, uint32_t tokens, int32_t *sums, void *scratch);

/* What happens to a tile's Q16 outputs: out[token * out_stride + 0..15]. */
typedef enum ftv_output {
    FTV_STORE,    /* out = y */
    FTV_ACTIVATE, /* out = GELU(y) */
    FTV_ADD       /* out = sat30(out + y) */
} ftv_output;

/* A whole layer, one task a tile. out: [tokens][out_stride], out_stride >= stored rows. */
void ftv_linear_layer(ftv_pass *pass, const ftv_linear *layer, ftv_rows x, uint32_t tokens, ftv_output output,
                      int32_t *out, uint32_t out_stride);

/* Scratch of ftv_linear_layer's tasks: sums of `tokens` rows, then the kernel's own. */
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

/* Calls the caller's hook, if there is one. */
void ftv_trace_s8(const ftv_pass *pass, ftv_site site, uint32_t block, ftv_rows rows, uint32_t count, uint32_t columns);
void ftv_trace_s32(const ftv_pass *pass, ftv_site site, uint32_t block, const int32_t *data, uint32_t count,
                   uint32_t columns, uint32_t stride);

#endif
