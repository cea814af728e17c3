/*
 * store_merge - the same records, in any order, are the same store
 *
 * Random sets of records of a few paths (files, tombstones, entries live and
 * ended, gates) are merged in random orders, some of them twice, with and
 * without content.  Whatever can be asked must have the same answer.
 *
 * Nothing here is about durability: the calls for it are defined over the C
 * library's, and do nothing.
 */
#include "store_unit.h"

#include "chance.h"
#include "survey.h"

#include <dirent.h>
#include <sys/stat.h>

int fsync(int fd)
{
	return fd < 0;
}

int fdatasync(int fd)
{
	return fd < 0;
}

int syncfs(int fd)
{
	return fd < 0;
}

static const char *const paths[] = { "a", "a/b", "a/b/c", "a/b/d", "a/e", "f", "f/g" };
#define PATHS (sizeof paths / sizeof paths[0])
static const char *const gates[] = { "a/", "a/b/", "f/", "h/" };
#define GATES (sizeof gates / sizeof gates[0])
#define RECORDS 16

struct item {
	const char *path;
	struct record record;
};

static bool is_bare(const char *directory)
{
	DIR *dir = opendir(directory);
	size_t count = 0;

	while (dir != NULL && readdir(dir) != NULL)
		count++;
	if (dir != NULL)
		closedir(dir);
	return count == 2;
}

static void make_set(struct item items[RECORDS], unsigned count)
{
	static const uint8_t kinds[] = { 0, 0, 0, RECORD_DELETED, RECORD_DELETED | RECORD_BLIND,
					 RECORD_DIRECTORY, RECORD_DIRECTORY | RECORD_DELETED,
					 RECORD_BLIND };

	for (unsigned i = 0; i < count; i++) {
		struct item *item = &items[i];

		item->path = below(6) == 0 ? gates[below(GATES)] : paths[below(PATHS)];
		item->record = (struct record){
			.version = { .time = UINT64_C(1700000000000000000) + i, .node = 1 + below(3) },
			.flags = path_is_gate(str_of(item->path)) ? RECORD_DELETED
								  : kinds[below(sizeof kinds)],
		};
		if (record_has_content(&item->record)) {
			struct stage *body = stage("x");

			item->record.size = 1;
			memcpy(item->record.sha256, stage_sha256(body), SHA256_BYTES);
			stage_free(body);
		}
	}
}

static void shuffle(struct item *items, unsigned count)
{
	for (unsigned i = count; i > 1; i--) {
		unsigned k = below(i);
		struct item other = items[i - 1];

		items[i - 1] = items[k];
		items[k] = other;
	}
}

static const char *under(const char *prefix, const char *path)
{
	static char text[200];

	snprintf(text, sizeof text, "%s/%s", prefix, path);
	return text;
}

static void merge(const char *prefix, const struct item *item, uint32_t keep)
{
	const char *path = under(prefix, item->path);
	struct commit c = COMMIT_INIT;
	struct err err = ERR_INIT;

	if (!record_has_content(&item->record) || below(2) == 0) {
		CHECK(store_merge(store, str_of(path), &item->record, (struct str)STR_INIT, keep,
				  &err) == 0);
	} else {
		c.fixed = item->record.version;
		c.flags = item->record.flags;
		c.keep = keep;
		CHECK(commit(&c, path, "x") == ERR_NONE);
	}
	if (err.kind != ERR_NONE)
		fprintf(stderr, "%s\n", err.text);
}

static void add_record(struct buf *to, const struct record *record)
{
	if (version_is_none(record->version))
		buf_adds(to, "none");
	else
		buf_addf(to, "%u/%u%s%s%s", (unsigned)(record->version.time % 1000),
			 (unsigned)record->version.node, record->flags & RECORD_DELETED ? "x" : "",
			 record->flags & RECORD_DIRECTORY ? "d" : "",
			 record->flags & RECORD_BLIND ? "b" : "");
}

static void add_history(struct buf *to, const char *path)
{
	struct history h = HISTORY_INIT;

	CHECK(store_history(store, str_of(path), &h, &why) == 0);
	for (size_t i = 0; i < h.count; i++) {
		buf_addc(to, ' ');
		add_record(to, &h.entries[i].record);
	}
	history_clear(&h);
}

static void add_listing(struct buf *to, const char *path, bool deleted)
{
	struct listing l = LISTING_INIT;
	struct err err;

	buf_addf(to, "; %s:", deleted ? "all" : "lists");
	if (store_list(store, str_of(path), (struct str)STR_INIT, 0, deleted, &l, &err) < 0)
		return;	/* a directory or none: newest tells it */
	for (size_t i = 0; i < l.count; i++) {
		buf_addf(to, " %s%s=", l.entries[i].name, l.entries[i].directory ? "/" : "");
		add_record(to, &l.entries[i].record);
		buf_addc(to, ',');
		add_record(to, &l.entries[i].entry);
	}
	listing_clear(&l);
}

struct surveyed {
	struct buf *to;
	size_t prefix;
};

static int add_surveyed(void *data, const struct survey_path *path)
{
	const struct surveyed *s = data;

	buf_addf(s->to, "in %.*s:", (int)(path->path.n - s->prefix), path->path.s + s->prefix);
	for (size_t i = 0; i < path->count; i++) {
		buf_addc(s->to, ' ');
		add_record(s->to, &path->entries[i].record);
	}
	buf_addc(s->to, '\n');
	return 0;
}

static int by_path(const void *a, const void *b)
{
	const struct survey_directory *x = a, *y = b;

	return strcmp(x->path, y->path);
}

static void add_survey(struct buf *to, const char *prefix, size_t keep)
{
	struct survey_directories all = SURVEY_DIRECTORIES_INIT;
	struct surveyed surveyed = { to, strlen(prefix) };

	CHECK(survey_directories(store, &all, &why) == 0);
	qsort(all.items, all.count, sizeof *all.items, by_path);
	for (size_t i = 0; i < all.count; i++) {
		if (strncmp(all.items[i].path, prefix, strlen(prefix)) == 0)
			CHECK(survey(store, &all.items[i], 1, keep, add_surveyed, &surveyed,
				     &why) == 0);
	}
	survey_directories_clear(&all);
}

/* In tree/ are the files that stand, and no others; what a directory keeps out waits. */
static void check_tree(const char *path, const struct store_entry *entry)
{
	enum name_kind stands = store_name_kind(entry);
	struct stat st;
	bool there = lstat(in_store("tree/", path), &st) == 0;

	if (!there)
		CHECK(stands == NAME_ABSENT);
	else if (!S_ISDIR(st.st_mode))
		CHECK(stands == NAME_FILE);
	else
		CHECK(stands == NAME_DIRECTORY || !is_bare(in_store("tree/", path)));
}

static void add_gate(struct buf *to, const char *path)
{
	struct str directory = { path, strlen(path) - 1 };
	struct store_entry entry = get(path);
	struct version gate;

	CHECK(store_gate(store, directory, &gate, &why) == 0);
	CHECK(version_cmp(gate, entry.record.version) == 0);
	add_record(to, &entry.record);
	buf_adds(to, " gate\n");
}

/* All that can be asked; histories only when nothing was pruned. */
static const char *const stands_text[] = { "", "*", "/" };

static void describe(struct buf *to, const char *prefix, uint32_t keep)
{
	for (size_t i = 0; i < PATHS; i++) {
		const char *path = under(prefix, paths[i]);
		struct store_entry entry = get(path);

		buf_addf(to, "%s%s: ", paths[i], stands_text[store_name_kind(&entry)]);
		add_record(to, &entry.record);
		buf_addc(to, ',');
		add_record(to, &entry.entry);
		if (keep == 0)
			add_history(to, path);
		if (entry.directory)
			add_listing(to, path, false);
		add_listing(to, path, true);
		buf_addc(to, '\n');
		check_tree(path, &entry);
		store_entry_clear(&entry);
	}
	for (size_t i = 0; i < GATES; i++)
		add_gate(to, under(prefix, gates[i]));
	add_listing(to, prefix, false);
	buf_addc(to, '\n');
	add_survey(to, prefix, keep > 0 ? keep : 100);
}

static void forget(const char *prefix)
{
	char path[4096];

	snprintf(path, sizeof path, "%s", in_store("tree/", prefix));
	remove_all(path);
	snprintf(path, sizeof path, "%s", in_store("history/", prefix));
	remove_all(path);
}

static void print_set(const struct item *items, unsigned count)
{
	struct buf text = BUF_INIT;

	for (unsigned i = 0; i < count; i++) {
		buf_addf(&text, " %s=", items[i].path);
		add_record(&text, &items[i].record);
	}
	fprintf(stderr, "order:%s\n", text.data);
	buf_clear(&text);
}

static void prune_paths(const char *prefix, uint32_t keep)
{
	struct prune_rule rule = { .versions = keep };
	struct prune_count count = { .records = 0 };

	for (size_t i = 0; i < PATHS; i++)
		CHECK(store_prune(store, str_of(under(prefix, paths[i])), &rule, &count, &why) == 0);
}

/* One set of records, in several orders. */
static void one_set(unsigned number, uint32_t keep)
{
	struct item items[RECORDS], first[RECORDS];
	unsigned count = 2 + below(RECORDS - 1);
	struct buf expected = BUF_INIT, got = BUF_INIT;
	char prefix[40];

	make_set(items, count);
	memcpy(first, items, sizeof first);
	for (unsigned order = 0; order < 6; order++) {
		snprintf(prefix, sizeof prefix, "s%u/%u", number, order);
		if (order > 0)
			shuffle(items, count);
		for (unsigned i = 0; i < count; i++) {
			merge(prefix, &items[i], keep);
			if (below(4) == 0)
				merge(prefix, &items[below(i + 1)], keep);
		}
		if (keep > 0)
			prune_paths(prefix, keep);
		buf_reset(&got);
		describe(&got, prefix, keep);
		if (order == 0)
			buf_addstr(&expected, buf_str(&got));
		CHECK(str_eq(buf_str(&expected), buf_str(&got)));
		if (!str_eq(buf_str(&expected), buf_str(&got))) {
			print_set(first, count);
			print_set(items, count);
			fprintf(stderr, "set %u, keep %u\n%s--\n%s", number, keep, expected.data, got.data);
			order = 6;
		}
	}
	snprintf(prefix, sizeof prefix, "s%u", number);
	forget(prefix);
	buf_clear(&expected);
	buf_clear(&got);
}

int main(int argc, char **argv)
{
	uint64_t sets = 40;

	if (!chance_begin(argc, argv, 1, &sets))
		return 64;
	if (!open_store())
		return UNIT_RESULT();
	for (unsigned i = 0; i < sets && unit_failures == 0; i++)
		one_set(i, i % 3 == 2 ? 1 + below(3) : 0);
	close_store();
	return UNIT_RESULT();
}
