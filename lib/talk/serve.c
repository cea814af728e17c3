/* serve - answering other roles of this node */
#include "serve.h"

#include "container.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define BURST 64			/* frames read from one client before others have their turn */
#define QUEUE_BYTES (4u << 20)		/* answers a client may leave unread */
#define ACCEPT_PAUSE_MS 100		/* when descriptors have run out */

/* An answer that did not fit into the socket yet. */
struct queued {
	struct link link;
	struct buf packet;
	int fds[SOCK_FDS_MAX];		/* owned */
	size_t fd_count;
};

struct serve_client {
	struct serve *serve;
	struct link link;
	struct watch watch;
	struct timer drop;		/* running: it is to go */
	struct list requests;		/* that have not ended */
	struct list queue;		/* struct queued */
	size_t queue_bytes;
};

struct serve {
	struct loop *loop;
	const struct serve_role *role;
	void *data;
	struct watch listener;
	struct timer pause;
	struct list clients;
	size_t requests;		/* of all clients */
	char *room;			/* FRAME_BYTES */
};

static void client_unqueue(struct serve_client *client, struct queued *queued)
{
	for (size_t i = 0; i < queued->fd_count; i++)
		close(queued->fds[i]);
	client->queue_bytes -= queued->packet.len;
	list_remove(&queued->link);
	buf_clear(&queued->packet);
	free(queued);
}

/* Take it out of its client's list, before it is freed. */
static void request_unlink(struct serve_request *request)
{
	list_remove(&request->link);
	request->serve->requests--;
}

static void request_gone(struct serve_request *request)
{
	struct serve *serve = request->serve;

	request_unlink(request);
	if (request->gone != NULL)
		request->gone(request);
	if (serve->role->gone != NULL)
		serve->role->gone(serve, request);
	free(request);
}

static void client_free(struct serve_client *client)
{
	timer_stop(&client->drop);
	watch_stop(&client->watch);
	while (client->requests.first != NULL)
		request_gone(LIST_FIRST(struct serve_request, &client->requests, link));
	LIST_EACH(struct queued, queued, &client->queue, link)
		client_unqueue(client, queued);
	close(client->watch.fd);
	list_remove(&client->link);
	free(client);
}

static void client_drop_due(struct timer *timer)
{
	client_free(CONTAINER_OF(timer, struct serve_client, drop));
}

/* Drop the client, but not from within whatever is going on. */
static void client_drop(struct serve_client *client)
{
	watch_stop(&client->watch);
	timer_start(client->serve->loop, &client->drop, 0);
}

static void client_flush(struct serve_client *client)
{
	LIST_EACH(struct queued, queued, &client->queue, link) {
		struct err err = ERR_INIT;

		if (sock_send(client->watch.fd, queued->packet.data, queued->packet.len,
			      queued->fds, queued->fd_count, &err) < 0) {
			if (err.kind != ERR_TIMEOUT)
				client_drop(client);
			return;
		}
		client_unqueue(client, queued);
	}
	watch_change(&client->watch, EPOLLIN);
}

/* The packet becomes the queue's. */
static void client_enqueue(struct serve_client *client, struct buf *packet, const int *fds, size_t fd_count)
{
	struct queued *queued = mem_new(1, sizeof *queued);

	queued->packet = *packet;
	*packet = (struct buf)BUF_INIT;
	list_append(&client->queue, &queued->link);
	client->queue_bytes += queued->packet.len;
	for (size_t i = 0; i < fd_count; i++) {
		int fd = fcntl(fds[i], F_DUPFD_CLOEXEC, 0);

		if (fd < 0) {
			client_drop(client);
			return;
		}
		queued->fds[queued->fd_count++] = fd;
	}
	if (client->queue_bytes > QUEUE_BYTES)
		client_drop(client);
	else
		watch_change(&client->watch, EPOLLIN | EPOLLOUT);
}

void serve_reply(struct serve_request *request, uint8_t type, struct str body, const int *fds,
		 size_t fd_count)
{
	struct serve_client *client = request->client;
	struct frame frame = { .type = type, .id = request->id, .body = body };
	struct buf packet = BUF_INIT;
	struct err err = ERR_INIT;

	if (client->drop.loop != NULL)
		return;
	frame_pack(&packet, &frame);
	if (client->queue.count > 0)
		client_enqueue(client, &packet, fds, fd_count);
	else if (sock_send(client->watch.fd, packet.data, packet.len, fds, fd_count, &err) < 0) {
		if (err.kind == ERR_TIMEOUT)
			client_enqueue(client, &packet, fds, fd_count);
		else
			client_drop(client);
	}
	buf_clear(&packet);
}

void serve_end(struct serve_request *request)
{
	request_unlink(request);
	free(request);
}

void serve_fail(struct serve_request *request, const struct err *err)
{
	struct buf body = BUF_INIT;

	frame_failed_pack(&body, err);
	serve_reply(request, FRAME_FAILED, buf_str(&body), NULL, 0);
	buf_clear(&body);
	serve_end(request);
}

static void request_begin(struct serve_client *client, struct frame *frame)
{
	struct serve *serve = client->serve;
	struct serve_request *request = mem_new(1, sizeof *request);

	request->serve = serve;
	request->client = client;
	request->id = frame->id;
	request->due = frame->deadline_ms ? loop_now(serve->loop) + frame->deadline_ms : 0;
	list_append(&client->requests, &request->link);
	serve->requests++;
	serve->role->request(serve, request, frame);
	frame_close(frame);
}

/* Of one that ended meanwhile there is nothing to cancel. */
static void request_cancel(struct serve_client *client, uint64_t id)
{
	LIST_EACH(struct serve_request, request, &client->requests, link) {
		if (request->id == id) {
			request_gone(request);
			return;
		}
	}
}

static void client_ready(struct watch *watch, uint32_t events)
{
	struct serve_client *client = CONTAINER_OF(watch, struct serve_client, watch);

	if (events & EPOLLOUT)
		client_flush(client);
	if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		return;
	for (int i = 0; i < BURST && client->drop.loop == NULL; i++) {
		struct err err = ERR_INIT;
		struct frame frame;
		int rc = frame_recv(watch->fd, client->serve->room, &frame, &err);

		if (rc < 0 && err.kind == ERR_TIMEOUT)
			return;
		if (rc <= 0) {
			client_drop(client);
		} else if (frame.type == FRAME_CANCEL) {
			frame_close(&frame);
			request_cancel(client, frame.id);
		} else {
			request_begin(client, &frame);
		}
	}
}

static void client_admit(struct serve *serve, int fd)
{
	struct serve_client *client = mem_new(1, sizeof *client);

	client->serve = serve;
	client->watch.fd = fd;
	client->watch.ready = client_ready;
	client->drop.fire = client_drop_due;
	list_append(&serve->clients, &client->link);
	if (watch_start(serve->loop, &client->watch, EPOLLIN, NULL) < 0)
		client_free(client);
}

static void listener_ready(struct watch *watch, uint32_t events)
{
	struct serve *serve = CONTAINER_OF(watch, struct serve, listener);
	int fd;

	(void)events;
	while ((fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0)
		client_admit(serve, fd);
	if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
		watch_change(watch, 0);
		timer_start(serve->loop, &serve->pause, ACCEPT_PAUSE_MS);
	}
}

static void pause_over(struct timer *timer)
{
	watch_change(&CONTAINER_OF(timer, struct serve, pause)->listener, EPOLLIN);
}

struct serve *serve_new(struct loop *loop, int listener, const struct serve_role *role, void *data,
			struct err *err)
{
	struct serve *serve = mem_new(1, sizeof *serve);

	serve->loop = loop;
	serve->role = role;
	serve->data = data;
	serve->listener.fd = listener;
	serve->listener.ready = listener_ready;
	serve->pause.fire = pause_over;
	serve->room = mem_new(FRAME_BYTES, 1);
	if (watch_start(loop, &serve->listener, EPOLLIN, err) < 0) {
		serve_free(serve);
		return NULL;
	}
	return serve;
}

void serve_free(struct serve *serve)
{
	if (serve == NULL)
		return;
	serve_quiesce(serve);
	while (serve->clients.first != NULL)
		client_free(LIST_FIRST(struct serve_client, &serve->clients, link));
	free(serve->room);
	free(serve);
}

void *serve_data(const struct serve *serve)
{
	return serve->data;
}

size_t serve_requests(const struct serve *serve)
{
	return serve->requests;
}

void serve_quiesce(struct serve *serve)
{
	timer_stop(&serve->pause);
	watch_stop(&serve->listener);
}
