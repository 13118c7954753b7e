/* Shared by the files of the application. */
#ifndef FTV_APP_PARTS_H
#define FTV_APP_PARTS_H

#include "ftv_app.h"
#include "ftv_line_text.h"

/* ---- sentences, in buffers of fixed size ---- */

/* A text that fills `buffer`; ftv_end_words puts its 0. What does not fit is cut. */
ftv_text ftv_words(char *buffer, size_t bytes);
void ftv_end_words(ftv_text *text);

/* A line of log, where the port has one. */
void ftv_say(const ftv_app *app, ftv_log_level level, const char *text);

/* ---- the model (ftv_app_model.c) ---- */

/* Opens config->image and checks it against what the application has. False: app->model_error says why not. */
bool ftv_app_open_model(ftv_app *app);

/* True if arena and plan serve app->options after the self-test has chosen ref; else app->model_error says so. */
bool ftv_app_has_memory_for_ref(ftv_app *app);

/* ---- the kernels (ftv_selftest.c) ---- */

/* Compares app->options.kernels with ftv_kernels_ref on every worker; replaces them by it where they differ, and says
 * so in app->self_test and the log. True: they passed. */
bool ftv_app_test_kernels(ftv_app *app);

/* Bytes of scratch for that. */
size_t ftv_selftest_bytes(const ftv_model *model, const ftv_kernels *kernels);

/* Compares the set's whole steps with their definition on the model's own weights (ftv_selftest_steps.c). The name of
 * one that differs, or NULL. scratch: 16-byte aligned, ftv_selftest_steps_bytes(). */
const char *ftv_selftest_steps(const ftv_model *model, const ftv_kernels *kernels, void *scratch);
size_t ftv_selftest_steps_bytes(const ftv_model *model, const ftv_kernels *kernels);

/* The same for the steps of NUMERICS.md, section 3 (ftv_selftest_patches.c). */
const char *ftv_selftest_patches(const ftv_model *model, const ftv_kernels *kernels, void *scratch);
size_t ftv_selftest_patches_bytes(const ftv_model *model, const ftv_kernels *kernels);

/* BENCH: section 5 of LINE_PROTOCOL.md (ftv_app_bench.c). */
ftv_line_error ftv_app_bench(void *app, const ftv_line_bench *request, ftv_line_bench_result *result);

/* ---- the camera (ftv_app_camera.c) ---- */

/* There is a camera, whether it works or not. */
bool ftv_app_has_camera(const ftv_app_config *config);

/* Takes a frame, if there is one: shows it, and classifies it unless a host wants the board for itself. */
void ftv_app_look(ftv_app *app);

ftv_line_error ftv_app_switch_camera(void *app, bool on);
ftv_line_error ftv_app_choose_thumbnails(void *app, uint32_t every);

/* ---- the display (ftv_app_screens.c) ---- */

/* Each does nothing where there is no display, or none that works. */
void ftv_show_boot(ftv_app *app, const char *status);
void ftv_show_error(ftv_app *app, const char *title, const char *sentence);
void ftv_show_frame(ftv_app *app, const ftv_camera_frame *frame);

/* True if the live picture is due. */
bool ftv_show_is_due(const ftv_app *app);

/* ---- */

uint32_t ftv_app_now(const ftv_app *app);

#endif
