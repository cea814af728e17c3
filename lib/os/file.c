/* file - small files, read whole and replaced whole */
#include "file.h"

#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define STEP 16384		/* bytes asked for at once */

static int file_read_rest(int fd, const char *path, size_t cap, struct buf *to, struct err *err)
{
	for (;;) {
		ssize_t n = read(fd, buf_reserve(to, STEP), STEP);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "read %s", path);
		if (n == 0)
			return 0;
		to->len += (size_t)n;
		to->data[to->len] = '\0';
		if (to->len > cap)
			return err_set(err, ERR_TOO_LARGE, "read %s: more than %zu bytes", path, cap);
	}
}

int file_read_opened(int fd, const char *path, size_t cap, struct buf *ret, struct err *err)
{
	struct buf bytes = BUF_INIT;
	int rc = file_read_rest(fd, path, cap, &bytes, err);

	if (rc == 0)
		buf_add(ret, bytes.data, bytes.len);
	buf_clear(&bytes);
	return rc;
}

int file_read(const char *path, size_t cap, struct buf *ret, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	int rc;

	if (fd < 0)
		return err_sys(err, "open %s", path);
	rc = file_read_opened(fd, path, cap, ret, err);
	close(fd);
	return rc;
}

int file_read_any(const char *path, size_t cap, struct buf *ret, bool *ret_there, struct err *err)
{
	struct err why = ERR_INIT;
	bool there = file_read(path, cap, ret, &why) == 0;

	if (!there && why.kind != ERR_ABSENT)
		return err_pass(err, &why);
	*ret_there = there;
	return 0;
}

char *file_directory(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		return mem_copy(".", 1);
	return mem_copy(path, slash == path ? 1 : (size_t)(slash - path));
}

static int file_write_all(int fd, struct str bytes, const char *path, struct err *err)
{
	while (bytes.n > 0) {
		ssize_t n = write(fd, bytes.s, bytes.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "write %s", path);
		bytes.s += n;
		bytes.n -= (size_t)n;
	}
	return 0;
}

static int sync_directory_of(const char *path, struct err *err)
{
	char *directory = file_directory(path);
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = 0;

	if (fd < 0)
		rc = err_sys(err, "open %s", directory);
	else if (fsync(fd) < 0)
		rc = err_sys(err, "sync %s", directory);
	if (fd >= 0)
		close(fd);
	free(directory);
	return rc;
}

int file_set_access(int fd, const struct file_access *access, const char *path, struct err *err)
{
	bool given = access->owner != FILE_OWN_USER || access->group != FILE_OWN_GROUP;

	/* A service, which gives nothing away, may not even ask. */
	if (given && fchown(fd, access->owner, access->group) < 0)
		return err_sys(err, "give %s to its owner", path);
	if (fchmod(fd, access->mode) < 0)
		return err_sys(err, "chmod %s", path);
	return 0;
}

/* temporary is a template that mkostemp() fills in. */
static int replace_by(char *temporary, const char *path, struct str bytes,
		      const struct file_access *access, struct err *err)
{
	int fd = mkostemp(temporary, O_CLOEXEC);
	int rc;

	if (fd < 0)
		return err_sys(err, "create %s", temporary);
	rc = file_write_all(fd, bytes, temporary, err);
	if (rc == 0)
		rc = file_set_access(fd, access, path, err);
	if (rc == 0 && fsync(fd) < 0)
		rc = err_sys(err, "sync %s", temporary);
	close(fd);
	if (rc == 0 && rename(temporary, path) < 0)
		rc = err_sys(err, "rename %s to %s", temporary, path);
	if (rc < 0)
		unlink(temporary);
	return rc;
}

int file_replace_as(const char *path, struct str bytes, const struct file_access *access,
		    struct err *err)
{
	struct buf temporary = BUF_INIT;
	int rc;

	buf_addf(&temporary, "%s.XXXXXX", path);
	rc = replace_by(temporary.data, path, bytes, access, err);
	buf_clear(&temporary);
	return rc < 0 ? -1 : sync_directory_of(path, err);
}

int file_replace(const char *path, struct str bytes, unsigned mode, struct err *err)
{
	const struct file_access access = { FILE_OWN_USER, FILE_OWN_GROUP, mode };

	return file_replace_as(path, bytes, &access, err);
}
