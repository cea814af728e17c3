/*
 * stage - bodies on their way into the store
 *
 * A body is a file without a name: when the process dies, it was never
 * there.  Writing and hashing are apart, so that two threads can share a
 * large body.
 */
#include "inside.h"

#include "digest.h"
#include "fs.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#define COPY_BYTES (256 << 10)

/* A body this large is put on disk before the path is locked, not after. */
#define EARLY_SYNC_BYTES (1 << 20)

/* How many bytes are written before the disk's space is looked at again: far fewer than min_free. */
#define SPACE_CHECK_BYTES (UINT64_C(1) << 20)


#define WRITEBACK_BYTES (16 << 20)

struct stage {
	struct store *store;
	int fd;				/* owned; -1: the body is in bytes */
	struct str bytes;
	uint64_t size, hashed;		/* bytes */
	uint64_t check_at;		/* size at which space is checked next */
	uint64_t started;		/* bytes whose way to the disk has begun */
	struct digest *digest;		/* owned; NULL once ended */
	uint8_t sha256[SHA256_BYTES];
};

static struct stage *stage_new(struct store *store, int fd, uint64_t check_at)
{
	struct stage *stage = mem_new(1, sizeof *stage);

	stage->store = store;
	stage->fd = fd;
	stage->check_at = check_at;
	stage->digest = digest_new();
	return stage;
}

int stage_begin(struct store *store, struct stage **ret, struct err *err)
{
	int fd;

	if (disk_check(store, true, err) < 0)
		return -1;
	fd = fs_tmpfile(store->tmp);
	if (fd < 0)
		return err_sys(err, "make a file for the body");
	*ret = stage_new(store, fd, SPACE_CHECK_BYTES);
	return 0;
}

struct stage *stage_of_bytes(struct store *store, struct str body)
{
	struct stage *stage = mem_new(1, sizeof *stage);

	stage->store = store;
	stage->fd = -1;
	stage->bytes = (struct str){ body.s != NULL ? body.s : "", body.n };
	stage->size = stage->hashed = body.n;
	digest_of(body.s, body.n, stage->sha256);
	return stage;
}

struct str stage_bytes(const struct stage *stage)
{
	return stage->bytes;
}

int stage_make_file(struct stage *stage, struct err *err)
{
	if (stage->fd >= 0)
		return 0;
	stage->fd = fs_tmpfile(stage->store->tmp);
	if (stage->fd < 0)
		return err_sys(err, "make a file for the body");
	if (fs_write(stage->fd, stage->bytes.s, stage->bytes.n, 0) == 0)
		return 0;
	err_sys(err, "write body");
	close(stage->fd);
	stage->fd = -1;
	return -1;
}

/* In a directory where there is room for as many bytes; -1 with errno. */
static int passing_file(int directory, uint64_t size)
{
	uint64_t space;

	if (fs_free_bytes(directory, &space) < 0)
		return -1;
	if (size < space)
		return fs_tmpfile(directory);
	errno = ENOSPC;
	return -1;
}

static int passing_elsewhere(uint64_t size)
{
	int directory = open(STORE_PASSING, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd, sys;

	if (directory < 0)
		return -1;
	fd = passing_file(directory, size);
	sys = errno;
	close(directory);
	errno = sys;
	return fd;
}

int stage_begin_passing(struct store *store, uint64_t size, struct stage **ret, struct err *err)
{
	struct err why;
	bool there = disk_check(store, true, &why) == 0 || why.kind == ERR_FULL;
	int fd = there ? passing_file(store->tmp, size) : -1;

	if (fd < 0 && (!there || (errno != ENOSPC && errno != EDQUOT)))
		fd = passing_elsewhere(size);
	if (fd < 0)
		return err_sys(err, "make a file for %" PRIu64 " bytes of content", size);
	*ret = stage_new(store, fd, UINT64_MAX);
	return 0;
}

void stage_free(struct stage *stage)
{
	if (stage == NULL)
		return;
	digest_free(stage->digest);
	if (stage->fd >= 0)
		close(stage->fd);
	free(stage);
}

/* Keep the disk busy while the body still comes, or the last sync would be a long one. */
static void start_writing(struct stage *stage)
{
	if (stage->size - stage->started < WRITEBACK_BYTES)
		return;
	sync_file_range(stage->fd, (off_t)stage->started, (off_t)(stage->size - stage->started),
			SYNC_FILE_RANGE_WRITE);
	stage->started = stage->size;
}

int stage_write(struct stage *stage, const void *bytes, size_t n, struct err *err)
{
	if (stage->size >= stage->check_at) {
		if (disk_check(stage->store, true, err) < 0)
			return -1;
		stage->check_at = stage->size + SPACE_CHECK_BYTES;
	}
	if (fs_write(stage->fd, bytes, n, stage->size) < 0)
		return err_sys(err, "write body");
	stage->size += n;
	start_writing(stage);
	return 0;
}

void stage_hash(struct stage *stage, const void *bytes, size_t n)
{
	digest_add(stage->digest, bytes, n);
	stage->hashed += n;
}

int stage_hash_written(struct stage *stage, uint64_t to, struct err *err)
{
	char *bytes = to > stage->hashed ? mem_new(1, COPY_BYTES) : NULL;
	int status = 0;

	while (stage->hashed < to && status == 0) {
		uint64_t left = to - stage->hashed;
		ssize_t n = pread(stage->fd, bytes, left < COPY_BYTES ? (size_t)left : COPY_BYTES,
				  (off_t)stage->hashed);

		if (n > 0)
			stage_hash(stage, bytes, (size_t)n);
		else if (n == 0)
			status = err_set(err, ERR_CORRUPT, "read body: it is shorter than what was written");
		else if (errno != EINTR)
			status = err_sys(err, "read body");
	}
	free(bytes);
	return status;
}

int stage_add(struct stage *stage, const void *bytes, size_t n, struct err *err)
{
	if (stage_write(stage, bytes, n, err) < 0)
		return -1;
	stage_hash(stage, bytes, n);
	return 0;
}

int stage_copy(struct stage *stage, int fd, struct err *err)
{
	char *bytes = mem_new(1, COPY_BYTES);
	uint64_t offset = 0;
	ssize_t n;
	int status = 0;

	while ((n = pread(fd, bytes, COPY_BYTES, (off_t)offset)) != 0 && status == 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			status = err_sys(err, "read content");
			break;
		}
		status = stage_add(stage, bytes, (size_t)n, err);
		offset += (uint64_t)n;
	}
	free(bytes);
	return status;
}

int stage_end(struct stage *stage, struct err *err)
{
	if (stage->hashed != stage->size)
		return err_set(err, ERR_CORRUPT, "end body: not all of it was hashed");
	if (stage->digest != NULL)
		digest_end(stage->digest, stage->sha256);
	digest_free(stage->digest);
	stage->digest = NULL;
	return 0;
}

int stage_sync(struct stage *stage, struct err *err)
{
	if (stage->size >= EARLY_SYNC_BYTES &&
	    disk_sync(stage->store, stage->fd, "body", err) < 0)
		return -1;
	return stage_end(stage, err);
}

bool stage_is_whole(const struct stage *stage)
{
	return stage->digest == NULL;
}

uint64_t stage_size(const struct stage *stage)
{
	return stage->size;
}

const uint8_t *stage_sha256(const struct stage *stage)
{
	return stage->sha256;
}

int stage_fd(const struct stage *stage)
{
	return stage->fd;
}
