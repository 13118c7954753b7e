/* ftv: fully ternary Vision Transformers in integer arithmetic.
 *
 * No heap, no stdio, no globals, no floating point. The caller owns all memory: the image (IMAGE_FORMAT.md), read in
 * place, and an arena whose size ftv_arena_bytes() tells. Every number is defined in NUMERICS.md.
 */
#ifndef FTV_H
#define FTV_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef FTV_API
#if defined(_WIN32) && defined(FTV_SHARED)
#define FTV_API __declspec(dllexport)
#elif defined(__GNUC__) && defined(FTV_SHARED)
#define FTV_API __attribute__((visibility("default")))
#else
#define FTV_API
#endif
#endif

#define FTV_MAX_DEPTH 64
#define FTV_ALIGN     16 /* bytes; of the image and of the arena */

/* What went wrong. 0 is success; IMAGE_FORMAT.md says which rule each negative value stands for. */
typedef enum ftv_status {
    FTV_OK = 0,
    FTV_ERR_ARGUMENT = -1,
    FTV_ERR_ALIGN = -2,
    FTV_ERR_TRUNCATED = -3,
    FTV_ERR_MAGIC = -4,
    FTV_ERR_VERSION = -5,
    FTV_ERR_LENGTH = -6,
    FTV_ERR_HASH = -7,
    FTV_ERR_ENCODING = -8,
    FTV_ERR_ARCHITECTURE = -9,
    FTV_ERR_SCALE = -10,
    FTV_ERR_PADDING = -11,
    FTV_ERR_TABLE = -12,
    FTV_ERR_TEXT = -13,
    FTV_ERR_CODE = -14,
    FTV_ERR_ARENA = -15,
    FTV_ERR_PLAN = -16
} ftv_status;

/* One sentence in English for a status; never NULL. */
FTV_API const char *ftv_status_text(ftv_status status);

typedef enum ftv_encoding { FTV_T2 = 2, FTV_T5 = 5 } ftv_encoding;

/* A real number mantissa * 2^-exponent. */
typedef struct ftv_multiplier {
    uint16_t mantissa;
    int16_t exponent;
} ftv_multiplier;

/* A ternary matrix in its image: `stored_rows` (a multiple of 16) x `inputs`, in tiles of 16 rows. */
typedef struct ftv_linear {
    const uint8_t *tiles;      /* 64-byte aligned within the image */
    const uint16_t *mantissas; /* [stored_rows], or [1] if !per_channel */
    const int16_t *bias;       /* [stored_rows], Q16 >> bias_shift */
    uint32_t stored_rows;
    uint32_t rows; /* rows of the checkpoint */
    uint32_t inputs;
    uint32_t tile_bytes;
    int16_t exponent;
    uint8_t bias_shift;
    uint8_t per_channel;
} ftv_linear;

/* A ternary LayerNorm: codes w + 1, four a byte, low bits first. Where the matrix that reads its rows has fewer inputs
 * than there are channels, some are left out of each row, and others take their places (IMAGE_FORMAT.md). */
typedef struct ftv_norm {
    const uint8_t *gamma;
    const uint8_t *beta;
    ftv_multiplier beta_ratio;
    const uint16_t *left_out; /* channels, ascending [width - inputs]; NULL: none */
} ftv_norm;

typedef struct ftv_block {
    ftv_norm norm1;
    ftv_linear qkv;
    ftv_linear proj;
    ftv_norm norm2;
    ftv_linear fc1;
    ftv_linear fc2;
} ftv_block;

/* A validated image: pointers into the caller's bytes. */
typedef struct ftv_model {
    const uint8_t *image;
    uint32_t image_bytes;
    ftv_encoding encoding;
    uint32_t image_size; /* pixels, side of the square input */
    uint32_t patch_size; /* pixels */
    uint32_t width;      /* channels of a token */
    uint32_t depth;      /* blocks */
    uint32_t heads;
    uint32_t head_dim;
    uint32_t head_rows; /* head_dim rounded up to 16: stored rows of one head's Q, K or V */
    uint32_t hidden;
    uint32_t classes;
    uint32_t tokens;
    uint8_t position_on_class_token;
    uint32_t eps_q32;
    ftv_multiplier attention;
    int32_t pixel_scale[3];
    int32_t pixel_offset[3];
    const char *meta; /* JSON, not terminated */
    uint32_t meta_bytes;
    const char *labels; /* one a line */
    uint32_t labels_bytes;
    ftv_linear patch;
    const int16_t *cls;      /* [width] */
    const int16_t *position; /* [position rows][width] */
    uint8_t cls_shift;
    uint8_t position_shift;
    ftv_block blocks[FTV_MAX_DEPTH];
    ftv_norm norm;
    ftv_linear head;
} ftv_model;

/* Validates `bytes` bytes at `image` (16-byte aligned) against IMAGE_FORMAT.md and fills *model with pointers into them.
 * Reads nothing outside them, whatever they hold. On an error *model is unspecified. */
FTV_API ftv_status ftv_open(ftv_model *model, const void *image, size_t bytes);

/* sizeof(ftv_model), for callers in other languages. */
FTV_API size_t ftv_model_bytes(void);

/* Label of class `index`: start and length in bytes (UTF-8, not terminated); NULL and 0 if there is none. */
FTV_API const char *ftv_label(const ftv_model *model, uint32_t index, uint32_t *length);

/* ---- running ---- */

/* A piece of work: `task` of `tasks`, on worker `worker` of `workers`. */
typedef void (*ftv_task_fn)(void *argument, uint32_t task, uint32_t worker);

/* How the caller runs pieces of work: run() calls function(argument, task, worker) once for every task < tasks, in any
 * order, worker < workers and never the same worker twice at a time, and returns when all are done. workers: 1 .. 64. */
typedef struct ftv_parallel {
    void (*run)(void *context, ftv_task_fn function, void *argument, uint32_t tasks);
    void *context;
    uint32_t workers;
} ftv_parallel;

/* Eight-bit rows with their token scales. Kernels may read FTV_ROWS_READ_ON bytes beyond the last row, whatever they
 * hold. */
#define FTV_ROWS_READ_ON 32U
typedef struct ftv_rows {
    int8_t *codes;          /* [rows][stride], zero beyond the row's own values */
    ftv_multiplier *scales; /* [rows] */
    uint32_t stride;        /* bytes, a multiple of 16 */
} ftv_rows;

/* Q16 rows kept in 16 bits, exactly as far as eight-bit rows need them: sixteen neighbours share an absmax a, and a
 * value is y >> max(0, bits(a) - 15). Floors compose, so quantise_row (NUMERICS.md, section 1) needs nothing else. */
typedef struct ftv_narrow {
    int16_t *values; /* [rows][stride] */
    int32_t *absmax; /* [rows][stride / 16], max|y|, 0 .. 2^30 */
    uint32_t stride; /* values, a multiple of 16 */
} ftv_narrow;

/* What happens to a matrix's Q16 outputs y. */
typedef enum ftv_output {
    FTV_STORE,   /* out = y */
    FTV_ADD,     /* out = sat30(out + y) */
    FTV_ACTIVATE /* narrow = GELU(y) */
} ftv_output;

/* Tiles first_tile .. first_tile + tiles - 1 of a matrix over all rows of x, NUMERICS.md, section 2 (and 6). */
typedef struct ftv_layer_job {
    const ftv_linear *layer;
    ftv_encoding encoding;
    uint32_t first_tile;
    uint32_t tiles;
    ftv_rows x;
    uint32_t tokens;
    ftv_output output;
    int32_t *out;        /* FTV_STORE, FTV_ADD: [tokens][out_stride], 16-byte aligned */
    uint32_t out_stride; /* words, a multiple of 4 */
    ftv_narrow narrow;   /* FTV_ACTIVATE: [tokens][narrow.stride]; absmax is that of real channels */
    uint32_t column;     /* of the job's first channel in out or narrow, a multiple of 16 */
} ftv_layer_job;

/* One head's Q, K or V over all tokens: `head_rows` stored rows of the fused QKV matrix, from `first_row` on. */
typedef enum ftv_part { FTV_Q = 0, FTV_K = 1, FTV_V = 2 } ftv_part;

typedef struct ftv_qkv_part {
    ftv_part part;
    const ftv_linear *layer;
    ftv_encoding encoding;
    uint32_t first_row;
    ftv_rows x;
    uint32_t tokens; /* of x */
    uint32_t first;  /* tokens first .. first + count - 1 are computed; first is a multiple of 16 */
    uint32_t count;
    uint32_t head_dim;
    uint32_t head_rows; /* head_dim rounded up to 16 */
    int32_t levels;     /* largest code: 63 for Q, 127 for K and V */
    int8_t *codes;      /* of all tokens: ftv_part_bytes() bytes, 16-byte aligned, laid out as the kernels like */
    int32_t *absmax;    /* [tokens], Q16 */
    uint32_t again;     /* 1: the call before had these rows of this x, too, and left its scratch as it is */
} ftv_qkv_part;

/* Query rows first .. first + count - 1 of one head, NUMERICS.md, section 5, from its Q, K and V to its columns of the
 * attention's output. */
typedef struct ftv_attend_job {
    const int8_t *codes[3];   /* Q, K, V, as the kernels' own qkv() or parts() laid them out */
    const int32_t *absmax[3]; /* [tokens] each */
    uint32_t tokens;
    uint32_t first;
    uint32_t count;
    uint32_t head_dim;
    uint32_t head_rows;
    ftv_multiplier attention; /* m_a, e_a */
    ftv_narrow out;           /* [tokens][heads * head_rows] */
    uint32_t column;          /* of the head in out: head * head_rows */
} ftv_attend_job;

/* LayerNorm of Q16 rows, NUMERICS.md, section 4; all channels. */
typedef struct ftv_norm_job {
    const int32_t *x;  /* [rows][x_stride], 16-byte aligned */
    uint32_t x_stride; /* words, a multiple of 4 */
    uint32_t rows;
    uint32_t columns;
    const ftv_norm *norm;
    uint32_t eps_q32;
    ftv_rows out;
} ftv_norm_job;

/* Eight-bit rows of narrow ones, L = 127. Pieces of `piece` values, each `piece_stride` values after the last, become
 * neighbours. out.codes may be in.values, with out.stride = in.stride: rows in their order, each value read before
 * codes come to its place. */
typedef struct ftv_quantise_job {
    ftv_narrow in;
    uint32_t rows;
    uint32_t pieces;
    uint32_t piece;
    uint32_t piece_stride; /* a multiple of 16 */
    ftv_rows out;
} ftv_quantise_job;

/* Patches side by side as eight-bit rows, L = 127, NUMERICS.md, section 3. */
typedef struct ftv_patches_job {
    const uint8_t *pixels; /* RGB: the first patch's corner */
    uint32_t line_bytes;   /* from a line of pixels to the next */
    uint32_t patches;
    uint32_t side;         /* pixels */
    const int32_t *scale;  /* [3] */
    const int32_t *offset; /* [3] */
    ftv_rows out;          /* [patches] of 3 side^2 codes */
} ftv_patches_job;

/* Embeddings, x = sat30(x + (values << shift)), NUMERICS.md, section 3. */
typedef struct ftv_embed_job {
    int32_t *x;            /* [rows][x_stride], 16-byte aligned */
    uint32_t x_stride;     /* words, a multiple of 4 */
    const int16_t *values; /* [rows][columns] */
    uint32_t rows;
    uint32_t columns;
    uint32_t shift;
} ftv_embed_job;

/* What is replaceable; every implementation equals `ref` to the last bit. */
typedef struct ftv_kernels {
    const char *name;

    /* ---- inner loops: every set has them ---- */

    /* Bytes of scratch that one call of linear() needs for `inputs` inputs. */
    size_t (*linear_scratch_bytes)(uint32_t inputs);
    /* sums[token * 16 + channel] = sum_k x[token * stride + k] * w[channel][k], for one tile of 16 channels.
     * x: codes -127..127, `stride` bytes a row, a multiple of 16, rows 16-byte aligned and zero beyond `inputs`.
     * scratch: 16-byte aligned. Nothing overlaps. */
    void (*linear_s8t2)(int32_t *sums, const int8_t *x, uint32_t tokens, uint32_t stride, const uint8_t *tile,
                        uint32_t inputs, void *scratch);
    void (*linear_s8t5)(int32_t *sums, const int8_t *x, uint32_t tokens, uint32_t stride, const uint8_t *tile,
                        uint32_t inputs, void *scratch);
    /* scores[j] = sum_c q[c] * k[j * stride + c], j < rows, c < head_dim <= 256. stride: head_dim rounded up to 16;
     * q and the rows of k are 16-byte aligned and zero beyond head_dim. */
    void (*scores_s8s8)(int32_t *scores, const int8_t *q, const int8_t *k, uint32_t rows, uint32_t stride,
                        uint32_t head_dim);
    /* sums[c] = sum_j weights[j] * v[j * stride + c], weights 0..2^13; rows of v as those of k, sums with room for
     * `stride` values. */
    void (*mix_s16s8)(int32_t *sums, const int16_t *weights, const int8_t *v, uint32_t rows, uint32_t stride,
                      uint32_t head_dim);

    /* ---- whole steps: NULL: the engine composes the step of inner loops ---- */

    void (*layer)(const ftv_layer_job *job, void *scratch);
    void (*qkv)(const ftv_qkv_part *part, void *scratch); /* without attend(): codes [tokens][head_rows] */
    /* `count` parts of one layer, one x and one range of tokens, whose rows of the matrix follow one another: what the
     * tokens cost is paid once. A set with it needs no qkv(). */
    void (*parts)(const ftv_qkv_part *parts, uint32_t count, void *scratch);
    void (*attend)(const ftv_attend_job *job, void *scratch);
    void (*norm)(const ftv_norm_job *job, void *scratch);
    void (*quantise)(const ftv_quantise_job *job, void *scratch);
    void (*patches)(const ftv_patches_job *job, void *scratch);
    void (*embed)(const ftv_embed_job *job, void *scratch);
    /* Bytes of scratch that one call of any of these steps needs for the model; NULL where there are none. */
    size_t (*scratch_bytes)(const ftv_model *model);
    uint32_t value_bytes; /* of a code of V, as qkv() or parts() lays it out; 0 means 1 */
    uint32_t tiles;       /* that layer() likes to do together; 0: as many as make even shares */
} ftv_kernels;

/* Bytes of one head's Q, K or V as a set of kernels lays it out: whole tiles of 16 tokens. */
FTV_API size_t ftv_part_bytes(const ftv_kernels *kernels, ftv_part part, uint32_t tokens, uint32_t head_rows);

FTV_API extern const ftv_kernels ftv_kernels_ref;
FTV_API extern const ftv_kernels ftv_kernels_portable;
FTV_API extern const ftv_kernels ftv_kernels_scalar; /* for chips without a vector unit */

/* Where a trace hook is called; see ftv_run. `rows` x `columns` values of `bytes_per_value` bytes (int8 or int32). */
typedef enum ftv_site {
    FTV_SITE_PATCH_CODES = 1,     /* int8 [patches][3 patch^2] */
    FTV_SITE_EMBEDDED = 2,        /* int32 Q16 [tokens][width], start of the residual stream */
    FTV_SITE_NORM1_CODES = 3,     /* int8 [tokens][inputs of qkv], without channels that are left out */
    FTV_SITE_ATTENTION_CODES = 5, /* int8 [query tokens][width], heads side by side */
    FTV_SITE_PROJ_RESIDUAL = 6,   /* int32 Q16 [query tokens][width] */
    FTV_SITE_NORM2_CODES = 7,     /* int8 [query tokens][inputs of fc1], the same */
    FTV_SITE_HIDDEN_CODES = 8,    /* int8 [query tokens][hidden] */
    FTV_SITE_FC2_RESIDUAL = 9,    /* int32 Q16 [query tokens][width] */
    FTV_SITE_NORM_CODES = 10,     /* int8 [1][inputs of head], the same */
    FTV_SITE_LOGITS = 11          /* int32 Q16 [1][classes] */
} ftv_site;

/* data: `rows` rows, `stride_bytes` from one to the next. `block` is 0xFFFF outside blocks. query tokens: tokens, or 1
 * in the last block. Up to the first norm, and from a block's attention codes to the next norm, rows come in groups of tokens: several
 * calls a site, first rows first, each group passing all of these sites before the next group does. */
typedef void (*ftv_trace_fn)(void *context, ftv_site site, uint32_t block, const void *data, uint32_t rows,
                             uint32_t columns, uint32_t bytes_per_value, uint32_t stride_bytes);

/* ---- where the values of a pass lie ---- */

/* Three memories: the arena; one that is larger and slower, such as PSRAM beside SRAM; and another piece as fast as the
 * arena, such as what a heap has left. */
typedef enum ftv_memory { FTV_NEAR = 0, FTV_FAR = 1, FTV_SPARE = 2 } ftv_memory;
#define FTV_MEMORIES 3

/* What a pass keeps in memory. Embedding, attention and tokens (proj and MLP) take turns and may lie on top of each
 * other. */
typedef enum ftv_buffer {
    FTV_BUFFER_SCRATCH = 0, /* of all workers */
    FTV_BUFFER_RESIDENT,    /* the residual stream's first rows, ftv_plan.resident of them */
    FTV_BUFFER_RESIDUAL,    /* the rest of them */
    FTV_BUFFER_ROWS,        /* what a matrix reads: codes and token scales */
    FTV_BUFFER_PATCHES,     /* embedding: codes and scales of a group's patches */
    FTV_BUFFER_QKV,         /* attention: codes of Q, K and V */
    FTV_BUFFER_ABSMAX,      /* attention: their scales */
    FTV_BUFFER_MIXED,       /* attention and tokens: what attention puts out */
    FTV_BUFFER_WINDOW, /* embedding and tokens: copies of residual rows; no bytes where they are worked on in place */
    FTV_BUFFER_HIDDEN  /* tokens: what GELU puts out, its codes and scales */
} ftv_buffer;
#define FTV_BUFFERS 10

typedef struct ftv_plan_place {
    uint32_t memory; /* ftv_memory */
    uint32_t offset; /* bytes, a multiple of 16 */
    uint32_t bytes;
} ftv_plan_place;

/* A memory plan for one architecture, set of kernels and number of workers. */
typedef struct ftv_plan {
    ftv_plan_place places[FTV_BUFFERS];
    uint32_t bytes[FTV_MEMORIES]; /* that the plan needs of each memory */
    uint32_t workers;
    uint32_t group; /* tokens that go through the embedding, or proj and MLP, together */
    uint32_t teams; /* groups at a time: 1, all workers on it, or as many as workers, one each */
    uint32_t wave;  /* heads at a time */
    uint32_t
        window; /* 1: a group's rows of FTV_BUFFER_RESIDUAL are copied, worked on and copied back; those of the next
                          group come while this one computes, where GELU's codes leave room for them */
    uint32_t resident; /* tokens whose residual rows lie apart from the others', 0 .. tokens; they need no window */
} ftv_plan;

/* Copies of residual rows between FTV_BUFFER_RESIDUAL and SRAM that go on while kernels compute, such as by DMA. Called by
 * ftv_run's own thread alone; what a copy reads and writes is left alone until it was waited for. */
typedef struct ftv_copies {
    void *context;
    /* Starts a copy of `bytes`, a multiple of 64, and returns its number for wait(); copies are made in the order of
     * their start. The end in FTV_FAR is 64-byte aligned and shares no 64 bytes with anything else, the other end is
     * 16-byte aligned; nothing but these copies touches FTV_BUFFER_RESIDUAL, so that it need not agree with a cache. */
    uint32_t (*start)(void *context, void *to, const void *from, size_t bytes);
    /* Returns when that copy and all before it have been made. */
    void (*wait)(void *context, uint32_t copy);
} ftv_copies;

#define FTV_COPY_ALIGN 64U

typedef struct ftv_options {
    const ftv_kernels *kernels;   /* NULL: ftv_kernels_portable */
    const ftv_parallel *parallel; /* NULL: the calling thread alone */
    ftv_trace_fn trace;           /* NULL: none */
    void *trace_context;
    const ftv_plan *plan; /* NULL: ftv_make_plan's */
    void *far;            /* 16-byte aligned memory for what the plan puts there; NULL where it puts nothing there */
    size_t far_bytes;
    void *spare; /* the same */
    size_t spare_bytes;
    const ftv_copies *copies; /* NULL: copies are made at once. Not with more than one team */
} ftv_options;

/* The engine's own plan, everything near; all zeros for an impossible number of workers. options: may be NULL. */
FTV_API ftv_plan ftv_make_plan(const ftv_model *model, const ftv_options *options);

/* The bytes that each buffer needs for the plan's workers, group, teams, wave and window, all within ftv_check_plan's
 * limits. options: for their kernels; may be NULL. */
FTV_API void ftv_plan_needs(uint32_t bytes[FTV_BUFFERS], const ftv_model *model, const ftv_options *options,
                            const ftv_plan *plan);

/* FTV_OK if options->plan serves this model with these kernels and workers: every buffer is large enough, aligned,
 * within its memory, and apart from those that are in use at the same time, the arena holds some of them, and there is
 * what options->copies ask for. Else FTV_ERR_PLAN. */
FTV_API ftv_status ftv_check_plan(const ftv_model *model, const ftv_options *options);

/* Bytes of arena that ftv_run needs for this model and these options (NULL: defaults); 0 for an impossible number of
 * workers. */
FTV_API size_t ftv_arena_bytes(const ftv_model *model, const ftv_options *options);

/* One image through the model.
 * pixels: uint8 [image_size][image_size][3], RGB, row by row. logits: int32 [classes], Q16.
 * arena: 16-byte aligned, at least ftv_arena_bytes() bytes; nothing survives in it. */
FTV_API ftv_status ftv_run(const ftv_model *model, const ftv_options *options, const uint8_t *pixels, int32_t *logits,
                           void *arena, size_t arena_bytes);

#ifdef __cplusplus
}
#endif
#endif
