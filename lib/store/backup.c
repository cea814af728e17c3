/* backup - a copy of a store that keeps its records, and a store from such a copy */
#include "backup.h"

#include "fs.h"
#include "inifile.h"
#include "inside.h"
#include "mem.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/limits.h>
#include <sys/file.h>
#include <sys/xattr.h>
#include <unistd.h>

#define BACKUP_FILE "backup.ini"
#define COPYING "copying"		/* in the copy's root: the file that is on its way */
#define PIECE (256u << 10)		/* bytes that are read at once */

/* In this order: a version goes from tree/ to history/, never back while it is the newest. */
static const char *const parts[] = { "tree", "history", "outbox", "state" };
#define PARTS (sizeof parts / sizeof parts[0])

struct copying {
	const char *from_path, *to_path;	/* for errors */
	int from, to;			/* directories; owned */
	bool in_tree;
	bool gives;			/* to this owner; else, for root, to the owner there was */
	uid_t owner;
	gid_t group;
	struct buf path;		/* of what is being copied */
	char *piece;			/* PIECE bytes; owned */
	struct backup_count *count;
	struct err *err;
};

static int copy_failed(struct copying *c, const char *what)
{
	return err_sys(c->err, "%s %s/%s", what, c->to_path, c->path.data);
}

static int source_failed(struct copying *c, const char *what)
{
	return err_sys(c->err, "%s %s/%s", what, c->from_path, c->path.data);
}

static int copy_loses(struct copying *c, const char *what)
{
	return err_set(c->err, ERR_UNSUPPORTED, "copy to %s/%s: the file system there keeps no %s",
		       c->to_path, c->path.data, what);
}

/* attributes */

static bool attribute_eq(int a, int b, const char *name)
{
	char x[XATTR_SIZE_MAX], y[sizeof x];
	ssize_t n = fgetxattr(a, name, x, sizeof x);

	return n >= 0 && fgetxattr(b, name, y, sizeof y) == n && memcmp(x, y, (size_t)n) == 0;
}

static bool attributes_eq(int a, int b)
{
	char names[2][XATTR_LIST_MAX];
	ssize_t n[2] = { flistxattr(a, names[0], XATTR_LIST_MAX), flistxattr(b, names[1], XATTR_LIST_MAX) };
	const int of[2] = { a, b };

	for (int i = 0; i < 2; i++)
		for (ssize_t at = 0; at < n[i]; at += (ssize_t)strlen(names[i] + at) + 1)
			if (str_starts(str_of(names[i] + at), STR("user.")) &&
			    !attribute_eq(of[i], of[1 - i], names[i] + at))
				return false;
	return n[0] >= 0 && n[1] >= 0;
}

/* What the other has no more, too: of a directory that is none for covey now. */
static int attributes_copy(struct copying *c, int from, int to)
{
	char names[XATTR_LIST_MAX], value[XATTR_SIZE_MAX];
	ssize_t n = flistxattr(to, names, sizeof names), size;

	for (ssize_t at = 0; at < n; at += (ssize_t)strlen(names + at) + 1)
		if (str_starts(str_of(names + at), STR("user.")) &&
		    fgetxattr(from, names + at, NULL, 0) < 0)
			fremovexattr(to, names + at);
	n = flistxattr(from, names, sizeof names);
	for (ssize_t at = 0; at < n; at += (ssize_t)strlen(names + at) + 1) {
		if (!str_starts(str_of(names + at), STR("user.")))
			continue;
		size = fgetxattr(from, names + at, value, sizeof value);
		if (size >= 0 && fsetxattr(to, names + at, value, (size_t)size, 0) < 0 &&
		    errno != EOPNOTSUPP && errno != EPERM)
			return copy_failed(c, "set attributes of");
	}
	return attributes_eq(from, to) ? 0 : copy_loses(c, "extended attributes");
}

/* files */

static bool file_eq(const struct stat *a, int from, const struct stat *b, int to)
{
	return S_ISREG(b->st_mode) && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       attributes_eq(from, to);
}

/* It is there, just as here. */
static bool copy_is_there(const struct copying *c, int from, const struct stat *st)
{
	int fd = fs_open(c->to, c->path.data, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	struct stat there;
	bool same = fd >= 0 && fstat(fd, &there) == 0 && file_eq(st, from, &there, fd);

	if (fd >= 0)
		close(fd);
	return same;
}

static int copy_bytes(struct copying *c, int from, int to, uint64_t *ret_size)
{
	uint64_t size = 0;
	ssize_t n;

	while ((n = read(from, c->piece, PIECE)) > 0) {
		if (fs_write(to, c->piece, (size_t)n, size) < 0)
			return copy_failed(c, "write");
		size += (uint64_t)n;
	}
	if (n < 0)
		return source_failed(c, "read");
	*ret_size = size;
	return 0;
}

/* Only root can; for anybody else the copy is his own. */
static int copy_give(struct copying *c, int fd, const struct stat *st)
{
	if (geteuid() == 0 && fchown(fd, c->gives ? c->owner : st->st_uid,
				     c->gives ? c->group : st->st_gid) < 0)
		return copy_failed(c, "give to its owner");
	return 0;
}

static int copy_fill(struct copying *c, int from, const struct stat *st, int to)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, st->st_mtim };
	struct stat there;
	uint64_t size = 0;

	if (copy_bytes(c, from, to, &size) < 0 || attributes_copy(c, from, to) < 0 ||
	    copy_give(c, to, st) < 0)
		return -1;
	if (fchmod(to, st->st_mode & 07777) < 0 || futimens(to, times) < 0 ||
	    fstat(to, &there) < 0)
		return copy_failed(c, "set mode and time of");
	if (there.st_mtim.tv_sec != st->st_mtim.tv_sec || there.st_mtim.tv_nsec != st->st_mtim.tv_nsec)
		return copy_loses(c, "times in nanoseconds");
	c->count->copied++;
	c->count->bytes += size;
	return 0;
}

/*
 * The path's directory in the copy, and its name there.  Root may write
 * where another user does, who puts a link in the way: it is not followed.
 */
static int copy_open_parent(const struct copying *c, const char **ret_name)
{
	struct str above = { c->path.data, c->path.len };
	const char *slash = strrchr(c->path.data, '/');
	struct buf text = BUF_INIT;
	int fd;

	*ret_name = slash != NULL ? slash + 1 : c->path.data;
	above.n = slash != NULL ? (size_t)(slash - above.s) : 0;
	buf_addf(&text, "./%.*s", STR_ARG(above));
	fd = fs_open(c->to, text.data, O_PATH | O_DIRECTORY, 0);
	buf_clear(&text);
	return fd;
}

/* 0 or -1 with errno, as the next three. */
static int close_keeping_errno(int fd, int status)
{
	int sys = errno;

	close(fd);
	errno = sys;
	return status;
}

static int copy_rename(const struct copying *c)
{
	const char *name;
	int fd = copy_open_parent(c, &name);

	return fd < 0 ? -1 : close_keeping_errno(fd, renameat(c->to, COPYING, fd, name));
}

static int copy_mkdir(const struct copying *c)
{
	const char *name;
	int fd = copy_open_parent(c, &name);

	return fd < 0 ? -1 : close_keeping_errno(fd, mkdirat(fd, name, 0700));
}

static int copy_unlink(const struct copying *c, int flags)
{
	const char *name;
	int fd = copy_open_parent(c, &name);

	return fd < 0 ? -1 : close_keeping_errno(fd, unlinkat(fd, name, flags));
}

static int copy_remove(struct copying *c);

/* What is on its way takes its name, whatever had it. */
static int copy_take_name(struct copying *c)
{
	if (copy_rename(c) == 0)
		return 0;
	if ((errno != EISDIR && errno != ENOTEMPTY && errno != EEXIST) || copy_remove(c) < 0 ||
	    copy_rename(c) < 0)
		return copy_failed(c, "rename to");
	return 0;
}

/* No link is on the way to what has this name, though it may be one. */
static bool is_within(const struct copying *c)
{
	int fd = fs_open(c->from, c->path.data, O_PATH | O_NOFOLLOW, 0);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* 0, -1, or AGAIN: something else has just taken its name. */
static int copy_file(struct copying *c)
{
	int from = fs_open(c->from, c->path.data, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0), to;
	struct stat st;
	int status;

	if (from < 0 && (errno == ENOENT || errno == ELOOP))
		return errno == ELOOP && is_within(c) ? AGAIN : 0;
	if (from < 0 || fstat(from, &st) < 0) {
		if (from >= 0)
			close(from);
		return source_failed(c, "open");
	}
	if (!S_ISREG(st.st_mode) || copy_is_there(c, from, &st)) {
		c->count->same += S_ISREG(st.st_mode);
		close(from);
		return S_ISREG(st.st_mode) ? 0 : AGAIN;
	}
	unlinkat(c->to, COPYING, 0);
	to = fs_open(c->to, COPYING, O_RDWR | O_CREAT | O_EXCL, 0600);
	status = to < 0 ? copy_failed(c, "make") : copy_fill(c, from, &st, to);
	if (status == 0)
		status = copy_take_name(c);
	if (to >= 0)
		close(to);
	close(from);
	return status;
}

/* The same. */
static int copy_link(struct copying *c)
{
	char text[4096], there[sizeof text];
	struct record record;
	struct str type;

	if (fs_read_link(c->from, c->path.data, text, sizeof text) < 0)
		return errno == ENOENT ? 0 : errno == EINVAL ? AGAIN : source_failed(c, "read the link");
	c->count->elsewhere += c->in_tree && record_parse(str_of(text), &record, &type, NULL) == 0;
	if (fs_read_link(c->to, c->path.data, there, sizeof there) == 0 && strcmp(text, there) == 0) {
		c->count->same++;
		return 0;
	}
	unlinkat(c->to, COPYING, 0);
	if (symlinkat(text, c->to, COPYING) < 0)
		return copy_failed(c, "make");
	if (geteuid() == 0 && c->gives &&
	    fchownat(c->to, COPYING, c->owner, c->group, AT_SYMLINK_NOFOLLOW) < 0)
		return copy_failed(c, "give to its owner");
	c->count->copied++;
	return copy_take_name(c);
}

/* directories */

/* One by one do() gets each of the names below the path, "NAME\0NAME\0". */
static int copy_each(struct copying *c, struct str names, int (*what)(struct copying *))
{
	size_t n = c->path.len;
	int status = 0;

	for (size_t at = 0; at < names.n && status == 0; at += strlen(names.s + at) + 1) {
		buf_addf(&c->path, "/%s", names.s + at);
		status = what(c);
		c->path.len = n;
		c->path.data[n] = '\0';
	}
	return status;
}

/* What is there at the path, with all below it, goes. */
static int copy_remove(struct copying *c)
{
	struct buf names = BUF_INIT;
	int status;

	if (copy_unlink(c, 0) == 0 || errno == ENOENT) {
		c->count->went++;
		return 0;
	}
	if (errno != EISDIR && errno != EPERM)
		return copy_failed(c, "remove");
	status = names_collect(c->to, c->path.data, &names, c->err);
	if (status == 0)
		status = copy_each(c, buf_str(&names), copy_remove);
	buf_clear(&names);
	if (status == 0 && copy_unlink(c, AT_REMOVEDIR) < 0)
		return copy_failed(c, "remove");
	return status;
}

/* The store has no such name any more. */
static int copy_remove_gone(struct copying *c)
{
	struct stat st;

	if (fstatat(c->from, c->path.data, &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT)
		return 0;
	return copy_remove(c);
}

static int copy_path(struct copying *c);

static int copy_make_directory(struct copying *c)
{
	struct stat st;

	if (copy_mkdir(c) == 0)
		return 0;
	if (errno != EEXIST || fstatat(c->to, c->path.data, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return copy_failed(c, "make");
	if (S_ISDIR(st.st_mode))
		return 0;
	return copy_remove(c) < 0 ? -1 : copy_mkdir(c) < 0 ? copy_failed(c, "make") : 0;
}

/* Last, so that whoever copies can write into it. */
static int copy_finish_directory(struct copying *c)
{
	int from = fs_open(c->from, c->path.data, O_RDONLY | O_DIRECTORY, 0);
	int to = fs_open(c->to, c->path.data, O_RDONLY | O_DIRECTORY, 0);
	struct stat st;
	int status = 0;

	if (to < 0)
		status = copy_failed(c, "open");
	else if (from >= 0 && fstat(from, &st) == 0)
		status = attributes_copy(c, from, to) < 0 || copy_give(c, to, &st) < 0 ? -1 :
			 fchmod(to, (st.st_mode & 07777) | 0700) < 0 ? copy_failed(c, "set mode of") : 0;
	if (from >= 0)
		close(from);
	if (to >= 0)
		close(to);
	return status;
}

/* The path is that of one of history/'s links that name a version beside them. */
static bool is_mark(const struct copying *c)
{
	const char *name = strrchr(c->path.data, '/');

	return !c->in_tree && name != NULL &&
	       (strcmp(name + 1, MARK_FILE) == 0 || strcmp(name + 1, MARK_END) == 0);
}

static int copy_mark(struct copying *c)
{
	return is_mark(c) ? copy_path(c) : 0;
}

static int copy_unmarked(struct copying *c)
{
	return is_mark(c) ? 0 : copy_path(c);
}

/* Marks go before the names are read: what they name is among those. */
static int copy_names(struct copying *c)
{
	struct buf marks = BUF_INIT, names = BUF_INIT;
	int status = c->in_tree ? 0 : names_collect(c->from, c->path.data, &marks, c->err);

	if (status == 0)
		status = copy_each(c, buf_str(&marks), copy_mark);
	if (status == 0)
		status = names_collect(c->from, c->path.data, &names, c->err);
	if (status == 0)
		status = copy_each(c, buf_str(&names), copy_unmarked);
	buf_clear(&marks);
	buf_clear(&names);
	return status;
}

static int copy_directory(struct copying *c)
{
	struct buf there = BUF_INIT;
	int status = copy_make_directory(c);

	if (status == 0)
		status = copy_names(c);
	if (status == 0)
		status = names_collect(c->to, c->path.data, &there, c->err);
	if (status == 0)
		status = copy_each(c, buf_str(&there), copy_remove_gone);
	buf_clear(&there);
	return status < 0 ? -1 : copy_finish_directory(c);
}

static int copy_once(struct copying *c)
{
	struct stat st;

	if (fstatat(c->from, c->path.data, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : source_failed(c, "look for");
	if (S_ISDIR(st.st_mode))
		return copy_directory(c);
	if (S_ISLNK(st.st_mode))
		return copy_link(c);
	return S_ISREG(st.st_mode) ? copy_file(c) : 0;	/* a person's FIFO is nobody's version */
}

static int copy_path(struct copying *c)
{
	int status;

	do
		status = copy_once(c);
	while (status == AGAIN);
	return status;
}

static int copy_part(struct copying *c, const char *name)
{
	buf_reset(&c->path);
	buf_adds(&c->path, name);
	c->in_tree = strcmp(name, "tree") == 0;
	return copy_path(c);
}

static int copying_begin(struct copying *c, const char *from, const char *to,
			 struct backup_count *count, struct err *err)
{
	*c = (struct copying){ .from_path = from, .to_path = to, .from = -1, .to = -1,
			       .path = BUF_INIT, .count = count, .err = err };
	*count = (struct backup_count){ .copied = 0 };
	c->from = open(from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (c->from < 0 && errno == EACCES)
		return err_set(err, ERR_DENIED, "open %s: do this as root, or as the user who owns the "
			       "store", from);
	if (c->from < 0)
		return err_sys(err, "open %s", from);
	if (disk_make_directories(to) < 0)
		return err_sys(err, "make %s", to);
	c->to = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (c->to < 0)
		return err_sys(err, "open %s", to);
	c->piece = mem_new(PIECE, 1);
	return 0;
}

static void copying_end(struct copying *c)
{
	if (c->from >= 0)
		close(c->from);
	if (c->to >= 0)
		close(c->to);
	buf_clear(&c->path);
	free(c->piece);
}

/* A link in its place would lead out of the copy. */
static int check_part(struct copying *c, const char *name)
{
	struct stat st;

	if (fstatat(c->from, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || S_ISDIR(st.st_mode))
		return 0;
	return err_set(c->err, ERR_CORRUPT, "copy %s/%s: it is no directory", c->from_path, name);
}

static int copy_parts(struct copying *c)
{
	for (size_t i = 0; i < PARTS; i++)
		if (check_part(c, parts[i]) < 0 || copy_part(c, parts[i]) < 0)
			return -1;
	unlinkat(c->to, COPYING, 0);	/* of one that was cut off */
	return 0;
}

/* backup.ini */

struct described {
	uint64_t node;
	bool whole;
};

static int description_read_key(void *data, struct str section, struct str key, struct str value,
				struct err *err)
{
	struct described *described = data;

	if (!str_eq(section, STR("backup")))
		return 0;
	if (str_eq(key, STR("node")) && str_hex64(value, &described->node) < 0)
		return inifile_bad(key, value, err);
	if (str_eq(key, STR("whole")))
		described->whole = str_eq(value, STR("yes"));
	return 0;
}

static int description_load(const char *directory, struct described *ret, struct err *err)
{
	struct described described = { .node = 0 };

	if (inifile_load(directory, BACKUP_FILE, description_read_key, &described, err) < 0)
		return -1;
	*ret = described;
	return 0;
}

static int description_save(const char *directory, uint64_t node, bool whole, struct err *err)
{
	struct inifile ini = INIFILE_INIT;

	inifile_section(&ini, "backup");
	inifile_putf(&ini, "node", "%016" PRIx64, node);
	inifile_put(&ini, "whole", whole ? STR("yes") : STR("no"));
	return inifile_store(&ini, directory, BACKUP_FILE, err);
}

/* making */

/* A copy in the store itself would be of itself. */
static int backup_check_outside(const char *store, const char *to, struct err *err)
{
	char *a = realpath(store, NULL), *b = realpath(to, NULL);
	size_t n = a != NULL ? strlen(a) : 0;
	bool inside = a != NULL && b != NULL && strncmp(a, b, n) == 0 && (b[n] == '/' || b[n] == '\0');

	free(a);
	free(b);
	return inside ? err_set(err, ERR_INVALID, "back up to %s: it is in the store", to) : 0;
}

/* It is empty, or this node's backup. */
static int backup_check_place(const char *to, int dir, uint64_t node, struct err *err)
{
	struct described described = { .node = 0 };
	struct err why = ERR_INIT;

	if (description_load(to, &described, &why) < 0)
		return why.kind != ERR_ABSENT ? err_pass(err, &why) :
		       names_none(dir, ".") ? 0 :
		       err_set(err, ERR_CONFLICT, "back up to %s: it is not empty, and no backup", to);
	if (described.node != node)
		return err_set(err, ERR_CONFLICT, "back up to %s: it is the backup of node %016" PRIx64
			       ", this is %016" PRIx64 ": give each a directory of its own", to,
			       described.node, node);
	return 0;
}

/* What a power cut left in the log is in no part that is copied. */
static int check_log(struct copying *c)
{
	int wal = fs_open(c->from, "wal", O_RDONLY | O_DIRECTORY, 0);
	bool owed = wal_has_unreplayed(wal);

	if (wal >= 0)
		close(wal);
	return !owed ? 0 : err_set(c->err, ERR_CONFLICT, "back up %s: a program of the node ended in the "
				   "middle of its work, and what it wrote last is put in its place "
				   "when one is started: do that first, or try again soon", c->from_path);
}

static int backup_copy(struct copying *c)
{
	struct disk_identity identity;

	if (disk_read_identity(c->from_path, &identity, c->err) < 0 ||
	    backup_check_outside(c->from_path, c->to_path, c->err) < 0)
		return -1;
	if (identity.recovering)
		return err_set(c->err, ERR_CONFLICT, "back up %s: covey recover was cut off: say it again "
			       "first", c->from_path);
	if (disk_lost_records(c->from, false))
		return err_set(c->err, ERR_CORRUPT, "back up %s: its files have lost their extended "
			       "attributes, and with them their versions, which an earlier backup has: "
			       "put that back, or say covey adopt and back up to another directory",
			       c->from_path);
	if (flock(c->to, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ?
			       err_set(c->err, ERR_CONFLICT, "back up to %s: that is just being done",
				       c->to_path) :
			       err_sys(c->err, "lock %s", c->to_path);
	if (check_log(c) < 0 || backup_check_place(c->to_path, c->to, identity.node, c->err) < 0 ||
	    description_save(c->to_path, identity.node, false, c->err) < 0 || copy_parts(c) < 0 ||
	    copy_part(c, "node.ini") < 0)
		return -1;
	if (syncfs(c->to) < 0)
		return err_sys(c->err, "sync %s", c->to_path);
	return description_save(c->to_path, identity.node, true, c->err);
}

int backup_make(const char *store, const char *to, struct backup_count *count, struct err *err)
{
	struct copying c;
	int status = copying_begin(&c, store, to, count, err);

	if (status == 0)
		status = backup_copy(&c);
	copying_end(&c);
	return status;
}

/* recovering */

static int recover_check(struct copying *c)
{
	struct disk_identity identity;
	struct described described = { .node = 0 };
	struct err why = ERR_INIT;

	if (description_load(c->from_path, &described, &why) < 0)
		return why.kind == ERR_ABSENT ?
			       err_set(c->err, ERR_INVALID, "recover from %s: it is no backup: it has no "
				       BACKUP_FILE, c->from_path) : err_pass(c->err, &why);
	if (!described.whole)
		return err_set(c->err, ERR_CORRUPT, "recover from %s: it is not whole: covey backup was cut "
			       "off, say it again", c->from_path);
	if (disk_read_identity(c->from_path, &identity, c->err) < 0)
		return -1;
	if (disk_lost_records(c->from, false))
		return err_set(c->err, ERR_CORRUPT, "recover from %s: its files have lost their extended "
			       "attributes, and with them their versions", c->from_path);
	return 0;
}

/* Nobody has the store open, nor will before c->to is closed.  *ret: node.ini, with a lock. */
static int recover_hold_store(struct copying *c, int *ret)
{
	while (flock(c->to, LOCK_EX) < 0)
		if (errno != EINTR)
			return err_sys(c->err, "lock %s", c->to_path);
	*ret = openat(c->to, "node.ini", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (*ret < 0)
		return errno == ENOENT ? 0 : err_sys(c->err, "open %s/node.ini", c->to_path);
	if (flock(*ret, LOCK_EX | LOCK_NB) == 0)
		return 0;
	return errno == EWOULDBLOCK ?
		       err_set(c->err, ERR_CONFLICT, "recover to %s: programs of this node run, stop them "
			       "first", c->to_path) : err_sys(c->err, "lock %s/node.ini", c->to_path);
}

static int recover_write_identity(struct copying *c, uint64_t node, bool recovering)
{
	int status = disk_write_identity(c->to_path, node, recovering, c->err);
	int fd = status == 0 ? openat(c->to, "node.ini", O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
	struct stat st;

	if (fd >= 0) {
		status = fstat(fd, &st) == 0 ? copy_give(c, fd, &st) : -1;
		close(fd);
	}
	return status;
}

/* All goes to the homes and keepers of a group once it is in one (renew.c). */
static int recover_owe_all(struct copying *c)
{
	int fd = fs_open(c->to, "outbox/" OWE_ALL, O_WRONLY | O_CREAT | O_NOFOLLOW, FS_FILE_MODE);
	struct stat st;
	int status;

	if (fd < 0)
		return err_sys(c->err, "make %s/outbox/" OWE_ALL, c->to_path);
	status = fstat(fd, &st) == 0 ? copy_give(c, fd, &st) : -1;
	close(fd);
	return status;
}

/* By its descriptor, so that no link in its place leads root elsewhere. */
static int recover_prepare_state(struct copying *c, int (*prepare)(const char *state, struct err *))
{
	char path[sizeof "/proc/self/fd/" + 3 * sizeof(int)];
	int fd = fs_open(c->to, "state", O_PATH | O_DIRECTORY, 0), status;

	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(c->err, "open %s/state", c->to_path);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	status = prepare(path, c->err);
	close(fd);
	return status < 0 ? err_context(c->err, "in %s/state", c->to_path) : 0;
}

static int recover_store(struct copying *c, uint64_t node,
			 int (*prepare)(const char *state, struct err *), int *held)
{
	struct disk_identity begun = { .recovering = false };
	struct stat st;

	if (recover_check(c) < 0 || recover_hold_store(c, held) < 0)
		return -1;
	if (*held >= 0 && disk_read_identity(c->to_path, &begun, c->err) < 0)
		return -1;
	if (!begun.recovering && (!names_none(c->to, "tree") || !names_none(c->to, "history") ||
				 !names_none(c->to, "wal")))
		return err_set(c->err, ERR_EXISTS, "recover to %s: there are files of a store already: move "
			       "them away first", c->to_path);
	if (fstat(c->to, &st) < 0)
		return err_sys(c->err, "look at %s", c->to_path);
	c->gives = true;
	c->owner = st.st_uid;
	c->group = st.st_gid;
	if (recover_write_identity(c, node, true) < 0 || copy_parts(c) < 0 || recover_owe_all(c) < 0 ||
	    recover_prepare_state(c, prepare) < 0)
		return -1;
	if (syncfs(c->to) < 0)
		return err_sys(c->err, "sync %s", c->to_path);
	return recover_write_identity(c, node, false);
}

int backup_recover(const char *from, const char *store,
		   int (*prepare)(const char *state, struct err *), uint64_t *ret_node,
		   struct backup_count *count, struct err *err)
{
	uint64_t node = disk_draw();
	struct copying c;
	int held = -1;
	int status = copying_begin(&c, from, store, count, err);

	if (status == 0)
		status = recover_store(&c, node, prepare, &held);
	if (held >= 0)
		close(held);
	copying_end(&c);
	if (status == 0)
		*ret_node = node;
	return status;
}
