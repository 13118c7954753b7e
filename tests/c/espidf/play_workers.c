/* FreeRTOS's tasks as threads: whatever is notified when, each piece of work is done once, and run() returns afterwards. */
#define _POSIX_C_SOURCE 200809L
#include "ftv_espidf.h"

#include "freertos/task.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define ROUNDS 3000U
#define TASKS  40U

struct played_task {
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    uint32_t notified;
    void (*function)(void *);
};

static struct played_task first = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
static struct played_task second = {.mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
static _Thread_local struct played_task *current;
static atomic_uint done[TASKS], by_second, wrong;

static void *second_main(void *unused) {
    (void)unused;
    current = &second;
    second.function(NULL);
    return NULL;
}

TaskHandle_t xTaskCreateStaticPinnedToCore(void (*function)(void *), const char *name, uint32_t stack_bytes,
                                           void *argument, UBaseType_t priority, StackType_t *stack, StaticTask_t *task,
                                           BaseType_t core) {
    (void)name;
    (void)stack_bytes;
    (void)argument;
    (void)priority;
    (void)stack;
    (void)task;
    second.function = function;
    if (core != 1 || pthread_create(&second.thread, NULL, second_main, NULL) != 0) {
        abort();
    }
    return &second;
}

TaskHandle_t xTaskGetCurrentTaskHandle(void) {
    return current;
}

void xTaskNotifyGive(TaskHandle_t task) {
    pthread_mutex_lock(&task->mutex);
    task->notified++;
    pthread_cond_signal(&task->changed);
    pthread_mutex_unlock(&task->mutex);
}

uint32_t ulTaskNotifyTake(BaseType_t clear, TickType_t ticks) {
    (void)clear;
    (void)ticks;
    pthread_mutex_lock(&current->mutex);
    while (current->notified == 0U) {
        pthread_cond_wait(&current->changed, &current->mutex);
    }
    uint32_t notified = current->notified;
    current->notified = 0;
    pthread_mutex_unlock(&current->mutex);
    return notified;
}

static void work(void *argument, uint32_t task, uint32_t worker) {
    if (argument != done || worker > 1U || (worker == 1U) != (current == &second)) {
        atomic_fetch_add(&wrong, 1U);
    }
    atomic_fetch_add(&by_second, worker);
    atomic_fetch_add(&done[task], 1U);
}

static void note_task(void *argument) {
    *(struct played_task **)argument = current;
}

int main(void) {
    current = &first;
    const ftv_parallel *parallel = ftv_espidf_start_workers(2);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint32_t tasks = round % (TASKS + 1U);
        for (uint32_t i = 0; i < TASKS; i++) {
            atomic_store(&done[i], 0U);
        }
        xTaskNotifyGive(round % 3U == 0U ? &first : &second); /* by somebody else, for no reason */
        parallel->run(parallel->context, work, done, tasks);
        for (uint32_t i = 0; i < TASKS; i++) {
            atomic_fetch_add(&wrong, atomic_load(&done[i]) != (i < tasks ? 1U : 0U) ? 1U : 0U);
        }
    }
    struct played_task *on_first = NULL, *on_second = NULL;
    ftv_espidf_on_worker(NULL, 0, note_task, &on_first);
    ftv_espidf_on_worker(NULL, 1, note_task, &on_second);
    printf("workers %u wrong %u helped %d cores %d %d again %d\n", (unsigned)parallel->workers, atomic_load(&wrong),
           atomic_load(&by_second) > 0U, on_first == &first, on_second == &second,
           ftv_espidf_start_workers(2) == parallel);
    return 0;
}
