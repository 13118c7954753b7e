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

/* A ternary LayerNorm: codes w + 1, four a byte, low bits first. */
typedef struct ftv_norm {
    const uint8_t *gamma;
    const uint8_t *beta;
    ftv_multiplier beta_ratio;
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

/* One head's Q, K or V over all tokens: `head_rows` stored rows of the fused QKV matrix, from `first_row` on. */
typedef struct ftv_qkv_part {
    const int8_t *x;              /* codes [tokens][stride], as in linear_s8t2 */
    const ftv_multiplier *scales; /* [tokens] */
    uint32_t tokens;
    uint32_t stride;
    const ftv_linear *layer;
    uint32_t first_row;
    uint32_t head_dim;
    uint32_t head_rows; /* head_dim rounded up to 16 */
    int32_t levels;     /* largest code: 63 for Q, 127 for K and V */
    int8_t *codes;      /* out: [tokens][head_rows], zero beyond head_dim */
    int32_t *absmax;    /* out: [tokens], Q16 */
} ftv_qkv_part;

/* The replaceable inner loops; every implementation equals `ref` to the last bit. */
typedef struct ftv_kernels {
    const char *name;
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
    /* Product, requantisation and 8-bit rows of one head's Q, K or V in one go. NULL: the engine takes these steps one
     * after the other, with linear(). qkv_scratch_bytes: of one call; only where qkv is not NULL. */
    void (*qkv)(const ftv_qkv_part *part, void *scratch);
    size_t (*qkv_scratch_bytes)(uint32_t inputs, uint32_t head_rows);
} ftv_kernels;

FTV_API extern const ftv_kernels ftv_kernels_ref;
FTV_API extern const ftv_kernels ftv_kernels_portable;

/* Where a trace hook is called; see ftv_run. `rows` x `columns` values of `bytes_per_value` bytes (int8 or int32). */
typedef enum ftv_site {
    FTV_SITE_PATCH_CODES = 1, /* int8 [patches][3 patch^2] */
    FTV_SITE_EMBEDDED,        /* int32 Q16 [tokens][width], start of the residual stream */
    FTV_SITE_NORM1_CODES,     /* int8 [tokens][width] */
    FTV_SITE_ATTENTION,       /* int32 Q16 [query tokens][width], heads side by side */
    FTV_SITE_ATTENTION_CODES, /* int8 [query tokens][width] */
    FTV_SITE_PROJ_RESIDUAL,   /* int32 Q16 [query tokens][width] */
    FTV_SITE_NORM2_CODES,     /* int8 [query tokens][width] */
    FTV_SITE_HIDDEN_CODES,    /* int8 [query tokens][hidden] */
    FTV_SITE_FC2_RESIDUAL,    /* int32 Q16 [query tokens][width] */
    FTV_SITE_NORM_CODES,      /* int8 [1][width] */
    FTV_SITE_LOGITS           /* int32 Q16 [1][classes] */
} ftv_site;

/* data: `rows` rows, `stride_bytes` from one to the next. `block` is 0xFFFF outside blocks. query tokens: tokens, or 1
 * in the last block. The rows of FTV_SITE_HIDDEN_CODES come in several calls, from first to last, where the MLP runs on
 * groups of tokens. */
typedef void (*ftv_trace_fn)(void *context, ftv_site site, uint32_t block, const void *data, uint32_t rows,
                             uint32_t columns, uint32_t bytes_per_value, uint32_t stride_bytes);

/* ---- where the values of a pass lie ---- */

/* Two memories: the arena, and one that is larger and slower, such as PSRAM beside SRAM. */
typedef enum ftv_memory { FTV_NEAR = 0, FTV_FAR = 1 } ftv_memory;
#define FTV_MEMORIES 2

/* What a pass keeps in memory. Patches, attention and MLP are used in turn and may lie on top of each other. */
typedef enum ftv_buffer {
    FTV_BUFFER_SCRATCH = 0, /* of all workers */
    FTV_BUFFER_RESIDUAL,    /* the residual stream */
    FTV_BUFFER_ROWS,        /* what a matrix reads: codes and token scales */
    FTV_BUFFER_PATCHES,     /* embedding: codes and scales of the patches */
    FTV_BUFFER_QKV,         /* attention: codes of Q, K and V */
    FTV_BUFFER_ABSMAX,      /* attention: their scales */
    FTV_BUFFER_MIXED,       /* attention: its output */
    FTV_BUFFER_HIDDEN,      /* MLP: output of GELU */
    FTV_BUFFER_HIDDEN_ROWS  /* MLP: its codes and scales */
} ftv_buffer;
#define FTV_BUFFERS 9

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
    uint32_t mlp_tokens; /* tokens that go through the MLP together */
} ftv_plan;

typedef struct ftv_options {
    const ftv_kernels *kernels;   /* NULL: ftv_kernels_portable */
    const ftv_parallel *parallel; /* NULL: the calling thread alone */
    ftv_trace_fn trace;           /* NULL: none */
    void *trace_context;
    const ftv_plan *plan; /* NULL: ftv_make_plan's */
    void *far;            /* 16-byte aligned memory for what the plan puts there; NULL where it puts nothing there */
    size_t far_bytes;
} ftv_options;

/* The engine's own plan, everything near; all zeros for an impossible number of workers. options: may be NULL. */
FTV_API ftv_plan ftv_make_plan(const ftv_model *model, const ftv_options *options);

/* FTV_OK if options->plan serves this model with these kernels and workers: every buffer is large enough, aligned,
 * within its memory, and apart from those that are in use at the same time. Else FTV_ERR_PLAN. */
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
