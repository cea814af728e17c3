/* frame - one message between two roles of a node */
#include "frame.h"

#include <unistd.h>

static const char magic[2] = { 'c', 'v' };

void frame_pack(struct buf *buf, const struct frame *frame)
{
	if (frame->body.n > FRAME_BODY_BYTES)
		abort();	/* every message's bounds keep it below */
	pack_bytes(buf, magic, sizeof magic);
	pack_u8(buf, FRAME_PROTOCOL);
	pack_u8(buf, frame->type);
	pack_u64(buf, frame->id);
	pack_u32(buf, frame->deadline_ms);
	pack_u32(buf, (uint32_t)frame->body.n);
	buf_addstr(buf, frame->body);
}

int frame_unpack(struct str packet, struct frame *ret, struct err *err)
{
	struct unpack in = unpack_of(packet);
	struct frame frame = { .fd_count = 0 };
	char name[sizeof magic];
	uint8_t protocol;
	uint32_t n;

	unpack_bytes(&in, name, sizeof name);
	protocol = unpack_u8(&in);
	frame.type = unpack_u8(&in);
	frame.id = unpack_u64(&in);
	frame.deadline_ms = unpack_u32(&in);
	n = unpack_u32(&in);
	if (in.failed || memcmp(name, magic, sizeof magic) != 0)
		return err_set(err, ERR_INVALID, "read frame: not one of covey's");
	if (protocol != FRAME_PROTOCOL)
		return err_set(err, ERR_UNSUPPORTED, "read frame: protocol %u", protocol);
	if (n != in.rest.n || packet.n > FRAME_BYTES)
		return err_set(err, ERR_INVALID, "read frame: wrong length");
	frame.body = in.rest;
	*ret = frame;
	return 0;
}

int frame_send(int fd, const struct frame *frame, struct err *err)
{
	struct buf packet = BUF_INIT;
	int rc;

	frame_pack(&packet, frame);
	rc = sock_send(fd, packet.data, packet.len, frame->fds, frame->fd_count, err);
	buf_clear(&packet);
	return rc;
}

int frame_recv(int fd, char *room, struct frame *ret, struct err *err)
{
	int fds[SOCK_FDS_MAX];
	size_t n, fd_count = 0;
	int rc = sock_recv(fd, room, FRAME_BYTES, &n, fds, &fd_count, err);

	if (rc <= 0)
		return rc;
	if (frame_unpack((struct str){ .s = room, .n = n }, ret, err) < 0) {
		for (size_t i = 0; i < fd_count; i++)
			close(fds[i]);
		return -1;
	}
	memcpy(ret->fds, fds, fd_count * sizeof fds[0]);
	ret->fd_count = fd_count;
	return 1;
}

void frame_close(struct frame *frame)
{
	for (size_t i = 0; i < frame->fd_count; i++)
		if (frame->fds[i] >= 0)
			close(frame->fds[i]);
	frame->fd_count = 0;
}

void frame_failed_pack(struct buf *buf, const struct err *err)
{
	pack_u8(buf, (uint8_t)err->kind);
	pack_str(buf, str_of(err->text));
}

int frame_failed_unpack(struct str body, struct err *err)
{
	struct unpack in = unpack_of(body);
	uint8_t kind = unpack_u8(&in);
	struct str text = unpack_str(&in, sizeof err->text - 1);

	if (unpack_end(&in) < 0 || kind == ERR_NONE || kind > ERR_SYSTEM)
		return err_set(err, ERR_INVALID, "read answer: malformed failure");
	return err_set(err, (enum err_kind)kind, "%.*s", STR_ARG(text));
}
