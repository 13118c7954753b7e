/* A camera that sends, stops, sends half a frame and fails, behind ftv_espidf_camera.c. */
#include "ftv_espidf.h"

#include "esp_camera.h"
#include "esp_timer.h"

#include <stdio.h>

const resolution_info_t resolution[] = {{96, 96}, {240, 240}, {0, 0}};
static uint8_t pixels[2U * 96U * 96U];
static camera_fb_t buffer = {pixels, sizeof pixels};
static bool there, broken;
static int64_t now_us;
static int out; /* frames that nobody gave back */

static int set_vflip(sensor_t *sensor, int on) {
    (void)sensor;
    printf("vflip %d\n", on);
    return 0;
}

static int set_hmirror(sensor_t *sensor, int on) {
    (void)sensor;
    printf("hmirror %d\n", on);
    return 0;
}

static sensor_t sensor = {set_vflip, set_hmirror};

esp_err_t esp_camera_init(const camera_config_t *config) {
    printf("init d0 %d d7 %d xclk %d buffers %zu %s newest %d\n", config->pin_d0, config->pin_d7, config->pin_xclk,
           config->fb_count, config->fb_location == CAMERA_FB_IN_PSRAM ? "psram" : "sram",
           config->grab_mode == CAMERA_GRAB_LATEST);
    return broken ? -1 : ESP_OK;
}

esp_err_t esp_camera_deinit(void) {
    printf("deinit\n");
    return ESP_OK;
}

sensor_t *esp_camera_sensor_get(void) {
    return &sensor;
}

bool esp_camera_available_frames(void) {
    return there;
}

camera_fb_t *esp_camera_fb_get(void) {
    if (!there) {
        printf("waits!\n"); /* up to four seconds, on a board */
        return NULL;
    }
    there = false;
    out++;
    return &buffer;
}

void esp_camera_fb_return(camera_fb_t *frame) {
    out -= frame == &buffer;
}

int64_t esp_timer_get_time(void) {
    return now_us;
}

static const ftv_espidf_camera_driver *const driver = &ftv_espidf_camera_esp32;

static void take(const char *when) {
    static const char *const names[] = {"frame", "not yet", "timeout", "overflow", "failed"};
    ftv_camera_frame frame = {0};
    ftv_camera_status status = driver->take(NULL, &frame);
    printf("%s: %s", when, names[status]);
    if (status == FTV_CAMERA_FRAME) {
        printf(" %u x %u format %d", frame.width, frame.height, (int)frame.format);
        driver->give(NULL, &frame);
    }
    printf(", out %d\n", out);
}

int main(void) {
    ftv_espidf_camera config = {.data = {1, 2, 3, 4, 5, 6, 7, 8},
                                .xclk = FTV_ESPIDF_NO_PIN,
                                .width = 96,
                                .height = 96,
                                .format = FTV_PIXELS_RGB565_BE,
                                .frame_buffers = 2,
                                .frame_buffers_in_psram = true,
                                .vflip = true};
    config.width = 97;
    printf("%s\n", driver->start(&config) ? "started" : "refused");
    config.width = 96;
    printf("%s\n", driver->start(&config) ? "started" : "refused");
    there = true;
    printf("arrived, unasked: %d\n", driver->arrived());
    take("at once");
    take("then");
    there = true;
    printf("arrived: %d\n", driver->arrived());
    buffer.len--;
    take("half");
    buffer.len++;
    now_us = 2000001;
    take("after two seconds");
    broken = true;
    printf("restart %d\n", driver->restart(NULL));
    take("without a camera");
    broken = false;
    printf("restart %d\n", driver->restart(NULL));
    take("started again");
    return 0;
}
