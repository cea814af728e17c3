/*
 * pages - /.covey/: is it alive, is it ready, what is going on; and what other nodes send to its roles
 *
 *	healthz, readyz		at once
 *	msg			POST: a sealed message for the role that can open it
 *	status, layout, metrics
 *		on the loop	ask covey-discoverd for the view, or covey-versiond for its counters
 *		in the pool	count what waits in the outbox, read how far scrub is
 *		on the loop	answer
 *
 * /.covey/layout tells who keeps what:
 *
 *	{"lineage": "16 hex digits" or null, "left": {"lineage", "epoch"} or null,
 *	 "epoch": N, "joint": bool,
 *	 "homes": N, "copies": N, "keep": {"versions": N, "days": N},
 *	 "members": [{"node", "name", "address", "state", "region", "weight",
 *		      "epoch", "lineage", "silent", "self", "home", "in_a", "in_b",
 *		      "council"}]}
 *
 * Members are all nodes of the group that this one knows, itself first:
 * home is in the layout, in its set A (in_a), or B while it is joint; the
 * others are guests.  left is what a forced layout left.  epoch and lineage of
 * a member are of the newest layout it has: those of another lineage are apart.  Of
 * a member that was never met name, address and state are null.  Epoch 0 is
 * a node that has joined no layout yet, or whose covey-discoverd is away.
 */
#include "answer.h"
#include "clock.h"
#include "loop/conn.h"
#include "container.h"
#include "discover_talk.h"
#include "escape.h"
#include "group.h"
#include "handlers.h"
#include "https.h"
#include "identity.h"
#include "keep_file.h"
#include "layout.h"
#include "mem.h"
#include "members.h"
#include "outbox.h"
#include "reply.h"
#include "scrub_file.h"
#include "sync_talk.h"
#include "version_talk.h"
#include "wire.h"

#include <inttypes.h>
#include <sys/statvfs.h>

#define ROLE_TIMEOUT_MS 500		/* for what another role of this node says */
#define PATIENCE_MS 2000	/* for the role of a message: it may have to ask others, or commit records */

/* A page for which other roles are asked. */
struct page {
	struct conn *conn;
	struct call call;
	struct members members;
	struct layout layout;
	struct buf stats;		/* of covey-versiond, in lines of the metrics page */
	struct job job;
	uint64_t waiting;		/* entries in the outbox that are not done */
	struct scrub_file scrub;	/* last 0: covey-syncd was never here */
	struct keep_file keep;
	bool lost_records;
	void (*show)(struct conn *, const struct page *);
};

static void page_end(struct conn *c)
{
	struct page *page = c->request.page;

	call_finish(&page->call);
	members_clear(&page->members);
	buf_clear(&page->stats);
	scrub_file_clear(&page->scrub);
	free(page);
}

static void page_answer(struct conn *c, int status, const char *type, struct str body)
{
	answer_begin(c, status);
	reply_field(&c->output.text, "Content-Type", str_of(type));
	reply_field(&c->output.text, "Cache-Control", STR("no-store"));
	answer_end_text(c, body);
}

/* healthz, readyz */

static void healthz(struct conn *c)
{
	page_answer(c, 200, "text/plain; charset=utf-8", STR("alive\n"));
}

/* silence: why it answers as no home yet, or NULL. */
static void page_say_ready(struct conn *c, const char *silence)
{
	struct buf text = BUF_INIT;

	if (silence != NULL)
		buf_addf(&text, "ready; silent yet: %s\n", silence);
	else
		buf_adds(&text, "ready\n");
	page_answer(c, 200, "text/plain; charset=utf-8", buf_str(&text));
	buf_clear(&text);
}

/* ?confirm, whatever its value, and what a monitor adds: nothing else that is asked there changes the answer. */
static bool page_wants_confirm(const struct conn *c)
{
	struct str rest = c->head.query, pair, name;

	while (str_cut(&rest, '&', &pair))
		if (str_cut(&pair, '=', &name) && str_eq(name, STR("confirm")))
			return true;
	return false;
}

static void page_say_whether_it_confirms(struct conn *c)
{
	struct httpd *h = c->worker->httpd;
	struct buf why = BUF_INIT;

	if (h->group == NULL || group_can_confirm(h->group, &why))
		page_answer(c, 200, "text/plain; charset=utf-8", STR("ready; reads and writes are confirmed\n"));
	else
		answer_error(c, 503, "this node cannot confirm now: %s", why.data);
	buf_clear(&why);
}

static void readyz(struct conn *c)
{
	struct httpd *h = c->worker->httpd;
	bool for_good = false;
	const char *silence = h->group != NULL ? group_silence(h->group, &for_good) : NULL;
	struct err err;

	if (atomic_load(&h->draining))
		answer_error(c, 503, "this node is stopping");
	else if (store_writable(h->store, &err) < 0)
		answer_error(c, 503, "%s", err.text);
	else if (for_good)
		answer_error(c, 503, "this node is silent: %s", silence);
	else if (page_wants_confirm(c))
		page_say_whether_it_confirms(c);
	else
		page_say_ready(c, silence);
}

/* asking, and counting in the pool */

static int page_count_entry(void *data, const struct outbox_entry *entry)
{
	struct page *page = data;

	(void)entry;
	page->waiting++;
	return 0;
}

static void page_count_work(struct job *job)
{
	struct page *page = CONTAINER_OF(job, struct page, job);
	struct outbox_reader *reader = outbox_reader_new(page->conn->worker->httpd->store);

	outbox_read(reader, page_count_entry, page, NULL);
	outbox_reader_free(reader);
	scrub_file_load(page->conn->worker->httpd->state_directory, &page->scrub, NULL);
	keep_file_load(page->conn->worker->httpd->state_directory, &page->keep, NULL);
	page->lost_records = store_lost_records(page->conn->worker->httpd->store);
}

static void page_counted(struct job *job)
{
	struct page *page = CONTAINER_OF(job, struct page, job);
	struct conn *c = page->conn;

	page->show(c, page);
	conn_resume(c);
}

static void page_count(struct page *page)
{
	conn_start_job(page->conn, &page->job, page_count_work, page_counted, 0);
}

static void page_view_told(struct call *call, struct frame *frame)
{
	struct page *page = CONTAINER_OF(call, struct page, call);
	struct conn *c = page->conn;

	if (frame != NULL && frame->type == DISCOVER_MEMBERS &&
	    discover_members_unpack(frame->body, &page->members, NULL, NULL) == 0)
		return;			/* the layout follows */
	if (frame != NULL && frame->type == DISCOVER_LAYOUT)
		discover_layout_unpack(frame->body, &page->layout, NULL);
	/* discoverd is away: the members this node has met. */
	if (page->members.count == 0)
		members_load(c->worker->httpd->state_directory, &page->members, NULL);
	call_finish(call);
	page_count(page);
}

static void page_counters_told(struct call *call, struct frame *frame)
{
	struct page *page = CONTAINER_OF(call, struct page, call);

	if (frame != NULL && frame->type == VERSION_TALK_STATS)
		buf_addstr(&page->stats, frame->body);
	call_finish(call);
	page_count(page);
}

/* Ask a role of this node first, where there is a group, then count and show. */
static void page_ask(struct conn *c, bool view, void (*show)(struct conn *, const struct page *))
{
	struct caller *role = view ? c->worker->discover : c->worker->version;
	struct page *page = c->request.page = mem_new(1, sizeof *page);

	c->request.end = page_end;
	page->conn = c;
	page->call = (struct call)CALL_INIT;
	page->members = (struct members)MEMBERS_INIT;
	page->layout = LAYOUT_NONE;
	page->scrub = (struct scrub_file)SCRUB_FILE_INIT;
	page->show = show;
	if (role == NULL) {
		page_count(page);
		return;
	}
	page->call.answer = view ? page_view_told : page_counters_told;
	c->state = CONN_BUSY;
	call_start(role, &page->call, view ? DISCOVER_VIEW : VERSION_TALK_STATS, (struct str)STR_INIT,
		   ROLE_TIMEOUT_MS);
}

/* pieces of JSON */

static const char *boolean(bool value)
{
	return value ? "true" : "false";
}

/* text is NULL: null */
static void page_add_text(struct buf *json, const char *name, const char *text)
{
	buf_addf(json, "\"%s\":", name);
	if (text != NULL)
		escape_json(json, str_of(text));
	else
		buf_adds(json, "null");
}

/* m is NULL: it was never met. */
static void page_add_person(struct buf *json, const struct member *m)
{
	char address[ADDRESS_TEXT];

	if (m == NULL) {
		buf_adds(json, "\"name\":null,\"address\":null,\"state\":null");
		return;
	}
	page_add_text(json, "name", m->name);
	buf_addf(json, ",\"address\":\"%s\",\"state\":\"%s\"", address_format(address, &m->http),
		 member_state_name(m->state));
}

static uint64_t page_wall_s(void)
{
	return clock_wall_ns() / 1000000000;
}

/* status */

static void page_add_store(struct buf *json, const struct httpd *h, bool lost_records)
{
	const struct conf *conf = h->conf;
	struct statvfs fs;
	struct err err;
	bool writable = store_writable(h->store, &err) == 0;

	buf_adds(json, "\"store\":{");
	page_add_text(json, "path", conf->node.store);
	if (statvfs(conf->node.store, &fs) == 0)
		buf_addf(json, ",\"free\":%" PRIu64, (uint64_t)fs.f_bavail * fs.f_frsize);
	buf_addf(json, ",\"min_free\":%" PRIu64 ",", conf->limits.min_free);
	page_add_text(json, "refuses_writes", writable ? NULL : err.text);
	buf_addc(json, ',');
	page_add_text(json, "lost", lost_records ? HTTPD_LOST_RECORDS : NULL);
	buf_addc(json, '}');
}

/* How many nodes are up that are of another group, and of which, for people; or null. */
static void page_add_apart(struct buf *json, const struct members *members)
{
	const struct member *self = members_find(members, members->self);
	uint64_t lineage = 0;
	size_t count = 0;

	for (size_t i = 0; self != NULL && self->lineage != 0 && i < members->count; i++) {
		const struct member *m = &members->list[i];

		if (m->state != MEMBER_UP || m->lineage == 0 || m->lineage == self->lineage)
			continue;
		lineage = m->lineage;
		count++;
	}
	if (count == 0)
		buf_adds(json, "null");
	else
		buf_addf(json, "\"%zu up of lineage %016" PRIx64 " or another: see covey layout show\"",
			 count, lineage);
}

static void page_add_peers(struct buf *json, const struct members *members)
{
	bool first = true;

	buf_adds(json, "\"group\":{\"peers\":[");
	for (size_t i = 0; i < members->count; i++) {
		const struct member *m = &members->list[i];

		if (m->id == members->self)
			continue;
		buf_addf(json, "%s{\"node\":\"%016" PRIx64 "\",", first ? "" : ",", m->id);
		page_add_person(json, m);
		buf_addc(json, '}');
		first = false;
	}
	buf_adds(json, "],\"apart\":");
	page_add_apart(json, members);
	buf_addc(json, '}');
}

/* null, or what will go by numbers that were lowered, and when, s since 1970. */
static void page_add_lowered(struct buf *json, const struct keep_file *k)
{
	if (k->lowered.versions == 0) {
		buf_adds(json, "null");
		return;
	}
	buf_addf(json, "{\"versions\":%" PRIu32 ",\"days\":%" PRIu32 ",\"at\":%" PRIu64
		 ",\"goes\":{\"versions\":%" PRIu64 ",\"contents\":%" PRIu64 ",\"bytes\":%" PRIu64
		 "},\"say\":\"these go in %" PRIu32 " min: covey layout set with the numbers before keeps "
		 "them, covey prune drops them now\"}", k->lowered.versions, k->lowered.days,
		 page_wall_s() + k->left, k->versions, k->contents, k->bytes,
		 (k->left + 59) / 60);
}

/* What this node keeps of a path. */
static void page_add_keep(struct buf *json, const struct conf *conf, const struct keep_file *k)
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
	page_add_lowered(json, k);
	buf_adds(json, "},");
}

/* What the group's keys are called that this process has: whether a change of the key has come so far. */
static void page_add_keys(struct buf *json, struct group *group)
{
	char first[SEAL_KEY_NAME], second[SEAL_KEY_NAME];

	group_key_names(group, first, second);
	buf_adds(json, "\"keys\":{");
	page_add_text(json, "first", first[0] ? first : NULL);
	buf_addc(json, ',');
	page_add_text(json, "second", second[0] ? second : NULL);
	buf_adds(json, "},");
}

static void show_status(struct conn *c, const struct page *page)
{
	struct httpd *h = c->worker->httpd;
	char *exposed = identity_key_exposed(h->conf);
	struct buf json = BUF_INIT;
	bool for_good;

	buf_addf(&json, "{\"node\":\"%016" PRIx64 "\",", store_node(h->store));
	page_add_text(&json, "name", h->conf->node.name);
	buf_addf(&json, ",\"version\":\"%s\",", COVEY_VERSION);
	page_add_store(&json, h, page->lost_records);
	buf_addf(&json, ",\"layout\":{\"epoch\":%" PRIu64 "},\"outbox\":%" PRIu64 ",",
		 h->group ? group_epoch(h->group) : 0, page->waiting);
	buf_addf(&json, "\"scrub\":{\"last\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"bad\":%" PRIu64 "},",
		 scrub_file_last(&page->scrub, page_wall_s()), page->scrub.bytes, page->scrub.bad);
	buf_addf(&json, "\"versions\":{\"ahead\":%" PRIu64 "},", store_ahead(h->store));
	page_add_keep(&json, h->conf, &page->keep);
	floods_status(&json, h);
	buf_addc(&json, ',');
	/* Why it answers as no home. */
	page_add_text(&json, "silent", h->group != NULL ? group_silence(h->group, &for_good) : NULL);
	buf_addc(&json, ',');
	/* Who else may read the group's key. */
	page_add_text(&json, "key", exposed);
	buf_adds(&json, ",\"https\":");
	https_add_status(&json, h);
	buf_addc(&json, ',');
	page_add_keys(&json, h->group);
	page_add_peers(&json, &page->members);
	buf_adds(&json, "}\n");
	page_answer(c, 200, "application/json", buf_str(&json));
	buf_clear(&json);
	free(exposed);
}

/* layout */

/* m or place is NULL: not met, or in no layout. */
static void page_add_member(struct buf *json, const struct layout *layout, const struct member *m,
			    const struct layout_member *place, bool self)
{
	bool in_a = place != NULL && place->sets & LAYOUT_A;
	bool in_b = place != NULL && place->sets & LAYOUT_B;

	buf_addf(json, "{\"node\":\"%016" PRIx64 "\",", m ? m->id : place->id);
	page_add_person(json, m);
	buf_addf(json, ",\"region\":\"%s\",\"weight\":%u,\"epoch\":%" PRIu32 ",\"self\":%s",
		 place ? layout->regions[place->region] : m->region,
		 (unsigned)(place ? place->weight : m->weight), m ? m->epoch : 0, boolean(self));
	if (m != NULL && m->lineage != 0)
		buf_addf(json, ",\"lineage\":\"%016" PRIx64 "\"", m->lineage);
	buf_addf(json, ",\"silent\":%s,\"other_key\":%s", boolean(m != NULL && m->flags & MEMBER_SILENT),
		 boolean(m != NULL && m->flags & MEMBER_OTHER_KEY));
	buf_addf(json, ",\"home\":%s,\"in_a\":%s,\"in_b\":%s,\"council\":%s}",
		 boolean(place != NULL), boolean(in_a), boolean(in_b),
		 boolean(place != NULL && place->council));
}

static void page_add_members(struct buf *json, const struct members *members,
			     const struct layout *layout)
{
	const char *comma = "";

	for (size_t i = 0; i < members->count; i++, comma = ",") {
		const struct member *m = &members->list[i];

		buf_adds(json, comma);
		page_add_member(json, layout, m, layout_find(layout, m->id), m->id == members->self);
	}
	for (size_t i = 0; i < layout->count; i++) {
		const struct layout_member *place = &layout->members[i];

		if (members_find(members, place->id) != NULL)
			continue;
		buf_adds(json, comma);
		page_add_member(json, layout, NULL, place, place->id == members->self);
		comma = ",";
	}
}

static void page_add_left(struct buf *json, const struct layout *layout)
{
	if (layout->left_lineage == 0)
		buf_adds(json, ",\"left\":null");
	else
		buf_addf(json, ",\"left\":{\"lineage\":\"%016" PRIx64 "\",\"epoch\":%" PRIu64 "}",
			 layout->left_lineage, layout->left_epoch);
}

static void show_layout(struct conn *c, const struct page *page)
{
	const struct conf *conf = c->worker->httpd->conf;
	const struct layout *layout = &page->layout;
	struct buf json = BUF_INIT;
	bool has_layout = layout->epoch != 0;

	buf_adds(&json, "{\"lineage\":");
	if (has_layout)
		buf_addf(&json, "\"%016" PRIx64 "\"", layout->lineage);
	else
		buf_adds(&json, "null");
	page_add_left(&json, layout);
	buf_addf(&json, ",\"epoch\":%" PRIu64 ",\"joint\":%s,\"homes\":%" PRIu64 ",\"copies\":%" PRIu64,
		 layout->epoch, boolean(layout_is_joint(layout)),
		 has_layout ? layout->homes : conf->replication.homes,
		 has_layout ? layout->copies : conf->replication.copies);
	buf_addf(&json, ",\"keep\":{\"versions\":%" PRIu64 ",\"days\":%" PRIu64 "},\"members\":[",
		 has_layout ? layout->keep_versions : conf->keep.versions,
		 has_layout ? layout->keep_days : conf->keep.days);
	page_add_members(&json, &page->members, layout);
	buf_adds(&json, "]}\n");
	page_answer(c, 200, "application/json", buf_str(&json));
	buf_clear(&json);
}

/* metrics */

static void page_add_metric(struct buf *text, const char *name, const char *type, const char *help,
			    uint64_t value)
{
	buf_addf(text, "# HELP %s %s\n# TYPE %s %s\n%s %" PRIu64 "\n", name, help, name, type, name,
		 value);
}

static void page_add_answers(struct buf *text, const struct httpd *h)
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

static void page_add_delta(struct buf *text, const struct delta_counts *counts)
{
	static const char *const ways[] = { [DELTA_ANSWER] = "answer", [DELTA_PULL] = "pull",
					    [DELTA_PUSH] = "push" };

	buf_adds(text, "# HELP covey_coded_total Contents that went coded, and so in fewer bytes.\n"
		       "# TYPE covey_coded_total counter\n");
	for (size_t i = 0; i < DELTA_WAYS; i++)
		buf_addf(text, "covey_coded_total{way=\"%s\"} %" PRIu64 "\n", ways[i],
			 (uint64_t)atomic_load(&counts->ways[i].contents));
	buf_adds(text, "# HELP covey_coded_saved_bytes_total Bytes that therefore did not go.\n"
		       "# TYPE covey_coded_saved_bytes_total counter\n");
	for (size_t i = 0; i < DELTA_WAYS; i++)
		buf_addf(text, "covey_coded_saved_bytes_total{way=\"%s\"} %" PRIu64 "\n", ways[i],
			 (uint64_t)atomic_load(&counts->ways[i].saved));
	page_add_metric(text, "covey_coded_again_total", "counter",
		   "Contents that went coded to no avail, and then as they are.", atomic_load(&counts->again));
}

static void page_add_unopened(struct buf *text, const struct unopened *unopened)
{
	static const char *const ways[] = { [UNOPENED_DISCOVERY] = "discovery", [UNOPENED_VERSIONS] = "versions",
					    [UNOPENED_HTTP] = "http" };

	buf_adds(text, "# HELP covey_unopened_total Packets and signed requests that no key of this node opens.\n"
		       "# TYPE covey_unopened_total counter\n");
	for (size_t i = 0; i < UNOPENED_WAYS; i++)
		buf_addf(text, "covey_unopened_total{by=\"%s\"} %" PRIu64 "\n", ways[i],
			 unopened_of(unopened, (enum unopened_by)i));
}

/* By the door. */
static void page_add_refusals(struct buf *text, const struct httpd *h)
{
	struct door_counts counts = door_counts(h);

	buf_addf(text, "# HELP covey_refused_total Requests that who may do what refused, since this process began.\n"
		       "# TYPE covey_refused_total counter\n"
		       "covey_refused_total{why=\"credentials\"} %" PRIu64 "\n"
		       "covey_refused_total{why=\"rights\"} %" PRIu64 "\n"
		       "covey_refused_total{why=\"slowed\"} %" PRIu64 "\n",
		 counts.unauthorized, counts.forbidden, counts.slowed);
	page_add_metric(text, "covey_passwords_checked_total", "counter",
		   "Passwords that were hashed, since this process began.", counts.passwords);
}

/* For Prometheus and its like: covey-versiond counts what costs; here is what is this process's. */
static void show_metrics(struct conn *c, const struct page *page)
{
	struct httpd *h = c->worker->httpd;
	struct buf text = BUF_INIT;

	page_add_metric(&text, "covey_connections", "gauge", "HTTP connections that are open.",
			atomic_load(&h->connections));
	page_add_answers(&text, h);
	floods_metrics(&text, h);
	https_add_metrics(&text, h);
	page_add_delta(&text, h->delta);
	page_add_refusals(&text, h);
	page_add_metric(&text, "covey_settling", "gauge",
		   "Writes that homes and keepers are told of just now.", atomic_load(&h->replicating));
	page_add_metric(&text, "covey_outbox_entries", "gauge",
		   "Versions that not every home and keeper has.", page->waiting);
	page_add_metric(&text, "covey_layout_epoch", "gauge", "The layout that is in use; 0: none.",
			h->group ? group_epoch(h->group) : 0);
	page_add_metric(&text, "covey_scrub_last_seconds", "gauge",
		   "When all contents had last been read again, since 1970.",
			scrub_file_last(&page->scrub, page_wall_s()));
	page_add_metric(&text, "covey_scrub_bytes_total", "counter",
		   "Of contents that were read again.", page->scrub.bytes);
	page_add_metric(&text, "covey_scrub_bad_total", "counter",
		   "Contents found bad by that, and set aside.", page->scrub.bad);
	page_add_metric(&text, "covey_versions_ahead_total", "counter",
		   "Versions that came from more than a minute ahead of the clock.",
			store_ahead(h->store));
	page_add_unopened(&text, h->unopened);
	page_add_metric(&text, "covey_versiond_up", "gauge", "Whether covey-versiond answered.",
			page->stats.len > 0);
	buf_addstr(&text, buf_str(&page->stats));
	page_answer(c, 200, "text/plain; version=0.0.4; charset=utf-8", buf_str(&text));
	buf_clear(&text);
}

/* a sealed message of another node, for the role that can open it */

struct msg {
	struct conn *conn;
	struct call call;
	uint8_t type, answer;		/* of the conversation */
	struct caller *role;
};

static void msg_end(struct conn *c)
{
	call_finish(&c->request.msg->call);
	free(c->request.msg);
}

static void msg_answered(struct call *call, struct frame *frame)
{
	struct msg *m = CONTAINER_OF(call, struct msg, call);
	struct conn *c = m->conn;
	struct err err = ERR_INIT;

	if (frame != NULL && frame->type == FRAME_FAILED) {
		frame_failed_unpack(frame->body, &err);
		answer_err(c, &err);
	} else if (frame == NULL || frame->type != m->answer) {
		answer_error(c, 503, "this role of the node does not answer now");
	} else if (frame->body.n == 0) {
		answer_begin(c, 204);
		answer_end(c);
	} else {
		answer_begin(c, 200);
		reply_field(&c->output.text, "Content-Type", STR("application/octet-stream"));
		reply_field(&c->output.text, "Cache-Control", STR("no-store"));
		answer_end_text(c, frame->body);
	}
	call_finish(call);
	conn_resume(c);
}

static void msg_forward(struct conn *c, struct str body)
{
	struct msg *m = c->request.msg;

	m->call.answer = msg_answered;
	c->state = CONN_BUSY;
	call_start(m->role, &m->call, m->type, body, PATIENCE_MS);
}

static void msg_start(struct conn *c)
{
	const struct worker *w = c->worker;
	const struct {
		struct str query;
		uint8_t type, answer;
		struct caller *role;
	} roles[] = {
		{ STR("to=versions"), VERSION_TALK_CARRY, VERSION_TALK_CARRIED, w->version },
		{ STR("to=discovery"), DISCOVER_CARRY, DISCOVER_CARRIED, w->discover },
		{ STR("to=sync"), SYNC_BULK, SYNC_BULK, w->sync },
	};

	service_touch(w->httpd->service);
	if (str_eq(c->head.query, STR("to=contents")) && w->httpd->group != NULL) {
		take_start(c);
		return;
	}
	for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
		struct msg *m;

		if (!str_eq(c->head.query, roles[i].query) || roles[i].role == NULL)
			continue;
		m = c->request.msg = mem_new(1, sizeof *m);
		c->request.end = msg_end;
		c->request.sealed = true;
		m->conn = c;
		m->call = (struct call)CALL_INIT;
		m->type = roles[i].type;
		m->answer = roles[i].answer;
		m->role = roles[i].role;
		upload_whole(c, WIRE_LONG_BYTES, msg_forward);
		return;
	}
	answer_error(c, 404, "no such role is here");
}

/* all of them */

void page_start(struct conn *c)
{
	static const struct {
		const char *path;
		void (*answer)(struct conn *);	/* at once; or else */
		bool view;			/* covey-discoverd is asked first; or covey-versiond */
		void (*show)(struct conn *, const struct page *);
	} pages[] = {
		{ .path = "/.covey/healthz", .answer = healthz },
		{ .path = "/.covey/readyz", .answer = readyz },
		{ .path = "/.covey/status", .view = true, .show = show_status },
		{ .path = "/.covey/layout", .view = true, .show = show_layout },
		{ .path = "/.covey/metrics", .show = show_metrics },
	};

	if (c->head.method == METHOD_POST && str_eq(c->head.path, STR("/.covey/msg"))) {
		msg_start(c);
		return;
	}
	if (c->head.method != METHOD_GET && c->head.method != METHOD_HEAD) {
		answer_error_with(c, 405, STR("Allow: GET, HEAD\r\n"),
				  STR("service pages are only read"));
		return;
	}
	for (size_t i = 0; i < sizeof pages / sizeof *pages; i++) {
		if (!str_eq(c->head.path, str_of(pages[i].path)))
			continue;
		if (pages[i].answer != NULL)
			pages[i].answer(c);
		else
			page_ask(c, pages[i].view, pages[i].show);
		return;
	}
	answer_error(c, 404, "no such service page");
}
