/*
 * container - from an embedded member back to the structure around it
 *
 * Watches, timers, jobs and calls are embedded in what they belong to, so
 * that starting one allocates nothing and cannot fail.
 */
#ifndef COVEY_CONTAINER_H
#define COVEY_CONTAINER_H

#include <stddef.h>

#define CONTAINER_OF(pointer, type, member) \
	((type *)(void *)((char *)(pointer) - offsetof(type, member)))

#endif
