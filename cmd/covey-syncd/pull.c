/*
 * pull - PULL: one content on its way, and those who wait for it
 *
 * There is one pull per path and record, a job, however many ask:
 *
 *	look	is the content here already?  else an empty stage
 *	fetch	a holder sends, which is waited for timeouts.pull, or only for
 *		timeouts.check where gossip suspects it or it was silent lately;
 *		what comes goes to the stage, and the waiters are told
 *	verify	all bytes are there: their sha256
 *	tell	the waiters
 *	keep	the commit makes it a version
 *
 * Whom to ask and what to believe is decided by pull.h.
 *
 * Where that is to pay (delta.c), a holder is asked for the content coded by what
 * this node has of the path, and is asked once more, as it is, if that fails.  Nor
 * is any other asked for a coding then.  One that is silent is left for the next, and
 * what breaks off goes on from there: a range is of the content as it is, and so is
 * what follows a part, in whatever way that came.
 *
 * Each waiter gets a descriptor of the content as soon as there is some of it,
 * then how far it has come, at most every PROGRESS_MS, then the end.
 *
 * When every waiter has gone, a pull that is small or more than half done
 * goes on (somebody wanted it, and the next one will be quick); another is
 * given up, for bytes cost more than asking again.
 *
 * Nor does another go on that nobody waits for while whoever owes the content
 * gives it to this node (store_incoming()): that is waited for, and what is
 * lacking is fetched if it comes to nothing.
 */
#include "syncd.h"

#include "clock.h"
#include "container.h"
#include "fields.h"
#include "log.h"
#include "mem.h"
#include "pull.h"

#include <fcntl.h>
#include <unistd.h>

#define WANTED_MAX 512			/* pulls at once, beyond which nothing is begun for nobody */
#define SMALL_BYTES (4u << 20)		/* goes on without waiters */
#define PROGRESS_MS 5			/* between two PROGRESS */
#define INCOMING_MS 100			/* between two looks whether it is given to this node */
#define PACE_BYTES (32u << 10)		/* of a content: fewer tell nothing of the network */
#define HASH_BYTES (1u << 20)		/* a larger content is hashed beside, so many bytes at least at once, */
#define HASH_MOST_BYTES (32u << 20)	/* and so many at most: then others are in turn, and it can be cut */

struct waiter {
	struct link link;
	struct pulling *pulling;
	struct asker asker;
	bool started;			/* has the descriptor of this stage */
};

struct pulling {
	struct worker worker;
	struct link link;
	struct list waiters;
	struct buf path;
	struct record record;
	struct buf type;
	uint32_t keep;			/* versions, of the layout; 0: all */
	struct pull steps;
	struct fetch fetch;
	struct fetch_set *fetches;
	uint64_t asked;			/* node that fetch goes to */
	int present;			/* descriptor of a content that was here already, or -1 */
	struct stage *stage;
	uint64_t readable;		/* bytes in the stage */
	uint64_t told;			/* of them the waiters know, */
	uint64_t told_at;		/* since then: ms, monotonic */
	uint64_t look;			/* whether it is given to this node: ms, monotonic */
	bool unwritable;		/* the disk took no more */
	bool looking;			/* whether it is here: whoever joins is told afterwards */
	struct job hashing;		/* of what is in the stage, beside, */
	uint64_t hash_to;		/* up to here */
	bool hashes;			/* that runs */
	bool decoded;			/* some of what is in the stage came in a coding */
	bool as_it_is;			/* that came to nothing: no coding is asked for */
	struct pull_code {		/* of the holder that is being asked: */
		bool asked;		/* it may code the content; this is one coder of the process, */
		struct dictionary by;	/* by this, or by nothing */
		bool answered;		/* it said whether it does */
		struct decoder *decoder;	/* owned: it does; or NULL */
		uint64_t first, came;	/* bytes of its body that came at first, and in all */
		uint64_t began_body, last;	/* us, monotonic: when they came first, and last */
		uint64_t busy;		/* us: that this node took with them in between */
	} code;
	bool running;			/* it has a thread */
	bool verified;
	bool given_up;			/* nobody may join any more */
};

/* waiters */

/* Opened anew, so that neither offset nor permission to write is shared. */
static int open_for_waiter(const struct pulling *p)
{
	char path[40];

	snprintf(path, sizeof path, "/proc/self/fd/%d",
		 p->present >= 0 ? p->present : stage_fd(p->stage));
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* Of what they get from now on they have no descriptor yet. */
static void waiters_renew(struct pulling *p)
{
	LIST_EACH(struct waiter, w, &p->waiters, link)
		w->started = false;
}

static void tell_started(struct pulling *p, struct waiter *w)
{
	int fd = w->started ? -1 : open_for_waiter(p);

	if (fd < 0)
		return;
	serve_reply(w->asker.request, SYNC_STARTED, (struct str)STR_INIT, &fd, 1);
	close(fd);
	w->started = true;
}

static void tell_progress(struct pulling *p)
{
	struct buf body = BUF_INIT;

	sync_progress_pack(&body, p->readable);
	LIST_EACH(struct waiter, w, &p->waiters, link) {
		tell_started(p, w);
		if (w->started)
			serve_reply(w->asker.request, SYNC_PROGRESS, buf_str(&body), NULL, 0);
	}
	buf_clear(&body);
	p->told = p->readable;
	p->told_at = clock_mono_ms();
}

static void waiter_free(struct waiter *w)
{
	list_remove(&w->link);
	free(w);
}

static void tell_done(struct pulling *p)
{
	struct err err;

	err_set(&err, ERR_SYSTEM, "pull: out of descriptors");
	LIST_EACH(struct waiter, w, &p->waiters, link) {
		tell_started(p, w);
		if (w->started)
			asker_answer(&w->asker, SYNC_DONE, (struct str)STR_INIT);
		else
			asker_fail(&w->asker, &err);
		waiter_free(w);
	}
}

/* It is over without the content: why, or an answer of this type, or (0) none: they ask the next process. */
static void tell_over(struct pulling *p, uint8_t type, const struct err *why)
{
	LIST_EACH(struct waiter, w, &p->waiters, link) {
		if (why != NULL)
			asker_fail(&w->asker, why);
		else if (type != 0)
			asker_answer(&w->asker, type, (struct str)STR_INIT);
		else
			asker_end(&w->asker);
		waiter_free(w);
	}
}

/* Of a large content most is still to come. */
static bool pull_is_early(const struct pulling *p)
{
	return p->record.size > SMALL_BYTES && p->steps.have < p->record.size / 2;
}

static void pull_give_up(struct pulling *p)
{
	p->given_up = true;
	worker_cut(&p->worker);
}

static void waiter_gone(struct serve_request *request)
{
	struct waiter *w = request->data;
	struct pulling *p = w->pulling;

	waiter_free(w);
	if (p->waiters.count == 0 && !p->verified && pull_is_early(p))
		pull_give_up(p);
}

static void waiter_add(struct pulling *p, struct serve_request *request)
{
	struct waiter *w = mem_new(1, sizeof *w);

	w->pulling = p;
	w->asker.request = request;
	list_append(&p->waiters, &w->link);
	request->data = w;
	request->gone = waiter_gone;
}

/* look */

static int new_stage(struct pulling *p, struct stage **ret, struct err *err)
{
	return stage_begin_passing(p->worker.daemon->store, p->record.size, ret, err);
}

/* Its descriptor, if it is here; or -1.  Without the lock. */
static int find_content(const struct pulling *p)
{
	struct store_entry entry = STORE_ENTRY_INIT;
	int fd = -1;

	if (store_version(p->worker.daemon->store, buf_str(&p->path), p->record.version, STORE_CONTENT,
			  &entry, NULL) == 0) {
		fd = entry.fd;
		entry.fd = -1;
	}
	store_entry_clear(&entry);
	return fd;
}

/* In p->present or in p->stage. */
static int pull_look(struct pulling *p, struct err *err)
{
	struct syncd *d = p->worker.daemon;
	struct stage *stage = NULL;
	int rc = 0, fd;

	syncd_unlock(d);
	fd = find_content(p);
	if (fd < 0)
		rc = new_stage(p, &stage, err);
	syncd_lock(d);
	p->present = fd;
	p->stage = stage;
	return rc;
}

/*
 * Once more, when nobody waits.  Whoever joins meanwhile gets one content from
 * its beginning to its end: the one that is here, or else the stage's.
 */
static void pull_look_again(struct pulling *p)
{
	struct syncd *d = p->worker.daemon;
	int fd;

	p->looking = true;
	syncd_unlock(d);
	fd = find_content(p);
	syncd_lock(d);
	p->looking = false;
	p->present = fd;
	if (fd >= 0)
		waiters_renew(p);
	else if (p->readable > 0)
		tell_progress(p);
}

/* Nobody waits for it, and it costs little to give up. */
static bool pull_may_wait(const struct pulling *p)
{
	return p->waiters.count == 0 && pull_is_early(p);
}

/* It may wait, and is given to this node.  Without the lock meanwhile. */
static bool pull_is_needless(struct pulling *p)
{
	struct syncd *d = p->worker.daemon;
	bool incoming;

	if (!pull_may_wait(p))
		return false;
	syncd_unlock(d);
	incoming = store_incoming(d->store, buf_str(&p->path), p->record.version);
	syncd_lock(d);
	return incoming && pull_may_wait(p);
}

/* As long as that is so; then it may be here, in p->present. */
static void await_incoming(struct pulling *p)
{
	bool waited = false;

	while (!worker_is_cut(&p->worker) && pull_is_needless(p)) {
		waited = true;
		worker_wait(&p->worker, clock_mono_ms() + INCOMING_MS);
	}
	if (waited && p->waiters.count == 0)
		pull_look_again(p);
}

/*
 * hashing: beside the pull, on another thread
 *
 * What came is written, and the other thread reads it again: it is in memory
 * still, and so neither has to wait for the other, nor for a place to put it.
 */

static void hash_work(struct job *job)
{
	struct pulling *p = CONTAINER_OF(job, struct pulling, hashing);
	struct syncd *d = p->worker.daemon;

	stage_hash_written(p->stage, p->hash_to, NULL);	/* pull_verify() tries again, and tells */
	syncd_lock(d);
	p->hashes = false;
	worker_wake(&p->worker);
	syncd_unlock(d);
}

/* Up to where it is hashed at once, of so many bytes that are there. */
static uint64_t hash_next(uint64_t from, uint64_t there)
{
	return there - from > HASH_MOST_BYTES ? from + HASH_MOST_BYTES : there;
}

static void hash_start(struct pulling *p)
{
	if (p->hashes || p->record.size <= HASH_BYTES || p->readable < p->hash_to + HASH_BYTES)
		return;
	p->hashes = true;
	p->hash_to = hash_next(p->hash_to, p->readable);
	p->hashing = (struct job){ .work = hash_work };
	pool_submit(p->worker.daemon->hashers, &p->hashing);
}

/* The stage is this thread's alone; cut or not. */
static void hash_await(struct pulling *p)
{
	while (p->hashes)
		pthread_cond_wait(&p->worker.wake, &p->worker.daemon->lock);
}

/* fetch, without the lock but where it says so */

/* A coding that makes a content larger is of no use; and there would be no end to what means nothing. */
static int check_coded(const struct pulling *p, uint64_t bytes, struct err *err)
{
	if (bytes <= p->record.size)
		return 0;
	return err_set(err, ERR_CORRUPT, "pull from peer: coded it has more than %llu bytes",
		       (unsigned long long)p->record.size);
}

/* Which coding a holder's body has, of those that it was asked for. */
static int holder_coding(struct pulling *p, const struct fetch_head *head, struct err *err)
{
	struct str name = fetch_field(&p->fetch, "Content-Encoding");
	enum coding coding = coding_of(name);

	if (name.n == 0 || head->status >= 300)
		return 0;
	if (head->status != 200 || !p->code.asked || coding == CODING_NONE ||
	    (coding == CODING_DCZ && p->code.by.bytes == NULL))
		return err_set(err, ERR_CORRUPT, "pull from peer: it answers in a coding that was not asked for");
	p->code.decoder = decoder_new(coding == CODING_DCZ ? &p->code.by : NULL, p->record.size);
	return head->length == FETCH_LENGTH_UNKNOWN ? 0 : check_coded(p, head->length, err);
}

static int holder_head(struct fetch *fetch, const struct fetch_head *head, struct err *err)
{
	struct pulling *p = CONTAINER_OF(fetch, struct pulling, fetch);
	int rc = holder_coding(p, head, err);

	p->code.answered = true;
	syncd_lock(p->worker.daemon);
	peers_note(p->worker.daemon->peers, p->asked, NULL);
	if (rc == 0 && p->code.decoder != NULL)
		rc = pull_head_coded(&p->steps, head->etag, err);
	else if (rc == 0)
		rc = pull_head(&p->steps, head->status, head->length, head->etag, head->content_range, err);
	syncd_unlock(p->worker.daemon);
	return rc;
}

/* The next bytes of the content. */
static int content_take(void *data, const void *bytes, size_t n, struct err *err)
{
	struct pulling *p = data;
	struct syncd *d = p->worker.daemon;
	bool beside = p->record.size > HASH_BYTES, first;
	size_t drop;
	int rc;

	syncd_lock(d);
	rc = pull_body(&p->steps, n, &drop, err);
	syncd_unlock(d);
	if (rc < 0 || drop == n)
		return rc;
	if ((beside ? stage_write : stage_add)(p->stage, (const char *)bytes + drop, n - drop, err) < 0) {
		p->unwritable = true;
		return -1;
	}
	syncd_lock(d);
	first = p->readable == p->told;
	p->readable += n - drop;
	hash_start(p);
	if (clock_mono_ms() >= p->told_at + PROGRESS_MS)
		tell_progress(p);
	else if (first)
		fetch_wake(p->fetches);		/* it is told when it is time */
	syncd_unlock(d);
	return 0;
}

static int holder_body(struct fetch *fetch, const void *bytes, size_t n, struct err *err)
{
	struct pulling *p = CONTAINER_OF(fetch, struct pulling, fetch);
	struct pull_code *code = &p->code;
	int rc;

	code->last = clock_mono_us();
	if (code->came == 0) {
		code->first = n;
		code->began_body = code->last;
	}
	if (code->decoder != NULL && check_coded(p, code->came + n, err) < 0)
		return -1;
	code->came += n;
	rc = code->decoder != NULL ? decoder_add(code->decoder, bytes, n, content_take, p, err) :
				     content_take(p, bytes, n, err);
	code->busy += clock_mono_us() - code->last;
	return rc;
}

/*
 * From zero, on an empty stage: those who have the old one's descriptor will
 * get the new one's.
 */
static int start_over(struct pulling *p, struct err *err)
{
	struct syncd *d = p->worker.daemon;
	struct stage *fresh = NULL, *old = p->stage;
	int rc;

	hash_await(p);
	syncd_unlock(d);
	rc = new_stage(p, &fresh, err);
	syncd_lock(d);
	if (rc < 0)
		return -1;
	p->stage = fresh;
	p->readable = p->told = p->hash_to = 0;
	p->decoded = false;
	waiters_renew(p);
	syncd_unlock(d);
	stage_free(old);
	syncd_lock(d);
	return 0;
}

/* What of the path is here, if it pays to say so.  Lets go of the lock. */
static void code_begin(struct pulling *p, const struct pull_ask *how)
{
	struct syncd *d = p->worker.daemon;
	struct store_entry older = STORE_ENTRY_INIT;

	p->code = (struct pull_code){ .by = DICTIONARY_INIT };
	if (p->as_it_is || how->offset > 0 || peers_sick(d->peers, how->node) || !delta_pays(d, how->node, p->record.size) ||
	    !coding_enter())
		return;
	p->code.asked = true;
	syncd_unlock(d);
	if (dictionary_find(d, buf_str(&p->path), VERSION_NONE, &older) == 0)
		dictionary_read(&p->code.by, older.fd, older.record.size, older.record.sha256, NULL);
	store_entry_clear(&older);
	syncd_lock(d);
}

/* It is over: how fast it went, and what that saved. */
static void code_note(struct pulling *p, bool whole)
{
	struct syncd *d = p->worker.daemon;
	const struct pull_code *code = &p->code;
	uint64_t bytes = code->came - code->first, us = code->last - code->began_body;

	/* What came at first may have waited, and what is decoded waits for that. */
	if (bytes >= PACE_BYTES && code->decoder == NULL)
		pace_note(&d->pace, p->asked, bytes * 1000000 / (us > code->busy ? us - code->busy : 1),
			  clock_mono_ms());
	if (whole && code->decoder != NULL)
		delta_count(d->counts, DELTA_PULL, p->record.size, code->came);
}

static void code_end(struct pulling *p)
{
	if (p->code.asked)
		coding_leave();
	decoder_free(p->code.decoder);
	dictionary_clear(&p->code.by);
	p->code = (struct pull_code){ .by = DICTIONARY_INIT };
}

/* What is asked for, with what is here; value has to last. */
static size_t code_fields(const struct pulling *p, struct buf *value, struct sign_part ret[FETCH_FIELDS_MAX])
{
	if (!p->code.asked)
		return 0;
	ret[0] = (struct sign_part){ STR("Accept-Encoding"), STR(CODING_ZSTD_NAME) };
	if (p->code.by.bytes == NULL)
		return 1;
	fields_dictionary(value, p->code.by.sha256);
	ret[0].value = STR(CODING_DCZ_NAME ", " CODING_ZSTD_NAME);
	ret[1] = (struct sign_part){ STR("Available-Dictionary"), buf_str(value) };
	return 2;
}

static void set_fetch(struct pulling *p, const struct pull_ask *how, const struct address *peer,
		      struct str target, bool sick)
{
	const struct syncd *d = p->worker.daemon;

	p->asked = how->node;
	p->fetch = (struct fetch){
		.peer = peer, .target = target, .offset = how->offset, .node = how->node,
		.first_byte_ms = (sick && d->check_ms < d->first_byte_ms ? d->check_ms : d->first_byte_ms) +
				 (p->code.asked ? coding_patience_ms(p->record.size) : 0),
		.stall_ms = d->stall_ms,
		.head = holder_head, .body = holder_body,
	};
}

/* When there is something to be told, or to be looked for. */
static uint64_t fetch_due(const struct pulling *p)
{
	uint64_t due = pull_may_wait(p) ? p->look : NEVER;

	return p->readable > p->told && p->told_at + PROGRESS_MS < due ? p->told_at + PROGRESS_MS : due;
}

static bool fetch_is_needless(struct pulling *p)
{
	uint64_t now = clock_mono_ms();

	if (now < p->look)
		return false;
	p->look = now + INCOMING_MS;
	return pull_is_needless(p);
}

/* What it gives goes to the stage.  False: that is needless, the content comes by itself meanwhile. */
static bool holder_ask(struct pulling *p, const struct pull_ask *how, struct err *why)
{
	struct syncd *d = p->worker.daemon;
	const struct address *peer;
	struct sign_part fields[FETCH_FIELDS_MAX];
	struct buf target = BUF_INIT, value = BUF_INIT;
	struct fetch *over = NULL;
	char version[VERSION_TEXT];
	bool sick, needless = false;

	*why = (struct err)ERR_INIT;
	peer = peers_http(d->peers, how->node);
	sick = peers_sick(d->peers, how->node);
	path_to_target(&target, buf_str(&p->path), false);
	buf_addf(&target, "?version=%s", version_format(version, p->record.version));
	set_fetch(p, how, peer, buf_str(&target), sick);
	p->fetch.fields = fields;
	p->fetch.field_count = code_fields(p, &value, fields);
	if (peer == NULL)
		err_set(why, ERR_ABSENT, "pull from %016llx: not a member",
			(unsigned long long)how->node);
	else if (fetch_start(p->fetches, &p->fetch, why) == 0)
		while (over == NULL && !needless && !worker_is_cut(&p->worker)) {
			over = worker_await(&p->worker, p->fetches, fetch_due(p));
			if (p->readable > p->told && clock_mono_ms() >= p->told_at + PROGRESS_MS)
				tell_progress(p);
			hash_start(p);
			needless = over == NULL && fetch_is_needless(p);
		}
	fetch_cancel(&p->fetch);
	buf_clear(&target);
	buf_clear(&value);
	if (needless)
		return false;
	if (over != NULL)
		*why = over->err;
	if (over != NULL && why->kind == ERR_NONE && p->code.decoder != NULL)
		decoder_end(p->code.decoder, why);
	code_note(p, over != NULL && why->kind == ERR_NONE);
	return true;
}

/* From now on nobody is asked for a coding. */
static void pull_as_it_is(struct pulling *p)
{
	delta_went_again(p->worker.daemon);
	p->as_it_is = true;
}

/* What came in a coding is worth nothing: the same holder is asked next. */
static void pull_anew(struct pulling *p)
{
	pull_as_it_is(p);
	p->decoded = false;
	pull_again(&p->steps);
}

/* The coding is not to blame: it was silent, or it broke off, and what had come until then is the content. */
static bool holder_failed(const struct pulling *p, const struct err *why)
{
	return why->kind == ERR_TIMEOUT || (why->kind == ERR_AWAY && p->steps.have > 0);
}

/* One holder is asked.  -1: the disk, not the holder, is to blame. */
static int pull_fetch(struct pulling *p, const struct pull_ask *how, struct err *err)
{
	struct syncd *d = p->worker.daemon;
	struct err why;
	bool sick, coded, over;

	if (how->restart && start_over(p, err) < 0)
		return -1;
	if (how->wait_ms > 0)
		worker_wait_until(&p->worker, &(uint64_t){ clock_mono_ms() + how->wait_ms });
	sick = peers_sick(d->peers, how->node);
	code_begin(p, how);
	over = holder_ask(p, how, &why);
	coded = p->code.asked && (!p->code.answered || p->code.decoder != NULL);
	p->decoded = p->decoded || p->code.decoder != NULL;
	code_end(p);
	if (!over)
		return 0;
	if (p->unwritable)
		return err_pass(err, &why);
	if (coded && why.kind != ERR_NONE && !holder_failed(p, &why)) {
		pull_anew(p);
		return 0;
	}
	if (coded && why.kind != ERR_NONE)
		pull_as_it_is(p);
	if (why.kind != ERR_NONE && !sick)	/* so short a wait proves nothing */
		peers_note(d->peers, p->asked, &why);
	pull_end(&p->steps, why.kind != ERR_NONE ? &why : NULL);
	if (coded && why.kind == ERR_TIMEOUT)
		pull_once_more(&p->steps);
	return 0;
}

/* verify */

/* What is not hashed yet, unless the pull is cut meanwhile.  Without the lock. */
static int hash_rest(struct pulling *p, struct err *err)
{
	uint64_t size = stage_size(p->stage);
	int rc = 0;

	for (uint64_t to = 0; rc == 0 && to < size && !worker_is_cut(&p->worker);) {
		to = hash_next(to, size);
		rc = stage_hash_written(p->stage, to, err);
	}
	return rc;
}

static int pull_verify(struct pulling *p, struct err *err)
{
	struct syncd *d = p->worker.daemon;
	bool digest_ok, cut;
	int rc;

	hash_await(p);
	syncd_unlock(d);
	rc = hash_rest(p, err);
	cut = worker_is_cut(&p->worker);
	if (rc == 0 && !cut)
		rc = stage_end(p->stage, err);
	digest_ok = rc == 0 && !cut && stage_size(p->stage) == p->record.size &&
		    memcmp(stage_sha256(p->stage), p->record.sha256, SHA256_BYTES) == 0;
	syncd_lock(d);
	if (!cut && !digest_ok && rc == 0 && p->decoded)
		pull_anew(p);
	else if (!cut)
		pull_checked(&p->steps, digest_ok);
	return rc;
}

/* keep */

static void pull_keep(struct pulling *p)
{
	struct syncd *d = p->worker.daemon;
	struct commit commit = commit_of_record(buf_str(&p->path), &p->record, buf_str(&p->type), p->stage,
						p->keep);
	struct err err;

	syncd_unlock(d);
	if (store_writable(d->store, &err) < 0 ||	/* read, but not kept */
	    stage_sync(p->stage, &err) < 0 || store_commit(d->store, &commit, &err) < 0)
		log_err(LOG_LEVEL_WARNING, &err, "keep what was pulled");
	syncd_lock(d);
}

/* the job */

/* Until the content is in the stage, verified. */
static int pull_content(struct pulling *p, struct err *err)
{
	enum pull_step step = PULL_ASK;
	struct pull_ask how;
	int rc = 0;

	p->fetches = fetch_open(p->worker.daemon->fetcher, err);
	if (p->fetches == NULL)
		return -1;
	while (rc == 0 && !worker_is_cut(&p->worker)) {
		await_incoming(p);
		if (p->present >= 0)
			break;
		step = pull_next(&p->steps, &how);
		if (step != PULL_ASK && step != PULL_CHECK)
			break;
		rc = step == PULL_ASK ? pull_fetch(p, &how, err) : pull_verify(p, err);
	}
	fetch_close(p->fetches);
	if (rc == 0 && (step == PULL_DONE || p->present >= 0))
		return 0;
	return rc < 0 ? -1 : err_pass(err, &p->steps.why);
}

static void pull_run(struct worker *w)
{
	struct pulling *p = CONTAINER_OF(w, struct pulling, worker);
	struct err err = ERR_INIT;
	int rc;

	p->running = true;
	rc = worker_is_cut(w) ? -1 : pull_look(p, &err);
	if (rc == 0 && p->present < 0)
		rc = pull_content(p, &err);
	p->verified = rc == 0;
	if (rc == 0)
		tell_done(p);
	else if (w->daemon->leaving)
		tell_over(p, 0, NULL);
	else if (worker_is_cut(w))
		tell_over(p, SYNC_LATER, NULL);	/* this process finishes others */
	else
		tell_over(p, 0, &err);
	if (rc == 0 && p->present < 0)
		pull_keep(p);
	p->given_up = true;
	hash_await(p);
	syncd_unlock(w->daemon);
	stage_free(p->stage);		/* one of some size takes the disk a while */
	syncd_lock(w->daemon);
}

static void pull_release(struct worker *w)
{
	struct pulling *p = CONTAINER_OF(w, struct pulling, worker);

	list_remove(&p->link);
	if (p->present >= 0)
		close(p->present);
	buf_clear(&p->path);
	buf_clear(&p->type);
	free(p);
}

static struct pulling *pull_find(const struct syncd *d, const struct sync_pull *wanted)
{
	LIST_EACH(struct pulling, p, &d->pulls, link)
		if (!p->given_up && record_eq(&p->record, &wanted->record) &&
		    str_eq(buf_str(&p->path), wanted->path))
			return p;
	return NULL;
}

static void pull_add_holders(struct pulling *p, const struct sync_pull *wanted)
{
	struct peers *peers = p->worker.daemon->peers;

	for (size_t i = 0; i < wanted->holder_count; i++)
		pull_add(&p->steps, wanted->holders[i], peers_sick(peers, wanted->holders[i]));
}

static struct pulling *pull_new(struct syncd *d, const struct sync_pull *wanted)
{
	struct pulling *p = mem_new(1, sizeof *p);

	p->present = -1;
	p->record = wanted->record;
	p->keep = prune_numbers(d->prune).versions;
	buf_addstr(&p->path, wanted->path);
	buf_addstr(&p->type, wanted->type);
	pull_begin(&p->steps, &p->record);
	list_append(&d->pulls, &p->link);
	p->worker = (struct worker){ .daemon = d, .run = pull_run, .release = pull_release };
	pull_add_holders(p, wanted);
	return p;
}

/* For nobody.  False: too many are under way. */
static bool pull_want(struct syncd *d, const struct sync_pull *wanted)
{
	struct pulling *p = pull_find(d, wanted);

	if (p != NULL) {
		pull_add_holders(p, wanted);
		return true;
	}
	if (d->pulls.count >= WANTED_MAX || d->stopping)
		return false;
	p = pull_new(d, wanted);
	worker_start(d, &p->worker, d->pull_threads);
	return true;
}

static void add_holder(struct sync_pull *pull, uint64_t node, uint64_t self)
{
	for (size_t i = 0; i < pull->holder_count; i++)
		if (pull->holders[i] == node)
			return;
	if (node != self && pull->holder_count < HOLDERS_MAX)
		pull->holders[pull->holder_count++] = node;
}

bool pull_kept(struct syncd *d, const struct keep_item *item, uint64_t node)
{
	const struct layout *layout = peers_layout(d->peers);
	struct sync_pull pull = { .path = item->path, .record = item->record, .type = item->type };
	uint64_t self = store_node(d->store);
	struct layout_order order;

	layout_keepers(layout, item->path, &order);
	for (size_t i = 0; i < layout_copies(layout); i++)
		add_holder(&pull, order.ids[i], self);
	add_holder(&pull, node, self);
	add_holder(&pull, item->record.version.node, self);
	for (size_t i = 0; i < order.count; i++)
		add_holder(&pull, order.ids[i], self);
	return pull_want(d, &pull);
}

int request_pull(struct syncd *d, struct serve_request *request, struct frame *frame, struct err *err)
{
	struct asker asker = { .request = request };
	struct sync_pull wanted;
	struct pulling *p;

	if (sync_pull_unpack(frame->body, &wanted, err) < 0 || check_file_path(wanted.path, err) < 0)
		return -1;
	if (!record_is_live(&wanted.record) || (wanted.record.flags & RECORD_DIRECTORY))
		return err_set(err, ERR_INVALID, "pull %.*s: not a file's version",
			       STR_ARG(wanted.path));
	p = pull_find(d, &wanted);
	if (p == NULL && d->stopping) {
		/* With a new one each moment, this process would never come to its end. */
		asker_answer(&asker, SYNC_LATER, (struct str)STR_INIT);
	} else if (p == NULL) {
		p = pull_new(d, &wanted);
		waiter_add(p, request);
		worker_start(d, &p->worker, d->pull_threads);
	} else {
		pull_add_holders(p, &wanted);
		waiter_add(p, request);
		worker_wake(&p->worker);
		if (p->verified)
			tell_done(p);
		else if (p->readable > 0 && !p->looking)
			tell_progress(p);
	}
	return 0;
}

bool pull_has_waiters(const struct syncd *d)
{
	LIST_EACH(const struct pulling, p, &d->pulls, link)
		if (!p->verified && !p->given_up && p->told > 0 && p->waiters.count > 0)
			return true;
	return false;
}

void pull_begin_no_more(struct syncd *d)
{
	LIST_EACH(struct pulling, p, &d->pulls, link)
		if (!p->running) {
			tell_over(p, SYNC_LATER, NULL);
			pull_give_up(p);
		}
}

void pull_stop(struct syncd *d)
{
	LIST_EACH(struct pulling, p, &d->pulls, link)
		if (!p->verified) {
			tell_over(p, 0, NULL);
			pull_give_up(p);
		}
}
