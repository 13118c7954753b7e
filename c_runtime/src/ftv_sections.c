/* Checks the content of an image's sections: IMAGE_FORMAT.md, "Sections". */
#include "ftv_image.h"

#define EXPONENT_MIN (-32)
#define SHIFT_MAX    14u

#define T2_ZEROS 0x55u /* four weights of 0 */
#define T5_ZEROS 128u  /* five */

/* A float's bits: finite and above zero. */
static bool is_scale(uint32_t bits) {
    return ftv_within(bits, 1u, 0x7F7FFFFFu);
}

static bool is_exponent(int32_t exponent) {
    return exponent >= EXPONENT_MIN && exponent <= FTV_EXPONENT_MAX;
}

/* ---- text ---- */

/* Bytes of the UTF-8 character at p (RFC 3629: shortest form, no surrogates, at most U+10FFFF); 0 if there is
 * none. */
static uint32_t utf8_length(const uint8_t *p, uint32_t left) {
    uint32_t first = p[0], length = 2, least = 0x80, most = 0xBF;
    if (first < 0x80)
        return 1;
    if (first < 0xC2 || first > 0xF4)
        return 0;
    if (first >= 0xE0)
        length = first < 0xF0 ? 3 : 4;
    if (first == 0xE0)
        least = 0xA0;
    else if (first == 0xED)
        most = 0x9F;
    else if (first == 0xF0)
        least = 0x90;
    else if (first == 0xF4)
        most = 0x8F;
    if (left < length || !ftv_within(p[1], least, most))
        return 0;
    for (uint32_t i = 2; i < length; i++)
        if (!ftv_within(p[i], 0x80, 0xBF))
            return 0;
    return length;
}

static ftv_status check_labels(const uint8_t *text, uint32_t bytes, uint32_t classes) {
    uint32_t lines = 0, line_start = 0;
    for (uint32_t at = 0; at < bytes;) {
        if (text[at] == '\n') {
            if (at == line_start)
                return FTV_ERR_TEXT;
            lines++;
            line_start = ++at;
            continue;
        }
        uint32_t length = utf8_length(text + at, bytes - at);
        if (length == 0 || text[at] < 0x20 || text[at] == 0x7F)
            return FTV_ERR_TEXT;
        at += length;
    }
    return line_start == bytes && lines == classes ? FTV_OK : FTV_ERR_TEXT;
}

/* ---- tensors ---- */

/* Channels of a tile that are in the checkpoint; the rest are pad rows. */
static uint32_t real_channels(const ftv_place *p, uint32_t tile) {
    uint32_t tiles_per_group = (p->group_rows + FTV_TILE - 1u) / FTV_TILE;
    uint32_t before = tile % tiles_per_group * FTV_TILE;
    return p->group_rows - before < FTV_TILE ? p->group_rows - before : FTV_TILE;
}

static bool t2_is_ternary(const uint8_t *tiles, uint32_t bytes) {
    uint32_t threes = 0;
    for (uint32_t i = 0; i < bytes; i++)
        threes |= (uint32_t)tiles[i] & (uint32_t)tiles[i] >> 1;
    return (threes & T2_ZEROS) == 0;
}

/* A byte is ceil(256 v / 243) for a v of 0..242 exactly if 243 b lies less than 243 above a multiple of 256.
 */
static bool t5_is_ternary(const uint8_t *tiles, uint32_t bytes) {
    uint32_t bad = 0;
    for (uint32_t i = 0; i < bytes; i++)
        bad |= (uint32_t)((uint32_t)tiles[i] * 243u % 256u >= 243u);
    return bad == 0;
}

/* The last block of a tile: where k >= K, all 16 channels are 0. */
static bool t2_ends_in_zeros(const uint8_t *block, uint32_t inputs_in_block) {
    uint32_t differs = 0;
    for (uint32_t j = 0; j < 4; j++) {
        uint32_t mask = 0;
        for (uint32_t s = 0; s < 4; s++)
            if (4u * s + j >= inputs_in_block)
                mask |= 3u << (2u * s);
        for (uint32_t channel = 0; channel < FTV_TILE; channel++)
            differs |= (block[j * FTV_TILE + channel] ^ T2_ZEROS) & mask;
    }
    return differs == 0;
}

/* The last group of a tile. Digits are w + 1, so a zero is a 1. */
static bool t5_ends_in_zeros(const uint8_t *group, uint32_t inputs_in_group) {
    static const uint32_t weights[5] = {1, 3, 9, 27, 81};
    uint32_t modulus = weights[5u - inputs_in_group], zeros = (modulus - 1u) / 2u; /* digits 11..1 */
    for (uint32_t channel = 0; channel < FTV_TILE; channel++)
        if ((uint32_t)group[channel] * 243u / 256u % modulus != zeros)
            return false;
    return true;
}

static bool tile_ends_in_zeros(const uint8_t *tile, uint32_t tile_bytes, uint32_t inputs, bool is_t2) {
    uint32_t step = is_t2 ? 16u : 5u, rest = inputs % step;
    if (rest == 0)
        return true;
    return is_t2 ? t2_ends_in_zeros(tile + tile_bytes - 64, rest) : t5_ends_in_zeros(tile + tile_bytes - 16, rest);
}

/* Channels from `real` on hold zeros only; in both encodings byte i of a tile belongs to channel i % 16. */
static bool pad_rows_are_zero(const uint8_t *tile, uint32_t tile_bytes, uint32_t real, uint32_t zeros) {
    uint32_t differs = 0;
    for (uint32_t start = 0; start < tile_bytes; start += FTV_TILE)
        for (uint32_t channel = real; channel < FTV_TILE; channel++)
            differs |= tile[start + channel] ^ zeros;
    return differs == 0;
}

static ftv_status load_matrix(const ftv_model *m, const ftv_place *p, const uint8_t *section, uint32_t bytes) {
    ftv_linear *linear = p->linear;
    bool is_t2 = m->encoding == FTV_T2;
    if (!(is_t2 ? t2_is_ternary(section, bytes) : t5_is_ternary(section, bytes)))
        return FTV_ERR_CODE;
    for (uint32_t tile = 0; tile < linear->stored_rows / FTV_TILE; tile++) {
        const uint8_t *at = section + tile * linear->tile_bytes;
        uint32_t real = real_channels(p, tile);
        if (!tile_ends_in_zeros(at, linear->tile_bytes, linear->inputs, is_t2) ||
            !pad_rows_are_zero(at, linear->tile_bytes, real, is_t2 ? T2_ZEROS : T5_ZEROS))
            return FTV_ERR_CODE;
    }
    linear->tiles = section;
    return FTV_OK;
}

/* The first eight bytes of an affine section; `bytes` is one of the two lengths that exist. */
static ftv_status load_affine_start(const ftv_place *p, const uint8_t *section, uint32_t bytes) {
    ftv_linear *linear = p->linear;
    linear->exponent = ftv_load_s16(section + 4);
    linear->bias_shift = section[6];
    linear->per_channel = section[7];
    if (!is_scale(ftv_load32(section)) || !is_exponent(linear->exponent) || linear->bias_shift > SHIFT_MAX)
        return FTV_ERR_SCALE;
    if (linear->per_channel > 1 || bytes != (linear->per_channel ? p->longest : p->shortest))
        return FTV_ERR_SCALE;
    return linear->per_channel && linear->rows == 1 ? FTV_ERR_SCALE : FTV_OK;
}

static ftv_status check_mantissas(const ftv_linear *linear) {
    uint32_t count = linear->per_channel ? linear->stored_rows : 1u, most = 0;
    for (uint32_t i = 0; i < count; i++)
        most = linear->mantissas[i] > most ? linear->mantissas[i] : most;
    if (!ftv_within(most, FTV_MANTISSA_MIN, FTV_MANTISSA_MAX) || (!linear->per_channel && linear->mantissas[1] != 0))
        return FTV_ERR_SCALE;
    return FTV_OK;
}

static ftv_status check_affine_pads(const ftv_place *p) {
    const ftv_linear *linear = p->linear;
    for (uint32_t tile = 0; tile < linear->stored_rows / FTV_TILE; tile++)
        for (uint32_t channel = real_channels(p, tile); channel < FTV_TILE; channel++) {
            uint32_t row = tile * FTV_TILE + channel;
            if (linear->bias[row] != 0 || (linear->per_channel && linear->mantissas[row] != 0))
                return FTV_ERR_PADDING;
        }
    return FTV_OK;
}

static ftv_status load_affine(const ftv_place *p, const uint8_t *section, uint32_t bytes) {
    ftv_linear *linear = p->linear;
    ftv_status status = load_affine_start(p, section, bytes);
    if (status != FTV_OK)
        return status;
    /* Sections start at multiples of 16 and all parts have even lengths: the arrays are aligned. */
    linear->mantissas = (const uint16_t *)(const void *)(section + 8);
    linear->bias = (const int16_t *)(const void *)(section + bytes - 2u * linear->stored_rows);
    status = check_mantissas(linear);
    return status != FTV_OK ? status : check_affine_pads(p);
}

static bool vector_is_ternary(const uint8_t *codes, uint32_t channels) {
    uint32_t bytes = (channels + 3u) / 4u, rest = channels & 3u;
    uint32_t padding = rest == 0 ? 0u : 0xFFu << (2u * rest) & 0xFFu;
    return t2_is_ternary(codes, bytes) && ((codes[bytes - 1u] ^ T2_ZEROS) & padding) == 0;
}

/* Ascending, and below `width`. */
static bool channels_are_possible(const uint16_t *channels, uint32_t count, uint32_t width) {
    bool possible = true;
    for (uint32_t i = 0; i < count; i++)
        possible = possible && channels[i] < width && (i == 0 || channels[i] > channels[i - 1u]);
    return possible;
}

static ftv_status load_norm(const ftv_model *m, const ftv_place *p, const uint8_t *section, uint32_t bytes) {
    ftv_norm *norm = p->norm;
    uint32_t left_out = (bytes - p->shortest) / 2u;
    norm->beta_ratio.mantissa = (uint16_t)ftv_load16(section + 8);
    norm->beta_ratio.exponent = ftv_load_s16(section + 10);
    if (!is_scale(ftv_load32(section)) || !is_scale(ftv_load32(section + 4)) ||
        !ftv_within(norm->beta_ratio.mantissa, FTV_MANTISSA_MIN, FTV_MANTISSA_MAX) ||
        !is_exponent(norm->beta_ratio.exponent))
        return FTV_ERR_SCALE;
    norm->gamma = section + 12;
    norm->beta = norm->gamma + (m->width + 3u) / 4u;
    norm->left_out = left_out > 0 ? (const uint16_t *)(const void *)(section + p->shortest) : NULL; /* both even */
    bool ternary = vector_is_ternary(norm->gamma, m->width) && vector_is_ternary(norm->beta, m->width);
    return ternary && channels_are_possible(norm->left_out, left_out, m->width) ? FTV_OK : FTV_ERR_CODE;
}

static ftv_status load_embedding(ftv_model *m, const uint8_t *section) {
    m->cls_shift = section[0];
    m->position_shift = section[1];
    if (m->cls_shift > SHIFT_MAX || m->position_shift > SHIFT_MAX || ftv_load16(section + 2) != 0)
        return FTV_ERR_SCALE;
    m->cls = (const int16_t *)(const void *)(section + 4);
    m->position = m->cls + m->width;
    return FTV_OK;
}

ftv_status ftv_load_section(ftv_model *m, const ftv_place *p, const uint8_t *section, uint32_t bytes) {
    switch (p->kind) {
    case FTV_SECTION_META:
        m->meta = (const char *)section;
        m->meta_bytes = bytes;
        return FTV_OK;
    case FTV_SECTION_LABELS:
        m->labels = (const char *)section;
        m->labels_bytes = bytes;
        return check_labels(section, bytes, m->classes);
    case FTV_SECTION_MATRIX:
        return load_matrix(m, p, section, bytes);
    case FTV_SECTION_AFFINE:
        return load_affine(p, section, bytes);
    case FTV_SECTION_NORM:
        return load_norm(m, p, section, bytes);
    case FTV_SECTION_EMBEDDING:
        return load_embedding(m, section);
    }
    return FTV_ERR_ARGUMENT; /* no such kind */
}
