/*
 * find - which version a GET or HEAD of a file is answered with
 *
 *	get_start	how fresh must it be?  whom to ask
 *	checked		what the group said, and what is here: serve, or pull
 */
#include "get.h"

#include "answer.h"
#include "clock.h"
#include "conn.h"
#include "handlers.h"
#include "memory.h"
#include "pct.h"
#include "stream.h"
#include "unsettled.h"
#include "work_inside.h"

/* If-Match: * and the like hold of nothing too. */
static void nothing_there(struct conn *c)
{
	struct cond_target target = { .exists = false };

	if (cond_check(&c->request.cond, &target) == COND_FAILED)
		get_absent(c, 412, STR("nothing is there"));
	else
		get_absent(c, 404, STR("no such file"));
}

/* The client forgot the slash. */
static void to_directory(struct conn *c)
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
}

/* By the file's version and the directory's entry; r->entry says what is here. */
static void serve(struct conn *c, const struct record *wanted, const struct record *entry)
{
	struct request *r = &c->request;
	bool here = version_cmp(r->entry.record.version, wanted->version) == 0;
	enum name_kind stands = record_name_kind(wanted, entry);

	if (stands == NAME_DIRECTORY)
		to_directory(c);
	else if (stands == NAME_ABSENT)
		nothing_there(c);
	else if (here && (r->entry.content || c->head.method == METHOD_HEAD))
		get_serve(c);
	else
		stream_start(c, wanted);
}

static enum store_want want_of(const struct conn *c)
{
	return c->head.method == METHOD_HEAD ? STORE_RECORD : STORE_CONTENT;
}

static int look_here(struct conn *c, struct err *err)
{
	struct request *r = &c->request;

	return store_newest(c->worker->httpd->store, buf_str(&r->path), want_of(c), &r->entry, err);
}

static struct record newer(const struct record *a, const struct record *b)
{
	return version_cmp(a->version, b->version) >= 0 ? *a : *b;
}

/* What somebody knows, and nobody can vouch for: the newest of it. */
static void serve_unconfirmed(struct conn *c)
{
	struct request *r = &c->request;
	struct registers here = work_registers(&r->entry);
	struct record wanted = newer(&here.file, &r->ask.record);
	struct record entry = newer(&here.entry, &r->ask.entry);

	r->ask.confirmed = false;
	if (r->freshness.no_cache)
		get_absent(c, 504, STR("the newest version cannot be confirmed now"));
	else
		serve(c, &wanted, &entry);
}

/*
 * What is remembered is judged by what is here, and who is no home knows of
 * no entry.  So only that is remembered where the file's versions decide.
 */
static void remember(struct conn *c)
{
	struct request *r = &c->request;
	struct memory *memory = c->worker->httpd->memory;
	const struct record *file = &r->ask.record, *entry = &r->ask.entry;

	if (record_is_live(entry) ||
	    (!version_is_none(entry->version) && version_cmp(file->version, entry->version) <= 0))
		memory_forget(memory, buf_str(&r->path));
	else
		memory_note(memory, buf_str(&r->path), file->version, r->ask.began);
}

/*
 * A version that was newer here by the time the group had answered is a
 * write that goes on beside this request: not what was confirmed.
 */
static void serve_confirmed(struct conn *c)
{
	struct request *r = &c->request;
	struct httpd *h = c->worker->httpd;
	const struct record *wanted = &r->ask.record;
	struct store_entry exactly = STORE_ENTRY_INIT;

	if (h->grouped)
		remember(c);
	if (version_cmp(r->entry.record.version, wanted->version) > 0 && record_is_live(wanted) &&
	    store_version(h->store, buf_str(&r->path), wanted->version, want_of(c), &exactly,
			  NULL) == 0) {
		store_entry_clear(&r->entry);
		r->entry = exactly;
	}
	serve(c, wanted, &r->ask.entry);
}

/* This disk cannot be read: what the group confirms, or knows of, can be had from others. */
static bool others_tell(const struct conn *c)
{
	const struct ask *ask = &c->request.ask;

	return c->worker->httpd->grouped &&
	       (ask->certainty != CERTAINTY_UNCONFIRMED || record_is_live(&ask->record));
}

static void checked(struct conn *c)
{
	struct request *r = &c->request;
	struct err err;

	if (look_here(c, &err) < 0 && !others_tell(c)) {
		answer_err(c, &err);
		return;
	}
	/* In a group of one what is here is all there is; a person's file may have replaced it. */
	if (!c->worker->httpd->grouped) {
		struct registers here = work_registers(&r->entry);

		r->ask.record = here.file;
		r->ask.entry = here.entry;
		r->ask.confirmed = !r->entry.foreign;
	}
	if (r->ask.certainty == CERTAINTY_UNDECIDED)
		unsettled_start(c);
	else if (r->ask.confirmed)
		serve_confirmed(c);
	else
		serve_unconfirmed(c);
}

void get_below(struct conn *c)
{
	struct request *r = &c->request;
	struct version version = r->ask.record.version;

	store_entry_clear(&r->entry);
	stream_free(r->stream);		/* it was for the other one */
	r->stream = NULL;
	if (ask_start(&r->ask, c, buf_str(&r->path), NEWEST_BELOW, version, checked))
		checked(c);
}

void get_settled(struct conn *c)
{
	serve_confirmed(c);
}

void get_unsettled(struct conn *c)
{
	serve_unconfirmed(c);
}

/* From this node's disk or not at all. */
static void serve_local(struct conn *c)
{
	struct request *r = &c->request;
	struct registers here;
	struct err err;

	ask_none(&r->ask, c);
	if (look_here(c, &err) < 0) {
		answer_err(c, &err);
		return;
	}
	here = work_registers(&r->entry);
	r->ask.confirmed &= !r->entry.foreign;
	if (!r->ask.confirmed && (r->freshness.no_cache ||
				  (r->freshness.has_max_age && !r->freshness.has_max_stale)))
		get_absent(c, 504, STR("the newest version cannot be confirmed without asking"));
	else if (version_is_none(store_current(&r->entry)->version) && !r->ask.confirmed)
		get_absent(c, 504, STR("this node knows of nothing there"));
	else if (record_name_kind(&here.file, &here.entry) == NAME_FILE && !r->entry.content &&
		 c->head.method == METHOD_GET)
		get_absent(c, 504, STR("the newest version's content is not on this node"));
	else
		serve(c, &here.file, &here.entry);
}

/*
 * What was confirmed recently enough, and is still the newest that is known
 * here, is answered without asking again.
 */
static bool serve_remembered(struct conn *c)
{
	struct request *r = &c->request;
	struct httpd *h = c->worker->httpd;
	uint64_t now = clock_boot_ms(), then;
	struct registers here;
	struct version newest;

	if (!h->grouped || !memory_find(h->memory, buf_str(&r->path), &newest, &then) ||
	    !freshness_allows(&r->freshness, now - then) || look_here(c, NULL) < 0)
		return false;
	here = work_registers(&r->entry);
	if (version_cmp(here.file.version, newest) != 0 || r->entry.foreign ||
	    version_cmp(here.entry.version, newest) > 0 || record_is_live(&here.entry) ||
	    (record_is_live(&here.file) && !r->entry.content)) {
		store_entry_clear(&r->entry);
		return false;
	}
	ask_none(&r->ask, c);
	r->ask.confirmed = true;
	r->aged = true;
	r->age = (now - then) / 1000;
	serve(c, &here.file, &here.entry);
	return true;
}

/* ?version=: never changes, so nobody needs to be asked when it is here. */
static void version_checked(struct conn *c)
{
	struct request *r = &c->request;

	/* Known here, when nobody else was to be asked. */
	if (version_cmp(r->ask.record.version, r->query.version) != 0 &&
	    version_cmp(r->entry.record.version, r->query.version) == 0)
		r->ask.record = r->entry.record;
	if (version_cmp(r->ask.record.version, r->query.version) != 0)
		get_absent(c, 404, STR("no such version"));
	else if (!record_is_live(&r->ask.record) || r->ask.record.flags & RECORD_DIRECTORY)
		get_absent(c, 404, STR("this version is a deletion or a directory"));
	else
		stream_start(c, &r->ask.record);
}

static void version_start(struct conn *c)
{
	struct request *r = &c->request;
	struct err err;

	if (store_version(c->worker->httpd->store, buf_str(&r->path), r->query.version, want_of(c),
			  &r->entry, &err) < 0 &&
	    err.kind != ERR_ABSENT && !c->worker->httpd->grouped) {
		answer_err(c, &err);
		return;
	}
	ask_none(&r->ask, c);
	if (r->entry.content || (c->head.method == METHOD_HEAD && record_is_live(&r->entry.record))) {
		r->ask.confirmed = true;	/* one version is one content, for ever */
		get_serve(c);
	} else if (!version_is_none(r->entry.record.version) &&
		   (!record_is_live(&r->entry.record) ||
		    r->entry.record.flags & RECORD_DIRECTORY)) {
		get_absent(c, 404, STR("this version is a deletion or a directory"));
	} else if (r->freshness.only_if_cached) {
		get_absent(c, 504, STR("this version's content is not on this node"));
	} else if (ask_start(&r->ask, c, buf_str(&r->path), NEWEST_ONE, r->query.version,
			     version_checked)) {
		version_checked(c);
	}
}

void get_start(struct conn *c)
{
	struct request *r = &c->request;

	if (!version_is_none(r->query.version))
		version_start(c);
	else if ((r->freshness.has_max_age || r->freshness.has_max_stale) && serve_remembered(c))
		return;
	else if (r->freshness.only_if_cached)
		serve_local(c);
	else if (ask_start(&r->ask, c, buf_str(&r->path), NEWEST_READ, VERSION_NONE, checked))
		checked(c);
}
