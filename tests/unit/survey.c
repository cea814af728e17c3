/*
 * survey - what is told by partition, and that the counters say when it changed
 *
 * Writers in other processes are killed in the midst of it; a digest made
 * meanwhile must still be right as long as its counter stands still.
 */
#include "survey.h"

#include "chance.h"
#include "mem.h"
#include "store_unit.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#define WRITERS 3

/* A digest of sorts: the records of one partition, in the order they are told. */
static int add_path(void *data, const struct survey_path *path)
{
	uint64_t *sum = data;

	for (size_t i = 0; i < path->count; i++) {
		uint8_t bytes[RECORD_BYTES_MAX];
		size_t n = record_pack(bytes, &path->entries[i].record);
		*sum = path_hash(path->path) ^ *sum * 31;
		*sum = path_hash((struct str){ (const char *)bytes, n }) ^ *sum * 31;
	}
	return 0;
}

static uint64_t sum_of(const struct survey_directories *all, unsigned partition)
{
	const struct survey_directory *slice;
	uint64_t sum = 0;
	size_t count;

	slice = survey_slice(all, partition, &count);
	CHECK(survey(store, slice, count, 100, add_path, &sum, &why) == 0);
	return sum;
}

struct digest_kept {
	uint64_t stamp, sum;
	bool valid;		/* as long as the counter is at the stamp */
};
static struct digest_kept kept[PARTITIONS];
static struct survey_directories list = SURVEY_DIRECTORIES_INIT;

static void renew_list(void)
{
	if (list.count > 0 && list.changes == store_directory_changes(store))
		return;
	survey_directories_clear(&list);
	CHECK(survey_directories(store, &list, &why) == 0);
}

/* Of some partitions that have directories. */
static void make_digests(void)
{
	renew_list();
	CHECK(store_finish_dead(store, &why) == 0);
	for (size_t i = 0; i < list.count && i < 20; i++) {
		unsigned p = list.items[below((unsigned)list.count)].partition;

		kept[p].stamp = store_changes(store, p);
		renew_list();
		kept[p].sum = sum_of(&list, p);
		kept[p].valid = true;
	}
}

/* Nobody writes any more: what is said to be valid is. */
static unsigned check_digests(void)
{
	struct survey_directories all = SURVEY_DIRECTORIES_INIT;
	unsigned valid = 0;

	CHECK(store_finish_dead(store, &why) == 0);
	CHECK(survey_directories(store, &all, &why) == 0);
	if (list.changes == store_directory_changes(store))
		CHECK(list.count == all.count);
	for (unsigned p = 0; p < PARTITIONS; p++)
		if (kept[p].valid && kept[p].stamp == store_changes(store, p)) {
			valid++;
			CHECK(kept[p].sum == sum_of(&all, p));
		}
	survey_directories_clear(&all);
	return valid;
}

static void write_something(void)
{
	static const uint8_t kinds[] = { 0, 0, 0, RECORD_DELETED, RECORD_DIRECTORY,
					 RECORD_DELETED | RECORD_DIRECTORY };
	struct commit c = { .ungrouped = below(2) == 0 };
	char path[40];

	c.flags = kinds[below(sizeof kinds)];
	snprintf(path, sizeof path, below(8) == 0 ? "d%u" : "d%u/f%u", below(12),
		 below(2) == 0 ? below(6) : below(1000000));
	if (c.flags == RECORD_DELETED && below(4) == 0)
		snprintf(path, sizeof path, "d%u/", below(14));
	c.path = str_of(path);
	if (c.flags == 0 && stage_begin(store, &c.stage, NULL) == 0)
		stage_end(c.stage, NULL);
	if (c.flags != 0 || c.stage != NULL)
		store_commit(store, &c, NULL);
	stage_free(c.stage);
}

static pid_t start_writer(unsigned number)
{
	pid_t child = fork();

	if (child != 0)
		return child;
	chance = chance * 1000 + number + 1;
	for (;;)
		write_something();
}

static void killed(unsigned rounds)
{
	unsigned valid = 0;

	for (unsigned round = 0; round < rounds; round++) {
		pid_t children[WRITERS];

		for (unsigned i = 0; i < WRITERS; i++)
			children[i] = start_writer(i);
		for (unsigned i = 0; i < 3; i++) {
			usleep(1000 + below(10000));
			make_digests();
		}
		for (unsigned i = 0; i < WRITERS; i++) {
			CHECK(kill(children[i], SIGKILL) == 0);
			CHECK(waitpid(children[i], NULL, 0) == children[i]);
		}
		valid += check_digests();
		make_digests();
		CHECK(check_digests() > 0);
	}
	fprintf(stderr, "%u digests stayed right\n", valid);
}

/* Each kind of change raises the counter of its partition, and of no other. */

static bool raises(enum err_kind got, uint64_t before, const char *directory)
{
	return got == ERR_NONE &&
	       store_changes(store, path_partition_of_directory(str_of(directory))) > before;
}

static uint64_t changes(const char *directory)
{
	return store_changes(store, path_partition_of_directory(str_of(directory)));
}

static enum err_kind pruned(const char *path)
{
	uint64_t bytes;

	return prune(path, 1, &bytes) > 0 ? ERR_NONE : ERR_ABSENT;
}

static void counting(void)
{
	uint64_t root_changes, before = store_directory_changes(store);

	CHECK(raises(with_flags("c", RECORD_DIRECTORY), changes(""), ""));
	CHECK(store_directory_changes(store) > before);
	root_changes = changes("c2");
	CHECK(raises(with_flags("c2", RECORD_DIRECTORY), changes(""), ""));
	CHECK(changes("c2") == root_changes);	/* what is in it has not changed */
	before = store_directory_changes(store);
	CHECK(raises(with_flags("c2/", RECORD_DELETED), changes("c2"), "c2"));
	CHECK(raises(with_flags("c3/", RECORD_DELETED), changes("c3"), "c3"));
	CHECK(store_directory_changes(store) > before);
	root_changes = changes("");
	CHECK(raises(put("c/x", "1"), changes("c"), "c"));
	before = store_directory_changes(store);
	CHECK(raises(put("c/x", "2"), changes("c"), "c"));
	CHECK(raises(put("c/x", "3"), changes("c"), "c"));
	CHECK(raises(with_flags("c/x", RECORD_DELETED), changes("c"), "c"));
	CHECK(raises(pruned("c/x"), changes("c"), "c"));
	CHECK(changes("") == root_changes);
	CHECK(raises(with_flags("c", RECORD_DELETED | RECORD_DIRECTORY), changes(""), ""));
	CHECK(raises(put("c/y", "1"), changes(""), ""));	/* makes the directory */
	root_changes = changes("");
	CHECK(get("c/y").content && put("", "x") != ERR_NONE && changes("") == root_changes);
}

static void put_bytes(const char *name, off_t offset, const char *bytes)
{
	int fd = open(in_store("run/", name), O_WRONLY);

	CHECK(fd >= 0 && pwrite(fd, bytes, strlen(bytes), offset) == (ssize_t)strlen(bytes));
	close(fd);
}

static void reopen(void)
{
	struct store_options options = { .path = root };

	store_close(store);
	CHECK(store_open(&store, &options, &why) == 0);
}

/* The table of counters is shared by who comes later, but not with another boot, nor when damaged. */
static void tables(void)
{
	struct store_options options = { .path = root };
	struct store *other = NULL;
	uint64_t before;

	CHECK(put("table", "1") == ERR_NONE && changes("") > 0);
	before = changes("");
	reopen();
	CHECK(changes("") == before);
	CHECK(store_open(&other, &options, &why) == 0);
	CHECK(put("table", "2") == ERR_NONE);
	CHECK(store_changes(other, path_partition(STR("table"))) == changes("") &&
	      changes("") > before);
	store_close(other);
	put_bytes("counters", 16, "another boot");
	reopen();
	CHECK(changes("") == 0 && holds("table", "2"));
	CHECK(put("table", "3") == ERR_NONE && changes("") > 0);
	CHECK(truncate(in_store("run/", "counters"), 1000) == 0);
	reopen();
	CHECK(changes("") == 0 && holds("table", "3"));
	CHECK(unlink(in_store("run/", "counters")) == 0);
	reopen();
	CHECK(changes("") == 0 && holds("table", "3"));
}

static int find(void *data, const struct survey_path *path)
{
	struct buf *text = data;

	buf_addf(text, "%.*s:%zu%s ", STR_ARG(path->path), path->count,
		 path->entries[0].content ? "+" : "");
	return 0;
}

/* What is told: deleted ones too, no more than keep, none of a person's. */
static void told(void)
{
	struct survey_directory directory = { .partition = path_partition_of_directory(STR("t")) };
	struct buf text = BUF_INIT;
	struct version evicted;
	uint64_t bytes = 0;
	FILE *file;

	directory.path = mem_copy("t", 1);
	CHECK(put("t/a", "1") == ERR_NONE && put("t/a", "2") == ERR_NONE);
	CHECK(put("t/a", "3") == ERR_NONE && put("t/b", "1") == ERR_NONE);
	CHECK(with_flags("t/b", RECORD_DELETED) == ERR_NONE && put("t/c", "1") == ERR_NONE);
	CHECK(with_flags("t/d", RECORD_DIRECTORY) == ERR_NONE);
	CHECK(with_flags("t/d", RECORD_DIRECTORY | RECORD_DELETED) == ERR_NONE);
	CHECK(with_flags("t/", RECORD_DELETED) == ERR_NONE);
	file = fopen(in_store("tree/", "t/foreign"), "w");
	CHECK(file != NULL && fclose(file) == 0);
	CHECK(survey(store, &directory, 1, 2, find, &text, &why) == 0);
	CHECK(strcmp(text.data, "t/:1 t/a:2+ t/b:2 t/c:1+ t/d:1 ") == 0);
	evicted = get("t/c").record.version;
	CHECK(store_evict(store, STR("t/c"), evicted, &bytes, &why) == 0 && bytes == 1);
	CHECK(store_evict(store, STR("t/c"), evicted, &bytes, &why) == 0 && bytes == 0);
	CHECK(!get("t/c").content && version_cmp(get("t/c").record.version, evicted) == 0);
	buf_reset(&text);
	CHECK(survey(store, &directory, 1, 1, find, &text, &why) == 0);
	CHECK(strcmp(text.data, "t/:1 t/a:1+ t/b:1 t/c:1 t/d:1 ") == 0);
	buf_reset(&text);
	CHECK(survey_behind(store, &directory, STR("t/b"), 1, find, &text, &why) == 0);
	CHECK(strcmp(text.data, "t/c:1 t/d:1 ") == 0);
	buf_reset(&text);
	CHECK(survey_behind(store, &directory, STR(""), 1, find, &text, &why) == 0);
	CHECK(strcmp(text.data, "t/:1 t/a:1+ t/b:1 t/c:1 t/d:1 ") == 0);
	buf_clear(&text);
	free(directory.path);
}

/* What is on its way to the disk is waited for. */
static void on_its_way(void)
{
	struct survey_directory directory = { .partition = path_partition_of_directory(STR("w")) };
	struct commit coming = { .path = STR("w/a") };
	struct buf text = BUF_INIT;
	int ends[2], status = 1;
	char byte;
	pid_t child;

	directory.path = mem_copy("w", 1);
	CHECK(put("w/a", "1") == ERR_NONE && pipe(ends) == 0);
	child = fork();
	if (child == 0) {
		coming.stage = stage("2");
		if (commit_submit(store, &coming, &why) < 0 || write(ends[1], "", 1) != 1)
			_exit(1);
		usleep(300000);
		_exit(write(ends[1], "", 1) != 1 || commit_wait(store, &coming, &why) < 0);
	}
	CHECK(child > 0 && read(ends[0], &byte, 1) == 1);
	CHECK(survey(store, &directory, 1, 9, find, &text, &why) == 0);
	CHECK(strcmp(text.data, "w/a:2+ ") == 0);
	CHECK(fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0 && read(ends[0], &byte, 1) == 1);
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	close(ends[0]);
	close(ends[1]);
	buf_clear(&text);
	free(directory.path);
}

static void count_pruned(void *data, struct str path, const struct prune_count *count)
{
	(void)path;
	*(unsigned *)data += (unsigned)(count->records + count->contents);
}

/* All paths at once; and a record beyond what is kept is not taken. */
static void retention(void)
{
	struct prune_rule rule = { .versions = 2 };
	struct prune_count count = { .records = 0 };
	struct history h = HISTORY_INIT;
	struct record old = { .version = { .time = 5, .node = 7 }, .flags = RECORD_DELETED };
	unsigned in_callback = 0;

	for (unsigned i = 0; i < 6; i++)
		CHECK(put("r/x/y", "12345") == ERR_NONE && put("r/z", "1") == ERR_NONE);
	CHECK(put("r/one", "1") == ERR_NONE);
	CHECK(store_prune_all(store, &rule, count_pruned, &in_callback, &count, &why) == 0);
	CHECK(versions("r/x/y") == 2 && versions("r/z") == 2 && versions("r/one") == 1);
	CHECK(in_callback == count.records && count.records >= 8 && count.bytes >= 24);
	CHECK(store_merge(store, STR("r/z"), &old, (struct str)STR_INIT, 2, &why) == 0);
	CHECK(versions("r/z") == 2);
	CHECK(store_merge(store, STR("r/z"), &old, (struct str)STR_INIT, 3, &why) == 0);
	CHECK(versions("r/z") == 3 && holds("r/z", "1"));
	/* Old content goes, records and the newest content stay. */
	rule = (struct prune_rule){ .before = UINT64_MAX };
	count = (struct prune_count){ .records = 0 };
	CHECK(store_prune(store, STR("r/x/y"), &rule, &count, &why) == 0);
	CHECK(count.records == 0 && count.contents == 1 && count.bytes == 5);
	CHECK(store_history(store, STR("r/x/y"), &h, &why) == 0 && h.count == 2);
	CHECK(h.entries[0].content && !h.entries[1].content && holds("r/x/y", "12345"));
	history_clear(&h);
}

int main(int argc, char **argv)
{
	uint64_t rounds = 3;

	if (!chance_begin(argc, argv, 1, &rounds))
		return 64;
	if (!open_store())
		return UNIT_RESULT();
	counting();
	tables();
	told();
	on_its_way();
	retention();
	killed((unsigned)rounds);
	survey_directories_clear(&list);
	close_store();
	return UNIT_RESULT();
}
