/* mem - memory that is there */
#include "mem.h"

#include <unistd.h>

_Noreturn static void exhausted(void)
{
	static const char text[] = "out of memory\n";

	if (write(STDERR_FILENO, text, sizeof text - 1) < 0)
		abort();
	abort();
}

void *mem_new(size_t count, size_t size)
{
	void *p = calloc(count ? count : 1, size ? size : 1);

	if (p == NULL)
		exhausted();
	return p;
}

void *mem_resize(void *p, size_t count, size_t size)
{
	p = reallocarray(p, count ? count : 1, size ? size : 1);
	if (p == NULL)
		exhausted();
	return p;
}

void *mem_room(void *list, size_t count, size_t *room, size_t size)
{
	if (count < *room)
		return list;
	*room = *room > 0 ? 2 * *room : 16;
	return mem_resize(list, *room, size);
}

char *mem_copy(const char *text, size_t n)
{
	char *p = mem_new(n + 1, 1);

	memcpy(p, text, n);
	return p;
}
