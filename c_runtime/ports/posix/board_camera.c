/* Pictures from a file, one after the other, over and over, as time goes by; and the faults of cameras. */
#include "board.h"

/* The number of the frame that the camera shows now, from 1 on. */
static uint64_t current(const posix_camera *camera) {
    return (posix_clock_us() - camera->started_us) / camera->every_us + 1U;
}

/* What goes wrong with the next frame. */
static ftv_camera_status fault_of(posix_camera *camera) {
    bool now = camera->delivered >= camera->fault_after;
    switch (camera->fault) {
    case POSIX_TIMEOUT:
        return now ? FTV_CAMERA_TIMEOUT : FTV_CAMERA_FRAME;
    case POSIX_FAILED:
        return now ? FTV_CAMERA_FAILED : FTV_CAMERA_FRAME;
    case POSIX_OVERFLOW:
        if (now) {
            camera->delivered = 0;
        }
        return now ? FTV_CAMERA_OVERFLOW : FTV_CAMERA_FRAME;
    case POSIX_NO_FAULT:
    default:
        return FTV_CAMERA_FRAME;
    }
}

ftv_camera_status posix_camera_take(posix_camera *camera, ftv_camera_frame *frame) {
    uint64_t number = current(camera);
    if (number == camera->taken || camera->held >= 2U) {
        return FTV_CAMERA_NOT_YET;
    }
    camera->taken = number;
    ftv_camera_status status = fault_of(camera);
    if (status != FTV_CAMERA_FRAME) {
        return status;
    }
    uint64_t picture = (number - 1U) / camera->repeat % camera->count;
    *frame = (ftv_camera_frame){.pixels = camera->frames + (size_t)picture * camera->frame_bytes,
                                .width = camera->width,
                                .height = camera->height,
                                .format = camera->format};
    camera->delivered++;
    camera->held++;
    return FTV_CAMERA_FRAME;
}

void posix_camera_give(posix_camera *camera) {
    camera->held--;
}

bool posix_camera_restart(posix_camera *camera) {
    camera->refuses = camera->fault == POSIX_FAILED && !camera->refuses;
    if (!camera->refuses) {
        camera->delivered = 0;
    }
    return !camera->refuses;
}

uint64_t posix_camera_due(const posix_camera *camera, uint64_t most) {
    uint64_t next = camera->started_us + camera->taken * camera->every_us, now = posix_clock_us();
    uint64_t wait = next > now ? next - now : 0U;
    return wait < most ? wait : most;
}
