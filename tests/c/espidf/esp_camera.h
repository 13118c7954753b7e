/* What the port uses of esp32-camera. */
#ifndef ESP_CAMERA_H
#define ESP_CAMERA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef int esp_err_t;
#define ESP_OK 0

typedef enum { PIXFORMAT_RGB565, PIXFORMAT_YUV422, PIXFORMAT_GRAYSCALE } pixformat_t;
typedef enum { FRAMESIZE_96X96, FRAMESIZE_240X240, FRAMESIZE_INVALID } framesize_t;
typedef enum { CAMERA_FB_IN_PSRAM, CAMERA_FB_IN_DRAM } camera_fb_location_t;
typedef enum { CAMERA_GRAB_WHEN_EMPTY, CAMERA_GRAB_LATEST } camera_grab_mode_t;
enum { LEDC_TIMER_0, LEDC_CHANNEL_0 = 0 };

typedef struct {
    uint16_t width, height;
} resolution_info_t;
extern const resolution_info_t resolution[];

typedef struct {
    int pin_pwdn, pin_reset, pin_xclk, pin_sccb_sda, pin_sccb_scl;
    int pin_d7, pin_d6, pin_d5, pin_d4, pin_d3, pin_d2, pin_d1, pin_d0;
    int pin_vsync, pin_href, pin_pclk, xclk_freq_hz, ledc_timer, ledc_channel;
    pixformat_t pixel_format;
    framesize_t frame_size;
    int jpeg_quality;
    size_t fb_count;
    camera_fb_location_t fb_location;
    camera_grab_mode_t grab_mode;
} camera_config_t;

typedef struct {
    uint8_t *buf;
    size_t len;
} camera_fb_t;

typedef struct sensor_t {
    int (*set_vflip)(struct sensor_t *sensor, int on);
    int (*set_hmirror)(struct sensor_t *sensor, int on);
} sensor_t;

esp_err_t esp_camera_init(const camera_config_t *config);
esp_err_t esp_camera_deinit(void);
sensor_t *esp_camera_sensor_get(void);
bool esp_camera_available_frames(void);
camera_fb_t *esp_camera_fb_get(void);
void esp_camera_fb_return(camera_fb_t *frame);

#endif
