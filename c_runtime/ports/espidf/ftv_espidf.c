/* From app_main to the application's loop. */
#include "ftv_espidf.h"

#include "driver/gpio.h"
#include "esp_cpu.h"
#include "esp_heap_caps.h"
#include "esp_log.h"
#include "esp_random.h"
#include "esp_timer.h"

#define TAG "ftv"

static uint32_t clock_us(void *context) {
    (void)context;
    return (uint32_t)esp_timer_get_time();
}

static uint32_t cycles(void *context) {
    (void)context;
    return (uint32_t)esp_cpu_get_cycle_count();
}

static void write_log(void *context, ftv_log_level level, const char *text) {
    (void)context;
    switch (level) {
    case FTV_LOG_ERROR:
        ESP_LOGE(TAG, "%s", text);
        break;
    case FTV_LOG_WARNING:
        ESP_LOGW(TAG, "%s", text);
        break;
    default:
        ESP_LOGI(TAG, "%s", text);
        break;
    }
}

static void wait(void *context, uint32_t milliseconds) {
    const ftv_espidf_board *board = context;
    ftv_espidf_line_wait(milliseconds, board->camera != NULL ? board->camera_driver->arrived : NULL);
}

static void set_trigger(void *context, bool high) {
    const ftv_espidf_board *board = context;
    gpio_set_level((gpio_num_t)board->trigger, high ? 1U : 0U);
}

static void start_trigger(const ftv_espidf_board *board, ftv_app_port *port) {
    if (board->trigger == FTV_ESPIDF_NO_PIN) {
        return;
    }
    const gpio_config_t output = {.pin_bit_mask = 1ULL << board->trigger,
                                  .mode = GPIO_MODE_OUTPUT,
                                  .pull_up_en = GPIO_PULLUP_DISABLE,
                                  .pull_down_en = GPIO_PULLDOWN_DISABLE,
                                  .intr_type = GPIO_INTR_DISABLE};
    gpio_set_level((gpio_num_t)board->trigger, 0);
    gpio_config(&output);
    port->trigger = set_trigger;
}

static void start_display(const ftv_espidf_board *board, ftv_app_config *config) {
    const ftv_espidf_display *display = board->display;
    config->display_width = config->display_height = 0;
    if (display == NULL) {
        return;
    }
    if (!board->display_driver->start(display, sizeof config->strip[0] * config->strip_pixels)) {
        ESP_LOGE(TAG, "display: does not start");
        return;
    }
    bool upright = display->rotation_degrees % 180U == 0U;
    config->display_width = upright ? display->width : display->height;
    config->display_height = upright ? display->height : display->width;
    config->display_little_endian = display->little_endian;
    config->port.display_write = board->display_driver->write;
    config->port.display_light = board->display_driver->light;
}

/* A camera that does not start is the application's to restart. */
static void start_camera(const ftv_espidf_board *board, ftv_app_port *port) {
    if (board->camera != NULL) {
        board->camera_driver->start(board->camera);
        port->camera_take = board->camera_driver->take;
        port->camera_give = board->camera_driver->give;
        port->camera_restart = board->camera_driver->restart;
    }
}

static void find_model(ftv_app_config *config, ftv_espidf_model model) {
    ftv_espidf_map_model(&config->image, &config->image_bytes, &config->image_error);
    bool copied = model == FTV_ESPIDF_MODEL_IN_PSRAM && ftv_espidf_copy_model(&config->image, &config->image_bytes);
    if (config->image != NULL) {
        ESP_LOGI(TAG, "model: read from %s", copied ? "PSRAM" : "flash");
    }
}

/* For a plan that copies residual rows from and to PSRAM. */
static void start_copies(ftv_app_config *config) {
    const ftv_plan *plan = config->options.plan;
    const ftv_plan_place *residual = plan != NULL ? &plan->places[FTV_BUFFER_RESIDUAL] : NULL;
    if (residual == NULL || plan->window == 0U || residual->memory != FTV_FAR || config->options.far == NULL) {
        return;
    }
    uint8_t *rows = (uint8_t *)config->options.far + residual->offset;
    config->options.copies = ftv_espidf_start_copies(rows, residual->bytes, config->scratch, config->scratch_bytes);
    if (config->options.copies != NULL) {
        ESP_LOGI(TAG, "copies: by DMA");
    }
}

static uint16_t new_session(void) {
    uint16_t session = 0;
    while (session == 0U) {
        session = (uint16_t)esp_random();
    }
    return session;
}

void ftv_espidf_main(const ftv_espidf_board *board, ftv_app *app, ftv_app_config *config, ftv_espidf_model model) {
    ftv_espidf_line_start(board);
    config->port = (ftv_app_port){.context = (void *)board,
                                  .read = ftv_espidf_line_read,
                                  .write = ftv_espidf_line_write,
                                  .clock_us = clock_us,
                                  .log = write_log,
                                  .wait = wait,
                                  .on_worker = ftv_espidf_on_worker,
                                  .cycles = cycles};
    config->board = board->name;
    config->session = new_session();
    config->window = FTV_ESPIDF_WINDOW;
    config->options.parallel = ftv_espidf_start_workers(board->workers);
    start_trigger(board, &config->port);
    if (board->i2c != NULL) {
        ftv_espidf_write_i2c(board->i2c);
    }
    start_display(board, config);
    start_camera(board, &config->port);
    find_model(config, model);
    start_copies(config);
    ESP_LOGI(TAG, "internal RAM: %u bytes free, the largest piece %u",
             (unsigned)heap_caps_get_free_size(MALLOC_CAP_INTERNAL | MALLOC_CAP_8BIT),
             (unsigned)heap_caps_get_largest_free_block(MALLOC_CAP_INTERNAL | MALLOC_CAP_8BIT));
    ftv_app_start(app, config);
    for (;;) {
        ftv_app_step(app);
    }
}
