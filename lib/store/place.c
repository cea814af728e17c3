/* place - giving names to what is ready */
#include "inside.h"

#include "clock.h"
#include "fs.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int place_name(const struct source *source, int dir, const char *name)
{
	if (source->fd >= 0)
		return fs_link_fd(source->fd, dir, name);
	if (source->text != NULL)
		return symlinkat(source->text, dir, name);
	return linkat(source->dir, source->name, dir, name, 0);
}

int place_over(const struct source *source, int temporary_dir, const char *temporary, int dir,
	       const char *name)
{
	int status = place_name(source, temporary_dir, temporary), error;

	if (status < 0 && errno == EEXIST) {	/* whoever left it there died */
		unlinkat(temporary_dir, temporary, 0);
		status = place_name(source, temporary_dir, temporary);
	}
	if (status == 0 && renameat(temporary_dir, temporary, dir, name) == 0)
		return 0;
	error = errno;
	unlinkat(temporary_dir, temporary, 0);
	errno = error;
	return -1;
}

int place_in_history(const struct source *source, int history, const struct record *record,
		     bool content, struct err *err)
{
	struct found there = FOUND_INIT;
	char name[VERSION_NAME];
	bool same, good, other;

	version_name(name, record->version);
	if (place_name(source, history, name) == 0)
		return 0;
	if (errno != EEXIST)
		return err_sys(err, "put a version into history");
	if (look(history, name, &there, err) < 0)
		return -1;
	same = record_eq(&there.record, record);
	good = same && (there.kind != FOUND_POINTER || !content);
	other = !same && !version_is_none(there.record.version);
	found_clear(&there);
	if (other)
		return err_set(err, ERR_CORRUPT, "put a version into history: another record "
			       "has its name");
	if (!good && place_over(source, history, MARK_NEW, history, name) < 0)
		return err_sys(err, "replace a version in history");
	return 0;
}

int place_aside(int dir, const char *name, int history, struct err *err)
{
	struct version stamp = { .time = clock_wall_ns() };
	char aside[sizeof MARK_FOREIGN + VERSION_TEXT], text[VERSION_TEXT];

	for (;; stamp.time++) {
		snprintf(aside, sizeof aside, MARK_FOREIGN "%s", version_format(text, stamp));
		if (linkat(dir, name, history, aside, 0) == 0)
			return 0;
		if (errno != EEXIST)
			break;
	}
	/* Linking another user's file may be forbidden; moving it is not. */
	if (errno != ENOENT && renameat(dir, name, history, aside) < 0 && errno != ENOENT)
		return err_sys(err, "move a person's file to history");
	return 0;
}

int place_mark(struct store *store, int history, const struct record *record, struct err *err)
{
	struct source source = SOURCE_INIT;
	int status;

	source.fd = fs_tmpfile(store->tmp);
	if (source.fd < 0)
		return err_sys(err, "make a file for the record");
	status = put_record(source.fd, record, (struct str)STR_INIT, false, err);
	if (status == 0)
		status = disk_sync(store, source.fd, "record", err);
	if (status == 0)
		status = place_in_history(&source, history, record, false, err);
	close(source.fd);
	return status;
}
