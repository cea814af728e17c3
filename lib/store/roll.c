/*
 * roll - the names of a directory in their order, for whoever lists it
 *
 * To read and sort the names of a large directory takes as long for one page
 * as for all.  So those of one with ROLL_NAMES of them, or more, stay in a file,
 * state/lists/HASH, and a page costs the names that are on it.  Processes
 * share the file, and those that list at once in one process share the roll:
 *
 *	head | path | per name: what it is, name, NUL | per name, and for the end: where it begins
 *
 * It is true as long as the directories in tree/ and history/ are as they
 * were just before their names were read, by their inodes and times: each
 * name that comes or goes changes them, whoever does it.  A time tells
 * nothing of a second change within the same tick of the clock, so only the
 * names of directories that had been still for a while are kept for others;
 * of one that changes all the time the file has no name, and goes with its
 * roll.  Nothing else is in it: what stands at a name is looked up by whoever
 * wants to know.
 *
 * A roll of which another part is to come rests for a moment: another node that
 * lists the directory in parts wants the names of when it began, whatever came since.
 *
 * A file is written whole before it has its name, and read by the boot alone
 * that wrote it, for it is never synced.  All of them may be removed at any
 * moment; the oldest are when there are too many.  Where none can be written
 * (the disk is full, or read-only) the names are in memory.
 */
#include "inside.h"

#include "clock.h"
#include "fs.h"
#include "mem.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <unistd.h>

#define ROLL_NAMES 4096
#define FILES_MAX 16			/* that stay */
#define RESTING_MAX 16			/* rolls without users, */
#define RESTING_MS 10000		/* and for how long; looked after when others come or go */
#define STILL_NS INT64_C(1000000000)	/* far above a tick of the clock */
#define MAGIC "covey names 1\n"		/* with its NUL: 15 bytes */
#define DIRECTORY "lists"
#define NAME_TEXT 17
#define WRITE_BYTES (64u << 10)

enum child_flag { IN_HISTORY = 1, IS_DIRECTORY = 2 };

struct stamp {
	uint64_t dev, ino;		/* 0: there is none */
	int64_t modified, changed;	/* ns since 1970 */
};

struct roll_head {
	char magic[16];
	char boot[BOOT_TEXT];
	struct stamp tree, history;
	uint64_t path_bytes;
	uint64_t count, directories;	/* names, and those of directories in tree/ */
	uint64_t begins;		/* where it is told where each name begins: behind the last one */
};

struct roll {
	struct store *store;
	struct link link;		/* among the store's */
	size_t users;
	uint64_t left;			/* 0 users: since then */
	char *path;			/* owned */
	size_t path_bytes;
	uint64_t began;			/* ms, monotonic: its directories were opened from then on */
	struct stamp tree, history;	/* just before that */
	bool still;			/* and they had been so for a while */
	atomic_bool spoiled;		/* its file is: nobody else is to use it */
	size_t count, directories;	/* as in the head */
	int fd;				/* of its file; owned; -1: the names are in children */
	uint64_t begins;		/* as in the head */
	struct children children;
};

/* the directories */

static int64_t ns_of(struct timespec t)
{
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int stamp_read(int dir, struct stamp *ret, struct err *err)
{
	struct stat st;

	*ret = (struct stamp){ .ino = 0 };
	if (dir < 0)
		return 0;
	if (fstat(dir, &st) < 0)
		return err_sys(err, "look at directory");
	*ret = (struct stamp){ st.st_dev, st.st_ino, ns_of(st.st_mtim), ns_of(st.st_ctim) };
	return 0;
}

static bool stamp_eq(const struct stamp *a, const struct stamp *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->modified == b->modified && a->changed == b->changed;
}

static bool stamp_is_still(const struct stamp *stamp, int64_t now)
{
	return now - stamp->modified > STILL_NS && now - stamp->changed > STILL_NS;
}

bool roll_knows_history(const struct roll *roll, int history)
{
	struct stamp now;

	return roll->still && stamp_read(history, &now, NULL) == 0 && stamp_eq(&now, &roll->history);
}

/* the file, which is written */

struct writing {
	int fd;
	struct buf bytes;
	uint64_t offset;		/* of bytes, in the file */
};

static int writing_flush(struct writing *w)
{
	if (w->bytes.len > 0 && fs_write(w->fd, w->bytes.data, w->bytes.len, w->offset) < 0)
		return -1;
	w->offset += w->bytes.len;
	buf_reset(&w->bytes);
	return 0;
}

static int writing_add(struct writing *w, const void *bytes, size_t n)
{
	buf_add(&w->bytes, bytes, n);
	return w->bytes.len < WRITE_BYTES ? 0 : writing_flush(w);
}

static int write_names(struct writing *w, const struct roll *roll, uint64_t begins[])
{
	for (size_t i = 0; i < roll->count; i++) {
		const struct child *child = &roll->children.items[i];
		char flags = (char)((child->in_history ? IN_HISTORY : 0) | (child->directory ? IS_DIRECTORY : 0));

		begins[i] = w->offset + w->bytes.len;
		if (writing_add(w, &flags, 1) < 0 || writing_add(w, child->name, strlen(child->name) + 1) < 0)
			return -1;
	}
	begins[roll->count] = w->offset + w->bytes.len;
	return 0;
}

/* The head is written last: without it the file says nothing. */
static int write_roll(struct writing *w, const struct roll *roll, uint64_t *ret_begins)
{
	struct roll_head head = { .tree = roll->tree, .history = roll->history,
				  .path_bytes = roll->path_bytes, .count = roll->count,
				  .directories = roll->directories };
	uint64_t *begins = mem_new(roll->count + 1, sizeof *begins);
	int status;

	memcpy(head.magic, MAGIC, sizeof MAGIC);
	read_boot(head.boot);
	w->offset = sizeof head;
	status = writing_add(w, roll->path, roll->path_bytes);
	if (status == 0)
		status = write_names(w, roll, begins);
	if (status == 0)
		status = writing_add(w, begins, (roll->count + 1) * sizeof *begins);
	if (status == 0)
		status = writing_flush(w);
	head.begins = begins[roll->count];
	if (status == 0 && fs_write(w->fd, &head, sizeof head, 0) < 0)
		status = -1;
	*ret_begins = head.begins;
	free(begins);
	buf_clear(&w->bytes);
	return status;
}

static const char *roll_name(char to[NAME_TEXT], struct str path)
{
	snprintf(to, NAME_TEXT, "%016" PRIx64, path_hash(path));
	return to;
}

static int lists_open(struct store *store)
{
	return fs_open(store->state, DIRECTORY, O_RDONLY | O_DIRECTORY, 0);
}

struct oldest {
	int dir;
	size_t count;
	struct timespec time;
	char name[NAME_TEXT];
};

static int oldest_add(void *data, const char *name)
{
	struct oldest *oldest = data;
	struct stat st;

	/* What is no list is nobody's here to remove, and must not stand in the way. */
	if (strlen(name) >= NAME_TEXT || fstatat(oldest->dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !S_ISREG(st.st_mode))
		return 0;
	if (oldest->count++ == 0 || ns_of(st.st_mtim) < ns_of(oldest->time)) {
		oldest->time = st.st_mtim;
		snprintf(oldest->name, sizeof oldest->name, "%s", name);
	}
	return 0;
}

/* One comes: as long as there are too many the oldest goes. */
static void lists_make_room(int dir)
{
	struct oldest oldest;

	do {
		oldest = (struct oldest){ .dir = dir };
		names_each(dir, ".", oldest_add, &oldest, NULL);
	} while (oldest.count >= FILES_MAX && unlinkat(dir, oldest.name, 0) == 0);
}

/* Whoever makes the same one at the same moment has as good a one. */
static void roll_name_file(int dir, int fd, struct str path)
{
	char name[NAME_TEXT];

	roll_name(name, path);
	unlinkat(dir, name, 0);
	lists_make_room(dir);
	fs_link_fd(fd, dir, name);
}

/* The names go into a file, if there is one to be had. */
static void roll_keep(struct store *store, struct roll *roll)
{
	struct writing w = { .bytes = BUF_INIT };
	int dir;

	if (store_fits(store, roll->children.texts.len + (roll->count + 1) * sizeof(uint64_t), NULL) < 0)
		return;
	mkdirat(store->state, DIRECTORY, FS_DIR_MODE);
	dir = lists_open(store);
	w.fd = dir < 0 ? -1 : fs_tmpfile(dir);
	if (w.fd >= 0 && write_roll(&w, roll, &roll->begins) == 0) {
		if (roll->still)
			roll_name_file(dir, w.fd, (struct str){ roll->path, roll->path_bytes });
		roll->fd = w.fd;
		children_clear(&roll->children);
	} else if (w.fd >= 0) {
		close(w.fd);
	}
	if (dir >= 0)
		close(dir);
}

/* the file, which is read */

static int read_at(int fd, void *to, size_t n, uint64_t offset)
{
	return pread(fd, to, n, (off_t)offset) == (ssize_t)n ? 0 : -1;
}

static bool head_is_of(const struct roll_head *head, const struct stamp *tree, const struct stamp *history,
		       struct str path)
{
	char boot[BOOT_TEXT];

	read_boot(boot);
	return memcmp(head->magic, MAGIC, sizeof MAGIC) == 0 && boot[0] != '\0' &&
	       memcmp(head->boot, boot, sizeof boot) == 0 && stamp_eq(&head->tree, tree) &&
	       stamp_eq(&head->history, history) && head->path_bytes == path.n && path.n <= PATH_BYTES;
}

/* It is of this path, and what it says is what is there. */
static bool file_is_true(int fd, const struct stamp *tree, const struct stamp *history, struct str path,
			 struct roll_head *ret)
{
	char of[PATH_BYTES];
	struct stat st;

	return read_at(fd, ret, sizeof *ret, 0) == 0 && head_is_of(ret, tree, history, path) &&
	       read_at(fd, of, path.n, sizeof *ret) == 0 && memcmp(of, path.s, path.n) == 0 &&
	       fstat(fd, &st) == 0 && ret->count < (uint64_t)st.st_size &&
	       (uint64_t)st.st_size == ret->begins + (ret->count + 1) * sizeof(uint64_t);
}

static int open_file(struct store *store, struct str path)
{
	char name[NAME_TEXT];
	int dir = lists_open(store), fd;

	if (dir < 0)
		return -1;
	fd = fs_open(dir, roll_name(name, path), O_RDONLY | O_NOFOLLOW, 0);
	close(dir);
	return fd;
}

static struct roll *roll_new(struct store *store, struct str path, const struct stamp *tree,
			     const struct stamp *history)
{
	struct roll *roll = mem_new(1, sizeof *roll);

	roll->store = store;
	roll->path = mem_copy(path.n > 0 ? path.s : "", path.n);
	roll->path_bytes = path.n;
	roll->tree = *tree;
	roll->history = *history;
	roll->fd = -1;
	return roll;
}

/* NULL: no file is there that is true. */
static struct roll *roll_load(struct store *store, struct str path, const struct stamp *tree,
			      const struct stamp *history)
{
	int fd = open_file(store, path);
	struct roll_head head;
	struct roll *roll;

	if (fd < 0)
		return NULL;
	if (!file_is_true(fd, tree, history, path, &head)) {
		close(fd);
		return NULL;
	}
	roll = roll_new(store, path, tree, history);
	roll->fd = fd;
	roll->still = true;
	roll->count = head.count;
	roll->directories = head.directories;
	roll->begins = head.begins;
	return roll;
}

/* Somebody or the disk has changed it; the next who lists the directory makes another. */
static int roll_spoiled(struct roll *roll, struct err *err)
{
	char name[NAME_TEXT];
	int dir = lists_open(roll->store);

	atomic_store(&roll->spoiled, true);
	roll_name(name, (struct str){ roll->path, roll->path_bytes });
	if (dir >= 0) {
		unlinkat(dir, name, 0);
		close(dir);
	}
	return err_set(err, ERR_CORRUPT, "read state/" DIRECTORY "/%s: it is spoiled", name);
}

/* How many bytes n names from the first one on have, and where they begin. */
static int read_begins(struct roll *roll, size_t first, size_t n, uint64_t *ret_begins, struct err *err)
{
	if (read_at(roll->fd, ret_begins, (n + 1) * sizeof *ret_begins,
		    roll->begins + first * sizeof *ret_begins) < 0)
		return roll_spoiled(roll, err);
	for (size_t i = 0; i < n; i++)
		if (ret_begins[i + 1] < ret_begins[i] + 3 || ret_begins[i + 1] > roll->begins ||
		    ret_begins[i + 1] - ret_begins[i] > NAME_MAX + 2)
			return roll_spoiled(roll, err);
	return 0;
}

static int read_names(struct roll *roll, size_t n, const uint64_t begins[], struct children *ret,
		      struct err *err)
{
	size_t bytes = (size_t)(begins[n] - begins[0]);

	ret->items = mem_new(n, sizeof *ret->items);
	if (read_at(roll->fd, buf_reserve(&ret->texts, bytes), bytes, begins[0]) < 0)
		return roll_spoiled(roll, err);
	for (size_t i = 0; i < n; i++) {
		const char *text = ret->texts.data + (begins[i] - begins[0]);

		if (ret->texts.data[begins[i + 1] - begins[0] - 1] != '\0')
			return roll_spoiled(roll, err);
		ret->items[i] = (struct child){ text + 1, text[0] & IN_HISTORY, text[0] & IS_DIRECTORY };
		if (i > 0 && strcmp(ret->items[i - 1].name, ret->items[i].name) >= 0)
			return roll_spoiled(roll, err);
	}
	ret->count = n;
	return 0;
}

int roll_read(struct roll *roll, size_t first, size_t n, struct children *ret, struct err *err)
{
	struct children children = CHILDREN_INIT;
	uint64_t *begins;
	int status;

	n = first >= roll->count ? 0 : n < roll->count - first ? n : roll->count - first;
	if (roll->fd < 0) {
		children.items = mem_new(n, sizeof *children.items);
		children.count = n;
		if (n > 0)
			memcpy(children.items, roll->children.items + first, n * sizeof *children.items);
		*ret = children;
		return 0;
	}
	begins = mem_new(n + 1, sizeof *begins);
	status = read_begins(roll, first, n, begins, err);
	if (status == 0)
		status = read_names(roll, n, begins, &children, err);
	free(begins);
	if (status < 0) {
		children_clear(&children);
		return -1;
	}
	*ret = children;
	return 0;
}

int roll_find(struct roll *roll, struct str after, size_t *ret, struct err *err)
{
	size_t low = 0, high = roll->count;

	while (after.n > 0 && low < high) {
		size_t middle = low + (high - low) / 2;
		struct children one;

		if (roll_read(roll, middle, 1, &one, err) < 0)
			return -1;
		if (str_cmp(str_of(one.items[0].name), after) <= 0)
			low = middle + 1;
		else
			high = middle;
		children_clear(&one);
	}
	*ret = after.n > 0 ? low : 0;
	return 0;
}

size_t roll_count(const struct roll *roll)
{
	return roll->count;
}

size_t roll_directories(const struct roll *roll)
{
	return roll->directories;
}

/* those in use */

static void roll_free(struct roll *roll)
{
	if (roll->fd >= 0)
		close(roll->fd);
	children_clear(&roll->children);
	free(roll->path);
	free(roll);
}

static bool stamp_is_of_same(const struct stamp *a, const struct stamp *b)
{
	return a->dev == b->dev && a->ino == b->ino;
}

/* Those that rest and are too many, or do so for too long, go to another list, for rolls_free(). */
static void rolls_tidy(struct store *store, size_t most, struct list *to)
{
	uint64_t now = clock_mono_ms();
	size_t resting = 0;

	LIST_EACH(struct roll, roll, &store->rolls, link)
		resting += roll->users == 0;
	LIST_EACH(struct roll, roll, &store->rolls, link)
		if (roll->users == 0 && (resting > most || now - roll->left >= RESTING_MS)) {
			list_remove(&roll->link);
			list_append(to, &roll->link);
			resting--;
		}
}

static void rolls_free(struct list *rolls)
{
	LIST_EACH(struct roll, roll, rolls, link)
		roll_free(roll);
}

/* The roll that tells what was there after `asked`; or, one in use, what still is. */
static struct roll *rolls_find(struct store *store, struct str path, uint64_t asked, const struct stamp *tree,
			       const struct stamp *history)
{
	LIST_EACH(struct roll, roll, &store->rolls, link)
		if (!atomic_load(&roll->spoiled) && str_eq((struct str){ roll->path, roll->path_bytes }, path) &&
		    stamp_is_of_same(&roll->tree, tree) && stamp_is_of_same(&roll->history, history) &&
		    (roll->began > asked ||
		     (roll->users > 0 && roll->still && stamp_eq(&roll->tree, tree) &&
		      stamp_eq(&roll->history, history)))) {
			roll->users++;
			return roll;
		}
	return NULL;
}

/* now: from before the stamps were read, ns since 1970. */
static struct roll *roll_make(struct store *store, int tree, int history, const struct stamp *of_tree,
			      const struct stamp *of_history, int64_t now, struct str path, struct err *err)
{
	struct roll *roll = roll_new(store, path, of_tree, of_history);

	roll->still = stamp_is_still(of_tree, now) && stamp_is_still(of_history, now);
	if (children_read_open(tree, history, &roll->children, err) < 0) {
		roll_free(roll);
		return NULL;
	}
	roll->count = roll->children.count;
	for (size_t i = 0; i < roll->count; i++)
		roll->directories += roll->children.items[i].directory;
	if (roll->count >= ROLL_NAMES)
		roll_keep(store, roll);
	return roll;
}

int roll_open(struct store *store, struct str path, int tree, int history, uint64_t opened, uint64_t asked,
	      struct roll **ret, struct err *err)
{
	int64_t now = (int64_t)clock_wall_ns();
	struct list old = { .first = NULL };
	struct stamp of_tree, of_history;
	struct roll *roll;

	if (stamp_read(tree, &of_tree, err) < 0 || stamp_read(history, &of_history, err) < 0)
		return -1;
	pthread_mutex_lock(&store->rolling);
	roll = rolls_find(store, path, asked, &of_tree, &of_history);
	pthread_mutex_unlock(&store->rolling);
	if (roll != NULL) {
		*ret = roll;
		return 0;
	}
	roll = roll_load(store, path, &of_tree, &of_history);
	if (roll == NULL)
		roll = roll_make(store, tree, history, &of_tree, &of_history, now, path, err);
	if (roll == NULL)
		return -1;
	roll->began = opened;
	roll->users = 1;
	pthread_mutex_lock(&store->rolling);
	list_append(&store->rolls, &roll->link);
	rolls_tidy(store, RESTING_MAX, &old);
	pthread_mutex_unlock(&store->rolling);
	rolls_free(&old);
	*ret = roll;
	return 0;
}

/* Where it costs no memory. */
static bool roll_may_rest(const struct roll *roll)
{
	return roll->fd >= 0 && !atomic_load(&roll->spoiled);
}

void roll_close(struct roll *roll, bool rests)
{
	struct list old = { .first = NULL };
	struct store *store;

	if (roll == NULL)
		return;
	store = roll->store;
	pthread_mutex_lock(&store->rolling);
	if (--roll->users == 0) {
		roll->left = clock_mono_ms();
		list_remove(&roll->link);
		list_append(rests && roll_may_rest(roll) ? &store->rolls : &old, &roll->link);
	}
	rolls_tidy(store, RESTING_MAX, &old);
	pthread_mutex_unlock(&store->rolling);
	rolls_free(&old);
}

void rolls_end(struct store *store)
{
	struct list old = { .first = NULL };

	rolls_tidy(store, 0, &old);
	rolls_free(&old);
}
