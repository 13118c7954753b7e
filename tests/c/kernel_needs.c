/* Prints what the scalar set needs for each image that it is given, one line an image: scratch of a linear kernel with
 * the largest K, of the set's steps, bytes of a code of V, and the steps that the set has. */
#include "ftv.h"

#include <stdio.h>
#include <stdlib.h>

static uint32_t larger(uint32_t a, uint32_t b) {
    return a > b ? a : b;
}

static void *read_image(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    void *bytes = NULL;
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        exit(2);
    }
    *size = (size_t)ftell(file);
    rewind(file);
    if (posix_memalign(&bytes, FTV_ALIGN, *size) != 0 || fread(bytes, 1, *size, file) != *size) {
        exit(2);
    }
    fclose(file);
    return bytes;
}

int main(int count, char **paths) {
    static ftv_model model; /* large */
    const ftv_kernels *set = &ftv_kernels_scalar;
    for (int i = 1; i < count; i++) {
        size_t size = 0;
        void *image = read_image(paths[i], &size);
        if (ftv_open(&model, image, size) != FTV_OK) {
            return 1;
        }
        uint32_t inputs = larger(model.patch.inputs, larger(model.width, model.hidden));
        printf("%zu %zu %u%s%s%s%s\n", set->linear_scratch_bytes(inputs), set->scratch_bytes(&model),
               larger(1U, set->value_bytes), set->layer != NULL ? " layer" : "", set->qkv != NULL ? " qkv" : "",
               set->attend != NULL ? " attend" : "", set->norm != NULL ? " norm" : "");
        free(image);
    }
    return 0;
}
