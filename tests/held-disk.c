/*
 * held-disk - a disk that does not answer, for tests: LD_PRELOAD this
 *
 * While the file that $HELD_DISK names is there, a sync of any file or
 * directory whose path begins with that file's first line does not return.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int is_held(int fd)
{
	const char *name = getenv("HELD_DISK");
	FILE *file = name != NULL ? fopen(name, "re") : NULL;
	char link[40], path[4096], held[4096] = "";
	ssize_t n;

	if (file == NULL)
		return 0;
	if (fgets(held, sizeof held, file) != NULL)
		held[strcspn(held, "\n")] = '\0';
	fclose(file);
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof path - 1);
	path[n > 0 ? n : 0] = '\0';
	return held[0] != '\0' && strncmp(path, held, strlen(held)) == 0;
}

static void wait_for_disk(int fd)
{
	while (is_held(fd))
		usleep(20000);
}

int fsync(int fd)
{
	wait_for_disk(fd);
	return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
	wait_for_disk(fd);
	return (int)syscall(SYS_fdatasync, fd);
}
