/* What bare-metal programs of this folder share. */
#ifndef LIBRARY_H
#define LIBRARY_H

#include <stddef.h>
#include <stdint.h>

void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memset(void *to, int value, size_t bytes);
int memcmp(const void *a, const void *b, size_t bytes);

/* start.S: bytes to standard output. */
void semihosting_write(const void *data, uint32_t bytes);

/* One line, eight hexadecimal digits a value. */
void print_line(const int32_t *values, uint32_t count);

#endif
