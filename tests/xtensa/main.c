/* Opens the model that start.S embeds, runs it with every set of kernels, and prints the logits: one line a set, eight
 * hexadecimal digits a logit. */
#include "ftv.h"
#ifdef WITH_PROJECT
#include "model.h" /* of a rendered project */
#endif

enum { ARENA_BYTES = 4 << 20 };

extern const uint8_t model_start[], model_end[], pixels_start[];
void semihosting_write(const void *data, uint32_t bytes);

static ftv_model model;
static int32_t logits[1024];
static _Alignas(FTV_ALIGN) uint8_t arena[ARENA_BYTES];

/* ---- what a C library would bring ---- */

void *memcpy(void *restrict to, const void *restrict from, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        ((volatile uint8_t *)to)[i] = ((const uint8_t *)from)[i]; /* volatile: must not become a call of memcpy */
    }
    return to;
}

void *memset(void *to, int value, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        ((volatile uint8_t *)to)[i] = (uint8_t)value;
    }
    return to;
}

int memcmp(const void *a, const void *b, size_t bytes) {
    const uint8_t *x = a, *y = b;
    for (size_t i = 0; i < bytes; i++) {
        if (x[i] != y[i]) {
            return x[i] < y[i] ? -1 : 1;
        }
    }
    return 0;
}

/* The compiler's name for a 32-bit division, which this core lacks. */
uint32_t __udivsi3(uint32_t n, uint32_t d);
uint32_t __udivsi3(uint32_t n, uint32_t d) {
    uint32_t quotient = 0, rest = 0;
    for (int bit = 31; bit >= 0; bit--) {
        rest = rest << 1 | ((n >> bit) & 1U);
        quotient <<= 1;
        if (rest >= d) {
            rest -= d;
            quotient |= 1U;
        }
    }
    return quotient;
}

uint32_t __umodsi3(uint32_t n, uint32_t d);
uint32_t __umodsi3(uint32_t n, uint32_t d) {
    return n - __udivsi3(n, d) * d;
}

/* The compiler's name for a 64-bit product, of which this core has the low 32 bits only. */
uint64_t __muldi3(uint64_t a, uint64_t b);
uint64_t __muldi3(uint64_t a, uint64_t b) {
    uint32_t a0 = (uint32_t)a & 0xFFFFU, a1 = (uint32_t)a >> 16, b0 = (uint32_t)b & 0xFFFFU, b1 = (uint32_t)b >> 16;
    uint32_t middle = a1 * b0 + (a0 * b0 >> 16);
    uint32_t other = a0 * b1 + (middle & 0xFFFFU);
    uint32_t high = a1 * b1 + (middle >> 16) + (other >> 16);
    high += (uint32_t)(a >> 32) * (uint32_t)b + (uint32_t)a * (uint32_t)(b >> 32);
    return (uint64_t)high << 32 | (uint32_t)a * (uint32_t)b;
}

/* ---- the test ---- */

static void print_line(const int32_t *values, uint32_t count) {
    char text[9];
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t digit = 0; digit < 8U; digit++) {
            text[digit] = "0123456789abcdef"[((uint32_t)values[i] >> (28U - 4U * digit)) & 15U];
        }
        text[8] = i + 1U == count ? '\n' : ' ';
        semihosting_write(text, sizeof text);
    }
}

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
    return failed != 0 ? failed : run_project();
}
