/* The few writes that power camera and display, on two open-drain pins without an I2C driver: esp32-camera brings either
 * of ESP-IDF's two, which refuse to live together, and wants the same bus right afterwards. */
#include "ftv_espidf.h"

#include "driver/gpio.h"
#include "esp_log.h"
#include "esp_rom_sys.h"
#include "freertos/FreeRTOS.h"
#include "freertos/task.h"

#define TAG        "ftv"
#define STRETCH_US 1000U /* how long a chip may hold the clock */

typedef struct i2c_bus {
    gpio_num_t sda;
    gpio_num_t scl;
    uint32_t half_us; /* of a clock period */
} i2c_bus;

static void set(gpio_num_t pin, uint32_t level) {
    gpio_set_level(pin, level);
}

static void pause(const i2c_bus *bus) {
    esp_rom_delay_us(bus->half_us);
}

/* Lets the clock rise. False: something holds it. */
static bool raise_clock(const i2c_bus *bus) {
    set(bus->scl, 1);
    for (uint32_t us = 0; gpio_get_level(bus->scl) == 0; us++) {
        if (us == STRETCH_US) {
            return false;
        }
        esp_rom_delay_us(1);
    }
    pause(bus);
    return true;
}

/* One clock. Returns the level of SDA meanwhile, or -1. */
static int clock_bit(const i2c_bus *bus, uint32_t level) {
    set(bus->sda, level);
    pause(bus);
    int seen = raise_clock(bus) ? gpio_get_level(bus->sda) : -1;
    set(bus->scl, 0);
    return seen;
}

static bool start(const i2c_bus *bus) {
    set(bus->sda, 1);
    pause(bus);
    bool free = raise_clock(bus) && gpio_get_level(bus->sda) == 1;
    set(bus->sda, 0);
    pause(bus);
    set(bus->scl, 0);
    return free;
}

static bool stop(const i2c_bus *bus) {
    set(bus->sda, 0);
    pause(bus);
    bool free = raise_clock(bus);
    set(bus->sda, 1);
    pause(bus);
    return free;
}

/* True: acknowledged. */
static bool send(const i2c_bus *bus, uint32_t byte) {
    for (uint32_t bit = 0x80U; bit != 0U; bit >>= 1) {
        if (clock_bit(bus, (byte & bit) != 0U ? 1U : 0U) < 0) {
            return false;
        }
    }
    return clock_bit(bus, 1) == 0;
}

/* One byte, the last of a transfer. */
static uint8_t receive(const i2c_bus *bus) {
    uint32_t byte = 0;
    for (int bit = 0; bit < 8; bit++) {
        byte = byte << 1 | (clock_bit(bus, 1) == 1 ? 1U : 0U);
    }
    clock_bit(bus, 1);
    return (uint8_t)byte;
}

static bool read_register(const i2c_bus *bus, const ftv_espidf_i2c_write *from, uint8_t *value) {
    uint32_t address = (uint32_t)from->address << 1;
    bool answered =
        start(bus) && send(bus, address) && send(bus, from->register_address) && start(bus) && send(bus, address | 1U);
    *value = answered ? receive(bus) : 0;
    return stop(bus) && answered;
}

static bool write_register(const i2c_bus *bus, const ftv_espidf_i2c_write *to, uint8_t value) {
    bool answered =
        start(bus) && send(bus, (uint32_t)to->address << 1) && send(bus, to->register_address) && send(bus, value);
    return stop(bus) && answered;
}

static bool write_bits(const i2c_bus *bus, const ftv_espidf_i2c_write *write) {
    uint8_t before = 0;
    if (write->mask != 0xFFU && !read_register(bus, write, &before)) {
        return false;
    }
    return write_register(bus, write, (uint8_t)((before & ~(uint32_t)write->mask) | (write->value & write->mask)));
}

/* A reset in the middle of a byte leaves its sender waiting for clocks: nine of them, then a stop, free the bus. */
static void take_bus(const i2c_bus *bus) {
    const gpio_config_t pins = {.pin_bit_mask = 1ULL << bus->sda | 1ULL << bus->scl,
                                .mode = GPIO_MODE_INPUT_OUTPUT_OD,
                                .pull_up_en = GPIO_PULLUP_ENABLE,
                                .pull_down_en = GPIO_PULLDOWN_DISABLE,
                                .intr_type = GPIO_INTR_DISABLE};
    set(bus->sda, 1);
    set(bus->scl, 1);
    gpio_config(&pins);
    pause(bus);
    for (int clock = 0; clock < 9; clock++) {
        clock_bit(bus, 1);
    }
    stop(bus);
}

static void release_bus(const i2c_bus *bus) {
    gpio_reset_pin(bus->sda);
    gpio_reset_pin(bus->scl);
}

bool ftv_espidf_write_i2c(const ftv_espidf_i2c *config) {
    uint32_t clock_hz = config->clock_hz > 0U ? config->clock_hz : 100000U;
    const i2c_bus bus = {(gpio_num_t)config->sda, (gpio_num_t)config->scl, (500000U + clock_hz - 1U) / clock_hz};
    bool good = true;
    take_bus(&bus);
    for (uint32_t i = 0; i < config->writes_count; i++) {
        const ftv_espidf_i2c_write *write = &config->writes[i];
        if (!write_bits(&bus, write)) {
            ESP_LOGE(TAG, "%s at I2C address 0x%02x does not answer; it should do: %s", write->device, write->address,
                     write->purpose);
            good = false;
        }
        vTaskDelay(pdMS_TO_TICKS((uint32_t)write->delay_ms) + 1U);
    }
    release_bus(&bus);
    return good;
}
