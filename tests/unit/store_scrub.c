/*
 * store_scrub - what a disk has changed is found, set aside, and nothing else is
 *
 * pread() and linkat() are defined here, over those of the C library, to fail
 * as disks do.
 */
#include "store_unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static int fail_with, fail_times;	/* the next calls that read */
static bool no_direct;			/* this file system cannot read past the cache */
static unsigned direct_reads, other_reads;

ssize_t pread(int fd, void *to, size_t n, off_t at)
{
	bool direct = fcntl(fd, F_GETFL) & O_DIRECT;

	if (fail_times > 0) {
		fail_times--;
		errno = fail_with;
		return -1;
	}
	if (direct && no_direct) {
		errno = EINVAL;
		return -1;
	}
	direct_reads += direct;
	other_reads += !direct;
	return syscall(SYS_pread64, fd, to, n, at);
}

static bool links_fail;

int linkat(int from, const char *old, int dir, const char *name, int flags)
{
	if (!links_fail)
		return (int)syscall(SYS_linkat, from, old, dir, name, flags);
	errno = EROFS;
	return -1;
}

/* What a scrub told. */
static struct {
	struct buf reached;		/* "a b c " */
	struct buf last;		/* of these */
	char aside[1200], why[240], type[RECORD_TYPE_MAX + 1];
	struct record record;
	unsigned bad, failed;
	unsigned paths_left;		/* stops after so many */
	bool stop_reading;
	void (*meanwhile)(void);	/* called once, before something is read */
} told;

static bool go_on(void *data, size_t bytes)
{
	(void)data;
	if (bytes == 0)
		return told.paths_left-- > 0;
	if (told.meanwhile != NULL) {
		void (*meanwhile)(void) = told.meanwhile;

		told.meanwhile = NULL;
		meanwhile();
	}
	return !told.stop_reading;
}

static void reached(void *data, struct str path)
{
	(void)data;
	buf_addstr(&told.reached, path);
	buf_addc(&told.reached, ' ');
	buf_reset(&told.last);
	buf_addstr(&told.last, path);
}

static void bad(void *data, const struct scrub_bad *b)
{
	(void)data;
	told.bad++;
	snprintf(told.aside, sizeof told.aside, "%.*s/%s", STR_ARG(b->path), b->aside);
	snprintf(told.why, sizeof told.why, "%s", b->why);
	snprintf(told.type, sizeof told.type, "%.*s", STR_ARG(b->type));
	told.record = b->record;
}

static void failed(void *data, struct str path, const struct err *err)
{
	(void)data, (void)path;
	told.failed++;
	snprintf(told.why, sizeof told.why, "%s", err->text);
}

static struct scrub new_scrub(void)
{
	buf_clear(&told.reached);
	told.bad = told.failed = 0;
	told.paths_left = 1000;
	return (struct scrub){ .go_on = go_on, .reached = reached, .bad = bad, .failed = failed };
}

/* Bad copies below the path, or -1. */
static int scrub(const char *path)
{
	struct scrub s = new_scrub();

	if (store_scrub(store, str_of(path), &s, &why) < 0)
		return -1;
	CHECK(s.bad_count == told.bad && s.failed_count == told.failed && !s.stopped);
	return (int)told.bad;
}

/* A byte is another, and nothing tells of it. */
static void flip(const char *where, const char *name)
{
	int fd = open(in_store(where, name), O_RDWR);
	struct stat st;
	char byte;

	CHECK(fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0);
	CHECK(syscall(SYS_pread64, fd, &byte, 1, st.st_size / 2) == 1);
	byte ^= 0x20;
	CHECK(pwrite(fd, &byte, 1, st.st_size / 2) == 1);
	CHECK(futimens(fd, (struct timespec[2]){ { .tv_nsec = UTIME_OMIT }, st.st_mtim }) == 0);
	close(fd);
}

static struct version newest(const char *path)
{
	struct store_entry entry = get(path);
	struct version v = entry.record.version;

	store_entry_clear(&entry);
	return v;
}

/* "P/,VERSION": where history has it */
static const char *in_history(const char *path, struct version v)
{
	static char name[2000];
	char text[VERSION_TEXT];

	snprintf(name, sizeof name, "%s/,%s", path, version_format(text, v));
	return name;
}

static bool file_is(const char *where, const char *name, const char *body)
{
	char bytes[200] = "";
	int fd = open(in_store(where, name), O_RDONLY | O_NOFOLLOW);
	bool is = fd >= 0 && read(fd, bytes, sizeof bytes - 1) >= 0 && strcmp(bytes, body) == 0;

	if (fd >= 0)
		close(fd);
	return is;
}

/* That content once more, as a pull brings it. */
static enum err_kind again(const char *path, const struct record *record, const char *body)
{
	struct commit c = COMMIT_INIT;

	c.fixed = record->version;
	c.mtime = record->mtime;
	return commit(&c, path, body);
}

static bool is_still(const char *path)
{
	return !store_would_wait(store, str_of(path));
}

static void in_tree(void)
{
	struct commit c = COMMIT_INIT;
	struct version v;

	c.type = STR("text/x-mine");
	CHECK(commit(&c, "t/file", "content") == ERR_NONE);
	v = newest("t/file");
	CHECK(scrub("t/file") == 0 && told.failed == 0);
	flip("tree/", "t/file");
	CHECK(holds("t/file", "conTent"));
	CHECK(scrub("t") == 1 && is_still("t/file"));
	CHECK(strcmp(told.why, "its sha256 is another") == 0);
	CHECK(version_cmp(told.record.version, v) == 0 && strcmp(told.type, "text/x-mine") == 0);
	CHECK(file_is("history/", told.aside, "conTent"));
	CHECK(holds("t/file", NULL) && versions("t/file") == 1);
	CHECK(version_cmp(newest("t/file"), v) == 0);
	CHECK(strcmp(get("t/file").type, "text/x-mine") == 0);
	CHECK(scrub("") == 0 && told.failed == 0);
}

/* What came again may be bad again: nothing that was set aside is lost. */
static void twice(void)
{
	struct record record;
	char first[sizeof told.aside];

	CHECK(put("twice", "content") == ERR_NONE);
	flip("tree/", "twice");
	CHECK(scrub("twice") == 1);
	record = told.record;
	memcpy(first, told.aside, sizeof first);
	CHECK(again("twice", &record, "content") == ERR_NONE && holds("twice", "content"));
	CHECK(scrub("twice") == 0);
	flip("tree/", "twice");
	CHECK(scrub("twice") == 1 && strcmp(first, told.aside) != 0);
	CHECK(file_is("history/", first, "conTent") && file_is("history/", told.aside, "conTent"));
	CHECK(versions("twice") == 1 && put("twice", "next") == ERR_NONE && holds("twice", "next"));
	CHECK(versions("twice") == 2);
}

static void older(void)
{
	struct store_entry entry = STORE_ENTRY_INIT;
	struct version v;

	CHECK(put("older", "content") == ERR_NONE);
	v = newest("older");
	CHECK(put("older", "newest") == ERR_NONE);
	flip("history/", in_history("older", v));
	CHECK(scrub("older") == 1 && version_cmp(told.record.version, v) == 0);
	CHECK(holds("older", "newest") && versions("older") == 2);
	CHECK(store_version(store, STR("older"), v, STORE_CONTENT, &entry, &why) == 0);
	CHECK(!entry.content && entry.record.size == 7);
	CHECK(again("older", &told.record, "content") == ERR_NONE && scrub("older") == 0);
	CHECK(file_is("history/", in_history("older", v), "content"));
}

/* A commit that was cut short leaves one file under two names: it is read once, and both go. */
static void both_names(void)
{
	char to[4096];
	struct scrub s;
	struct version v;

	CHECK(put("both", "old") == ERR_NONE && put("both", "content") == ERR_NONE);
	v = newest("both");
	snprintf(to, sizeof to, "%s", in_store("history/", in_history("both", v)));
	CHECK(link(in_store("tree/", "both"), to) == 0);
	s = new_scrub();
	CHECK(store_scrub(store, STR("both"), &s, &why) == 0 && s.contents == 2 && s.bytes == 10);
	flip("tree/", "both");
	CHECK(scrub("both") == 1 && holds("both", NULL) && versions("both") == 2);
	CHECK(scrub("both") == 0);
}

/* Whoever set it aside died before its pointer came: the next one goes on from there. */
static void cut_short(void)
{
	char version[VERSION_TEXT], aside[200], where[600];

	CHECK(put("cut", "older") == ERR_NONE && put("cut", "content") == ERR_NONE);
	flip("tree/", "cut");
	snprintf(aside, sizeof aside, "cut/,bad-%s", version_format(version, newest("cut")));
	snprintf(where, sizeof where, "%s/history/%s", root, aside);
	CHECK(linkat(AT_FDCWD, in_store("tree/", "cut"), AT_FDCWD, where, 0) == 0);
	CHECK(scrub("cut") == 1 && strcmp(told.aside, aside) == 0 && holds("cut", NULL));
}

/* A good copy of the same version, another file, is none of the bad one's business. */
static void one_of_two(void)
{
	struct store_entry entry = STORE_ENTRY_INIT;
	struct record record;

	CHECK(put("one", "content") == ERR_NONE);
	record.version = newest("one");
	record.mtime = 0;
	CHECK(put("one", "next") == ERR_NONE && unlink(in_store("tree/", "one")) == 0);
	CHECK(again("one", &record, "content") == ERR_NONE && holds("one", "content"));
	flip("tree/", "one");
	CHECK(scrub("one") == 1);
	CHECK(store_version(store, STR("one"), record.version, STORE_CONTENT, &entry, &why) == 0);
	CHECK(entry.content && file_is("history/", in_history("one", record.version), "content"));
	store_entry_clear(&entry);
}

static void not_ours(void)
{
	struct record pointer = { .version = { .time = 5, .node = 7 }, .size = 3 };
	struct commit c = COMMIT_INIT;
	struct scrub s = new_scrub();
	int fd;

	c.pointer = &pointer;
	CHECK(commit(&c, "n/pointer", NULL) == ERR_NONE);
	CHECK(put("n/deleted", "x") == ERR_NONE &&
	      with_flags("n/deleted", RECORD_DELETED) == ERR_NONE);
	CHECK(with_flags("n/directory", RECORD_DIRECTORY) == ERR_NONE);
	CHECK(put("n/touched", "content") == ERR_NONE);
	fd = open(in_store("tree/", "n/touched"), O_WRONLY);
	CHECK(fd >= 0 && pwrite(fd, "x", 1, 0) == 1);	/* its mtime tells */
	close(fd);
	fd = open(in_store("tree/", "n/by hand"), O_WRONLY | O_CREAT, 0600);
	CHECK(fd >= 0);
	close(fd);
	CHECK(store_scrub(store, STR("n"), &s, &why) == 0);
	CHECK(s.contents == 1 && s.bytes == 1 && told.bad == 0 && told.failed == 0);
	CHECK(get("n/touched").foreign && file_is("tree/", "n/touched", "xontent"));
	CHECK(scrub("n/no such") < 0 && why.kind == ERR_ABSENT);
	CHECK(scrub("n/../n") < 0 && why.kind == ERR_INVALID);
	CHECK(scrub("n/pointer") == 0 && scrub("n/deleted") == 0 && scrub("n/directory") == 0);
}

static void replace(void)
{
	CHECK(put("meanwhile", "newer") == ERR_NONE);
}

static void prune_older(void)
{
	uint64_t bytes;

	CHECK(put("meanwhile", "newest") == ERR_NONE && prune("meanwhile", 1, &bytes) > 0);
}

static void evict_newest(void)
{
	uint64_t bytes;

	CHECK(store_evict(store, STR("meanwhile"), newest("meanwhile"), &bytes, &why) == 0);
}

static void write_into(void)
{
	int fd = open(in_store("tree/", "meanwhile"), O_WRONLY);

	CHECK(fd >= 0 && pwrite(fd, "x", 1, 0) == 1);
	close(fd);
}

/* What seemed bad is judged once more, under the lock. */
static void meanwhile(void)
{
	CHECK(put("meanwhile", "content") == ERR_NONE);
	flip("tree/", "meanwhile");
	told.meanwhile = replace;	/* it is in history then, and found there */
	CHECK(scrub("meanwhile") == 1 && holds("meanwhile", "newer"));
	flip("tree/", "meanwhile");
	told.meanwhile = prune_older;
	CHECK(scrub("meanwhile") == 0 && holds("meanwhile", "newest"));
	flip("tree/", "meanwhile");
	told.meanwhile = evict_newest;
	CHECK(scrub("meanwhile") == 0 && holds("meanwhile", NULL));
	CHECK(put("meanwhile", "content") == ERR_NONE);
	told.meanwhile = write_into;
	CHECK(scrub("meanwhile") == 0 && get("meanwhile").foreign);
	CHECK(told.failed == 0 && file_is("tree/", "meanwhile", "xontent"));
}

static void unreadable(void)
{
	CHECK(put("unreadable", "content") == ERR_NONE);
	fail_with = EIO;
	fail_times = 1;			/* once is no proof */
	CHECK(scrub("unreadable") == 0 && fail_times == 0 && holds("unreadable", "content"));
	fail_with = ENOMEM;
	fail_times = 1;
	CHECK(scrub("unreadable") == 0 && told.failed == 1 && holds("unreadable", "content"));
	fail_with = EIO;
	fail_times = 2;
	CHECK(scrub("unreadable") == 1 && strstr(told.why, "Input/output error") != NULL);
	CHECK(holds("unreadable", NULL) && file_is("history/", told.aside, "content"));
}

/* Where it cannot be set aside it is said to be bad all the same. */
static void stays(void)
{
	CHECK(put("stays", "content") == ERR_NONE);
	flip("tree/", "stays");
	links_fail = true;
	CHECK(scrub("stays") == 0 && told.failed == 1 && holds("stays", "conTent"));
	CHECK(strstr(told.why, "scrub /stays: its sha256 is another, but it stays") == told.why);
	links_fail = false;
	CHECK(scrub("stays") == 1 && told.failed == 0 && holds("stays", NULL));
}

static void past_the_cache(void)
{
	CHECK(put("cache", "content") == ERR_NONE);
	direct_reads = other_reads = 0;
	CHECK(scrub("cache") == 0 && direct_reads + other_reads == 1);
	no_direct = true;
	CHECK(scrub("cache") == 0 && told.failed == 0 && other_reads > 0);
	flip("tree/", "cache");
	CHECK(scrub("cache") == 1);
	no_direct = false;
}

/* More than one piece, and a byte in the last of them. */
static void large(void)
{
	static char body[(700 << 10) + 1];
	struct stage *s = NULL;
	struct commit c = COMMIT_INIT;
	struct scrub stopped;

	memset(body, 'x', sizeof body);
	CHECK(stage_begin(store, &s, &why) == 0 && stage_add(s, body, sizeof body, &why) == 0 &&
	      stage_sync(s, &why) == 0);
	c.path = STR("large");
	c.stage = s;
	CHECK(store_commit(store, &c, &why) == 0);
	stage_free(s);
	CHECK(scrub("large") == 0);
	flip("tree/", "large");
	told.stop_reading = true;
	stopped = new_scrub();
	CHECK(store_scrub(store, STR("large"), &stopped, &why) == 0 && stopped.stopped);
	CHECK(stopped.contents == 0 && told.bad == 0 && told.reached.len == 0);
	told.stop_reading = false;
	CHECK(scrub("large") == 1);
}

/* Stopped after any number of paths, it goes on with the next; what comes and goes is no matter. */
static void resumed(void)
{
	static const char *const paths[] = { "r/b/x", "r/b,c", "r/,comma", "r/b/y/z", "r/a",
					     "r/b-", "r/z", "r/gone/below" };
	static const char all[] = "r r/,comma r/a r/b r/b/x r/b/y r/b/y/z r/b,c r/b- r/gone "
				  "r/gone/below r/z ";
	struct buf seen = BUF_INIT;
	struct scrub s;

	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
		CHECK(put(paths[i], "content") == ERR_NONE);
	CHECK(with_flags("r/gone/below", RECORD_DELETED) == ERR_NONE);
	for (unsigned step = 1; step < 4; step++) {
		buf_reset(&seen);
		buf_reset(&told.last);
		buf_adds(&told.last, "q");
		do {
			s = new_scrub();
			told.paths_left = step;
			CHECK(store_scrub_from(store, buf_str(&told.last), &s, &why) == 0);
			buf_addstr(&seen, buf_str(&told.reached));
		} while (s.stopped && seen.len < sizeof all);
		CHECK(strncmp(seen.data, all, sizeof all - 1) == 0);
	}
	s = new_scrub();	/* from a path that is not there */
	CHECK(store_scrub_from(store, STR("r/b/xx"), &s, &why) == 0);
	CHECK(strstr(told.reached.data, "r/b/y r/b/y/z ") == told.reached.data);
	buf_clear(&seen);
}

int main(void)
{
	if (!open_store())
		return UNIT_RESULT();
	in_tree();
	twice();
	older();
	both_names();
	cut_short();
	one_of_two();
	not_ours();
	meanwhile();
	unreadable();
	stays();
	past_the_cache();
	large();
	resumed();
	buf_clear(&told.reached);
	buf_clear(&told.last);
	close_store();
	return UNIT_RESULT();
}
