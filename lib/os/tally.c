/* tally - counts that outlive the process that counts */
#include "tally.h"

#include "buf.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct head {
	char magic[16];
	uint64_t kind, bytes;
	uint64_t rest[4];		/* the counts begin on a cache line of their own */
};
_Static_assert(sizeof(struct head) == 64, "the head is a cache line");

static const struct head empty = { .magic = "covey tally 1" };

static struct head tally_head(uint64_t kind, size_t bytes)
{
	struct head head = empty;

	head.kind = kind;
	head.bytes = bytes;
	return head;
}

static bool tally_is_right(int fd, const struct head *wanted)
{
	struct head head;
	struct stat st;

	return fstat(fd, &st) == 0 && (uint64_t)st.st_size == sizeof head + wanted->bytes &&
	       pread(fd, &head, sizeof head, 0) == sizeof head && memcmp(&head, wanted, sizeof head) == 0;
}

/* With no holes: what is written to one by a map kills, when the disk is full. */
static int tally_fill(int fd, const struct head *head)
{
	errno = posix_fallocate(fd, 0, (off_t)(sizeof *head + head->bytes));
	if (errno != 0 || pwrite(fd, head, sizeof *head, 0) != sizeof *head)
		return -1;
	return 0;
}

/* Under its name when it is whole: others may have the old one mapped. */
static int tally_make(const char *path, const struct head *head, struct err *err)
{
	struct buf fresh = BUF_INIT;
	int fd;

	buf_addf(&fresh, "%s.%d", path, (int)getpid());
	fd = open(fresh.data, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (fd >= 0 && (tally_fill(fd, head) < 0 || rename(fresh.data, path) < 0)) {
		err_sys(err, "make %s", path);
		unlink(fresh.data);
		close(fd);
		fd = -1;
	} else if (fd < 0) {
		err_sys(err, "make %s", path);
	}
	buf_clear(&fresh);
	return fd;
}

/* Its head is empty. */
static void *tally_in_memory(size_t bytes)
{
	return (char *)mem_new(1, sizeof(struct head) + bytes) + sizeof(struct head);
}

void *tally_open(const char *path, uint64_t kind, size_t bytes, struct err *why)
{
	struct head head = tally_head(kind, bytes);
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	void *map;

	if (fd >= 0 && !tally_is_right(fd, &head)) {
		close(fd);
		fd = -1;
	}
	if (fd < 0)
		fd = tally_make(path, &head, why);
	if (fd < 0)
		return tally_in_memory(bytes);
	map = mmap(NULL, sizeof head + bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (map == MAP_FAILED) {
		err_sys(why, "map %s", path);
		return tally_in_memory(bytes);
	}
	return (char *)map + sizeof head;
}

void *tally_open_in(const char *run, const char *name, uint64_t kind, size_t bytes, struct err *why)
{
	struct buf path = BUF_INIT;
	void *counts;

	buf_addf(&path, "%s/%s.tally", run, name);
	counts = tally_open(path.data, kind, bytes, why);
	buf_clear(&path);
	return counts;
}

void tally_close(void *counts, size_t bytes)
{
	struct head *head = counts == NULL ? NULL : (void *)((char *)counts - sizeof *head);

	if (head != NULL && head->magic[0] == '\0')
		free(head);
	else if (head != NULL)
		munmap(head, sizeof *head + bytes);
}
