/* The self-test of the picture's steps: right ones pass, each wrong one is named. argv[1]: an image. */
#include "ftv_app_parts.h"
#include "ftv_engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Alignas(16) uint8_t image[1 << 20];
static ftv_model model;

static void right_embed(const ftv_embed_job *job, void *scratch) {
    (void)scratch;
    ftv_embed_steps(job);
}

static void wrong_embed(const ftv_embed_job *job, void *scratch) {
    right_embed(job, scratch);
    job->x[job->columns - 1U]++;
}

static void wrong_patches(const ftv_patches_job *job, void *scratch) {
    ftv_patches_steps(job, scratch);
    job->out.scales[job->patches - 1U].exponent++;
}

static bool names(ftv_kernels kernels, const char *expected) {
    size_t bytes = ftv_selftest_patches_bytes(&model, &kernels);
    void *scratch = bytes == 0U ? NULL : malloc(bytes);
    const char *found = ftv_selftest_patches(&model, &kernels, scratch);
    free(scratch);
    return found == NULL ? expected == NULL : expected != NULL && strcmp(found, expected) == 0;
}

int main(int argc, char **argv) {
    FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
    size_t bytes = file == NULL ? 0U : fread(image, 1, sizeof image, file);
    if (file == NULL || fclose(file) != 0 || ftv_open(&model, image, bytes) != FTV_OK) {
        return 2;
    }
    ftv_kernels none = ftv_kernels_portable, right = none, patches = none, embed = none;
    right.patches = ftv_patches_steps;
    right.embed = right_embed;
    patches.patches = wrong_patches;
    embed.embed = wrong_embed;
    return names(none, NULL) && names(right, NULL) && names(patches, "patches") && names(embed, "embed") ? 0 : 1;
}
