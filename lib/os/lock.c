/* lock - one writer per path, across threads and processes */
#include "lock.h"

#include "fs.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static struct flock byte_of(uint32_t byte)
{
	return (struct flock){
		.l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = (off_t)byte,
		.l_len = 1,
	};
}

static int open_file(int dir, const char *file)
{
	return openat(dir, file, O_RDWR | O_CREAT | O_CLOEXEC, FS_FILE_MODE);
}

int lock_take(struct lock *lock, int dir, const char *file, uint32_t number, struct err *err)
{
	struct flock byte = byte_of(number);
	int fd = open_file(dir, file);

	if (fd < 0)
		return err_sys(err, "open lock file %s", file);
	while (fcntl(fd, F_OFD_SETLKW, &byte) < 0) {
		if (errno == EINTR)
			continue;
		err_sys(err, "lock %s", file);
		close(fd);
		return -1;
	}
	lock->fd = fd;
	return 0;
}

bool lock_try(struct lock *lock, int dir, const char *file, uint32_t number)
{
	struct flock byte = byte_of(number);
	int fd = open_file(dir, file);

	if (fd >= 0 && fcntl(fd, F_OFD_SETLK, &byte) == 0) {
		lock->fd = fd;
		return true;
	}
	if (fd >= 0)
		close(fd);
	return false;
}

bool lock_is_held(int dir, const char *file, uint32_t number)
{
	struct flock byte = byte_of(number);
	int fd = open_file(dir, file);
	bool held = fd >= 0 && fcntl(fd, F_OFD_GETLK, &byte) == 0 && byte.l_type != F_UNLCK;

	if (fd >= 0)
		close(fd);
	return held;
}

void lock_release(struct lock *lock)
{
	if (lock->fd >= 0)
		close(lock->fd);
	lock->fd = -1;
}
