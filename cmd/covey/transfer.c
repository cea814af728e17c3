/* transfer - the content of a file on its way to a node, or from one */
#include "transfer.h"

#include "digest.h"
#include "fields.h"
#include "file.h"
#include "httpdate.h"
#include "mem.h"
#include "version.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#define CHUNK (256u << 10)
#define TRIES 4			/* of a download that breaks off */
#define LOOK_BYTES 2000		/* of what would go to a terminal */

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

/* uploads */

int upload_sha256(int fd, const char *file, uint8_t ret[32], struct err *err)
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

/* The offset is back at 0 afterwards. */
static int take_digest(struct upload *upload, struct err *err)
{
	if (upload_sha256(upload->fd, upload->file, upload->sha256, err) < 0)
		return -1;
	if (lseek(upload->fd, 0, SEEK_SET) < 0)
		return err_sys(err, "read %s", upload->file);
	upload->regular = true;
	buf_adds(&upload->digest, "Repr-Digest: ");
	fields_digest(&upload->digest, upload->sha256);
	return 0;
}

/* Reading a named pipe waits for a writer, perhaps for ever; that of a shell's <(...) has one. */
static int check_pipe(const struct upload *upload, struct err *err)
{
	struct statfs fs;

	if (!S_ISFIFO(upload->st.st_mode) ||
	    (fstatfs(upload->fd, &fs) == 0 && fs.f_type == PIPEFS_MAGIC))
		return 0;
	return err_set(err, ERR_INVALID, "put %s: a named pipe: covey put - PATH <%s reads it to its end",
		       upload->file, upload->file);
}

int upload_open(struct upload *upload, const char *file, struct err *err)
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
	if (check_pipe(upload, err) < 0)
		return -1;
	if (fcntl(upload->fd, F_SETFL, 0) < 0)
		return err_sys(err, "open %s", file);
	if (!S_ISREG(upload->st.st_mode))
		return 0;
	if (upload->st.st_mtime > 0)
		buf_addf(&upload->mtime, "X-OC-Mtime: %lld", (long long)upload->st.st_mtime);
	return take_digest(upload, err);
}

int upload_send(struct upload *upload, struct client *client, const struct write *write,
		struct exchange *exchange)
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
		return 0;
	if (!client_lost(client))
		err_context(&err, "put %s", upload->file);
	return command_fail(&err);
}

void upload_clear(struct upload *upload)
{
	if (upload->fd > STDIN_FILENO)
		close(upload->fd);
	buf_clear(&upload->target);
	buf_clear(&upload->digest);
	buf_clear(&upload->mtime);
	buf_clear(&upload->type);
}

/* downloads */

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

bool download_is_part(const char *name)
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

int download(struct client *client, struct str target, const char *what,
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
