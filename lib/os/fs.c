/* fs - file system calls that stay where they are told to */
#include "fs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#define OPEN_TRIES 100	/* EAGAIN: a rename elsewhere disturbed the walk */

int fs_open(int dir, const char *name, int flags, mode_t mode)
{
	struct open_how how = {
		.flags = (unsigned)flags | O_CLOEXEC,
		.mode = mode,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
	};
	long fd = -1;

	for (int i = 0; i < OPEN_TRIES; i++) {
		fd = syscall(SYS_openat2, dir, name, &how, sizeof how);
		if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
			break;
	}
	return (int)fd;
}

int fs_tmpfile(int dir)
{
	/* Who reads it again before it has a name is not to dirty its inode. */
	return fs_open(dir, ".", O_TMPFILE | O_RDWR | O_NOATIME, FS_FILE_MODE);
}

int fs_link_fd(int fd, int dir, const char *name)
{
	static atomic_bool by_proc;	/* linking by descriptor alone takes a privilege */
	char self[sizeof "/proc/self/fd/" + 3 * sizeof fd];

	if (!atomic_load_explicit(&by_proc, memory_order_relaxed)) {
		if (linkat(fd, "", dir, name, AT_EMPTY_PATH) == 0)
			return 0;
		if (errno != ENOENT)
			return -1;
	}
	snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, self, dir, name, AT_SYMLINK_FOLLOW) < 0)
		return -1;
	atomic_store_explicit(&by_proc, 1, memory_order_relaxed);
	return 0;
}

int fs_read_link(int dir, const char *name, char *to, size_t cap)
{
	ssize_t n = readlinkat(dir, name, to, cap);

	if (n < 0)
		return -1;
	if ((size_t)n == cap) {
		errno = ENAMETOOLONG;
		return -1;
	}
	to[n] = '\0';
	return 0;
}

int fs_write(int fd, const void *bytes, size_t n, uint64_t offset)
{
	const char *from = bytes;

	while (n > 0) {
		ssize_t done = pwrite(fd, from, n, (off_t)offset);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -1;
		from += done;
		n -= (size_t)done;
		offset += (uint64_t)done;
	}
	return 0;
}

int fs_free_bytes(int fd, uint64_t *ret)
{
	struct statvfs st;

	if (fstatvfs(fd, &st) < 0)
		return -1;
	*ret = (uint64_t)st.f_bavail * st.f_frsize;
	return 0;
}
