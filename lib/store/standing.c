/*
 * standing - is a directory in tree/ one, by the records that are known
 *
 * A directory with a live record stands.  One without, or with a dead one,
 * stands as long as something is in it: a file, which may be a person's, or
 * a directory that stands.  So a directory that was made only for what was
 * merged below it, and is empty again, is none, wherever it was left.
 */
#include "inside.h"

#include "fs.h"

#include <unistd.h>

struct counting {
	int dir;
	bool empty;
	struct err *err;
};

static int count_name(void *data, const char *name)
{
	struct counting *c = data;
	int fd = fs_open(c->dir, name, O_RDONLY | O_DIRECTORY, 0);
	struct record record = { .flags = 0 };
	int status = 0;

	if (fd >= 0)
		record = look_directory(fd);
	if (fd < 0 || record_is_live(&record))
		c->empty = false;
	else
		status = directory_is_empty(fd, &c->empty, c->err);
	if (fd >= 0)
		close(fd);
	return status < 0 ? -1 : !c->empty;
}

int directory_is_empty(int fd, bool *ret, struct err *err)
{
	struct counting c = { .dir = fd, .empty = true, .err = err };

	if (look_names(fd, ".", count_name, &c, err) < 0)
		return -1;
	*ret = c.empty;
	return 0;
}

static int stop(void *data, const char *name)
{
	(void)name;
	*(bool *)data = false;
	return 1;
}

int directory_is_bare(int fd, bool *ret, struct err *err)
{
	bool bare = true;

	if (look_names(fd, ".", stop, &bare, err) < 0)
		return -1;
	*ret = bare;
	return 0;
}

int look_standing(int history, struct names *names, const struct found *found,
		  struct standing *ret, struct err *err)
{
	struct standing s = { .record = found->record };
	bool empty = false;

	if (history >= 0 &&
	    look_mark(history, names_mark(names, MARK_REMOVED), &s.removed, err) < 0)
		return -1;
	if (version_cmp(s.record.version, s.removed) <= 0 &&
	    directory_is_empty(found->fd, &empty, err) < 0)
		return -1;
	s.stands = !empty;
	if (version_cmp(s.removed, s.record.version) > 0 &&
	    look_tombstone(history, names_version(names, s.removed), s.removed, &s.record,
			   err) < 0)
		return -1;
	*ret = s;
	return 0;
}
