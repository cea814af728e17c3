/*
 * get - GET and HEAD of a file
 *
 * get_run() is all of it, one step after the other:
 *
 *	judge	how fresh it must be, and so whom to ask
 *	ask	the homes what is the newest
 *	choose	by what they said and what is here: which version is answered
 *	pull	its content, when it is not here
 *	code	it, for who has an older version (coding.h)
 *	send	the whole, parts of it, or 304
 *
 * A version that only a minority of its homes knows is read once a majority
 * knows it (write back), and is told of only when its content is on somebody's
 * disk.
 *
 * A step that has to wait for another role or for the pool returns GET_WAIT,
 * the one suspension of a GET.  What it waits for calls get_run() with the
 * step that follows.  GET_DONE: it is answered.
 */
#include "answer.h"
#include "clock.h"
#include "coding.h"
#include "loop/conn.h"
#include "container.h"
#include "digest.h"
#include "fields.h"
#include "group.h"
#include "handlers.h"
#include "httpdate.h"
#include "mem.h"
#include "path.h"
#include "pct.h"
#include "pull.h"
#include "range.h"
#include "reply.h"
#include "sync_talk.h"

#include <inttypes.h>
#include <unistd.h>

#define SITE_PAGE "index.html"		/* by which a directory of a site is shown */
#define INLINE_BYTES (16u << 10)	/* such a body leaves with its head, in one segment */
#define SYNCD_SLACK_MS 750		/* covey-syncd's own steps, besides the holders' time */
#define LOWER_MAX 16			/* versions that were never confirmed, one below the other */
#define CODED_MAX 8			/* coded contents on their way to clients, each a file without a name */

/* get_steps[] says what each is. */
enum get_step {
	GET_JUDGE,
	GET_ASK,
	GET_CHOOSE,
	GET_CHOOSE_CONFIRMED,
	GET_CHOOSE_UNCONFIRMED,
	GET_CHOOSE_ONE,
	GET_WRITE_BACK,
	GET_STORE,
	GET_LOWER,
	GET_PULL,
	GET_OLDER,
	GET_SEND,
	GET_CODE,
	GET_SEND_CONTENT,
	GET_WAIT,
	GET_DONE,
};

/* Of a GET whose answer is not on this disk, or has to be written back. */
struct get {
	struct conn *conn;
	bool elsewhere;			/* the version to be answered was not here: */
	struct record record;		/* this one, */
	char type[RECORD_TYPE_MAX + 1];	/* of this content type; */
	bool had_older;			/* another one stood here */
	struct call store;		/* its homes are told of a version */
	unsigned lower;			/* how many times the next lower one was asked for */
	struct job job;			/* looks for an older version, */
	struct store_entry older;	/* this one; or codes the content */
	struct code {
		enum coding coding;	/* that is wanted, and then what it has; CODING_NONE: it goes as it is */
		uint8_t by[CODING_SHA256];	/* of CODING_DCZ: the dictionary's sha256 */
		int fd;			/* owned: the coded content; or -1 */
		uint64_t size;		/* of it */
		uint8_t sha256[CODING_SHA256];	/* of it, where the client wants that */
		bool counted;		/* it is one of CODED_MAX */
	} code;
};

static enum get_step get_judge(struct conn *);
static enum get_step get_ask(struct conn *);
static enum get_step get_choose(struct conn *);
static enum get_step get_choose_confirmed(struct conn *);
static enum get_step get_choose_unconfirmed(struct conn *);
static enum get_step get_choose_one(struct conn *);
static enum get_step get_write_back(struct conn *);
static enum get_step get_store(struct conn *);
static enum get_step get_lower(struct conn *);
static enum get_step get_pull(struct conn *);
static enum get_step get_older(struct conn *);
static enum get_step get_send(struct conn *);
static enum get_step get_code(struct conn *);
static enum get_step get_send_content(struct conn *);

static enum get_step (*const get_steps[])(struct conn *) = {
	[GET_JUDGE] = get_judge,			/* how fresh must it be, and so whom to ask? */
	[GET_ASK] = get_ask,				/* the homes, what is the newest */
	[GET_CHOOSE] = get_choose,			/* how sure is their answer? */
	[GET_CHOOSE_CONFIRMED] = get_choose_confirmed,	/* the version that a majority told */
	[GET_CHOOSE_UNCONFIRMED] = get_choose_unconfirmed,	/* the newest that anybody knows */
	[GET_CHOOSE_ONE] = get_choose_one,		/* the version that was asked for: ?version=ID */
	[GET_WRITE_BACK] = get_write_back,		/* a minority knows it: fetch its content */
	[GET_STORE] = get_store,			/* then tell the homes of it */
	[GET_LOWER] = get_lower,			/* its content is nowhere: what stands below it? */
	[GET_PULL] = get_pull,				/* the content, from another node */
	[GET_OLDER] = get_older,			/* nobody gives it: an older version that is here */
	[GET_SEND] = get_send,				/* does the client need it?  Else 304 */
	[GET_CODE] = get_code,				/* in fewer bytes, by an older version that the client has */
	[GET_SEND_CONTENT] = get_send_content,		/* the whole, or parts of it */
};

/* Each step says which one follows. */
static void get_run(struct conn *c, enum get_step step)
{
	while (step != GET_WAIT && step != GET_DONE)
		step = get_steps[step](c);
}

static void get_end(struct conn *c)
{
	struct get *g = c->request.get;

	call_finish(&g->store);
	store_entry_clear(&g->older);
	if (g->code.fd >= 0)
		close(g->code.fd);
	if (g->code.counted)
		atomic_fetch_sub(&c->worker->httpd->coded, 1);
	free(g);
}

static struct get *get_of(struct conn *c)
{
	struct get *g = c->request.get;

	if (g == NULL) {
		g = c->request.get = mem_new(1, sizeof *g);
		c->request.end = get_end;
		g->conn = c;
		g->store = (struct call)CALL_INIT;
		g->older = (struct store_entry)STORE_ENTRY_INIT;
		g->code.fd = -1;
	}
	return g;
}

/* what the steps have in common */

/* Nothing is sent of a version: an error that says how sure it is. */
static enum get_step get_refuse(struct conn *c, int status, struct str why)
{
	answer_version_error(c, status, why);
	return GET_DONE;
}

static enum store_want get_store_want(const struct conn *c)
{
	return c->head.method == METHOD_HEAD ? STORE_RECORD : STORE_CONTENT;
}

static int get_look_here(struct conn *c, struct err *err)
{
	struct request *r = &c->request;
	struct worker *w = c->worker;
	int status = store_cache_newest(w->cache, buf_str(&r->path), get_store_want(c), &r->entry, err);

	if (!w->sweeping && store_cache_holds(w->cache)) {
		w->sweeping = true;
		timer_start(w->loop, &w->sweep, SWEEP_MS);
	}
	return status;
}

/* sites */

/* The configuration says that what is stored there is its own site's. */
static bool is_of_a_site(const struct conf *conf, struct str path)
{
	for (size_t i = 0; i < conf->sites.count; i++) {
		struct str site = str_of(conf->sites.texts[i]);

		if (site.n == 0 || (str_starts(path, site) && (path.n == site.n || path.s[site.n] == '/')))
			return true;
	}
	return false;
}

bool get_start_site(struct conn *c)
{
	struct request *r = &c->request;
	struct buf page = BUF_INIT;

	if (!r->slash || c->head.query.s != NULL || r->peer ||
	    !is_of_a_site(c->worker->httpd->conf, buf_str(&r->path)))
		return false;
	path_join(&page, buf_str(&r->path), STR(SITE_PAGE));
	if (!door_admits_site(c, buf_str(&page))) {
		buf_clear(&page);
		return false;
	}
	buf_clear(&r->path);
	r->path = page;
	r->slash = false;
	r->site = true;
	get_start(c);
	return true;
}

/* There is no such page: the directory's names are shown, as anywhere. */
static enum get_step get_site_directory(struct conn *c)
{
	struct request *r = &c->request;

	if (r->end != NULL)
		r->end(c);
	r->end = NULL;
	r->get = NULL;
	pull_end(c);
	store_entry_clear(&r->entry);
	r->path.len = path_parent(buf_str(&r->path)).n;
	r->path.data[r->path.len] = '\0';
	r->site = r->aged = false;
	r->slash = true;
	index_start(c);
	return GET_DONE;
}

/* If-Match: * and the like hold of nothing too. */
static enum get_step get_answer_nothing(struct conn *c)
{
	struct cond_target target = { .exists = false };

	if (c->request.site)
		return get_site_directory(c);
	if (cond_check(&c->request.cond, &target) == COND_FAILED)
		return get_refuse(c, 412, STR("nothing is there"));
	return get_refuse(c, 404, STR("no such file"));
}

/* The client forgot the slash. */
static enum get_step get_redirect_to_directory(struct conn *c)
{
	struct buf location = BUF_INIT;

	pct_encode_component(&location, path_name(buf_str(&c->request.path)));
	buf_addc(&location, '/');
	if (c->head.query.n > 0) {
		buf_addc(&location, '?');
		buf_addstr(&location, c->head.query);
	}
	answer_redirect(c, 301, buf_str(&location));
	buf_clear(&location);
	return GET_DONE;
}

/* Which coding the client wants, and by which dictionary. */
static enum coding code_wanted(const struct conn *c, uint8_t ret_by[CODING_SHA256])
{
	struct str by = head_get(&c->head, FIELD_AVAILABLE_DICTIONARY);
	struct buf scratch = BUF_INIT;
	struct str accept = head_list(&c->head, FIELD_ACCEPT_ENCODING, &scratch);
	enum coding coding = CODING_NONE;

	/* A page of another site learns nothing by lengths. */
	if (c->worker->httpd->conf->group.delta == CONF_DELTA_OFF || fields_cross_site(&c->head))
		coding = CODING_NONE;
	else if (by.s != NULL && fields_accepts_coding(accept, STR(CODING_DCZ_NAME)) &&
		 fields_dictionary_parse(by, ret_by) == 0)
		coding = CODING_DCZ;
	else if (c->request.peer && fields_accepts_coding(accept, STR(CODING_ZSTD_NAME)))
		coding = CODING_ZSTD;
	buf_clear(&scratch);
	return coding;
}

/* The tag of the version as this client gets it. */
static void code_etag(enum coding coding, const uint8_t by[CODING_SHA256], struct str etag, struct buf *ret)
{
	char hex[2 * 8 + 1];

	buf_addf(ret, "%.*s;%s", (int)etag.n - 1, etag.s, coding_name(coding));
	if (coding == CODING_DCZ) {
		str_to_hex(hex, by, 8);
		buf_addf(ret, "-%s", hex);
	}
	buf_addc(ret, '"');
}

/* What the request's conditions are of; both texts have to last. */
static struct cond_target get_target(const struct conn *c, const struct record *record, char text[ETAG_TEXT],
				     struct buf *coded)
{
	struct cond_target target = answer_target(text, record);
	uint8_t by[CODING_SHA256];
	enum coding coding = coding_is_for(record->size) ? code_wanted(c, by) : CODING_NONE;

	if (coding != CODING_NONE)
		code_etag(coding, by, target.etag, coded);
	target.coded = buf_str(coded);
	return target;
}

/* What is answered without the content is not worth a pull: HEAD, 304, 412. */
static bool get_needs_content(struct conn *c, const struct record *record)
{
	char text[ETAG_TEXT];
	struct buf coded = BUF_INIT;
	struct cond_target target = get_target(c, record, text, &coded);
	bool needs = c->head.method == METHOD_GET && cond_check(&c->request.cond, &target) == COND_GO;

	buf_clear(&coded);
	return needs;
}

/* The version that get->record tells of is answered, from fd, or without content. */
static void get_take_version(struct conn *c, int fd)
{
	struct request *r = &c->request;

	store_entry_clear(&r->entry);
	r->entry.record = r->get->record;
	memcpy(r->entry.type, r->get->type, sizeof r->entry.type);
	r->entry.content = true;
	r->entry.fd = fd;
}

/* Another node has this version. */
static void get_want_from_others(struct conn *c, const struct record *record)
{
	struct request *r = &c->request;
	struct get *g = get_of(c);
	bool asked = version_cmp(r->ask.record.version, record->version) == 0;

	pull_end(c);
	g->elsewhere = true;
	g->record = *record;
	g->had_older = record_is_live(&r->entry.record);
	memcpy(g->type, asked ? r->ask.type : r->entry.type, sizeof g->type);
}

/* This version is to be answered, and its content is not here. */
static enum get_step get_from_others(struct conn *c, const struct record *record)
{
	get_want_from_others(c, record);
	if (get_needs_content(c, record))
		return GET_PULL;
	get_take_version(c, -1);
	return GET_SEND;
}

/* By the newest of the file and of the directory's entry; request.entry says what is here. */
static enum get_step get_answer_by(struct conn *c, const struct record *file, const struct record *entry)
{
	const struct store_entry *here = &c->request.entry;

	switch (record_name_kind(file, entry)) {
	case NAME_DIRECTORY:
		return get_redirect_to_directory(c);
	case NAME_ABSENT:
		return get_answer_nothing(c);
	case NAME_FILE:
		break;
	}
	if (version_cmp(here->record.version, file->version) == 0 &&
	    (here->content || c->head.method == METHOD_HEAD))
		return GET_SEND;
	return get_from_others(c, file);
}

/* judge */

/* From this node's disk or not at all. */
static enum get_step get_answer_from_here(struct conn *c)
{
	struct request *r = &c->request;
	const struct store_entry *here = &r->entry;
	struct err err;

	ask_none(&r->ask, c);
	if (get_look_here(c, &err) < 0) {
		answer_err(c, &err);
		return GET_DONE;
	}
	r->ask.confirmed &= !here->foreign;
	if (!r->ask.confirmed && (r->freshness.no_cache ||
				  (r->freshness.has_max_age && !r->freshness.has_max_stale)))
		return get_refuse(c, 504, STR("the newest version cannot be confirmed without asking"));
	if (version_is_none(store_current(here)->version) && !r->ask.confirmed)
		return get_refuse(c, 504, STR("this node knows of nothing there"));
	if (record_name_kind(&here->record, &here->entry) == NAME_FILE && !here->content &&
	    c->head.method == METHOD_GET)
		return get_refuse(c, 504, STR("the newest version's content is not on this node"));
	return get_answer_by(c, &here->record, &here->entry);
}

static struct recent_place *get_recent_place(struct httpd *h, uint64_t hash)
{
	return &h->recent.places[hash % (sizeof h->recent.places / sizeof h->recent.places[0])];
}

/*
 * What is remembered is judged by what is here, and who is no home knows of
 * no entry.  So only that is remembered where the file's versions decide.
 */
static void get_remember(struct conn *c)
{
	const struct ask *ask = &c->request.ask;
	struct httpd *h = c->worker->httpd;
	bool decides = !record_is_live(&ask->entry) &&
		       (version_is_none(ask->entry.version) ||
			version_cmp(ask->record.version, ask->entry.version) > 0);
	struct recent_place place = { .hash = path_hash(buf_str(&c->request.path)),
				      .newest = ask->record.version,
				      .ms = decides ? ask->began : 0 };

	pthread_mutex_lock(&h->recent.mutex);
	*get_recent_place(h, place.hash) = place;
	pthread_mutex_unlock(&h->recent.mutex);
}

/* What was the newest, and when; false: it is not remembered. */
static bool get_recall(struct conn *c, struct version *ret_newest, uint64_t *ret_ms)
{
	struct httpd *h = c->worker->httpd;
	uint64_t hash = path_hash(buf_str(&c->request.path));
	struct recent_place place;

	pthread_mutex_lock(&h->recent.mutex);
	place = *get_recent_place(h, hash);
	pthread_mutex_unlock(&h->recent.mutex);
	if (place.ms == 0 || place.hash != hash)
		return false;
	*ret_newest = place.newest;
	*ret_ms = place.ms;
	return true;
}

/* What was confirmed recently enough, and is still the newest that is known here. */
static bool get_is_fresh_here(struct conn *c)
{
	struct request *r = &c->request;
	const struct store_entry *here = &r->entry;
	uint64_t now = clock_boot_ms(), then;
	struct version newest;

	if (!c->worker->httpd->grouped || !get_recall(c, &newest, &then) ||
	    !freshness_allows(&r->freshness, now - then) || get_look_here(c, NULL) < 0)
		return false;
	if (version_cmp(here->record.version, newest) != 0 || here->foreign ||
	    version_cmp(here->entry.version, newest) > 0 || record_is_live(&here->entry) ||
	    (record_is_live(&here->record) && !here->content)) {
		store_entry_clear(&r->entry);
		return false;
	}
	ask_none(&r->ask, c);
	r->ask.confirmed = true;
	r->aged = true;
	r->age = (now - then) / 1000;
	return true;
}

static void get_one_answered(struct conn *c)
{
	get_run(c, GET_CHOOSE_ONE);
}

/* ?version=ID: never changes, so nobody needs to be asked when it is here. */
static enum get_step get_judge_one(struct conn *c)
{
	struct request *r = &c->request;
	const struct record *here = &r->entry.record;
	struct err err;

	if (store_version(c->worker->httpd->store, buf_str(&r->path), r->query.version,
			  get_store_want(c), &r->entry, &err) < 0 &&
	    err.kind != ERR_ABSENT && !c->worker->httpd->grouped) {
		answer_err(c, &err);
		return GET_DONE;
	}
	ask_none(&r->ask, c);
	if (r->entry.content || (c->head.method == METHOD_HEAD && record_is_live(here))) {
		r->ask.confirmed = true;	/* one version is one content, for ever */
		return GET_SEND;
	}
	if (!version_is_none(here->version) && !record_has_content(here))
		return get_refuse(c, 404, STR("this version is a deletion or a directory"));
	if (r->freshness.only_if_cached)
		return get_refuse(c, 504, STR("this version's content is not on this node"));
	if (ask_start(&r->ask, c, buf_str(&r->path), NEWEST_ONE, r->query.version, get_one_answered))
		return GET_CHOOSE_ONE;
	return GET_WAIT;
}

static enum get_step get_judge(struct conn *c)
{
	const struct request *r = &c->request;

	if (!version_is_none(r->query.version))
		return get_judge_one(c);
	if ((r->freshness.has_max_age || r->freshness.has_max_stale) && get_is_fresh_here(c))
		return get_answer_by(c, &r->entry.record, &r->entry.entry);
	if (r->freshness.only_if_cached)
		return get_answer_from_here(c);
	return GET_ASK;
}

/* ask */

static void get_homes_answered(struct conn *c)
{
	get_run(c, GET_CHOOSE);
}

/* The newest below this version, or of all when it is none. */
static enum get_step get_ask_below(struct conn *c, struct version below)
{
	enum newest_purpose purpose = version_is_none(below) ? NEWEST_READ : NEWEST_BELOW;
	struct request *r = &c->request;

	if (ask_start(&r->ask, c, buf_str(&r->path), purpose, below, get_homes_answered))
		return GET_CHOOSE;
	return GET_WAIT;
}

static enum get_step get_ask(struct conn *c)
{
	return get_ask_below(c, VERSION_NONE);
}

/* choose */

/* This disk cannot be read: what the group confirms, or knows of, can be had from others. */
static bool get_group_tells(const struct conn *c)
{
	const struct ask *ask = &c->request.ask;

	return c->worker->httpd->grouped &&
	       (ask->certainty != CERTAINTY_UNCONFIRMED || record_is_live(&ask->record));
}

static enum get_step get_choose(struct conn *c)
{
	struct request *r = &c->request;
	struct err err;

	if (get_look_here(c, &err) < 0 && !get_group_tells(c)) {
		answer_err(c, &err);
		return GET_DONE;
	}
	/* In a group of one what is here is all there is; a person's file may have replaced it. */
	if (!c->worker->httpd->grouped) {
		r->ask.record = r->entry.record;
		r->ask.entry = r->entry.entry;
		r->ask.confirmed = !r->entry.foreign;
	}
	if (r->ask.certainty == CERTAINTY_UNDECIDED)
		return GET_WRITE_BACK;
	return r->ask.confirmed ? GET_CHOOSE_CONFIRMED : GET_CHOOSE_UNCONFIRMED;
}

/*
 * A version that was newer here by the time the group had answered is a
 * write that goes on beside this request: not what was confirmed.
 */
static enum get_step get_choose_confirmed(struct conn *c)
{
	struct request *r = &c->request;
	struct httpd *h = c->worker->httpd;
	const struct record *newest = &r->ask.record;
	struct store_entry exactly = STORE_ENTRY_INIT;

	if (h->grouped)
		get_remember(c);
	if (version_cmp(r->entry.record.version, newest->version) > 0 && record_is_live(newest) &&
	    store_version(h->store, buf_str(&r->path), newest->version, get_store_want(c), &exactly,
			  NULL) == 0) {
		store_entry_clear(&r->entry);
		r->entry = exactly;
	}
	return get_answer_by(c, newest, &r->ask.entry);
}

/* What somebody knows, and nobody can vouch for: the newest of it. */
static enum get_step get_choose_unconfirmed(struct conn *c)
{
	struct request *r = &c->request;
	struct record file = r->entry.record, entry = r->entry.entry;

	record_take_newer(&file, &r->ask.record);
	record_take_newer(&entry, &r->ask.entry);
	r->ask.confirmed = false;
	if (r->freshness.no_cache)
		return get_refuse(c, 504, STR("the newest version cannot be confirmed now"));
	return get_answer_by(c, &file, &entry);
}

static enum get_step get_choose_one(struct conn *c)
{
	struct request *r = &c->request;

	/* Known here, when nobody else was to be asked. */
	if (version_cmp(r->ask.record.version, r->query.version) != 0 &&
	    version_cmp(r->entry.record.version, r->query.version) == 0)
		r->ask.record = r->entry.record;
	if (version_cmp(r->ask.record.version, r->query.version) != 0)
		return get_refuse(c, 404, STR("no such version"));
	if (!record_has_content(&r->ask.record))
		return get_refuse(c, 404, STR("this version is a deletion or a directory"));
	return get_from_others(c, &r->ask.record);
}

/* write back */

static void get_fetched_whole(struct conn *c, int fd)
{
	if (fd >= 0)
		get_take_version(c, fd);
	get_run(c, fd >= 0 ? GET_STORE : GET_LOWER);
}

/*
 * Nobody was found to have its content, so covey-versiond could not make a
 * majority know it: the content is pulled first, whole.
 */
static enum get_step get_write_back(struct conn *c)
{
	struct request *r = &c->request;

	get_of(c);
	if (c->head.method == METHOD_HEAD || !record_has_content(&r->ask.record))
		return GET_CHOOSE_UNCONFIRMED;
	if (r->entry.content && version_cmp(r->entry.record.version, r->ask.record.version) == 0)
		return GET_STORE;
	get_want_from_others(c, &r->ask.record);
	if (pull_start(c, &r->ask.record, str_of(r->ask.type), PULL_WHOLE, get_fetched_whole) < 0)
		return GET_LOWER;
	return GET_WAIT;
}

static void get_stored(struct call *call, struct frame *frame)
{
	struct get *g = CONTAINER_OF(call, struct get, store);
	struct conn *c = g->conn;
	struct store_answer answer;
	bool confirmed = ask_store_answer(frame, &answer) && answer.confirmed;

	call_finish(call);
	c->request.ask.confirmed = confirmed;
	get_run(c, confirmed ? GET_CHOOSE_CONFIRMED : GET_CHOOSE_UNCONFIRMED);
	conn_resume(c);
}

/* Its content is on somebody's disk: the homes may know of it. */
static enum get_step get_store(struct conn *c)
{
	struct request *r = &c->request;
	struct store_ask question = { .path = buf_str(&r->path), .record = r->ask.record,
				      .type = str_of(r->ask.type) };

	r->get->store.answer = get_stored;
	c->state = CONN_BUSY;
	ask_store(c->worker, &r->get->store, &question, VERSIOND_SLACK_MS);
	return GET_WAIT;
}

static bool get_every_home_answered(struct conn *c)
{
	const struct ask *ask = &c->request.ask;
	struct layout layout;

	/* Of a joint layout only the set is told that is furthest from its majority. */
	group_layout(c->worker->httpd->group, &layout);
	return layout.epoch == ask->epoch && !layout_is_joint(&layout) && ask->homes > 0 &&
	       ask->homes_answered == ask->homes;
}

/* When every home has answered it never was confirmed, and never will be. */
static enum get_step get_lower(struct conn *c)
{
	struct request *r = &c->request;

	if (!get_every_home_answered(c) || r->get->lower++ >= LOWER_MAX)
		return GET_CHOOSE_UNCONFIRMED;
	store_entry_clear(&r->entry);
	pull_end(c);		/* it was for the version above */
	r->get->elsewhere = false;
	return get_ask_below(c, r->ask.record.version);
}

/*
 * pull: a version's content, from another node that has it
 *
 *	PULL ->		STARTED		the growing file
 *			PROGRESS	so much of it is there
 *			DONE		verified and stored: the rest may go
 *			FAILED		none of those who were asked gives it
 *			LATER		the next covey-syncd is asked, when this one has left
 *
 * The nodes that should have the content are asked first: who said so, its
 * keepers, and who made it.  When none of them gives it, covey-versiond asks
 * all live nodes who has it, once.
 */

struct pull {
	struct conn *conn;
	struct call call;
	struct timer timer;		/* until there is something to send */
	struct record record;		/* of the version that is pulled */
	char type[RECORD_TYPE_MAX + 1];
	char first_holder[17];		/* in hexadecimal */
	uint64_t holders[HOLDERS_MAX];	/* who is asked */
	size_t holder_count;
	bool searched;			/* all live nodes were asked who has it */
	bool restarted;			/* a second covey-syncd was asked */
	int fd;				/* the growing file, until it was given to done(); or -1 */
	uint64_t have;			/* bytes of it */
	bool verified;			/* or given up */
	bool given;			/* done() has the file */
	enum pull_until until;
	void (*done)(struct conn *, int fd);
};

static void pull_drop_file(struct pull *p)
{
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
}

void pull_end(struct conn *c)
{
	struct pull *p = c->request.pull;

	if (p == NULL)
		return;
	call_cancel(&p->call);		/* no more than a call that is over, mostly */
	timer_stop(&p->timer);
	pull_drop_file(p);
	free(p);
	c->request.pull = NULL;
}

/* Whether the content is still on its way. */
static bool pull_arriving(const struct conn *c)
{
	return c->request.pull != NULL && !c->request.pull->verified;
}

/* The output may not run ahead of it. */
static void pull_limit_output(struct conn *c)
{
	if (pull_arriving(c)) {
		c->output.available = c->request.pull->have;
		c->output.hold = true;
	}
}

/* what it comes to */

/* The owner gets the file, or -1. */
static void pull_give(struct pull *p)
{
	int fd = p->fd;

	timer_stop(&p->timer);
	p->fd = -1;
	p->given = fd >= 0;
	p->done(p->conn, fd);
}

static void pull_give_up(struct pull *p)
{
	p->verified = true;
	pull_drop_file(p);
	pull_give(p);
}

static bool pull_search(struct pull *);

static void pull_failed(struct pull *p)
{
	struct conn *c = p->conn;

	call_finish(&p->call);
	timer_stop(&p->timer);
	if (p->given) {
		p->verified = true;
		conn_abort(c);
	} else if (!pull_search(p)) {
		pull_give_up(p);
	}
	conn_resume(c);
}

static void pull_too_slow(struct timer *timer)
{
	pull_failed(CONTAINER_OF(timer, struct pull, timer));
}

/* Until something comes. */
static void pull_await(struct pull *p)
{
	struct worker *w = p->conn->worker;
	const struct conf *conf = w->httpd->conf;
	/* One holder may be asked for a coding; the others go by pull_ms. */
	uint64_t coding_ms = conf->group.delta != CONF_DELTA_OFF ? coding_patience_ms(p->record.size) : 0;

	p->timer.fire = pull_too_slow;
	timer_start(w->loop, &p->timer,
		    SYNCD_SLACK_MS + coding_ms + conf->timeouts.pull_ms * (p->holder_count + 1));
}

/* covey-syncd leaves and has asked nobody: the next one is waited for, and asked as the first. */
static void pull_await_next(struct pull *p)
{
	p->restarted = false;
	timer_start(p->conn->worker->loop, &p->timer, SYNCD_SLACK_MS + SERVICE_STOP_MS);
}

/* it comes */

static void pull_started(struct pull *p, struct frame *frame)
{
	/* A second file: a holder's content was wrong, and nothing of it was passed on. */
	pull_drop_file(p);
	p->fd = frame->fds[0];
	p->have = 0;
	frame->fds[0] = -1;
}

static void pull_progress(struct pull *p, uint64_t bytes)
{
	struct conn *c = p->conn;

	if (p->fd < 0 && !p->given)
		return;		/* not started: syncd does not keep to the conversation */
	p->have = bytes < p->record.size ? bytes : p->record.size;
	if (p->given) {
		if (c->output.file >= 0)
			c->output.available = p->have;
		conn_resume(c);
		return;
	}
	pull_await(p);
	if (p->until == PULL_BEGUN && p->have > 0 && p->record.size > OUTPUT_HOLD_BYTES) {
		pull_give(p);
		conn_resume(c);
	}
}

static void pull_verified(struct pull *p)
{
	struct conn *c = p->conn;

	call_finish(&p->call);
	timer_stop(&p->timer);
	p->verified = true;
	if (p->given) {
		c->output.available = UINT64_MAX;
		c->output.hold = false;
	} else {
		pull_give(p);
	}
	conn_resume(c);
}

static int pull_ask(struct pull *);

/* covey-syncd left, or died in mid-pull.  While nothing was passed on, another can do it, once. */
static int pull_restart(struct pull *p)
{
	if (p->given || p->restarted)
		return -1;
	p->restarted = true;
	pull_drop_file(p);
	p->have = 0;
	return pull_ask(p);
}

static void pull_told(struct call *call, struct frame *frame)
{
	struct pull *p = CONTAINER_OF(call, struct pull, call);
	uint64_t bytes;

	if (frame == NULL) {
		if (pull_restart(p) < 0)
			pull_failed(p);
	} else if (frame->type == SYNC_STARTED && frame->fd_count == 1 && !p->given) {
		pull_started(p, frame);
	} else if (frame->type == SYNC_PROGRESS &&
		   sync_progress_unpack(frame->body, &bytes, NULL) == 0) {
		pull_progress(p, bytes);
	} else if (frame->type == SYNC_DONE) {
		pull_verified(p);
	} else if (frame->type == SYNC_LATER && !p->given) {
		pull_await_next(p);
	} else {
		pull_failed(p);
	}
}

/* -1: there is nobody to ask. */
static int pull_ask(struct pull *p)
{
	struct conn *c = p->conn;
	struct sync_pull pull = { .path = buf_str(&c->request.path),
				  .record = p->record,
				  .type = str_of(p->type),
				  .holder_count = p->holder_count };
	struct buf body = BUF_INIT;

	if (c->worker->sync == NULL || p->holder_count == 0)
		return -1;
	memcpy(pull.holders, p->holders, sizeof pull.holders);
	snprintf(p->first_holder, sizeof p->first_holder, "%016" PRIx64, pull.holders[0]);
	p->call.answer = pull_told;
	pull_await(p);
	sync_pull_pack(&body, &pull);
	c->state = CONN_BUSY;
	call_start(c->worker->sync, &p->call, SYNC_PULL, buf_str(&body), 0);
	buf_clear(&body);
	return 0;
}

/* who has it */

static bool pull_has_holder(const struct pull *p, uint64_t node)
{
	for (size_t i = 0; i < p->holder_count; i++)
		if (p->holders[i] == node)
			return true;
	return false;
}

static void pull_add_holder(struct pull *p, uint64_t node)
{
	if (node != store_node(p->conn->worker->httpd->store) && p->holder_count < HOLDERS_MAX &&
	    !pull_has_holder(p, node))
		p->holders[p->holder_count++] = node;
}

/* Who said so; then who should have it: its keepers, and who made it. */
static void pull_add_holders(struct pull *p)
{
	struct conn *c = p->conn;
	const struct ask *ask = &c->request.ask;
	struct layout_order order = { .count = 0 };
	struct layout layout = LAYOUT_NONE;

	if (version_cmp(ask->record.version, p->record.version) == 0)
		for (size_t i = 0; i < ask->holder_count; i++)
			pull_add_holder(p, ask->holders[i]);
	if (c->worker->httpd->group != NULL)
		group_layout(c->worker->httpd->group, &layout);
	if (layout.epoch == 0)
		return;
	layout_keepers(&layout, buf_str(&c->request.path), &order);
	for (size_t i = 0; i < order.count && i < layout.copies; i++)
		pull_add_holder(p, order.ids[i]);
	pull_add_holder(p, p->record.version.node);
}

/* Of those who say that they have it only who was not asked yet. */
static void pull_take_found(struct pull *p, const struct newest_answer *answer)
{
	uint64_t fresh[HOLDERS_MAX];
	size_t count = 0;

	for (size_t i = 0; i < answer->holder_count; i++)
		if (!pull_has_holder(p, answer->holders[i]))
			fresh[count++] = answer->holders[i];
	memcpy(p->holders, fresh, count * sizeof fresh[0]);
	p->holder_count = count;
}

static void pull_found(struct call *call, struct frame *frame)
{
	struct pull *p = CONTAINER_OF(call, struct pull, call);
	struct conn *c = p->conn;
	struct newest_answer answer = { .holder_count = 0 };

	if (!ask_newest_answer(frame, &answer))
		answer.holder_count = 0;
	call_finish(call);
	pull_take_found(p, &answer);
	if (pull_ask(p) < 0)
		pull_give_up(p);
	conn_resume(c);
}

/* Whoever read it once may have it still.  False: all were asked already. */
static bool pull_search(struct pull *p)
{
	struct conn *c = p->conn;
	struct newest_ask question = { .path = buf_str(&c->request.path),
				       .version = p->record.version, .purpose = NEWEST_HOLDERS };

	if (p->searched || !c->worker->httpd->grouped)
		return false;
	p->searched = true;
	p->call.answer = pull_found;
	c->state = CONN_BUSY;
	ask_newest(c->worker, &p->call, &question);
	return true;
}

int pull_start(struct conn *c, const struct record *record, struct str type, enum pull_until until,
	       void (*done)(struct conn *, int fd))
{
	struct pull *p = mem_new(1, sizeof *p);

	p->conn = c;
	p->fd = -1;
	p->call = (struct call)CALL_INIT;
	p->record = *record;
	memcpy(p->type, type.s ? type.s : "", type.n);
	p->until = until;
	p->done = done;
	pull_end(c);
	c->request.pull = p;
	pull_add_holders(p);
	if (pull_ask(p) == 0 || pull_search(p))
		return 0;
	p->verified = true;
	return -1;
}

static void get_pulled(struct conn *c, int fd)
{
	if (fd >= 0)
		get_take_version(c, fd);
	get_run(c, fd >= 0 ? GET_SEND : GET_OLDER);
}

static enum get_step get_pull(struct conn *c)
{
	const struct get *g = c->request.get;

	if (pull_start(c, &g->record, str_of(g->type), PULL_BEGUN, get_pulled) < 0)
		return GET_OLDER;
	return GET_WAIT;
}

/* In the pool. */
static void get_find_older(struct job *job)
{
	struct get *g = CONTAINER_OF(job, struct get, job);
	struct store *store = g->conn->worker->httpd->store;
	struct str path = buf_str(&g->conn->request.path);
	struct history history = HISTORY_INIT;

	if (store_history(store, path, &history, NULL) < 0)
		return;
	for (size_t i = 0; i < history.count; i++) {
		const struct record *r = &history.entries[i].record;

		if (version_cmp(r->version, g->record.version) >= 0)
			continue;
		if (!record_is_live(r))
			break;		/* what was deleted does not come back */
		if (history.entries[i].content &&
		    store_version(store, path, r->version, STORE_CONTENT, &g->older, NULL) == 0)
			break;
	}
	history_clear(&history);
}

static void get_older_found(struct job *job)
{
	struct get *g = CONTAINER_OF(job, struct get, job);
	struct conn *c = g->conn;

	if (g->older.fd < 0) {
		answer_version_error(c, 503, STR("the newest version's content cannot be had now"));
	} else {
		store_entry_clear(&c->request.entry);
		c->request.entry = g->older;
		g->older = (struct store_entry)STORE_ENTRY_INIT;
		c->request.ask.confirmed = false;
		get_run(c, GET_SEND);
	}
	conn_resume(c);
}

static enum get_step get_older(struct conn *c)
{
	struct get *g = c->request.get;

	if (!version_is_none(c->request.query.version) || c->request.freshness.no_cache)
		return get_refuse(c, 503, STR("this version's content cannot be had now"));
	conn_start_job(c, &g->job, get_find_older, get_older_found, 0);
	return GET_WAIT;
}

/* send: the fields */

/*
 * What a stranger stored is shown as if it were of a site of its own, that
 * runs nothing and reaches nothing: pictures, styles and fonts that are
 * stored here aside, so that a page can be read.
 */
#define STRANGERS_CSP \
	"sandbox; default-src 'none'; img-src 'self' data:; media-src 'self'; " \
	"style-src 'self' 'unsafe-inline'; font-src 'self' data:"

static void get_confine(struct conn *c, struct str type)
{
	struct buf *out = &c->output.text;

	if (mime_is_passive(type) || is_of_a_site(c->worker->httpd->conf, buf_str(&c->request.path)))
		return;
	reply_field(out, "Content-Security-Policy", STR(STRANGERS_CSP));
	/* Each part of it would have fields of its own. */
	if (type.n >= 10 && str_eq_nocase((struct str){ type.s, 10 }, STR("multipart/")))
		reply_field(out, "Content-Disposition", STR("attachment"));
}

static struct str get_type_of(struct conn *c)
{
	const struct request *r = &c->request;

	if (r->entry.type[0] != '\0')
		return str_of(r->entry.type);
	return mime_of(c->worker->httpd->mime, buf_str(&r->path));
}

/* Where the answer came from. */
static void get_cache_status_field(struct conn *c)
{
	const struct request *r = &c->request;
	const struct get *g = r->get;
	struct cache_status status = { .source = CACHE_HIT };

	if (g != NULL && g->elsewhere &&
	    version_cmp(r->entry.record.version, g->record.version) != 0) {
		status.detail = STR("older");	/* the newest is known, and cannot be had */
	} else if (g != NULL && g->elsewhere) {
		status.source = g->had_older ? CACHE_FWD_STALE : CACHE_FWD_MISS;
		status.stored = c->head.method != METHOD_HEAD;
		if (r->pull != NULL)
			status.detail = str_of(r->pull->first_holder);
	}
	answer_cache_status(c, &status);
}

/*
 * code: the content in fewer bytes, for who has what it is coded by
 *
 * Whoever says which older version he has (Available-Dictionary) gets what
 * is new in it, if that version is on this disk, and another node that has
 * none may get zstd.  A range is of the content as it is, and so is what is
 * still on its way here.  The pool codes it into a file without a name:
 * whatever fails, or takes more than there is room for, is sent as it is.
 */

/* What this answer is coded by; NULL: it is not. */
static const struct code *code_of(const struct conn *c)
{
	const struct get *g = c->request.get;

	return g != NULL && g->code.fd >= 0 ? &g->code : NULL;
}

static bool code_wanted_range(const struct conn *c, const struct cond_target *target)
{
	return head_get(&c->head, FIELD_RANGE).s != NULL && c->head.method == METHOD_GET &&
	       cond_range(&c->request.cond, target);
}

/* False: it goes as it is, and HEAD tells of that: to know how long it is coded would cost as much as GET. */
static bool code_begin(struct conn *c, const struct cond_target *target)
{
	uint64_t size = c->request.entry.record.size;
	struct code code = { .fd = -1 };

	if (c->head.method == METHOD_HEAD || !coding_is_for(size) || !c->request.entry.content || pull_arriving(c) ||
	    code_wanted_range(c, target))
		return false;
	code.coding = code_wanted(c, code.by);
	if (code.coding == CODING_NONE)
		return false;
	get_of(c)->code = code;
	return true;
}

static int code_digest(int fd, uint64_t size, uint8_t ret[CODING_SHA256])
{
	struct digest *digest = digest_new();
	char bytes[INLINE_BYTES];
	uint64_t at = 0;
	ssize_t n = 1;

	for (; at < size && n > 0; at += (uint64_t)n) {
		n = pread(fd, bytes, sizeof bytes, (off_t)at);
		if (n > 0)
			digest_add(digest, bytes, (size_t)n);
	}
	digest_end(digest, ret);
	digest_free(digest);
	return at == size ? 0 : -1;
}

/* What the client has of it, if that is here.  -1: it is not. */
static int code_find(const struct conn *c, const struct code *code, struct store_entry *ret)
{
	if (code->coding != CODING_DCZ)
		return 0;
	return store_older_content(c->worker->httpd->store, buf_str(&c->request.path), VERSION_NONE, code->by, CODING_MOST,
				   ret, NULL);
}

/* The content by what the client has; without a file it is not to be had, or not worth it. */
static void code_encode(const struct conn *c, struct code *code, const struct store_entry *old)
{
	struct store *store = c->worker->httpd->store;
	const struct record *record = &c->request.entry.record;
	struct store_entry content = STORE_ENTRY_INIT;
	struct buf scratch = BUF_INIT;

	if (store_version(store, buf_str(&c->request.path), record->version, STORE_CONTENT, &content, NULL) == 0)
		delta_encode(store, content.fd, record->size, old, &code->fd, &code->size, NULL);
	if (code->fd >= 0 && fields_wants_sha256(head_list(&c->head, FIELD_WANT_REPR_DIGEST, &scratch)) &&
	    code_digest(code->fd, code->size, code->sha256) < 0) {
		close(code->fd);
		code->fd = -1;
	}
	buf_clear(&scratch);
	store_entry_clear(&content);
}

/* In the pool. */
static void code_work(struct job *job)
{
	struct get *g = CONTAINER_OF(job, struct get, job);
	struct httpd *h = g->conn->worker->httpd;
	struct store_entry old = STORE_ENTRY_INIT;
	struct code *code = &g->code;

	if (code_find(g->conn, code, &old) < 0)
		return;
	code->counted = atomic_fetch_add(&h->coded, 1) < CODED_MAX;
	if (code->counted && coding_enter()) {
		code_encode(g->conn, code, &old);
		coding_leave();
	}
	if (code->fd < 0) {
		atomic_fetch_sub(&h->coded, 1);
		code->counted = false;
	}
	store_entry_clear(&old);
}

static void code_done(struct job *job)
{
	struct get *g = CONTAINER_OF(job, struct get, job);
	struct conn *c = g->conn;

	get_run(c, GET_SEND_CONTENT);
	conn_resume(c);
}

static enum get_step get_code(struct conn *c)
{
	conn_start_job(c, &get_of(c)->job, code_work, code_done, 0);
	return GET_WAIT;
}

/* Browsers, and who names dcz, are told that they may keep it as a dictionary. */
static bool code_may_be_told(const struct conn *c, struct str accept)
{
	const struct request *r = &c->request;

	return !r->peer && version_is_none(r->query.version) && c->head.query.s == NULL &&
	       c->worker->httpd->conf->group.delta != CONF_DELTA_OFF && !fields_cross_site(&c->head) &&
	       coding_is_for(r->entry.record.size) &&
	       (head_get(&c->head, FIELD_SEC_FETCH_SITE).s != NULL ||
		fields_accepts_coding(accept, STR(CODING_DCZ_NAME)));
}

/* In 304 as well. */
static void code_vary_field(struct conn *c)
{
	struct buf scratch = BUF_INIT;
	struct str accept = head_list(&c->head, FIELD_ACCEPT_ENCODING, &scratch);

	if (code_of(c) != NULL || fields_accepts_coding(accept, STR(CODING_DCZ_NAME)))
		reply_field(&c->output.text, "Vary", STR("Accept-Encoding, Available-Dictionary"));
	buf_clear(&scratch);
}

/* To others nothing is new.  A part is nothing to be kept. */
static void code_fields(struct conn *c, const struct code *code, bool part)
{
	struct buf scratch = BUF_INIT, value = BUF_INIT;
	struct str accept = head_list(&c->head, FIELD_ACCEPT_ENCODING, &scratch);

	if (code != NULL)
		reply_field(&c->output.text, "Content-Encoding", str_of(coding_name(code->coding)));
	if (!part && code_may_be_told(c, accept) && fields_dictionary_use(&value, c->head.path) == 0)
		reply_field(&c->output.text, "Use-As-Dictionary", buf_str(&value));
	buf_clear(&scratch);
	buf_clear(&value);
}

/* What 200, 206 and 304 have in common. */
static void get_version_fields(struct conn *c, struct str etag, uint64_t modified)
{
	struct buf *out = &c->output.text;
	const struct request *r = &c->request;
	char date[HTTPDATE_TEXT];

	reply_field(out, "ETag", etag);
	/* Never later than Date (RFC 9110, section 8.8.2.1). */
	if (modified <= (uint64_t)c->worker->date_second)
		reply_field(out, "Last-Modified", httpdate_format(date, modified));
	answer_cache_control(c, version_is_none(r->query.version) ? "no-cache" : "max-age=31536000, immutable");
	code_vary_field(c);
	answer_version_state(c);
	get_cache_status_field(c);
	if (r->aged)
		reply_fieldf(out, "Age", "%llu", (unsigned long long)r->age);
}

static void get_content_fields(struct conn *c, struct str type, bool part)
{
	const struct code *code = code_of(c);
	struct buf *out = &c->output.text;
	struct buf scratch = BUF_INIT, value = BUF_INIT;

	reply_field(out, "Accept-Ranges", STR("bytes"));
	reply_field(out, "X-Content-Type-Options", STR("nosniff"));
	get_confine(c, type);
	if (fields_wants_sha256(head_list(&c->head, FIELD_WANT_REPR_DIGEST, &scratch))) {
		fields_digest(&value, code != NULL ? code->sha256 : c->request.entry.record.sha256);
		reply_field(out, "Repr-Digest", buf_str(&value));
	}
	buf_clear(&scratch);
	buf_clear(&value);
	code_fields(c, code, part);
}

/* send: the content */

/* The bytes of one range, into the text when they are few. */
static int get_add_small(struct conn *c, uint64_t from, size_t n)
{
	const struct store_body *body = c->request.entry.body;
	size_t got = 0;
	char *to;

	if (body != NULL) {
		buf_add(&c->output.text, store_body_bytes(body).s + from, n);
		return 0;
	}
	to = buf_reserve(&c->output.text, n);
	while (got < n) {
		ssize_t r = pread(c->request.entry.fd, to + got, n - got, (off_t)(from + got));

		if (r <= 0)
			return -1;
		got += (size_t)r;
	}
	c->output.text.len += n;
	c->output.text.data[c->output.text.len] = '\0';
	return 0;
}

static void get_give_file(struct conn *c)
{
	output_file(&c->output, c->request.entry.fd);
	c->request.entry.fd = -1;
}

static void get_send_one(struct conn *c, uint64_t from, uint64_t length)
{
	reply_length(&c->output.text, length);
	answer_end_fields(c);
	if (c->head.method != METHOD_HEAD && length > 0) {
		if (length <= INLINE_BYTES && !pull_arriving(c)) {
			if (get_add_small(c, from, (size_t)length) < 0) {
				conn_abort(c);
				return;
			}
		} else {
			get_give_file(c);
			output_insert(&c->output, from, length);
			pull_limit_output(c);
		}
	}
	conn_answered(c);
}

static void get_send_parts(struct conn *c, const struct ranges *ranges, struct str type)
{
	struct buf *out = &c->output.text;
	uint64_t size = c->request.entry.record.size;
	char boundary[VERSION_TEXT];
	struct str mark = str_of(version_format(boundary, c->request.entry.record.version));

	reply_fieldf(out, "Content-Type", "multipart/byteranges; boundary=%.*s", STR_ARG(mark));
	reply_length(out, range_length(ranges, size, type, mark));
	answer_end_fields(c);
	if (c->head.method != METHOD_HEAD) {
		if (c->request.entry.body == NULL)
			get_give_file(c);
		for (size_t i = 0; i < ranges->count; i++) {
			const struct range *range = &ranges->range[i];

			range_part(out, range, size, type, mark);
			if (c->request.entry.body != NULL)
				get_add_small(c, range->from, (size_t)range->length);
			else
				output_insert(&c->output, range->from, range->length);
		}
		range_end(out, mark);
		pull_limit_output(c);
	}
	conn_answered(c);
}

static void get_send_unsatisfiable(struct conn *c, struct str etag)
{
	struct buf fields = BUF_INIT, value = BUF_INIT;

	range_content_none(&value, c->request.entry.record.size);
	reply_field(&fields, "Content-Range", buf_str(&value));
	reply_field(&fields, "ETag", etag);
	answer_error_with(c, 416, buf_str(&fields), STR("the range lies behind the end"));
	buf_clear(&fields);
	buf_clear(&value);
}

/* All of it, in its coding. */
static void get_send_coded(struct conn *c, const struct cond_target *target)
{
	struct code *code = &c->request.get->code;
	struct str type = get_type_of(c);
	struct buf etag = BUF_INIT;

	code_etag(code->coding, code->by, target->etag, &etag);
	answer_begin(c, 200);
	get_version_fields(c, buf_str(&etag), target->modified);
	get_content_fields(c, type, false);
	reply_field(&c->output.text, "Content-Type", type);
	reply_length(&c->output.text, code->size);
	answer_end_fields(c);
	delta_count(c->worker->httpd->delta, DELTA_ANSWER, c->request.entry.record.size, code->size);
	output_file(&c->output, code->fd);
	code->fd = -1;
	output_insert(&c->output, 0, code->size);
	conn_answered(c);
	buf_clear(&etag);
}

static void get_send_as_it_is(struct conn *c, const struct cond_target *target)
{
	struct request *r = &c->request;
	struct str type = get_type_of(c), field = head_get(&c->head, FIELD_RANGE);
	enum range_verdict verdict = RANGE_WHOLE;
	struct buf value = BUF_INIT;
	struct ranges ranges;

	if (field.s != NULL && c->head.method == METHOD_GET && cond_range(&r->cond, target))
		verdict = range_parse(field, r->entry.record.size, &ranges);
	if (verdict == RANGE_UNSATISFIABLE) {
		get_send_unsatisfiable(c, target->etag);
		return;
	}
	answer_begin(c, verdict == RANGE_PARTIAL ? 206 : 200);
	get_version_fields(c, target->etag, target->modified);
	get_content_fields(c, type, verdict == RANGE_PARTIAL);
	if (verdict == RANGE_PARTIAL && ranges.count > 1) {
		get_send_parts(c, &ranges, type);
		return;
	}
	reply_field(&c->output.text, "Content-Type", type);
	if (verdict == RANGE_WHOLE) {
		get_send_one(c, 0, r->entry.record.size);
		return;
	}
	range_content(&value, &ranges.range[0], r->entry.record.size);
	reply_field(&c->output.text, "Content-Range", buf_str(&value));
	buf_clear(&value);
	get_send_one(c, ranges.range[0].from, ranges.range[0].length);
}

static enum get_step get_send_content(struct conn *c)
{
	char text[ETAG_TEXT];
	struct cond_target target = answer_target(text, &c->request.entry.record);

	if (code_of(c) != NULL)
		get_send_coded(c, &target);
	else
		get_send_as_it_is(c, &target);
	return GET_DONE;
}

static enum get_step get_send(struct conn *c)
{
	struct request *r = &c->request;
	char text[ETAG_TEXT];
	struct buf why = BUF_INIT, coded = BUF_INIT;
	struct cond_target target = get_target(c, &r->entry.record, text, &coded);
	enum get_step next = GET_DONE;

	switch (cond_check(&r->cond, &target)) {
	case COND_GO:
		next = code_begin(c, &target) ? GET_CODE : GET_SEND_CONTENT;
		break;
	case COND_NOT_MODIFIED:
		answer_begin(c, 304);
		get_version_fields(c, cond_named(&r->cond, &target), target.modified);
		answer_end(c);
		break;
	case COND_FAILED:
		buf_addf(&why, "the newest version is %.*s", STR_ARG(target.etag));
		answer_version_error(c, 412, buf_str(&why));
		buf_clear(&why);
		break;
	case COND_MALFORMED:
		answer_error(c, 400, "If-Match or If-None-Match is not a list of entity tags");
		break;
	}
	buf_clear(&coded);
	return next;
}

void get_start(struct conn *c)
{
	get_run(c, GET_JUDGE);
}
