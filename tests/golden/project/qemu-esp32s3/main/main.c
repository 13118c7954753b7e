/* The application for qemu-esp32s3: all of its memory, and what it is given. */
#include "ftv_espidf.h"
#include "model.h"

#include "esp_attr.h"
#include "esp_heap_caps.h"

/* What `ftervit flash --model-only` reads: the models that this application can run. */
__attribute__((section(".rodata_custom_desc"))) const ftv_app_descriptor ftv_descriptor = {
    .magic = "ftv-app",
    .version = 1,
    .bytes = sizeof(ftv_app_descriptor),
    .board = "qemu-esp32s3",
    .shape = {.encoding = MODEL_ENCODING,
              .image_size = MODEL_IMAGE_SIZE,
              .patch_size = MODEL_PATCH_SIZE,
              .width = MODEL_WIDTH,
              .depth = MODEL_DEPTH,
              .heads = MODEL_HEADS,
              .hidden = MODEL_HIDDEN,
              .most_classes = MODEL_MOST_CLASSES},
    .numerics = 1,
    .image_version = 2,
};

static const ftv_line_fact facts[] = {{"app", "ftervit"}, {"version", "golden"}, {"board", "qemu-esp32s3"}};

/* ---- memory ---- */

#define ALIGNED __attribute__((aligned(64)))
#define SCRATCH_BYTES FTV_APP_SCRATCH_BYTES(MODEL_MOST_INPUTS, MODEL_KERNEL_SCRATCH_BYTES, 0U)
#define ARENA_BYTES   (MODEL_NEAR_BYTES > SCRATCH_BYTES ? MODEL_NEAR_BYTES : SCRATCH_BYTES)

/* Internal RAM, once and for good: of the heap, before drivers take of it, because its largest piece is larger than static
 * memory can be. NULL: there is no such piece; the application says so. */
static void *take(size_t bytes) {
    return heap_caps_aligned_alloc(64, bytes, MALLOC_CAP_INTERNAL | MALLOC_CAP_8BIT);
}

/* Pictures that the line brings. */
static EXT_RAM_BSS_ATTR ALIGNED uint8_t line_pixels[MODEL_PIXELS_BYTES];
static EXT_RAM_BSS_ATTR int32_t line_logits[MODEL_MOST_CLASSES];
static EXT_RAM_BSS_ATTR ftv_line_site sites[FTV_LINE_SITES(MODEL_DEPTH)];

/* ---- start ---- */

void app_main(void) {
    static ftv_app app;
    static ftv_app_config config = {
        .facts = facts,
        .facts_count = sizeof facts / sizeof facts[0],
        .shape = &ftv_descriptor.shape,
        .options = {.kernels = &model_kernels,
                    .plan = &model_plan,
        },
        .line_pixels = line_pixels,
        .pixels_bytes = MODEL_PIXELS_BYTES,
        .line_logits = line_logits,
        .logits = MODEL_MOST_CLASSES,
        .sites = sites,
        .sites_capacity = FTV_LINE_SITES(MODEL_DEPTH),
    };
    /* The engine's SRAM; the self-test, BENCH and resizing use it too, when no inference runs. */
    config.arena = config.scratch = take(ARENA_BYTES);
    config.arena_bytes = config.scratch_bytes = config.arena != NULL ? ARENA_BYTES : 0U;
    ftv_espidf_main(&ftv_board, &app, &config, FTV_ESPIDF_MODEL_IN_PSRAM);
}
