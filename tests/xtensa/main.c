/* Opens the model that model.S embeds, runs it with every set of kernels, and prints the logits: one line a set, eight
 * hexadecimal digits a logit. */
#include "ftv.h"
#include "library.h"
#ifdef WITH_PROJECT
#include "model.h" /* of a rendered project */
#endif

enum { ARENA_BYTES = 4 << 20 };

extern const uint8_t model_start[], model_end[], pixels_start[];

static ftv_model model;
static int32_t logits[1024];
static _Alignas(FTV_ALIGN) uint8_t arena[ARENA_BYTES];

static int run(const ftv_kernels *kernels) {
    ftv_options options = {.kernels = kernels};
    ftv_status status = ftv_run(&model, &options, pixels_start, logits, arena, sizeof arena);
    if (status == FTV_OK) {
        print_line(logits, model.classes);
    }
    return -status;
}

#ifdef WITH_PROJECT
static _Alignas(FTV_ALIGN) uint8_t far_memory[ARENA_BYTES];
static _Alignas(FTV_ALIGN) uint8_t spare_memory[MODEL_SPARE_BYTES + 1U];

/* Two workers on one core: every second task is the other one's. */
static void take_turns(void *context, ftv_task_fn function, void *argument, uint32_t tasks) {
    (void)context;
    for (uint32_t task = 0; task < tasks; task++) {
        function(argument, task, task % MODEL_WORKERS);
    }
}

static int run_project(void) {
    static const ftv_parallel workers = {take_turns, 0, MODEL_WORKERS};
    ftv_options options = {.kernels = &model_kernels,
                           .parallel = &workers,
                           .plan = &model_plan,
                           .far = far_memory,
                           .far_bytes = MODEL_FAR_BYTES,
                           .spare = spare_memory,
                           .spare_bytes = MODEL_SPARE_BYTES};
    ftv_status status = ftv_run(&model, &options, pixels_start, logits, arena, MODEL_NEAR_BYTES);
    if (status == FTV_OK) {
        print_line(logits, model.classes);
    }
    return -status;
}
#else
static int run_project(void) {
    return 0;
}
#endif

int main(void) {
    ftv_status status = ftv_open(&model, model_start, (size_t)(model_end - model_start));
    if (status != FTV_OK) {
        return -status;
    }
    int failed = run(&ftv_kernels_ref);
    failed = failed != 0 ? failed : run(&ftv_kernels_portable);
    failed = failed != 0 ? failed : run(&ftv_kernels_scalar);
    return failed != 0 ? failed : run_project();
}
