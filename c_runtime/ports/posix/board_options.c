/* The command line of ftv-board. */
#include "board.h"

#include <stdlib.h>
#include <string.h>

#define USAGE                                                                                                          \
    "ftv-board [--pty | --tcp PORT] [--threads N] [--kernels ref|portable|scalar] [--made-for MODEL.ftv]\n"            \
    "  [--camera FILE --camera-size WxH --camera-format rgb565|rgb888|yuyv|gray8 | --frames FILE]\n"                   \
    "  [--fps N] [--repeat N] [--camera-off] [--fail-camera timeout|overflow|failed:N]\n"                              \
    "  [--display FOLDER] [--display-size WxH] [--display-fps N] [--display-keep] [--until-eof] MODEL.ftv"

static uint32_t number(const char *text, uint32_t lowest, uint32_t highest) {
    char *end = NULL;
    unsigned long value = text != NULL ? strtoul(text, &end, 10) : 0;
    if (text == NULL || *text == '\0' || *end != '\0' || value < lowest || value > highest) {
        posix_die(text != NULL ? text : "option", "a number is missing, too small or too large");
    }
    return (uint32_t)value;
}

static void size(const char *text, uint16_t *width, uint16_t *height) {
    char *end = NULL;
    unsigned long w = text != NULL ? strtoul(text, &end, 10) : 0;
    if (text == NULL || *end != 'x' || w == 0 || w > 4096) {
        posix_die(text != NULL ? text : "option", "a size such as 240x240 is missing");
    }
    *width = (uint16_t)w;
    *height = (uint16_t)number(end + 1, 1, 4096);
}

static const char *present(const char *word, const char *value) {
    if (value == NULL) {
        posix_die(word, "its value is missing");
    }
    return value;
}

static const ftv_kernels *kernels_called(const char *name) {
    if (strcmp(name, "ref") == 0) {
        return &ftv_kernels_ref;
    }
    if (strcmp(name, "scalar") == 0) {
        return &ftv_kernels_scalar;
    }
    if (strcmp(name, "portable") != 0) {
        posix_die("--kernels", "ref, portable or scalar");
    }
    return &ftv_kernels_portable;
}

static ftv_pixel_format format_called(const char *name) {
    static const char *const names[] = {"rgb565", "yuyv", "gray8", "rgb888"};
    static const ftv_pixel_format formats[] = {FTV_PIXELS_RGB565_BE, FTV_PIXELS_YUYV, FTV_PIXELS_GRAY8,
                                               FTV_PIXELS_RGB888};
    for (size_t i = 0; i < 4U; i++) {
        if (strcmp(name, names[i]) == 0) {
            return formats[i];
        }
    }
    posix_die("--camera-format", "rgb565 (big-endian), rgb888, yuyv or gray8");
}

static void fault(posix_options *chosen, const char *value) {
    static const char *const names[] = {"timeout:", "overflow:", "failed:"};
    static const posix_fault faults[] = {POSIX_TIMEOUT, POSIX_OVERFLOW, POSIX_FAILED};
    for (size_t i = 0; i < 3U; i++) {
        if (strncmp(value, names[i], strlen(names[i])) == 0) {
            chosen->fault = faults[i];
            chosen->fault_after = number(value + strlen(names[i]), 1, 1000000);
            return;
        }
    }
    posix_die("--fail-camera", "timeout:N, overflow:N or failed:N");
}

/* Options without a value. */
static bool take_switch(posix_options *chosen, const char *word) {
    if (strcmp(word, "--pty") == 0) {
        chosen->tcp = false;
    } else if (strcmp(word, "--camera-off") == 0) {
        chosen->camera_off = true;
    } else if (strcmp(word, "--display-keep") == 0) {
        chosen->display_keep = true;
    } else if (strcmp(word, "--until-eof") == 0) {
        chosen->until_eof = true;
    } else {
        return false;
    }
    return true;
}

static bool take_camera_option(posix_options *chosen, const char *word, const char *value) {
    if (strcmp(word, "--frames") == 0) {
        chosen->frames = present(word, value);
    } else if (strcmp(word, "--camera") == 0) {
        chosen->camera = present(word, value);
    } else if (strcmp(word, "--camera-size") == 0) {
        size(value, &chosen->camera_width, &chosen->camera_height);
    } else if (strcmp(word, "--camera-format") == 0) {
        chosen->camera_format = format_called(present(word, value));
    } else if (strcmp(word, "--fail-camera") == 0) {
        fault(chosen, present(word, value));
    } else if (strcmp(word, "--fps") == 0) {
        chosen->fps = number(value, 1, 1000);
    } else if (strcmp(word, "--repeat") == 0) {
        chosen->repeat = number(value, 1, 1000000);
    } else {
        return false;
    }
    return true;
}

static bool take_other_option(posix_options *chosen, const char *word, const char *value) {
    if (strcmp(word, "--tcp") == 0) {
        chosen->tcp = true;
        chosen->port = (uint16_t)number(value, 0, 65535);
    } else if (strcmp(word, "--threads") == 0) {
        chosen->threads = number(value, 1, 64);
    } else if (strcmp(word, "--kernels") == 0) {
        chosen->kernels = kernels_called(present(word, value));
    } else if (strcmp(word, "--made-for") == 0) {
        chosen->made_for = present(word, value);
    } else if (strcmp(word, "--display") == 0) {
        chosen->display = present(word, value);
    } else if (strcmp(word, "--display-size") == 0) {
        size(value, &chosen->display_width, &chosen->display_height);
    } else if (strcmp(word, "--display-fps") == 0) {
        chosen->display_fps = number(value, 1, 1000);
    } else {
        return false;
    }
    return true;
}

/* One option and its value; returns how many words it took. */
static int take_option(posix_options *chosen, const char *word, const char *value) {
    if (take_switch(chosen, word)) {
        return 1;
    }
    if (!take_camera_option(chosen, word, value) && !take_other_option(chosen, word, value)) {
        posix_die(word, "unknown option");
    }
    return 2;
}

posix_options posix_parse(int count, char **words) {
    posix_options chosen = {.kernels = &ftv_kernels_portable,
                            .threads = 1,
                            .fps = 5,
                            .repeat = 1,
                            .camera_format = FTV_PIXELS_RGB565_BE,
                            .display_width = 240,
                            .display_height = 240,
                            .display_fps = 10};
    for (int i = 1; i < count;) {
        if (words[i][0] == '-') {
            i += take_option(&chosen, words[i], i + 1 < count ? words[i + 1] : NULL);
        } else {
            chosen.model = words[i++];
        }
    }
    if (chosen.model == NULL) {
        posix_die("usage", USAGE);
    }
    if (chosen.camera != NULL && (chosen.camera_width == 0U || chosen.frames != NULL)) {
        posix_die("--camera", "needs --camera-size, and excludes --frames");
    }
    return chosen;
}
