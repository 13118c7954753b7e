/* Opens an image: IMAGE_FORMAT.md, rule by rule and in its order. The bytes are hostile until a check has
 * passed; the header and the table are read byte by byte, the tensors in place. */
#include "ftv_image.h"
#include "ftv_sha256.h"

#define HEADER_BYTES 144u
#define HASHED_FROM  48u
#define HASH_AT      16u
#define RESERVED_AT  104u
#define ROW_BYTES    12u
#define FILE_MAX     (1u << 28)
#define NO_BLOCK     0xFFFFu

#define FIRST_BLOCK_ROW 5u /* of the table; before it: meta, labels, patch (2), embedding */
#define ROWS_PER_BLOCK  10u
#define LAST_ROWS       3u

#define LATEST_VERSION     2u
#define LEAVES_OUT_VERSION 2u /* of images that leave out channels */

#define FLAG_POSITION_ON_CLASS_TOKEN 1u
#define FLAG_LAYER_SCALE             2u

enum role {
    ROLE_META = 1,
    ROLE_LABELS = 2,
    ROLE_PATCH = 3, /* its affine is the next number, as for all matrices */
    ROLE_EMBEDDING = 5,
    ROLE_NORM = 6,
    ROLE_HEAD = 7,
    ROLE_NORM1 = 16 /* the rows of a block count on from here, in their order */
};

static bool all_zero(const uint8_t *p, uint32_t bytes) {
    uint32_t any = 0;
    for (uint32_t i = 0; i < bytes; i++)
        any |= p[i];
    return any == 0;
}

/* ---- header ---- */

static bool has_magic(const uint8_t *image, size_t bytes) {
    static const uint8_t magic[8] = {0x46, 0x54, 0x56, 0x49, 0x0D, 0x0A, 0x1A, 0x0A};
    for (size_t i = 0; i < sizeof magic && i < bytes; i++)
        if (image[i] != magic[i])
            return false;
    return true;
}

static bool has_its_hash(const uint8_t *image, uint32_t bytes) {
    uint8_t digest[FTV_SHA256_BYTES];
    uint32_t differs = 0;
    ftv_sha256(digest, image + HASHED_FROM, bytes - HASHED_FROM);
    for (uint32_t i = 0; i < FTV_SHA256_BYTES; i++)
        differs |= (uint32_t)digest[i] ^ image[HASH_AT + i];
    return differs == 0;
}

static uint32_t version_of(const uint8_t *image) {
    return ftv_load16(image + 8);
}

/* Everything before byte 48. */
static ftv_status check_prefix(const uint8_t *image, size_t bytes) {
    if (!has_magic(image, bytes))
        return FTV_ERR_MAGIC;
    if (bytes < HEADER_BYTES)
        return FTV_ERR_TRUNCATED;
    if (!ftv_within(version_of(image), 1, LATEST_VERSION) || ftv_load16(image + 10) != 1)
        return FTV_ERR_VERSION;
    uint32_t file_bytes = ftv_load32(image + 12);
    if (bytes < file_bytes)
        return FTV_ERR_TRUNCATED;
    if (bytes > file_bytes || file_bytes % FTV_ALIGN != 0 || file_bytes > FILE_MAX)
        return FTV_ERR_LENGTH;
    return has_its_hash(image, file_bytes) ? FTV_OK : FTV_ERR_HASH;
}

static void load_sizes(ftv_model *m, const uint8_t *image) {
    m->position_on_class_token = (uint8_t)(image[49] & FLAG_POSITION_ON_CLASS_TOKEN);
    m->image_size = ftv_load16(image + 50);
    m->patch_size = ftv_load16(image + 52);
    m->width = ftv_load16(image + 54);
    m->depth = ftv_load16(image + 56);
    m->heads = ftv_load16(image + 58);
    m->hidden = ftv_load16(image + 60);
    m->classes = ftv_load16(image + 62);
    m->tokens = ftv_load32(image + 64);
}

static bool sizes_are_possible(const ftv_model *m) {
    if (!ftv_within(m->image_size, 1, 4096) || !ftv_within(m->patch_size, 1, 37) || !ftv_within(m->width, 1, 2048) ||
        !ftv_within(m->depth, 1, FTV_MAX_DEPTH) || !ftv_within(m->heads, 1, 2048) ||
        !ftv_within(m->hidden, 1, FTV_INPUTS_MAX) || m->classes < 1)
        return false;
    if (m->image_size % m->patch_size != 0 || m->width % m->heads != 0 || m->width / m->heads > 256)
        return false;
    uint32_t side = m->image_size / m->patch_size;
    return side * side + 1u <= 2064 && m->tokens == side * side + 1u;
}

static ftv_status load_architecture(ftv_model *m, const uint8_t *image) {
    if ((image[49] & ~(FLAG_POSITION_ON_CLASS_TOKEN | FLAG_LAYER_SCALE)) != 0)
        return FTV_ERR_ARCHITECTURE;
    load_sizes(m, image);
    if (!sizes_are_possible(m) || ftv_load32(image + 68) != FIRST_BLOCK_ROW + ROWS_PER_BLOCK * m->depth + LAST_ROWS)
        return FTV_ERR_ARCHITECTURE;
    m->head_dim = m->width / m->heads;
    m->head_rows = ftv_round_up(m->head_dim, FTV_TILE);
    return FTV_OK;
}

static ftv_status load_constants(ftv_model *m, const uint8_t *image) {
    m->eps_q32 = ftv_load32(image + 72);
    m->attention.mantissa = (uint16_t)ftv_load16(image + 76);
    m->attention.exponent = ftv_load_s16(image + 78);
    if (!ftv_within(m->eps_q32, 1, 1u << 24) ||
        !ftv_within(m->attention.mantissa, FTV_MANTISSA_MIN, FTV_MANTISSA_MAX) || m->attention.exponent < 0 ||
        m->attention.exponent > FTV_EXPONENT_MAX)
        return FTV_ERR_SCALE;
    for (uint32_t colour = 0; colour < 3; colour++) {
        int32_t scale = ftv_load_s32(image + 80 + 4 * colour), offset = ftv_load_s32(image + 92 + 4 * colour);
        if (scale < 0 || scale > (1 << 22) || offset < -(1 << 29) || offset > (1 << 29))
            return FTV_ERR_SCALE;
        m->pixel_scale[colour] = scale;
        m->pixel_offset[colour] = offset;
    }
    return all_zero(image + RESERVED_AT, HEADER_BYTES - RESERVED_AT) ? FTV_OK : FTV_ERR_PADDING;
}

static ftv_status load_header(ftv_model *m, const uint8_t *image) {
    if (image[48] != FTV_T2 && image[48] != FTV_T5)
        return FTV_ERR_ENCODING;
    m->encoding = image[48] == FTV_T2 ? FTV_T2 : FTV_T5;
    ftv_status status = load_architecture(m, image);
    return status != FTV_OK ? status : load_constants(m, image);
}

/* ---- what the architecture prescribes ---- */

static void shape_inputs(const ftv_model *m, ftv_linear *linear, uint32_t inputs) {
    linear->inputs = inputs;
    linear->tile_bytes = m->encoding == FTV_T2 ? (inputs + 15u) / 16u * 64u : (inputs + 4u) / 5u * 16u;
}

static void shape(const ftv_model *m, ftv_linear *linear, uint32_t rows, uint32_t inputs) {
    linear->rows = rows;
    linear->stored_rows = ftv_round_up(rows, FTV_TILE);
    shape_inputs(m, linear, inputs);
}

static void shape_all(ftv_model *m) {
    shape(m, &m->patch, m->width, 3u * m->patch_size * m->patch_size);
    for (uint32_t i = 0; i < m->depth; i++) {
        ftv_block *block = &m->blocks[i];
        shape(m, &block->qkv, 3u * m->width, m->width);
        block->qkv.stored_rows = 3u * m->heads * m->head_rows;
        shape(m, &block->proj, m->width, m->width);
        shape(m, &block->fc1, m->hidden, m->width);
        shape(m, &block->fc2, m->width, m->hidden);
    }
    shape(m, &m->head, m->classes, m->width);
}

static ftv_place place_text(ftv_section_kind kind, uint32_t role, uint32_t longest) {
    ftv_place p = {kind, role, NO_BLOCK, 16, 2, longest, NULL, NULL, 0};
    return p;
}

/* reader: of its rows. */
static ftv_place place_norm(const ftv_model *m, ftv_norm *norm, ftv_linear *reader, uint32_t role, uint32_t block) {
    uint32_t bytes = 12u + 2u * ((m->width + 3u) / 4u);
    uint32_t most = version_of(m->image) < LEAVES_OUT_VERSION ? 0u : m->width - 1u; /* channels that are left out */
    ftv_place p = {FTV_SECTION_NORM, role, block, 16, bytes, bytes + 2u * most, reader, norm, 0};
    return p;
}

static ftv_place place_embedding(const ftv_model *m) {
    uint32_t rows = m->position_on_class_token ? m->tokens : m->tokens - 1u;
    uint32_t bytes = 4u + 2u * m->width * (1u + rows);
    ftv_place p = {FTV_SECTION_EMBEDDING, ROLE_EMBEDDING, NO_BLOCK, 16, bytes, bytes, NULL, NULL, 0};
    return p;
}

/* The matrix (part 0) or its affine (part 1). */
static ftv_place place_linear(ftv_linear *linear, uint32_t part, uint32_t role, uint32_t block) {
    uint32_t n = linear->stored_rows, bytes = n / FTV_TILE * linear->tile_bytes;
    ftv_place matrix = {FTV_SECTION_MATRIX, role, block, 64, bytes, bytes, linear, NULL, linear->rows};
    ftv_place affine = {FTV_SECTION_AFFINE, role, block, 16, 12u + 2u * n, 8u + 4u * n, linear, NULL, linear->rows};
    return part == 0 ? matrix : affine;
}

static ftv_place place_in_block(ftv_model *m, uint32_t index, uint32_t row) {
    ftv_block *block = &m->blocks[index];
    ftv_linear *linears[4] = {&block->qkv, &block->proj, &block->fc1, &block->fc2};
    uint32_t role = ROLE_NORM1 + row, half = ROWS_PER_BLOCK / 2u;
    uint32_t in_half = row < half ? row : row - half;
    if (in_half == 0)
        return row == 0 ? place_norm(m, &block->norm1, &block->qkv, role, index)
                        : place_norm(m, &block->norm2, &block->fc1, role, index);
    uint32_t part = (in_half - 1u) & 1u, pair = (in_half - 1u) >> 1;
    ftv_place p = place_linear(linears[(row < half ? 0u : 2u) + pair], part, role, index);
    if (p.linear == &block->qkv)
        p.group_rows = m->head_dim;
    return p;
}

/* Row `row` of the table. */
static ftv_place place_of(ftv_model *m, uint32_t row) {
    switch (row) {
    case 0:
        return place_text(FTV_SECTION_META, ROLE_META, 65536);
    case 1:
        return place_text(FTV_SECTION_LABELS, ROLE_LABELS, 1u << 22);
    case 2:
    case 3:
        return place_linear(&m->patch, row - 2u, ROLE_PATCH + row - 2u, NO_BLOCK);
    case 4:
        return place_embedding(m);
    default:
        break;
    }
    uint32_t in_blocks = row - FIRST_BLOCK_ROW, index = in_blocks / ROWS_PER_BLOCK;
    if (index < m->depth)
        return place_in_block(m, index, in_blocks - index * ROWS_PER_BLOCK);
    uint32_t last = in_blocks - m->depth * ROWS_PER_BLOCK;
    if (last == 0)
        return place_norm(m, &m->norm, &m->head, ROLE_NORM, NO_BLOCK);
    return place_linear(&m->head, last - 1u, ROLE_HEAD + last - 1u, NO_BLOCK);
}

/* ---- table ---- */

static uint32_t table_rows(const ftv_model *m) {
    return FIRST_BLOCK_ROW + ROWS_PER_BLOCK * m->depth + LAST_ROWS;
}

static const uint8_t *table_row(const ftv_model *m, uint32_t row) {
    return m->image + HEADER_BYTES + ROW_BYTES * row;
}

static uint32_t section_offset(const ftv_model *m, uint32_t row) {
    return ftv_load32(table_row(m, row) + 4);
}

static uint32_t section_bytes(const ftv_model *m, uint32_t row) {
    return ftv_load32(table_row(m, row) + 8);
}

static bool length_fits(const ftv_place *p, uint32_t bytes) {
    if (p->kind == FTV_SECTION_META || p->kind == FTV_SECTION_LABELS)
        return ftv_within(bytes, p->shortest, p->longest);
    if (p->kind == FTV_SECTION_NORM)
        return ftv_within(bytes, p->shortest, p->longest) && (bytes - p->shortest) % 2u == 0;
    return bytes == p->shortest || bytes == p->longest;
}

/* Channels that a norm's section of this length leaves out. */
static uint32_t left_out(const ftv_place *p, uint32_t bytes) {
    return p->kind == FTV_SECTION_NORM ? (bytes - p->shortest) / 2u : 0u;
}

/* A norm comes before the matrix that reads its rows, which has as many inputs less as that leaves out. */
static ftv_status check_table(ftv_model *m) {
    bool leaves_out = false;
    uint32_t end = HEADER_BYTES + ROW_BYTES * table_rows(m);
    if (end > m->image_bytes)
        return FTV_ERR_TABLE;
    for (uint32_t row = 0; row < table_rows(m); row++) {
        ftv_place p = place_of(m, row);
        const uint8_t *entry = table_row(m, row);
        /* No overflow: end <= 2^28 here, and a prescribed length is below 2^27. */
        uint32_t offset = ftv_round_up(end, p.align), bytes = section_bytes(m, row);
        if (ftv_load16(entry) != p.role || ftv_load16(entry + 2) != p.block || section_offset(m, row) != offset ||
            !length_fits(&p, bytes))
            return FTV_ERR_TABLE;
        end = offset + bytes;
        if (end > m->image_bytes)
            return FTV_ERR_TABLE;
        if (left_out(&p, bytes) > 0) {
            shape_inputs(m, p.linear, m->width - left_out(&p, bytes));
            leaves_out = true;
        }
    }
    if (leaves_out != (version_of(m->image) >= LEAVES_OUT_VERSION))
        return FTV_ERR_TABLE;
    return ftv_round_up(end, FTV_ALIGN) == m->image_bytes ? FTV_OK : FTV_ERR_TABLE;
}

static ftv_status check_gaps(const ftv_model *m) {
    uint32_t end = HEADER_BYTES + ROW_BYTES * table_rows(m);
    for (uint32_t row = 0; row < table_rows(m); row++) {
        uint32_t offset = section_offset(m, row);
        if (!all_zero(m->image + end, offset - end))
            return FTV_ERR_PADDING;
        end = offset + section_bytes(m, row);
    }
    return all_zero(m->image + end, m->image_bytes - end) ? FTV_OK : FTV_ERR_PADDING;
}

static ftv_status load_sections(ftv_model *m) {
    for (uint32_t row = 0; row < table_rows(m); row++) {
        ftv_place p = place_of(m, row);
        const uint8_t *section = m->image + section_offset(m, row);
        ftv_status status = ftv_load_section(m, &p, section, section_bytes(m, row));
        if (status != FTV_OK)
            return status;
    }
    return FTV_OK;
}

/* ---- public ---- */

ftv_status ftv_open(ftv_model *model, const void *image, size_t bytes) {
    if (model == NULL || image == NULL)
        return FTV_ERR_ARGUMENT;
    if ((uintptr_t)image % FTV_ALIGN != 0)
        return FTV_ERR_ALIGN;
    ftv_status status = check_prefix(image, bytes);
    if (status != FTV_OK)
        return status;
    model->image = image;
    model->image_bytes = (uint32_t)bytes;
    status = load_header(model, image);
    if (status != FTV_OK)
        return status;
    shape_all(model);
    status = check_table(model);
    if (status == FTV_OK)
        status = check_gaps(model);
    return status != FTV_OK ? status : load_sections(model);
}

const char *ftv_label(const ftv_model *model, uint32_t index, uint32_t *length) {
    uint32_t start = 0, bytes = 0;
    if (length != NULL)
        *length = 0;
    if (model == NULL || index >= model->classes)
        return NULL;
    for (uint32_t lines = index; lines > 0; start++)
        if (model->labels[start] == '\n')
            lines--;
    while (model->labels[start + bytes] != '\n')
        bytes++;
    if (length != NULL)
        *length = bytes;
    return model->labels + start;
}
