/* store_roll: lists of large directories: their pages, their files, and what makes a file untrue */
#include "store_unit.h"
#include "clock_unit.h"

#include "clock.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define NAMES 5000

static bool no_links;		/* files without a name get none */

int linkat(int from_dir, const char *from, int dir, const char *name, int flags)
{
	if (no_links)
		return -1;
	return (int)syscall(SYS_linkat, from_dir, from, dir, name, flags);
}

/* Pointers, which are quick to make. */
static void point(const char *directory, int first, int end)
{
	char path[4096], text[256];

	for (int i = first; i < end; i++) {
		snprintf(path, sizeof path, "%s/tree/%s/n%05d", root, directory, i);
		snprintf(text, sizeof text, "20251122T070000.000000001Z-00000000000000aa-0 - 5 %064d 0", 1);
		CHECK(symlink(text, path) == 0);
	}
}

static size_t list_files(void)
{
	size_t n = names_in(in_store("state/", "lists"));

	return n > 2 ? n - 2 : 0;
}

/* The file of the only list there is; its name stays good until the next call. */
static const char *list_file(void)
{
	static char path[4200];
	DIR *dir = opendir(in_store("state/", "lists"));
	const struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.')
			snprintf(path, sizeof path, "%s/state/lists/%s", root, entry->d_name);
	if (dir != NULL)
		closedir(dir);
	return path;
}

/* All names by pages of this size: how many, in order, each once; 0: something is wrong. */
static size_t count_by(const char *path, size_t limit)
{
	char last[256] = "";
	size_t count = 0;
	bool more = true;

	while (more) {
		struct listing l = LISTING_INIT;

		if (store_list(store, str_of(path), str_of(last), limit, false, &l, &why) < 0)
			return 0;
		for (size_t i = 0; i < l.count; i++) {
			if (strcmp(l.entries[i].name, last) <= 0)
				return 0;
			snprintf(last, sizeof last, "%s", l.entries[i].name);
		}
		count += l.count;
		more = l.more;
		listing_clear(&l);
	}
	return count;
}

static bool has(const char *path, const char *name)
{
	struct listing l = LISTING_INIT;
	char after[256];
	bool found;

	snprintf(after, sizeof after, "%.*s", (int)strlen(name) - 1, name);
	CHECK(store_list(store, str_of(path), str_of(after), 1000, false, &l, &why) == 0);
	found = false;
	for (size_t i = 0; i < l.count; i++)
		found = found || strcmp(l.entries[i].name, name) == 0;
	listing_clear(&l);
	return found;
}

/* As a reader finds it who comes so late that nothing could have changed within a tick of the clock. */
static void be_late(void)
{
	clock_shift += 2;
}

static void test_file(void)
{
	CHECK(put("d/first", "x") == ERR_NONE);
	point("d", 0, NAMES);
	CHECK(count_by("d", 0) == NAMES + 1);
	CHECK(list_files() == 0);	/* it has just changed */
	be_late();
	CHECK(count_by("d", 0) == NAMES + 1 && list_files() == 1);
	CHECK(count_by("d", 999) == NAMES + 1 && count_by("d", 1000) == NAMES + 1);
	CHECK(has("d", "n00000") && has("d", "first") && !has("d", "n0"));
	/* Few names are read each time. */
	CHECK(put("few/x", "x") == ERR_NONE);
	be_late();
	CHECK(count_by("few", 0) == 1 && list_files() == 1);
}

/* Whatever comes and goes, by whomever, is in the next list. */
static void test_changes(void)
{
	char path[4096];

	CHECK(put("d/new", "x") == ERR_NONE && has("d", "new"));
	CHECK(count_by("d", 1000) == NAMES + 2);
	be_late();
	CHECK(count_by("d", 1000) == NAMES + 2);
	CHECK(with_flags("d/new", RECORD_DELETED) == ERR_NONE && !has("d", "new"));
	be_late();
	CHECK(count_by("d", 1000) == NAMES + 1);
	/* By hand. */
	point("d", NAMES, NAMES + 1);
	CHECK(has("d", "n05000") && count_by("d", 1000) == NAMES + 2);
	be_late();
	CHECK(has("d", "n05000"));
	snprintf(path, sizeof path, "%s/tree/d/n05000", root);
	CHECK(unlink(path) == 0 && !has("d", "n05000"));
	be_late();
	CHECK(count_by("d", 1000) == NAMES + 1);
	/* A file that a person changes where it stands changes no directory. */
	CHECK(has("d", "first"));
	snprintf(path, sizeof path, "%s/tree/d/first", root);
	CHECK(truncate(path, 100) == 0 && !has("d", "first"));
	CHECK(put("d/first", "x") == ERR_NONE && has("d", "first"));
	be_late();
	CHECK(count_by("d", 0) == NAMES + 1);
}

/* A deletion of a name that was never here changes the history's directory alone. */
static void test_history(void)
{
	struct record elsewhere = { .version = { .time = clock_wall_ns(), .node = 7 }, .flags = RECORD_DELETED };
	struct listing l = LISTING_INIT;

	CHECK(store_list(store, STR("d"), STR(""), 1, true, &l, &why) == 0 && list_files() == 1);
	listing_clear(&l);
	CHECK(store_merge(store, STR("d/elsewhere"), &elsewhere, STR(""), 0, &why) == 0);
	CHECK(store_list(store, STR("d"), STR("e"), 1, true, &l, &why) == 0);
	CHECK(l.count == 1 && strcmp(l.entries[0].name, "elsewhere") == 0);
	listing_clear(&l);
	be_late();
	CHECK(count_by("d", 0) == NAMES + 1);
}

/* All that may happen to a file costs no more than the file. */
static void test_disposable(void)
{
	struct listing l = LISTING_INIT;
	struct stat st;
	int fd;

	CHECK(list_files() == 1 && unlink(list_file()) == 0);
	CHECK(count_by("d", 1000) == NAMES + 1 && list_files() == 1);
	/* A head that is none, or of another boot. */
	fd = open(list_file(), O_WRONLY);
	CHECK(pwrite(fd, "x", 1, 0) == 1);
	close(fd);
	CHECK(count_by("d", 1000) == NAMES + 1);
	fd = open(list_file(), O_WRONLY);
	CHECK(pwrite(fd, "x", 1, 16) == 1);
	close(fd);
	CHECK(count_by("d", 1000) == NAMES + 1);
	/* One that is cut short. */
	CHECK(stat(list_file(), &st) == 0 && truncate(list_file(), st.st_size - 1) == 0);
	CHECK(count_by("d", 1000) == NAMES + 1);
	/* Names that are spoiled are never told: an error once, then the directory is read again. */
	fd = open(list_file(), O_WRONLY);
	CHECK(pwrite(fd, "\0\0\0\0\0\0\0\0\0\0\0\0", 12, st.st_size / 3) == 12);
	close(fd);
	CHECK(store_list(store, STR("d"), STR(""), 0, false, &l, &why) < 0 && why.kind == ERR_CORRUPT);
	CHECK(count_by("d", 1000) == NAMES + 1);
	/* None can be had. */
	unlink(list_file());
	no_links = true;
	CHECK(count_by("d", 1000) == NAMES + 1 && list_files() == 0);
	no_links = false;
	CHECK(chmod(in_store("state", ""), 0750) == 0 && rmdir(in_store("state/", "lists")) == 0);
	fd = open(in_store("state/", "lists"), O_WRONLY | O_CREAT, 0640);
	close(fd);
	CHECK(count_by("d", 1000) == NAMES + 1);
	CHECK(unlink(in_store("state/", "lists")) == 0);
	CHECK(count_by("d", 1000) == NAMES + 1 && list_files() == 1);
}

/* A walk has the names of its beginning, and tells what stands there when it comes. */
static void test_walk(void)
{
	struct store_walk *walk, *other;
	struct listing l;
	size_t count = 0;
	bool more;

	CHECK(store_walk_begin(store, STR("d"), false, clock_mono_ms(), &walk, &why) == 0);
	CHECK(store_walk_begin(store, STR("d"), false, clock_mono_ms(), &other, &why) == 0);
	CHECK(store_walk_names(walk) == NAMES + 3);	/* and of the two that were deleted */
	CHECK(store_walk_next(walk, 10, &l, &why) == 0 && l.count == 10 && l.more);
	listing_clear(&l);
	/* What is deleted before the walk comes to it is not told. */
	CHECK(with_flags("d/n04000", RECORD_DELETED) == ERR_NONE);
	do {
		CHECK(store_walk_next(walk, SIZE_MAX, &l, &why) == 0);
		for (size_t i = 0; i < l.count; i++)
			CHECK(strcmp(l.entries[i].name, "n04000") != 0);
		count += l.count;
		more = l.more;
		listing_clear(&l);
	} while (more);
	CHECK(count == NAMES + 1 - 11);
	store_walk_end(walk);
	store_walk_end(other);
	CHECK(store_walk_begin(store, STR("none"), false, clock_mono_ms(), &walk, &why) < 0 && why.kind == ERR_ABSENT);
	/* Directories are told apart from all the others. */
	CHECK(with_flags("d/sub", RECORD_DIRECTORY) == ERR_NONE);
	CHECK(store_walk_begin(store, STR("d"), false, clock_mono_ms(), &walk, &why) == 0);
	store_walk_directories(walk, true);
	CHECK(store_walk_next(walk, 10, &l, &why) == 0 && l.count == 1 && strcmp(l.entries[0].name, "sub") == 0);
	listing_clear(&l);
	store_walk_end(walk);
}

/* Who asked before the names were read shares them with whoever has them, though they have changed since. */
static void test_sharing(void)
{
	struct store_walk *first, *second, *third;
	uint64_t asked = clock_mono_ms();
	size_t before;

	usleep(2000);
	CHECK(put("d/late1", "x") == ERR_NONE);
	CHECK(store_walk_begin(store, STR("d"), false, asked, &first, &why) == 0);
	before = store_walk_names(first);
	usleep(2000);
	CHECK(put("d/late2", "x") == ERR_NONE);
	CHECK(store_walk_begin(store, STR("d"), false, asked, &second, &why) == 0);
	CHECK(store_walk_begin(store, STR("d"), false, clock_mono_ms(), &third, &why) == 0);
	CHECK(store_walk_names(second) == before && store_walk_names(third) == before + 1);
	store_walk_end(first);
	store_walk_end(second);
	store_walk_end(third);
}

/* How many names a list by parts of this many tells, each part with the names of when the first one was asked for. */
static size_t count_parts(size_t limit, void (*between)(void))
{
	struct list_part part = { .limit = limit, .with_deleted = true, .asked = clock_mono_ms() };
	char last[256] = "";
	size_t count = 0;
	bool more = true;

	usleep(2000);
	while (more) {
		struct listing l = LISTING_INIT;

		part.after = str_of(last);
		if (store_list_part(store, STR("d"), &part, &l, &why) < 0)
			return 0;
		count += l.count;
		more = l.more;
		if (l.count > 0)
			snprintf(last, sizeof last, "%s", l.entries[l.count - 1].name);
		listing_clear(&l);
		between();
	}
	return count;
}

static void put_another(void)
{
	static int number;
	char path[32];

	snprintf(path, sizeof path, "d/z%d", number++);
	CHECK(put(path, "x") == ERR_NONE);
}

static void do_nothing(void) {}

/* Nobody has the names between two parts, and the directory changes: they rest until the next part. */
static void test_parts(void)
{
	struct list_part part = { .with_deleted = true, .directories = true, .asked = clock_mono_ms() };
	struct listing l = LISTING_INIT;
	size_t before = count_parts(0, do_nothing);

	CHECK(before > NAMES && count_parts(1000, put_another) == before);
	CHECK(count_parts(1000, do_nothing) == before + before / 1000 + 1);
	/* Of those that may have been directories all that are known in history/ are told. */
	CHECK(store_list_part(store, STR("d"), &part, &l, &why) == 0);
	CHECK(l.count > 0 && l.count < 100);
	for (size_t i = 0; i < l.count; i++)
		part.limit += strcmp(l.entries[i].name, "sub") == 0;
	CHECK(part.limit == 1);
	listing_clear(&l);
}

/* There are never more files than a few, though something else lies there, and is older. */
static void test_many(void)
{
	const struct timespec long_ago[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };
	char path[32];

	CHECK(mkdir(in_store("state/lists/", "0000000000000001"), 0750) == 0);
	CHECK(utimensat(AT_FDCWD, in_store("state/lists/", "0000000000000001"), long_ago, 0) == 0);
	for (int i = 0; i < 18; i++) {
		snprintf(path, sizeof path, "many%d", i);
		CHECK(with_flags(path, RECORD_DIRECTORY) == ERR_NONE);
		point(path, 0, 4200);
	}
	be_late();
	for (int i = 0; i < 18; i++) {
		snprintf(path, sizeof path, "many%d", i);
		CHECK(count_by(path, 1000) == 4200);
	}
	CHECK(list_files() == 16 + 1);
}

int main(void)
{
	if (!open_store())
		return 1;
	test_file();
	test_changes();
	test_history();
	test_disposable();
	test_walk();
	test_sharing();
	test_parts();
	test_many();
	close_store();
	return UNIT_RESULT();
}
