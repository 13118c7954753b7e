/* Internal to the reader: what IMAGE_FORMAT.md prescribes for a section, and byte-wise loads. */
#ifndef FTV_IMAGE_H
#define FTV_IMAGE_H

#include "ftv.h"

#include <stdbool.h>

#define FTV_TILE 16u /* channels that are stored together */

#define FTV_INPUTS_MAX   4128u
#define FTV_MANTISSA_MIN (1u << 14)
#define FTV_MANTISSA_MAX ((1u << 15) - 1u)
#define FTV_EXPONENT_MAX 62

typedef enum ftv_section_kind {
    FTV_SECTION_META,
    FTV_SECTION_LABELS,
    FTV_SECTION_MATRIX,
    FTV_SECTION_AFFINE,
    FTV_SECTION_NORM,
    FTV_SECTION_EMBEDDING
} ftv_section_kind;

/* What a row of the table must say, and where the section's content belongs. */
typedef struct ftv_place {
    ftv_section_kind kind;
    uint32_t role;
    uint32_t block;
    uint32_t align;
    uint32_t shortest; /* bytes; text may have any length between the two, a norm any even one, all else either */
    uint32_t longest;
    ftv_linear *linear; /* a norm's: the matrix that reads its rows */
    ftv_norm *norm;
    uint32_t group_rows; /* of the checkpoint; each group of the matrix starts with a new tile */
} ftv_place;

/* Checks the content of the section of `bytes` bytes and puts it into *model, or where `place` points within
 * it. The length has been checked, and the section lies within the image at a multiple of place->align. */
ftv_status ftv_load_section(ftv_model *model, const ftv_place *place, const uint8_t *section, uint32_t bytes);

static inline uint32_t ftv_load16(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static inline uint32_t ftv_load32(const uint8_t *p) {
    return ftv_load16(p) | ftv_load16(p + 2) << 16;
}

static inline int16_t ftv_load_s16(const uint8_t *p) {
    return (int16_t)ftv_load16(p);
}

static inline int32_t ftv_load_s32(const uint8_t *p) {
    return (int32_t)ftv_load32(p);
}

static inline uint32_t ftv_round_up(uint32_t value, uint32_t power_of_two) {
    return (value + power_of_two - 1u) & ~(power_of_two - 1u);
}

static inline bool ftv_within(uint32_t value, uint32_t least, uint32_t most) {
    return value >= least && value <= most;
}

#endif
