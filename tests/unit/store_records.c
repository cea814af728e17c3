/* store_records - records and gates that one thread has looked up: told again as long as they are true */
#include "store_unit.h"

#include <fcntl.h>
#include <sys/stat.h>

#define TICKS_US 150000		/* an inode that was changed so long ago is remembered */
#define LATER "20991231T235959.000000000Z-00000000000000aa-0"

static struct store_records *records;

static struct store_entry look(const char *path)
{
	struct store_entry entry = STORE_ENTRY_INIT;

	CHECK(store_records_newest(records, str_of(path), &entry, &why) == 0);
	return entry;
}

/* What is told is what the store says. */
static bool is_true(const char *path)
{
	struct store_entry told = look(path), real = STORE_ENTRY_INIT;
	bool same;

	CHECK(store_newest(store, str_of(path), STORE_RECORD, &real, &why) == 0);
	same = record_eq(&told.record, &real.record) && told.content == real.content &&
	       told.foreign == real.foreign && told.directory == real.directory &&
	       record_eq(&told.entry, &real.entry) && strcmp(told.type, real.type) == 0;
	store_entry_clear(&told);
	store_entry_clear(&real);
	return same;
}

static void remember(const char *path)
{
	usleep(TICKS_US);
	CHECK(is_true(path));
}

/*
 * Nothing but tree/ is looked at: a mark that no commit has made, which says
 * that the file was deleted, does not show.
 */
static bool comes_from_memory(const char *path)
{
	char *mark = NULL;
	struct store_entry entry;
	bool live;

	mkdir(in_store("history/", path), 0750);
	CHECK(asprintf(&mark, "history/%s/,", path) > 0);
	CHECK(symlink(LATER, in_store(mark, "")) == 0);
	entry = look(path);
	live = record_is_live(&entry.record);
	store_entry_clear(&entry);
	CHECK(unlink(in_store(mark, "")) == 0);
	free(mark);
	return live;
}

/* The same process writes, or another one; there is content, or a pointer, or nothing. */
static void commits(void)
{
	struct store_options options = { .path = root };
	struct store *mine = store, *other = NULL;
	struct store_entry entry;
	uint64_t bytes;

	CHECK(put("a", "one") == ERR_NONE);
	remember("a");
	CHECK(comes_from_memory("a"));
	CHECK(put("a", "two") == ERR_NONE);
	CHECK(!comes_from_memory("a") && is_true("a"));
	remember("a");
	CHECK(store_open(&other, &options, &why) == 0);
	store = other;
	CHECK(put("a", "three") == ERR_NONE && is_true("a"));
	remember("a");
	entry = look("a");
	CHECK(entry.content);
	CHECK(store_evict(store, STR("a"), entry.record.version, &bytes, &why) == 0);
	store_entry_clear(&entry);
	entry = look("a");
	CHECK(!entry.content && record_is_live(&entry.record) && is_true("a"));
	store_entry_clear(&entry);
	remember("a");
	CHECK(comes_from_memory("a"));	/* a pointer */
	CHECK(with_flags("a", RECORD_DELETED) == ERR_NONE && is_true("a"));
	CHECK(put("a/b", "below") == ERR_NONE && is_true("a") && is_true("a/b"));
	store_close(other);
	store = mine;
}

/* Whatever a person does to the file shows at once. */
static void person(void)
{
	struct stat st;
	struct timespec times[2];
	FILE *file;

	CHECK(put("p", "ours") == ERR_NONE);
	remember("p");
	CHECK(comes_from_memory("p"));
	CHECK(stat(in_store("tree/", "p"), &st) == 0);
	times[0] = times[1] = st.st_mtim;
	/* As long as it was, and of the same date. */
	file = fopen(in_store("tree/", "p.new"), "w");
	CHECK(file != NULL && fputs("hers", file) > 0 && fclose(file) == 0);
	CHECK(utimensat(AT_FDCWD, in_store("tree/", "p.new"), times, 0) == 0);
	{
		char *from = strdup(in_store("tree/", "p.new"));

		CHECK(rename(from, in_store("tree/", "p")) == 0);
		free(from);
	}
	CHECK(look("p").foreign && is_true("p"));
	CHECK(put("p", "ours again") == ERR_NONE);
	remember("p");
	file = fopen(in_store("tree/", "p"), "a");
	CHECK(file != NULL && fputs("!", file) > 0 && fclose(file) == 0);
	CHECK(look("p").foreign && is_true("p"));
	CHECK(put("p", "and again") == ERR_NONE);
	remember("p");
	CHECK(unlink(in_store("tree/", "p")) == 0 && is_true("p"));
}

/* What was changed a moment ago may be changed within the same tick: it is looked up again. */
static void moment(void)
{
	CHECK(put("moment", "now") == ERR_NONE && is_true("moment"));
	CHECK(!comes_from_memory("moment"));
}

static void coming(void)
{
	struct commit c = { .ungrouped = true, .path = STR("coming"), .stage = NULL };

	CHECK(put("coming", "old") == ERR_NONE);
	remember("coming");
	c.stage = stage("new");
	CHECK(commit_submit(store, &c, &why) == 0 && is_true("coming"));
	CHECK(commit_wait(store, &c, &why) == 0 && is_true("coming"));
	stage_free(c.stage);
}

static bool gate_is_true(const char *directory)
{
	struct version told, real;

	CHECK(store_records_gate(records, str_of(directory), &told, &why) == 0);
	CHECK(store_gate(store, str_of(directory), &real, &why) == 0);
	return version_cmp(told, real) == 0;
}

static void gates(void)
{
	struct commit c = { .flags = RECORD_DELETED };

	CHECK(put("d/f", "there") == ERR_NONE && gate_is_true("d") && gate_is_true("d"));
	CHECK(commit(&c, "d/", NULL) == ERR_NONE && gate_is_true("d") && gate_is_true("d"));
	c.above = c.record.version;
	c.record.version = VERSION_NONE;
	CHECK(commit(&c, "d/", NULL) == ERR_NONE && gate_is_true("d") && gate_is_true(""));
}

/* Explicit types, and directories, are not told by a record alone. */
static void others(void)
{
	struct commit c = { .ungrouped = true, .type = STR("text/x-other") };

	CHECK(commit(&c, "typed", "t") == ERR_NONE);
	remember("typed");
	CHECK(is_true("typed") && is_true("d") && is_true("nothing"));
}

int main(void)
{
	if (!open_store())
		return 1;
	records = store_records_new(store);
	commits();
	person();
	moment();
	coming();
	gates();
	others();
	store_records_free(records);
	close_store();
	return UNIT_RESULT();
}
