#ifndef ESP_LOG_H
#define ESP_LOG_H

#include <stdarg.h>
#include <stdio.h>

typedef int (*vprintf_like_t)(const char *, va_list);
vprintf_like_t esp_log_set_vprintf(vprintf_like_t function);

#define ESP_LOGE(tag, ...) (printf("E " tag ": " __VA_ARGS__), putchar('\n'))
#define ESP_LOGW(tag, ...) (printf("W " tag ": " __VA_ARGS__), putchar('\n'))

static inline const char *esp_err_to_name(int error) {
    return error == 0 ? "ESP_OK" : "ESP_FAIL";
}

#endif
