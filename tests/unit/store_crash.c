/*
 * store_crash - every commit, stopped before each of its system calls
 *
 * The calls that change the disk are defined here, over those of the C
 * library.  They serve three tests.
 *
 * Death: a child stops before its n-th such call, for every n; what it left
 * must hold the old or the new newest version, whole, all older ones, and
 * take the next commit.  Who looks right after is told of the new version
 * only when it is on disk, and of a noted one the outbox has the entry.
 *
 * Life: the child only holds still there.  Of a version of a file who looks
 * meanwhile is told nothing, and does not wait.
 *
 * Order: what a power cut may take back is tracked (names put into a
 * directory, bytes and attributes of a file, until each is synced), and
 * nothing may show in tree/ that rests on something not yet synced; when a
 * commit returns, nothing at all may be left unsynced.
 */
#include "store_unit.h"

#include "fs.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>

/* How a child ends. */
enum { DONE, STOPPED, FAILED, ACKNOWLEDGED /* though a call failed */, LOCKED };

static atomic_long calls;		/* also by the outbox's thread */
static long stop_before;		/* 0: never */
static int fail_with;			/* then the call fails with this; 0: the process ends */
static int holds_at = -1;		/* or else says so here, and holds still; -1: it does not */

static bool syncs_fail, tree_syncs_fail, links_fail;
static atomic_bool next_tree_sync_fails;	/* after a while */

/* What would be lost now.  Shared with children, who leave it behind. */
struct unsynced {
	ino_t inode;		/* the file's, or the directory's a name was changed in */
	char name[300];		/* "" for the file itself */
	bool history;		/* must be on disk before anything shows in tree/: the outbox, too */
};
static struct losses {
	struct unsynced items[64];
	size_t count;
} *lost;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static bool tracking;
static unsigned file_system_syncs;

static ino_t inode_of(int dir, const char *name)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) == 0 ? st.st_ino : 0;
}

/* The directory that holds the last component of name. */
static ino_t inode_above(int dir, const char *name)
{
	struct str parent = path_parent(str_of(name));
	char text[PATH_BYTES * 2];

	snprintf(text, sizeof text, "%.*s", STR_ARG(parent));
	return inode_of(dir, text);
}

/* The part of the store an open file lies in: 't'ree, 'h'istory, 'o'utbox, or another. */
static char part_of(int fd)
{
	char link[40], path[4096];
	size_t n = strlen(root);

	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	if (fs_read_link(AT_FDCWD, link, path, sizeof path) < 0 || strncmp(path, root, n) != 0)
		return '?';
	return path[n] == '\0' || strncmp(path + n, "/tmp", 4) == 0 ? '?' : path[n + 1];
}

static void lose(ino_t inode, const char *name, bool history)
{
	struct unsynced *item;

	pthread_mutex_lock(&mutex);
	if (lost->count == 64)
		abort();
	item = &lost->items[lost->count++];
	item->inode = inode;
	item->history = history;
	snprintf(item->name, sizeof item->name, "%s", name);
	pthread_mutex_unlock(&mutex);
}

static void keep_safe(ino_t inode)
{
	size_t kept = 0;

	pthread_mutex_lock(&mutex);
	for (size_t i = 0; i < lost->count; i++)
		if (lost->items[i].inode != inode)
			lost->items[kept++] = lost->items[i];
	lost->count = kept;
	pthread_mutex_unlock(&mutex);
}

static bool is_lost(ino_t inode)
{
	bool found = false;

	pthread_mutex_lock(&mutex);
	for (size_t i = 0; i < lost->count; i++)
		found |= lost->items[i].inode == inode;
	pthread_mutex_unlock(&mutex);
	return found;
}

/* Names alone, or entries of the outbox, too. */
static size_t lost_in_history(bool names)
{
	size_t count = 0;

	pthread_mutex_lock(&mutex);
	for (size_t i = 0; i < lost->count; i++)
		count += lost->items[i].history && (!names || lost->items[i].name[0] != '\0');
	pthread_mutex_unlock(&mutex);
	return count;
}

/* A name in dir changes; inode: what it will stand for, or 0. */
static void name_changes(int dir, const char *name, ino_t inode)
{
	char part = part_of(dir);

	if (!tracking || (part != 't' && part != 'h'))
		return;
	CHECK(inode == 0 || !is_lost(inode));
	if (part == 't')
		CHECK(lost_in_history(false) == 0);
	lose(inode_above(dir, name), name, part == 'h');
}

/* The child goes no further. */
static void hold_or_end(void)
{
	if (holds_at < 0 || write(holds_at, "", 1) != 1)
		_exit(STOPPED);
	for (;;)
		pause();
}

/* True: this call is to fail. */
static bool fails(void)
{
	if (stop_before == 0 || atomic_fetch_add(&calls, 1) + 1 != stop_before)
		return false;
	if (fail_with == 0)
		hold_or_end();
	errno = fail_with;
	return true;
}

int fsync(int fd)
{
	bool fail = syncs_fail || (tree_syncs_fail && part_of(fd) == 't');

	if (fail)
		errno = EIO;
	if (fail || fails())
		return -1;
	keep_safe(inode_of(fd, ""));
	return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
	return fsync(fd);
}

/* Only what a process that died has left is synced so. */
int syncfs(int fd)
{
	bool fails_now = atomic_exchange(&next_tree_sync_fails, false);

	if (fails_now)
		usleep(200000);
	if (fails_now || tree_syncs_fail) {
		errno = EIO;
		return -1;
	}
	file_system_syncs++;
	lost->count = 0;
	return fd < 0;
}

/* To the outbox; a mark of one byte may be lost. */
ssize_t pwrite(int fd, const void *bytes, size_t n, off_t offset)
{
	bool entry = n > 1 && part_of(fd) == 'o';

	if (entry && fails())
		return -1;
	if (entry && tracking)
		lose(inode_of(fd, ""), "", true);
	return syscall(SYS_pwrite64, fd, bytes, n, offset);
}

int linkat(int from, const char *old, int dir, const char *name, int flags)
{
	if (fails())
		return -1;
	name_changes(dir, name, inode_of(from, old));
	return (int)syscall(SYS_linkat, from, old, dir, name, flags);
}

int renameat(int from, const char *old, int dir, const char *name)
{
	if (fails())
		return -1;
	name_changes(dir, name, inode_of(from, old));
	return (int)syscall(SYS_renameat2, from, old, dir, name, 0);
}

int renameat2(int from, const char *old, int dir, const char *name, unsigned flags)
{
	if (fails())
		return -1;
	name_changes(dir, name, inode_of(from, old));
	return (int)syscall(SYS_renameat2, from, old, dir, name, flags);
}

int symlinkat(const char *text, int dir, const char *name)
{
	if (fails())
		return -1;
	name_changes(dir, name, 0);
	return (int)syscall(SYS_symlinkat, text, dir, name);
}

int unlinkat(int dir, const char *name, int flags)
{
	if (fails())
		return -1;
	name_changes(dir, name, 0);
	return (int)syscall(SYS_unlinkat, dir, name, flags);
}

int mkdirat(int dir, const char *name, mode_t mode)
{
	if (fails())
		return -1;
	name_changes(dir, name, 0);
	return (int)syscall(SYS_mkdirat, dir, name, mode);
}

int fsetxattr(int fd, const char *name, const void *value, size_t size, int flags)
{
	struct stat st;

	if (fails())
		return -1;
	CHECK(fstat(fd, &st) == 0);
	if (tracking && S_ISDIR(st.st_mode))
		CHECK(lost->count == 0);	/* a record vouches for the directory's own name */
	if (tracking)
		lose(st.st_ino, "", false);
	return (int)syscall(SYS_fsetxattr, fd, name, value, size, flags);
}

int futimens(int fd, const struct timespec times[2])
{
	if (fails())
		return -1;
	if (tracking)
		lose(inode_of(fd, ""), "", false);
	return (int)syscall(SYS_utimensat, fd, NULL, times, 0);
}

ssize_t readlinkat(int dir, const char *name, char *to, size_t cap)
{
	if (links_fail)
		errno = EIO;
	return links_fail ? -1 : syscall(SYS_readlinkat, dir, name, to, cap);
}

int fchmod(int fd, mode_t mode)
{
	if (fails())
		return -1;
	if (tracking)
		CHECK(lost_in_history(true) == 0);	/* open to the group: trusted from now on */
	return (int)syscall(SYS_fchmod, fd, mode);
}

/* The commits; each knows its path, and ends with the newest content or none. */

struct scenario {
	const char *name;
	void (*prepare)(const char *path);	/* NULL: nothing */
	enum err_kind (*act)(const char *path);
	const char *before, *after;	/* newest content; NULL: none */
	enum { FILE_STAYS, VERSION_COMES, DIRECTORY_COMES } kind;
};

static uint64_t far_ahead = UINT64_C(7000000000) * 1000000000;
static uint64_t long_ago = UINT64_C(1600000000) * 1000000000;

static const char *below(const char *path, const char *name)
{
	static char text[PATH_BYTES];

	snprintf(text, sizeof text, "%s/%s", path, name);
	return text;
}

static void old_file(const char *path)
{
	CHECK(put(path, "old") == ERR_NONE);
}

static void older_and_old_file(const char *path)
{
	CHECK(put(path, "older") == ERR_NONE && put(path, "old") == ERR_NONE);
}

static void deleted_file(const char *path)
{
	old_file(path);
	CHECK(with_flags(path, RECORD_DELETED) == ERR_NONE);
}

static void empty_directory(const char *path)
{
	CHECK(with_flags(path, RECORD_DIRECTORY) == ERR_NONE);
}

static void pointer_there(const char *path)
{
	struct commit c = COMMIT_INIT;
	struct record pointer;

	c.fixed = (struct version){ .time = far_ahead, .node = 7 };
	CHECK(commit(&c, below(path, "model"), "new") == ERR_NONE);
	pointer = c.record;
	c = (struct commit)COMMIT_INIT;
	c.pointer = &pointer;
	CHECK(commit(&c, below(path, "file"), NULL) == ERR_NONE);
}

static void write_by_hand(const char *path)
{
	int fd = open(in_store("tree/", path), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	CHECK(fd >= 0 && write(fd, "hand", 4) == 4);
	close(fd);
}

static void old_and_foreign(const char *path)
{
	old_file(path);
	write_by_hand(path);
}

static enum err_kind act_put(const char *path)
{
	return put(path, "new");
}

static enum err_kind act_put_below(const char *path)
{
	return put(below(path, "a/b/c"), "new");
}

static enum err_kind act_delete(const char *path)
{
	return with_flags(path, RECORD_DELETED);
}

static enum err_kind act_mkdir(const char *path)
{
	return with_flags(path, RECORD_DIRECTORY);
}

static enum err_kind act_rmdir(const char *path)
{
	return with_flags(path, RECORD_DELETED | RECORD_DIRECTORY);
}

static enum err_kind act_put_ahead(const char *path)
{
	struct commit c = COMMIT_INIT;

	c.above.time = far_ahead;
	return commit(&c, path, "new");
}

static enum err_kind act_old_version(const char *path)
{
	struct commit c = COMMIT_INIT;

	c.fixed = (struct version){ .time = long_ago, .node = 7 };
	return commit(&c, path, "ancient");
}

static enum err_kind act_content(const char *path)
{
	struct commit c = COMMIT_INIT;

	c.fixed = (struct version){ .time = far_ahead, .node = 7 };
	return commit(&c, below(path, "file"), "new");
}

/* Made elsewhere. */
static enum err_kind made(const char *path, uint64_t time, uint8_t flags, const char *body)
{
	struct commit c = { .fixed = { .time = time, .node = 7 }, .flags = flags };

	return commit(&c, path, body);
}

static enum err_kind act_child_of_file(const char *path)
{
	return made(below(path, "child"), far_ahead, 0, "child");
}

static enum err_kind act_entry(const char *path)
{
	return made(path, long_ago, RECORD_DIRECTORY, NULL);
}

/* Below a file's version, and above it. */
static enum err_kind act_early_end(const char *path)
{
	return made(path, long_ago + 1, RECORD_DELETED | RECORD_DIRECTORY, NULL);
}

static enum err_kind act_end(const char *path)
{
	return made(path, far_ahead, RECORD_DELETED | RECORD_DIRECTORY, NULL);
}

static enum err_kind act_put_in_group(const char *path)
{
	struct commit c = COMMIT_INIT;

	return commit(&c, path, "new");
}

static const char *gate_of(const char *path)
{
	static char text[PATH_BYTES];

	snprintf(text, sizeof text, "%s/", path);
	return text;
}

static enum err_kind act_gate(const char *path)
{
	return with_flags(gate_of(path), RECORD_DELETED);
}

static enum err_kind act_gate_elsewhere(const char *path)
{
	return made(gate_of(path), far_ahead, RECORD_DELETED, NULL);
}

static enum err_kind act_prune(const char *path)
{
	uint64_t bytes;

	return prune(path, 1, &bytes) >= 0 ? ERR_NONE : why.kind;
}

/* The same with an outbox, which lives no longer than the commit. */
static enum err_kind noted(const char *path, uint8_t flags, const char *body)
{
	struct commit c = COMMIT_INIT;
	enum err_kind kind;

	if (outbox_open(&c.outbox, store, &why) < 0)
		return why.kind;
	c.flags = flags;
	kind = commit(&c, path, body);
	outbox_close(c.outbox);
	return kind;
}

static enum err_kind act_put_noted(const char *path)
{
	return noted(path, 0, "new");
}

static enum err_kind act_delete_noted(const char *path)
{
	return noted(path, RECORD_DELETED, NULL);
}

/* The n-th version, the newest first, keeps only its record. */
static enum err_kind evict(const char *path, size_t n)
{
	struct history h = HISTORY_INIT;
	uint64_t bytes = 0;
	int status = -1;

	if (store_history(store, str_of(path), &h, &why) == 0 && h.count > n)
		status = store_evict(store, str_of(path), h.entries[n].record.version, &bytes, &why);
	history_clear(&h);
	return status == 0 ? ERR_NONE : why.kind;
}

static enum err_kind act_evict(const char *path)
{
	return evict(path, 0);
}

static enum err_kind act_evict_older(const char *path)
{
	return evict(path, 1);
}

static enum err_kind act_prune_contents(const char *path)
{
	struct prune_rule rule = { .versions = 10, .before = UINT64_MAX };
	struct prune_count count = { .records = 0 };

	return store_prune(store, str_of(path), &rule, &count, &why) == 0 ? ERR_NONE : why.kind;
}

/* A byte of the newest version is another, and nothing tells of it. */
static void spoil(const char *path)
{
	int fd = open(in_store("tree/", path), O_RDWR);
	struct stat st;

	CHECK(fd >= 0 && fstat(fd, &st) == 0 && write(fd, "O", 1) == 1);
	CHECK(futimens(fd, (struct timespec[2]){ { .tv_nsec = UTIME_OMIT }, st.st_mtim }) == 0);
	close(fd);
}

static void spoiled_file(const char *path)
{
	old_file(path);
	spoil(path);
}

static void spoiled_older_file(const char *path)
{
	spoiled_file(path);
	old_file(path);
}

static bool go_on(void *data, size_t bytes)
{
	(void)data, (void)bytes;
	return true;
}

static void was_bad(void *data, const struct scrub_bad *bad)
{
	(void)data, (void)bad;
}

static void not_scrubbed(void *data, struct str path, const struct err *err)
{
	(void)data, (void)path;
	why = *err;
}

static enum err_kind act_scrub(const char *path)
{
	struct scrub scrub = { .go_on = go_on, .bad = was_bad, .failed = not_scrubbed };

	if (store_scrub(store, str_of(path), &scrub, &why) < 0 || scrub.failed_count > 0)
		return why.kind;
	return scrub.bad_count == 1 ? ERR_NONE : ERR_SYSTEM;
}

static void file_after_deletion(const char *path)
{
	deleted_file(path);
	old_file(path);
}

/* Below it is what was made elsewhere: it waits in history. */
static void file_waits(const char *path)
{
	old_file(path);
	CHECK(act_child_of_file(path) == ERR_NONE && !get(path).directory && holds(path, "old"));
}

static void entry_over_file(const char *path)
{
	old_file(path);
	CHECK(act_entry(path) == ERR_NONE && get(path).directory);
}

static void directory_holds(const char *path)
{
	CHECK(act_child_of_file(path) == ERR_NONE && stands(path, NAME_ABSENT));
}

static void older_gate(const char *path)
{
	CHECK(made(gate_of(path), long_ago, RECORD_DELETED, NULL) == ERR_NONE);
}

static enum err_kind act_delete_child(const char *path)
{
	return with_flags(below(path, "child"), RECORD_DELETED);
}

static void nobody(void *data, struct str path, const struct record *record)
{
	(void)data, (void)path, (void)record;
}

static enum err_kind act_adopt(const char *path)
{
	uint64_t count = 0;

	return store_adopt(store, str_of(path), NULL, nobody, NULL, &count, &why) == 0 && count == 1
		       ? ERR_NONE : ERR_SYSTEM;
}

static const struct scenario scenarios[] = {
	{ "first version", NULL, act_put, NULL, "new", VERSION_COMES },
	{ "second version", old_file, act_put, "old", "new", VERSION_COMES },
	{ "third version", older_and_old_file, act_put, "old", "new", VERSION_COMES },
	{ "version ahead of the clock", old_file, act_put_ahead, "old", "new", VERSION_COMES },
	{ "first version ahead of the clock", NULL, act_put_ahead, NULL, "new", VERSION_COMES },
	{ "deletion", older_and_old_file, act_delete, "old", NULL, VERSION_COMES },
	{ "deletion of nothing", NULL, act_delete, NULL, NULL, VERSION_COMES },
	{ "version after a deletion", deleted_file, act_put, NULL, "new", VERSION_COMES },
	{ "old version from elsewhere", old_file, act_old_version, "old", "old", VERSION_COMES },
	{ "first version in new directories", NULL, act_put_below, NULL, NULL, DIRECTORY_COMES },
	{ "directory", NULL, act_mkdir, NULL, NULL, DIRECTORY_COMES },
	{ "directory after a deletion", deleted_file, act_mkdir, NULL, NULL, DIRECTORY_COMES },
	{ "removal of a directory", empty_directory, act_rmdir, NULL, NULL, FILE_STAYS },
	{ "file below a file", old_file, act_child_of_file, "old", "old", FILE_STAYS },
	{ "entry over a file", old_file, act_entry, "old", "old", DIRECTORY_COMES },
	{ "end of an entry over a file", entry_over_file, act_early_end, "old", "old", FILE_STAYS },
	{ "end of an entry above a file", entry_over_file, act_end, "old", "old", FILE_STAYS },
	{ "end above a file", old_file, act_end, "old", "old", FILE_STAYS },
	{ "version that waits", directory_holds, act_put_in_group, NULL, "new", FILE_STAYS },
	{ "version after one that waits", file_waits, act_put_in_group, "old", "new", FILE_STAYS },
	{ "first gate", NULL, act_gate, NULL, NULL, FILE_STAYS },
	{ "gate", older_gate, act_gate, NULL, NULL, FILE_STAYS },
	{ "gate from elsewhere", older_gate, act_gate_elsewhere, NULL, NULL, FILE_STAYS },
	{ "content of a pointer", pointer_there, act_content, NULL, NULL, FILE_STAYS },
	{ "version over a person's file", old_and_foreign, act_put, NULL, "new", FILE_STAYS },
	{ "adoption", old_and_foreign, act_adopt, NULL, "hand", FILE_STAYS },
	{ "pruning", older_and_old_file, act_prune, "old", "old", FILE_STAYS },
	{ "pruning of a tombstone", file_after_deletion, act_prune, "old", "old", FILE_STAYS },
	{ "pruning of contents", older_and_old_file, act_prune_contents, "old", "old",
	  FILE_STAYS },
	{ "eviction", old_file, act_evict, "old", NULL, FILE_STAYS },
	{ "eviction of an older version", older_and_old_file, act_evict_older, "old", "old",
	  FILE_STAYS },
	{ "setting aside", spoiled_file, act_scrub, "Old", NULL, FILE_STAYS },
	{ "setting aside of an older version", spoiled_older_file, act_scrub, "old", "old",
	  FILE_STAYS },
	{ "version in the outbox", old_file, act_put_noted, "old", "new", VERSION_COMES },
	{ "deletion in the outbox", old_file, act_delete_noted, "old", NULL, VERSION_COMES },
	{ "removal of a directory elsewhere", empty_directory, act_end, NULL, NULL,
	  FILE_STAYS },
	{ "last name in a directory over a file", file_waits, act_delete_child, "old", "old",
	  FILE_STAYS },
};

/* All that is noted is known here, and done; *data is the version that must be among them. */
static int drain(void *data, const struct outbox_entry *entry)
{
	struct version *wanted = data;

	if (version_cmp(entry->version, *wanted) == 0)
		*wanted = VERSION_NONE;
	outbox_done(store, entry->mark);
	return 0;
}

/* Whoever was stopped had noted what shows now. */
static void verify_noted(const struct scenario *s, const char *path)
{
	struct outbox_reader *reader = outbox_reader_new(store);
	struct version newest = get(path).record.version;

	if (s->act == act_put_noted ? !holds(path, "new") : !holds(path, NULL))
		newest = VERSION_NONE;
	CHECK(outbox_read(reader, drain, &newest, &why) == 0 && version_is_none(newest));
	outbox_reader_free(reader);
	CHECK(outbox_remove_done(store, &why) == 0);
}

static bool is_end(const struct scenario *s)
{
	return (s->act == act_end || s->act == act_early_end) && s->before != NULL;
}

static struct version gate(const char *path)
{
	struct version v = VERSION_NONE;

	CHECK(store_gate(store, str_of(path), &v, &why) == 0);
	return v;
}

/*
 * A child has just died.  Whoever looks now is told of what it had done only
 * when that is on disk, and finds that the counter of changes was raised.
 */
static void verify_visible(const struct scenario *s, const char *path)
{
	uint64_t changes = store_changes(store, path_partition(str_of(path)));
	struct store_entry entry;

	file_system_syncs = 0;
	entry = get(path);
	if (s->kind == DIRECTORY_COMES
		    ? entry.directory
		    : !entry.directory && s->after != s->before &&
			      entry.content == (s->after != NULL))
		CHECK(holds(path, s->before) || lost->count == 0);
	if (is_end(s) && stands(path, s->act == act_early_end ? NAME_FILE : NAME_ABSENT))
		CHECK(lost->count == 0);
	if ((s->act == act_gate || s->act == act_gate_elsewhere) &&
	    gate(path).time > (s->prepare != NULL ? long_ago : 0))
		CHECK(lost->count == 0);
	if (file_system_syncs > 0)
		CHECK(store_changes(store, path_partition(str_of(path))) > changes);
	store_entry_clear(&entry);
}

/* Every version history tells of can be read, and its content matches its record. */
static size_t whole(const char *path)
{
	struct history h = HISTORY_INIT;
	size_t count;

	CHECK(store_history(store, str_of(path), &h, &why) == 0);
	for (size_t i = 0; i < h.count; i++) {
		struct store_entry entry = STORE_ENTRY_INIT;
		struct stat st;

		CHECK(store_version(store, str_of(path), h.entries[i].record.version,
				    STORE_CONTENT, &entry, &why) == 0);
		CHECK(record_eq(&entry.record, &h.entries[i].record));
		CHECK(entry.content == h.entries[i].content);
		if (entry.fd >= 0)
			CHECK(fstat(entry.fd, &st) == 0 &&
			      (uint64_t)st.st_size == entry.record.size);
		store_entry_clear(&entry);
	}
	count = h.count;
	history_clear(&h);
	return count;
}

static bool is_file(const char *path)
{
	struct stat st;

	return lstat(in_store("tree/", path), &st) == 0 && S_ISREG(st.st_mode);
}

/* What is below the file goes, which then is in tree/ again. */
static void verify_waiting(const char *path, bool acknowledged)
{
	CHECK(holds(below(path, "child"), "child") || !acknowledged);
	CHECK(act_delete_child(path) == ERR_NONE && is_file(path));
}

/* The end counts or does not; after what was acknowledged no directory is left behind. */
static void verify_end(const struct scenario *s, const char *path, bool acknowledged)
{
	enum name_kind then = s->act == act_early_end ? NAME_FILE : NAME_ABSENT;
	enum name_kind was = s->prepare == old_file ? NAME_FILE : NAME_DIRECTORY;

	CHECK(stands(path, then) || (!acknowledged && stands(path, was)));
	CHECK(s->act(path) == ERR_NONE && stands(path, then) && holds(path, "old"));
	if (fail_with == 0)
		CHECK(is_file(path) == (then == NAME_FILE));
}

/* It never goes back; and the next one is above it. */
static void verify_gate(const struct scenario *s, const char *path, bool acknowledged)
{
	struct version was = gate(path);
	bool new = was.time > long_ago;

	CHECK(new || (!acknowledged && was.time == (s->prepare != NULL ? long_ago : 0)));
	CHECK(with_flags(gate_of(path), RECORD_DELETED) == ERR_NONE);
	CHECK(version_cmp(gate(path), was) > 0);
	was = gate(path);
	CHECK(made(gate_of(path), long_ago, RECORD_DELETED, NULL) == ERR_NONE);
	CHECK(version_cmp(gate(path), was) == 0);
}

/* What a stopped commit left behind; acknowledged: it had returned 0. */
static void verify(const struct scenario *s, const char *path, size_t had, bool acknowledged)
{
	size_t now = whole(path);
	bool directory = get(path).directory;

	if (s->act != act_prune && s->act != act_adopt)
		CHECK(now >= had);
	if (s->act == act_put_noted || s->act == act_delete_noted)
		verify_noted(s, path);
	if (s->kind == DIRECTORY_COMES) {
		CHECK(directory || !acknowledged);
		CHECK(directory || holds(path, s->before));
		CHECK(put(below(path, "next"), "next") == ERR_NONE ||
		      (!directory && s->before != NULL));
		CHECK(s->act != act_put_below || put(below(path, "a/b/c"), "next") == ERR_NONE);
		return;
	}
	if (s->act == act_content)
		CHECK(holds(below(path, "file"), "new") || !acknowledged);
	if (is_end(s))
		verify_end(s, path, acknowledged);
	if (s->act == act_gate || s->act == act_gate_elsewhere)
		verify_gate(s, path, acknowledged);
	if (s->act == act_child_of_file)
		verify_waiting(path, acknowledged);
	if (acknowledged && s->act == act_delete_child)
		CHECK(holds(below(path, "child"), NULL));
	if (acknowledged)
		CHECK(holds(path, s->after));
	else	/* over a person's file what history has may show meanwhile */
		CHECK(holds(path, s->after) || holds(path, s->before) ||
		      (get(path).foreign && holds(path, NULL)));
	if (s->act == act_delete_child)	/* tidying up may have been cut short */
		CHECK(act_delete_child(path) == ERR_NONE && (fail_with != 0 || is_file(path)));
	else if (get(path).directory)
		CHECK(act_rmdir(path) == ERR_NONE);
	CHECK(act_put_ahead(path) == ERR_NONE && holds(path, "new"));
	CHECK(act_put_ahead(path) == ERR_NONE && whole(path) >= 2);
	CHECK(act_delete(path) == ERR_NONE && holds(path, NULL));
}

/* Whatever came of a commit, the next one of any path waits for nobody. */
static bool locks_are_held(void)
{
	struct flock all = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = open(in_store("locks", ""), O_RDWR | O_CLOEXEC);
	bool held = fd < 0 || fcntl(fd, F_OFD_GETLK, &all) < 0 || all.l_type != F_UNLCK;

	if (fd >= 0)
		close(fd);
	return held;
}

/*
 * The scenario, stopped before its n-th call (or this call fails with
 * fail_with).  False when it was not: it had fewer.
 */
static bool stopped_at(const struct scenario *s, size_t index, long n)
{
	char path[40];
	size_t had, in_tmp;
	int status = -1;
	pid_t child;

	snprintf(path, sizeof path, "s%zu/n%ld.%d", index, n, fail_with);
	CHECK(with_flags("s0", RECORD_DIRECTORY) == ERR_NONE);
	if (s->prepare != NULL)
		s->prepare(path);
	had = versions(path);
	in_tmp = names_in(in_store("tmp", ""));
	lost->count = 0;
	child = fork();
	if (child == 0) {
		enum err_kind kind;

		tracking = fail_with == 0;
		stop_before = n;
		kind = s->act(path);
		if (locks_are_held())
			_exit(LOCKED);
		_exit(kind == ERR_NONE ? calls < n ? DONE : ACKNOWLEDGED : FAILED);
	}
	CHECK(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status));
	status = WEXITSTATUS(status);
	CHECK(status == DONE || (fail_with == 0 ? status == STOPPED
						: status == FAILED || status == ACKNOWLEDGED));
	CHECK(status != FAILED || names_in(in_store("tmp", "")) == in_tmp);
	if (status == FAILED && fail_with == EIO && s->kind == VERSION_COMES)
		CHECK(holds(path, s->before) && versions(path) == had);
	if (status == STOPPED)
		verify_visible(s, path);
	verify(s, path, had, status == DONE || status == ACKNOWLEDGED);
	return status != DONE;
}

/*
 * The scenario holds still before its n-th call: for a reader nothing has
 * happened yet.  False when it has fewer.
 */
static bool held_at(const struct scenario *s, size_t index, long n)
{
	int ends[2] = { -1, -1 }, status = -1;
	char path[40], byte;
	size_t had;
	bool held;
	pid_t child;

	snprintf(path, sizeof path, "s%zu/held%ld", index, n);
	if (s->prepare != NULL)
		s->prepare(path);
	had = versions(path);
	CHECK(pipe(ends) == 0);
	child = fork();
	if (child == 0) {
		close(ends[0]);
		stop_before = n;
		holds_at = ends[1];
		_exit(s->act(path) == ERR_NONE ? DONE : FAILED);
	}
	close(ends[1]);
	held = read(ends[0], &byte, 1) == 1;
	if (held) {
		CHECK(!store_would_wait(store, str_of(path)));
		CHECK(holds(path, s->before) && versions(path) == had);
	}
	kill(child, SIGKILL);
	CHECK(waitpid(child, &status, 0) == child);
	close(ends[0]);
	return held;
}

static void hold_everywhere(const struct scenario *s, size_t index)
{
	int failed = unit_failures;
	long n = 1;

	alarm(60);	/* who waited would wait for ever */
	while (unit_failures == failed && held_at(s, index, n))
		n++;
	alarm(0);
	if (unit_failures > failed)
		fprintf(stderr, "held at call %ld of: %s\n", n, s->name);
	CHECK(n > 1);
}

static void stop_everywhere(const struct scenario *s, size_t index)
{
	int failed = unit_failures;
	long n = 1;

	while (unit_failures == failed && stopped_at(s, index, n))
		n++;
	if (unit_failures > failed)
		fprintf(stderr, "call %ld of: %s (%d)\n", n, s->name, fail_with);
	else if (fail_with == 0)
		printf("%-36s %3ld calls\n", s->name, n - 1);
	CHECK(n > 1);
}

/* After a failed fsync nothing more is accepted, until the store is opened again. */
static void sticky(void)
{
	struct store_options options = { .path = root };
	struct store *other;

	CHECK(put("sticky", "old") == ERR_NONE);
	CHECK(store_open(&other, &options, &why) == 0);
	syncs_fail = true;
	CHECK(put("sticky", "new") == ERR_SYSTEM);
	CHECK(store_writable(other, &why) < 0);	/* another program of the node */
	syncs_fail = false;
	alarm(60);
	while (store_writable(other, &why) < 0)
		usleep(10000);
	alarm(0);
	store_close(other);
	CHECK(store_writable(store, &why) < 0);
	CHECK(with_flags("sticky", RECORD_DELETED) == ERR_AWAY);
	CHECK(with_flags("sticky directory", RECORD_DIRECTORY) == ERR_AWAY);
	CHECK(holds("sticky", "old"));
	store_close(store);
	CHECK(store_open(&store, &options, &why) == 0 && store_writable(store, &why) == 0);
	CHECK(put("sticky", "newest") == ERR_NONE && holds("sticky", "newest"));
}

/* What a sync that failed left in doubt keeps nobody from reading what was there before, while all syncs fail. */
static void read_in_doubt(void)
{
	struct store_options options = { .path = root };
	struct listing listing = LISTING_INIT;

	CHECK(put("doubted/f", "old") == ERR_NONE);
	tree_syncs_fail = true;
	CHECK(put("doubted/f", "new") == ERR_SYSTEM);
	store_close(store);
	CHECK(store_open(&store, &options, &why) == 0);
	CHECK(holds("doubted/f", "old") && versions("doubted/f") == 1);
	CHECK(store_list(store, STR("doubted"), (struct str)STR_INIT, 0, false, &listing, &why) == 0);
	CHECK(listing.count == 1 && listing.entries[0].record.size == 3);
	listing_clear(&listing);
	CHECK(store_writable(store, &why) < 0);
	tree_syncs_fail = false;
	store_close(store);
	CHECK(store_open(&store, &options, &why) == 0);
	CHECK(put("doubted/f", "newest") == ERR_NONE && holds("doubted/f", "newest"));
}

/* A child dies in the middle of a commit, and has left what must be synced before anybody is told of it. */
static void dies_in(const char *path)
{
	for (long n = 1; n < 50 && !store_would_wait(store, str_of(path)); n++) {
		pid_t child = fork();

		if (child == 0) {
			stop_before = n;
			_exit(put(path, "of the dead") == ERR_NONE ? DONE : FAILED);
		}
		CHECK(child > 0 && waitpid(child, NULL, 0) == child);
	}
	CHECK(store_would_wait(store, str_of(path)));
}

static void *await_beside(void *kind)
{
	struct err err = ERR_INIT;

	*(enum err_kind *)kind = store_await(store, STR("dead/one"), &err) == 0 ? ERR_NONE : err.kind;
	return NULL;
}

/* That what two of them have left cannot be synced is told to one of those who come after them, and known to both. */
static void sync_fails_for_another(void)
{
	struct store_options options = { .path = root };
	enum err_kind beside = ERR_NONE;
	pthread_t thread;

	dies_in("dead/one");
	dies_in("dead/two");
	atomic_store(&next_tree_sync_fails, true);
	CHECK(pthread_create(&thread, NULL, await_beside, &beside) == 0);
	alarm(60);
	while (atomic_load(&next_tree_sync_fails))
		usleep(1000);
	alarm(0);
	CHECK(store_await(store, STR("dead/two"), &why) < 0 && why.kind == ERR_AWAY);
	pthread_join(thread, NULL);
	CHECK(beside == ERR_SYSTEM);
	store_close(store);
	CHECK(store_open(&store, &options, &why) == 0);
	CHECK(put("dead/two", "newest") == ERR_NONE && holds("dead/two", "newest"));
}

/* A tombstone that cannot be read just now is not taken for none: a version below it would be lost. */
static void unreadable(void)
{
	struct commit c = COMMIT_INIT;
	struct store_entry entry = STORE_ENTRY_INIT;

	c.above.time = far_ahead;
	c.flags = RECORD_DELETED;
	CHECK(put("mark", "old") == ERR_NONE && commit(&c, "mark", NULL) == ERR_NONE);
	links_fail = true;
	CHECK(put("mark", "new") == ERR_SYSTEM);
	CHECK(store_newest(store, STR("mark"), STORE_RECORD, &entry, &why) < 0);
	links_fail = false;
	CHECK(put("mark", "new") == ERR_NONE && holds("mark", "new"));
}

static void order(const struct scenario *s, size_t index)
{
	char path[40];
	int failed = unit_failures;

	snprintf(path, sizeof path, "s%zu/order", index);
	if (s->prepare != NULL)
		s->prepare(path);
	lost->count = 0;
	tracking = true;
	CHECK(s->act(path) == ERR_NONE);
	tracking = false;
	CHECK(lost->count == 0);
	for (size_t i = 0; i < lost->count; i++)
		fprintf(stderr, "not synced: %s\n", lost->items[i].name);
	if (unit_failures > failed)
		fprintf(stderr, "order of: %s\n", s->name);
}

int main(void)
{
	static const int ends[] = { 0, ENOSPC, EIO };

	lost = mmap(NULL, sizeof *lost, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (lost == MAP_FAILED || !open_store())
		return UNIT_RESULT();
	for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++) {
		order(&scenarios[i], i);
		fail_with = 0;
		if (scenarios[i].kind == VERSION_COMES)
			hold_everywhere(&scenarios[i], i);
		for (size_t k = 0; k < sizeof ends / sizeof ends[0]; k++) {
			fail_with = ends[k];
			stop_everywhere(&scenarios[i], i);
		}
	}
	sticky();
	read_in_doubt();
	sync_fails_for_another();
	unreadable();
	close_store();
	return UNIT_RESULT();
}
