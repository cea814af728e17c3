/* outbox - what is written is read, by whoever finishes it; what is torn does not count */
#include "store_unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 8
#define EACH 150

/* What was synced, and what is written while entries are. */
static ino_t directory_synced;
static atomic_uint entry_syncs;
static struct outbox *written_meanwhile;
static struct outbox_mark late;

int fsync(int fd)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
		directory_synced = st.st_ino;
	return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
	const struct version v = { .time = 1, .node = 2 };
	struct outbox *outbox = written_meanwhile;

	atomic_fetch_add(&entry_syncs, 1);
	written_meanwhile = NULL;
	if (outbox != NULL)
		CHECK(outbox_begin(outbox, STR("late"), v, &late, NULL) == 0);
	return (int)syscall(SYS_fdatasync, fd);
}

struct told {
	unsigned count;
	char path[PATH_BYTES + 1];	/* the last */
	struct outbox_mark mark;
	struct version version;
	unsigned stop_after;		/* 0: never */
};

static int remember(void *data, const struct outbox_entry *entry)
{
	struct told *told = data;

	if (told->stop_after > 0 && told->count == told->stop_after)
		return -1;
	told->count++;
	snprintf(told->path, sizeof told->path, "%.*s", STR_ARG(entry->path));
	told->mark = entry->mark;
	told->version = entry->version;
	return 0;
}

static unsigned segments(char *ret_name)
{
	DIR *dir = opendir(in_store("outbox", ""));
	const struct dirent *entry;
	unsigned count = 0;

	while (dir != NULL && (entry = readdir(dir)) != NULL)
		if (strstr(entry->d_name, ".seg") != NULL) {
			count++;
			if (ret_name != NULL)
				snprintf(ret_name, 256, "%s", entry->d_name);
		}
	if (dir != NULL)
		closedir(dir);
	return count;
}

static struct commit put_noted(struct outbox *outbox, const char *path, const char *body)
{
	struct commit c = { .ungrouped = true };

	c.outbox = outbox;
	CHECK(commit(&c, path, body) == ERR_NONE);
	return c;
}

/* A commit, its entry, and its end. */
static void one_by_one(void)
{
	struct outbox_reader *reader = outbox_reader_new(store);
	struct told told = { .count = 0 };
	struct outbox *outbox = NULL;
	struct commit first, second, gone = { .ungrouped = true };
	struct outbox_mark mark;
	struct version child;

	CHECK(outbox_open(&outbox, store, &why) == 0 && segments(NULL) == 0);
	first = put_noted(outbox, "docs/a", "1");
	CHECK(segments(NULL) == 1 && first.mark.segment != 0);
	CHECK(outbox_writer_lives(store, first.mark.segment));
	CHECK(outbox_read(reader, remember, &told, &why) == 0 && told.count == 1);
	CHECK(strcmp(told.path, "docs/a") == 0);
	CHECK(version_cmp(told.version, first.record.version) == 0);
	CHECK(told.mark.segment == first.mark.segment && told.mark.offset == first.mark.offset);
	CHECK(!outbox_is_done(store, first.mark));
	second = put_noted(outbox, "docs/b", "2");
	CHECK(second.mark.offset > first.mark.offset);
	CHECK(outbox_was_told(reader, first.mark) && !outbox_was_told(reader, second.mark));
	CHECK(outbox_read(reader, remember, &told, &why) == 0 && told.count == 2);
	CHECK(outbox_read(reader, remember, &told, &why) == 0 && told.count == 2);
	outbox_done(store, first.mark);
	CHECK(outbox_is_done(store, first.mark) && !outbox_is_done(store, second.mark));
	outbox_reader_free(reader);

	/* A new reader is not told of what is done, and sweeping leaves what is not. */
	reader = outbox_reader_new(store);
	told.count = 0;
	CHECK(outbox_read(reader, remember, &told, &why) == 0 && told.count == 1);
	CHECK(strcmp(told.path, "docs/b") == 0);
	outbox_done(store, second.mark);
	told.count = 0;

	/* Of a child all of n is told. */
	child = second.record.version;
	child.n = VERSION_N_MAX;
	CHECK(outbox_begin(outbox, STR("docs/b"), child, &mark, &why) == 0);
	CHECK(outbox_wait(outbox, mark, &why) == 0);
	CHECK(outbox_read(reader, remember, &told, &why) == 0 && told.count == 1);
	CHECK(version_cmp(told.version, child) == 0 && strcmp(told.path, "docs/b") == 0);
	outbox_done(store, mark);
	CHECK(outbox_remove_done(store, &why) == 0 && segments(NULL) == 1);	/* its writer lives */

	/* A deletion has its entry, too; a commit that is refused has none that is open. */
	gone.outbox = outbox;
	gone.flags = RECORD_DELETED;
	CHECK(commit(&gone, "docs/a", NULL) == ERR_NONE);
	CHECK(outbox_read(reader, remember, &told, &why) == 0 && told.count == 2);
	CHECK(commit(&gone, "docs", NULL) == ERR_CONFLICT);
	CHECK(outbox_read(reader, remember, &told, &why) == 0 && told.count == 2);
	outbox_close(outbox);
	CHECK(!outbox_writer_lives(store, gone.mark.segment));
	CHECK(outbox_remove_done(store, &why) == 0 && segments(NULL) == 1);	/* not done */
	outbox_done(store, gone.mark);
	CHECK(outbox_remove_done(store, &why) == 0 && segments(NULL) == 0);
	CHECK(outbox_is_done(store, gone.mark) && !outbox_writer_lives(store, gone.mark.segment));
	outbox_done(store, gone.mark);
	CHECK(segments(NULL) == 0);
	outbox_reader_free(reader);
}

/* Who is told says no: it is told again. */
static void refused(void)
{
	struct outbox_reader *reader = outbox_reader_new(store);
	struct told told = { .stop_after = 1 };
	struct outbox *outbox = NULL;
	struct outbox_mark marks[2];
	struct version v = { .time = 1, .node = 2 };

	CHECK(outbox_open(&outbox, store, &why) == 0);
	for (unsigned i = 0; i < 2; i++)
		CHECK(outbox_begin(outbox, STR("x"), v, &marks[i], &why) == 0 &&
		      outbox_wait(outbox, marks[i], &why) == 0);
	CHECK(outbox_read(reader, remember, &told, &why) < 0 && told.count == 1);
	told.stop_after = 0;
	CHECK(outbox_read(reader, remember, &told, &why) == 0 && told.count == 2);
	CHECK(told.mark.offset == marks[1].offset);
	CHECK(outbox_begin(outbox, STR(""), v, &marks[0], &why) < 0);
	for (unsigned i = 0; i < 2; i++)
		outbox_done(store, marks[i]);
	outbox_reader_free(reader);
	outbox_close(outbox);
	CHECK(outbox_remove_done(store, &why) == 0 && segments(NULL) == 0);
}

/* Soon, and at the latest when it is closed. */
static void finished(void)
{
	struct version v = { .time = 1, .node = 2 };
	struct outbox *outbox = NULL;
	struct outbox_mark marks[40];

	CHECK(outbox_open(&outbox, store, &why) == 0);
	for (unsigned i = 0; i < 40; i++)
		CHECK(outbox_begin(outbox, STR("x"), v, &marks[i], &why) == 0 &&
		      outbox_wait(outbox, marks[i], &why) == 0);
	outbox_finish(outbox, (struct outbox_mark){ .segment = 0 });
	outbox_finish(outbox, marks[0]);
	for (int i = 0; i < 1000 && !outbox_is_done(store, marks[0]); i++)
		usleep(10000);
	CHECK(outbox_is_done(store, marks[0]) && !outbox_is_done(store, marks[1]));
	for (unsigned i = 1; i < 40; i++)
		outbox_finish(outbox, marks[i]);
	outbox_close(outbox);
	for (unsigned i = 1; i < 40; i++)
		CHECK(outbox_is_done(store, marks[i]));
	CHECK(outbox_remove_done(store, &why) == 0 && segments(NULL) == 0);
}

/* An entry that comes during a sync is on disk after the next; the segment has its name for good before. */
static void synced(void)
{
	const struct version v = { .time = 1, .node = 2 };
	struct outbox *outbox = NULL;
	struct outbox_mark mark;
	struct stat st;

	CHECK(stat(in_store("outbox", ""), &st) == 0);
	CHECK(outbox_open(&outbox, store, &why) == 0);
	directory_synced = 0;
	written_meanwhile = outbox;
	entry_syncs = 0;
	CHECK(outbox_begin(outbox, STR("x"), v, &mark, &why) == 0);
	CHECK(directory_synced == st.st_ino);
	CHECK(outbox_wait(outbox, mark, &why) == 0 && late.segment == mark.segment);
	CHECK(outbox_wait(outbox, late, &why) == 0 && entry_syncs >= 2);
	outbox_finish(outbox, mark);
	outbox_finish(outbox, late);
	outbox_close(outbox);
	CHECK(outbox_remove_done(store, &why) == 0 && segments(NULL) == 0);
}

static struct outbox *shared;

static void *write_many(void *argument)
{
	unsigned number = *(unsigned *)argument;
	char path[PATH_BYTES + 1];

	/* Long, so that several segments are needed. */
	memset(path, 'x', sizeof path);
	for (size_t i = 100; i < PATH_BYTES; i += 100)
		path[i] = '/';
	path[600] = '\0';
	for (unsigned i = 0; i < EACH; i++) {
		struct version v = { .time = i + 1, .node = number };
		struct outbox_mark mark;

		if (outbox_begin(shared, str_of(path), v, &mark, NULL) < 0 ||
		    outbox_wait(shared, mark, NULL) < 0)
			return argument;
	}
	return NULL;
}

static int count_each(void *data, const struct outbox_entry *entry)
{
	bool *seen = data;

	CHECK(entry->version.node >= 1 && entry->version.node <= THREADS);
	CHECK(entry->version.time >= 1 && entry->version.time <= EACH);
	CHECK(!seen[(entry->version.node - 1) * EACH + entry->version.time - 1]);
	seen[(entry->version.node - 1) * EACH + entry->version.time - 1] = true;
	outbox_done(store, entry->mark);
	return 0;
}

static void many(void)
{
	struct outbox_reader *reader = outbox_reader_new(store);
	static bool seen[THREADS * EACH];
	pthread_t threads[THREADS];
	unsigned numbers[THREADS], count = 0;
	void *failed;

	CHECK(outbox_open(&shared, store, &why) == 0);
	for (unsigned i = 0; i < THREADS; i++) {
		numbers[i] = i + 1;
		pthread_create(&threads[i], NULL, write_many, &numbers[i]);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &failed);
		CHECK(failed == NULL);
	}
	CHECK(segments(NULL) > 2);
	CHECK(outbox_read(reader, count_each, seen, &why) == 0);
	for (unsigned i = 0; i < THREADS * EACH; i++)
		count += seen[i];
	CHECK(count == THREADS * EACH);
	CHECK(outbox_remove_done(store, &why) == 0 && segments(NULL) == 1);
	outbox_close(shared);
	outbox_reader_free(reader);
	CHECK(outbox_remove_done(store, &why) == 0 && segments(NULL) == 0);
}

/* The writer is killed; what it wrote is found, what is damaged ends the segment. */
static void torn(void)
{
	struct outbox_reader *reader = outbox_reader_new(store);
	struct version v = { .time = 9, .node = 2 };
	struct told told = { .count = 0 };
	char name[256] = "", path[4096];
	pid_t child = fork();
	int status, fd;

	if (child == 0) {
		struct outbox *outbox;
		struct outbox_mark mark;

		if (outbox_open(&outbox, store, NULL) < 0)
			_exit(1);
		for (unsigned i = 0; i < 3; i++)
			if (outbox_begin(outbox, STR("torn"), v, &mark, NULL) < 0 ||
			    outbox_wait(outbox, mark, NULL) < 0)
				_exit(1);
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0 && segments(name) == 1);
	snprintf(path, sizeof path, "%s", in_store("outbox/", name));
	fd = open(path, O_RDWR);
	CHECK(fd >= 0 && pwrite(fd, "y", 1, 64 + 40 + 32) == 1);	/* in the second one's path */
	CHECK(outbox_read(reader, remember, &told, &why) == 0 && told.count == 1);
	CHECK(!outbox_writer_lives(store, told.mark.segment));
	CHECK(pwrite(fd, "t", 1, 64 + 40 + 32) == 1);
	CHECK(outbox_read(reader, remember, &told, &why) == 0 && told.count == 3);
	CHECK(pwrite(fd, "C", 1, 0) == 1);
	outbox_reader_free(reader);
	reader = outbox_reader_new(store);
	CHECK(outbox_read(reader, remember, &told, &why) == 0 && told.count == 3);
	CHECK(pwrite(fd, "c", 1, 0) == 1);
	close(fd);
	CHECK(outbox_read(reader, remember, &told, &why) == 0 && told.count == 6);
	outbox_reader_free(reader);
}

static bool is_there(const char *name)
{
	return access(in_store("outbox/", name), F_OK) == 0;
}

/* All that is known is owed once more, once for each time that it was marked, also after a crash in it. */
static void owed(void)
{
	struct outbox_reader *reader = outbox_reader_new(store);
	struct told told = { .count = 0 };
	char taken[4096];
	uint64_t count = 9, again = 0;

	CHECK(store_owe_marked(store, 5, 100, &count, &why) == 0 && count == 0);
	CHECK(outbox_read(reader, remember, &told, &why) == 0);
	told.count = 0;
	CHECK(store_owe_later(store, 4, &why) == 0);
	CHECK(store_owe_marked(store, 5, 100, &count, &why) == 0 && count == 0);	/* not there yet */
	CHECK(store_owe_later(store, 5, &why) == 0);
	CHECK(store_owe_marked(store, 5, 100, &count, &why) == 0 && count > 0);
	CHECK(outbox_read(reader, remember, &told, &why) == 0 && told.count == count);
	CHECK(store_owe_marked(store, 5, 100, &again, &why) == 0 && again == 0);
	CHECK(store_owe_later(store, 5, &why) == 0);
	snprintf(taken, sizeof taken, "%s", in_store("outbox/", "owe-all.taken"));
	CHECK(rename(in_store("outbox/", "owe-all"), taken) == 0);	/* and died */
	CHECK(store_owe_marked(store, 5, 100, &again, &why) == 0 && again == count);
	CHECK(!is_there("owe-all") && !is_there("owe-all.taken"));
	outbox_reader_free(reader);
}

int main(void)
{
	if (!open_store())
		return UNIT_RESULT();
	one_by_one();
	refused();
	finished();
	synced();
	many();
	torn();
	owed();
	close_store();
	return UNIT_RESULT();
}
