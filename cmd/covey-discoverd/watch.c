/* watch - discover.sock: the view for the other roles of this node */
#include "discoverd.h"

#include "discover_talk.h"
#include "mem.h"

static void reply_members(struct discoverd *d, struct serve_request *const *to, size_t count)
{
	struct members members = MEMBERS_INIT;
	struct buf body = BUF_INIT;

	view_members(&d->gossip.view, &members);
	discover_members_pack(&body, &members, 0);
	for (size_t i = 0; i < count; i++)
		serve_reply(to[i], DISCOVER_MEMBERS, buf_str(&body), NULL, 0);
	buf_clear(&body);
	members_clear(&members);
}

void watch_publish(struct discoverd *d)
{
	if (d->watcher_count > 0)
		reply_members(d, d->watchers, d->watcher_count);
}

static void add_watcher(struct discoverd *d, struct serve_request *request)
{
	d->watchers = mem_resize(d->watchers, d->watcher_count + 1, sizeof *d->watchers);
	d->watchers[d->watcher_count++] = request;
}

static void gone(struct serve *serve, struct serve_request *request)
{
	struct discoverd *d = serve_data(serve);

	for (size_t i = 0; i < d->watcher_count; i++)
		if (d->watchers[i] == request)
			d->watchers[i--] = d->watchers[--d->watcher_count];
}

static void refuse(struct serve_request *request, enum err_kind kind, const char *why)
{
	struct err err = ERR_INIT;

	err_set(&err, kind, "ask covey-discoverd: %s", why);
	serve_fail(request, &err);
}

static void asked(struct serve *serve, struct serve_request *request, struct frame *frame)
{
	struct discoverd *d = serve_data(serve);

	if (frame->body.n > 0) {
		refuse(request, ERR_INVALID, "malformed request");
	} else if (frame->type == DISCOVER_VIEW) {
		reply_members(d, &request, 1);
		serve_end(request);
	} else if (frame->type == DISCOVER_WATCH) {
		reply_members(d, &request, 1);
		add_watcher(d, request);
	} else if (frame->type == DISCOVER_LEAVE) {
		discoverd_leave(d);
		serve_reply(request, DISCOVER_DONE, STR(""), NULL, 0);
		serve_end(request);
	} else {
		refuse(request, ERR_UNSUPPORTED, "unknown request");
	}
}

static const struct serve_role role = { .request = asked, .gone = gone };

int watch_serve(struct discoverd *d, struct err *err)
{
	d->serve = serve_new(d->service->loop, service_fd(d->service, "discover"), &role, d, err);
	return d->serve != NULL ? 0 : -1;
}

void watch_end(struct discoverd *d)
{
	serve_free(d->serve);
	free(d->watchers);
	d->serve = NULL;
	d->watchers = NULL;
	d->watcher_count = 0;
}
