/* A pool of threads that spin for a moment before they sleep: a pass hands out work hundreds of times, a few tens of
 * microseconds apart. Helpers that are late find the work closed, so a busy computer never holds up the caller. */
#if !defined(_WIN32)
#define _POSIX_C_SOURCE 200809L
#endif
#include "ftv_threads.h"

#include <stdbool.h>
#include <stdlib.h>

#define MAX_WORKERS 64U

#if defined(_WIN32)

/* No threads yet on Windows: the caller does everything. */
static void run_serially(void *context, ftv_task_fn function, void *argument, uint32_t tasks) {
    (void)context;
    for (uint32_t task = 0; task < tasks; task++) {
        function(argument, task, 0);
    }
}

static const ftv_parallel serial = {run_serially, NULL, 1};

const ftv_parallel *ftv_threads_create(uint32_t workers) {
    return workers >= 1U && workers <= MAX_WORKERS ? &serial : NULL;
}

void ftv_threads_destroy(const ftv_parallel *parallel) {
    (void)parallel;
}

#else

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#define SPINS       4000 /* some 100 microseconds */
#define YIELD_EVERY 32   /* spins; where the cores are busy, those we wait for may need ours */

/* `state`: how many helpers are inside, whether the work is closed to newcomers, and a count of all work so far. */
#define INSIDE      0xFFU
#define CLOSED      0x100U
#define NEXT        0x200U

typedef struct pool pool;

typedef struct helper {
    pool *owner;
    uint32_t worker;
    pthread_t thread;
} helper;

struct pool {
    ftv_parallel parallel; /* first: what the caller holds */
    atomic_uint state;
    atomic_uint next_task;
    atomic_uint sleepers;
    atomic_bool stop;
    ftv_task_fn function;
    void *argument;
    uint32_t tasks;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    uint32_t helpers;
    helper helper[MAX_WORKERS];
};

static void spin_once(unsigned spin) {
    if (spin % YIELD_EVERY == YIELD_EVERY - 1U) {
        sched_yield();
        return;
    }
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void work(pool *p, uint32_t worker) {
    for (uint32_t task = atomic_fetch_add(&p->next_task, 1U); task < p->tasks;
         task = atomic_fetch_add(&p->next_task, 1U)) {
        p->function(p->argument, task, worker);
    }
}

/* Does its share of the work that `state` announces, unless it is closed. */
static void join_work(pool *p, unsigned state, uint32_t worker) {
    while ((state & CLOSED) == 0U) {
        if (atomic_compare_exchange_weak(&p->state, &state, state + 1U)) {
            work(p, worker);
            atomic_fetch_sub(&p->state, 1U);
            return;
        }
    }
}

/* Sleeps until the work after `seen` is announced. The caller looks at `sleepers` after it changes `state`, and a
 * sleeper at `state` after it changes `sleepers`: one of them sees the other. */
static void sleep_until_work(pool *p, unsigned seen) {
    pthread_mutex_lock(&p->mutex);
    atomic_fetch_add(&p->sleepers, 1U);
    while (atomic_load(&p->state) / NEXT == seen && !atomic_load(&p->stop)) {
        pthread_cond_wait(&p->wake, &p->mutex);
    }
    atomic_fetch_sub(&p->sleepers, 1U);
    pthread_mutex_unlock(&p->mutex);
}

static void wait_for_work(pool *p, unsigned seen) {
    for (unsigned spin = 0; spin < SPINS; spin++) {
        if (atomic_load(&p->state) / NEXT != seen || atomic_load(&p->stop)) {
            return;
        }
        spin_once(spin);
    }
    sleep_until_work(p, seen);
}

static void *helper_main(void *argument) {
    const helper *self = argument;
    pool *p = self->owner;
    unsigned seen = 0;
    for (;;) {
        wait_for_work(p, seen);
        if (atomic_load(&p->stop)) {
            return NULL;
        }
        unsigned state = atomic_load(&p->state);
        seen = state / NEXT;
        join_work(p, state, self->worker);
    }
}

static void wake_helpers(pool *p) {
    if (atomic_load(&p->sleepers) != 0U) {
        pthread_mutex_lock(&p->mutex);
        pthread_cond_broadcast(&p->wake);
        pthread_mutex_unlock(&p->mutex);
    }
}

/* Closes the work to newcomers and waits for the helpers inside. */
static void finish(pool *p) {
    atomic_fetch_or(&p->state, CLOSED);
    for (unsigned spin = 0; (atomic_load(&p->state) & INSIDE) != 0U; spin++) {
        spin_once(spin);
    }
}

static void run(void *context, ftv_task_fn function, void *argument, uint32_t tasks) {
    pool *p = context;
    if (tasks <= 1U || p->helpers == 0U) {
        for (uint32_t task = 0; task < tasks; task++) {
            function(argument, task, 0);
        }
        return;
    }
    p->function = function;
    p->argument = argument;
    p->tasks = tasks;
    atomic_store(&p->next_task, 0U);
    atomic_store(&p->state, (atomic_load(&p->state) & ~CLOSED) + NEXT);
    wake_helpers(p);
    work(p, 0);
    finish(p);
}

static void destroy(pool *p) {
    pthread_mutex_lock(&p->mutex);
    atomic_store(&p->stop, true);
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->mutex);
    for (uint32_t i = 0; i < p->helpers; i++) {
        pthread_join(p->helper[i].thread, NULL);
    }
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->mutex);
    free(p);
}

static bool start_helper(pool *p) {
    helper *h = &p->helper[p->helpers];
    *h = (helper){.owner = p, .worker = p->helpers + 1U};
    if (pthread_create(&h->thread, NULL, helper_main, h) != 0) {
        return false;
    }
    p->helpers++;
    return true;
}

const ftv_parallel *ftv_threads_create(uint32_t workers) {
    pool *p = workers >= 1U && workers <= MAX_WORKERS ? calloc(1, sizeof *p) : NULL;
    if (p == NULL) {
        return NULL;
    }
    p->parallel = (ftv_parallel){run, p, workers};
    atomic_init(&p->state, CLOSED);
    if (pthread_mutex_init(&p->mutex, NULL) != 0 || pthread_cond_init(&p->wake, NULL) != 0) {
        free(p);
        return NULL;
    }
    while (p->helpers + 1U < workers) {
        if (!start_helper(p)) {
            destroy(p);
            return NULL;
        }
    }
    return &p->parallel;
}

void ftv_threads_destroy(const ftv_parallel *parallel) {
    if (parallel != NULL) {
        destroy(parallel->context);
    }
}

#endif
