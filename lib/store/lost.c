/*
 * lost - has this store lost its records?
 *
 * They are extended attributes, which plain cp and tar leave behind.  A
 * mark on tree/ is left behind with them; so what a person has put into the
 * tree of a store that has its own is not taken for that.
 */
#include "inside.h"

#include "fs.h"

#include <sys/xattr.h>
#include <unistd.h>

#define MARK_XATTR RECORD_XATTR ".store"
#define FILES 16			/* that are looked at, at most */
#define NAMES 4096

struct seen {
	int dir;			/* whose names are told */
	unsigned files, names;
	bool record;			/* one had one */
};

static bool is_enough(const struct seen *s)
{
	return s->record || s->files >= FILES || s->names >= NAMES;
}

static int see(void *data, const char *name)
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
	if (fd >= 0 && S_ISDIR(st.st_mode) && !is_enough(s)) {
		s->dir = fd;
		look_names(fd, ".", see, s, NULL);
		s->dir = above;
	}
	if (fd >= 0)
		close(fd);
	return is_enough(s);
}

bool disk_lost_records(int dir, bool fresh)
{
	struct seen seen = { .dir = fs_open(dir, "tree", O_RDONLY | O_DIRECTORY, 0) };
	bool lost = false;

	if (seen.dir < 0)
		return false;
	if (fgetxattr(seen.dir, MARK_XATTR, NULL, 0) < 0) {
		if (!fresh)
			look_names(seen.dir, ".", see, &seen, NULL);
		lost = seen.files > 0 && !seen.record;
		/* On a full disk, or one that is only read, another time. */
		if (!lost)
			fsetxattr(seen.dir, MARK_XATTR, "1", 1, 0);
	}
	close(seen.dir);
	return lost;
}

bool store_lost_records(struct store *store)
{
	return disk_lost_records(store->dir, false);
}
