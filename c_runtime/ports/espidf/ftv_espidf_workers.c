/* The engine's work on two cores: the caller's task, and one task pinned to core 1. FreeRTOS saves the vector registers
 * of a pinned task when another wants them. Neither waits by spinning: that would take bus time from the other. */
#include "ftv_espidf.h"

#include "freertos/FreeRTOS.h"
#include "freertos/task.h"

#include <stdatomic.h>

#define HELPER_CORE        1
#define HELPER_STACK_BYTES 6144U /* a pass takes under 2 KB of it */
#define HELPER_PRIORITY    2U    /* above the idle task; ESP-IDF's drivers stand higher */

static struct {
    TaskHandle_t helper; /* NULL: one worker */
    TaskHandle_t caller;
    void (*job)(void *argument);
    void *argument;
    atomic_bool busy;
    StaticTask_t task;
    StackType_t stack[HELPER_STACK_BYTES / sizeof(StackType_t)];
} pool;

/* Tasks handed out one by one, to whoever is free. */
typedef struct shared_work {
    ftv_task_fn function;
    void *argument;
    uint32_t tasks;
    atomic_uint next;
} shared_work;

static void helper_main(void *unused) {
    (void)unused;
    for (;;) {
        ulTaskNotifyTake(pdTRUE, portMAX_DELAY);
        if (atomic_load_explicit(&pool.busy, memory_order_acquire)) {
            TaskHandle_t caller = pool.caller;
            pool.job(pool.argument);
            atomic_store_explicit(&pool.busy, false, memory_order_release);
            xTaskNotifyGive(caller);
        }
    }
}

static void start_job(void (*job)(void *argument), void *argument) {
    pool.caller = xTaskGetCurrentTaskHandle();
    pool.job = job;
    pool.argument = argument;
    atomic_store_explicit(&pool.busy, true, memory_order_release);
    xTaskNotifyGive(pool.helper);
}

/* The flag decides, not the notification: others may use the caller's. */
static void wait_for_job(void) {
    while (atomic_load_explicit(&pool.busy, memory_order_acquire)) {
        ulTaskNotifyTake(pdTRUE, portMAX_DELAY);
    }
}

static void work(shared_work *shared, uint32_t worker) {
    for (uint32_t task = atomic_fetch_add(&shared->next, 1U); task < shared->tasks;
         task = atomic_fetch_add(&shared->next, 1U)) {
        shared->function(shared->argument, task, worker);
    }
}

static void help(void *argument) {
    work(argument, 1U);
}

static void run(void *context, ftv_task_fn function, void *argument, uint32_t tasks) {
    (void)context;
    shared_work shared = {.function = function, .argument = argument, .tasks = tasks};
    bool alone = tasks <= 1U || pool.helper == NULL;
    atomic_init(&shared.next, 0U);
    if (!alone) {
        start_job(help, &shared);
    }
    work(&shared, 0U);
    if (!alone) {
        wait_for_job();
    }
}

const ftv_parallel *ftv_espidf_start_workers(uint32_t workers) {
    static const ftv_parallel one = {run, NULL, 1}, two = {run, NULL, 2};
    if (workers > 1U && portNUM_PROCESSORS > 1 && pool.helper == NULL) {
        pool.helper = xTaskCreateStaticPinnedToCore(helper_main, "ftv_worker", HELPER_STACK_BYTES, NULL,
                                                    HELPER_PRIORITY, pool.stack, &pool.task, HELPER_CORE);
    }
    return pool.helper != NULL ? &two : &one;
}

void ftv_espidf_on_worker(void *context, uint32_t worker, void (*function)(void *argument), void *argument) {
    (void)context;
    if (worker == 0U || pool.helper == NULL) {
        function(argument);
        return;
    }
    start_job(function, argument);
    wait_for_job();
}
