/*
 * inode - what one name in tree/ or history/ is
 *
 * A file is a version only when its record, its size and its mtime agree;
 * anything else a person has put there or changed.
 */
#include "inside.h"

#include "fs.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define NS_PER_S 1000000000
#define EARLIEST_END INT32_MAX	/* s: no file system's times end before 2038 */

/*
 * On disk only: the bit of the form (in format 1, of the flags) that says
 * that there is a type, too.  It spares each reader the system call that
 * would find none.
 */
#define TYPED 0x80

static unsigned char *typed_byte(unsigned char *record)
{
	return &record[record[0] == 1 ? 1 : 2];
}

void inode_clear(struct inode *found)
{
	if (found->fd >= 0)
		close(found->fd);
	*found = (struct inode)INODE_INIT;
}

/* The type attribute, judged like one that comes from outside. */
static int inode_get_type(int fd, char type[RECORD_TYPE_MAX + 1])
{
	ssize_t n = fgetxattr(fd, RECORD_TYPE_XATTR, type, RECORD_TYPE_MAX);

	if (n <= 0)
		return -1;
	type[n] = '\0';
	return record_check_type((struct str){ type, (size_t)n }, NULL);
}

/* 0 when there is a whole record; the outputs are touched only then. */
static int inode_get_record(int fd, struct inode *ret)
{
	unsigned char bytes[RECORD_BYTES_MAX], *form;
	char type[RECORD_TYPE_MAX + 1] = "";
	ssize_t n = fgetxattr(fd, RECORD_XATTR, bytes, sizeof bytes);
	bool typed;

	if (n < RECORD_BYTES)
		return -1;
	form = typed_byte(bytes);
	typed = *form & TYPED;
	*form &= (unsigned char)~TYPED;
	if (typed && inode_get_type(fd, type) < 0)
		return -1;
	if (record_unpack(bytes, (size_t)n, &ret->record, NULL) < 0)
		return -1;
	memcpy(ret->type, type, sizeof type);
	return 0;
}

/*
 * A file system's times end somewhere (2038, 2446), and of a later one the
 * kernel keeps the last whole second that there is.  So a time from then on
 * is also what is earlier and whole: the record is the truth, whichever file
 * system the store was moved to.
 */
static bool mtime_is(const struct stat *st, uint64_t time)
{
	const struct timespec *mtime = &st->st_mtim;
	uint64_t second = time / NS_PER_S;

	if ((uint64_t)mtime->tv_sec == second && (uint64_t)mtime->tv_nsec == time % NS_PER_S)
		return true;
	return mtime->tv_sec >= EARLIEST_END && (uint64_t)mtime->tv_sec <= second &&
	       mtime->tv_nsec == 0;
}

int inode_set_record(int fd, const struct record *record, struct str type, bool directory,
		     struct err *err)
{
	struct timespec times[2] = {
		{ .tv_nsec = UTIME_OMIT },
		{ .tv_sec = (time_t)(record_made(record) / NS_PER_S),
		  .tv_nsec = (long)(record_made(record) % NS_PER_S) },
	};
	unsigned char bytes[RECORD_BYTES_MAX];
	size_t n = record_pack(bytes, record);
	struct stat st;

	if (type.n > 0)
		*typed_byte(bytes) |= TYPED;
	if (type.n > 0 && fsetxattr(fd, RECORD_TYPE_XATTR, type.s, type.n, 0) < 0)
		return err_sys(err, "set content type");
	if (fsetxattr(fd, RECORD_XATTR, bytes, n, 0) < 0)
		return err_sys(err, "set record");
	if (directory)
		return 0;
	if (futimens(fd, times) < 0)
		return err_sys(err, "set time of version");
	if (times[1].tv_sec < EARLIEST_END)
		return 0;
	if (fstat(fd, &st) < 0)
		return err_sys(err, "look at time of version");
	if (!mtime_is(&st, record_made(record)))
		return err_set(err, ERR_UNSUPPORTED,
			       "set time of version: beyond what the file system can hold");
	return 0;
}

static enum inode_kind inode_kind_of_file(int fd, struct inode *ret)
{
	const struct record *r = &ret->record;
	const struct stat *st = &ret->st;

	if (!S_ISREG(st->st_mode) || inode_get_record(fd, ret) < 0)
		return INODE_FOREIGN;
	if ((uint64_t)st->st_size != r->size || !mtime_is(st, record_made(r))) {
		ret->record = (struct record){ .flags = 0 };
		return INODE_FOREIGN;
	}
	return record_has_content(r) ? INODE_CONTENT : INODE_RECORD;
}

/* A symbolic link whose text is a record is a pointer.  AGAIN: it is no link any more. */
static int inode_read_link(int dir, const char *name, struct inode *ret, struct err *err)
{
	int fd = fs_open(dir, name, O_PATH | O_NOFOLLOW, 0);
	char text[1024];
	struct record record;
	struct str type;
	int status;

	if (fd < 0 && errno != ELOOP && errno != ENOENT && errno != ENOTDIR)
		return err_sys(err, "open symbolic link");
	if (fd < 0)
		return 0;	/* the link is on the way there: nothing covey made is behind it */
	status = fs_read_link(fd, "", text, sizeof text);
	if (status < 0 && (errno == ENOENT || errno == EINVAL)) {
		close(fd);
		return AGAIN;	/* content has just replaced the pointer */
	}
	fstat(fd, &ret->st);
	close(fd);
	ret->kind = INODE_FOREIGN;
	if (status == 0 && record_parse(str_of(text), &record, &type, NULL) == 0 &&
	    record_has_content(&record)) {
		ret->kind = INODE_POINTER;
		ret->record = record;
		snprintf(ret->type, sizeof ret->type, "%.*s", STR_ARG(type));
	}
	return 0;
}

/* What cannot be opened: errno says what it is. */
static int inode_read_unopened(int dir, const char *name, struct inode *ret, struct err *err)
{
	switch (errno) {
	case ENOENT:
	case ENOTDIR:
		return 0;
	case ELOOP:
		return inode_read_link(dir, name, ret, err);
	case EXDEV:	/* something is mounted there */
	case EACCES:
	case EPERM:
	case ENXIO:	/* a socket, or a device without a driver */
	case ENODEV:
		ret->kind = INODE_FOREIGN;
		return 0;
	default:
		return err_sys(err, "open");
	}
}

struct record inode_record(int fd)
{
	struct inode found = INODE_INIT;

	inode_get_record(fd, &found);
	return found.record;
}

bool inode_is_untouched(int fd, const struct record *record)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && mtime_is(&st, record_made(record));
}

struct record inode_directory_record(int fd)
{
	struct record record = inode_record(fd);

	return record.flags & RECORD_DIRECTORY ? record : (struct record){ .flags = 0 };
}

static int inode_read_once(int dir, const char *name, struct inode *ret, struct err *err)
{
	/* Not to wait for a FIFO's writer, should a person have put one there. */
	int fd = fs_open(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0);

	if (fd < 0)
		return inode_read_unopened(dir, name, ret, err);
	if (fstat(fd, &ret->st) < 0) {
		err_sys(err, "stat");
		close(fd);
		return -1;
	}
	if (S_ISDIR(ret->st.st_mode)) {
		ret->kind = INODE_DIRECTORY;
		ret->record = inode_directory_record(fd);
	} else {
		ret->kind = inode_kind_of_file(fd, ret);
	}
	ret->fd = fd;
	return 0;
}

int inode_read(int dir, const char *name, struct inode *ret, struct err *err)
{
	int status;

	do
		status = inode_read_once(dir, name, ret, err);
	while (status == AGAIN);
	return status;
}

int inode_read_tree(int dir, const char *name, struct inode *ret, struct err *err)
{
	if (inode_read(dir, name, ret, err) < 0)
		return -1;
	if (ret->kind == INODE_RECORD) {
		ret->kind = INODE_FOREIGN;
		ret->record = (struct record){ .flags = 0 };
	}
	return 0;
}

bool inode_unchanged(int dir, const char *name, const struct inode *found)
{
	const struct stat *seen = &found->st;
	struct stat st;

	if (seen->st_ino == 0)
		return true;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT;
	return st.st_ino == seen->st_ino && st.st_size == seen->st_size &&
	       st.st_mtim.tv_sec == seen->st_mtim.tv_sec &&
	       st.st_mtim.tv_nsec == seen->st_mtim.tv_nsec;
}

int mark_read(int dir, const char *name, struct version *ret, struct err *err)
{
	char text[VERSION_TEXT];
	struct version v = VERSION_NONE;

	if (fs_read_link(dir, name, text, sizeof text) == 0)
		version_parse(str_of(text), &v, NULL);
	else if (errno != ENOENT && errno != ENOTDIR && errno != EINVAL && errno != ENAMETOOLONG &&
		 errno != ELOOP)
		return err_sys(err, "read the mark of a version");
	*ret = v;
	return 0;
}

int marks_read(int history, struct names *names, struct marks *ret, struct err *err)
{
	struct marks marks = { .file = VERSION_NONE };

	if (history >= 0 && !names->no_history &&
	    (mark_read(history, names_mark(names, MARK_FILE), &marks.file, err) < 0 ||
	     mark_read(history, names_mark(names, MARK_END), &marks.end, err) < 0))
		return -1;
	*ret = marks;
	return 0;
}

bool tombstone_is_cut_short(const struct record *r, const struct marks *marks)
{
	return r->flags & RECORD_DELETED &&
	       version_cmp(r->version, r->flags & RECORD_DIRECTORY ? marks->end : marks->file) > 0;
}

int tombstone_read(int dir, const char *name, struct version v, uint8_t flags,
		   struct record *ret, struct err *err)
{
	struct inode found = INODE_INIT;

	if (inode_read(dir, name, &found, err) < 0)
		return -1;
	if (found.kind == INODE_RECORD && version_cmp(found.record.version, v) == 0)
		*ret = found.record;
	else
		*ret = (struct record){ .version = v, .flags = flags };
	inode_clear(&found);
	return 0;
}

struct search {
	int dir;
	struct version above, below;
	struct err *err;
};

static int search_add_name(void *data, const char *name)
{
	struct search *search = data;
	bool any = !version_is_none(search->below);
	struct inode found = INODE_INIT;
	struct version v;

	if (version_of_name(name, &v) < 0 || version_cmp(v, search->above) <= 0 ||
	    (any && version_cmp(v, search->below) >= 0))
		return 0;
	if (inode_read(search->dir, name, &found, search->err) < 0)
		return -1;
	if (version_cmp(found.record.version, v) == 0 &&
	    (record_has_content(&found.record) ||
	     (any && !(found.record.flags & RECORD_DIRECTORY))))
		search->above = v;
	inode_clear(&found);
	return 0;
}

int history_newest_file(int history, struct names *names, struct version above, struct version below,
			struct version *ret, struct err *err)
{
	struct search search = { .above = above, .below = below, .err = err };
	int status;

	search.dir = history < 0 ? -1 : fs_open(history, names_history(names),
						O_RDONLY | O_DIRECTORY, 0);
	if (search.dir < 0 && history >= 0 && errno != ENOENT)
		return err_sys(err, "open history");
	status = search.dir < 0 ? 0 : names_each(search.dir, ".", search_add_name, &search, err);
	if (search.dir >= 0)
		close(search.dir);
	if (status == 0)
		*ret = version_cmp(search.above, above) > 0 ? search.above : VERSION_NONE;
	return status;
}
