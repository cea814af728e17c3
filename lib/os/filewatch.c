/* filewatch - files that people change while this process runs */
#include "filewatch.h"

#include "buf.h"
#include "container.h"
#include "mem.h"

#include <errno.h>
#include <limits.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define SETTLE_MS 50		/* after a change: others of the same hand follow at once */
#define LINKS_MAX 40		/* as the kernel follows */

/* What may change in a directory in which a name turns; and of one that is only passed, that it goes. */
#define GOES (IN_DELETE_SELF | IN_MOVE_SELF)
#define TURNS (GOES | IN_CLOSE_WRITE | IN_ATTRIB | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO)

/* Which file a path leads to, and its state; zeros: to none. */
struct mark {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec written, changed;
};

struct watched {
	char *path;			/* owned */
	struct mark mark;
};

struct filewatch {
	struct loop *loop;
	void (*changed)(void *data);
	void *data;
	struct watched *files;		/* owned */
	size_t count;
	struct watch inotify;		/* its descriptor is owned; -1: none */
	char **names;			/* that were looked up where they turn; owned */
	size_t name_count;
	bool is_blind;			/* the kernel does not tell of all of them */
	bool noticed;
	struct timer look;
};

/* the way */

/* The name of path's first component; false: there is none any more. */
static bool way_next(struct buf *rest, struct buf *name)
{
	const char *at = rest->data != NULL ? rest->data : "";
	size_t skip, n;
	char *left;

	skip = strspn(at, "/");
	n = strcspn(at + skip, "/");
	if (n == 0)
		return false;
	buf_reset(name);
	buf_add(name, at + skip, n);
	left = mem_copy(at + skip + n, strlen(at + skip + n));
	buf_reset(rest);
	buf_adds(rest, left);
	free(left);
	return true;
}

static void way_up(struct buf *here)
{
	char *slash = strrchr(here->data, '/');

	if (slash != NULL) {
		here->len = (size_t)(slash - here->data);
		*slash = '\0';
	}
}

/* What a link says goes before the rest. */
static void way_turn(struct buf *here, struct buf *rest, const char *target)
{
	struct buf whole = BUF_INIT;

	if (target[0] == '/')
		buf_reset(here);
	buf_addf(&whole, "%s/%s", target, rest->data != NULL ? rest->data : "");
	buf_reset(rest);
	buf_addstr(rest, buf_str(&whole));
	buf_clear(&whole);
}

static const char *way_directory(const struct buf *here)
{
	return here->len > 0 ? here->data : "/";
}

void filewatch_way(const char *path,
		   void (*step)(void *data, const char *directory, const char *name, bool turns),
		   void *data)
{
	struct buf here = BUF_INIT, rest = BUF_INIT, name = BUF_INIT, next = BUF_INIT;
	unsigned links = 0;
	bool on = true;

	buf_adds(&here, "");
	buf_adds(&rest, path);
	while (on && way_next(&rest, &name)) {
		char target[PATH_MAX];
		struct stat st;
		ssize_t n;

		if (strcmp(name.data, ".") == 0)
			continue;
		if (strcmp(name.data, "..") == 0) {
			way_up(&here);
			continue;
		}
		buf_reset(&next);
		buf_addf(&next, "%s/%s", here.len > 0 ? here.data : "", name.data);
		if (lstat(next.data, &st) == 0 && S_ISDIR(st.st_mode)) {
			step(data, way_directory(&here), name.data, false);
			buf_reset(&here);
			buf_addstr(&here, buf_str(&next));
			continue;
		}
		step(data, way_directory(&here), name.data, true);
		n = readlink(next.data, target, sizeof target - 1);
		on = n >= 0 && ++links <= LINKS_MAX;
		if (on) {
			target[n] = '\0';
			way_turn(&here, &rest, target);
		}
	}
	buf_clear(&here);
	buf_clear(&rest);
	buf_clear(&name);
	buf_clear(&next);
}

/* the kernel's word */

static void filewatch_close(struct filewatch *w)
{
	watch_stop(&w->inotify);
	if (w->inotify.fd >= 0)
		close(w->inotify.fd);
	w->inotify.fd = -1;
	for (size_t i = 0; i < w->name_count; i++)
		free(w->names[i]);
	free(w->names);
	w->names = NULL;
	w->name_count = 0;
}

static void watch_directory(struct filewatch *w, const char *directory, uint32_t events)
{
	if (inotify_add_watch(w->inotify.fd, directory, events | IN_ONLYDIR | IN_MASK_ADD) < 0)
		w->is_blind = true;
}

static void watch_step(void *data, const char *directory, const char *name, bool turns)
{
	struct filewatch *w = data;

	watch_directory(w, directory, turns ? TURNS : GOES);
	if (!turns)
		return;
	w->names = mem_resize(w->names, w->name_count + 1, sizeof *w->names);
	w->names[w->name_count++] = mem_copy(name, strlen(name));
}

/* A directory in which a name turns may be busy with others. */
static bool is_of_interest(const struct filewatch *w, const struct inotify_event *event)
{
	if (event->len == 0 || event->mask & (GOES | IN_Q_OVERFLOW))
		return true;
	for (size_t i = 0; i < w->name_count; i++)
		if (strcmp(w->names[i], event->name) == 0)
			return true;
	return false;
}

/* What is watched is found anew before the files are read: so nothing is missed meanwhile. */
static void filewatch_told(struct watch *watch, uint32_t events)
{
	struct filewatch *w = CONTAINER_OF(watch, struct filewatch, inotify);
	union {
		struct inotify_event event;
		char bytes[4096];
	} told;
	ssize_t n;

	(void)events;
	while ((n = read(watch->fd, told.bytes, sizeof told.bytes)) > 0)
		for (ssize_t at = 0; at < n;) {
			const struct inotify_event *event = (const void *)(told.bytes + at);

			w->noticed |= is_of_interest(w, event);
			at += (ssize_t)(sizeof *event + event->len);
		}
	if (!w->noticed)
		return;
	watch_stop(&w->inotify);
	timer_start(w->loop, &w->look, SETTLE_MS);
}

static void filewatch_open(struct filewatch *w)
{
	filewatch_close(w);
	w->is_blind = false;
	w->inotify.fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (w->inotify.fd < 0) {
		w->is_blind = true;
	} else {
		for (size_t i = 0; i < w->count; i++)
			filewatch_way(w->files[i].path, watch_step, w);
		if (watch_start(w->loop, &w->inotify, EPOLLIN, NULL) < 0)
			w->is_blind = true;
	}
	if (w->is_blind || w->noticed)
		timer_start(w->loop, &w->look, w->noticed ? SETTLE_MS : FILEWATCH_LOOK_MS);
	else
		timer_stop(&w->look);
}

/* looking */

static struct mark mark_of(const char *path)
{
	struct mark mark = { .device = 0 };
	struct stat st;

	if (stat(path, &st) == 0)
		mark = (struct mark){ .device = st.st_dev, .inode = st.st_ino, .size = st.st_size,
				      .written = st.st_mtim, .changed = st.st_ctim };
	return mark;
}

static bool time_eq(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool mark_eq(const struct mark *a, const struct mark *b)
{
	return a->device == b->device && a->inode == b->inode && a->size == b->size &&
	       time_eq(a->written, b->written) && time_eq(a->changed, b->changed);
}

static void filewatch_look(struct timer *timer)
{
	struct filewatch *w = CONTAINER_OF(timer, struct filewatch, look);
	bool changed = w->noticed;

	w->noticed = false;
	filewatch_open(w);
	for (size_t i = 0; i < w->count; i++) {
		struct mark mark = mark_of(w->files[i].path);

		changed |= !mark_eq(&mark, &w->files[i].mark);
		w->files[i].mark = mark;
	}
	if (changed)
		w->changed(w->data);
}

/* its beginning and end */

struct filewatch *filewatch_new(struct loop *loop, void (*changed)(void *data), void *data)
{
	struct filewatch *w = mem_new(1, sizeof *w);

	w->loop = loop;
	w->changed = changed;
	w->data = data;
	w->inotify.fd = -1;
	w->inotify.ready = filewatch_told;
	w->look.fire = filewatch_look;
	return w;
}

void filewatch_free(struct filewatch *w)
{
	if (w == NULL)
		return;
	timer_stop(&w->look);
	filewatch_close(w);
	for (size_t i = 0; i < w->count; i++)
		free(w->files[i].path);
	free(w->files);
	free(w);
}

void filewatch_add(struct filewatch *w, const char *path)
{
	for (size_t i = 0; i < w->count; i++)
		if (strcmp(w->files[i].path, path) == 0)
			return;
	w->files = mem_resize(w->files, w->count + 1, sizeof *w->files);
	w->files[w->count++] = (struct watched){ .path = mem_copy(path, strlen(path)) };
	filewatch_open(w);
	w->files[w->count - 1].mark = mark_of(path);
}
