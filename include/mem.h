/*
 * mem - memory that is there
 *
 * Allocation does not fail towards the caller: when memory is exhausted
 * the process says so and aborts.  What strangers can make it allocate is
 * bounded, the store is whole at every instant, and whoever started the
 * process starts it again.  The rest of the library relies on that, and is
 * the shorter for it.
 */
#ifndef COVEY_MEM_H
#define COVEY_MEM_H

#include <stddef.h>

/* Zeroed; to be released with free(). */
void *mem_new(size_t count, size_t size) __attribute__((returns_nonnull, malloc));

/* As realloc() of count * size bytes, overflow checked; new bytes are not zeroed. */
void *mem_resize(void *, size_t count, size_t size) __attribute__((returns_nonnull));

/* The list with room for one item more than its count, as long as it grows twice as long each time. */
void *mem_room(void *list, size_t count, size_t *room, size_t size) __attribute__((returns_nonnull));

/* A NUL-terminated copy of n bytes. */
char *mem_copy(const char *, size_t n) __attribute__((returns_nonnull, malloc));

#endif
