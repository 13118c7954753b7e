/* A parallel camera through the component espressif/esp32-camera, 2.0.16 or newer. Compile this file where that component
 * is: a project's main does, this component does not.
 *
 * The driver keeps the newest frame in its queue and drops the oldest. Only what is already there is taken, so that
 * nobody waits. */
#include "ftv_espidf.h"

#include "esp_camera.h"
#include "esp_log.h"
#include "esp_timer.h"

#define TAG        "ftv"
#define TIMEOUT_US 2000000

static struct {
    const ftv_espidf_camera *config;
    bool running;
    bool asked;      /* take() found nothing */
    int64_t last_us; /* when a frame came, or the camera started */
} camera;

static framesize_t frame_size(const ftv_espidf_camera *config) {
    int size = 0;
    while (size < FRAMESIZE_INVALID &&
           (resolution[size].width != config->width || resolution[size].height != config->height)) {
        size++;
    }
    return (framesize_t)size;
}

static pixformat_t pixel_format(ftv_pixel_format format) {
    return format == FTV_PIXELS_GRAY8  ? PIXFORMAT_GRAYSCALE
           : format == FTV_PIXELS_YUYV ? PIXFORMAT_YUV422
                                       : PIXFORMAT_RGB565;
}

static size_t frame_bytes(const ftv_espidf_camera *config) {
    return (size_t)config->width * config->height * (config->format == FTV_PIXELS_GRAY8 ? 1U : 2U);
}

static camera_config_t driver_config(const ftv_espidf_camera *c) {
    return (camera_config_t){.pin_pwdn = c->pwdn,
                             .pin_reset = c->reset,
                             .pin_xclk = c->xclk,
                             .pin_sccb_sda = c->sda,
                             .pin_sccb_scl = c->scl,
                             .pin_d7 = c->data[7],
                             .pin_d6 = c->data[6],
                             .pin_d5 = c->data[5],
                             .pin_d4 = c->data[4],
                             .pin_d3 = c->data[3],
                             .pin_d2 = c->data[2],
                             .pin_d1 = c->data[1],
                             .pin_d0 = c->data[0],
                             .pin_vsync = c->vsync,
                             .pin_href = c->href,
                             .pin_pclk = c->pclk,
                             .xclk_freq_hz = c->xclk_hz,
                             .ledc_timer = LEDC_TIMER_0,
                             .ledc_channel = LEDC_CHANNEL_0,
                             .pixel_format = pixel_format(c->format),
                             .frame_size = frame_size(c),
                             .jpeg_quality = 12,
                             .fb_count = c->frame_buffers,
                             .fb_location = c->frame_buffers_in_psram ? CAMERA_FB_IN_PSRAM : CAMERA_FB_IN_DRAM,
                             .grab_mode = CAMERA_GRAB_LATEST};
}

static bool turn_upright(const ftv_espidf_camera *config) {
    sensor_t *sensor = esp_camera_sensor_get();
    return sensor != NULL && sensor->set_vflip(sensor, config->vflip) == 0 &&
           sensor->set_hmirror(sensor, config->hmirror) == 0;
}

static bool start(const ftv_espidf_camera *config) {
    camera_config_t driver = driver_config(config);
    camera.config = config;
    if (driver.frame_size == FRAMESIZE_INVALID) {
        ESP_LOGE(TAG, "camera: esp32-camera has no frame size %u x %u", config->width, config->height);
        return false;
    }
    esp_err_t error = esp_camera_init(&driver);
    if (error != ESP_OK) {
        ESP_LOGE(TAG, "camera: does not start (%s)", esp_err_to_name(error));
        return false;
    }
    if (!turn_upright(config)) {
        ESP_LOGW(TAG, "camera: its sensor cannot turn the picture");
    }
    camera.running = true;
    camera.last_us = esp_timer_get_time();
    return true;
}

static bool restart(void *context) {
    (void)context;
    if (camera.running) {
        camera.running = false;
        esp_camera_deinit();
    }
    return start(camera.config);
}

static bool arrived(void) {
    return camera.running && camera.asked && esp_camera_available_frames();
}

static ftv_camera_status nothing_yet(void) {
    camera.asked = true;
    return esp_timer_get_time() - camera.last_us > TIMEOUT_US ? FTV_CAMERA_TIMEOUT : FTV_CAMERA_NOT_YET;
}

static ftv_camera_status take(void *context, ftv_camera_frame *frame) {
    (void)context;
    if (!camera.running) {
        return FTV_CAMERA_FAILED;
    }
    camera_fb_t *buffer = esp_camera_available_frames() ? esp_camera_fb_get() : NULL;
    if (buffer == NULL) {
        return nothing_yet();
    }
    camera.asked = false;
    camera.last_us = esp_timer_get_time();
    if (buffer->len != frame_bytes(camera.config)) {
        esp_camera_fb_return(buffer);
        return FTV_CAMERA_OVERFLOW;
    }
    *frame = (ftv_camera_frame){.pixels = buffer->buf,
                                .width = camera.config->width,
                                .height = camera.config->height,
                                .format = camera.config->format,
                                .handle = buffer};
    return FTV_CAMERA_FRAME;
}

static void give(void *context, const ftv_camera_frame *frame) {
    (void)context;
    esp_camera_fb_return(frame->handle);
}

const ftv_espidf_camera_driver ftv_espidf_camera_esp32 = {start, arrived, take, give, restart};
