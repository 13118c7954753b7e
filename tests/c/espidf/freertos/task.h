#ifndef TASK_H
#define TASK_H

#include "FreeRTOS.h"

typedef struct played_task *TaskHandle_t;
typedef struct StaticTask_t {
    int unused;
} StaticTask_t;

void vTaskDelay(TickType_t ticks);
TaskHandle_t xTaskGetCurrentTaskHandle(void);
void xTaskNotifyGive(TaskHandle_t task);
uint32_t ulTaskNotifyTake(BaseType_t clear, TickType_t ticks);
TaskHandle_t xTaskCreateStaticPinnedToCore(void (*function)(void *), const char *name, uint32_t stack_bytes,
                                           void *argument, UBaseType_t priority, StackType_t *stack, StaticTask_t *task,
                                           BaseType_t core);

#endif
