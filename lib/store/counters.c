/*
 * counters - visible only when durable, and what has changed
 *
 * A table in the run directory, mapped by every process that has the store
 * open.  It has a slot per byte of the lock file: `begun` is raised by who
 * holds the lock, before the first name changes, and `done` made equal when
 * all of it is on disk, or in the log and named.  So a reader that looked and then finds them equal
 * has seen nothing that a power cut could take back, at no cost.
 *
 * If they differ, one version of one path is pending: whatever was seen
 * besides was on disk before the writer could take the lock.  The slot names
 * it and the one that was the newest before, so that a reader need not wait
 * for a slow disk: until `done` the older one is the answer.  A change that
 * is not just a version of a file names none, and the reader waits for the
 * lock.  If the lock is free, and they still differ under it, the writer died
 * or failed, and a sync of the whole file system makes what it left durable
 * (its entry in the log is made void first, unless its version has its name);
 * on a disk that cannot be synced it goes on being left out.
 *
 * The same table has a number per partition, raised with begun and again
 * with done (or by whoever cleans up after a writer that died: the slot
 * knows the partitions), and one for the directories there are; and whether a
 * sync failed in any of the processes.
 *
 * Where the last change was a deletion, the slot knows that nothing in the
 * path's history is above it: so the next version need not be chosen above
 * thousands of names, which it would have to read.  That holds until another
 * change begins in the slot, or the directory shows by its time that somebody
 * else had his hands in it.
 *
 * It also has what all processes of the node are to know of its clock, and
 * how many versions came from the future.
 *
 * A table is made anew when it is of another boot or of another store: what
 * can be seen after a power cut is on disk, and any other loss of the table
 * (the run directory was emptied) costs one sync of the file system.  One
 * that cannot be had because the disk cannot be written has a stand-in in
 * this process, until it can.
 */
#include "inside.h"

#include "clock.h"
#include "fs.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#define LOCK_FILE "locks"		/* in the store: whoever writes there meets it, wherever it runs */
#define SLOTS (1u << 14)		/* bytes of the lock file that are used */
#define MAGIC "covey counters6"		/* with its NUL: 16 bytes */
#define KNOWN (UINT64_C(1) << 48)	/* beside n: the record of the coming one was, before */
#define TRIES 8				/* to read: each is a version that came meanwhile */
#define TABLE_NAME "counters"
#define TABLE_NEW "counters.new"	/* on its way, under the store's lock */

/* What is pending is written only while begun = done: between two equal begun it is whole. */
struct slot {
	_Atomic uint32_t begun, done;
	_Atomic uint32_t where;		/* the partitions it is about: one, and another or the same */
	_Atomic uint64_t path;		/* its hash */
	_Atomic uint64_t time[2], node[2];	/* of the versions: the coming one, the one before */
	_Atomic uint64_t n[2];		/* the same; the coming one's with KNOWN */
	_Atomic uint64_t segment;	/* the coming one's entry in the log; 0: it has none */
	_Atomic uint32_t offset;
	/*
	 * ns since 1970: when the path's directory in history/ changed last, if
	 * no name in it is above the coming version; 0: that is not known.
	 */
	_Atomic uint64_t history_changed;
};

struct counters {
	char magic[sizeof MAGIC];
	char boot[BOOT_TEXT];
	uint64_t node;
	_Atomic int64_t clock_offset;	/* ns: the group's clock less this node's */
	_Atomic uint64_t ahead;		/* versions that came and were ahead of that clock */
	_Atomic uint32_t failing;	/* a sync failed, and none was tried since */
	_Atomic uint32_t replayed;	/* the log was, since this was made: what it has can be seen */
	_Atomic uint64_t directories;
	_Atomic uint64_t changes[PARTITIONS];
	struct slot slots[SLOTS];
};

static unsigned slot_of_hash(uint64_t hash)
{
	return (unsigned)(hash ^ hash >> 32) % SLOTS;
}

static unsigned slot_of(struct str path)
{
	return slot_of_hash(path_hash(path));
}

static char this_boot[BOOT_TEXT];

/*
 * The kernel's word, before the process confines itself to its files.  A unit of
 * systemd hides that file, and tells the same without the dashes.
 */
static void look_up_boot(void)
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	const char *told = getenv("COVEY_BOOT_ID");
	char text[BOOT_TEXT] = "";
	size_t n = 0;

	if (fd >= 0 && read(fd, text, sizeof text - 1) > 0)
		told = text;
	if (fd >= 0)
		close(fd);
	for (; told != NULL && *told != '\0' && n < sizeof this_boot - 1; told++)
		if (isxdigit((unsigned char)*told))
			this_boot[n++] = *told;
}

void read_boot(char to[BOOT_TEXT])
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, look_up_boot);
	memcpy(to, this_boot, BOOT_TEXT);
}

/* NULL: an error. */
static struct counters *map(struct store *store, int fd, struct err *err)
{
	void *at = mmap(NULL, sizeof(struct counters), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (at != MAP_FAILED)
		return at;
	err_sys(err, "map %s/" TABLE_NAME, store->run_path);
	return NULL;
}

/* Whoever has it mapped shares a lock on it, for counters_forget_dead(). */
static void table_hold(struct store *store, int fd)
{
	flock(fd, LOCK_SH);
	if (store->table >= 0)
		close(store->table);
	store->table = fd;
}

/* The table that is there, if it is this store's and of this boot; else NULL. */
static int open_table(struct store *store, int run, struct counters **ret, struct err *err)
{
	int fd = openat(run, TABLE_NAME, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	struct counters *table;
	char boot[BOOT_TEXT];
	struct stat st;

	*ret = NULL;
	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(err, "open %s/" TABLE_NAME, store->run_path);
	if (fstat(fd, &st) < 0 || st.st_size != sizeof *table) {
		close(fd);
		return 0;
	}
	table = map(store, fd, err);
	if (table == NULL) {
		close(fd);
		return -1;
	}
	read_boot(boot);
	if (memcmp(table->magic, MAGIC, sizeof table->magic) == 0 &&
	    memcmp(table->boot, boot, sizeof boot) == 0 && table->node == store->node) {
		*ret = table;
		table_hold(store, fd);
	} else {
		munmap(table, sizeof *table);
		close(fd);
	}
	return 0;
}

/* Its blocks are there before it is mapped: running out of them later would be fatal. */
static int fill_table(struct store *store, int fd, struct counters **ret, struct err *err)
{
	struct counters *table;

	errno = posix_fallocate(fd, 0, sizeof *table);
	if (errno != 0)
		return err_sys(err, "make %s/" TABLE_NAME, store->run_path);
	table = map(store, fd, err);
	if (table == NULL)
		return -1;
	memcpy(table->magic, MAGIC, sizeof table->magic);
	read_boot(table->boot);
	table->node = store->node;
	*ret = table;
	return 0;
}

static int make_table(struct store *store, int run, struct counters **ret, struct err *err)
{
	struct counters *table = NULL;
	int fd, status;

	unlinkat(run, TABLE_NEW, 0);	/* whoever left it there died */
	fd = openat(run, TABLE_NEW, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, FS_FILE_MODE);
	if (fd < 0)
		return err_sys(err, "make %s/" TABLE_NAME, store->run_path);
	status = fill_table(store, fd, &table, err);
	if (status == 0 && syncfs(store->dir) < 0)
		status = err_sys(err, "sync the file system of %s", store->path);
	if (status == 0 && renameat(run, TABLE_NEW, run, TABLE_NAME) < 0)
		status = err_sys(err, "name %s/" TABLE_NAME, store->run_path);
	if (status < 0) {
		unlinkat(run, TABLE_NEW, 0);
		if (table != NULL)
			munmap(table, sizeof *table);
		close(fd);
		return -1;
	}
	table_hold(store, fd);
	*ret = table;
	return 0;
}

/* Nobody writes meanwhile: so all that can be seen is as good as on disk. */
static int stand_in(struct store *store, struct err *err)
{
	void *at = mmap(NULL, sizeof *store->stand_in, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		return err_sys(err, "make counters");
	store->counters = store->stand_in = at;
	return 0;
}

static int open_shared(struct store *store, struct err *err)
{
	int run = open(store->run_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), status;
	struct counters *table = NULL;
	struct err why = ERR_INIT;

	if (run < 0)
		return err_sys(err, "open %s", store->run_path);
	status = open_table(store, run, &table, &why);
	if (status == 0 && table == NULL) {
		status = make_table(store, run, &table, &why);
		if (status < 0 && why.kind == ERR_FULL && disk_release_reserve(store))
			status = make_table(store, run, &table, &why);
	}
	close(run);
	if (status < 0)
		return err_pass(err, &why);
	store->counters = table;
	return 0;
}

int counters_open(struct store *store, bool stands_in, struct err *err)
{
	if (open_shared(store, stands_in ? NULL : err) == 0)
		return 0;
	return stands_in ? stand_in(store, err) : -1;
}

void counters_close(struct store *store)
{
	struct counters *table = store->counters;

	if (table != NULL && table != store->stand_in)
		munmap(table, sizeof *table);
	if (store->stand_in != NULL)
		munmap(store->stand_in, sizeof *store->stand_in);
	if (store->table >= 0)
		close(store->table);
	store->counters = store->stand_in = NULL;
}

void counters_note_failure(struct store *store, bool failing)
{
	if (store->counters != NULL)
		atomic_store(&store->counters->failing, failing);
}

bool counters_failing(const struct store *store)
{
	return atomic_load(&store->counters->failing) != 0;
}

/* Nobody is changing what the slot is about: all that was seen before this is on disk. */
static bool slot_is_still(const struct store *store, unsigned slot)
{
	const struct slot *s = &store->counters->slots[slot];

	return atomic_load(&s->done) == atomic_load(&s->begun);
}

bool counters_still(const struct store *store, uint64_t hash, uint32_t *ret_turn)
{
	const struct counters *table = store->counters;
	const struct slot *s = &table->slots[slot_of_hash(hash)];

	*ret_turn = atomic_load(&s->begun);
	return table != store->stand_in && atomic_load(&s->done) == *ret_turn;
}

/* What the slot is about has changed, or is about to. */
static void raise(struct counters *table, unsigned slot)
{
	uint32_t where = atomic_load(&table->slots[slot].where);

	atomic_fetch_add(&table->changes[where % PARTITIONS], 1);
	atomic_fetch_add(&table->changes[(where >> 16) % PARTITIONS], 1);
}

void counters_directories(struct store *store)
{
	atomic_fetch_add(&store->counters->directories, 1);
}

static void put_version(struct slot *s, int which, struct version v, bool known)
{
	atomic_store(&s->time[which], v.time);
	atomic_store(&s->node[which], v.node);
	atomic_store(&s->n[which], v.n | (known ? KNOWN : 0));
}

static struct version get_version(struct slot *s, int which)
{
	return (struct version){
		.time = atomic_load(&s->time[which]),
		.node = atomic_load(&s->node[which]),
		.n = atomic_load(&s->n[which]) & VERSION_N_MAX,
	};
}

void counters_begin(struct store *store, struct str path, enum change change,
		    const struct pending *pending)
{
	unsigned slot = slot_of(path);
	struct slot *s = &store->counters->slots[slot];
	uint32_t names = path_partition(path);
	uint32_t inside = change == CHANGE_GATE ? path_partition_of_directory(path) : names;

	atomic_store(&s->where, names | inside << 16);
	atomic_store(&s->path, path_hash(path));
	put_version(s, 0, pending != NULL ? pending->version : VERSION_NONE,
		    pending != NULL && pending->record_known);
	put_version(s, 1, pending != NULL ? pending->before : VERSION_NONE, false);
	atomic_store(&s->segment, pending != NULL ? pending->logged.segment : 0);
	atomic_store(&s->offset, pending != NULL ? pending->logged.offset : 0);
	atomic_store(&s->history_changed, 0);
	atomic_fetch_add(&s->begun, 1);
	raise(store->counters, slot);
	if (change != CHANGE_FILE)
		counters_directories(store);
}

static void slot_end(struct store *store, unsigned slot, enum change change)
{
	struct slot *s = &store->counters->slots[slot];

	if (change != CHANGE_FILE)
		counters_directories(store);
	raise(store->counters, slot);
	atomic_store(&s->done, atomic_load(&s->begun));
	/* Who noted the first of these may just have told of what was there before. */
	raise(store->counters, slot);
}

void counters_end(struct store *store, struct str path, enum change change)
{
	slot_end(store, slot_of(path), change);
}

void counters_note_greatest(struct store *store, struct str path, uint64_t changed)
{
	atomic_store(&store->counters->slots[slot_of(path)].history_changed, changed);
}

bool counters_know_greatest(const struct store *store, struct str path, uint64_t changed, struct version *ret)
{
	struct slot *s = &store->counters->slots[slot_of(path)];

	if (store->counters == store->stand_in || changed == 0 ||
	    atomic_load(&s->history_changed) != changed || atomic_load(&s->path) != path_hash(path))
		return false;
	*ret = get_version(s, 0);
	return true;
}

void counters_note_replayed(struct store *store)
{
	atomic_store(&store->counters->replayed, 1);
}

bool counters_replayed(const struct store *store)
{
	return atomic_load(&store->counters->replayed) != 0;
}

/* Who looked through all slots, or at many, has much of it mapped; the file keeps it, a stand-in would not. */
void store_rest(struct store *store)
{
	if (store->counters != store->stand_in)
		madvise(store->counters, sizeof *store->counters, MADV_DONTNEED);
}

bool counters_forget_dead(struct store *store)
{
	if (store->table < 0 || flock(store->table, LOCK_EX | LOCK_NB) < 0) {
		flock(store->table, LOCK_SH);	/* a try that failed has dropped it */
		return false;
	}
	for (unsigned slot = 0; slot < SLOTS; slot++)
		if (!slot_is_still(store, slot))
			slot_end(store, slot, CHANGE_DIRECTORY);
	flock(store->table, LOCK_SH);
	return true;
}

/* the paths' locks */

static int lock_open(const struct store *store)
{
	return openat(store->dir, LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC, FS_FILE_MODE);
}

static struct flock lock_byte(unsigned slot)
{
	return (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = slot, .l_len = 1 };
}

void lock_release(struct lock *lock)
{
	if (lock->fd >= 0)
		close(lock->fd);
	lock->fd = -1;
}

/*
 * One at a time: the kernel tells a failure to one of those who sync by one
 * descriptor, and nobody else is to have succeeded before all know of it.
 */
static int sync_all(struct store *store, struct err *err)
{
	int status;

	pthread_mutex_lock(&store->syncing);
	status = disk_check(store, false, err);
	if (status == 0 && syncfs(store->dir) < 0) {
		status = err_sys(err, "sync the file system of %s", store->path);
		disk_failed(store);
	}
	pthread_mutex_unlock(&store->syncing);
	return status;
}

/* Under the slot's lock: finish what somebody left who died. */
static int slot_finish_dead(struct store *store, unsigned slot, struct err *err)
{
	struct slot *s = &store->counters->slots[slot];
	struct wal_mark logged = { atomic_load(&s->segment), atomic_load(&s->offset) };

	if (slot_is_still(store, slot))
		return 0;
	if (disk_check(store, false, err) < 0)
		return -1;
	if (logged.segment != 0 && wal_finish_dead(store, logged, atomic_load(&s->path),
						   get_version(s, 0), err) < 0)
		return -1;
	if (sync_all(store, err) < 0)
		return -1;
	slot_end(store, slot, CHANGE_DIRECTORY);
	return 0;
}

static int slot_lock(struct store *store, struct lock *lock, unsigned slot, struct err *err)
{
	struct flock byte = lock_byte(slot);

	lock->fd = lock_open(store);
	if (lock->fd < 0)
		return err_sys(err, "open lock file " LOCK_FILE);
	while (fcntl(lock->fd, F_OFD_SETLKW, &byte) < 0) {
		if (errno == EINTR)
			continue;
		err_sys(err, "lock " LOCK_FILE);
		lock_release(lock);
		return -1;
	}
	if (slot_finish_dead(store, slot, err) == 0)
		return 0;
	lock_release(lock);
	return -1;
}

int counters_lock(struct store *store, struct lock *lock, struct str path, struct err *err)
{
	return slot_lock(store, lock, slot_of(path), err);
}

bool locks_begin(struct store *store, struct lock_set *set)
{
	set->fd = lock_open(store);
	set->count = 0;
	return set->fd >= 0;
}

void locks_end(struct lock_set *set)
{
	close(set->fd);
}

bool locks_add(struct store *store, struct lock_set *set, struct str path)
{
	unsigned slot = slot_of(path);
	struct flock byte = lock_byte(slot);

	for (size_t i = 0; i < set->count; i++)
		if (set->slots[i] == slot)
			return false;
	if (set->count == STORE_COMMIT_MOST || fcntl(set->fd, F_OFD_SETLK, &byte) < 0)
		return false;
	set->slots[set->count++] = slot;
	/* What died there takes a sync of the file system: not while others wait. */
	return slot_is_still(store, slot);
}

static bool slot_try_lock(struct store *store, struct lock *lock, unsigned slot)
{
	struct flock byte = lock_byte(slot);

	lock->fd = lock_open(store);
	if (lock->fd >= 0 && fcntl(lock->fd, F_OFD_SETLK, &byte) == 0)
		return true;
	lock_release(lock);
	return false;
}

bool counters_try_lock(struct store *store, struct lock *lock, uint64_t hash)
{
	return slot_try_lock(store, lock, slot_of_hash(hash));
}

/* contents on their way: bytes of the lock file beyond the paths', by what is coming */

static struct flock incoming_byte(struct str path, struct version v)
{
	struct buf name = BUF_INIT;
	char text[VERSION_TEXT];
	uint64_t hash;

	buf_addf(&name, "%.*s/%s", STR_ARG(path), version_format(text, v));
	hash = path_hash(buf_str(&name));
	buf_clear(&name);
	return (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)(SLOTS + (hash >> 2)),
			       .l_len = 1 };
}

int store_incoming_begin(const struct store *store, struct str path, struct version v)
{
	struct flock byte = incoming_byte(path, v);
	struct lock lock = { .fd = lock_open(store) };

	if (lock.fd >= 0 && fcntl(lock.fd, F_OFD_SETLK, &byte) < 0)
		lock_release(&lock);
	return lock.fd;
}

/* Where there is no lock file nobody has locked any of it. */
static bool byte_is_locked(const struct store *store, struct flock byte)
{
	struct lock lock = { .fd = openat(store->dir, LOCK_FILE, O_RDWR | O_CLOEXEC) };
	bool held = lock.fd >= 0 && fcntl(lock.fd, F_OFD_GETLK, &byte) == 0 && byte.l_type != F_UNLCK;

	lock_release(&lock);
	return held;
}

bool store_incoming(const struct store *store, struct str path, struct version v)
{
	return byte_is_locked(store, incoming_byte(path, v));
}

/* reading: what a power cut could not take back */

enum pending_kind {
	PENDING_NONE,
	PENDING_VERSION,		/* one version */
	PENDING_ANYTHING,
};

/* Of what was seen of the path before this; ret->turn is set always, the rest for PENDING_VERSION. */
static enum pending_kind slot_pending(const struct store *store, struct str path, struct pending *ret)
{
	uint64_t hash = path_hash(path);
	struct slot *s = &store->counters->slots[slot_of_hash(hash)];
	uint64_t of;

	do {
		ret->turn = atomic_load(&s->begun);
		if (atomic_load(&s->done) == ret->turn)
			return PENDING_NONE;
		of = atomic_load(&s->path);
		ret->version = get_version(s, 0);
		ret->record_known = atomic_load(&s->n[0]) & KNOWN;
		ret->before = get_version(s, 1);
		if (atomic_load(&s->done) == ret->turn)
			return PENDING_NONE;
	} while (atomic_load(&s->begun) != ret->turn);
	if (of != hash)
		return PENDING_NONE;
	return version_is_none(ret->version) ? PENDING_ANYTHING : PENDING_VERSION;
}

/* Somebody holds the path's lock, who has not died. */
static bool slot_is_locked(const struct store *store, struct str path)
{
	return byte_is_locked(store, lock_byte(slot_of(path)));
}

/* Without the pending version, if it is so all the time. */
static int read_without(struct store *store, struct str path, durable_read *read,
			void (*clear)(void *data), void *data)
{
	struct pending pending, next;
	struct err err;

	if (slot_pending(store, path, &pending) != PENDING_VERSION)
		return -1;
	if (read(data, &pending, &err) == 0) {
		slot_pending(store, path, &next);
		if (next.turn == pending.turn)
			return 0;
	}
	if (clear != NULL)
		clear(data);
	return -1;
}

/* Under the path's lock. */
static int read_locked(struct store *store, struct str path, durable_read *read,
		       void (*clear)(void *data), void *data, struct err *err)
{
	struct lock lock = LOCK_INIT;
	struct err why = ERR_INIT;
	int status;

	if (counters_lock(store, &lock, path, &why) < 0)
		return read_without(store, path, read, clear, data) == 0 ? 0 : err_pass(err, &why);
	status = read(data, NULL, err);
	lock_release(&lock);
	return status;
}

int read_durably(struct store *store, struct str path, durable_read *read,
		 void (*clear)(void *data), void *data, struct err *err)
{
	struct pending pending = { .turn = 0 }, next;
	bool beside = false;

	for (int i = 0; i < TRIES; i++) {
		int status = read(data, beside ? &pending : NULL, err);
		enum pending_kind kind;

		if (status < 0)
			return -1;
		kind = slot_pending(store, path, &next);
		if (status == 0 && (beside ? next.turn == pending.turn : kind == PENDING_NONE))
			return 0;
		if (clear != NULL)
			clear(data);
		if (status == READ_WAIT || kind == PENDING_ANYTHING ||
		    (kind == PENDING_VERSION && !slot_is_locked(store, path)))
			break;
		beside = kind == PENDING_VERSION;
		pending = next;
	}
	return read_locked(store, path, read, clear, data, err);
}

bool store_would_wait(struct store *store, struct str path)
{
	struct pending pending;
	enum pending_kind kind;

	path = path_is_gate(path) ? path_parent(path) : path;
	kind = slot_pending(store, path, &pending);
	return kind == PENDING_ANYTHING ||
	       (kind == PENDING_VERSION && !slot_is_locked(store, path));
}

int store_await(struct store *store, struct str path, struct err *err)
{
	struct lock lock = LOCK_INIT;

	path = path_is_gate(path) ? path_parent(path) : path;
	if (path_check(path, err) < 0 || counters_lock(store, &lock, path, err) < 0)
		return -1;
	lock_release(&lock);
	return 0;
}

int counters_finish_dead(struct store *store, struct err *err)
{
	for (unsigned slot = 0; slot < SLOTS; slot++) {
		struct lock lock = LOCK_INIT;
		int status = 0;

		if (slot_is_still(store, slot) || !slot_try_lock(store, &lock, slot))
			continue;
		status = slot_finish_dead(store, slot, err);
		lock_release(&lock);
		if (status < 0)
			return -1;
	}
	return 0;
}

int store_finish_dead(struct store *store, struct err *err)
{
	for (unsigned slot = 0; slot < SLOTS; slot++) {
		struct lock lock = LOCK_INIT;

		if (slot_is_still(store, slot))
			continue;
		if (slot_lock(store, &lock, slot, err) < 0)
			return -1;
		lock_release(&lock);
	}
	return 0;
}

void store_set_clock(struct store *store, int64_t offset)
{
	atomic_store(&store->counters->clock_offset, offset);
}

uint64_t store_clock(const struct store *store)
{
	return clock_wall_ns() + (uint64_t)atomic_load(&store->counters->clock_offset);
}

uint64_t store_ahead(const struct store *store)
{
	return atomic_load(&store->counters->ahead);
}

uint64_t counters_ahead(struct store *store, uint64_t time)
{
	uint64_t now = store_clock(store);

	if (time < now || time - now <= STORE_AHEAD_NS)
		return 0;
	atomic_fetch_add(&store->counters->ahead, 1);
	return time - now;
}

uint64_t store_changes(const struct store *store, unsigned partition)
{
	return atomic_load(&store->counters->changes[partition]);
}

uint64_t store_directory_changes(const struct store *store)
{
	return atomic_load(&store->counters->directories);
}
