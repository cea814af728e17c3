/* call - asking another role of this node */
#include "call.h"

#include "clock.h"
#include "container.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

struct caller {
	struct loop *loop;
	char *path;
	struct watch watch;		/* fd -1: not connected */
	struct list calls;		/* under way, oldest first */
	uint64_t last_id;
	char *room;			/* FRAME_BYTES */
};

static void caller_ready(struct watch *watch, uint32_t events);

void call_finish(struct call *call)
{
	if (call->caller == NULL)
		return;
	list_remove(&call->link);
	timer_stop(&call->timer);
	buf_clear(&call->packet);
	if (call->fd >= 0)
		close(call->fd);
	call->fd = -1;
	call->caller = NULL;
}

void call_cancel(struct call *call)
{
	struct caller *caller = call->caller;
	struct frame frame = { .type = FRAME_CANCEL, .id = call->id };

	/* If it does not get through, the other side works for nobody, and no more. */
	if (caller != NULL && call->sent && caller->watch.fd >= 0)
		frame_send(caller->watch.fd, &frame, NULL);
	call_finish(call);
}

void call_answered(struct call *call, struct frame *frame)
{
	(void)frame;
	call_finish(call);
}

static void call_over(struct timer *timer)
{
	struct call *call = CONTAINER_OF(timer, struct call, timer);

	call_finish(call);
	call->answer(call, NULL);
}

/* Over, but not from within whatever is going on. */
static void call_give_up(struct call *call)
{
	call->sent = true;
	timer_start(call->caller->loop, &call->timer, 0);
}

static void caller_disconnect(struct caller *caller)
{
	watch_stop(&caller->watch);
	if (caller->watch.fd >= 0)
		close(caller->watch.fd);
	caller->watch.fd = -1;
}

static int caller_connect(struct caller *caller)
{
	caller->watch.fd = sock_connect_unix(caller->path, NULL);
	if (caller->watch.fd < 0)
		return -1;
	if (watch_start(caller->loop, &caller->watch, EPOLLIN, NULL) == 0)
		return 0;
	caller_disconnect(caller);
	return -1;
}

/*
 * Send what waits.  0, or -1 when the connection is broken: then the loop still
 * tells of what had been answered before, and of the end.
 */
static int caller_send(struct caller *caller)
{
	uint32_t events = EPOLLIN;

	LIST_EACH(struct call, call, &caller->calls, link) {
		struct err err = ERR_INIT;

		if (call->sent)
			continue;
		if (sock_send(caller->watch.fd, call->packet.data, call->packet.len, &call->fd,
			      call->fd >= 0, &err) < 0) {
			if (err.kind != ERR_TIMEOUT) {
				shutdown(caller->watch.fd, SHUT_RDWR);
				return -1;
			}
			events |= EPOLLOUT;
			break;
		}
		call->sent = true;
	}
	watch_change(&caller->watch, events);
	return 0;
}

/* The other side has gone: what it had not answered is asked once more. */
static void caller_reconnect(struct caller *caller)
{
	bool waiting = false;

	caller_disconnect(caller);
	LIST_EACH(struct call, call, &caller->calls, link) {
		if (call->sent && (call->answered || call->retried)) {
			call_give_up(call);
		} else {
			call->retried = call->retried || call->sent;
			call->sent = false;
			waiting = true;
		}
	}
	if (!waiting || (caller_connect(caller) == 0 && caller_send(caller) == 0))
		return;
	caller_disconnect(caller);
	LIST_EACH(struct call, call, &caller->calls, link)
		call_give_up(call);
}

static void caller_deliver(struct caller *caller, struct frame *frame)
{
	LIST_EACH(struct call, call, &caller->calls, link) {
		if (call->id == frame->id) {
			call->answered = true;
			call->answer(call, frame);
			break;
		}
	}
	frame_close(frame);
}

static void caller_ready(struct watch *watch, uint32_t events)
{
	struct caller *caller = CONTAINER_OF(watch, struct caller, watch);

	while (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
		struct err err = ERR_INIT;
		struct frame frame;
		int rc;

		if (caller->watch.fd < 0)	/* a callback found it broken */
			return;
		rc = frame_recv(caller->watch.fd, caller->room, &frame, &err);
		if (rc == 1) {
			caller_deliver(caller, &frame);
			continue;
		}
		if (rc < 0 && err.kind == ERR_TIMEOUT)
			break;
		/* It left a question unread, which is told once, before what it had answered. */
		if (rc < 0 && err.sys == ECONNRESET)
			continue;
		caller_reconnect(caller);
		return;
	}
	if ((events & EPOLLOUT) && caller->watch.fd >= 0)
		caller_send(caller);
}

struct caller *caller_new(struct loop *loop, const char *socket_path)
{
	struct caller *caller = mem_new(1, sizeof *caller);

	caller->loop = loop;
	caller->path = mem_copy(socket_path, strlen(socket_path));
	caller->watch.fd = -1;
	caller->watch.ready = caller_ready;
	caller->room = mem_new(FRAME_BYTES, 1);
	return caller;
}

void caller_free(struct caller *caller)
{
	if (caller == NULL)
		return;
	LIST_EACH(struct call, call, &caller->calls, link)
		call_finish(call);
	caller_disconnect(caller);
	free(caller->path);
	free(caller->room);
	free(caller);
}

void call_start(struct caller *caller, struct call *call, uint8_t type, struct str body,
		uint64_t timeout_ms)
{
	call_start_with(caller, call, type, body, -1, timeout_ms);
}

void call_start_with(struct caller *caller, struct call *call, uint8_t type, struct str body,
		     int fd, uint64_t timeout_ms)
{
	struct frame frame = { .type = type, .id = ++caller->last_id, .body = body };

	frame.deadline_ms = timeout_ms > UINT32_MAX ? UINT32_MAX : (uint32_t)timeout_ms;
	call->caller = caller;
	call->id = frame.id;
	call->sent = call->answered = call->retried = false;
	call->timer = (struct timer){ .fire = call_over };
	call->packet = (struct buf)BUF_INIT;
	/* Out of descriptors: it goes without, and the other side refuses it. */
	call->fd = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
	frame_pack(&call->packet, &frame);
	list_append(&caller->calls, &call->link);
	if (timeout_ms > 0)
		timer_start(caller->loop, &call->timer, timeout_ms);
	if (caller->watch.fd < 0)
		caller_reconnect(caller);
	else
		caller_send(caller);
}

void call_start_message(struct caller *caller, struct call *call, uint8_t type,
			const struct message *message, const void *from, uint64_t timeout_ms)
{
	struct buf body = BUF_INIT;

	message_pack(&body, message, from);
	call_start(caller, call, type, buf_str(&body), timeout_ms);
	buf_clear(&body);
}

/* tools */

int asking_start(struct asking *asking, const char *socket_path, uint8_t type, struct str body,
		 uint64_t timeout_ms, struct err *err)
{
	struct frame frame = { .type = type, .id = 1, .body = body };
	int fd = sock_connect_unix(socket_path, err);

	if (fd < 0)
		return -1;
	frame.deadline_ms = timeout_ms > UINT32_MAX ? UINT32_MAX : (uint32_t)timeout_ms;
	if (frame_send(fd, &frame, err) < 0) {
		close(fd);
		return -1;
	}
	asking->fd = fd;
	asking->id = frame.id;
	asking->due = timeout_ms > 0 ? clock_mono_ms() + timeout_ms : 0;
	asking->room = mem_new(FRAME_BYTES, 1);
	return 0;
}

/* 0 when there is something to read. */
static int asking_await(const struct asking *asking, struct err *err)
{
	struct pollfd poll_fd = { .fd = asking->fd, .events = POLLIN };
	int n;

	do {
		uint64_t now = clock_mono_ms();
		int wait = -1;

		if (asking->due != 0) {
			uint64_t left = asking->due > now ? asking->due - now : 0;

			wait = left > INT_MAX ? INT_MAX : (int)left;
		}
		n = poll(&poll_fd, 1, wait);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(err, "wait for an answer");
	if (n == 0)
		return err_set(err, ERR_TIMEOUT, "wait for an answer: none in time");
	return 0;
}

int asking_next(struct asking *asking, struct frame *ret, struct err *err)
{
	for (;;) {
		struct frame frame;
		struct err why = ERR_INIT;
		int rc;

		if (asking_await(asking, err) < 0)
			return -1;
		rc = frame_recv(asking->fd, asking->room, &frame, &why);
		if (rc == 0)
			return err_set(err, ERR_AWAY, "wait for an answer: the other side left");
		if (rc < 0 && why.kind == ERR_TIMEOUT)
			continue;
		if (rc < 0)
			return err_pass(err, &why);
		if (frame.id == asking->id) {
			*ret = frame;
			return 0;
		}
		frame_close(&frame);
	}
}

void asking_end(struct asking *asking)
{
	if (asking->fd >= 0)
		close(asking->fd);
	free(asking->room);
	*asking = (struct asking)ASKING_INIT;
}
