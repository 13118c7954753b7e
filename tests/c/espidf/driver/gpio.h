#ifndef GPIO_H
#define GPIO_H

#include <stdint.h>

typedef int gpio_num_t;
typedef int esp_err_t;
#define ESP_OK 0

enum { GPIO_MODE_OUTPUT = 2, GPIO_MODE_INPUT_OUTPUT_OD = 7 };
enum { GPIO_PULLUP_DISABLE, GPIO_PULLUP_ENABLE };
enum { GPIO_PULLDOWN_DISABLE };
enum { GPIO_INTR_DISABLE };

typedef struct gpio_config_t {
    uint64_t pin_bit_mask;
    int mode;
    int pull_up_en;
    int pull_down_en;
    int intr_type;
} gpio_config_t;

esp_err_t gpio_config(const gpio_config_t *config);
esp_err_t gpio_set_level(gpio_num_t pin, uint32_t level);
int gpio_get_level(gpio_num_t pin);
esp_err_t gpio_reset_pin(gpio_num_t pin);

#endif
