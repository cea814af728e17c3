/* store: what goes in comes out, versions, deletion, directories, listing */
#include "store_unit.h"
#include "clock_unit.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>

/* The last second that the file system has, unless 0: over the C library's. */
static time_t last_mtime;

int futimens(int fd, const struct timespec times[2])
{
	struct timespec held[2] = { times[0], times[1] };

	if (last_mtime != 0 && held[1].tv_sec >= last_mtime)
		held[1] = (struct timespec){ .tv_sec = last_mtime };
	return (int)syscall(SYS_utimensat, fd, NULL, held, 0);
}

/* The names at a path, joined by blanks; a directory's with a slash, a deleted one's with a !. */
static char *names(const char *path, const char *after, size_t limit, bool deleted)
{
	static char text[4096];
	struct listing l = LISTING_INIT;

	text[0] = '\0';
	if (store_list(store, str_of(path), str_of(after), limit, deleted, &l, &why) < 0)
		return NULL;
	for (size_t i = 0; i < l.count; i++) {
		size_t n = strlen(text);

		snprintf(text + n, sizeof text - n, "%s%s%s%s", i > 0 ? " " : "",
			 l.entries[i].name, l.entries[i].directory ? "/" : "",
			 l.entries[i].record.flags & RECORD_DELETED ? "!" : "");
	}
	if (l.more)
		snprintf(text + strlen(text), 8, " ...");
	listing_clear(&l);
	return text;
}

static int lists(const char *path, const char *expected)
{
	const char *got = names(path, "", 0, false);

	if (got != NULL && strcmp(got, expected) == 0)
		return 1;
	fprintf(stderr, "%s has \"%s\"\n", path, got != NULL ? got : why.text);
	return 0;
}

static void content(void)
{
	struct store_entry entry;
	struct stat st;

	CHECK(holds("a", NULL));
	CHECK(put("a", "one") == ERR_NONE);
	CHECK(holds("a", "one"));
	CHECK(versions("a") == 1);
	CHECK(put("a", "two") == ERR_NONE);
	CHECK(put("a", "") == ERR_NONE);
	CHECK(holds("a", ""));
	CHECK(versions("a") == 3);
	entry = get("a");
	CHECK(entry.record.version.node == store_node(store));
	CHECK(entry.record.size == 0 && record_is_live(&entry.record));
	CHECK(stat(in_store("tree/", "a"), &st) == 0);
	CHECK((st.st_mode & 07777) == 0640);
	CHECK((uint64_t)st.st_mtim.tv_sec * 1000000000 + (uint64_t)st.st_mtim.tv_nsec ==
	      entry.record.version.time);
	store_entry_clear(&entry);
	CHECK(put("d/e/f", "deep") == ERR_NONE);
	CHECK(holds("d/e/f", "deep"));
	CHECK(stat(in_store("tree/", "d/e"), &st) == 0 && (st.st_mode & 07777) == 0750);
	entry = get("d/e");
	CHECK(entry.directory && entry.entry.flags == RECORD_DIRECTORY && !entry.content);
	store_entry_clear(&entry);
	CHECK(put("", "root") == ERR_CONFLICT);
	CHECK(put("d", "over a directory") == ERR_CONFLICT);
	CHECK(put("a/b", "below a file") == ERR_CONFLICT);
	CHECK(put("../x", "outside") == ERR_INVALID);
	CHECK(holds("a", "") && holds("d/e/f", "deep"));
}

static void types(void)
{
	struct commit c = COMMIT_INIT;
	struct store_entry entry;
	struct history h = HISTORY_INIT;

	c.type = STR("text/html; charset=utf-8");
	c.mtime = 12345;
	CHECK(commit(&c, "typed", "x") == ERR_NONE);
	CHECK(put("typed", "y") == ERR_NONE);
	entry = get("typed");
	CHECK(entry.type[0] == '\0' && entry.record.mtime == 0);
	store_entry_clear(&entry);
	CHECK(version_cmp(c.record.version, entry.record.version) != 0);
	CHECK(store_version(store, STR("typed"), c.record.version, STORE_CONTENT, &entry, &why) == 0);
	CHECK(strcmp(entry.type, "text/html; charset=utf-8") == 0 && entry.fd >= 0);
	CHECK(record_eq(&entry.record, &c.record) && entry.record.mtime == 12345);
	store_entry_clear(&entry);
	CHECK(store_history(store, STR("typed"), &h, &why) == 0 && h.count == 2);
	CHECK(h.entries[0].type == NULL && strcmp(h.entries[1].type, "text/html; charset=utf-8") == 0);
	CHECK(h.entries[1].content);
	history_clear(&h);
	c.type = STR("bad\ntype");
	CHECK(commit(&c, "typed", "z") == ERR_INVALID);
	c.record.version.n = 9;
	CHECK(store_version(store, STR("typed"), c.record.version, STORE_RECORD, &entry, &why) < 0);
	CHECK(why.kind == ERR_ABSENT);
}

/* A person takes the oldest version out of history and puts it back. */
static void copy_back(const char *path)
{
	char text[VERSION_TEXT], from[256];
	struct history h = HISTORY_INIT;

	CHECK(store_history(store, str_of(path), &h, &why) == 0 && h.count > 0);
	snprintf(from, sizeof from, "%s/history/%s/,%s", root, path,
		 version_format(text, h.entries[h.count - 1].record.version));
	CHECK(link(from, in_store("tree/", path)) == 0);
	history_clear(&h);
}

static void deletion(void)
{
	struct store_entry entry;

	CHECK(put("gone", "here") == ERR_NONE);
	CHECK(with_flags("gone", RECORD_DELETED | RECORD_DIRECTORY) == ERR_CONFLICT);
	CHECK(with_flags("gone", RECORD_DELETED) == ERR_NONE);
	CHECK(holds("gone", NULL));
	entry = get("gone");
	CHECK(entry.record.flags == RECORD_DELETED && !entry.directory);
	CHECK(versions("gone") == 2);
	copy_back("gone");
	CHECK(holds("gone", NULL) && get("gone").record.flags == RECORD_DELETED);
	CHECK(lists("", "a d/ typed"));
	CHECK(unlink(in_store("tree/", "gone")) == 0);
	CHECK(access(in_store("tree/", "gone"), F_OK) < 0);
	CHECK(put("gone", "again") == ERR_NONE);
	CHECK(holds("gone", "again") && versions("gone") == 3);
	CHECK(with_flags("never", RECORD_DELETED) == ERR_NONE);
	entry = get("never");
	CHECK(entry.record.flags == RECORD_DELETED);
	CHECK(with_flags("no/way", RECORD_DELETED) == ERR_NONE);
	CHECK(access(in_store("tree/", "no"), F_OK) < 0);
}

static void directories(void)
{
	struct store_entry entry;

	CHECK(with_flags("dir", RECORD_DIRECTORY) == ERR_NONE);
	CHECK(with_flags("dir", RECORD_DIRECTORY) == ERR_NONE);
	CHECK(versions("dir") == 1);
	CHECK(put("dir/x", "x") == ERR_NONE);
	CHECK(with_flags("dir", RECORD_DELETED) == ERR_CONFLICT);
	CHECK(with_flags("dir", RECORD_DELETED | RECORD_DIRECTORY) == ERR_EXISTS);
	CHECK(holds("dir/x", "x"));
	CHECK(with_flags("dir/x", RECORD_DELETED) == ERR_NONE);
	CHECK(with_flags("dir", RECORD_DELETED | RECORD_DIRECTORY) == ERR_NONE);
	entry = get("dir");
	CHECK(entry.entry.flags == (RECORD_DELETED | RECORD_DIRECTORY) && !entry.directory);
	CHECK(version_is_none(entry.record.version));
	CHECK(versions("dir") == 2 && versions("dir/x") == 2);
	CHECK(put("dir/y", "y") == ERR_NONE);
	entry = get("dir");
	CHECK(entry.entry.flags == RECORD_DIRECTORY && entry.directory);
	CHECK(versions("dir") == 3);
	CHECK(put("file", "f") == ERR_NONE);
	CHECK(with_flags("file", RECORD_DIRECTORY) == ERR_CONFLICT);
	CHECK(with_flags("file", RECORD_DELETED) == ERR_NONE);
	CHECK(with_flags("file", RECORD_DIRECTORY) == ERR_NONE);
	CHECK(with_flags("file", RECORD_DELETED | RECORD_DIRECTORY) == ERR_NONE);
	CHECK(put("file", "f2") == ERR_NONE);
	CHECK(holds("file", "f2") && versions("file") == 5);
}

static void listing(void)
{
	CHECK(put("l/b", "1") == ERR_NONE && put("l/a", "1") == ERR_NONE);
	CHECK(put("l/,c", "1") == ERR_NONE && put("l/.covey", "1") == ERR_NONE);
	CHECK(put("l/\xff\n", "1") == ERR_NONE && put("l/d/e", "1") == ERR_NONE);
	CHECK(lists("l", ",c .covey a b d/ \xff\n"));
	CHECK(put("l/b", "2") == ERR_NONE && put("l/,c", "2") == ERR_NONE);
	CHECK(with_flags("l/b", RECORD_DELETED) == ERR_NONE);
	CHECK(lists("l", ",c .covey a d/ \xff\n"));
	CHECK(strcmp(names("l", "", 0, true), ",c .covey a b! d/ \xff\n") == 0);
	CHECK(strcmp(names("l", ".covey", 2, true), "a b! ...") == 0);
	CHECK(strcmp(names("l", "a", 2, false), "d/ \xff\n") == 0);
	CHECK(strcmp(names("l", "a", 1, false), "d/ ...") == 0);
	CHECK(strcmp(names("l", "a\xff", 1, true), "b! ...") == 0);
	CHECK(strcmp(names("l", "\xff\n", 1, true), "") == 0);
	CHECK(names("missing", "", 0, true) == NULL && why.kind == ERR_ABSENT);
	CHECK(names("l/a", "", 0, false) == NULL && why.kind == ERR_CONFLICT);
}

/* Names as long as they may be, and as deep. */
static void extremes(void)
{
	char path[PATH_BYTES + 1], name[PATH_COMPONENT_BYTES + 1];
	struct err err = ERR_INIT;

	memset(name, ',', sizeof name);
	name[sizeof name - 1] = '\0';
	CHECK(put(name, "1") == ERR_NONE && put(name, "2") == ERR_NONE);
	CHECK(with_flags(name, RECORD_DELETED) == ERR_NONE && put(name, "3") == ERR_NONE);
	CHECK(holds(name, "3") && versions(name) == 4);
	for (size_t i = 0; i < PATH_BYTES; i++)
		path[i] = i % 30 == 29 && i < PATH_BYTES - 1 ? '/' : ',';
	path[PATH_BYTES] = '\0';
	CHECK(put(path, "1") == ERR_NONE && put(path, "2") == ERR_NONE);
	CHECK(holds(path, "2") && versions(path) == 2);
	CHECK(path_check(str_of(path), &err) == 0);
	path[PATH_BYTES - 1] = '/';
	CHECK(put(path, "3") == ERR_INVALID);
	CHECK(lists(",,,,,,,,,,,,,,,,,,,,,,,,,,,,,", ",,,,,,,,,,,,,,,,,,,,,,,,,,,,,/"));
}

static void write_file(const char *name, const char *text, int flags)
{
	int fd = open(in_store("tree/", name), O_WRONLY | O_CREAT | flags, 0600);

	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static void foreign(void)
{
	struct store_entry entry;

	CHECK(put("f/v", "1") == ERR_NONE && put("f/v", "2") == ERR_NONE);
	write_file("f/v", "3", O_APPEND);
	write_file("f/new", "mine", 0);
	CHECK(mkfifo(in_store("tree/", "f/pipe"), 0600) == 0);
	CHECK(symlink("/etc/passwd", in_store("tree/", "f/link")) == 0);
	CHECK(symlink("/etc", in_store("tree/", "f/etc")) == 0);
	entry = get("f/v");
	CHECK(entry.foreign && version_is_none(entry.record.version) == false);
	CHECK(entry.content && entry.fd >= 0);	/* of what history has */
	store_entry_clear(&entry);
	entry = get("f/new");
	CHECK(entry.foreign && !entry.content && version_is_none(entry.record.version));
	CHECK(get("f/pipe").foreign && get("f/link").foreign);
	entry = get("f/etc/passwd");
	CHECK(!entry.content && !entry.foreign && version_is_none(entry.record.version));
	CHECK(lists("f", ""));
	CHECK(put("f/etc/x", "x") == ERR_CONFLICT);
	CHECK(put("f/new/x", "x") == ERR_CONFLICT);
	CHECK(put("f/v", "4") == ERR_NONE && put("f/new", "n") == ERR_NONE);
	CHECK(put("f/pipe", "p") == ERR_NONE && put("f/link", "l") == ERR_NONE);
	CHECK(holds("f/v", "4") && holds("f/new", "n") && holds("f/pipe", "p") && holds("f/link", "l"));
	CHECK(versions("f/v") == 2 && versions("f/new") == 1);
	CHECK(lists("f", "link new pipe v"));
}

/* A person removes tree/P: what is chosen next is still above all that was there. */
static void eviction(void)
{
	struct commit first = COMMIT_INIT, second = COMMIT_INIT, third = COMMIT_INIT;

	first.above.time = UINT64_C(7000000000) * 1000000000;	/* far ahead of the clock */
	CHECK(commit(&first, "e/v", "1") == ERR_NONE);
	CHECK(first.record.version.time == first.above.time + 1);
	CHECK(unlink(in_store("tree/", "e/v")) == 0);
	CHECK(holds("e/v", NULL));
	second.above = first.above;
	CHECK(commit(&second, "e/v", "2") == ERR_NONE);
	CHECK(second.record.version.time == first.above.time + 2);
	CHECK(commit(&third, "e/v", "3") == ERR_NONE);
	CHECK(third.record.version.time == first.above.time + 3);
	CHECK(unlink(in_store("tree/", "e/v")) == 0);
	CHECK(commit(&third, "e/v", "4") == ERR_NONE);
	CHECK(third.record.version.time == first.above.time + 4 && third.newest);
	CHECK(versions("e/v") == 2);
	third.above.time = UINT64_MAX;
	CHECK(commit(&third, "e/v", "5") == ERR_UNSUPPORTED);
	CHECK(holds("e/v", "4"));
}

/* The first version's content is behind many newer ones, and found by its sha256 or from any of them. */
static void older_contents(void)
{
	struct commit c = COMMIT_INIT;
	struct version versions[100];
	struct record first = { .flags = 0 };
	struct store_entry entry = STORE_ENTRY_INIT;
	char body[20];

	for (size_t i = 0; i < 100; i++) {
		snprintf(body, sizeof body, "%zu", i);
		CHECK(commit(&c, "older", body) == ERR_NONE);
		versions[i] = c.record.version;
		first = i == 0 ? c.record : first;
	}
	CHECK(store_older_content(store, str_of("older"), VERSION_NONE, first.sha256, 9, &entry, &why) == 0);
	CHECK(version_cmp(entry.record.version, versions[0]) == 0 && entry.fd >= 0);
	store_entry_clear(&entry);
	for (size_t i = 1; i < 100; i++) {
		CHECK(store_older_content(store, str_of("older"), versions[i], NULL, 9, &entry, &why) == 0);
		CHECK(version_cmp(entry.record.version, versions[i - 1]) == 0);
		store_entry_clear(&entry);
	}
	CHECK(store_older_content(store, str_of("older"), versions[0], NULL, 9, &entry, &why) < 0);
	CHECK(why.kind == ERR_ABSENT);
	/* Of those that are not too long: the first ten. */
	CHECK(store_older_content(store, str_of("older"), VERSION_NONE, NULL, 1, &entry, &why) == 0);
	CHECK(version_cmp(entry.record.version, versions[9]) == 0);
	store_entry_clear(&entry);
	CHECK(store_older_content(store, str_of("older"), VERSION_NONE, (const uint8_t[SHA256_BYTES]){ 1 }, 9,
				  &entry, &why) < 0);
	CHECK(why.kind == ERR_ABSENT);
}

/*
 * Where the file system's times end before the version's, the file has the
 * last of them, and is the version all the same.
 */
static void end_of_times(void)
{
	static const uint64_t later[] = { INT32_MAX, UINT64_C(4000000000), UINT64_C(18000000000) };
	struct timespec edited[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_nsec = UTIME_NOW } };
	struct commit c = COMMIT_INIT;
	struct store_entry entry;
	struct stat st;

	last_mtime = INT32_MAX;
	for (size_t i = 0; i < sizeof later / sizeof *later; i++) {
		c.clock = later[i] * 1000000000 + 5;
		CHECK(commit(&c, "late", "1") == ERR_NONE && c.record.version.time == c.clock);
		CHECK(holds("late", "1") && versions("late") == 2 * i + 1);
		CHECK(stat(in_store("tree/", "late"), &st) == 0 && st.st_mtim.tv_sec == INT32_MAX);
		CHECK(commit(&c, "late", "2") == ERR_NONE);
		CHECK(holds("late", "2") && versions("late") == 2 * i + 2);
	}
	/* Elsewhere it has its own time, and what a person changes is a person's. */
	last_mtime = 0;
	CHECK(commit(&c, "late", "3") == ERR_NONE && holds("late", "3"));
	CHECK(utimensat(AT_FDCWD, in_store("tree/", "late"), edited, 0) == 0);
	entry = get("late");
	CHECK(entry.foreign);
	store_entry_clear(&entry);
	CHECK(commit(&c, "late", "4") == ERR_NONE && holds("late", "4"));
}

/* Directories whose names were read: over the C library's. */
static size_t directories_read;

DIR *fdopendir(int fd)
{
	DIR *(*next)(int);
	void *symbol = dlsym(RTLD_NEXT, "fdopendir");

	memcpy(&next, &symbol, sizeof next);
	directories_read++;
	return next(fd);
}

/* Commit content or a tombstone; its version, which must be above last. */
static struct version above(struct version last, const char *path, bool deleted)
{
	struct commit c = COMMIT_INIT;

	c.flags = deleted ? RECORD_DELETED : 0;
	CHECK(commit(&c, path, deleted ? NULL : "x") == ERR_NONE && c.newest);
	CHECK(version_cmp(c.record.version, last) > 0);
	return c.record.version;
}

/* The clock is set back and forth, and files are evicted: a path's versions only grow. */
static void clock_jumps(void)
{
	static const time_t shifts[] = { 0, -3600, -7200, 3600, -3600, 0, -86400, 7200 };
	struct version last = VERSION_NONE;
	struct timespec now;
	char path[20];

	for (size_t i = 0; i < sizeof shifts / sizeof shifts[0]; i++) {
		clock_shift = shifts[i];
		last = above(last, "jumps", false);
		if (i % 2 == 1)
			CHECK(unlink(in_store("tree/", "jumps")) == 0);
		last = above(last, "jumps", i % 3 == 2);
		/* A path that knows nothing of another clock takes this one. */
		snprintf(path, sizeof path, "jumped%zu", i);
		clock_gettime(CLOCK_REALTIME, &now);
		CHECK(above(VERSION_NONE, path, false).time / 1000000000 - (uint64_t)now.tv_sec < 60);
	}
	clock_shift = 0;
}

/* A name that covey has not put there, of a version an hour ahead. */
static struct version put_by_hand(const char *path)
{
	struct version v = { .time = UINT64_C(3600) * 1000000000, .node = 7 };
	char name[VERSION_TEXT], file[100];
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	v.time += (uint64_t)now.tv_sec * 1000000000;
	snprintf(file, sizeof file, "%s/,%s", path, version_format(name, v));
	usleep(20000);		/* no person is as quick as a tick of the clock */
	CHECK(symlink("anything", in_store("history/", file)) == 0);
	return v;
}

/* What comes after a deletion does not read all names in the path's history, unless they may have changed. */
static void after_deletion(void)
{
	struct version last = above(VERSION_NONE, "often", false);
	struct commit merged = { .flags = RECORD_DELETED };
	struct version hand;

	for (int i = 0; i < 10; i++) {
		last = above(last, "often", true);
		directories_read = 0;
		last = above(last, "often", i % 3 == 0);
		last = above(last, "often", false);
		CHECK(directories_read == 0);
		clock_shift -= 60;
	}
	/* A person's hand in history/, and in tree/: what lies there is passed. */
	last = above(last, "often", true);
	hand = put_by_hand("often");
	last = above(hand, "often", false);
	last = above(last, "often", false);
	CHECK(unlink(in_store("tree/", "often")) == 0);
	last = above(hand, "often", true);

	/* A deletion made elsewhere that is not above all here. */
	last = above(VERSION_NONE, "elsewhere", false);
	last = above(last, "elsewhere", false);
	merged.fixed = (struct version){ .time = last.time + 1, .node = 9 };
	hand = put_by_hand("elsewhere");
	CHECK(unlink(in_store("tree/", "elsewhere")) == 0);
	CHECK(commit(&merged, "elsewhere", NULL) == ERR_NONE && stands("elsewhere", NAME_ABSENT));
	last = above(hand, "elsewhere", false);
	clock_shift = 0;
}

/* The group's time counts, not this node's clock; what is known is still passed. */
static void group_time(void)
{
	struct commit c = COMMIT_INIT;

	c.clock = UINT64_C(1500000000) * 1000000000;
	CHECK(commit(&c, "timed", "1") == ERR_NONE && c.record.version.time == c.clock);
	CHECK(commit(&c, "timed", "2") == ERR_NONE && c.record.version.time == c.clock + 1);
	c.above.time = c.clock + 5;
	CHECK(commit(&c, "timed", "3") == ERR_NONE && c.record.version.time == c.clock + 6);
}

static void merge_at(const char *path, const struct record *record)
{
	CHECK(store_merge(store, str_of(path), record, (struct str)STR_INIT, 0, &why) == 0);
}

/* Each version of a file that came more than a minute ahead of the group's clock counts once. */
static void ahead_of_the_clock(void)
{
	const uint64_t minute = UINT64_C(60000000000);
	uint64_t were = store_ahead(store), told_were = ahead_told;
	struct commit c = COMMIT_INIT;
	struct record record;
	struct timespec now;
	uint64_t wall;

	clock_gettime(CLOCK_REALTIME, &now);
	wall = (uint64_t)now.tv_sec * 1000000000;
	c.clock = wall + minute;
	CHECK(commit(&c, "soon", "1") == ERR_NONE && store_ahead(store) == were);
	c.clock = wall + 3 * minute;
	CHECK(commit(&c, "ahead", "1") == ERR_NONE && store_ahead(store) == were + 1);
	CHECK(ahead_told == told_were + 1 && ahead_by > minute && ahead_by <= 3 * minute);
	record = c.record;
	merge_at("ahead", &record);
	merge_at("ahead2", &record);
	merge_at("ahead2", &record);
	c.fixed = record.version;
	CHECK(commit(&c, "ahead2", "1") == ERR_NONE && holds("ahead2", "1"));
	CHECK(store_ahead(store) == were + 2);
	c.fixed = VERSION_NONE;
	c.flags = RECORD_DELETED;
	CHECK(commit(&c, "ahead", NULL) == ERR_NONE && store_ahead(store) == were + 3);
	c.flags = RECORD_DIRECTORY;
	CHECK(commit(&c, "ahead-too", NULL) == ERR_NONE && store_ahead(store) == were + 3);

	/* The group's clock is ahead of this one's. */
	c.flags = 0;
	store_set_clock(store, 3600 * INT64_C(1000000000));
	c.clock = wall + 30 * minute;
	CHECK(commit(&c, "not-ahead", "1") == ERR_NONE && store_ahead(store) == were + 3);
	/* And behind it. */
	store_set_clock(store, -3600 * INT64_C(1000000000));
	c.clock = wall - 30 * minute;
	CHECK(commit(&c, "behind", "1") == ERR_NONE && store_ahead(store) == were + 4);
	CHECK(ahead_told == told_were + 4);
	store_set_clock(store, 0);
}

static int refuse(const struct commit *c, const struct store_entry *now, struct err *err)
{
	const uint64_t *size = c->data;

	return now->record.size == *size ? 0 : err_set(err, ERR_PRECONDITION, "another size");
}

static void conditions(void)
{
	struct commit c = COMMIT_INIT;
	uint64_t size = 3;

	c.condition = refuse;
	c.data = &size;
	CHECK(commit(&c, "cond", "abc") == ERR_PRECONDITION);
	CHECK(holds("cond", NULL) && versions("cond") == 0);
	size = 0;
	CHECK(commit(&c, "cond", "abc") == ERR_NONE && c.newest);
	CHECK(version_is_none(c.before.version));
	size = 3;
	CHECK(commit(&c, "cond", "abcd") == ERR_NONE && c.before.size == 3);
}

/* Versions made elsewhere. */
static struct commit made(uint64_t time)
{
	struct commit c = COMMIT_INIT;

	c.fixed = (struct version){ .time = time, .node = 42 };
	return c;
}

static void merging(void)
{
	uint64_t t = UINT64_C(1700000000) * 1000000000;
	struct commit c = made(t + 5);
	struct record pointer;
	struct store_entry entry;

	CHECK(commit(&c, "m/v", "five") == ERR_NONE && c.newest);
	CHECK(commit(&c, "m/v", "five") == ERR_NONE && c.newest);
	CHECK(version_cmp(c.record.version, c.fixed) == 0);
	CHECK(commit(&c, "m/v", "FIVE") == ERR_CORRUPT);
	c = made(t + 3);
	CHECK(commit(&c, "m/v", "three") == ERR_NONE && !c.newest);
	CHECK(commit(&c, "m/v", "three") == ERR_NONE && !c.newest);
	CHECK(commit(&c, "m/v", "THREE") == ERR_CORRUPT);
	CHECK(holds("m/v", "five") && versions("m/v") == 2);
	c = made(t + 4);
	c.flags = RECORD_DELETED;
	CHECK(commit(&c, "m/v", NULL) == ERR_NONE && !c.newest);
	CHECK(holds("m/v", "five") && versions("m/v") == 3);
	c = made(t + 8);
	c.flags = RECORD_DELETED | RECORD_BLIND;
	CHECK(commit(&c, "m/v", NULL) == ERR_NONE && c.newest);
	CHECK(commit(&c, "m/v", NULL) == ERR_NONE && c.newest);
	CHECK(holds("m/v", NULL) && versions("m/v") == 4);
	c = made(t + 7);
	CHECK(commit(&c, "m/v", "seven") == ERR_NONE && !c.newest);
	CHECK(holds("m/v", NULL) && versions("m/v") == 5);
	CHECK(get("m/v").record.flags == (RECORD_DELETED | RECORD_BLIND));

	c = made(t + 9);
	CHECK(commit(&c, "p/v", "nine") == ERR_NONE);
	pointer = c.record;
	pointer.version.time = t + 10;
	c = (struct commit)COMMIT_INIT;
	c.pointer = &pointer;
	c.type = STR("a/b");
	CHECK(commit(&c, "p/v", NULL) == ERR_NONE && c.newest);
	CHECK(commit(&c, "p/v", NULL) == ERR_NONE && c.newest);
	entry = get("p/v");
	CHECK(record_eq(&entry.record, &pointer) && !entry.content && entry.fd < 0);
	CHECK(strcmp(entry.type, "a/b") == 0 && !entry.foreign);
	CHECK(versions("p/v") == 2 && lists("p", "v"));
	c = made(t + 10);
	c.type = STR("a/b");
	CHECK(commit(&c, "p/v", "NINE") == ERR_CORRUPT);
	CHECK(commit(&c, "p/v", "nine") == ERR_NONE && c.newest);
	CHECK(holds("p/v", "nine") && versions("p/v") == 2);

	pointer.version.time = t + 6;	/* an older pointer, and then its content */
	c = (struct commit)COMMIT_INIT;
	c.pointer = &pointer;
	CHECK(commit(&c, "p/v", NULL) == ERR_NONE && !c.newest);
	CHECK(store_version(store, STR("p/v"), pointer.version, STORE_CONTENT, &entry, &why) == 0);
	CHECK(!entry.content);
	c = made(t + 6);
	CHECK(commit(&c, "p/v", "nine") == ERR_NONE && !c.newest);
	CHECK(store_version(store, STR("p/v"), pointer.version, STORE_CONTENT, &entry, &why) == 0);
	CHECK(entry.content && entry.fd >= 0);
	store_entry_clear(&entry);
	CHECK(put("p/v", "own") == ERR_NONE && holds("p/v", "own"));
}

static bool is_file(const char *path)
{
	struct stat st;

	return lstat(in_store("tree/", path), &st) == 0 && S_ISREG(st.st_mode);
}

/* Merges in which a name is a file on one node and a directory on another. */
static void kinds(void)
{
	uint64_t t = UINT64_C(1700000000) * 1000000000;
	struct commit c = made(t + 1);
	struct store_entry entry;
	struct version v;

	/* A directory that only holds what is below it hides nothing. */
	CHECK(put("k", "a file") == ERR_NONE);
	v = get("k").record.version;
	CHECK(commit(&c, "k/below", "child") == ERR_NONE && c.newest);
	CHECK(holds("k/below", "child") && holds("k", "a file") && stands("k", NAME_FILE));
	CHECK(commit(&c, "k", "an older file") == ERR_NONE && !c.newest);
	CHECK(holds("k", "a file") && versions("k") == 2);
	/* An entry does, whatever the file's time, which is told nevertheless. */
	c = made(t + 2);
	c.flags = RECORD_DIRECTORY;
	CHECK(commit(&c, "k", NULL) == ERR_NONE && c.newest);
	entry = get("k");
	CHECK(entry.directory && entry.content && version_cmp(entry.record.version, v) == 0);
	CHECK(version_cmp(entry.entry.version, c.fixed) == 0 && versions("k") == 3);
	store_entry_clear(&entry);
	/* Its end brings the file back when nothing is in tree/k any more. */
	c = made(t + 3);
	c.flags = RECORD_DELETED | RECORD_DIRECTORY;
	CHECK(commit(&c, "k", NULL) == ERR_NONE && c.newest);
	CHECK(stands("k", NAME_FILE) && holds("k", "a file") && holds("k/below", "child"));
	c = made(t + 4);
	c.flags = RECORD_DELETED;
	CHECK(commit(&c, "k/below", NULL) == ERR_NONE && c.newest);
	CHECK(is_file("k") && holds("k", "a file"));
	/* An end that is above the file hides it. */
	c = made(UINT64_C(1900000000) * 1000000000);
	c.flags = RECORD_DELETED | RECORD_DIRECTORY;
	CHECK(commit(&c, "k", NULL) == ERR_NONE && c.newest && stands("k", NAME_ABSENT));
	entry = get("k");
	CHECK(!entry.directory && version_cmp(entry.record.version, v) == 0 && entry.content);
	store_entry_clear(&entry);
	CHECK(access(in_store("tree/", "k"), F_OK) < 0);
	c = made(UINT64_C(1900000000) * 1000000000 + 1);
	CHECK(commit(&c, "k", "above") == ERR_NONE && c.newest && is_file("k"));
	c = made(t + 2);
	c.flags = RECORD_DIRECTORY;
	CHECK(put("kk", "a file") == ERR_NONE && commit(&c, "kk", NULL) == ERR_NONE && c.newest);
	CHECK(get("kk").directory && versions("kk") == 2);
	c = made(t + 1);
	c.flags = RECORD_DIRECTORY;
	CHECK(commit(&c, "kk", NULL) == ERR_NONE && !c.newest && versions("kk") == 3);
}

static void pruning(void)
{
	uint64_t bytes = 0;

	CHECK(put("pr", "11") == ERR_NONE && put("pr", "222") == ERR_NONE);
	CHECK(with_flags("pr", RECORD_DELETED) == ERR_NONE);
	CHECK(put("pr", "4") == ERR_NONE && put("pr", "5") == ERR_NONE);
	CHECK(prune("pr", 0, &bytes) == 0 && prune("pr", 9, &bytes) == 0);
	CHECK(prune("pr", 3, &bytes) == 2 && bytes == 5 && versions("pr") == 3 && holds("pr", "5"));
	CHECK(prune("pr", 1, &bytes) == 2 && bytes == 1 && versions("pr") == 1 && holds("pr", "5"));
	CHECK(with_flags("pr", RECORD_DELETED) == ERR_NONE);
	CHECK(prune("pr", 1, &bytes) == 1 && bytes == 1 && versions("pr") == 1 && holds("pr", NULL));
	CHECK(get("pr").record.flags == RECORD_DELETED);
	CHECK(prune("unknown", 1, &bytes) == 0);
}

static void adopted(void *data, struct str path, const struct record *record)
{
	struct buf *names = data;

	buf_addf(names, "%.*s=%llu ", STR_ARG(path), (unsigned long long)record->size);
}

/* Others judge what is above a file; an empty directory is told of. */
static void adopting_in_group(struct buf *told)
{
	struct outbox *outbox = NULL;
	uint64_t count = 0;

	CHECK(mkdir(in_store("tree/", "ad/holds"), 0700) == 0);
	CHECK(mkdir(in_store("tree/", "ad/empty"), 0700) == 0);
	write_file("ad/holds/new", "by hand", 0);
	CHECK(outbox_open(&outbox, store, &why) == 0);
	CHECK(store_adopt(store, STR("ad"), outbox, adopted, told, &count, &why) == 0 && count == 1);
	outbox_close(outbox);
	CHECK(holds("ad/holds/new", "by hand") && stands("ad/holds", NAME_ABSENT));
	CHECK(stands("ad/empty", NAME_DIRECTORY) && stands("ad/sub", NAME_DIRECTORY));
}

static void adoption(void)
{
	struct buf told = BUF_INIT;
	struct store_entry entry;
	uint64_t count = 0;

	CHECK(put("ad/changed", "was") == ERR_NONE && put("ad/kept", "kept") == ERR_NONE);
	write_file("ad/changed", " and is", O_APPEND);
	CHECK(mkdir(in_store("tree/", "ad/sub"), 0700) == 0);
	write_file("ad/sub/new", "by hand", 0);
	CHECK(symlink("nowhere", in_store("tree/", "ad/link")) == 0);
	CHECK(stands("ad/sub", NAME_ABSENT));	/* nobody but a person made it */
	CHECK(store_adopt(store, STR("ad"), NULL, adopted, &told, &count, &why) == 0 && count == 2);
	CHECK(strstr(told.data, "ad/changed=10 ") != NULL);
	CHECK(strstr(told.data, "ad/sub/new=7 ") != NULL);
	CHECK(holds("ad/changed", "was and is") && holds("ad/sub/new", "by hand"));
	CHECK(holds("ad/kept", "kept") && versions("ad/kept") == 1 && versions("ad/changed") == 1);
	CHECK(get("ad/sub").entry.flags == RECORD_DIRECTORY && get("ad/link").foreign);
	entry = get("ad/sub/new");
	CHECK(!entry.foreign && entry.record.mtime > 1700000000);
	store_entry_clear(&entry);
	CHECK(access(in_store("history/", "ad/sub/new"), F_OK) < 0);
	adopting_in_group(&told);
	CHECK(store_adopt(store, STR("ad"), NULL, adopted, &told, &count, &why) == 0 && count == 0);
	buf_clear(&told);
}

/* Who sends a body on reads it again: that must not have the disk write its inode once more. */
static void untouched(void)
{
	struct timespec tick = { .tv_nsec = 50000000 };
	struct stage *stage = NULL;
	struct stat before, after;
	char byte;

	CHECK(stage_begin(store, &stage, &why) == 0 && stage_add(stage, "x", 1, &why) == 0);
	CHECK(fstat(stage_fd(stage), &before) == 0);
	nanosleep(&tick, NULL);
	CHECK(pread(stage_fd(stage), &byte, 1, 0) == 1);
	CHECK(fstat(stage_fd(stage), &after) == 0);
	CHECK(before.st_atim.tv_sec == after.st_atim.tv_sec &&
	      before.st_atim.tv_nsec == after.st_atim.tv_nsec);
	stage_free(stage);
}

/* Written by one and hashed by another, who is given the bytes or reads them again. */
static void hashed_apart(void)
{
	struct stage *one = NULL, *other = NULL;

	CHECK(stage_begin(store, &one, &why) == 0 && stage_add(one, "content", 7, &why) == 0 &&
	      stage_end(one, &why) == 0);
	CHECK(stage_begin(store, &other, &why) == 0 && stage_write(other, "cont", 4, &why) == 0);
	CHECK(stage_hash_written(other, 1, &why) == 0);
	stage_hash(other, "on", 2);
	CHECK(stage_write(other, "ent", 3, &why) == 0 && stage_hash_written(other, 5, &why) == 0);
	CHECK(stage_end(other, &why) < 0 && why.kind == ERR_CORRUPT);
	CHECK(stage_hash_written(other, 5, &why) == 0 && stage_hash_written(other, 7, &why) == 0);
	CHECK(stage_end(other, &why) == 0);
	CHECK(memcmp(stage_sha256(one), stage_sha256(other), SHA256_BYTES) == 0);
	stage_free(one);
	stage_free(other);
	CHECK(stage_begin(store, &other, &why) == 0 && stage_write(other, "x", 1, &why) == 0);
	CHECK(stage_hash_written(other, 2, &why) < 0 && why.kind == ERR_CORRUPT);
	stage_free(other);
}

/* What somebody is given, others see for as long as he says so. */
static void incoming(void)
{
	const struct version v = { .time = 7, .node = 8 }, next = { .time = 7, .node = 8, .n = 1 };
	int fd;

	CHECK(!store_incoming(store, STR("in"), v));
	fd = store_incoming_begin(store, STR("in"), v);
	CHECK(fd >= 0 && store_incoming(store, STR("in"), v));
	CHECK(!store_incoming(store, STR("in"), next) && !store_incoming(store, STR("im"), v));
	CHECK(store_incoming_begin(store, STR("in"), v) < 0);
	close(fd);
	CHECK(!store_incoming(store, STR("in"), v));
	CHECK(unlink(in_store("", "locks")) == 0 && !store_incoming(store, STR("in"), v));
	CHECK(access(in_store("", "locks"), F_OK) < 0);
}

/* The date of a child is not its place in the order: neither in tree/, nor when content goes by age. */
static void child(void)
{
	const uint64_t hour = UINT64_C(3600) * 1000000000;
	struct prune_rule rule = { .versions = 0 };
	struct prune_count count = { .records = 0 };
	struct commit base = COMMIT_INIT, c = COMMIT_INIT;
	struct store_entry entry;
	struct record again;
	struct stat st;

	base.clock = UINT64_C(1700000000) * 1000000000;
	CHECK(commit(&base, "kin", "base") == ERR_NONE);
	c.fixed = base.record.version;
	c.fixed.n = VERSION_N_MAX;
	c.made = base.record.version.time + hour;
	c.flags = RECORD_EXECUTABLE | 0x40;
	CHECK(commit(&c, "kin", "kid!") == ERR_NONE && c.newest);
	entry = get("kin");
	CHECK(entry.record.made == c.made && entry.record.flags == c.flags);
	CHECK(version_cmp(entry.record.version, c.fixed) == 0);
	CHECK(fstat(entry.fd, &st) == 0 && st.st_mtim.tv_sec == 1700003600);
	again = entry.record;
	store_entry_clear(&entry);
	CHECK(store_merge(store, STR("kin"), &again, (struct str)STR_INIT, 0, &why) == 0);
	CHECK(holds("kin", "kid!") && versions("kin") == 2);

	CHECK(put("kin", "last") == ERR_NONE);
	rule.before = base.record.version.time + hour / 2;
	CHECK(store_prune(store, STR("kin"), &rule, &count, &why) == 0 && count.contents == 1);
	CHECK(store_version(store, STR("kin"), c.fixed, STORE_CONTENT, &entry, &why) == 0);
	CHECK(entry.content && record_eq(&entry.record, &again));
	store_entry_clear(&entry);
	CHECK(store_evict(store, STR("kin"), c.fixed, &(uint64_t){ 0 }, &why) == 0);
	CHECK(store_version(store, STR("kin"), c.fixed, STORE_CONTENT, &entry, &why) == 0);
	CHECK(!entry.content && record_eq(&entry.record, &again));
	store_entry_clear(&entry);
}

/* The row that has this version; count: none has. */
static size_t row_of(const struct history *h, struct version version)
{
	size_t i = 0;

	while (i < h->count && version_cmp(h->entries[i].record.version, version) != 0)
		i++;
	return i;
}

/* What is read for a page is a piece of the whole: the page, one more on either side, and whole runs of blind ones. */
static void history_part(const char *path, const struct history *whole, struct version older, size_t limit)
{
	size_t first = version_is_none(older) ? 0 : row_of(whole, older) + 1, end = first, begin = first;
	struct history h = HISTORY_INIT;

	end = first + limit < whole->count ? first + limit + 1 : whole->count;
	while (end > 0 && end < whole->count && whole->entries[end - 1].record.flags & RECORD_BLIND)
		end++;
	begin -= first > 0;
	while (first > 0 && begin > 0 && whole->entries[begin].record.flags & RECORD_BLIND)
		begin--;
	CHECK(store_history_part(store, str_of(path), older, limit, &h, &why) == 0);
	CHECK(h.count == end - begin);
	for (size_t i = 0; i < h.count && begin + i < whole->count; i++)
		CHECK(record_eq(&h.entries[i].record, &whole->entries[begin + i].record) &&
		      h.entries[i].content == whole->entries[begin + i].content);
	history_clear(&h);
}

static void history_parts(void)
{
	static const char *const bodies[] = { "1", NULL, "3", "4", "5", NULL, "7", "8", "9" };
	struct history whole = HISTORY_INIT;

	for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
		struct commit c = { .ungrouped = true, .flags = bodies[i] == NULL ? RECORD_DELETED : 0 };

		if (i == 2 || i == 3 || i == 8)
			c.flags |= RECORD_BLIND;
		CHECK(commit(&c, "parts", bodies[i]) == ERR_NONE);
	}
	CHECK(store_history(store, STR("parts"), &whole, &why) == 0 && whole.count == 9);
	for (size_t limit = 1; limit < 11; limit++) {
		history_part("parts", &whole, VERSION_NONE, limit);
		for (size_t i = 0; i < whole.count; i++)
			history_part("parts", &whole, whole.entries[i].record.version, limit);
	}
	history_clear(&whole);
	CHECK(store_history_part(store, STR("nothing"), VERSION_NONE, 1, &whole, &why) == 0 && whole.count == 0);
}

int main(void)
{
	if (!open_store())
		return UNIT_RESULT();
	CHECK(store_writable(store, &why) == 0);
	content();
	types();
	deletion();
	directories();
	listing();
	extremes();
	foreign();
	eviction();
	older_contents();
	end_of_times();
	clock_jumps();
	after_deletion();
	group_time();
	ahead_of_the_clock();
	conditions();
	merging();
	kinds();
	pruning();
	child();
	adoption();
	untouched();
	hashed_apart();
	incoming();
	history_parts();
	close_store();
	return UNIT_RESULT();
}
