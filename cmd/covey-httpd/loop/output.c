/* output - what a connection has to send: text with pieces of a file between */
#include "output.h"

#include "mem.h"

#include <errno.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#define TURN_BYTES (2u << 20)		/* of files, until others are served */
#define COPY_BYTES (64u << 10)		/* where the system cannot send from the file itself */
#define KEPT_BYTES (128u << 10)		/* of text that stays allocated between answers */

void output_file(struct output *o, int fd)
{
	output_drop_file(o);
	o->file = fd;
	o->available = UINT64_MAX;
	o->hold = false;
}

void output_insert(struct output *o, uint64_t offset, uint64_t bytes)
{
	if (o->insert_count == o->insert_room) {
		o->insert_room = o->insert_room ? 2 * o->insert_room : 2;
		o->inserts = mem_resize(o->inserts, o->insert_room, sizeof *o->inserts);
	}
	o->inserts[o->insert_count++] = (struct insert){ o->text.len, offset, bytes };
}

void output_drop_file(struct output *o)
{
	if (o->file >= 0)
		close(o->file);
	o->file = -1;
	o->insert_count = o->insert_next = 0;
}

bool output_pending(const struct output *o)
{
	return o->sent < o->text.len || o->insert_next < o->insert_count;
}

static void output_end(struct output *o)
{
	output_drop_file(o);
	o->sent = 0;
	if (o->text.cap > KEPT_BYTES)
		buf_clear(&o->text);
	else
		buf_reset(&o->text);
}

static enum output_result output_failure(void)
{
	if (errno == EAGAIN)
		return OUTPUT_BLOCKED;
	return errno == EINTR ? OUTPUT_TURN : OUTPUT_BROKEN;
}

/* OUTPUT_DONE: up to `end` all is sent. */
static enum output_result output_send_text(struct output *o, size_t end, int fd, bool socket,
					   bool *progress)
{
	while (o->sent < end) {
		const char *from = o->text.data + o->sent;
		ssize_t n = socket ? send(fd, from, end - o->sent, MSG_NOSIGNAL) :
				     write(fd, from, end - o->sent);

		if (n < 0)
			return output_failure();
		o->sent += (size_t)n;
		*progress = true;
	}
	return OUTPUT_DONE;
}

/* For descriptors that sendfile() does not take: appending files, terminals. */
static ssize_t output_copy(const struct output *o, const struct insert *insert, size_t n, int fd)
{
	char bytes[COPY_BYTES];
	ssize_t got = pread(o->file, bytes, n < sizeof bytes ? n : sizeof bytes,
			    (off_t)insert->offset);

	return got <= 0 ? got : write(fd, bytes, (size_t)got);
}

static enum output_result output_send_file(struct output *o, struct insert *insert, int fd,
					   uint64_t *turn, bool *progress)
{
	bool last = o->insert_next + 1 == o->insert_count;

	while (insert->left > 0) {
		uint64_t keep = o->hold && last ? OUTPUT_HOLD_BYTES : 0;
		uint64_t n = insert->left - keep;
		off_t offset = (off_t)insert->offset;
		ssize_t sent;

		if (insert->left <= keep || o->available <= insert->offset)
			return OUTPUT_STARVED;
		if (n > o->available - insert->offset)
			n = o->available - insert->offset;
		if (*turn == 0)
			return OUTPUT_TURN;
		if (n > *turn)
			n = *turn;
		sent = sendfile(fd, o->file, &offset, (size_t)n);
		if (sent < 0 && (errno == EINVAL || errno == ENOSYS))
			sent = output_copy(o, insert, (size_t)n, fd);
		if (sent == 0)
			return OUTPUT_BROKEN;	/* shorter than its record says: cut, never pad */
		if (sent < 0)
			return output_failure();
		insert->offset += (uint64_t)sent;
		insert->left -= (uint64_t)sent;
		*turn -= (uint64_t)sent;
		*progress = true;
	}
	return OUTPUT_DONE;
}

enum output_result output_flush(struct output *o, int fd, bool socket, bool *progress)
{
	uint64_t turn = TURN_BYTES;
	enum output_result result;

	for (;;) {
		bool more = o->insert_next < o->insert_count;
		size_t end = more ? o->inserts[o->insert_next].at : o->text.len;

		result = output_send_text(o, end, fd, socket, progress);
		if (result != OUTPUT_DONE)
			return result;
		if (!more)
			break;
		result = output_send_file(o, &o->inserts[o->insert_next], fd, &turn, progress);
		if (result != OUTPUT_DONE)
			return result;
		o->insert_next++;
	}
	output_end(o);
	return OUTPUT_DONE;
}

void output_clear(struct output *o)
{
	output_drop_file(o);
	free(o->inserts);
	buf_clear(&o->text);
	*o = (struct output)OUTPUT_INIT;
}
