/* An I2C bus of two wires and one chip, and what ftv_espidf_i2c.c does on it: prints its registers. */
#include "ftv_espidf.h"

#include "driver/gpio.h"
#include "esp_rom_sys.h"
#include "freertos/task.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SDA     12
#define SCL     11
#define ADDRESS 0x58U

typedef enum phase { IDLE, ADDRESSED, REGISTER, WRITTEN, READ, DEAF } phase;

static struct {
    bool master_low[2]; /* SDA, SCL */
    bool chip_low[2];
    bool sda, scl; /* as they were */
    phase phase;
    uint32_t bits;  /* of the byte so far */
    uint32_t shift; /* in, or out */
    bool answers;   /* the ninth clock is the chip's */
    uint8_t reg;
    uint8_t registers[256];
    uint32_t transfers; /* that a stop ended */
    bool open_drain;
    uint32_t released;
    uint64_t us;
} bus;

static bool level(int wire) {
    return !bus.master_low[wire] && !bus.chip_low[wire];
}

static void take_byte(void) {
    uint8_t byte = (uint8_t)bus.shift;
    bus.answers = true;
    switch (bus.phase) {
    case ADDRESSED:
        bus.phase = byte >> 1 != ADDRESS ? DEAF : (byte & 1U) != 0U ? READ : REGISTER;
        bus.answers = bus.phase != DEAF;
        break;
    case REGISTER:
        bus.reg = byte;
        bus.phase = WRITTEN;
        break;
    case WRITTEN:
        bus.registers[bus.reg++] = byte;
        break;
    default:
        bus.answers = false;
        break;
    }
}

static void clock_rises(void) {
    if (bus.bits < 8U && bus.phase != READ) {
        bus.shift = bus.shift << 1 | (level(0) ? 1U : 0U);
    }
    bus.bits++;
    if (bus.bits == 8U && bus.phase != READ && bus.phase != IDLE) {
        take_byte();
        bus.shift = bus.phase == READ ? bus.registers[bus.reg++] : 0U;
        bus.bits = bus.phase == READ ? 8U : bus.bits;
    } else if (bus.bits == 9U && bus.phase == READ && !bus.answers && level(0)) {
        bus.phase = DEAF; /* the master wants no more */
    }
}

static void clock_falls(void) {
    bus.chip_low[0] = false;
    if (bus.bits == 9U) {
        bus.bits = 0;
        bus.answers = false;
    }
    if (bus.bits == 8U) {
        bus.chip_low[0] = bus.answers;
    } else if (bus.phase == READ) {
        bus.chip_low[0] = (bus.shift & 0x80U >> bus.bits) == 0U;
    }
}

static void settle(void) {
    bool sda = level(0), scl = level(1);
    if (scl && !bus.scl) {
        clock_rises();
    } else if (!scl && bus.scl) {
        clock_falls();
    } else if (scl && sda != bus.sda) {
        bus.transfers += sda && bus.phase != IDLE ? 1U : 0U;
        bus.phase = sda ? IDLE : ADDRESSED;
        bus.bits = bus.shift = 0;
        bus.chip_low[0] = false;
    }
    bus.sda = level(0);
    bus.scl = level(1);
}

esp_err_t gpio_config(const gpio_config_t *config) {
    bus.open_drain = config->mode == GPIO_MODE_INPUT_OUTPUT_OD && config->pin_bit_mask == (1ULL << SDA | 1ULL << SCL);
    return ESP_OK;
}

esp_err_t gpio_set_level(gpio_num_t pin, uint32_t to) {
    bus.master_low[pin == SCL] = to == 0U;
    settle();
    return ESP_OK;
}

int gpio_get_level(gpio_num_t pin) {
    return level(pin == SCL) ? 1 : 0;
}

esp_err_t gpio_reset_pin(gpio_num_t pin) {
    bus.released += pin == SDA || pin == SCL ? 1U : 0U;
    return ESP_OK;
}

void esp_rom_delay_us(uint32_t us) {
    bus.us += us;
}

void vTaskDelay(TickType_t ticks) {
    bus.us += 1000U * ticks;
}

int main(int count, char **words) {
    static const ftv_espidf_i2c_write writes[] = {
        {.device = "chip", .address = ADDRESS, .register_address = 3, .value = 0x02, .mask = 0x03},
        {.device = "other", .address = 0x34, .register_address = 3, .value = 9, .mask = 0xFF, .purpose = "light"},
        {.device = "chip", .address = ADDRESS, .register_address = 0x13, .value = 0xA5, .mask = 0xFF, .delay_ms = 20},
    };
    const ftv_espidf_i2c config = {SDA, SCL, 400000, writes, sizeof writes / sizeof writes[0]};
    const char *play = count > 1 ? words[1] : "";
    bus.sda = bus.scl = true;
    bus.registers[3] = 0xF1;
    if (strcmp(play, "interrupted") == 0) {
        bus.phase = READ; /* it was sending zeros when the reset came */
        bus.chip_low[0] = true;
        bus.sda = false;
    }
    bus.chip_low[1] = strcmp(play, "stuck") == 0;
    bus.scl = !bus.chip_low[1];
    bool good = ftv_espidf_write_i2c(&config);
    printf("%s 03=%02x 13=%02x transfers=%u open_drain=%d released=%u after=%llu ms\n", good ? "good" : "bad",
           bus.registers[3], bus.registers[0x13], (unsigned)bus.transfers, bus.open_drain, (unsigned)bus.released,
           (unsigned long long)(bus.us / 1000U));
    return 0;
}
