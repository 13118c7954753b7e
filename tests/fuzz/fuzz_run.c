/* libFuzzer target for ftv_run: an image of the folder FTV_IMAGES is edited as the input says and given a hash that fits.
 * Where it opens, every set of kernels runs it, by the engine's own plan and by one that the input draws up, each memory
 * of exactly the size that is asked for; and all of them give the same logits. */
#include "ftv.h"
#include "ftv_host_kernels.h"
#include "ftv_sha256.h"
#include "late_copies.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_IMAGES  16U
#define HEADER_BYTES 144U
#define EDIT_BYTES   5U

typedef struct bytes {
    uint8_t *data;
    size_t size;
} bytes;

static bytes images[MOST_IMAGES];
static uint32_t images_count;

/* NULL for nothing. */
static void *allocate(size_t size) {
    void *memory = NULL;
    if (size > 0U && posix_memalign(&memory, FTV_COPY_ALIGN, size) != 0) {
        abort();
    }
    return memory;
}

static uint32_t load32(const uint8_t *p) {
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void read_image(const char *folder, const char *name) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        abort();
    }
    bytes *image = &images[images_count++];
    image->size = (size_t)ftell(file);
    image->data = allocate(image->size);
    rewind(file);
    if (fread(image->data, 1, image->size, file) != image->size) {
        abort();
    }
    fclose(file);
}

static void read_images(void) {
    const char *path = getenv("FTV_IMAGES");
    DIR *folder = path != NULL ? opendir(path) : NULL;
    const struct dirent *entry;
    while (folder != NULL && images_count < MOST_IMAGES && (entry = readdir(folder)) != NULL) {
        if (entry->d_name[0] != '.') {
            read_image(path, entry->d_name);
        }
    }
    if (images_count == 0U) {
        abort();
    }
    closedir(folder);
}

/* The input, byte by byte; zeros behind its end. */
typedef struct reader {
    const uint8_t *data;
    size_t left;
} reader;

static uint32_t take(reader *r) {
    if (r->left == 0U) {
        return 0;
    }
    r->left--;
    return *r->data++;
}

/* ---- edits ---- */

/* A section that is no matrix, picked by `pick`; sometimes the header's numbers. */
static void pick_section(const uint8_t *image, uint32_t pick, uint32_t *offset, uint32_t *size) {
    uint32_t rows = load32(image + 68);
    *offset = 72;
    *size = 32;
    for (uint32_t i = 0; i < rows && pick % 8U != 7U; i++) {
        const uint8_t *row = image + HEADER_BYTES + 12U * ((pick + i) % rows);
        uint32_t start = load32(row + 4), length = load32(row + 8);
        if (start % 64U != 0U || length < 2000U) {
            *offset = start;
            *size = length;
            return;
        }
    }
}

static void edit(uint8_t *image, reader *r) {
    static const uint16_t ends[8] = {0, 1, 0x7FFF, 0x8000, 0xFFFF, 62, 0xFFE0, 0x4000};
    uint32_t offset, size, pick = take(r), kind = take(r);
    pick_section(image, pick, &offset, &size);
    /* Most fields stand at the start of a section. */
    uint32_t at = offset + (take(r) | (kind & 0x80U) * 256U * (kind & 0x7FU)) % size;
    uint32_t low = take(r), high = take(r);
    if ((kind & 1U) != 0U && at % 2U == 0U && at + 1U < offset + size) {
        uint16_t value = (kind & 2U) != 0U ? ends[low % 8U] : (uint16_t)(low | high << 8);
        image[at] = (uint8_t)value;
        image[at + 1U] = (uint8_t)(value >> 8);
    } else {
        image[at] = (uint8_t)low;
    }
}

/* ---- plans ---- */

static void serial_run(void *context, ftv_task_fn function, void *argument, uint32_t tasks) {
    const uint32_t *workers = context;
    for (uint32_t task = tasks; task-- > 0U;) {
        function(argument, task, task % *workers);
    }
}

/* Buffers side by side in their memories, each on lines of its own where there are copies; now and then moved, cut or
 * stretched. */
static ftv_plan draw_plan(const ftv_model *model, const ftv_options *options, reader *r) {
    uint32_t align = options->copies != NULL ? FTV_COPY_ALIGN : FTV_ALIGN;
    ftv_plan plan = ftv_make_plan(model, options);
    uint32_t bytes[FTV_BUFFERS];
    plan.group = 1U + take(r) % model->tokens;
    plan.teams = take(r) % 2U == 0U ? 1U : plan.workers;
    plan.wave = 1U + take(r) % model->heads;
    plan.window = take(r) % 2U;
    plan.resident = take(r) % (model->tokens + 1U);
    memset(plan.bytes, 0, sizeof plan.bytes);
    ftv_plan_needs(bytes, model, options, &plan);
    for (uint32_t i = 0; i < FTV_BUFFERS; i++) {
        uint32_t memory = take(r) % FTV_MEMORIES;
        plan.places[i] = (ftv_plan_place){memory, plan.bytes[memory], bytes[i]};
        plan.bytes[memory] += (bytes[i] + align - 1U) / align * align;
    }
    for (uint32_t edits = take(r) % 4U; edits > 0U; edits--) {
        uint32_t *words = (uint32_t *)(void *)&plan;
        uint32_t *word = &words[take(r) % (sizeof plan / sizeof *words)];
        uint32_t how = take(r), by = take(r) * 16U;
        *word = how % 4U == 0U ? *word - by : how % 4U == 1U ? *word + by : how % 4U == 2U ? by / 16U : UINT32_MAX - by;
    }
    return plan;
}

/* ---- runs ---- */

/* Memories of exactly the plan's sizes, within what a test can have. */
static int run_with(const ftv_model *model, ftv_options options, const uint8_t *pixels, int32_t *logits) {
    size_t near_bytes = options.plan != NULL ? options.plan->bytes[FTV_NEAR] : ftv_arena_bytes(model, &options);
    if (options.plan != NULL) {
        if (ftv_check_plan(model, &options) != FTV_OK) {
            static _Alignas(FTV_ALIGN) uint8_t nothing[FTV_ALIGN];
            if (ftv_run(model, &options, pixels, logits, nothing, SIZE_MAX) == FTV_OK) {
                abort(); /* a plan that does not serve was followed */
            }
            return 0;
        }
        options.far_bytes = options.plan->bytes[FTV_FAR];
        options.spare_bytes = options.plan->bytes[FTV_SPARE];
    }
    if (near_bytes + options.far_bytes + options.spare_bytes > (size_t)64 << 20) {
        return 0;
    }
    uint8_t *near = allocate(near_bytes), *far = allocate(options.far_bytes), *spare = allocate(options.spare_bytes);
    options.far = far;
    options.spare = spare;
    memset(near, 0xA5, near_bytes);
    ftv_status status = ftv_run(model, &options, pixels, logits, near, near_bytes);
    free(near);
    free(far);
    free(spare);
    if (status != FTV_OK) {
        abort();
    }
    return 1;
}

static void run_all(const ftv_model *model, const uint8_t *pixels, reader *r) {
    int32_t *expected = allocate(model->classes * sizeof *expected);
    int32_t *logits = allocate(model->classes * sizeof *logits);
    run_with(model, (ftv_options){.kernels = &ftv_kernels_ref}, pixels, expected);
    const ftv_kernels *set = &ftv_kernels_scalar;
    for (uint32_t i = 0; set != NULL; set = ftv_host_kernels(i++)) {
        uint32_t workers = 1U + take(r) % 3U;
        ftv_parallel parallel = {serial_run, &workers, workers};
        late_copies late = {.count = 0};
        ftv_copies copies = {&late, late_start, late_wait};
        ftv_options options = {.kernels = set, .parallel = &parallel, .copies = take(r) % 2U == 0U ? NULL : &copies};
        ftv_plan plan = draw_plan(model, &options, r);
        for (uint32_t own = 0; own < 2U; own++) {
            options.plan = own == 0U ? &plan : NULL;
            if (run_with(model, options, pixels, logits) &&
                memcmp(logits, expected, model->classes * sizeof *logits) != 0) {
                fprintf(stderr, "%s differs from ref\n", set->name);
                abort();
            }
            if (late.count > 0U) {
                abort(); /* a copy was not waited for */
            }
        }
    }
    free(expected);
    free(logits);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes_count);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes_count) {
    static ftv_model model;
    reader r = {data, bytes_count};
    if (images_count == 0U) {
        read_images();
    }
    const bytes *base = &images[take(&r) % images_count];
    uint8_t *image = allocate(base->size);
    memcpy(image, base->data, base->size);
    for (uint32_t edits = take(&r) % 24U; edits > 0U && r.left >= EDIT_BYTES; edits--) {
        edit(image, &r);
    }
    ftv_sha256(image + 16, image + 48, base->size - 48U);
    if (ftv_open(&model, image, base->size) == FTV_OK) {
        size_t size = (size_t)3 * model.image_size * model.image_size;
        uint8_t *pixels = allocate(size);
        uint32_t seed = take(&r);
        for (size_t i = 0; i < size; i++) {
            seed = seed * 1664525U + 1013904223U;
            pixels[i] = (uint8_t)(seed >> 24);
        }
        run_all(&model, pixels, &r);
        free(pixels);
    }
    free(image);
    return 0;
}
