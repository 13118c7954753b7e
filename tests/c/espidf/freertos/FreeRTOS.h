/* What the port uses of FreeRTOS, for programs that play it: a tick is a millisecond. */
#ifndef FREERTOS_H
#define FREERTOS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint32_t TickType_t;
typedef int BaseType_t;
typedef unsigned UBaseType_t;
typedef uint8_t StackType_t;

#define pdTRUE             1
#define pdFALSE            0
#define portMAX_DELAY      UINT32_MAX
#define portNUM_PROCESSORS 2
#define pdMS_TO_TICKS(ms)  ((TickType_t)(ms))

#endif
