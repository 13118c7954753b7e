/* A rendered memory plan with the vector unit's kernels: it serves the model with them, and with those that replace them
 * when the self-test fails; what the project keeps for the self-test suffices. Nothing is computed. */
#include "ftv.h"
#include "kernels/esp32s3/ftv_esp32s3.h"
#include "model.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define ABSENT(function, type)                                                                                         \
    void function(const type *args) {                                                                                  \
        (void)args;                                                                                                    \
        abort();                                                                                                       \
    }
FTV_ESP32S3_FUNCTIONS(ABSENT)

static void run(void *context, ftv_task_fn function, void *argument, uint32_t tasks) {
    (void)context;
    (void)function;
    (void)argument;
    (void)tasks;
}

/* Everything of the set but the encoding that the model has not. */
static bool is_the_set(const ftv_kernels *kernels) {
    const ftv_kernels *set = &ftv_kernels_esp32s3;
    bool linear =
        MODEL_ENCODING == FTV_T2 ? kernels->linear_s8t2 == set->linear_s8t2 : kernels->linear_s8t5 == set->linear_s8t5;
    bool loops = linear && kernels->scores_s8s8 == set->scores_s8s8 && kernels->mix_s16s8 == set->mix_s16s8;
    bool matrices = kernels->layer == set->layer && kernels->qkv == set->qkv && kernels->attend == set->attend;
    bool rows = kernels->norm == set->norm && kernels->quantise == set->quantise;
    bool picture = kernels->patches == set->patches && kernels->embed == set->embed;
    return loops && matrices && rows && picture && kernels->value_bytes == set->value_bytes &&
           kernels->tiles == set->tiles && kernels->linear_scratch_bytes == set->linear_scratch_bytes;
}

static int fail(const char *what) {
    fprintf(stderr, "%s\n", what);
    return 1;
}

static void *read_file(const char *path, size_t *bytes) {
    FILE *file = fopen(path, "rb");
    void *content = NULL;
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        exit(2);
    }
    *bytes = (size_t)ftell(file);
    rewind(file);
    if (posix_memalign(&content, 64, *bytes) != 0 || fread(content, 1, *bytes, file) != *bytes) {
        exit(2);
    }
    fclose(file);
    return content;
}

int main(int count, char **words) {
    static ftv_model model;
    const ftv_parallel parallel = {run, NULL, MODEL_WORKERS};
    size_t bytes = 0;
    void *image = count == 2 ? read_file(words[1], &bytes) : NULL;
    if (ftv_open(&model, image, bytes) != FTV_OK) {
        return fail("usage: check_project_plan IMAGE");
    }
    ftv_options options = {.kernels = &model_kernels, .parallel = &parallel, .plan = &model_plan};
    if (ftv_check_plan(&model, &options) != FTV_OK) {
        return fail("the plan does not serve the kernels");
    }
    if (!is_the_set(&model_kernels)) {
        return fail("the rendered set lacks something of the set");
    }
    options.kernels = &ftv_kernels_ref;
    if (ftv_check_plan(&model, &options) != FTV_OK) {
        return fail("the plan does not serve ref");
    }
    if (model_kernels.linear_scratch_bytes(MODEL_MOST_INPUTS) != MODEL_LINEAR_SCRATCH_BYTES ||
        model_kernels.scratch_bytes(&model) != MODEL_STEPS_SCRATCH_BYTES ||
        ftv_kernels_esp32s3.scratch_bytes(&model) != MODEL_STEPS_SCRATCH_BYTES) {
        return fail("scratch is not what was planned");
    }
    free(image);
    return 0;
}
