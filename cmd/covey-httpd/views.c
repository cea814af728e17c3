/*
 * views - /.covey/status, layout and metrics: what the other roles say, and the store
 *
 *	on the loop	ask covey-discoverd, or covey-versiond for its counters
 *	in the pool	count what waits in the outbox, read how far scrub is
 *	on the loop	answer
 */
#include "service_pages.h"

#include "answer.h"
#include "clock.h"
#include "conn.h"
#include "container.h"
#include "discover_talk.h"
#include "escape.h"
#include "group.h"
#include "identity.h"
#include "keep_file.h"
#include "layout_page.h"
#include "mem.h"
#include "members.h"
#include "outbox.h"
#include "scrub_file.h"
#include "version_talk.h"

#include <inttypes.h>
#include <sys/statvfs.h>

static void add_store(struct buf *json, const struct httpd *h, bool lost_records)
{
	const struct conf *conf = h->conf;
	struct statvfs fs;
	struct err err;

	buf_adds(json, "\"store\":{\"path\":");
	escape_json(json, str_of(conf->node.store));
	if (statvfs(conf->node.store, &fs) == 0)
		buf_addf(json, ",\"free\":%" PRIu64, (uint64_t)fs.f_bavail * fs.f_frsize);
	buf_addf(json, ",\"min_free\":%" PRIu64 ",\"refuses_writes\":", conf->limits.min_free);
	if (store_writable(h->store, &err) < 0)
		escape_json(json, str_of(err.text));
	else
		buf_adds(json, "null");
	buf_addf(json, ",\"lost\":%s%s%s}", lost_records ? "\"" : "",
		 lost_records ? HTTPD_LOST_RECORDS : "null", lost_records ? "\"" : "");
}

/* What the other roles say: the group as covey-discoverd sees it, or counters. */
struct view {
	struct conn *conn;
	struct call call;
	struct members members;
	struct layout layout;
	bool wants_layout;		/* not only the members */
	struct buf stats;		/* of covey-versiond, in lines of the metrics page */
	struct job job;
	uint64_t waiting;		/* entries in the outbox that are not done */
	struct scrub_file scrub;	/* last 0: covey-syncd was never here */
	struct keep_file keep;
	bool lost_records;
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
	scrub_file_clear(&view->scrub);
	free(view);
}

/* in the pool */

static int count_entry(void *data, const struct outbox_entry *entry)
{
	struct view *view = data;

	(void)entry;
	view->waiting++;
	return 0;
}

static void count_work(struct job *job)
{
	struct view *view = CONTAINER_OF(job, struct view, job);
	struct outbox_reader *reader = outbox_reader_new(view->conn->worker->httpd->store);

	outbox_read(reader, count_entry, view, NULL);
	outbox_reader_free(reader);
	scrub_file_load(view->conn->worker->httpd->state_directory, &view->scrub, NULL);
	keep_file_load(view->conn->worker->httpd->state_directory, &view->keep, NULL);
	view->lost_records = store_lost_records(view->conn->worker->httpd->store);
}

static void count_done(struct job *job)
{
	struct view *view = CONTAINER_OF(job, struct view, job);
	struct conn *c = view->conn;

	view->show(c, view);
	conn_resume(c);
}

static void count_outbox(struct view *view)
{
	struct conn *c = view->conn;

	view->job = (struct job){ .work = count_work, .done = count_done,
				  .home = c->worker->loop };
	c->state = CONN_BUSY;
	pool_submit(c->worker->httpd->pool, &view->job);
}

/* on the loop */

/* How many nodes are up that are of another group, and of which, for people; or null. */
static void add_apart(struct buf *json, const struct members *members)
{
	const struct member *self = members_find(members, members->self);
	uint64_t other = 0;
	size_t count = 0;

	for (size_t i = 0; self != NULL && self->lineage != 0 && i < members->count; i++) {
		const struct member *m = &members->list[i];

		if (m->state != MEMBER_UP || m->lineage == 0 || m->lineage == self->lineage)
			continue;
		other = m->lineage;
		count++;
	}
	if (count == 0)
		buf_adds(json, "null");
	else
		buf_addf(json, "\"%zu up of lineage %016" PRIx64 " or another: see covey layout show\"",
			 count, other);
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
	buf_adds(json, "],\"apart\":");
	add_apart(json, members);
	buf_addc(json, '}');
}

/* null, or why it answers as no home. */
static void add_silence(struct buf *json, struct group *group)
{
	bool for_good;
	const char *silence = group != NULL ? group_silence(group, &for_good) : NULL;

	buf_adds(json, "\"silent\":");
	if (silence != NULL)
		escape_json(json, str_of(silence));
	else
		buf_adds(json, "null");
	buf_addc(json, ',');
}

static uint64_t wall_s(void)
{
	return clock_wall_ns() / 1000000000;
}

/* null, or who may read the group's key. */
static void add_key(struct buf *json, const struct conf *conf)
{
	char *exposed = identity_key_exposed(conf);

	buf_adds(json, "\"key\":");
	if (exposed != NULL)
		escape_json(json, str_of(exposed));
	else
		buf_adds(json, "null");
	buf_addc(json, ',');
	free(exposed);
}

/* null, or what will go by numbers that were lowered, and when, s since 1970. */
static void add_lowered(struct buf *json, const struct keep_file *k)
{
	if (k->lowered.versions == 0) {
		buf_adds(json, "null");
		return;
	}
	buf_addf(json, "{\"versions\":%" PRIu32 ",\"days\":%" PRIu32 ",\"at\":%" PRIu64
		 ",\"goes\":{\"versions\":%" PRIu64 ",\"contents\":%" PRIu64 ",\"bytes\":%" PRIu64
		 "},\"say\":\"these go in %" PRIu32 " min: covey layout set with the numbers before keeps "
		 "them, covey prune drops them now\"}", k->lowered.versions, k->lowered.days,
		 wall_s() + k->left, k->versions, k->contents, k->bytes,
		 (k->left + 59) / 60);
}

/* What this node keeps of a path. */
static void add_keep(struct buf *json, const struct conf *conf, const struct keep_file *k)
{
	struct keep_numbers now = k->now;

	buf_adds(json, "\"keep\":{");
	if (now.versions == 0 && k->lowered.versions == 0)
		now = (struct keep_numbers){ (uint32_t)conf->keep.versions, (uint32_t)conf->keep.days };
	if (now.versions == 0)
		buf_adds(json, "\"versions\":null,\"days\":null");
	else
		buf_addf(json, "\"versions\":%" PRIu32 ",\"days\":%" PRIu32, now.versions, now.days);
	buf_adds(json, ",\"lowered\":");
	add_lowered(json, k);
	buf_adds(json, "},");
}

static void status_page(struct conn *c, const struct view *view)
{
	struct httpd *h = c->worker->httpd;
	struct buf json = BUF_INIT;

	buf_addf(&json, "{\"node\":\"%016" PRIx64 "\",\"name\":", store_node(h->store));
	escape_json(&json, str_of(h->conf->node.name));
	buf_addf(&json, ",\"version\":\"%s\",", COVEY_VERSION);
	add_store(&json, h, view->lost_records);
	buf_addf(&json, ",\"layout\":{\"epoch\":%" PRIu64 "},\"outbox\":%" PRIu64 ",",
		 h->group ? group_epoch(h->group) : 0, view->waiting);
	buf_addf(&json, "\"scrub\":{\"last\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"bad\":%" PRIu64 "},",
		 scrub_file_last(&view->scrub, wall_s()), view->scrub.bytes, view->scrub.bad);
	buf_addf(&json, "\"versions\":{\"ahead\":%" PRIu64 "},", store_ahead(h->store));
	add_keep(&json, h->conf, &view->keep);
	add_silence(&json, h->group);
	add_key(&json, h->conf);
	add_peers(&json, &view->members);
	buf_adds(&json, "}\n");
	service_answer(c, 200, "application/json", buf_str(&json));
	buf_clear(&json);
}

static void layout_page(struct conn *c, const struct view *view)
{
	struct buf json = BUF_INIT;

	layout_page_json(&json, c->worker->httpd, &view->members, &view->layout);
	service_answer(c, 200, "application/json", buf_str(&json));
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
	count_outbox(view);
}

static struct view *view_new(struct conn *c, void (*show)(struct conn *, const struct view *))
{
	struct view *view = mem_new(1, sizeof *view);

	view->conn = c;
	view->call = (struct call)CALL_INIT;
	view->members = (struct members)MEMBERS_INIT;
	view->layout = LAYOUT_NONE;
	view->scrub = (struct scrub_file)SCRUB_FILE_INIT;
	view->show = show;
	c->request.view = view;
	return view;
}

static void ask_view(struct conn *c, bool wants_layout,
		     void (*show)(struct conn *, const struct view *))
{
	struct view *view = view_new(c, show);

	if (c->worker->discover == NULL) {
		count_outbox(view);
		return;
	}
	view->call.answer = viewed;
	view->wants_layout = wants_layout;
	c->state = CONN_BUSY;
	call_start(c->worker->discover, &view->call, DISCOVER_VIEW, (struct str)STR_INIT,
		   VIEW_TIMEOUT_MS);
}

void view_status(struct conn *c)
{
	ask_view(c, false, status_page);
}

void view_layout(struct conn *c)
{
	ask_view(c, true, layout_page);
}

static void add_metric(struct buf *text, const char *name, const char *type, const char *help,
		       uint64_t value)
{
	buf_addf(text, "# HELP %s %s\n# TYPE %s %s\n%s %" PRIu64 "\n", name, help, name, type, name,
		 value);
}

static void add_answers(struct buf *text, const struct httpd *h)
{
	uint64_t confirmed = 0, unconfirmed = 0;

	for (unsigned i = 0; i < WORKERS_MAX; i++) {	/* those of earlier processes, too */
		confirmed += atomic_load_explicit(&h->kept->answers[i].confirmed, memory_order_relaxed);
		unconfirmed += atomic_load_explicit(&h->kept->answers[i].unconfirmed,
						    memory_order_relaxed);
	}
	buf_addf(text, "# HELP covey_answers_total Answers by their Version-State.\n"
		       "# TYPE covey_answers_total counter\n"
		       "covey_answers_total{state=\"confirmed\"} %" PRIu64 "\n"
		       "covey_answers_total{state=\"unconfirmed\"} %" PRIu64 "\n",
		 confirmed, unconfirmed);
}

/* For Prometheus and its like: covey-versiond counts what costs; here is what is this process's. */
static void metrics_page(struct conn *c, const struct view *view)
{
	struct httpd *h = c->worker->httpd;
	struct buf text = BUF_INIT;

	add_metric(&text, "covey_connections", "gauge", "HTTP connections that are open.",
		   atomic_load(&h->connections));
	add_answers(&text, h);
	add_metric(&text, "covey_settling", "gauge",
		   "Writes that homes and keepers are told of just now.", atomic_load(&h->replicating));
	add_metric(&text, "covey_outbox_entries", "gauge",
		   "Versions that not every home and keeper has.", view->waiting);
	add_metric(&text, "covey_layout_epoch", "gauge", "The layout that is in use; 0: none.",
		   h->group ? group_epoch(h->group) : 0);
	add_metric(&text, "covey_scrub_last_seconds", "gauge",
		   "When all contents had last been read again, since 1970.",
		   scrub_file_last(&view->scrub, wall_s()));
	add_metric(&text, "covey_scrub_bytes_total", "counter",
		   "Of contents that were read again.", view->scrub.bytes);
	add_metric(&text, "covey_scrub_bad_total", "counter",
		   "Contents found bad by that, and set aside.", view->scrub.bad);
	add_metric(&text, "covey_versions_ahead_total", "counter",
		   "Versions that came from more than a minute ahead of the clock.",
		   store_ahead(h->store));
	add_metric(&text, "covey_versiond_up", "gauge", "Whether covey-versiond answered.",
		   view->stats.len > 0);
	buf_addstr(&text, buf_str(&view->stats));
	service_answer(c, 200, "text/plain; version=0.0.4; charset=utf-8", buf_str(&text));
	buf_clear(&text);
}

static void counted(struct call *call, struct frame *frame)
{
	struct view *view = CONTAINER_OF(call, struct view, call);

	if (frame != NULL && frame->type == VERSION_TALK_STATS)
		buf_addstr(&view->stats, frame->body);
	call_finish(call);
	count_outbox(view);
}

void view_metrics(struct conn *c)
{
	struct view *view = view_new(c, metrics_page);

	if (c->worker->version == NULL) {
		count_outbox(view);
		return;
	}
	view->call.answer = counted;
	c->state = CONN_BUSY;
	call_start(c->worker->version, &view->call, VERSION_TALK_STATS, (struct str)STR_INIT,
		   VIEW_TIMEOUT_MS);
}

