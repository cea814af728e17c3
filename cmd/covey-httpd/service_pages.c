/* service_pages - /.covey/: is it alive, is it ready, what is going on */
#include "service_pages.h"

#include "layout_page.h"

#include "answer.h"
#include "conn.h"
#include "container.h"
#include "discover_talk.h"
#include "escape.h"
#include "mem.h"
#include "members.h"
#include "reply.h"
#include "version_talk.h"

#include <inttypes.h>
#include <sys/statvfs.h>

static void page(struct conn *c, int status, const char *type, struct str body)
{
	answer_begin(c, status);
	reply_field(&c->output.text, "Content-Type", str_of(type));
	reply_field(&c->output.text, "Cache-Control", STR("no-store"));
	answer_end_text(c, body);
}

static void healthz(struct conn *c)
{
	page(c, 200, "text/plain; charset=utf-8", STR("alive\n"));
}

static void readyz(struct conn *c)
{
	struct httpd *h = c->worker->httpd;
	struct err err;

	if (atomic_load(&h->draining))
		answer_error(c, 503, "this node is stopping");
	else if (store_writable(h->store, &err) < 0)
		answer_error(c, 503, "%s", err.text);
	else
		page(c, 200, "text/plain; charset=utf-8", STR("ready\n"));
}

static void add_store(struct buf *json, const struct conf *conf)
{
	struct statvfs fs;

	buf_adds(json, "\"store\":{\"path\":");
	escape_json(json, str_of(conf->node.store));
	if (statvfs(conf->node.store, &fs) == 0)
		buf_addf(json, ",\"free\":%" PRIu64, (uint64_t)fs.f_bavail * fs.f_frsize);
	buf_addf(json, ",\"min_free\":%" PRIu64 "}", conf->limits.min_free);
}

/* What the other roles say: the group as covey-discoverd sees it, or counters. */
struct view {
	struct conn *conn;
	struct call call;
	struct members members;
	struct layout layout;
	bool wants_layout;		/* not only the members */
	struct buf stats;		/* of covey-versiond, in lines of the metrics page */
	void (*show)(struct conn *, const struct view *);
};

#define VIEW_TIMEOUT_MS 500

void view_free(struct view *view)
{
	if (view == NULL)
		return;
	call_finish(&view->call);
	members_clear(&view->members);
	buf_clear(&view->stats);
	free(view);
}

static void add_peers(struct buf *json, const struct members *members)
{
	bool first = true;

	buf_adds(json, "\"group\":{\"peers\":[");
	for (size_t i = 0; i < members->count; i++) {
		const struct member *m = &members->list[i];
		char address[ADDRESS_TEXT];

		if (m->id == members->self)
			continue;
		buf_addf(json, "%s{\"node\":\"%016" PRIx64 "\",\"name\":", first ? "" : ",", m->id);
		escape_json(json, str_of(m->name));
		buf_addf(json, ",\"address\":\"%s\",\"state\":\"%s\"}",
			 address_format(address, &m->http), member_state_name(m->state));
		first = false;
	}
	buf_adds(json, "]}");
}

static void status_page(struct conn *c, const struct view *view)
{
	struct httpd *h = c->worker->httpd;
	struct buf json = BUF_INIT;

	buf_addf(&json, "{\"node\":\"%016" PRIx64 "\",\"name\":", store_node(h->store));
	escape_json(&json, str_of(h->conf->node.name));
	buf_addf(&json, ",\"version\":\"%s\",", COVEY_VERSION);
	add_store(&json, h->conf);
	buf_addc(&json, ',');
	add_peers(&json, &view->members);
	buf_adds(&json, "}\n");
	page(c, 200, "application/json", buf_str(&json));
	buf_clear(&json);
}

static void layout_page(struct conn *c, const struct view *view)
{
	struct buf json = BUF_INIT;

	layout_page_json(&json, c->worker->httpd, &view->members, &view->layout);
	page(c, 200, "application/json", buf_str(&json));
	buf_clear(&json);
}

static void viewed(struct call *call, struct frame *frame)
{
	struct view *view = CONTAINER_OF(call, struct view, call);
	struct conn *c = view->conn;

	if (frame != NULL && frame->type == DISCOVER_MEMBERS &&
	    discover_members_unpack(frame->body, &view->members, NULL, NULL) == 0 &&
	    view->wants_layout)
		return;
	if (frame != NULL && frame->type == DISCOVER_LAYOUT)
		discover_layout_unpack(frame->body, &view->layout, NULL);
	/* discoverd is away: the members this node has met. */
	if (view->members.count == 0)
		members_load(c->worker->httpd->state_directory, &view->members, NULL);
	call_finish(call);
	view->show(c, view);
	conn_resume(c);
}

static struct view *view_new(struct conn *c, void (*show)(struct conn *, const struct view *))
{
	struct view *view = mem_new(1, sizeof *view);

	view->conn = c;
	view->call = (struct call)CALL_INIT;
	view->members = (struct members)MEMBERS_INIT;
	view->layout = LAYOUT_NONE;
	view->show = show;
	c->request.view = view;
	return view;
}

static void view(struct conn *c, bool wants_layout,
		 void (*show)(struct conn *, const struct view *))
{
	struct view *view = view_new(c, show);

	if (c->worker->discover == NULL) {
		show(c, view);
		return;
	}
	view->call.answer = viewed;
	view->wants_layout = wants_layout;
	c->state = CONN_BUSY;
	call_start(c->worker->discover, &view->call, DISCOVER_VIEW, (struct str)STR_INIT,
		   VIEW_TIMEOUT_MS);
}

static void status(struct conn *c)
{
	view(c, false, status_page);
}

static void layout(struct conn *c)
{
	view(c, true, layout_page);
}

/* For Prometheus and its like: covey-versiond counts what costs; here is what is this process's. */
static void metrics_page(struct conn *c, const struct view *view)
{
	struct httpd *h = c->worker->httpd;
	struct buf text = BUF_INIT;

	buf_addf(&text, "# HELP covey_connections HTTP connections that are open.\n"
			"# TYPE covey_connections gauge\ncovey_connections %u\n",
		 atomic_load(&h->connections));
	buf_addf(&text, "# HELP covey_versiond_up Whether covey-versiond answered.\n"
			"# TYPE covey_versiond_up gauge\ncovey_versiond_up %d\n",
		 view->stats.len > 0);
	buf_addstr(&text, buf_str(&view->stats));
	page(c, 200, "text/plain; version=0.0.4; charset=utf-8", buf_str(&text));
	buf_clear(&text);
}

static void counted(struct call *call, struct frame *frame)
{
	struct view *view = CONTAINER_OF(call, struct view, call);
	struct conn *c = view->conn;

	if (frame != NULL && frame->type == VERSION_TALK_STATS)
		buf_addstr(&view->stats, frame->body);
	call_finish(call);
	view->show(c, view);
	conn_resume(c);
}

static void metrics(struct conn *c)
{
	struct view *view = view_new(c, metrics_page);

	if (c->worker->version == NULL) {
		metrics_page(c, view);
		return;
	}
	view->call.answer = counted;
	c->state = CONN_BUSY;
	call_start(c->worker->version, &view->call, VERSION_TALK_STATS, (struct str)STR_INIT,
		   VIEW_TIMEOUT_MS);
}

void service_page(struct conn *c)
{
	static const struct {
		const char *path;
		void (*page)(struct conn *);
	} pages[] = {
		{ "/.covey/healthz", healthz },
		{ "/.covey/readyz", readyz },
		{ "/.covey/status", status },
		{ "/.covey/layout", layout },
		{ "/.covey/metrics", metrics },
	};

	if (c->head.method != METHOD_GET && c->head.method != METHOD_HEAD) {
		answer_error_with(c, 405, STR("Allow: GET, HEAD\r\n"),
				  STR("service pages are only read"));
		return;
	}
	for (size_t i = 0; i < sizeof pages / sizeof *pages; i++) {
		if (!str_eq(c->head.path, str_of(pages[i].path)))
			continue;
		pages[i].page(c);
		return;
	}
	answer_error(c, 404, "no such service page");
}
