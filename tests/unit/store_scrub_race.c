/*
 * store_scrub_race - scrub beside writers: no record is lost, and nothing good is set aside
 *
 * One thread writes versions, brings content to pointers and lets the disk
 * change bytes; one evicts; two scrub, all the same paths.  COUNT: the
 * writer's steps.
 */
#include "store_unit.h"

#include "chance.h"
#include "digest.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#define PATHS 3
#define STEPS_MAX 20000

static const char *const paths[PATHS] = { "a", "b/c", "b/c d" };

static struct written {
	struct version version;
	char body[64];
} written[PATHS][STEPS_MAX];
static unsigned counts[PATHS];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;	/* of both */

static atomic_bool over;
static atomic_uint found, troubles, rounds;

static bool go_on(void *data, size_t bytes)
{
	(void)data, (void)bytes;
	return true;
}

static void was_bad(void *data, const struct scrub_bad *bad)
{
	(void)data, (void)bad;
	atomic_fetch_add(&found, 1);
}

static void in_trouble(void *data, struct str path, const struct err *err)
{
	(void)data, (void)path;
	fprintf(stderr, "%s\n", err->text);
	atomic_fetch_add(&troubles, 1);
}

static uint64_t scrub_once(void)
{
	struct scrub scrub = { .go_on = go_on, .bad = was_bad, .failed = in_trouble };

	if (store_scrub(store, STR(""), &scrub, NULL) < 0)
		atomic_fetch_add(&troubles, 1);
	atomic_fetch_add(&rounds, 1);
	return scrub.bad_count;
}

static void *scrub_on(void *data)
{
	(void)data;
	while (!atomic_load(&over))
		scrub_once();
	return NULL;
}

static void *evict_on(void *data)
{
	unsigned n = 0;

	(void)data;
	for (; !atomic_load(&over); n++) {
		unsigned p = n % PATHS;
		struct version v = VERSION_NONE;
		uint64_t bytes;

		pthread_mutex_lock(&mutex);
		if (counts[p] > 0)
			v = written[p][n * 7919 % counts[p]].version;
		pthread_mutex_unlock(&mutex);
		if (!version_is_none(v))
			store_evict(store, str_of(paths[p]), v, &bytes, NULL);
		usleep(300);
	}
	return NULL;
}

/* A new version, or the content of an old one once more. */
static void write_some(unsigned p, unsigned i)
{
	struct commit c = COMMIT_INIT;
	struct written *w = &written[p][i];

	if (i < counts[p])
		c.fixed = w->version;
	else
		snprintf(w->body, sizeof w->body, "%s %u", paths[p], i);
	CHECK(commit(&c, paths[p], w->body) == ERR_NONE);
	if (i < counts[p])
		return;
	w->version = c.record.version;
	pthread_mutex_lock(&mutex);
	counts[p]++;
	pthread_mutex_unlock(&mutex);
}

/* Where a version's content may be. */
static const char *file_of(unsigned p, unsigned i, bool in_tree)
{
	static char file[4096];
	char version[VERSION_TEXT];

	if (in_tree)
		snprintf(file, sizeof file, "%s/tree/%s", root, paths[p]);
	else
		snprintf(file, sizeof file, "%s/history/%s/,%s", root, paths[p],
			 version_format(version, written[p][i].version));
	return file;
}

static void flip(const char *file)
{
	int fd = open(file, O_RDWR | O_NOFOLLOW);
	struct stat st;
	unsigned char byte;

	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && pread(fd, &byte, 1, 1) == 1) {
		byte |= 0x80;		/* and never back again: it may be set aside by now */
		CHECK(pwrite(fd, &byte, 1, 1) == 1);
		CHECK(futimens(fd, (struct timespec[2]){ { .tv_nsec = UTIME_OMIT }, st.st_mtim }) == 0);
	}
	if (fd >= 0)
		close(fd);
}

static void one_step(void)
{
	unsigned p = below(PATHS), i;

	if (counts[p] == 0 || below(3) > 0) {
		write_some(p, counts[p]);
		return;
	}
	i = below(counts[p]);
	if (below(2) == 0)
		write_some(p, i);
	else
		flip(file_of(p, i, below(2) == 0));
}

/* What was set aside does not match its record. */
static void look_aside(const char *path)
{
	char directory[4096];
	DIR *dir;

	snprintf(directory, sizeof directory, "%s/history/%s", root, path);
	dir = opendir(directory);
	for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;) {
		unsigned char record[RECORD_BYTES], sha256[SHA256_BYTES], bytes[64];
		struct digest *digest = digest_new();
		struct record r;
		int fd = strncmp(e->d_name, ",bad-", 5) == 0 ? openat(dirfd(dir), e->d_name, O_RDONLY)
							     : -1;
		ssize_t n = fd >= 0 ? read(fd, bytes, sizeof bytes) : 0;

		digest_add(digest, bytes, n > 0 ? (size_t)n : 0);
		digest_end(digest, sha256);
		digest_free(digest);
		if (fd < 0)
			continue;
		CHECK(fgetxattr(fd, RECORD_XATTR, record, sizeof record) == RECORD_BYTES);
		CHECK(record_unpack(record, sizeof record, &r, NULL) == 0);
		CHECK(memcmp(r.sha256, sha256, sizeof sha256) != 0);
		close(fd);
	}
	if (dir != NULL)
		closedir(dir);
}

static void verify(unsigned p)
{
	CHECK(versions(paths[p]) == counts[p]);
	for (unsigned i = 0; i < counts[p]; i++) {
		struct store_entry entry = STORE_ENTRY_INIT;
		char bytes[64] = "";

		CHECK(store_version(store, str_of(paths[p]), written[p][i].version, STORE_CONTENT,
				    &entry, &why) == 0);
		if (entry.fd >= 0)
			CHECK(read(entry.fd, bytes, sizeof bytes - 1) >= 0 &&
			      strcmp(bytes, written[p][i].body) == 0);
		store_entry_clear(&entry);
	}
	look_aside(paths[p]);
}

int main(int argc, char **argv)
{
	pthread_t threads[3];

	uint64_t steps = 600;

	if (!chance_begin(argc, argv, 1, &steps) || steps > STEPS_MAX)
		return 2;
	if (!open_store())
		return UNIT_RESULT();
	pthread_create(&threads[0], NULL, scrub_on, NULL);
	pthread_create(&threads[1], NULL, scrub_on, NULL);
	pthread_create(&threads[2], NULL, evict_on, NULL);
	for (uint64_t i = 0; i < steps; i++)
		one_step();
	atomic_store(&over, true);
	for (size_t i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	scrub_once();
	CHECK(scrub_once() == 0 && atomic_load(&troubles) == 0 && atomic_load(&found) > 0);
	printf("%u bad copies found in %u rounds\n", atomic_load(&found), atomic_load(&rounds));
	for (unsigned p = 0; p < PATHS; p++)
		verify(p);
	close_store();
	return UNIT_RESULT();
}
