/* upload - a file on its way to a node */
#include "upload.h"

#include "digest.h"
#include "fields.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#define CHUNK (256u << 10)

int upload_sha256(int fd, const char *file, uint8_t ret[32], struct err *err)
{
	struct digest *digest = digest_new();
	struct buf chunk = BUF_INIT;
	uint8_t sha256[32];
	ssize_t n;

	while ((n = read(fd, buf_reserve(&chunk, CHUNK), CHUNK)) > 0 || (n < 0 && errno == EINTR))
		if (n > 0)
			digest_add(digest, chunk.data, (size_t)n);
	if (n < 0)
		err_sys(err, "read %s", file);
	digest_end(digest, sha256);
	digest_free(digest);
	buf_clear(&chunk);
	if (n == 0)
		memcpy(ret, sha256, sizeof sha256);
	return n < 0 ? -1 : 0;
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

/* Whoever opens a named pipe waits for a writer, perhaps for ever; a shell's <(...) has one. */
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

void upload_fill(struct exchange *exchange, const struct upload *upload)
{
	const struct buf *lines[] = { &upload->type, &upload->digest, &upload->mtime };
	size_t count = 0;

	exchange->method = "PUT";
	exchange->target = buf_str(&upload->target);
	exchange->body = upload->fd;
	if (upload->regular)
		exchange->body_size = (uint64_t)upload->st.st_size;
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
		if (lines[i]->len > 0)
			exchange->headers[count++] = lines[i]->data;
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
