/* Unit test of tally: counts go on in the next process, and not as something else. */
#include "tally.h"

#include "unit.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[] = "/tmp/covey-tally-XXXXXX";
static char path[sizeof directory + 8];

/* What the counts were, one of them raised. */
static uint64_t raise_one(uint64_t kind, size_t bytes)
{
	struct err err = ERR_INIT;
	uint64_t *counts = tally_open(path, kind, bytes, &err), was;

	CHECK(counts != NULL);
	was = counts[1]++;
	tally_close(counts, bytes);
	return was;
}

/* What is written to a map has its place on the disk: where it had not, a full disk would kill. */
static void test_room(void)
{
	size_t bytes = 64 * 1024;
	struct err err = ERR_INIT;
	void *counts = tally_open(path, 1, bytes, &err);
	struct stat st;

	CHECK(counts != NULL && stat(path, &st) == 0);
	CHECK((uint64_t)st.st_blocks * 512 >= bytes);
	tally_close(counts, bytes);
	unlink(path);
}

/* Without a word of good-bye. */
static void raise_and_die(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		uint64_t *counts = tally_open(path, 1, 64, NULL);

		counts[1]++;
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

int main(void)
{
	struct err err = ERR_INIT;
	uint64_t *counts;

	CHECK(mkdtemp(directory) != NULL);
	snprintf(path, sizeof path, "%s/t", directory);
	test_room();
	CHECK(raise_one(1, 64) == 0);
	CHECK(raise_one(1, 64) == 1);
	raise_and_die();
	CHECK(raise_one(1, 64) == 3);
	CHECK(raise_one(2, 64) == 0);
	CHECK(raise_one(1, 128) == 0);
	CHECK(truncate(path, 70) == 0);
	CHECK(raise_one(1, 128) == 0);
	unlink(path);
	CHECK(mkdir(path, 0700) == 0);
	counts = tally_open(path, 1, 64, &err);
	CHECK(err.kind != ERR_NONE && counts[1]++ == 0);
	tally_close(counts, 64);
	rmdir(path);
	CHECK(rmdir(directory) == 0);		/* nothing else was left there */
	return UNIT_RESULT();
}
