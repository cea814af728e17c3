/*
 * covey put - files become versions
 *
 * A regular file is read twice: its digest goes ahead, so that the node
 * stores nothing when what arrives is not what was read.
 */
#include "write.h"

#include "digest.h"
#include "fields.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK (256u << 10)

enum { TYPE, QUIET, ASYNC, WAIT, NODE, JSON };

/* "Repr-Digest: sha-256=:...:" of the whole file, whose offset is back at 0 afterwards. */
static int add_digest(struct buf *to, int fd, const char *file, struct err *err)
{
	struct digest *digest = digest_new();
	struct buf chunk = BUF_INIT;
	uint8_t sha256[32];
	ssize_t n;

	while ((n = read(fd, buf_reserve(&chunk, CHUNK), CHUNK)) > 0 || (n < 0 && errno == EINTR))
		if (n > 0)
			digest_add(digest, chunk.data, (size_t)n);
	if (n < 0 || lseek(fd, 0, SEEK_SET) < 0)
		err_sys(err, "read %s", file);
	digest_end(digest, sha256);
	digest_free(digest);
	buf_clear(&chunk);
	if (err->kind != ERR_NONE)
		return -1;
	buf_adds(to, "Repr-Digest: ");
	fields_digest(to, sha256);
	return 0;
}

struct upload {
	const char *file;	/* as named by the caller; "-" is standard input */
	int fd;
	struct stat st;
	struct buf target, digest, mtime, type;	/* the latter three are header lines */
};

static int open_upload(struct upload *upload, struct err *err)
{
	bool standard = strcmp(upload->file, "-") == 0;

	upload->fd = standard ? STDIN_FILENO : open(upload->file, O_RDONLY | O_CLOEXEC);
	if (upload->fd < 0 || fstat(upload->fd, &upload->st) < 0)
		return err_sys(err, "open %s", upload->file);
	if (S_ISDIR(upload->st.st_mode))
		return err_set(err, ERR_INVALID, "put %s: a directory", upload->file);
	if (standard || !S_ISREG(upload->st.st_mode))
		return 0;
	if (upload->st.st_mtime > 0)
		buf_addf(&upload->mtime, "X-OC-Mtime: %lld", (long long)upload->st.st_mtime);
	return add_digest(&upload->digest, upload->fd, upload->file, err);
}

static void fill(struct exchange *exchange, const struct upload *upload)
{
	const struct buf *lines[] = { &upload->type, &upload->digest, &upload->mtime };
	size_t count = 0;

	exchange->method = "PUT";
	exchange->target = buf_str(&upload->target);
	exchange->body = upload->fd;
	if (upload->digest.len > 0)
		exchange->body_size = (uint64_t)upload->st.st_size;
	exchange->progress = upload->file;
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
		if (lines[i]->len > 0)
			exchange->headers[count++] = lines[i]->data;
}

struct put {
	struct client *client;
	const char *type;	/* of --type, or NULL */
	struct write write;
};

static int put_one(struct put *put, struct upload *upload, const char *path)
{
	struct exchange exchange = EXCHANGE_INIT;
	struct err err = ERR_INIT;
	int status;

	if (put->type != NULL)
		buf_addf(&upload->type, "Content-Type: %s", put->type);
	target_of(&upload->target, path);
	if (open_upload(upload, &err) < 0) {
		command_fail(&err);
		return err.kind == ERR_ABSENT ? EX_NOINPUT : EX_IOERR;
	}
	fill(&exchange, upload);
	write_ask(&put->write, &exchange);
	if (client_send(put->client, &exchange, &err) < 0)
		status = command_fail(&err);
	else
		status = write_told(&put->write, &exchange, path);
	exchange_clear(&exchange);
	return status;
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

/* Into a directory a file goes by its own name. */
static int put_to(struct put *put, const char *file, const char *to)
{
	struct upload upload = { .file = file, .fd = -1 };
	const char *slash = strrchr(file, '/');
	struct buf path = BUF_INIT;
	int status;

	buf_adds(&path, to);
	if (str_ends(str_of(to), STR("/")))
		buf_adds(&path, slash ? slash + 1 : file);
	status = put_one(put, &upload, path.data);
	upload_clear(&upload);
	buf_clear(&path);
	return status;
}

static int run(const struct call *call)
{
	int files = call->count - 1;
	const char *to = call->operands[files];
	bool directory = str_ends(str_of(to), STR("/"));
	struct put put = { .type = call->values[TYPE] };
	struct err err = ERR_INIT;
	int status = 0;

	if (write_init(&put.write, call->values[ASYNC], call->values[WAIT], &err) < 0)
		return command_misused(call->command, "%s", err.text);
	put.write.json = call->values[JSON] != NULL;
	put.write.quiet = call->values[QUIET] != NULL;
	for (int i = 0; i < files; i++)
		if (directory && strcmp(call->operands[i], "-") == 0)
			return command_misused(call->command, "standard input has no name: give a PATH");
	if (files > 1 && !directory)
		return command_misused(call->command, "several files go into a DIRECTORY/");
	if (client_open(&put.client, call->values[NODE], &err) < 0)
		return command_fail(&err);
	for (int i = 0; i < files; i++) {
		int one = put_to(&put, call->operands[i], to);

		status = status ? status : one;
	}
	client_close(put.client);
	return status;
}

static const struct command_option options[] = {
	[TYPE] = { "type", 't', "TYPE", "content type, when it is not what the name suggests" },
	[QUIET] = { "quiet", 'q', NULL, "do not print the version" },
	[ASYNC] = OPTION_ASYNC,
	[WAIT] = OPTION_WAIT,
	[NODE] = OPTION_NODE,
	[JSON] = OPTION_JSON,
	OPTION_END,
};

const struct command command_put = {
	.name = "put",
	.operands = "FILE... PATH|DIRECTORY/",
	.summary = "Store files; \"-\" is standard input",
	.details = "Prints the version and path of each.  75 is the status when the group has not\n"
		   "confirmed one in time: it is on the node's disk then, and goes on by itself.",
	.options = options,
	.least = 2,
	.most = -1,
	.run = run,
};
