/* watch - discover.sock: the view for the other roles of this node */
#include "discoverd.h"

#include "discover_talk.h"
#include "mem.h"

static void reply_members(struct discoverd *d, struct serve_request *const *to, size_t count)
{
	struct members members = MEMBERS_INIT;
	struct buf body = BUF_INIT;

	view_members(&d->gossip.view, &members);
	discover_members_pack(&body, &members, standing_offset(d));
	for (size_t i = 0; i < count; i++)
		serve_reply(to[i], DISCOVER_MEMBERS, buf_str(&body), NULL, 0);
	buf_clear(&body);
	members_clear(&members);
}

static void reply_layout(struct discoverd *d, struct serve_request *const *to, size_t count)
{
	struct buf body = BUF_INIT;

	discover_layout_pack(&body, settle_layout(d));
	for (size_t i = 0; i < count; i++)
		serve_reply(to[i], DISCOVER_LAYOUT, buf_str(&body), NULL, 0);
	buf_clear(&body);
}

void watch_publish_layout(struct discoverd *d)
{
	if (d->watcher_count > 0)
		reply_layout(d, d->watchers, d->watcher_count);
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

	wishes_gone(d, request);
	for (size_t i = 0; i < d->watcher_count; i++) {
		if (d->watchers[i] != request)
			continue;
		d->watchers[i--] = d->watchers[--d->watcher_count];
		carry_unwatched(d);
	}
}

static void refuse(struct serve_request *request, enum err_kind kind, const char *why)
{
	struct err err = ERR_INIT;

	err_set(&err, kind, "ask covey-discoverd: %s", why);
	serve_fail(request, &err);
}

static void done(struct serve_request *request)
{
	serve_reply(request, DISCOVER_DONE, STR(""), NULL, 0);
	serve_end(request);
}

static void behind(struct discoverd *d, struct serve_request *request, struct str body)
{
	struct discover_behind behind;
	struct err err = ERR_INIT;

	if (discover_behind_unpack(body, &behind, &err) < 0) {
		serve_fail(request, &err);
		return;
	}
	if (behind.epoch > settle_layout(d)->epoch && behind.from.len != 0)
		settle_fetch(d, behind.node, &behind.from);
	done(request);
}

static void synced(struct discoverd *d, struct serve_request *request, struct str body)
{
	struct err err = ERR_INIT;
	uint64_t epoch;

	if (discover_synced_unpack(body, &epoch, &err) < 0) {
		serve_fail(request, &err);
		return;
	}
	settle_synced(d, epoch);
	done(request);
}

static void change_asked(struct discoverd *d, struct serve_request *request, struct str body)
{
	struct discover_change change;
	struct err err = ERR_INIT;

	if (discover_change_unpack(body, &change, &err) < 0)
		serve_fail(request, &err);
	else
		wishes_ask(d, request, &change);
}

/* Requests that have no body. */
static void asked_plainly(struct discoverd *d, struct serve_request *request, uint8_t type)
{
	if (type == DISCOVER_LEAVE) {
		discoverd_leave(d);
		done(request);
		return;
	}
	reply_members(d, &request, 1);
	reply_layout(d, &request, 1);
	if (type == DISCOVER_WATCH)
		add_watcher(d, request);
	else
		serve_end(request);
}

static void asked(struct serve *serve, struct serve_request *request, struct frame *frame)
{
	struct discoverd *d = serve_data(serve);
	struct buf answer = BUF_INIT;

	if (frame->type == DISCOVER_VIEW || frame->type == DISCOVER_WATCH ||
	    frame->type == DISCOVER_LEAVE) {
		if (frame->body.n > 0)
			refuse(request, ERR_INVALID, "malformed request");
		else
			asked_plainly(d, request, frame->type);
	} else if (frame->type == DISCOVER_BEHIND) {
		behind(d, request, frame->body);
	} else if (frame->type == DISCOVER_SYNCED) {
		synced(d, request, frame->body);
	} else if (frame->type == DISCOVER_WAITS) {
		wishes_wait(d, frame->body);
		done(request);
	} else if (frame->type == DISCOVER_CARRY) {
		carry_receive(d, frame->body, &answer);
		serve_reply(request, DISCOVER_CARRIED, buf_str(&answer), NULL, 0);
		serve_end(request);
		buf_clear(&answer);
	} else if (frame->type == DISCOVER_CHANGE) {
		change_asked(d, request, frame->body);
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
