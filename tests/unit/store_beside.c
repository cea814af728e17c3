/*
 * store_beside - readers while a version is on its way to the disk
 *
 * A commit is submitted and not yet waited for: the path's lock is held by
 * the very thread that reads.  Who waited for it would wait for ever.
 */
#include "store_unit.h"

#include <sys/wait.h>

#define LATER (UINT64_C(7000000000) * 1000000000)

/* What is on its way; finish() it. */
static struct commit coming;

static void submit(const char *path, const char *body, uint8_t flags)
{
	coming = (struct commit){ .path = str_of(path), .flags = flags };
	coming.stage = body != NULL ? stage(body) : NULL;
	CHECK(commit_submit(store, &coming, &why) == 0);
}

static void finish(void)
{
	CHECK(commit_wait(store, &coming, &why) == 0);
	stage_free(coming.stage);
}

static bool is_known(const char *path, struct version v, bool content)
{
	struct store_entry entry = STORE_ENTRY_INIT;
	bool known = store_version(store, str_of(path), v, STORE_CONTENT, &entry, &why) == 0;

	CHECK(known || why.kind == ERR_ABSENT);
	known = known && entry.content == content && (entry.fd >= 0) == content;
	store_entry_clear(&entry);
	return known;
}

/* As the directory's listing shows it: its version, or none. */
static struct version listed(const char *directory, const char *name)
{
	struct listing l = LISTING_INIT;
	struct version v = VERSION_NONE;

	CHECK(store_list(store, str_of(directory), (struct str)STR_INIT, 0, false, &l, &why) == 0);
	for (size_t i = 0; i < l.count; i++)
		if (strcmp(l.entries[i].name, name) == 0)
			v = l.entries[i].record.version;
	listing_clear(&l);
	return v;
}

static bool same(struct version a, struct version b)
{
	return version_cmp(a, b) == 0;
}

static struct version newest(const char *path)
{
	struct store_entry entry = get(path);
	struct version v = entry.record.version;

	store_entry_clear(&entry);
	return v;
}

static void files(void)
{
	struct version first, second, gone;

	CHECK(put("d/other", "") == ERR_NONE);
	submit("d/a", "1", 0);
	CHECK(same(newest("d/a"), VERSION_NONE) && same(listed("d", "a"), VERSION_NONE));
	CHECK(versions("d/a") == 0 && !is_known("d/a", coming.record.version, true));
	finish();
	first = coming.record.version;
	CHECK(holds("d/a", "1") && same(newest("d/a"), first) && is_known("d/a", first, true));

	submit("d/a", "22", 0);
	CHECK(holds("d/a", "1") && same(newest("d/a"), first) && same(listed("d", "a"), first));
	CHECK(versions("d/a") == 1 && is_known("d/a", first, true));
	CHECK(!is_known("d/a", coming.record.version, true));
	CHECK(!store_would_wait(store, STR("d/a")));
	finish();
	second = coming.record.version;
	CHECK(holds("d/a", "22") && versions("d/a") == 2 && same(listed("d", "a"), second));

	submit("d/a", NULL, RECORD_DELETED);
	CHECK(holds("d/a", "22") && same(newest("d/a"), second) && same(listed("d", "a"), second));
	CHECK(versions("d/a") == 2);
	finish();
	gone = coming.record.version;
	CHECK(same(newest("d/a"), gone) && same(listed("d", "a"), VERSION_NONE));

	submit("d/a", "4444", 0);
	CHECK(same(newest("d/a"), gone) && holds("d/a", NULL));
	CHECK(versions("d/a") == 3 && same(listed("d", "a"), VERSION_NONE));
	finish();
	CHECK(holds("d/a", "4444") && versions("d/a") == 4);
}

/* An older version that is known here comes again, which changes nothing; then its content. */
static void known_already(const struct record *pointer)
{
	uint64_t changes = store_changes(store, path_partition(STR("e/b")));

	coming = (struct commit){ .path = STR("e/b"), .pointer = pointer };
	CHECK(commit_submit(store, &coming, &why) == 0);
	CHECK(versions("e/b") == 3 && is_known("e/b", pointer->version, false));
	finish();
	CHECK(store_changes(store, path_partition(coming.path)) == changes);

	coming = (struct commit){ .path = STR("e/b"), .stage = stage("x"),
				  .fixed = pointer->version };
	CHECK(commit_submit(store, &coming, &why) == 0);
	CHECK(versions("e/b") == 3 && is_known("e/b", pointer->version, false));
	CHECK(holds("e/b", "x"));
	finish();
	CHECK(versions("e/b") == 3 && is_known("e/b", pointer->version, true));
}

/* Made elsewhere: a record, its content, and one that is older. */
static void elsewhere(void)
{
	struct record pointer = { .size = 1, .version = { .time = LATER, .node = 7 } };
	struct stage *body = stage("x");
	struct version own;

	memcpy(pointer.sha256, stage_sha256(body), SHA256_BYTES);
	CHECK(put("e/b", "own") == ERR_NONE);
	own = newest("e/b");
	coming = (struct commit){ .path = STR("e/b"), .pointer = &pointer };
	CHECK(commit_submit(store, &coming, &why) == 0);
	CHECK(holds("e/b", "own") && versions("e/b") == 1);
	finish();
	CHECK(same(newest("e/b"), pointer.version) && holds("e/b", NULL));

	coming = (struct commit){ .path = STR("e/b"), .stage = body, .fixed = pointer.version };
	CHECK(commit_submit(store, &coming, &why) == 0);
	CHECK(same(newest("e/b"), pointer.version) && holds("e/b", NULL));
	CHECK(is_known("e/b", pointer.version, false) && versions("e/b") == 2);
	CHECK(same(listed("e", "b"), pointer.version));
	finish();
	CHECK(holds("e/b", "x") && is_known("e/b", pointer.version, true));

	pointer.version.time = own.time - 1;
	coming = (struct commit){ .path = STR("e/b"), .pointer = &pointer };
	CHECK(commit_submit(store, &coming, &why) == 0);
	CHECK(holds("e/b", "x") && versions("e/b") == 2);
	CHECK(!is_known("e/b", pointer.version, false) && is_known("e/b", own, true));
	finish();
	CHECK(versions("e/b") == 3 && is_known("e/b", pointer.version, false));
	known_already(&pointer);
}

/* Whoever looks next makes durable what is there, and tells of it. */
static void after_a_death(const char *path, const char *body, const char *then, uint8_t flags)
{
	int status = 1;
	pid_t child = fork();

	if (child == 0) {
		submit(path, body, flags);
		_exit(0);
	}
	CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
	CHECK(store_would_wait(store, str_of(path)));
	CHECK(holds(path, then));
	CHECK(!store_would_wait(store, str_of(path)));
}

static void deaths(void)
{
	CHECK(put("c", "1") == ERR_NONE);
	after_a_death("c", "2", "2", 0);
	CHECK(versions("c") == 2);
	after_a_death("c", NULL, NULL, RECORD_DELETED);
	after_a_death("c", "4", "4", 0);
	after_a_death("new", "1", "1", 0);
	CHECK(store_await(store, STR("c"), &why) == 0);
}

/* A directory's record is never left out: whoever looks waits until it is there. */
static void directories(void)
{
	submit("made", NULL, RECORD_DIRECTORY);
	CHECK(store_would_wait(store, STR("made")));
	CHECK(!store_would_wait(store, STR("made/x")));
	finish();
	CHECK(!store_would_wait(store, STR("made")));
}

int main(void)
{
	if (!open_store())
		return UNIT_RESULT();
	alarm(120);
	files();
	elsewhere();
	deaths();
	directories();
	close_store();
	return UNIT_RESULT();
}
