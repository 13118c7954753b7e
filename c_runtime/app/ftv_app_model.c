/* The model: is there one, is it whole, was the application made for it, is there memory for it. */
#include "ftv_app_parts.h"
#include "ftv_crop.h"

#define HEADER_BYTES 144U /* IMAGE_FORMAT.md */
#define FILE_BYTES   12U
#define FLASH_IT     ": write one with `ftervit flash`."
#define FLASH_AGAIN  " Write the model again with `ftervit flash`."
#define BUILD_AGAIN  ": run `ftervit build` and `ftervit flash` with this model."

ftv_app_shape ftv_app_shape_of(const ftv_model *model) {
    return (ftv_app_shape){.encoding = (uint32_t)model->encoding,
                           .image_size = model->image_size,
                           .patch_size = model->patch_size,
                           .width = model->width,
                           .depth = model->depth,
                           .heads = model->heads,
                           .hidden = model->hidden,
                           .most_classes = model->classes};
}

static uint32_t larger(uint32_t a, uint32_t b) {
    return a > b ? a : b;
}

static uint32_t most_inputs(const ftv_model *model) {
    return larger(model->patch.inputs, larger(model->width, model->hidden));
}

size_t ftv_app_scratch_bytes(const ftv_model *model, const ftv_kernels *kernels, uint32_t camera_side) {
    uint32_t inputs = most_inputs(model);
    size_t scratch = kernels->linear_scratch_bytes(inputs);
    if (kernels->scratch_bytes != NULL) {
        size_t steps = kernels->scratch_bytes(model);
        scratch = steps > scratch ? steps : scratch;
    }
    return FTV_APP_SCRATCH_BYTES(inputs, scratch, camera_side);
}

/* ---- why not: each returns false ---- */

static bool because(ftv_app *app, const char *what, const char *way_out) {
    ftv_text text = ftv_words(app->model_error, sizeof app->model_error);
    ftv_text_plain(&text, what);
    ftv_text_plain(&text, way_out);
    ftv_end_words(&text);
    return false;
}

/* "<what> <needed><between><present><way_out>" */
static bool because_of(ftv_app *app, const char *what, uint32_t needed, const char *between, uint32_t present,
                       const char *way_out) {
    ftv_text text = ftv_words(app->model_error, sizeof app->model_error);
    ftv_text_plain(&text, what);
    ftv_text_char(&text, ' ');
    ftv_text_number(&text, needed);
    ftv_text_plain(&text, between);
    ftv_text_number(&text, present);
    ftv_text_plain(&text, way_out);
    ftv_end_words(&text);
    return false;
}

/* ---- the image ---- */

static bool is_erased(const uint8_t *bytes) {
    for (uint32_t i = 0; i < 16U; i++) {
        if (bytes[i] != 0xFFU) {
            return false;
        }
    }
    return true;
}

/* The image's own length, of a partition that holds more than it. */
static bool find_length(ftv_app *app, uint32_t *length) {
    static const uint8_t magic[8] = {0x46, 0x54, 0x56, 0x49, 0x0D, 0x0A, 0x1A, 0x0A};
    const ftv_app_config *config = app->config;
    const uint8_t *image = config->image;
    if (image == NULL || config->image_bytes < HEADER_BYTES) {
        return because(app, config->image_error != NULL ? config->image_error : "There is no model" FLASH_IT, "");
    }
    if (is_erased(image)) {
        return because(app, "The model's place in flash is empty", FLASH_IT);
    }
    for (uint32_t i = 0; i < sizeof magic; i++) {
        if (image[i] != magic[i]) {
            return because(app, "What lies in the model's place in flash is no model", FLASH_IT);
        }
    }
    *length = ftv_get_u32(image + FILE_BYTES);
    if (*length > config->image_bytes) {
        return because_of(app, "The model has", *length, " bytes, its place in flash ", (uint32_t)config->image_bytes,
                          BUILD_AGAIN);
    }
    return true;
}

static bool fits_shape(ftv_app *app) {
    const ftv_app_shape *made_for = app->config->shape;
    ftv_app_shape found = ftv_app_shape_of(&app->model);
    if (made_for == FTV_APP_SHAPE_ANY) {
        return true;
    }
    if (found.encoding != made_for->encoding) {
        const char *what = found.encoding == FTV_T5 ? "The model's encoding is t5, the application was made for t2"
                                                    : "The model's encoding is t2, the application was made for t5";
        return because(app, what, BUILD_AGAIN);
    }
    const struct {
        const char *name;
        uint32_t found;
        uint32_t made_for;
    } same[] = {{"The model's image_size is", found.image_size, made_for->image_size},
                {"The model's patch_size is", found.patch_size, made_for->patch_size},
                {"The model's width is", found.width, made_for->width},
                {"The model's depth is", found.depth, made_for->depth},
                {"The model's heads are", found.heads, made_for->heads},
                {"The model's hidden width is", found.hidden, made_for->hidden}};
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        if (same[i].found != same[i].made_for) {
            return because_of(app, same[i].name, same[i].found, ", the application was made for ", same[i].made_for,
                              BUILD_AGAIN);
        }
    }
    if (found.most_classes > made_for->most_classes) {
        return because_of(app, "The model's classes are", found.most_classes, ", the application was made for ",
                          made_for->most_classes, BUILD_AGAIN);
    }
    return true;
}

static bool has_buffers(ftv_app *app) {
    const ftv_app_config *config = app->config;
    uint32_t pixels = 3U * app->model.image_size * app->model.image_size;
    if (config->line_pixels == NULL || config->pixels_bytes < pixels) {
        return because_of(app, "The model's pictures take", pixels, " bytes, the application has ",
                          (uint32_t)config->pixels_bytes, BUILD_AGAIN);
    }
    if (config->line_logits == NULL || config->logits < app->model.classes) {
        return because_of(app, "The model has", app->model.classes, " classes, the application has room for ",
                          config->logits, BUILD_AGAIN);
    }
    return true;
}

static bool has_memory(ftv_app *app) {
    const ftv_app_config *config = app->config;
    size_t arena = ftv_arena_bytes(&app->model, &app->options);
    if (arena == 0U || config->arena == NULL || arena > config->arena_bytes) {
        return because_of(app, "The model needs", (uint32_t)arena, " bytes of memory to run, the application has ",
                          (uint32_t)config->arena_bytes, BUILD_AGAIN);
    }
    if (app->options.plan != NULL && ftv_check_plan(&app->model, &app->options) != FTV_OK) {
        return because(app, "The application's memory plan does not serve this model", BUILD_AGAIN);
    }
    if (app->options.plan != NULL && app->options.plan->bytes[FTV_FAR] > app->options.far_bytes) {
        return because_of(app, "The model needs", app->options.plan->bytes[FTV_FAR],
                          " bytes of far memory, the application has ", (uint32_t)app->options.far_bytes, BUILD_AGAIN);
    }
    if (app->options.plan != NULL && app->options.plan->bytes[FTV_SPARE] > app->options.spare_bytes) {
        return because_of(app, "The model needs", app->options.plan->bytes[FTV_SPARE],
                          " bytes of spare memory, the application has ", (uint32_t)app->options.spare_bytes,
                          BUILD_AGAIN);
    }
    size_t scratch = ftv_selftest_bytes(&app->model, app->options.kernels);
    if (config->scratch == NULL || scratch > config->scratch_bytes) {
        return because_of(app, "The self-test needs", (uint32_t)scratch, " bytes, the application has ",
                          (uint32_t)config->scratch_bytes, BUILD_AGAIN);
    }
    return true;
}

bool ftv_app_open_model(ftv_app *app) {
    uint32_t length = 0;
    if (!find_length(app, &length)) {
        return false;
    }
    ftv_status status = ftv_open(&app->model, app->config->image, length);
    if (status != FTV_OK) {
        ftv_text text = ftv_words(app->model_error, sizeof app->model_error);
        ftv_text_plain(&text, "The model in flash cannot be used. ");
        ftv_text_plain(&text, ftv_status_text(status));
        ftv_text_plain(&text, FLASH_AGAIN);
        ftv_end_words(&text);
        return false;
    }
    return fits_shape(app) && has_buffers(app) && has_memory(app);
}

bool ftv_app_has_memory_for_ref(ftv_app *app) {
    size_t arena = ftv_arena_bytes(&app->model, &app->options);
    if (arena > 0U && arena <= app->config->arena_bytes) {
        return true;
    }
    ftv_text text = ftv_words(app->model_error, sizeof app->model_error);
    ftv_text_plain(&text, "The kernels' self-test failed, and those that always work need ");
    ftv_text_number(&text, (uint32_t)arena);
    ftv_text_plain(&text, " bytes of memory, the application has ");
    ftv_text_number(&text, (uint32_t)app->config->arena_bytes);
    ftv_text_plain(&text, ": reset the board; if it stays so, it is broken or was built wrongly.");
    ftv_end_words(&text);
    return false;
}
