/*
 * store_race - threads and processes at one store, and some of them killed
 */
#include "store_unit.h"

#include "chance.h"
#include "digest.h"

#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define PROCESSES 4
#define THREADS 8
#define EACH 4
#define COMMITS (PROCESSES * THREADS * EACH)

static void *shared(size_t n)
{
	void *memory = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		abort();
	return memory;
}

/* Without CHECK(): its counters are for one thread. */
static bool put_quietly(struct store *at, const char *path, const char *body, struct commit *c,
			struct err *err)
{
	struct stage *s = NULL;
	bool good;

	c->path = str_of(path);
	good = stage_begin(at, &s, err) == 0 && stage_add(s, body, strlen(body), err) == 0 &&
	       stage_sync(s, err) == 0;
	c->stage = s;
	good = good && store_commit(at, c, err) == 0;
	stage_free(s);
	return good;
}

static pid_t start(void (*run)(unsigned), unsigned number)
{
	pid_t child = fork();

	if (child == 0) {
		run(number);
		_exit(0);
	}
	CHECK(child > 0);
	return child;
}

static void finish(pid_t child)
{
	int status = -1;

	CHECK(waitpid(child, &status, 0) == child);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Several processes open a fresh store at once: it is formatted once. */

static uint64_t *nodes;

static void open_fresh(unsigned number)
{
	char path[256];
	struct store_options options = { .path = path };
	struct store *mine = NULL;

	snprintf(path, sizeof path, "%s/fresh", root);
	if (store_open(&mine, &options, NULL) == 0)
		nodes[number] = store_node(mine);
	store_close(mine);
}

static void opening(void)
{
	pid_t children[16];

	nodes = shared(16 * sizeof *nodes);
	for (unsigned i = 0; i < 16; i++)
		children[i] = start(open_fresh, i);
	for (unsigned i = 0; i < 16; i++) {
		finish(children[i]);
		CHECK(nodes[i] != 0 && nodes[i] == nodes[0]);
	}
}

/* One path, many writers: all versions are kept, one after the other. */

struct done {
	struct version version, before;
	char body[24];
};
static struct done *results;	/* shared; one per commit */
static atomic_uint *next_result;

static void *write_hot(void *argument)
{
	unsigned number = *(unsigned *)argument;

	for (unsigned i = 0; i < EACH; i++) {
		struct commit c = COMMIT_INIT;
		struct done done;

		snprintf(done.body, sizeof done.body, "%u/%d/%u", number, gettid(), i);
		if (!put_quietly(store, "hot", done.body, &c, NULL))
			_exit(1);
		done.version = c.record.version;
		done.before = c.before.version;
		results[atomic_fetch_add(next_result, 1)] = done;
	}
	return NULL;
}

static void write_hot_from_threads(unsigned number)
{
	pthread_t threads[THREADS];

	for (unsigned i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, write_hot, &number);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

/* The newest version a reader sees never goes back, and is always whole. */
static void *watch_hot(void *stop)
{
	struct version last = VERSION_NONE;
	struct stat st;

	while (!atomic_load((atomic_bool *)stop)) {
		struct store_entry entry = STORE_ENTRY_INIT;

		if (store_newest(store, STR("hot"), STORE_CONTENT, &entry, NULL) < 0)
			return stop;
		if (version_cmp(entry.record.version, last) < 0 || entry.foreign ||
		    (entry.fd < 0 && !version_is_none(last)) ||
		    (entry.fd >= 0 && (fstat(entry.fd, &st) < 0 ||
				       (uint64_t)st.st_size != entry.record.size)))
			return stop;
		last = entry.record.version;
		store_entry_clear(&entry);
	}
	return NULL;
}

static int by_version(const void *a, const void *b)
{
	const struct done *x = a, *y = b;

	return version_cmp(x->version, y->version);
}

static void check_hot(const struct done *done, struct version before)
{
	struct store_entry entry = STORE_ENTRY_INIT;
	char body[64] = "";

	CHECK(version_cmp(done->before, before) == 0);
	CHECK(store_version(store, STR("hot"), done->version, STORE_CONTENT, &entry, &why) == 0);
	CHECK(read(entry.fd, body, sizeof body - 1) > 0 && strcmp(body, done->body) == 0);
	store_entry_clear(&entry);
}

static void one_path(void)
{
	pid_t children[PROCESSES];
	atomic_bool stop = false;
	pthread_t watcher;
	void *wrong = NULL;

	results = shared(COMMITS * sizeof *results);
	next_result = shared(sizeof *next_result);
	for (unsigned i = 0; i < PROCESSES; i++)
		children[i] = start(write_hot_from_threads, i);
	pthread_create(&watcher, NULL, watch_hot, &stop);
	for (unsigned i = 0; i < PROCESSES; i++)
		finish(children[i]);
	atomic_store(&stop, true);
	pthread_join(watcher, &wrong);
	CHECK(wrong == NULL);
	CHECK(*next_result == COMMITS && versions("hot") == COMMITS);
	qsort(results, COMMITS, sizeof *results, by_version);
	for (unsigned i = 0; i < COMMITS; i++)
		check_hot(&results[i], i > 0 ? results[i - 1].version : VERSION_NONE);
}

/*
 * A few names, all kinds of commits, in a group of one and in a larger one;
 * what was acknowledged is there or was followed.
 */

static const char *const of_one[] = { "t/a", "t/a/x", "t/a/y", "t/b", "t/b/x", "t/c", "t", "u" };
static const char *const of_more[] = { "g/a", "g/a/x", "g/a/y", "g/b", "g/b/x", "g/c", "g", "v" };
#define PATHS (sizeof of_one / sizeof of_one[0])
static const char *const *paths = of_one;

struct acknowledged {
	struct version file, directory;	/* the last */
};
static struct acknowledged *acknowledged;	/* shared; per process and path */

static bool is_alone(void)
{
	return paths == of_one;
}

static bool expected(enum err_kind kind)
{
	return is_alone() && (kind == ERR_CONFLICT || kind == ERR_EXISTS);
}

/* Some commit to some path; its record, or none when it was refused as it may be. */
static struct record commit_something(uint64_t *state, size_t *ret_path)
{
	static const uint8_t kinds[] = { 0, 0, 0, RECORD_DELETED, RECORD_DIRECTORY,
					 RECORD_DELETED | RECORD_DIRECTORY };
	struct commit c = { .ungrouped = is_alone() };
	struct err err = ERR_INIT;
	bool good;

	*ret_path = chance_next(state) % PATHS;
	c.path = str_of(paths[*ret_path]);
	c.flags = kinds[chance_next(state) % sizeof kinds];
	if (c.flags == 0)
		good = put_quietly(store, paths[*ret_path], "some content", &c, &err);
	else
		good = store_commit(store, &c, &err) == 0;
	if (!good && !expected(err.kind)) {
		fprintf(stderr, "%s\n", err.text);
		_exit(1);
	}
	return good ? c.record : (struct record){ .flags = 0 };
}

static void churn(unsigned number, int rounds)
{
	uint64_t state = chance * 1000 + number + 1;

	for (int i = 0; i < rounds; i++) {
		size_t path;
		struct record r = commit_something(&state, &path);
		struct acknowledged *last = &acknowledged[number * PATHS + path];

		if (r.flags & RECORD_DIRECTORY)
			last->directory = r.version;
		else if (!version_is_none(r.version))
			last->file = r.version;
	}
}

static void churn_some(unsigned number)
{
	churn(number, 150);
}

static void churn_for_ever(unsigned number)
{
	for (;;)
		churn(number, 1000);
}

static int not_foreign(const char *name, const struct stat *st, int type, struct FTW *walk)
{
	const char *path = name + strlen(root) + sizeof "/tree" - 1;
	struct store_entry entry = STORE_ENTRY_INIT;

	(void)st, (void)type, (void)walk;
	CHECK(store_newest(store, str_of(*path != '\0' ? path + 1 : path), STORE_CONTENT, &entry,
			   &why) == 0);
	CHECK(!entry.foreign);
	store_entry_clear(&entry);
	return 0;
}

/* The content of a version is what its record says. */
static void check_content(const char *path, const struct record *record)
{
	struct store_entry entry = STORE_ENTRY_INIT;
	struct digest *digest = digest_new();
	uint8_t sha256[SHA256_BYTES];
	char bytes[4096];
	ssize_t n;

	CHECK(store_version(store, str_of(path), record->version, STORE_CONTENT, &entry, &why) == 0);
	while ((n = read(entry.fd, bytes, sizeof bytes)) > 0)
		digest_add(digest, bytes, (size_t)n);
	digest_end(digest, sha256);
	digest_free(digest);
	CHECK(memcmp(sha256, record->sha256, sizeof sha256) == 0);
	store_entry_clear(&entry);
}

/* It is the newest or older, and known. */
static void check_known(const struct history *h, struct version newest, struct version acked)
{
	bool known = version_is_none(acked);

	CHECK(version_cmp(newest, acked) >= 0);
	for (size_t i = 0; i < h->count; i++)
		known |= version_cmp(h->entries[i].record.version, acked) == 0;
	CHECK(known);
}

static void check_path(const char *path, const struct acknowledged *acked)
{
	struct history h = HISTORY_INIT;
	struct store_entry entry = get(path);
	struct version file = VERSION_NONE, directory = VERSION_NONE;

	CHECK(store_history(store, str_of(path), &h, &why) == 0);
	for (size_t i = h.count; i-- > 0;) {
		const struct record *r = &h.entries[i].record;

		if (h.entries[i].content)
			check_content(path, r);
		*(r->flags & RECORD_DIRECTORY ? &directory : &file) = r->version;
	}
	CHECK(version_cmp(entry.entry.version, directory) == 0);
	/* One that was killed may have left a version that nothing names yet. */
	CHECK(version_cmp(entry.record.version, file) <= 0);
	for (unsigned p = 0; p < PROCESSES; p++) {
		check_known(&h, entry.record.version, acked[p * PATHS].file);
		check_known(&h, entry.entry.version, acked[p * PATHS].directory);
	}
	history_clear(&h);
	store_entry_clear(&entry);
}

/* In a group of one all that stands is reachable from the root. */
static void check_reachable(const char *path)
{
	struct str above = path_parent(str_of(path));
	char text[20];

	if (stands(path, NAME_ABSENT) || above.n == 0)
		return;
	snprintf(text, sizeof text, "%.*s", STR_ARG(above));
	CHECK(stands(text, NAME_DIRECTORY));
}

static void check_whole(void)
{
	CHECK(nftw(in_store("tree", ""), not_foreign, 16, FTW_PHYS) == 0);
	for (size_t i = 0; i < PATHS; i++)
		check_path(paths[i], &acknowledged[i]);
}

static void many_kinds(void)
{
	pid_t children[PROCESSES];

	acknowledged = shared(PROCESSES * PATHS * sizeof *acknowledged);
	for (unsigned i = 0; i < PROCESSES; i++)
		children[i] = start(churn_some, i);
	for (unsigned i = 0; i < PROCESSES; i++)
		finish(children[i]);
	check_whole();
	for (size_t i = 0; i < PATHS && is_alone(); i++)
		check_reachable(paths[i]);
}

/* The same, but all are killed in the midst of it, again and again. */
static void killed(int rounds)
{
	uint64_t state = chance;

	for (int round = 0; round < rounds; round++) {
		pid_t children[PROCESSES];

		chance++;
		for (unsigned i = 0; i < PROCESSES; i++)
			children[i] = start(churn_for_ever, i);
		usleep((useconds_t)(1000 + chance_next(&state) % 20000));
		for (unsigned i = 0; i < PROCESSES; i++) {
			CHECK(kill(children[i], SIGKILL) == 0);
			CHECK(waitpid(children[i], NULL, 0) == children[i]);
		}
		check_whole();
	}
}

int main(int argc, char **argv)
{
	uint64_t rounds = 30;

	if (!chance_begin(argc, argv, 1, &rounds))
		return 64;
	if (!open_store())
		return UNIT_RESULT();
	opening();
	one_path();
	many_kinds();
	killed((int)rounds);
	paths = of_more;
	many_kinds();
	killed((int)rounds);
	close_store();
	return UNIT_RESULT();
}
