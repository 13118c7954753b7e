/* The board's description. */
#include "ftv_line_text.h"

#define HASH_OFFSET 16U /* IMAGE_FORMAT.md */
#define HASH_BYTES  32U
#define NUMERICS    10U

static void describe_model(ftv_text *text, const ftv_model *model) {
    ftv_text_plain(text, "{\"sha256\":\"");
    ftv_text_hex(text, model->image + HASH_OFFSET, HASH_BYTES);
    ftv_text_plain(text, "\",\"encoding\":\"t");
    ftv_text_number(text, (uint32_t)model->encoding);
    ftv_text_char(text, '"');
    ftv_text_member(text, "numerics", ftv_get_u16(model->image + NUMERICS));
    ftv_text_member(text, "image_bytes", model->image_bytes);
    ftv_text_member(text, "image_size", model->image_size);
    ftv_text_member(text, "patch_size", model->patch_size);
    ftv_text_member(text, "width", model->width);
    ftv_text_member(text, "depth", model->depth);
    ftv_text_member(text, "heads", model->heads);
    ftv_text_member(text, "hidden", model->hidden);
    ftv_text_member(text, "classes", model->classes);
    ftv_text_member(text, "tokens", model->tokens);
    ftv_text_member(text, "labels_bytes", model->labels_bytes);
    ftv_text_char(text, '}');
}

static void describe_engine(ftv_text *text, const ftv_line_config *config) {
    const ftv_options *options = config->options;
    const ftv_kernels *kernels = options != NULL && options->kernels != NULL ? options->kernels : &ftv_kernels_portable;
    ftv_text_plain(text, ",\"kernels\":");
    ftv_text_quoted(text, kernels->name);
    ftv_text_member(text, "workers", options != NULL && options->parallel != NULL ? options->parallel->workers : 1U);
    ftv_text_member(text, "arena_bytes", (uint32_t)config->arena_bytes);
}

void ftv_line_describe(ftv_text *text, const ftv_line *line) {
    const ftv_line_config *config = line->config;
    ftv_text_plain(text, "{\"protocol\":");
    ftv_text_number(text, FTV_LINE_VERSION);
    for (uint32_t i = 0; i < config->facts_count; i++) {
        ftv_text_char(text, ',');
        ftv_text_quoted(text, config->facts[i].name);
        ftv_text_char(text, ':');
        ftv_text_quoted(text, config->facts[i].text);
    }
    for (uint32_t i = 0; i < config->numbers_count && i < FTV_LINE_NUMBERS; i++) {
        ftv_text_changing(text, config->numbers[i].name, line->numbers[i]);
    }
    if (config->model != NULL) {
        describe_engine(text, config);
        ftv_text_plain(text, ",\"model\":");
        describe_model(text, config->model);
    } else {
        ftv_text_plain(text, ",\"model\":null,\"model_error\":");
        ftv_text_quoted(text, config->model_error != NULL ? config->model_error : "no model");
    }
    ftv_text_char(text, '}');
}
