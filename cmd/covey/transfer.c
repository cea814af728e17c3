/*
 * transfer - get, put and rm: content on its way to a node, or from one; -r: all that is in a directory
 *
 * An upload of a regular file reads it twice: its digest goes ahead, so that
 * the node stores nothing when what arrives is not what was read.
 *
 * A download is one version's content, whole and checked, or not at all.
 * Into a file it goes by way of FILE.VERSION.part beside it, which is
 * renamed when all is there and its digest is right.  A part that an
 * earlier try left is continued when the node still has that version as
 * the one asked for.  The file's time is that of the version, to the
 * second, as Last-Modified has it.  Into a pipe the content goes as it
 * comes; a transfer that breaks off is continued where it was.
 *
 * With -r one walk has many requests under way at once:
 *
 *	a directory	list it there (put: here, too), add a step for each name in it
 *	a file		get: download; put: upload; both unless it is the same; rm: delete
 *
 * Threads, each with a client of its own, take the steps.  The step that was
 * added last is taken first, so that few wait at any time.  When a node gives
 * no answer the rest is not tried.  A file that is the same on both sides is
 * left alone: of the same size, and of the same time, to the second; or of
 * the same sha256, which is compared in place of the time if that is asked
 * for, or if the time cannot be relied on.  So an interrupted run is
 * continued by the next one, and one more transfers nothing.
 *
 * Names come from others.  A name that could mean anything but one name in
 * one directory is refused; get opens everything below the directory that
 * was named, and follows no symbolic link on the way.
 */
#include "client.h"
#include "output.h"

#include "digest.h"
#include "fields.h"
#include "file.h"
#include "httpdate.h"
#include "mem.h"
#include "path.h"
#include "pct.h"
#include "version.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#define CHUNK (256u << 10)
#define TRIES 4			/* of a download that breaks off */
#define LOOK_BYTES 2000		/* of what would go to a terminal */

/* the content of a file here */

/* Add all that can be read from fd to the digest. */
static int digest_file(struct digest *digest, int fd, const char *file, uint64_t *ret_bytes, struct err *err)
{
	struct buf chunk = BUF_INIT;
	ssize_t n;

	*ret_bytes = 0;
	while ((n = read(fd, buf_reserve(&chunk, CHUNK), CHUNK)) > 0 || (n < 0 && errno == EINTR))
		if (n > 0) {
			digest_add(digest, chunk.data, (size_t)n);
			*ret_bytes += (uint64_t)n;
		}
	if (n < 0)
		err_sys(err, "read %s", file);
	buf_clear(&chunk);
	return n < 0 ? -1 : 0;
}

/* file is for the error. */
static int sha256_of(int fd, const char *file, uint8_t ret[32], struct err *err)
{
	struct digest *digest = digest_new();
	uint8_t sha256[32];
	uint64_t bytes;
	int rc = digest_file(digest, fd, file, &bytes, err);

	digest_end(digest, sha256);
	digest_free(digest);
	if (rc == 0)
		memcpy(ret, sha256, sizeof sha256);
	return rc;
}

/* uploads */

struct upload {
	const char *file;	/* as named by the caller; "-" is standard input */
	int fd;			/* owned, unless it is standard input */
	struct stat st;
	bool regular;		/* sha256 is that of the whole file */
	uint8_t sha256[32];
	struct buf target, type;	/* set by the caller; type is a header line, as */
	struct buf digest, mtime;
};
#define UPLOAD_INIT { .fd = -1 }

/* The offset is back at 0 afterwards. */
static int upload_take_digest(struct upload *upload, struct err *err)
{
	if (sha256_of(upload->fd, upload->file, upload->sha256, err) < 0)
		return -1;
	if (lseek(upload->fd, 0, SEEK_SET) < 0)
		return err_sys(err, "read %s", upload->file);
	upload->regular = true;
	buf_adds(&upload->digest, "Repr-Digest: ");
	fields_digest(&upload->digest, upload->sha256);
	return 0;
}

/* Reading a named pipe waits for a writer, perhaps for ever; that of a shell's <(...) has one. */
static int upload_check_pipe(const struct upload *upload, struct err *err)
{
	struct statfs fs;

	if (!S_ISFIFO(upload->st.st_mode) ||
	    (fstatfs(upload->fd, &fs) == 0 && fs.f_type == PIPEFS_MAGIC))
		return 0;
	return err_set(err, ERR_INVALID, "put %s: a named pipe: covey put - PATH <%s reads it to its end",
		       upload->file, upload->file);
}

static int upload_open(struct upload *upload, const char *file, struct err *err)
{
	bool standard = strcmp(file, "-") == 0;

	upload->file = file;
	upload->fd = standard ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (upload->fd < 0 || fstat(upload->fd, &upload->st) < 0)
		return err_sys(err, "open %s", file);
	if (S_ISDIR(upload->st.st_mode))
		return err_set(err, ERR_INVALID, "put %s: a directory: covey put -r %s PATH/ stores what is in it",
			       file, file);
	if (standard)
		return 0;
	if (upload_check_pipe(upload, err) < 0)
		return -1;
	if (fcntl(upload->fd, F_SETFL, 0) < 0)
		return err_sys(err, "open %s", file);
	if (!S_ISREG(upload->st.st_mode))
		return 0;
	if (upload->st.st_mtime > 0)
		buf_addf(&upload->mtime, "X-OC-Mtime: %lld", (long long)upload->st.st_mtime);
	return upload_take_digest(upload, err);
}

/* The exit status, after it was told, as write_told() does. */
static int upload_send(struct upload *upload, struct client *client, const struct write *write,
		       struct exchange *exchange, const char *path, atomic_uint_least64_t *unsure)
{
	const struct buf *lines[] = { &upload->type, &upload->digest, &upload->mtime };
	struct err err = ERR_INIT;
	size_t count = 0;

	exchange->method = "PUT";
	exchange->target = buf_str(&upload->target);
	exchange->body = upload->fd;
	if (upload->regular)
		exchange->body_size = (uint64_t)upload->st.st_size;
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
		if (lines[i]->len > 0)
			exchange->headers[count++] = lines[i]->data;
	if (write_send(write, client, exchange, &err) == 0)
		return write_told(write, exchange, path, unsure);
	exchange->status = 0;	/* the answer broke off */
	if (!client_lost(client))
		err_context(&err, "put %s", upload->file);
	return command_fail(&err);
}

static void upload_clear(struct upload *upload)
{
	if (upload->fd > STDIN_FILENO)
		close(upload->fd);
	buf_clear(&upload->target);
	buf_clear(&upload->digest);
	buf_clear(&upload->mtime);
	buf_clear(&upload->type);
}

/* downloads */

struct download_to {
	const char *file;	/* NULL: into out as it comes */
	int dir;		/* file's name is in there; AT_FDCWD: it is a path */
	int out;
	bool terminal;		/* out is one: what is no text is refused */
	bool fresh;		/* no earlier try can have left a part */
	bool many;		/* one of many: no progress of its own is shown */
	const char *version;	/* what is expected, and the file's time if it is that; NULL: not known */
	struct timespec time;
};

struct download {
	const char *what;
	const struct download_to *to;
	char *part;		/* owned; the part file's name, or NULL */
	int fd;			/* of the part, owned; or the caller's */
	char version[VERSION_TEXT];	/* of what is there already; "" none */
	uint64_t have;		/* bytes written */
	struct digest *digest;	/* of them */
	bool begun;		/* the answer under way was looked at */
};

/* the part file of a download */

static const char *base_of(const char *file)
{
	const char *slash = strrchr(file, '/');

	return slash ? slash + 1 : file;
}

/* The file's name, shortened so that the version and .part fit behind it. */
static struct str part_prefix(const char *file)
{
	struct str base = str_of(base_of(file));

	if (base.n > NAME_MAX - (VERSION_TEXT + sizeof ".part"))
		base.n = NAME_MAX - (VERSION_TEXT + sizeof ".part");
	return base;
}

static char *part_name(const char *file, struct str version)
{
	struct str base = part_prefix(file);
	struct buf name = BUF_INIT;

	buf_add(&name, file, (size_t)(base.s - file));
	buf_addf(&name, "%.*s%s%.*s.part", STR_ARG(base), version.n ? "." : "", STR_ARG(version));
	return buf_take(&name);
}

/* The version in "BASE.VERSION.part", or empty. */
static struct str part_version(const char *name, struct str prefix)
{
	struct str rest = str_of(name);
	struct version version;

	if (!str_starts(rest, prefix) || !str_ends(rest, STR(".part")) ||
	    rest.n < prefix.n + sizeof ".part")
		return (struct str)STR_INIT;
	rest = (struct str){ rest.s + prefix.n + 1, rest.n - prefix.n - sizeof ".part" };
	if (rest.n >= VERSION_TEXT || version_parse(rest, &version, NULL) < 0)
		return (struct str)STR_INIT;
	return rest;
}

/* Whether a file of this name is taken for what an earlier try left. */
static bool download_is_part(const char *name)
{
	for (const char *dot = strchr(name, '.'); dot != NULL; dot = strchr(dot + 1, '.'))
		if (part_version(name, (struct str){ name, (size_t)(dot - name) }).n > 0)
			return true;
	return false;
}

/* Find what an earlier try left, and read it for the digest. */
static int part_find(struct download *d, struct err *err)
{
	char *directory = file_directory(d->to->file);
	int fd = openat(d->to->dir, directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	struct str version;

	free(directory);
	while (list != NULL && (entry = readdir(list)) != NULL && d->part == NULL) {
		version = part_version(entry->d_name, part_prefix(d->to->file));
		if (version.n == 0)
			continue;
		snprintf(d->version, sizeof d->version, "%.*s", STR_ARG(version));
		d->part = part_name(d->to->file, version);
	}
	if (list != NULL)
		closedir(list);
	if (d->part == NULL)
		return 0;
	d->fd = openat(d->to->dir, d->part, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (d->fd < 0)
		return err_sys(err, "open %s", d->part);
	return digest_file(d->digest, d->fd, d->part, &d->have, err);
}

static void part_drop(struct download *d)
{
	if (d->part == NULL)
		return;
	unlinkat(d->to->dir, d->part, 0);
	free(d->part);
	d->part = NULL;
	close(d->fd);
	d->fd = -1;
}

/* As if nothing had been there. */
static void download_forget(struct download *d)
{
	part_drop(d);
	digest_free(d->digest);
	d->digest = digest_new();
	d->have = 0;
	d->version[0] = '\0';
}

/* The answer has the whole content: of the first version, or of another one than the part that is here. */
static int download_start_over(struct download *d, struct str version, struct err *err)
{
	if (d->to->file == NULL && d->have > 0)
		return err_set(err, ERR_CONFLICT,
			       "get %s: another version came while this one was read", d->what);
	download_forget(d);
	snprintf(d->version, sizeof d->version, "%.*s", STR_ARG(version));
	if (d->to->file == NULL)
		return 0;
	d->part = part_name(d->to->file, version);
	d->fd = openat(d->to->dir, d->part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
	return d->fd < 0 ? err_sys(err, "create %s", d->part) : 0;
}

/* the answer to a download */

/* Whether "bytes 100-199/200" begins behind the bytes that are here, and is of the same version. */
static bool download_continues(const struct download *d, const struct exchange *exchange)
{
	struct str range = exchange_field(exchange, "content-range"), first;
	uint64_t from;

	if (!str_starts(range, STR("bytes ")))
		return false;
	range = (struct str){ range.s + 6, range.n - 6 };
	return str_cut(&range, '-', &first) && str_u64(first, UINT64_MAX, &from) == 0 &&
	       from == d->have && str_eq(exchange_version(exchange), str_of(d->version));
}

static int download_begin(struct download *d, const struct exchange *exchange, struct err *err)
{
	if (d->begun)
		return 0;
	d->begun = true;
	if (exchange->status == 200)
		return download_start_over(d, exchange_version(exchange), err);
	if (!download_continues(d, exchange))
		return err_set(err, ERR_CORRUPT, "get %s: the answer is not the part asked for",
			       d->what);
	return 0;
}

static int download_take(struct exchange *exchange, const void *bytes, size_t n, struct err *err)
{
	struct download *d = exchange->data;
	const char *from = bytes;

	if (download_begin(d, exchange, err) < 0)
		return -1;
	if (d->to->terminal && d->have < LOOK_BYTES && memchr(bytes, '\0', n) != NULL)
		return err_set(err, ERR_INVALID, "get %s: this is no text, and would go to the terminal: "
						 "-o FILE keeps it, -o - shows it all the same", d->what);
	digest_add(d->digest, bytes, n);
	while (n > 0) {
		ssize_t written = write(d->fd, from, n);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return err_sys(err, "write %s", d->part ? d->part : "to standard output");
		from += written;
		n -= (size_t)written;
		d->have += (uint64_t)written;
	}
	return 0;
}

/* The file system may keep no such time: the content counts. */
static void download_set_time(const struct download *d, const struct exchange *exchange)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_nsec = 0 } };
	struct str field = exchange_field(exchange, "last-modified");
	uint64_t modified;

	if (d->to->version != NULL && strcmp(d->to->version, d->version) == 0)
		times[1] = d->to->time;
	else if (httpdate_parse(field, (uint64_t)time(NULL), &modified) == 0)
		times[1].tv_sec = (time_t)modified;
	else
		return;
	(void)futimens(d->fd, times);
}

static int download_finish(struct download *d, const struct exchange *exchange, struct err *err)
{
	uint8_t is[32], should[32];

	digest_end(d->digest, is);
	if (fields_digest_parse(exchange_field(exchange, "repr-digest"), should) == 1 &&
	    memcmp(is, should, sizeof is) != 0) {
		part_drop(d);
		return err_set(err, ERR_CORRUPT, "get %s: what came does not match its digest",
			       d->what);
	}
	if (d->to->file == NULL)
		return 0;
	download_set_time(d, exchange);
	if (renameat(d->to->dir, d->part, d->to->dir, d->to->file) == 0)
		return 0;
	err_sys(err, "get %s: rename %s to %s", d->what, d->part, base_of(d->to->file));
	part_drop(d);
	return -1;
}

/* One request; 0 when all is there, else an exit status.  *again: it is worth another. */
static int download_attempt(struct client *client, struct download *d, struct str target, bool *again)
{
	struct exchange exchange = EXCHANGE_INIT;
	struct err err = ERR_INIT;
	char range[48], condition[VERSION_TEXT + 16];
	uint64_t had = d->have;
	int status = 0;

	exchange.target = target;
	exchange.sink = download_take;
	exchange.data = d;
	exchange.progress = d->to->many ? NULL : d->what;
	exchange.headers[0] = "Want-Repr-Digest: sha-256=10";
	if (d->have > 0) {
		snprintf(range, sizeof range, "Range: bytes=%llu-", (unsigned long long)d->have);
		snprintf(condition, sizeof condition, "If-Range: \"%s\"", d->version);
		exchange.headers[1] = range;
		exchange.headers[2] = condition;
	}
	d->begun = false;
	*again = false;
	if (client_send(client, &exchange, &err) < 0) {
		*again = (err.kind == ERR_AWAY || err.kind == ERR_TIMEOUT) && d->have > had &&
			 d->version[0];
		if (err.kind == ERR_AWAY && !client_lost(client))
			err_context(&err, "get %s", d->what);
		status = *again ? EX_TEMPFAIL : command_fail(&err);
	} else if (exchange.status == 416 && d->have > 0 && d->to->file != NULL) {
		download_forget(d);
		*again = true;
		status = EX_TEMPFAIL;
	} else if (exchange.status == 301) {
		command_say("get %s: a directory: covey ls %s/ shows it, covey get -r %s/ DIR fetches it",
			    d->what, d->what, d->what);
		status = EX_DATAERR;
	} else if (exchange.status != 200 && exchange.status != 206) {
		status = exchange_refused(&exchange, d->what);
	} else if (download_begin(d, &exchange, &err) < 0 || download_finish(d, &exchange, &err) < 0) {
		status = command_fail(&err);
	}
	exchange_clear(&exchange);
	return status;
}

/* Fetch target.  The exit status; everything is told.  what names it for people. */
static int download(struct client *client, struct str target, const char *what,
		    const struct download_to *to)
{
	struct download d = { .what = what, .to = to, .fd = to->out, .digest = digest_new() };
	struct err err = ERR_INIT;
	bool again = true;
	int status = 0;

	if (to->file != NULL)
		d.fd = -1;
	if (to->file != NULL && !to->fresh && part_find(&d, &err) < 0) {
		status = command_fail(&err);
		again = false;
	}
	for (int i = 0; i < TRIES && again; i++)
		status = download_attempt(client, &d, target, &again);
	if (again)
		command_say("get %s: broke off again and again", what);
	if (to->file != NULL && d.fd >= 0)
		close(d.fd);
	digest_free(d.digest);
	free(d.part);
	return status;
}

/* the walk of -r */

#define THREADS 16		/* requests at once */
#define RACY_S 2		/* times are whole seconds, and clocks differ a little */

/* A name in a directory of the group. */
struct remote_entry {
	char *name;		/* owned; one component, exact bytes */
	bool directory;
	uint64_t size;		/* bytes */
	uint64_t mtime;		/* the client's, s since 1970; 0: not given */
	struct timespec made;	/* the version's time */
	char version[VERSION_TEXT];
	uint8_t sha256[32];
};

/* A directory of the group, as a node lists it. */
struct remote {
	struct remote_entry *entries;	/* owned; sorted by the bytes of their names */
	size_t count;
	bool absent;		/* there is no such directory */
	bool confirmed;		/* else it may hold more, or be there */
};
#define REMOTE_INIT { .entries = NULL, .count = 0 }

struct step;
typedef int step_run(struct step *, struct client *);	/* the exit status; everything is told */

struct step {
	struct step *next;
	struct tree *tree;
	step_run *run;
	bool file;		/* counts in the line of progress */
	uint64_t bytes;		/* that it transferred */
	struct buf path;	/* in the group, without slashes at its ends */
	struct buf here;	/* put: the path here; get: below the root, "" is the root itself */
	bool absent;		/* put, a directory: it is known not to be there */
	/* a file of put or get that may be the same on both sides */
	bool compare;		/* if its sha256 is that of the entry */
	bool fresh;		/* get: no part of an earlier try is in its directory */
	struct remote_entry entry;	/* in the group; name is NULL */
};

struct worker {
	struct tree *tree;
	struct client *client;	/* owned */
	pthread_t thread;
};

struct tree {
	struct buf path;	/* that was named, in the group, without slashes at its ends */
	const char *here;	/* get, put: the directory that was named */
	const struct write *write;	/* put, rm */
	bool checksum;
	atomic_uint_least64_t done, same;	/* files fetched, stored; files and directories removed */
	atomic_uint_least64_t made;	/* put: empty directories */
	atomic_uint_least64_t unsure;	/* writes that are not confirmed */
	int root;		/* get: here, opened; owned; -1: not yet */
	/* rm */
	bool again;		/* the second time: what is in the way is told */
	atomic_bool busy;	/* something was in the way */
	bool found;		/* there was a directory */
	/* the walk */
	const char *name;	/* in the line of progress */
	struct worker workers[THREADS];
	pthread_mutex_t lock;	/* of all that follows */
	pthread_cond_t changed;
	struct step *waiting;	/* the one added last is first */
	struct step *directories;	/* rm: to be removed when what is in them is gone */
	size_t running;
	int status;
	bool over;		/* a node gave no answer */
	uint64_t files, files_done, bytes;
	struct progress progress;
};

/* steps */

static struct step *step_new(struct tree *tree, step_run *run, struct str path, struct str here)
{
	struct step *step = mem_new(1, sizeof *step);

	step->tree = tree;
	step->run = run;
	buf_addstr(&step->path, path);
	buf_addstr(&step->here, here);
	return step;
}

static void step_free(struct step *step)
{
	buf_clear(&step->path);
	buf_clear(&step->here);
	free(step);
}

static void step_add(struct step *step)
{
	struct tree *tree = step->tree;

	pthread_mutex_lock(&tree->lock);
	step->next = tree->waiting;
	tree->waiting = step;
	tree->files += step->file;
	pthread_cond_signal(&tree->changed);
	pthread_mutex_unlock(&tree->lock);
}

/* Take the first step that waits.  The lock is held before and after. */
static void step_take(struct tree *tree, struct client *client)
{
	struct step *step = tree->waiting;
	bool tried = !tree->over;
	int status = 0;

	tree->waiting = step->next;
	tree->running++;
	pthread_mutex_unlock(&tree->lock);
	if (tried)
		status = step->run(step, client);
	pthread_mutex_lock(&tree->lock);
	tree->running--;
	tree->status = status_worse(tree->status, status);
	if (tried && client_lost(client)) {
		if (!tree->over && tree->waiting != NULL)
			command_say("the node gives no answer: the rest is not tried");
		tree->over = true;
	}
	tree->files_done += tried && step->file;
	tree->bytes += step->bytes;
	progress_files(&tree->progress, tree->files_done, tree->files, tree->bytes);
	step_free(step);
}

static void *tree_work(void *data)
{
	struct worker *worker = data;
	struct tree *tree = worker->tree;

	pthread_mutex_lock(&tree->lock);
	while (tree->waiting != NULL || tree->running > 0)
		if (tree->waiting != NULL)
			step_take(tree, worker->client);
		else
			pthread_cond_wait(&tree->changed, &tree->lock);
	pthread_cond_broadcast(&tree->changed);
	pthread_mutex_unlock(&tree->lock);
	return NULL;
}

/* Until no step is left; the worst exit status so far.  Where there can be no more threads, fewer do it. */
static int tree_run(struct tree *tree)
{
	size_t started = 1;

	progress_begin(&tree->progress, tree->name);
	while (started < THREADS && pthread_create(&tree->workers[started].thread, NULL, tree_work,
						   &tree->workers[started]) == 0)
		started++;
	tree_work(&tree->workers[0]);
	for (size_t i = 1; i < started; i++)
		pthread_join(tree->workers[i].thread, NULL);
	progress_end(&tree->progress);
	return tree->status;
}

/* 0, or the exit status after everything was told; then there is nothing to close. */
static int tree_open(struct tree *tree, const char *path, const char *name, const char *url)
{
	struct client *first;
	struct err err = ERR_INIT;
	int status = command_path(&tree->path, path);

	if (status == 0 && client_open(&first, url, &err) < 0)
		status = command_fail(&err);
	if (status != 0) {
		buf_clear(&tree->path);
		return status;
	}
	for (size_t i = 0; i < THREADS; i++)
		tree->workers[i] = (struct worker){ .tree = tree,
						    .client = i == 0 ? first : client_copy(first) };
	tree->name = name;
	tree->root = -1;
	pthread_mutex_init(&tree->lock, NULL);
	pthread_cond_init(&tree->changed, NULL);
	return 0;
}

static void tree_close(struct tree *tree)
{
	if (tree->root >= 0)
		close(tree->root);
	for (size_t i = 0; i < THREADS; i++)
		client_close(tree->workers[i].client);
	pthread_cond_destroy(&tree->changed);
	pthread_mutex_destroy(&tree->lock);
	buf_clear(&tree->path);
}

static void tree_told_unsure(const struct tree *tree)
{
	if (tree->unsure > 0)
		command_say("%llu of %llu are on this node's disk, and not confirmed by the group yet (202)",
			    (unsigned long long)tree->unsure, (unsigned long long)(tree->done + tree->made));
}

/* a directory of the group */

static void remote_clear(struct remote *remote)
{
	for (size_t i = 0; i < remote->count; i++)
		free(remote->entries[i].name);
	free(remote->entries);
	*remote = (struct remote)REMOTE_INIT;
}

static int by_name(const void *a, const void *b)
{
	const struct remote_entry *x = a, *y = b;

	return strcmp(x->name, y->name);
}

/* NULL: none of this name. */
static const struct remote_entry *remote_find(const struct remote *remote, const char *name)
{
	for (size_t from = 0, to = remote->count; from < to;) {
		size_t middle = from + (to - from) / 2;
		int order = strcmp(name, remote->entries[middle].name);

		if (order == 0)
			return &remote->entries[middle];
		if (order < 0)
			to = middle;
		else
			from = middle + 1;
	}
	return NULL;
}

/* NULL: it is no name of one component. */
static char *remote_name(const json_t *entry)
{
	struct buf name = BUF_INIT;

	if (pct_decode(&name, entry_name(entry)) == 0 && name.len > 0 &&
	    name.len <= PATH_COMPONENT_BYTES && strcmp(name.data, ".") != 0 &&
	    strcmp(name.data, "..") != 0 && !memchr(name.data, '/', name.len) &&
	    !memchr(name.data, '\0', name.len))
		return buf_take(&name);
	buf_clear(&name);
	return NULL;
}

/* "2026-11-22T11:07:24.123456001Z" */
static struct timespec remote_time(const char *text)
{
	struct timespec time = { .tv_sec = 0 };
	struct tm tm = { .tm_sec = 0 };
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S.", &tm);
	uint64_t ns = 0;

	if (rest != NULL && str_u64((struct str){ rest, strcspn(rest, "Z") }, 999999999, &ns) == 0)
		time = (struct timespec){ .tv_sec = timegm(&tm), .tv_nsec = (long)ns };
	return time;
}

static int remote_add(struct remote *remote, const json_t *entry)
{
	struct remote_entry *to = &remote->entries[remote->count];
	char *name = remote_name(entry);

	if (name == NULL)
		return -1;
	*to = (struct remote_entry){ .name = name,
				     .directory = entry_is_directory(entry),
				     .size = json_number(entry, "size"),
				     .mtime = json_number(entry, "mtime"),
				     .made = remote_time(json_text(entry, "time")) };
	snprintf(to->version, sizeof to->version, "%s", json_text(entry, "version"));
	str_from_hex(str_of(json_text(entry, "sha256")), to->sha256, sizeof to->sha256);
	remote->count++;
	return 0;
}

static int remote_read(struct remote *remote, const struct exchange *exchange, const char *what)
{
	json_t *list, *entry;
	struct err err = ERR_INIT;
	int status = 0;
	size_t i;

	if (json_read(&list, buf_str(&exchange->content), what, &err) < 0)
		return command_fail(&err);
	remote->entries = mem_new(json_array_size(list) + 1, sizeof *remote->entries);
	json_array_foreach(list, i, entry) {
		if (remote_add(remote, entry) < 0) {
			command_say("list %s: what the node tells of is no name: \"%.80s\"", what,
				    json_text(entry, "href"));
			status = EX_PROTOCOL;
		}
	}
	json_decref(list);
	if (status != 0)
		remote_clear(remote);
	else
		qsort(remote->entries, remote->count, sizeof *remote->entries, by_name);
	return status;
}

/* "/d/a%20b/" for the path "d/a b" */
static void directory_target(struct buf *to, struct str path)
{
	buf_addc(to, '/');
	pct_encode(to, path);
	if (path.n > 0)
		buf_addc(to, '/');
}

/* 0, also when it is absent; else the exit status, after everything was told. */
static int remote_list(struct client *client, struct str path, struct remote *remote)
{
	struct exchange exchange = EXCHANGE_INIT;
	struct buf target = BUF_INIT;
	struct err err = ERR_INIT;
	enum confirmation said;
	char *what;
	int status = 0;

	/* A hostile node could tell of a directory in each directory, without end. */
	if (path_check(path, &err) < 0) {
		command_say("list /%.*s: %s", STR_ARG(path), err.text);
		return EX_PROTOCOL;
	}
	directory_target(&target, path);
	what = mem_copy(target.data, target.len);
	buf_adds(&target, "?format=json");
	exchange.target = buf_str(&target);
	exchange.headers[0] = "Accept: application/json";
	if (client_send(client, &exchange, &err) < 0)
		status = command_fail(&err);
	else if (exchange.status == 404)
		remote->absent = true;
	else if (exchange.status != 200)
		status = exchange_refused(&exchange, what);
	else
		status = remote_read(remote, &exchange, what);
	said = exchange_confirmation(&exchange);
	remote->confirmed = said == CONFIRMED || (remote->absent && said == SAYS_NOTHING);
	exchange_clear(&exchange);
	buf_clear(&target);
	free(what);
	return status;
}

/* Names that an unconfirmed listing lacks may be there.  The exit status for it. */
static int told_unconfirmed(const struct step *directory)
{
	command_say("/%.*s: the group does not confirm now what is in it", STR_ARG(buf_str(&directory->path)));
	return EX_TEMPFAIL;
}

/* Whether the client's time is so close to the version's that a later content may have the same time. */
static bool is_racy(const struct remote_entry *entry)
{
	return entry->mtime + RACY_S > (uint64_t)entry->made.tv_sec;
}

#define OPTION_CHECKSUM \
	{ "checksum", 0, NULL, "with -r: compare sha256 in place of the time" }

/* get: what is here */

/* Tell errno, about a name in the directory below; "": the directory itself. */
static int fail_here(const struct tree *tree, struct str below, const char *name, const char *verb)
{
	struct err err = ERR_INIT;

	err_sys(&err, "%s %s%s%.*s%s%s", verb, tree->here, below.n > 0 ? "/" : "", STR_ARG(below),
		name[0] != '\0' ? "/" : "", name);
	return command_fail(&err);
}

/* Open it name by name, also across mounted file systems; -1 and errno. */
static int open_below(const struct tree *tree, struct str below)
{
	int fd = openat(tree->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), parent;
	struct buf name = BUF_INIT;
	struct str part;

	while (fd >= 0 && below.n > 0 && str_cut(&below, '/', &part)) {
		buf_reset(&name);
		buf_addstr(&name, part);
		parent = fd;
		fd = openat(parent, name.data, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		close(parent);
	}
	buf_clear(&name);
	return fd;
}

/* Make the directory that was named, once there is something to fetch. */
static int open_root(struct tree *tree)
{
	if (mkdir(tree->here, 0777) < 0 && errno != EEXIST)
		return fail_here(tree, STR(""), "", "make directory");
	tree->root = open(tree->here, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return tree->root < 0 ? fail_here(tree, STR(""), "", "open directory") : 0;
}

/* Whether no name in it looks like a part of a download. */
static bool is_fresh(int directory)
{
	int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	bool fresh = true;

	while (fresh && list != NULL && (entry = readdir(list)) != NULL)
		fresh = !str_ends(str_of(entry->d_name), STR(".part"));
	if (list != NULL)
		closedir(list);
	return fresh;
}

/* get: a file */

static bool has_sha256(int directory, const char *name, const uint8_t should[32])
{
	int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	uint8_t sha256[32];
	bool same = fd >= 0 && sha256_of(fd, name, sha256, NULL) == 0 &&
		    memcmp(sha256, should, sizeof sha256) == 0;

	if (fd >= 0)
		close(fd);
	return same;
}

static struct timespec time_here(const struct remote_entry *entry)
{
	if (entry->mtime == 0)
		return entry->made;
	return (struct timespec){ .tv_sec = (time_t)entry->mtime };
}

static int get_file(struct step *file, struct client *client)
{
	struct tree *tree = file->tree;
	struct str below = path_parent(buf_str(&file->here));
	const char *name = path_name(buf_str(&file->here)).s;
	const struct remote_entry *entry = &file->entry;
	struct download_to to = { .file = name, .out = -1, .fresh = file->fresh, .many = true,
				  .version = entry->version, .time = time_here(entry) };
	struct buf target = BUF_INIT;
	int status = 0;

	to.dir = open_below(tree, below);
	if (to.dir < 0)
		return fail_here(tree, below, "", "open directory");
	target_of(&target, file->path.data);
	if (file->compare && has_sha256(to.dir, name, entry->sha256)) {
		tree->same++;
	} else {
		status = download(client, buf_str(&target), file->path.data, &to);
		tree->done += status == 0;
		file->bytes = status == 0 ? entry->size : 0;
	}
	close(to.dir);
	buf_clear(&target);
	return status;
}

/* get: a directory */

static int get_directory(struct step *, struct client *);

/* For a file here that has the entry's size. */
static bool is_same_here(const struct tree *tree, const struct stat *st, const struct remote_entry *entry)
{
	struct timespec time = time_here(entry);

	return !tree->checksum && st->st_mtim.tv_sec == time.tv_sec &&
	       (entry->mtime != 0 ? !is_racy(entry) : st->st_mtim.tv_nsec == time.tv_nsec);
}

static int get_name(const struct step *parent, int directory, const struct remote_entry *entry, bool fresh)
{
	struct tree *tree = parent->tree;
	struct buf path = BUF_INIT, here = BUF_INIT;
	struct step *step = NULL;
	struct stat st;
	bool there = fstatat(directory, entry->name, &st, AT_SYMLINK_NOFOLLOW) == 0;
	bool same_size = there && S_ISREG(st.st_mode) && (uint64_t)st.st_size == entry->size;
	int status = 0;

	path_join(&path, buf_str(&parent->path), str_of(entry->name));
	path_join(&here, buf_str(&parent->here), str_of(entry->name));
	if (!entry->directory && download_is_part(entry->name)) {
		command_say("/%s: not fetched: what interrupted downloads leave has such names", path.data);
		status = EX_DATAERR;
	} else if (entry->directory && !there && mkdirat(directory, entry->name, 0777) < 0 && errno != EEXIST) {
		status = fail_here(tree, buf_str(&parent->here), entry->name, "make directory");
	} else if (entry->directory) {
		step = step_new(tree, get_directory, buf_str(&path), buf_str(&here));
	} else if (same_size && is_same_here(tree, &st, entry)) {
		tree->same++;
	} else {
		step = step_new(tree, get_file, buf_str(&path), buf_str(&here));
		step->file = true;
		step->fresh = fresh;
		step->compare = same_size &&
				(tree->checksum || st.st_mtim.tv_sec == time_here(entry).tv_sec);
		step->entry = *entry;
		step->entry.name = NULL;
	}
	if (step != NULL)
		step_add(step);
	buf_clear(&path);
	buf_clear(&here);
	return status;
}

static int get_names(const struct step *parent, const struct remote *remote)
{
	int directory = open_below(parent->tree, buf_str(&parent->here)), status = 0;
	bool fresh;

	if (directory < 0)
		return fail_here(parent->tree, buf_str(&parent->here), "", "open directory");
	fresh = is_fresh(directory);
	for (size_t i = remote->count; i-- > 0;)
		status = status_worse(status, get_name(parent, directory, &remote->entries[i], fresh));
	close(directory);
	return status;
}

static int get_directory(struct step *step, struct client *client)
{
	struct tree *tree = step->tree;
	struct remote remote = REMOTE_INIT;
	int status = remote_list(client, buf_str(&step->path), &remote);

	if (status == 0 && remote.absent && remote.confirmed) {
		command_say("/%.*s: no such directory", STR_ARG(buf_str(&step->path)));
		status = EX_NOINPUT;
	} else if (status == 0) {
		if (!remote.confirmed)
			status = told_unconfirmed(step);
		if (tree->root < 0 && !remote.absent)
			status = status_worse(status, open_root(tree));
		if (tree->root >= 0 && !remote.absent)
			status = status_worse(status, get_names(step, &remote));
	}
	remote_clear(&remote);
	return status;
}

/* covey get */

enum { GET_RECURSIVE, GET_CHECKSUM, GET_QUIET, GET_OUTPUT, GET_NAMED, GET_VERSION, GET_NODE };

/* A pipe or device is written as the content comes; a file is replaced when all is there. */
static int get_into(struct client *client, struct str target, const char *path, const char *file)
{
	struct download_to to = { .file = file, .dir = AT_FDCWD, .out = -1 };
	struct err err = ERR_INIT;
	struct stat st;
	int status;

	if (stat(file, &st) < 0 || S_ISREG(st.st_mode))
		return download(client, target, path, &to);
	to.file = NULL;
	to.out = open(file, O_WRONLY | O_CLOEXEC);
	if (to.out < 0) {
		err_sys(&err, "open %s", file);
		return command_fail(&err);
	}
	status = download(client, target, path, &to);
	close(to.out);
	return status;
}

static int get_one(struct client *client, const struct arguments *args, const char *path)
{
	const char *file = args->values[GET_NAMED] ? base_of(path) : args->values[GET_OUTPUT];
	struct download_to out = { .out = STDOUT_FILENO,
				   .terminal = file == NULL && isatty(STDOUT_FILENO) };
	struct buf target = BUF_INIT;
	int status;

	target_of(&target, path);
	if (args->values[GET_VERSION] != NULL) {
		buf_adds(&target, "?version=");
		pct_encode_component(&target, str_of(args->values[GET_VERSION]));
	}
	if (file == NULL || (strcmp(file, "-") == 0 && !args->values[GET_NAMED]))
		status = download(client, buf_str(&target), path, &out);
	else
		status = get_into(client, buf_str(&target), path, file);
	buf_clear(&target);
	return status;
}

/* All that is in a directory there comes into one here. */
static int get_all(const struct arguments *args)
{
	struct tree tree = { .here = args->operands[1], .checksum = args->values[GET_CHECKSUM] != NULL };
	int status;

	if (args->values[GET_OUTPUT] || args->values[GET_NAMED] || args->values[GET_VERSION])
		return command_misused(args->command, "-r goes without -o, -O and -v");
	if (args->count != 2)
		return command_misused(args->command, "-r takes a DIRECTORY there and one here");
	status = tree_open(&tree, args->operands[0], tree.here, args->values[GET_NODE]);
	if (status != 0)
		return status;
	step_add(step_new(&tree, get_directory, buf_str(&tree.path), STR("")));
	status = tree_run(&tree);
	if (tree.root >= 0 && args->values[GET_QUIET] == NULL)
		printf("%llu files fetched, %llu are the same\n", (unsigned long long)tree.done,
		       (unsigned long long)tree.same);
	tree_close(&tree);
	return status;
}

static int get_run(const struct arguments *args)
{
	struct client *client = NULL;
	struct err err = ERR_INIT;
	int status = 0;

	if (args->values[GET_RECURSIVE] != NULL)
		return get_all(args);
	if (args->values[GET_CHECKSUM] || args->values[GET_QUIET])
		return command_misused(args->command, "--checksum and -q go with -r");
	if (args->values[GET_OUTPUT] && args->values[GET_NAMED])
		return command_misused(args->command, "-o and -O exclude each other");
	if (args->values[GET_OUTPUT] && args->count > 1)
		return command_misused(args->command, "several files go by their own names: -O");
	for (int i = 0; i < args->count; i++)
		if (args->operands[i][0] == '\0' || str_ends(str_of(args->operands[i]), STR("/")))
			return command_misused(args->command, "\"%s\" is a directory: covey ls %s shows it, "
					       "covey get -r %s DIR fetches it", args->operands[i],
					       args->operands[i], args->operands[i]);
	if (client_open(&client, args->values[GET_NODE], &err) < 0)
		return command_fail(&err);
	for (int i = 0; i < args->count; i++)
		status = status_worse(status, get_one(client, args, args->operands[i]));
	client_close(client);
	return status;
}

static const struct command_option get_options[] = {
	[GET_RECURSIVE] = { "recursive", 'r', NULL, "fetch all that is in DIRECTORY/ into a directory here" },
	[GET_CHECKSUM] = OPTION_CHECKSUM,
	[GET_QUIET] = { "quiet", 'q', NULL, "with -r: do not print how many files came" },
	[GET_OUTPUT] = { "output", 'o', "FILE", "write to FILE; \"-\" is standard output, the default" },
	[GET_NAMED] = { "own-name", 'O', NULL, "write to a file of its own name, here" },
	[GET_VERSION] = { "version", 'v', "VERSION", "this version, not the newest" },
	[GET_NODE] = OPTION_NODE,
	OPTION_END,
};

const struct command command_get = {
	.name = "get",
	.operands = "PATH... | -r DIRECTORY/ DIRECTORY",
	.summary = "Fetch files",
	.details = "A file appears when it is whole and its digest is right. Its time is that of its\n"
		   "version. An interrupted download is in FILE.VERSION.part, and is continued.\n"
		   "With -r files that are the same here, by size and time, are left out, so another\n"
		   "run continues one that was interrupted.",
	.options = get_options,
	.least = 1,
	.most = -1,
	.run = get_run,
};

/* put: a file */

static int put_file(struct step *file, struct client *client)
{
	struct tree *tree = file->tree;
	struct upload upload = UPLOAD_INIT;
	struct exchange exchange = EXCHANGE_INIT;
	struct err err = ERR_INIT;
	int status = 0;

	target_of(&upload.target, file->path.data);
	if (upload_open(&upload, file->here.data, &err) < 0) {
		status = command_fail(&err);
	} else if (file->compare && memcmp(upload.sha256, file->entry.sha256, sizeof upload.sha256) == 0) {
		tree->same++;
	} else {
		status = upload_send(&upload, client, tree->write, &exchange, file->path.data, &tree->unsure);
		if (exchange.status / 100 == 2) {
			tree->done++;
			file->bytes = exchange.body_size;
		}
	}
	exchange_clear(&exchange);
	upload_clear(&upload);
	return status;
}

/* put: a directory */

static int put_directory(struct step *, struct client *);

/* For a file there that has the size of the file here. */
static bool is_same_there(const struct tree *tree, const struct stat *st, const struct remote_entry *there)
{
	return !tree->checksum && there->mtime != 0 && st->st_mtime > 0 &&
	       (uint64_t)st->st_mtime == there->mtime && !is_racy(there);
}

static bool may_be_same(const struct tree *tree, const struct stat *st, const struct remote_entry *there)
{
	return tree->checksum || there->mtime == 0 || (uint64_t)st->st_mtime == there->mtime;
}

/* One name of the directory; *holds: it is a file or a directory to be stored. */
static int put_name(const struct step *parent, const char *name, const struct remote *remote, bool *holds)
{
	struct tree *tree = parent->tree;
	const struct remote_entry *there = remote_find(remote, name);
	struct buf here = BUF_INIT, path = BUF_INIT;
	struct step *step = NULL;
	struct err err = ERR_INIT;
	struct stat st;
	int status = 0;

	buf_addf(&here, "%s%s%s", parent->here.data, str_ends(buf_str(&parent->here), STR("/")) ? "" : "/", name);
	path_join(&path, buf_str(&parent->path), str_of(name));
	if (lstat(here.data, &st) < 0) {
		err_sys(&err, "put %s", here.data);
		status = command_fail(&err);
	} else if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
		command_say("%s: %s, skipped", here.data,
			    S_ISLNK(st.st_mode) ? "a symbolic link" : "neither a file nor a directory");
	} else if (S_ISREG(st.st_mode) && download_is_part(name)) {
		command_say("%s: left by a download that was interrupted, skipped", here.data);
	} else if (path_check(buf_str(&path), &err) < 0) {
		command_say("put %s: %s", here.data, err.text);	/* which has no room for such a name */
		status = EX_DATAERR;
	} else if (S_ISDIR(st.st_mode)) {
		*holds = true;
		step = step_new(tree, put_directory, buf_str(&path), buf_str(&here));
		step->absent = there == NULL;
	} else {
		*holds = true;
		if (there != NULL && (there->directory || there->size != (uint64_t)st.st_size))
			there = NULL;
		if (there != NULL && is_same_there(tree, &st, there)) {
			tree->same++;
		} else {
			step = step_new(tree, put_file, buf_str(&path), buf_str(&here));
			step->file = true;
			step->compare = there != NULL && may_be_same(tree, &st, there);
			if (step->compare)
				memcpy(step->entry.sha256, there->sha256, sizeof there->sha256);
		}
	}
	if (step != NULL)
		step_add(step);
	buf_clear(&here);
	buf_clear(&path);
	return status;
}

static int other_than_dots(const struct dirent *entry)
{
	return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static int against_order(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*b)->d_name, (*a)->d_name);
}

/* For an empty directory; any other is made by what is put into it. */
static int make_directory(struct step *step, struct client *client)
{
	struct exchange exchange = { .method = "PUT", .body = -1, .body_size = 0 };
	struct buf target = BUF_INIT;
	int status;

	directory_target(&target, buf_str(&step->path));
	exchange.target = buf_str(&target);
	exchange.headers[0] = "Content-Length: 0";
	status = write_one(step->tree->write, client, &exchange, target.data, &step->tree->unsure);
	step->tree->made += exchange.status / 100 == 2;
	exchange_clear(&exchange);
	buf_clear(&target);
	return status;
}

static int put_directory(struct step *step, struct client *client)
{
	struct remote remote = { .absent = step->absent, .confirmed = true };
	struct dirent **names;
	struct err err = ERR_INIT;
	bool holds = false;
	int status = 0, listed = 0, count = scandir(step->here.data, &names, other_than_dots, against_order);

	if (count < 0) {
		err_sys(&err, "open directory %s", step->here.data);
		return command_fail(&err);
	}
	if (!step->absent)
		listed = status = remote_list(client, buf_str(&step->path), &remote);
	if (listed == 0 && !remote.confirmed && !step->tree->write->async)
		status = told_unconfirmed(step);
	for (int i = 0; i < count; i++) {
		if (listed == 0)
			status = status_worse(status, put_name(step, names[i]->d_name, &remote, &holds));
		free(names[i]);
	}
	if (listed == 0 && !holds && remote.absent && step->path.len > 0)
		status = status_worse(status, make_directory(step, client));
	free(names);
	remote_clear(&remote);
	return status;
}

/* covey put */

enum { PUT_RECURSIVE, PUT_CHECKSUM, PUT_TYPE, PUT_QUIET, PUT_ASYNC, PUT_WAIT, PUT_NODE, PUT_JSON };

struct put {
	struct client *client;
	const char *type;	/* of --type, or NULL */
	struct write write;
};

/* Into a directory a file goes by its own name. */
static int put_one(const struct put *put, const char *file, const char *to)
{
	struct upload upload = UPLOAD_INIT;
	struct exchange exchange = EXCHANGE_INIT;
	struct buf path = BUF_INIT;
	struct err err = ERR_INIT;
	int status;

	buf_adds(&path, to);
	if (str_ends(str_of(to), STR("/")))
		buf_adds(&path, base_of(file));
	target_of(&upload.target, path.data);
	if (put->type != NULL)
		buf_addf(&upload.type, "Content-Type: %s", put->type);
	exchange.progress = file;
	if (upload_open(&upload, file, &err) < 0)
		status = command_fail(&err);
	else
		status = upload_send(&upload, put->client, &put->write, &exchange, path.data, NULL);
	exchange_clear(&exchange);
	upload_clear(&upload);
	buf_clear(&path);
	return status;
}

/* What is in a directory here goes into one there; symbolic links and special files are skipped. */
static int put_all(const struct arguments *args, const struct write *write)
{
	struct tree tree = { .here = args->operands[0], .write = write,
			     .checksum = args->values[PUT_CHECKSUM] != NULL };
	int status;

	if (args->values[PUT_TYPE] != NULL)
		return command_misused(args->command, "-r goes without --type");
	if (args->count != 2)
		return command_misused(args->command, "-r takes a DIRECTORY here and one there");
	status = tree_open(&tree, args->operands[1], tree.here, args->values[PUT_NODE]);
	if (status != 0)
		return status;
	step_add(step_new(&tree, put_directory, buf_str(&tree.path), str_of(tree.here)));
	status = tree_run(&tree);
	tree_told_unsure(&tree);
	if (!write->quiet && !write->json)
		printf("%llu files stored, %llu are the same\n", (unsigned long long)tree.done,
		       (unsigned long long)tree.same);
	tree_close(&tree);
	return status;
}

static int put_run(const struct arguments *args)
{
	int files = args->count - 1;
	const char *to = args->operands[files];
	bool directory = str_ends(str_of(to), STR("/"));
	struct put put = { .type = args->values[PUT_TYPE] };
	struct err err = ERR_INIT;
	int status = 0;

	if (write_init(&put.write, args->values[PUT_ASYNC], args->values[PUT_WAIT], &err) < 0)
		return command_misused(args->command, "%s", err.text);
	put.write.json = args->values[PUT_JSON] != NULL;
	put.write.quiet = args->values[PUT_QUIET] != NULL;
	if (args->values[PUT_RECURSIVE] != NULL)
		return put_all(args, &put.write);
	if (args->values[PUT_CHECKSUM] != NULL)
		return command_misused(args->command, "--checksum goes with -r");
	for (int i = 0; i < files; i++)
		if (directory && strcmp(args->operands[i], "-") == 0)
			return command_misused(args->command, "standard input has no name: give a PATH");
	if (files > 1 && !directory)
		return command_misused(args->command, "several files go into a DIRECTORY/");
	if (client_open(&put.client, args->values[PUT_NODE], &err) < 0)
		return command_fail(&err);
	for (int i = 0; i < files; i++)
		status = status_worse(status, put_one(&put, args->operands[i], to));
	client_close(put.client);
	return status;
}

static const struct command_option put_options[] = {
	[PUT_RECURSIVE] = { "recursive", 'r', NULL, "store all that is in a directory here in DIRECTORY/" },
	[PUT_CHECKSUM] = OPTION_CHECKSUM,
	[PUT_TYPE] = { "type", 't', "TYPE", "content type, when it is not what the name suggests" },
	[PUT_QUIET] = { "quiet", 'q', NULL, "do not print the version" },
	[PUT_ASYNC] = OPTION_ASYNC,
	[PUT_WAIT] = OPTION_WAIT,
	[PUT_NODE] = OPTION_NODE,
	[PUT_JSON] = OPTION_JSON,
	OPTION_END,
};

const struct command command_put = {
	.name = "put",
	.operands = "FILE... PATH|DIRECTORY/ | -r DIRECTORY DIRECTORY/",
	.summary = "Store files; \"-\" is standard input",
	.details = "Prints the version and path of each. The status is 75 when the group has not\n"
		   "confirmed one in time: it is on the node's disk, and the node takes it to the others.\n"
		   "With -r files that are the same there, by size and time, are left out, so another\n"
		   "run continues one that was interrupted.",
	.options = put_options,
	.least = 2,
	.most = -1,
	.run = put_run,
};

/*
 * rm: the files are removed first, then the directories from the deepest up.
 * A file that came meanwhile is in the way of that: then everything is done
 * once more, and what is still in the way is told.
 */

/* 404: somebody else has removed it, which is fine; 409: it is a directory now, or holds something. */
static int remove_told(struct tree *tree, const struct exchange *exchange, const char *what)
{
	if (exchange->status == 404)
		return 0;
	if (exchange->status == 409 && !tree->again) {
		tree->busy = true;
		return 0;
	}
	if (exchange->status / 100 == 2)
		tree->done++;
	return write_told(tree->write, exchange, what, &tree->unsure);
}

/* A file, or an empty directory. */
static int remove_name(struct step *step, struct client *client)
{
	struct exchange exchange = EXCHANGE_INIT;
	struct buf target = BUF_INIT;
	struct err err = ERR_INIT;
	int status;

	target_of(&target, step->path.data);
	if (!step->file)
		buf_addc(&target, '/');
	exchange.method = "DELETE";
	exchange.target = buf_str(&target);
	if (write_send(step->tree->write, client, &exchange, &err) < 0)
		status = command_fail(&err);
	else
		status = remove_told(step->tree, &exchange, step->path.data);
	exchange_clear(&exchange);
	buf_clear(&target);
	return status;
}

/* Its removal waits until what is in it is gone. */
static void remove_later(struct tree *tree, struct str path)
{
	struct step *step = step_new(tree, remove_name, path, STR(""));

	pthread_mutex_lock(&tree->lock);
	step->next = tree->directories;
	tree->directories = step;
	tree->found = true;
	pthread_mutex_unlock(&tree->lock);
}

static int empty_directory(struct step *step, struct client *client)
{
	struct tree *tree = step->tree;
	struct remote remote = REMOTE_INIT;
	int status = remote_list(client, buf_str(&step->path), &remote);

	if (status != 0)
		return status;
	if (!remote.absent)
		remove_later(tree, buf_str(&step->path));
	else if (!remote.confirmed)
		status = told_unconfirmed(step);
	for (size_t i = remote.count; i-- > 0;) {
		bool directory = remote.entries[i].directory;
		struct buf path = BUF_INIT;
		struct step *below;

		path_join(&path, buf_str(&step->path), str_of(remote.entries[i].name));
		below = step_new(tree, directory ? empty_directory : remove_name, buf_str(&path), STR(""));
		below->file = !directory;
		step_add(below);
		buf_clear(&path);
	}
	remote_clear(&remote);
	return status;
}

static size_t depth_of(const struct step *step)
{
	size_t depth = 0;

	for (const char *c = step->path.data; *c != '\0'; c++)
		depth += *c == '/';
	return depth;
}

/* All of one depth at once, the deepest first. */
static int remove_directories(struct tree *tree)
{
	int status = 0;

	while (tree->directories != NULL) {
		struct step *all = tree->directories, *next;
		size_t deepest = 0;

		for (struct step *step = all; step != NULL; step = step->next)
			if (depth_of(step) > deepest)
				deepest = depth_of(step);
		tree->directories = NULL;
		for (struct step *step = all; step != NULL; step = next) {
			next = step->next;
			if (depth_of(step) == deepest) {
				step_add(step);
			} else {
				step->next = tree->directories;
				tree->directories = step;
			}
		}
		status = tree_run(tree);
	}
	return status;
}

static int remove_all(struct tree *tree)
{
	int status;

	tree->busy = false;
	step_add(step_new(tree, empty_directory, buf_str(&tree->path), STR("")));
	status = tree_run(tree);
	return status_worse(status, remove_directories(tree));
}

/* covey rm */

enum { RM_RECURSIVE, RM_ASYNC, RM_WAIT, RM_NODE, RM_JSON };

static int rm_path(struct client *client, const struct write *write, const char *path)
{
	struct exchange exchange = EXCHANGE_INIT;
	struct buf target = BUF_INIT;
	int status;

	target_of(&target, path);
	exchange.method = "DELETE";
	exchange.target = buf_str(&target);
	status = write_one(write, client, &exchange, path, NULL);
	exchange_clear(&exchange);
	buf_clear(&target);
	return status;
}

/* All that is in the directory at path, then itself; *ret_found: there was one. */
static int rm_all(const struct arguments *args, const struct write *write, const char *path, bool *ret_found)
{
	struct tree tree = { .write = write };
	int status = tree_open(&tree, path, path, args->values[RM_NODE]);

	if (status != 0)
		return status;
	status = remove_all(&tree);
	tree.again = true;
	if (tree.busy)
		status = status_worse(status, remove_all(&tree));
	tree_told_unsure(&tree);
	*ret_found = tree.found;
	tree_close(&tree);
	return status;
}

static int rm_one(struct client *client, const struct arguments *args, const struct write *write,
		  const char *path)
{
	bool found = false;
	int status = 0;

	if (args->values[RM_RECURSIVE] != NULL && path[strspn(path, "/")] == '\0') {
		command_say("rm -r %s: that is all there is: name what is in it", path);
		return EX_USAGE;
	}
	if (args->values[RM_RECURSIVE] != NULL)
		status = rm_all(args, write, path, &found);
	return found || status != 0 ? status : rm_path(client, write, path);
}

static int rm_run(const struct arguments *args)
{
	struct client *client = NULL;
	struct write write;
	struct err err = ERR_INIT;
	int status = 0;

	if (write_init(&write, args->values[RM_ASYNC], args->values[RM_WAIT], &err) < 0)
		return command_misused(args->command, "%s", err.text);
	write.json = args->values[RM_JSON] != NULL;
	write.quiet = true;
	if (client_open(&client, args->values[RM_NODE], &err) < 0)
		return command_fail(&err);
	for (int i = 0; i < args->count; i++)
		status = status_worse(status, rm_one(client, args, &write, args->operands[i]));
	client_close(client);
	return status;
}

static const struct command_option rm_options[] = {
	[RM_RECURSIVE] = { "recursive", 'r', NULL, "also remove directories, with all that is in them" },
	[RM_ASYNC] = OPTION_ASYNC, [RM_WAIT] = OPTION_WAIT, [RM_NODE] = OPTION_NODE, [RM_JSON] = OPTION_JSON,
	OPTION_END,
};

const struct command command_rm = {
	.name = "rm",
	.operands = "PATH...",
	.summary = "Delete files, or empty directories (with a slash at the end)",
	.details = "A deletion is a version like any other: covey log lists the versions before it, and\n"
		   "covey restore brings one back.",
	.options = rm_options,
	.least = 1,
	.most = -1,
	.run = rm_run,
};

