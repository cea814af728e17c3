/* disk - opening and formatting a store, and what its disk can do */
#include "inside.h"

#include "clock.h"
#include "fs.h"
#include "inifile.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#define ROLES_NAME "roles"	/* who has the store open: a set of roles, named in it */
#define ROLES_BYTES 512
#define LOCK_SOON_TRIES 200		/* for the lock on the store, LOCK_SOON_US apart */
#define LOCK_SOON_US 10000
#define READY_AGAIN_MS 500	/* until a store that could not be written is tried again */

#define LOOKED_MS 10		/* so long what was seen of the disk is good for others */
#define LOOKED_ROOM (UINT64_C(512) << 20)	/* bytes: more than comes in that time */
#define LOOKED_INODES 65536

#define FORMAT 3
#define FORMAT_LEAST 1			/* that is opened: what it holds is read as it is */
#define RESERVE_NAME "reserve"
#define RESERVE_BYTES (UINT64_C(4) << 20)		/* some hundred tombstones */

/*
 * Small files use up a file system's inodes first, and a deletion takes three:
 * a directory, the tombstone and its mark.  Writers leave it this part of all
 * inodes; and where other programs leave it none, it lives off empty files.
 */
#define INODES_PART 32
#define MIN_FREE_INODES 256
#define INODES_NAME "reserve-inodes"
#define RESERVE_INODES 384
#define RELEASE_INODES 32		/* at once */

#define TEMPORARY_DIGITS 16		/* a temporary name in tmp/ ends in the path's hash */

#define TREE_XATTR RECORD_XATTR ".store"	/* on tree/, of a store that has its records */
#define LOST_FILES 16			/* that are looked at for records, at most */
#define LOST_NAMES 4096

static int store_get_ready(struct store *store, struct err *err);

void disk_failed(struct store *store)
{
	if (atomic_exchange(&store->failed, true))
		return;
	counters_note_failure(store, true);
	if (store->on_failure != NULL)
		store->on_failure(store->failure_data);
}

void store_on_failure(struct store *store, void (*failed)(void *data), void *data)
{
	store->failure_data = data;
	store->on_failure = failed;
}

int disk_sync(struct store *store, int fd, const char *what, struct err *err)
{
	bool full;

	if (store->replaying || fsync(fd) == 0)
		return 0;
	/* A full disk refuses; any other failure means that it may have lost what it took. */
	full = errno == ENOSPC || errno == EDQUOT;
	err_sys(err, "sync %s", what);
	if (!full)
		disk_failed(store);
	return -1;
}

/* A directory that was removed has no name any more. */
static bool is_removed(int directory)
{
	struct stat st;

	return fstat(directory, &st) < 0 || st.st_nlink == 0;
}

/* A process that is confined to the former directory may see that there is a store, and not which: the next one may. */
static bool is_hidden_store(const struct store *store)
{
	struct buf path = BUF_INIT;
	struct stat st;
	bool hidden;

	buf_addf(&path, "%s/node.ini", store->path);
	hidden = stat(path.data, &st) == 0 && S_ISREG(st.st_mode);
	buf_clear(&path);
	return hidden;
}

/* This store was put back, or mounted anew, as another directory than the one that is open. */
static bool is_back(const struct store *store)
{
	struct disk_identity identity;
	struct err err = ERR_INIT;

	if (disk_read_identity(store->path, &identity, &err) < 0)
		return err.sys == EACCES && is_hidden_store(store);
	return identity.node == store->node;
}

/* Each write asks, and each read that finds nothing: of many in a moment one looks for all. */
static bool was_lately(const _Atomic uint64_t *looked)
{
	uint64_t ms = atomic_load(looked);

	return ms > 0 && clock_mono_ms() - ms < LOOKED_MS;
}

int store_there(struct store *store, struct err *err)
{
	struct stat st, opened;
	uint64_t now = clock_mono_ms();

	if (was_lately(&store->seen_there))
		return 0;
	if (stat(store->path, &st) == 0 && fstat(store->dir, &opened) == 0 &&
	    st.st_ino == opened.st_ino && st.st_dev == opened.st_dev &&
	    !is_removed(store->tree) && !is_removed(store->history)) {
		atomic_store(&store->seen_there, now);
		return 0;
	}
	if (is_back(store))
		disk_failed(store);
	return err_set(err, ERR_AWAY, "use %s: the store that was there is gone: its directory was "
		       "removed, or its file system unmounted", store->path);
}

static int check_mounted(const struct store *store, struct statvfs *ret, struct err *err)
{
	if (fstatvfs(store->dir, ret) < 0)
		return err_sys(err, "look at %s", store->path);
	if (ret->f_flag & ST_RDONLY)
		return err_set(err, ERR_AWAY, "write to %s: mounted read-only", store->path);
	return 0;
}

/* What writers leave to deletions. */
static uint64_t least_inodes(const struct statvfs *st)
{
	uint64_t part = (uint64_t)st->f_files / INODES_PART;

	return part > MIN_FREE_INODES ? part : MIN_FREE_INODES;
}

static bool was_well(struct store *store, uint64_t size)
{
	return was_lately(&store->seen_well) && size <= LOOKED_ROOM / 2 &&
	       !atomic_load(&store->failed) && !counters_failing(store) && atomic_load(&store->ready);
}

static bool has_much_room(const struct store *store, const struct statvfs *st)
{
	uint64_t is_free = (uint64_t)st->f_bavail * st->f_frsize;

	return is_free >= store->min_free && is_free - store->min_free >= LOOKED_ROOM &&
	       (st->f_files == 0 || st->f_favail >= least_inodes(st) + LOOKED_INODES);
}

/* size: what is to be written, bytes. */
static int check_disk(struct store *store, bool space, uint64_t size, struct err *err)
{
	uint64_t now = clock_mono_ms(), is_free;
	struct statvfs st;

	if (was_well(store, size))
		return 0;
	if (atomic_load(&store->failed))
		return err_set(err, ERR_AWAY, "write to %s: the disk may have lost what it took, "
			       "and this program is about to leave", store->path);
	if (counters_failing(store))
		atomic_store(&store->ready, false);
	if (store_there(store, err) < 0 || store_get_ready(store, err) < 0 ||
	    check_mounted(store, &st, err) < 0)
		return -1;
	if (!space)
		return 0;
	is_free = (uint64_t)st.f_bavail * st.f_frsize;
	if (is_free < store->min_free)
		return err_set(err, ERR_FULL, "write to %s: less than %" PRIu64 " bytes are free",
			       store->path, store->min_free);
	if (is_free - store->min_free < size)
		return err_set(err, ERR_FULL, "write %" PRIu64 " bytes to %s: there is room for %"
			       PRIu64, size, store->path, is_free - store->min_free);
	if (st.f_files > 0 && st.f_favail < least_inodes(&st))
		return err_set(err, ERR_FULL, "write to %s: fewer than %" PRIu64 " inodes are free",
			       store->path, least_inodes(&st));
	if (atomic_load(&store->released))
		disk_fill_reserve(store);
	atomic_store(&store->seen_well, has_much_room(store, &st) ? now : 0);
	return 0;
}

int disk_check(struct store *store, bool space, struct err *err)
{
	return store->replaying ? 0 : check_disk(store, space, 0, err);
}

int store_fits(struct store *store, uint64_t size, struct err *err)
{
	return check_disk(store, true, size, err);
}

#define INODE_NAME 40
static const char *inode_name(char to[INODE_NAME], int number)
{
	snprintf(to, INODE_NAME, INODES_NAME "/%d", number);
	return to;
}

/* From the last one on: as long as that is there, so are all. */
static bool release_inodes(struct store *store)
{
	char name[INODE_NAME];
	struct statvfs st;
	int count = 0;

	if (fstatvfs(store->dir, &st) < 0 || st.f_files == 0 || st.f_favail >= RELEASE_INODES)
		return false;
	for (int i = RESERVE_INODES - 1; i >= 0 && count < RELEASE_INODES; i--)
		count += unlinkat(store->dir, inode_name(name, i), 0) == 0;
	if (count > 0)
		atomic_store(&store->released, true);
	return count > 0;
}

static void fill_inodes(struct store *store)
{
	char name[INODE_NAME];
	struct statvfs st;
	int fd;

	if (faccessat(store->dir, inode_name(name, RESERVE_INODES - 1), F_OK, 0) == 0 ||
	    fstatvfs(store->dir, &st) < 0 ||
	    st.f_favail < least_inodes(&st) + 2 * RESERVE_INODES ||
	    (mkdirat(store->dir, INODES_NAME, FS_DIR_MODE) < 0 && errno != EEXIST))
		return;
	for (int i = 0; i < RESERVE_INODES; i++) {
		fd = fs_open(store->dir, inode_name(name, i), O_WRONLY | O_CREAT, FS_FILE_MODE);
		if (fd < 0)
			return;
		close(fd);
	}
}

static bool release_bytes(struct store *store)
{
	int fd = fs_open(store->dir, RESERVE_NAME, O_RDWR, 0);
	struct stat st;
	bool had;

	if (fd < 0)
		return false;
	had = fstat(fd, &st) == 0 && st.st_size > 0 && ftruncate(fd, 0) == 0;
	if (had)
		fsync(fd);	/* the blocks are free for others once that is on disk */
	close(fd);
	atomic_store(&store->released, true);
	return had;
}

bool disk_release_reserve(struct store *store)
{
	return release_inodes(store) || release_bytes(store);
}

void disk_fill_reserve(struct store *store)
{
	int fd = fs_open(store->dir, RESERVE_NAME, O_RDWR | O_CREAT, FS_FILE_MODE);
	uint64_t space;

	fill_inodes(store);
	if (fd < 0)
		return;
	/* Never the last bytes: those are for whoever is making room just now. */
	if (fs_free_bytes(fd, &space) == 0 && space > 2 * RESERVE_BYTES) {
		if (posix_fallocate(fd, 0, (off_t)RESERVE_BYTES) == 0)
			atomic_store(&store->released, false);
		else
			unlinkat(store->dir, RESERVE_NAME, 0);	/* what it got of them */
	}
	close(fd);
}

/* A file system that was shut down says so only to who writes. */
int store_writable(struct store *store, struct err *err)
{
	int fd;

	if (disk_check(store, true, err) < 0)
		return -1;
	fd = fs_tmpfile(store->tmp);
	if (fd < 0)
		return err_sys(err, "write to %s", store->path);
	close(fd);
	return 0;
}

int disk_make_directories(const char *path)
{
	char *copy = mem_copy(path, strlen(path));
	int status = 0;

	for (char *slash = strchr(copy + (*copy == '/'), '/'); slash != NULL && status == 0;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		status = mkdir(copy, 0755) < 0 && errno != EEXIST ? -1 : 0;
		*slash = '/';
	}
	if (status == 0)
		status = mkdir(copy, FS_DIR_MODE) < 0 && errno != EEXIST ? -1 : 0;
	free(copy);
	return status;
}

/* One of the store's own directories, which must lie on the store's file system. */
static int store_open_part(struct store *store, const char *name, int *ret, struct err *err)
{
	int fd;

	if (mkdirat(store->dir, name, FS_DIR_MODE) < 0 && errno != EEXIST)
		return err_sys(err, "make %s/%s", store->path, name);
	fd = fs_open(store->dir, name, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0 && errno == EXDEV)
		return err_set(err, ERR_UNSUPPORTED,
			       "open %s/%s: on a file system of its own, but covey makes links "
			       "between tmp, tree and history", store->path, name);
	if (fd < 0 && errno == ENOSYS)
		return err_set(err, ERR_UNSUPPORTED, "open %s/%s: no openat2 (Linux 5.6)",
			       store->path, name);
	if (fd < 0)
		return err_sys(err, "open %s/%s", store->path, name);
	*ret = fd;
	return 0;
}

/*
 * What the log needs: names come to the disk in the order of their changes,
 * so that a link made before a rename is not lost where the rename is kept; and
 * what is written over takes no space.  ext4 (ext2 and ext3 have its magic) and
 * XFS do so.  btrfs may keep only what is below a directory that was synced,
 * and writes elsewhere; of others nothing is known.
 */
static bool keeps_order(int dir)
{
	struct statfs st;

	return fstatfs(dir, &st) == 0 && (st.f_type == EXT4_SUPER_MAGIC ||
					  st.f_type == XFS_SUPER_MAGIC ||
					  st.f_type == TMPFS_MAGIC);
}

uint64_t disk_draw(void)
{
	uint64_t number = 0;

	while (number == 0)
		if (getrandom(&number, sizeof number, 0) != sizeof number)
			number = 0;
	return number;
}

/*
 * Refuse with what is missing.  A full disk cannot be tried: reads, deletions
 * and pruning go on there, also when they are the first after a start.
 */
static int probe_failed(struct store *store, const char *what, struct err *err)
{
	if (errno == ENOSPC || errno == EDQUOT)
		return 0;
	if (errno != EOPNOTSUPP && errno != EPERM && errno != EINVAL && errno != ERANGE)
		return err_sys(err, "try %s on %s", what, store->path);
	return err_set(err, ERR_UNSUPPORTED, "open %s: its file system has no %s", store->path,
		       what);
}

/* A time in nanoseconds comes back as it was set. */
static int probe_times(int fd)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { 1234567890, 123456789 } };
	struct stat st;

	if (futimens(fd, times) < 0 || fstat(fd, &st) < 0)
		return -1;
	errno = EOPNOTSUPP;
	return st.st_mtim.tv_sec == times[1].tv_sec && st.st_mtim.tv_nsec == times[1].tv_nsec
		       ? 0 : -1;
}

static int probe_symlink(struct store *store, const char *name)
{
	char text[RECORD_TYPE_MAX + 200], back[sizeof text + 1];

	memset(text, 'x', sizeof text - 1);	/* as long as a pointer's */
	text[sizeof text - 1] = '\0';
	if (symlinkat(text, store->tmp, name) < 0)
		return -1;
	if (fs_read_link(store->tmp, name, back, sizeof back) < 0)
		back[0] = '\0';
	unlinkat(store->tmp, name, 0);
	errno = EOPNOTSUPP;
	return strcmp(text, back) == 0 ? 0 : -1;
}

/* All that covey needs of a file system, tried on it. */
static int probe(struct store *store, struct err *err)
{
	static const char bytes[RECORD_BYTES_MAX];
	char name[40];
	int fd, status = 0;

	snprintf(name, sizeof name, ",probe-%016" PRIx64, disk_draw());
	fd = fs_tmpfile(store->tmp);
	if (fd < 0)
		return probe_failed(store, "unnamed files (O_TMPFILE)", err);
	if (fsetxattr(fd, RECORD_XATTR, bytes, sizeof bytes, 0) < 0)
		status = probe_failed(store, "user extended attributes", err);
	else if (fsync(fd) < 0 && errno != ENOSPC && errno != EDQUOT)
		status = err_sys(err, "write to %s: a sync", store->path);
	else if (probe_times(fd) < 0)
		status = probe_failed(store, "times in nanoseconds", err);
	else if (probe_symlink(store, name) < 0)
		status = probe_failed(store, "symbolic links", err);
	else if (fs_link_fd(fd, store->history, name) < 0)
		status = probe_failed(store, "hard links", err);
	else
		unlinkat(store->history, name, 0);
	close(fd);
	return status;
}

/*
 * Has this store lost its records?  They are extended attributes, which plain
 * cp and tar leave behind.  A mark on tree/ is left behind with them; so what
 * a person has put into the tree of a store that has its own is not taken for
 * that.
 */

struct seen {
	int dir;			/* whose names are told */
	unsigned files, names;
	bool record;			/* one had one */
};

static bool seen_enough(const struct seen *s)
{
	return s->record || s->files >= LOST_FILES || s->names >= LOST_NAMES;
}

static int seen_add(void *data, const char *name)
{
	struct seen *s = data;
	int above = s->dir, fd;
	struct stat st;

	s->names++;
	fd = fs_open(above, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0);
	if (fd >= 0 && fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))) {
		s->files += S_ISREG(st.st_mode);
		s->record = s->record || fgetxattr(fd, RECORD_XATTR, NULL, 0) >= 0;
	}
	if (fd >= 0 && S_ISDIR(st.st_mode) && !seen_enough(s)) {
		s->dir = fd;
		names_each(fd, ".", seen_add, s, NULL);
		s->dir = above;
	}
	if (fd >= 0)
		close(fd);
	return seen_enough(s);
}

bool disk_lost_records(int dir, bool fresh)
{
	struct seen seen = { .dir = fs_open(dir, "tree", O_RDONLY | O_DIRECTORY, 0) };
	bool lost = false;

	if (seen.dir < 0)
		return false;
	if (fgetxattr(seen.dir, TREE_XATTR, NULL, 0) < 0) {
		if (!fresh)
			names_each(seen.dir, ".", seen_add, &seen, NULL);
		lost = seen.files > 0 && !seen.record;
		/* On a full disk, or one that is only read, another time. */
		if (!lost)
			fsetxattr(seen.dir, TREE_XATTR, "1", 1, 0);
	}
	close(seen.dir);
	return lost;
}

bool store_lost_records(struct store *store)
{
	return disk_lost_records(store->dir, false);
}

static int identity_read_key(void *data, struct str section, struct str key, struct str value,
			     struct err *err)
{
	struct disk_identity *identity = data;

	if (str_eq(section, STR("store")) && str_eq(key, STR("format")) &&
	    str_u64(value, UINT64_MAX, &identity->format) < 0)
		return err_set(err, ERR_CORRUPT, "format: not a number");
	if (str_eq(section, STR("store")) && str_eq(key, STR("recovering")))
		identity->recovering = str_eq(value, STR("yes"));
	if (str_eq(section, STR("node")) && str_eq(key, STR("id")) &&
	    (value.n != 16 || str_hex64(value, &identity->node) < 0))
		return err_set(err, ERR_CORRUPT, "node id: not 16 hexadecimal digits");
	return 0;
}

int disk_write_identity(const char *path, uint64_t node, bool recovering, struct err *err)
{
	struct inifile ini = INIFILE_INIT;

	inifile_section(&ini, "store");
	inifile_putf(&ini, "format", "%d", FORMAT);
	if (recovering)
		inifile_put(&ini, "recovering", STR("yes"));
	inifile_section(&ini, "node");
	inifile_putf(&ini, "id", "%016" PRIx64, node);
	return inifile_store(&ini, path, "node.ini", err);
}

/* Before anything is written that a release of the older format could not read. */
static int mark_format(struct store *store, uint64_t node, struct err *err)
{
	struct err why = ERR_INIT;
	int status = disk_write_identity(store->path, node, false, &why);

	if (status < 0 && why.kind == ERR_FULL && disk_release_reserve(store))
		status = disk_write_identity(store->path, node, false, &why);
	if (status == 0)
		return 0;
	err_pass(err, &why);
	return err_context(err, "mark %s as of format %d", store->path, FORMAT);
}

int disk_read_identity(const char *path, struct disk_identity *ret, struct err *err)
{
	struct disk_identity identity = { .node = 0 };

	if (inifile_load(path, "node.ini", identity_read_key, &identity, err) < 0)
		return -1;
	if (identity.format < FORMAT_LEAST || identity.format > FORMAT)
		return err_set(err, ERR_UNSUPPORTED,
			       "open %s: its format is %" PRIu64 ", this release knows %d to %d", path,
			       identity.format, FORMAT_LEAST, FORMAT);
	if (identity.node == 0)
		return err_set(err, ERR_CORRUPT, "open %s/node.ini: no node id", path);
	*ret = identity;
	return 0;
}

/* Of a fresh store, or of one in an older format: with that, it is formatted. */
static int write_missing_identity(struct store *store, struct err *err)
{
	struct disk_identity identity;
	struct err why = ERR_INIT;
	int status = disk_read_identity(store->path, &identity, &why);

	if (status < 0 && why.kind == ERR_ABSENT) {
		identity = (struct disk_identity){ .node = disk_draw(), .format = FORMAT };
		if (names_none(store->dir, "history") && names_none(store->dir, "state"))
			disk_lost_records(store->dir, true);
		status = disk_write_identity(store->path, identity.node, false, &why);
	} else if (status == 0 && identity.format < FORMAT) {
		status = mark_format(store, identity.node, &why);
	}
	if (status < 0)
		return err_pass(err, &why);
	store->node = identity.node;
	return 0;
}

static int no_store(const struct store *store, uint64_t wanted, struct err *err)
{
	return err_set(err, ERR_AWAY, "open %s: there is no store, but node.id says %016" PRIx64
		       ": is its disk mounted?", store->path, wanted);
}

/* 1: the store is a fresh one, 0, or -1: it is not the one that was meant. */
static int judge_identity(struct store *store, uint64_t wanted, struct err *err)
{
	struct disk_identity identity = { .node = 0 };
	struct err why = ERR_INIT;

	if (disk_read_identity(store->path, &identity, &why) < 0 && why.kind != ERR_ABSENT)
		return err_pass(err, &why);
	if (identity.recovering)
		return err_set(err, ERR_CONFLICT, "open %s: covey recover was cut off: say it again",
			       store->path);
	store->node = identity.node;
	if (wanted == 0 || identity.node == wanted)
		return identity.node == 0;
	if (identity.node == 0)
		return no_store(store, wanted, err);
	return err_set(err, ERR_AWAY, "open %s: it is the store of node %016" PRIx64
		       ", but node.id says %016" PRIx64, store->path, identity.node, wanted);
}

/* Whoever renews the store waits for nobody: it is told that others have it open. */
static int hold_identity(struct store *store, struct err *err)
{
	store->identity = openat(store->dir, "node.ini", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (store->identity < 0 || flock(store->identity, LOCK_SH) < 0)
		return err_sys(err, "lock %s/node.ini", store->path);
	return 0;
}

/* What root makes in another user's store, that user's roles could not read. */
static int store_check_owner(const struct store *store, struct err *err)
{
	struct stat st;

	if (geteuid() != 0 || fstatat(store->dir, "node.ini", &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    st.st_uid == 0)
		return 0;
	return err_set(err, ERR_DENIED, "open %s: it belongs to user %u; do this as that user",
		       store->path, st.st_uid);
}

/* Whoever has it open is said in the file while somebody shares the lock on it. */
static int roles_refuse(const struct store *store, int fd, struct err *err)
{
	char text[ROLES_BYTES];
	ssize_t n = pread(fd, text, sizeof text, 0);

	if (n == 0)
		return 0;	/* a full disk had no room for the name */
	return err_set(err, ERR_EXISTS, "open %s: another node runs on it, %.*s: stop that, or give "
		       "this one a store of its own", store->path, n < 0 ? 0 : (int)n, text);
}

static void roles_set_name(const struct store *store, const char *name, size_t n)
{
	int fd = openat(store->dir, ROLES_NAME, O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return;
	fs_write(fd, name, n, 0);
	close(fd);
}

/*
 * Share the lock on `roles` with the other roles of this set.  Under the lock
 * on the store's directory, so that nobody else changes what is in it.  A
 * disk that takes no file has none; nor can it be written.  The file is not
 * open to be written, for that would keep a file system from being remounted.
 */
static int roles_join(struct store *store, const char *name, struct err *err)
{
	char text[ROLES_BYTES];
	size_t n = strnlen(name, sizeof text);
	bool same;
	int fd = openat(store->dir, ROLES_NAME, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
			FS_FILE_MODE);

	if (fd < 0 && (errno == ENOSPC || errno == EDQUOT || !atomic_load(&store->ready)))
		return 0;
	if (fd < 0)
		return err_sys(err, "open %s/" ROLES_NAME, store->path);
	same = pread(fd, text, sizeof text, 0) == (ssize_t)n && memcmp(text, name, n) == 0;
	if (!same && flock(fd, LOCK_EX | LOCK_NB) == 0) {
		roles_set_name(store, name, n);
	} else if (!same && roles_refuse(store, fd, err) < 0) {
		close(fd);
		return -1;
	}
	if (flock(fd, LOCK_SH) < 0) {
		err_sys(err, "lock %s/" ROLES_NAME, store->path);
		close(fd);
		return -1;
	}
	store->roles = fd;
	return 0;
}

/* A set that is started twice has one name, as in two containers with one configuration. */
static int roles_start_alone(struct store *store, struct err *err)
{
	if (flock(store->state, LOCK_EX | LOCK_NB) == 0)
		return 0;
	return errno == EWOULDBLOCK ?
		       err_set(err, ERR_EXISTS, "open %s: another covey up runs a node on it", store->path) :
		       err_sys(err, "lock %s/state", store->path);
}

/*
 * What commits that died left in tmp/.  A file on its way to its name has one
 * there for a moment, under the path's lock, and whoever dies then leaves it:
 * a body of any size.  The path's next commit would remove it, should there
 * ever be one.  The name ends in the path's hash, so that its lock can be
 * tried: who holds it is alive, and cleans up himself.
 */

static void temporary_remove(int dir, const char *name)
{
	if (unlinkat(dir, name, 0) < 0 && errno == EISDIR)
		unlinkat(dir, name, AT_REMOVEDIR);
}

static int temporary_check(void *data, const char *name)
{
	struct store *store = data;
	struct str text = str_of(name);
	struct lock lock = LOCK_INIT;
	uint64_t hash;

	if (!str_starts(text, STR(",")) || text.n < TEMPORARY_DIGITS ||
	    str_hex64((struct str){ text.s + text.n - TEMPORARY_DIGITS, TEMPORARY_DIGITS }, &hash) < 0)
		return 0;	/* not covey's */
	if (counters_try_lock(store, &lock, hash)) {
		temporary_remove(store->tmp, name);
		lock_release(&lock);
	}
	return 0;
}

static int remove_temporaries(struct store *store, struct err *err)
{
	return names_each(store->tmp, ".", temporary_check, store, err);
}

/* On a full disk by what was kept for that. */
static int replay(struct store *store, struct err *err)
{
	struct err why = ERR_INIT;
	int status = wal_replay(store, &why);

	while (status < 0 && why.kind == ERR_FULL && disk_release_reserve(store))
		status = wal_replay(store, &why);
	return status == 0 ? 0 : err_pass(err, &why);
}

/* Under the lock on the store's directory: all that writing needs is there, and has been tried. */
static int store_prepare_to_write(struct store *store, struct err *err)
{
	struct statvfs st;

	if (check_mounted(store, &st, err) < 0)
		return -1;
	if (disk_make_directories(store->run_path) < 0)
		return err_sys(err, "make %s", store->run_path);
	if (remove_temporaries(store, err) < 0 || probe(store, err) < 0 ||
	    write_missing_identity(store, err) < 0)
		return -1;
	if (store->counters == store->stand_in && counters_open(store, false, err) < 0)
		return -1;
	disk_fill_reserve(store);
	if (fsync(store->dir) < 0)
		return err_sys(err, "sync %s", store->path);
	counters_note_failure(store, false);
	return 0;
}

/* A disk that is just not to be written: what is on it can be read. */
static bool is_readable_still(const struct err *why)
{
	return why->kind == ERR_AWAY || why->sys == EROFS || why->sys == EIO;
}

/*
 * Whoever opens the store just now may wait for a path's lock that is held
 * here, to replay the log: so it is not waited for without end.
 */
static int lock_soon(const struct store *store, struct err *err)
{
	for (int i = 0; i < LOCK_SOON_TRIES; i++) {
		if (flock(store->dir, LOCK_EX | LOCK_NB) == 0)
			return 0;
		usleep(LOCK_SOON_US);
	}
	return err_set(err, ERR_AWAY, "write to %s: it is being opened", store->path);
}

/* Once more, for a store that was opened to be read alone, or in which a sync failed elsewhere. */
static int store_get_ready(struct store *store, struct err *err)
{
	uint64_t now;

	if (atomic_load(&store->ready))
		return 0;
	pthread_mutex_lock(&store->readying);
	now = clock_mono_ms();
	if (!atomic_load(&store->ready) && now >= store->ready_again) {
		if (lock_soon(store, &store->unready) == 0 &&
		    store_prepare_to_write(store, &store->unready) == 0)
			atomic_store(&store->ready, true);
		else
			store->ready_again = clock_mono_ms() + READY_AGAIN_MS;
		flock(store->dir, LOCK_UN);
	}
	if (!atomic_load(&store->ready))
		err_set(err, ERR_AWAY, "%s", store->unready.text);
	pthread_mutex_unlock(&store->readying);
	return atomic_load(&store->ready) ? 0 : -1;
}

/* A store of an older release has none; where none can be made it is not needed. */
static int store_open_log(struct store *store, struct err *err)
{
	struct err why = ERR_INIT;

	store->logs = keeps_order(store->dir);
	if (store_open_part(store, "wal", &store->wal, &why) == 0 ||
	    (faccessat(store->dir, "wal", F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT))
		return 0;
	return err_pass(err, &why);
}

/* Under the lock on the store's directory: all parts are there and fit. */
static int store_prepare(struct store *store, const struct store_options *options, struct err *err)
{
	int fresh;

	if (store_check_owner(store, err) < 0)
		return -1;
	fresh = judge_identity(store, options->node, err);
	if (fresh < 0)
		return -1;
	if (store_open_part(store, "tree", &store->tree, err) < 0 ||
	    store_open_part(store, "history", &store->history, err) < 0 ||
	    store_open_part(store, "tmp", &store->tmp, err) < 0 ||
	    store_open_part(store, "outbox", &store->outbox, err) < 0 ||
	    store_open_part(store, "state", &store->state, err) < 0)
		return -1;
	if (store_open_log(store, err) < 0)
		return -1;
	if (store_prepare_to_write(store, &store->unready) == 0) {
		if (replay(store, err) < 0)
			return err_context(err, "open %s", store->path);
		atomic_store(&store->ready, true);
	} else if (fresh || !is_readable_still(&store->unready)) {
		return err_pass(err, &store->unready);
	}
	if (store->counters == NULL && counters_open(store, true, err) < 0)
		return -1;
	/* Once it was, all that was acknowledged since has its name. */
	if (!counters_replayed(store) && wal_has_unreplayed(store->wal))
		return err_set(err, ERR_AWAY, "open %s: its log has versions that have to be replayed, but %s",
			       store->path, store->unready.text);
	if (hold_identity(store, err) < 0 ||
	    (options->starts_roles && roles_start_alone(store, err) < 0))
		return -1;
	return options->roles != NULL ? roles_join(store, options->roles, err) : 0;
}

static int store_open_parts(struct store *store, const struct store_options *options, struct err *err)
{
	int status;

	/* Where a certain store is meant, none is to be made. */
	if (options->node == 0 && disk_make_directories(store->path) < 0)
		return err_sys(err, "make %s", store->path);
	store->dir = open(store->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (store->dir < 0 && errno == ENOENT && options->node != 0)
		return no_store(store, options->node, err);
	if (store->dir < 0)
		return err_sys(err, "open %s", store->path);
	while (flock(store->dir, LOCK_EX) < 0)
		if (errno != EINTR)
			return err_sys(err, "lock %s", store->path);
	status = store_prepare(store, options, err);
	flock(store->dir, LOCK_UN);
	return status;
}

int store_open(struct store **ret, const struct store_options *options, struct err *err)
{
	struct store *store = mem_new(1, sizeof *store);
	struct buf run = BUF_INIT;

	store->dir = store->tree = store->history = store->tmp = store->outbox = -1;
	store->wal = store->state = -1;
	store->identity = store->roles = store->table = -1;
	pthread_mutex_init(&store->readying, NULL);
	pthread_mutex_init(&store->syncing, NULL);
	pthread_mutex_init(&store->rolling, NULL);
	store->min_free = options->min_free;
	store->tell_ahead = options->ahead;
	store->path = mem_copy(options->path, strlen(options->path));
	if (options->run != NULL)
		buf_adds(&run, options->run);
	else
		buf_addf(&run, "%s/run", options->path);
	store->run_path = buf_take(&run);
	if (store_open_parts(store, options, err) < 0) {
		store_close(store);
		return -1;
	}
	*ret = store;
	return 0;
}

static void close_if_open(int fd)
{
	if (fd >= 0)
		close(fd);
}

void store_close(struct store *store)
{
	if (store == NULL)
		return;
	close_if_open(store->dir);
	close_if_open(store->tree);
	close_if_open(store->history);
	close_if_open(store->tmp);
	close_if_open(store->outbox);
	close_if_open(store->wal);
	close_if_open(store->state);
	close_if_open(store->identity);
	close_if_open(store->roles);
	counters_close(store);
	pthread_mutex_destroy(&store->readying);
	pthread_mutex_destroy(&store->syncing);
	rolls_end(store);
	pthread_mutex_destroy(&store->rolling);
	free(store->path);
	free(store->run_path);
	free(store);
}

uint64_t store_node(const struct store *store)
{
	return store->node;
}

const char *store_run(const struct store *store)
{
	return store->run_path;
}
