/*
 * store_directories - two registers a name, a gate a directory, and what lies
 * in tree/ without records, which decides nothing
 */
#include "store_unit.h"

#include "survey.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define THEN (UINT64_C(1700000000) * 1000000000)
#define LATER (UINT64_C(7000000000) * 1000000000)

/* A record made elsewhere; content is one byte. */
static enum err_kind merge(const char *path, uint64_t time, uint8_t flags)
{
	struct commit c = { .fixed = { .time = time, .node = 42 }, .flags = flags };

	return commit(&c, path, flags & (RECORD_DELETED | RECORD_DIRECTORY) ? NULL : "x");
}

/* What a node of a larger group makes itself. */
static struct commit own(const char *path, uint8_t flags, const char *body)
{
	struct commit c = { .flags = flags };

	CHECK(commit(&c, path, body) == ERR_NONE && c.newest);
	return c;
}

static bool is_in_tree(const char *path, mode_t kind)
{
	struct stat st;

	return lstat(in_store("tree/", path), &st) == 0 ? (st.st_mode & S_IFMT) == kind : kind == 0;
}

static struct version gate(const char *directory)
{
	struct version v = { .time = 1 };

	CHECK(store_gate(store, str_of(directory), &v, &why) == 0);
	return v;
}

/* The names that are listed; a directory's with a slash, and a ! where nothing stands. */
static int lists(const char *path, bool deleted, const char *expected)
{
	struct listing l = LISTING_INIT;
	struct buf text = BUF_INIT;
	int same;

	CHECK(store_list(store, str_of(path), (struct str)STR_INIT, 0, deleted, &l, &why) == 0);
	for (size_t i = 0; i < l.count; i++) {
		const struct list_entry *e = &l.entries[i];

		buf_addf(&text, "%s%s%s ", e->name, e->directory ? "/" : "",
			 record_name_kind(&e->record, &e->entry) == NAME_ABSENT ? "!" : "");
	}
	same = str_eq(buf_str(&text), str_of(expected));
	if (!same)
		fprintf(stderr, "%s has %.*s\n", path, (int)text.len, text.len > 0 ? text.data : "");
	buf_clear(&text);
	listing_clear(&l);
	return same;
}

/* A file, and a directory of any kind, in every order of their versions. */
static void registers(void)
{
	struct store_entry entry;

	CHECK(merge("r", THEN + 2, 0) == ERR_NONE && stands("r", NAME_FILE));
	CHECK(merge("r", THEN + 1, RECORD_DIRECTORY) == ERR_NONE && stands("r", NAME_DIRECTORY));
	entry = get("r");
	CHECK(entry.record.version.time == THEN + 2 && entry.content && entry.fd >= 0);
	CHECK(entry.entry.version.time == THEN + 1 && entry.entry.flags == RECORD_DIRECTORY);
	store_entry_clear(&entry);
	/* A newer version is told, too, and does not show. */
	CHECK(merge("r", THEN + 5, 0) == ERR_NONE && stands("r", NAME_DIRECTORY));
	CHECK(get("r").record.version.time == THEN + 5 && is_in_tree("r", S_IFDIR));
	CHECK(merge("r", THEN + 6, RECORD_DELETED) == ERR_NONE && stands("r", NAME_DIRECTORY));
	CHECK(get("r").record.flags == RECORD_DELETED && get("r").entry.version.time == THEN + 1);
	CHECK(merge("r", THEN + 7, 0) == ERR_NONE);
	CHECK(merge("r", THEN + 4, RECORD_DELETED | RECORD_DIRECTORY) == ERR_NONE);
	CHECK(stands("r", NAME_FILE) && is_in_tree("r", S_IFREG) && holds("r", "x"));
	CHECK(merge("r", THEN + 9, RECORD_DELETED | RECORD_DIRECTORY) == ERR_NONE);
	CHECK(stands("r", NAME_ABSENT) && is_in_tree("r", 0));
	CHECK(get("r").record.version.time == THEN + 7 && get("r").entry.version.time == THEN + 9);
	CHECK(merge("r", THEN + 8, 0) == ERR_NONE && stands("r", NAME_ABSENT));
	CHECK(get("r").record.version.time == THEN + 8 && is_in_tree("r", 0));
	CHECK(merge("r", THEN + 3, RECORD_DIRECTORY) == ERR_NONE && stands("r", NAME_ABSENT));
	CHECK(merge("r", THEN + 10, 0) == ERR_NONE && is_in_tree("r", S_IFREG));
	CHECK(versions("r") == 10);
	CHECK(lists("", true, "r "));
}

/* A node of a group makes what it is told to; nothing here refuses it. */
static void in_a_group(void)
{
	struct commit c;

	own("g/a/f", 0, "f");
	CHECK(stands("g/a/f", NAME_FILE) && stands("g/a", NAME_ABSENT) &&
	      stands("g", NAME_ABSENT));
	CHECK(is_in_tree("g/a", S_IFDIR) && lists("g", true, "") && lists("g/a", false, "f "));
	c = own("g/a", RECORD_DIRECTORY, NULL);
	CHECK(stands("g/a", NAME_DIRECTORY) && lists("g", false, "a/ "));
	/* It is there, and is taken as it is, unless others know of something above it. */
	CHECK(version_cmp(own("g/a", RECORD_DIRECTORY, NULL).record.version, c.record.version) == 0);
	c.above = c.record.version;
	CHECK(commit(&c, "g/a", NULL) == ERR_NONE && versions("g/a") == 2);
	/* The end is not this node's to judge; the file stands nevertheless. */
	own("g/a", RECORD_DELETED | RECORD_DIRECTORY, NULL);
	CHECK(stands("g/a", NAME_ABSENT) && holds("g/a/f", "f") && lists("g", true, "a! "));
	/* A file where a directory holds another one waits for that to go. */
	own("g/a", 0, "a");
	CHECK(stands("g/a", NAME_FILE) && holds("g/a", "a") && is_in_tree("g/a", S_IFDIR));
	CHECK(lists("g", false, "a "));
	own("g/a", 0, "aa");
	own("g/a", RECORD_DELETED, NULL);
	CHECK(stands("g/a", NAME_ABSENT) && holds("g/a", NULL) && holds("g/a/f", "f"));
	own("g/a", 0, "aaa");
	own("g/a/f", RECORD_DELETED, NULL);
	CHECK(is_in_tree("g/a", S_IFREG) && holds("g/a", "aaa"));
	/* The other way round it makes way, and comes back. */
	own("g/a/f", 0, "f");
	CHECK(is_in_tree("g/a", S_IFDIR) && holds("g/a", "aaa") && holds("g/a/f", "f"));
	own("g/a/f", RECORD_DELETED, NULL);
	CHECK(is_in_tree("g/a", S_IFREG) && holds("g/a", "aaa"));
}

/* In a group of one all that is refused leaves nothing behind. */
static void refusals(void)
{
	CHECK(put("o/d/f", "f") == ERR_NONE && put("o/file", "file") == ERR_NONE);
	CHECK(put("o/d", "x") == ERR_CONFLICT && with_flags("o/d", RECORD_DELETED) == ERR_CONFLICT);
	CHECK(put("o/file/x", "x") == ERR_CONFLICT);
	CHECK(with_flags("o/file", RECORD_DIRECTORY) == ERR_CONFLICT);
	CHECK(with_flags("o/file", RECORD_DELETED | RECORD_DIRECTORY) == ERR_CONFLICT);
	CHECK(with_flags("o/d", RECORD_DELETED | RECORD_DIRECTORY) == ERR_EXISTS);
	CHECK(with_flags("o", RECORD_DELETED | RECORD_DIRECTORY) == ERR_EXISTS);
	CHECK(versions("o/d") == 1 && versions("o/file") == 1 && versions("o/file/x") == 0);
	CHECK(with_flags("o/d/f", RECORD_DELETED) == ERR_NONE);
	CHECK(with_flags("o/d", RECORD_DELETED | RECORD_DIRECTORY) == ERR_NONE);
	CHECK(is_in_tree("o/d", 0) && holds("o/d", NULL) && versions("o/d") == 2);
	CHECK(lists("o", false, "file ") && lists("o", true, "d! file "));
}

/* Directories and files without records, and what was deleted, are nobody's children. */
static void leftovers(void)
{
	CHECK(put("l/d/f", "f") == ERR_NONE && with_flags("l/d/f", RECORD_DELETED) == ERR_NONE);
	CHECK(mkdir(in_store("tree/", "l/d/hand"), 0700) == 0);
	CHECK(close(open(in_store("tree/", "l/d/hand/foreign"), O_WRONLY | O_CREAT, 0600)) == 0);
	CHECK(stands("l/d/hand", NAME_ABSENT) && lists("l/d", false, "") && lists("l/d", true, "f! "));
	CHECK(with_flags("l/d", RECORD_DELETED | RECORD_DIRECTORY) == ERR_NONE);
	CHECK(stands("l/d", NAME_ABSENT) && lists("l", false, "") && is_in_tree("l/d", S_IFDIR));
	/* It is in the way of a file, which is there nevertheless, and comes when it has gone. */
	CHECK(put("l/d", "file") == ERR_NONE && stands("l/d", NAME_FILE) && holds("l/d", "file"));
	CHECK(lists("l", false, "d ") && is_in_tree("l/d", S_IFDIR));
	CHECK(unlink(in_store("tree/", "l/d/hand/foreign")) == 0);
	CHECK(put("l/d", "file 2") == ERR_NONE && holds("l/d", "file 2"));
	CHECK(is_in_tree("l/d", S_IFREG) && versions("l/d") == 4);
	/* Also of one in which a file's deletion was cut short, or an entry was made anew. */
	CHECK(with_flags("l/d", RECORD_DELETED) == ERR_NONE && put("l/d/e/f", "f") == ERR_NONE);
	CHECK(stands("l/d/e", NAME_DIRECTORY) && lists("l/d", false, "e/ "));
	CHECK(with_flags("l/d", RECORD_DELETED | RECORD_DIRECTORY) == ERR_EXISTS);
	/* A file is made in a directory that was removed, and stayed in tree/. */
	CHECK(put("l/q/f", "1") == ERR_NONE && with_flags("l/q/f", RECORD_DELETED) == ERR_NONE);
	CHECK(mkdir(in_store("tree/", "l/q/hand"), 0700) == 0);
	CHECK(close(open(in_store("tree/", "l/q/hand/foreign"), O_WRONLY | O_CREAT, 0600)) == 0);
	CHECK(with_flags("l/q", RECORD_DELETED | RECORD_DIRECTORY) == ERR_NONE);
	CHECK(is_in_tree("l/q", S_IFDIR) && put("l/q/f", "2") == ERR_NONE);
	CHECK(stands("l/q", NAME_DIRECTORY) && lists("l", false, "d/ q/ "));
}

static int find(void *data, const struct survey_path *path)
{
	buf_addf(data, "%.*s:%zu ", STR_ARG(path->path), path->count);
	return 0;
}

/* An entry's live record that was ended is none of the file's, even while its directory stays. */
static void ended(void)
{
	struct survey_directory directory = { .partition = 0 };
	struct buf text = BUF_INIT;
	char name[] = "e";

	directory.path = name;
	CHECK(merge("e/d", THEN, RECORD_DIRECTORY) == ERR_NONE && merge("e/d/f", THEN, 0) == ERR_NONE);
	CHECK(merge("e/d", THEN + 1, RECORD_DELETED | RECORD_DIRECTORY) == ERR_NONE);
	CHECK(is_in_tree("e/d", S_IFDIR) && stands("e/d", NAME_ABSENT) && versions("e/d") == 2);
	CHECK(survey(store, &directory, 1, 9, find, &text, &why) == 0);
	CHECK(strcmp(text.data, "e/d:1 ") == 0);
	buf_clear(&text);
}

/* Two at once in a group of one: what happens between a step of the one and the next. */

static void (*meanwhile)(void), (*before_lock)(void);

static void interrupt(void (**what)(void))
{
	void (*now)(void) = *what;

	*what = NULL;
	if (now != NULL)
		now();
}

/* Over the C library's: before the end of an entry is marked. */
int symlinkat(const char *text, int dir, const char *name)
{
	interrupt(&meanwhile);
	return (int)syscall(SYS_symlinkat, text, dir, name);
}

/* The same: before a path's lock is waited for. */
int fcntl(int fd, int command, ...)
{
	va_list arguments;
	void *argument;

	va_start(arguments, command);
	argument = va_arg(arguments, void *);
	va_end(arguments);
	if (command == F_OFD_SETLKW)
		interrupt(&before_lock);
	return (int)syscall(SYS_fcntl, fd, command, argument);
}

static int interrupted(const struct commit *c, const struct store_entry *now, struct err *err)
{
	(void)c, (void)now, (void)err;
	interrupt(&meanwhile);
	return 0;
}

static void remove_it(void)
{
	CHECK(with_flags("a/d", RECORD_DELETED | RECORD_DIRECTORY) == ERR_NONE);
	CHECK(stands("a/d", NAME_ABSENT) && is_in_tree("a/d", S_IFDIR));
}

static void write_into_it(void)
{
	CHECK(put("a/d/g", "g") == ERR_NONE);
}

static void at_once(void)
{
	struct commit c = { .ungrouped = true, .condition = interrupted };

	/* It stays in tree/, so that nothing there tells the one of the other. */
	CHECK(with_flags("a/d", RECORD_DIRECTORY) == ERR_NONE);
	CHECK(close(open(in_store("tree/", "a/d/foreign"), O_WRONLY | O_CREAT, 0600)) == 0);
	meanwhile = remove_it;
	CHECK(commit(&c, "a/d/f", "f") == ERR_NONE && meanwhile == NULL);
	CHECK(holds("a/d/f", "f") && stands("a/d", NAME_DIRECTORY));
	CHECK(with_flags("a/d/f", RECORD_DELETED) == ERR_NONE);
	meanwhile = write_into_it;
	CHECK(with_flags("a/d", RECORD_DELETED | RECORD_DIRECTORY) == ERR_EXISTS);
	CHECK(meanwhile == NULL && holds("a/d/g", "g") && stands("a/d", NAME_DIRECTORY));
}

static void make_entry(void)
{
	own("new/d/x", RECORD_DIRECTORY, NULL);
}

static void write_ahead_of_the_clock(void)
{
	struct commit c = { .clock = LATER };

	CHECK(commit(&c, "new/d/f", "f") == ERR_NONE && c.record.version.time == LATER);
}

static void make_full_directory(void)
{
	CHECK(put("o/d/e/f", "f") == ERR_NONE);
}

/* A commit finds what came after it began, in directories that came with it. */
static void before_the_lock(void)
{
	before_lock = make_entry;
	own("new/d/x", RECORD_DELETED | RECORD_DIRECTORY, NULL);
	CHECK(before_lock == NULL && versions("new/d/x") == 2 && stands("new/d/x", NAME_ABSENT));
	before_lock = write_ahead_of_the_clock;
	CHECK(own("new/d/f", RECORD_DELETED, NULL).record.version.time == LATER + 1);
	CHECK(before_lock == NULL && versions("new/d/f") == 2 && stands("new/d/f", NAME_ABSENT));
	before_lock = make_full_directory;
	CHECK(with_flags("o/d/e", RECORD_DELETED | RECORD_DIRECTORY) == ERR_EXISTS);
	CHECK(before_lock == NULL && stands("o/d/e", NAME_DIRECTORY) && versions("o/d/e") == 1);
}

/* It only grows, is above all that is known of the name, and what comes is above it. */
static void gates(void)
{
	struct commit c = { .flags = RECORD_DELETED };
	struct survey_directory directory = { .path = in_store("", "") };
	struct store_entry entry;
	struct buf text = BUF_INIT;
	struct version v;
	char name[] = "c/d";

	CHECK(version_is_none(gate("c/d")) && version_is_none(gate("")));
	own("c/d/f", 0, "f");
	own("c/d", RECORD_DIRECTORY, NULL);
	CHECK(merge("c/d", LATER, RECORD_DIRECTORY) == ERR_NONE);
	CHECK(commit(&c, "c/d/", NULL) == ERR_NONE && c.newest);
	v = c.record.version;
	CHECK(c.record.flags == RECORD_DELETED && v.time == LATER + 1 && v.node == store_node(store));
	CHECK(version_cmp(gate("c/d"), v) == 0 && version_is_none(c.before.version));
	/* It hides nothing. */
	CHECK(stands("c/d", NAME_DIRECTORY) && holds("c/d/f", "f") && lists("c/d", true, "f "));
	CHECK(lists("c", true, "d/ ") && versions("c/d") == 2);
	/* Of its own path it is the newest. */
	entry = get("c/d/");
	CHECK(record_eq(&entry.record, &c.record) && version_is_none(entry.entry.version));
	CHECK(store_version(store, STR("c/d/"), v, STORE_RECORD, &entry, &why) == 0);
	v.n = 1;
	CHECK(store_version(store, STR("c/d/"), v, STORE_RECORD, &entry, &why) < 0 &&
	      why.kind == ERR_ABSENT);
	v.n = 0;
	CHECK(merge("c/d/", THEN, RECORD_DELETED) == ERR_NONE && version_cmp(gate("c/d"), v) == 0);
	CHECK(store_merge(store, STR("c/d/"), &c.record, (struct str)STR_INIT, 1, &why) == 0);
	CHECK(version_cmp(gate("c/d"), v) == 0);
	CHECK(merge("c/d/", LATER + 5, RECORD_DELETED) == ERR_NONE && gate("c/d").time == LATER + 5);
	/* An entry and a file's version that this node makes now are above. */
	CHECK(own("c/d", RECORD_DELETED | RECORD_DIRECTORY, NULL).record.version.time == LATER + 6);
	CHECK(own("c/d/", RECORD_DELETED, NULL).record.version.time == LATER + 7);
	CHECK(own("c/d", RECORD_DIRECTORY, NULL).record.version.time == LATER + 8);
	CHECK(own("c/d", 0, "file").record.version.time == LATER + 9);
	/* It is told with what is in the directory, also where nothing ever was. */
	directory.path = name;
	directory.partition = path_partition_of_directory(STR("c/d"));
	CHECK(path_partition(STR("c/d/")) == directory.partition);
	CHECK(survey(store, &directory, 1, 9, find, &text, &why) == 0);
	CHECK(strcmp(text.data, "c/d/:1 c/d/f:1 ") == 0);
	buf_reset(&text);
	CHECK(survey_behind(store, &directory, STR("c/d/"), 9, find, &text, &why) == 0);
	CHECK(strcmp(text.data, "c/d/f:1 ") == 0);
	buf_clear(&text);
	/* What is no version and nothing else is refused, and so are other paths. */
	CHECK(merge("c/d/", LATER + 50, RECORD_DELETED | RECORD_BLIND) == ERR_INVALID);
	CHECK(merge("c/d/", LATER + 50, RECORD_DELETED | RECORD_DIRECTORY) == ERR_INVALID);
	CHECK(put("c/d/", "x") == ERR_INVALID && merge("c/d//", LATER, RECORD_DELETED) == ERR_INVALID);
	CHECK(merge("/", LATER, RECORD_DELETED) == ERR_INVALID && gate("c/d").time == LATER + 7);
	CHECK(store_newest(store, STR("c//"), STORE_RECORD, &entry, &why) < 0);
}

static bool is_listed(const char *path)
{
	struct survey_directories all = SURVEY_DIRECTORIES_INIT;
	bool listed = false;

	CHECK(survey_directories(store, &all, &why) == 0);
	for (size_t i = 0; i < all.count; i++)
		listed |= strcmp(all.items[i].path, path) == 0;
	survey_directories_clear(&all);
	return listed;
}

/* What is on disk is there after a start, and where it is looked for. */
static void reopened(void)
{
	struct store_options options = { .path = root };
	struct version v = gate("c/d");

	CHECK(merge("never", THEN, RECORD_DELETED) == ERR_NONE && !is_listed("never"));
	CHECK(merge("never/", THEN, RECORD_DELETED) == ERR_NONE && is_listed("never"));
	CHECK(merge("w/x", THEN + 1, 0) == ERR_NONE && merge("w", THEN + 2, 0) == ERR_NONE);
	store_close(store);
	CHECK(store_open(&store, &options, &why) == 0);
	CHECK(version_cmp(gate("c/d"), v) == 0 && gate("never").time == THEN && is_listed("never"));
	CHECK(stands("w", NAME_FILE) && holds("w", "x") && stands("r", NAME_FILE));
}

static void link_mark(const char *path, const char *mark, struct version v)
{
	char name[300], text[VERSION_TEXT];

	snprintf(name, sizeof name, "%s/%s", path, mark);
	unlink(in_store("history/", name));
	CHECK(symlink(version_format(text, v), in_store("history/", name)) == 0);
}

/* An older store's mark of a tombstone may be of the entry's end, and then nothing names the file's. */
static void older_stores(void)
{
	struct version end = { .time = THEN + 9, .node = 42 };
	uint64_t bytes;

	CHECK(merge("old", THEN + 1, 0) == ERR_NONE && merge("old", THEN + 2, RECORD_DELETED) == ERR_NONE);
	CHECK(merge("old", end.time, RECORD_DELETED | RECORD_DIRECTORY) == ERR_NONE);
	link_mark("old", ",", end);
	CHECK(stands("old", NAME_ABSENT) && get("old").entry.version.time == THEN + 9);
	CHECK(get("old").record.version.time == THEN + 2 && versions("old") == 3);
	CHECK(merge("old", THEN + 1, 0) == ERR_NONE && versions("old") == 3);
	CHECK(prune("old", 1, &bytes) == 1 && get("old").record.version.time == THEN + 2);
	CHECK(merge("old", THEN + 11, RECORD_DIRECTORY) == ERR_NONE);
	CHECK(prune("old", 1, &bytes) == 1 && stands("old", NAME_DIRECTORY));
	CHECK(get("old").record.version.time == THEN + 2 && versions("old") == 2);
	CHECK(merge("old", THEN + 12, RECORD_DELETED | RECORD_DIRECTORY) == ERR_NONE);
	CHECK(merge("old", THEN + 13, 0) == ERR_NONE && is_in_tree("old", S_IFREG));
	/* A file that a directory hid had no mark: it comes when that goes. */
	CHECK(put("hid", "hidden") == ERR_NONE && merge("hid/x", THEN, 0) == ERR_NONE);
	CHECK(unlink(in_store("history/", "hid/,")) == 0);
	CHECK(merge("hid/x", THEN + 1, RECORD_DELETED) == ERR_NONE);
	CHECK(is_in_tree("hid", S_IFREG) && holds("hid", "hidden"));
}

int main(void)
{
	if (!open_store())
		return UNIT_RESULT();
	registers();
	in_a_group();
	refusals();
	leftovers();
	ended();
	at_once();
	before_the_lock();
	gates();
	reopened();
	older_stores();
	close_store();
	return UNIT_RESULT();
}
