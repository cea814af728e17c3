/*
 * sync - this node's homes' records, from the other homes; and COMPARE
 *
 * Whom to ask about what is resync.h's plan.  It is made anew when the
 * layout changes, when somebody returns, and every hour; peers that failed
 * are tried again after a while.  Each that is asked is an exchange, a job of
 * its own, one with each peer at a time:
 *
 *	digests of some partitions	this node's, then the peer's
 *	where they differ		buckets, this node's, then the peer's
 *	where those differ		the peer's records, page by page
 *
 * covey-versiond has the digests, of this node as of the other.  What the
 * peer lacks it asks for itself.
 */
#include "syncd.h"

#include "backoff.h"
#include "clock.h"
#include "container.h"
#include "exchange.h"
#include "log.h"
#include "mem.h"
#include "quorum.h"
#include "resync.h"

#define AGAIN_MS 250			/* after a failure; doubled up to */
#define AGAIN_MAX_MS 60000
#define HOUR_MS 3600000
#define EXCHANGE_PARTITIONS 1024	/* asked about at once */
#define ANSWER_MS 60000			/* to compute digests may take reading the disk */
#define COMPARE_MS 2000

struct exchanging {
	struct worker worker;
	struct syncing *syncing;
	struct link link;
	bool abandoned;					/* its layout is no more, or its peer */
	bool storing;					/* records that came; the peer is not waited for */
	uint64_t peer;
	uint16_t partitions[EXCHANGE_PARTITIONS];	/* those not done yet, from `at` on */
	size_t count, at;
	size_t bad;					/* the first ones: something is lacking there */
	bool lacking;					/* something of this partition could not be stored */
	bool failed;					/* nothing can be stored */
	struct buf own, plain;				/* the answers that came last: this node's, the peer's */
};

struct syncing {
	struct worker worker;		/* waits for what is due */
	struct resync plan;
	struct list exchanges;
	uint64_t again;			/* when peers that failed may be back: ms, monotonic */
	unsigned failures;		/* how often they were not, one after the other */
	uint64_t hour;			/* when all is asked again: ms, monotonic */
	uint64_t told;			/* the joint epoch that was reported as synced */
	uint64_t news;			/* versions with content that came; until keepers are asked */
};

/* one exchange */

static bool exchange_is_over(struct exchanging *e)
{
	return e->abandoned || worker_is_cut(&e->worker);
}

/* By the layout of the plan, which is the present one: another begins it anew. */
static int exchange_ask(struct exchanging *e, uint64_t node, struct str body, enum exchange_kind kind,
			struct exchange *ret)
{
	struct syncd *d = e->worker.daemon;
	struct bulk question = bulk_ask(d, node, BULK_SYNC), answer = { .body = STR_INIT };
	struct buf plain = BUF_INIT;
	int rc;

	question.lineage = e->syncing->plan.layout.lineage;
	question.epoch = e->syncing->plan.layout.epoch;
	question.body = body;
	if (node == store_node(d->store)) {
		bulk_pack(&plain, &question);
		rc = worker_ask_versiond(&e->worker, VERSION_TALK_SYNC, buf_str(&plain), ANSWER_MS, NULL,
					 VERSION_TALK_SYNCED, &e->own, NULL);
		if (rc == 0)
			rc = bulk_unpack(buf_str(&e->own), node, &answer);
		if (rc == 0 && bulk_judge(&question, &answer) != BULK_COUNTS)
			rc = -1;
		buf_clear(&plain);
	} else {
		buf_reset(&e->plain);
		rc = bulk_exchange(&e->worker, &question, ANSWER_MS, NULL, &e->plain, &answer);
	}
	if (rc < 0 || exchange_is_over(e) || exchange_unpack(answer.body, ret) < 0 || ret->kind != kind)
		return -1;
	return 0;
}

/* This node, then the peer.  The question is used up. */
static int exchange_ask_both(struct exchanging *e, struct buf *question, enum exchange_kind kind,
			     struct exchange *ret_ours, struct exchange *ret_theirs)
{
	uint64_t self = store_node(e->worker.daemon->store);
	int rc = exchange_ask(e, self, buf_str(question), kind, ret_ours);

	if (rc == 0)
		rc = exchange_ask(e, e->peer, buf_str(question), kind, ret_theirs);
	buf_clear(question);
	return rc;
}

static void partition_done(struct exchanging *e, unsigned partition)
{
	resync_done(&e->syncing->plan, e->peer, partition);
	service_touch(e->worker.daemon->service);
}

static bool answer_is_about(const struct exchanging *e, const struct exchange *answer)
{
	if (answer->count != e->count)
		return false;
	for (size_t i = 0; i < e->count; i++)
		if (exchange_digest(answer, i).partition != e->partitions[i])
			return false;
	return true;
}

/* Partitions whose digests are equal are done; the others stay. */
static int exchange_digests(struct exchanging *e)
{
	struct buf question = BUF_INIT;
	struct exchange ours, theirs;
	size_t left = 0;

	exchange_pack_digests(&question, e->partitions, e->count);
	if (exchange_ask_both(e, &question, EXCHANGE_DIGESTS_ARE, &ours, &theirs) < 0 ||
	    !answer_is_about(e, &ours) || !answer_is_about(e, &theirs))
		return -1;
	for (size_t i = 0; i < e->count; i++) {
		uint64_t digest = exchange_digest(&theirs, i).digest;

		if (digest == exchange_digest(&ours, i).digest || digest == 0)
			partition_done(e, e->partitions[i]);
		else
			e->partitions[left++] = e->partitions[i];
	}
	e->count = left;
	return 0;
}

/* Those buckets in which the peer has something that this node has not; *ret_some: there are any. */
static int exchange_buckets_of(struct exchanging *e, struct exchange_ask *ret, bool *ret_some)
{
	struct buf question = BUF_INIT;
	struct exchange own, peers;
	struct digests ours, theirs;

	exchange_pack_buckets(&question, ret->partition);
	if (exchange_ask_both(e, &question, EXCHANGE_BUCKETS_ARE, &own, &peers) < 0 ||
	    own.partition != ret->partition || peers.partition != ret->partition)
		return -1;
	exchange_buckets(&own, &ours);
	exchange_buckets(&peers, &theirs);
	for (unsigned i = 0; i < DIGESTS_BUCKETS; i++) {
		/* an empty one of theirs has nothing to give */
		if (theirs.buckets[i] == ours.buckets[i] || theirs.buckets[i] == 0)
			continue;
		ret->buckets[i / 8] |= (uint8_t)(1u << i % 8);
		*ret_some = true;
	}
	return 0;
}

/* It says nothing about other paths. */
static bool err_is_of_path(enum err_kind kind)
{
	return kind == ERR_CORRUPT || kind == ERR_CONFLICT || kind == ERR_EXISTS ||
	       kind == ERR_UNSUPPORTED || kind == ERR_INVALID;
}

/* A live version, of which this node did not know. */
static bool row_is_new(struct store *store, const struct exchange_row *row)
{
	struct store_entry entry = STORE_ENTRY_INIT;
	struct err err = ERR_INIT;

	if (!record_is_live(&row->record) ||
	    store_version(store, row->path, row->record.version, STORE_RECORD, &entry, &err) == 0) {
		store_entry_clear(&entry);
		return false;
	}
	return err.kind == ERR_ABSENT;
}

/* A page of the peer's records, to the disk; *after: the last path, and in ask its version. */
static void store_rows(struct exchanging *e, struct str list, struct exchange_ask *ask, struct buf *after)
{
	struct syncd *d = e->worker.daemon;
	uint32_t keep = e->syncing->plan.layout.keep_versions;
	struct exchange_row row;
	uint64_t news = 0;

	e->storing = true;
	syncd_unlock(d);
	while (!e->failed && exchange_next_row(&list, &row)) {
		struct err err = ERR_INIT;

		news += row_is_new(d->store, &row);
		if (store_merge(d->store, row.path, &row.record, row.type, keep, &err) < 0) {
			log_err(LOG_LEVEL_WARNING, &err, "store a record of another home");
			e->lacking = true;
			e->failed = !err_is_of_path(err.kind);
		}
		ask->version = row.record.version;
		buf_reset(after);
		buf_addstr(after, row.path);
	}
	syncd_lock(d);
	e->storing = false;
	e->syncing->news += news;
}

static int exchange_records(struct exchanging *e, struct exchange_ask *ask)
{
	struct buf question = BUF_INIT, after = BUF_INIT;
	struct exchange answer = { .more = true };
	int rc = 0;

	while (rc == 0 && answer.more) {
		ask->after = buf_str(&after);
		buf_reset(&question);
		exchange_pack_records(&question, ask);
		rc = exchange_ask(e, e->peer, buf_str(&question), EXCHANGE_RECORDS_ARE, &answer);
		if (rc == 0 && (answer.partition != ask->partition || !exchange_follows(&answer, ask)))
			rc = -1;
		if (rc == 0)
			store_rows(e, answer.list, ask, &after);
		if (rc == 0 && (e->failed || exchange_is_over(e)))
			rc = -1;
		answer.more = answer.more && answer.count > 0;
	}
	buf_clear(&question);
	buf_clear(&after);
	return rc;
}

/* The partition at `at`: done, or it lacks something that cannot be stored, and the others go on. */
static int compare_partition(struct exchanging *e)
{
	struct exchange_ask ask = { .partition = e->partitions[e->at] };
	bool some = false;

	e->lacking = false;
	if (exchange_buckets_of(e, &ask, &some) < 0 || (some && exchange_records(e, &ask) < 0))
		return -1;
	if (e->lacking)
		e->partitions[e->bad++] = e->partitions[e->at];
	else
		partition_done(e, e->partitions[e->at]);
	e->at++;
	return 0;
}

static void exchange_over(struct exchanging *e);

static void exchange_run(struct worker *w)
{
	struct exchanging *e = CONTAINER_OF(w, struct exchanging, worker);

	if (!exchange_is_over(e) && exchange_digests(e) == 0)
		while (e->at < e->count && compare_partition(e) == 0)
			;
	if (!e->abandoned)
		exchange_over(e);
}

static void exchange_release(struct worker *w)
{
	struct exchanging *e = CONTAINER_OF(w, struct exchanging, worker);

	buf_clear(&e->own);
	buf_clear(&e->plain);
	free(e);
}

/* the plan */

static void exchange_abandon(struct exchanging *e)
{
	list_remove(&e->link);
	e->abandoned = true;
	worker_cut(&e->worker);
}

/* What it did not do, somebody else may, and later the same. */
static void exchange_failed(const struct exchanging *e)
{
	struct syncing *s = e->syncing;

	resync_failed(&s->plan, e->peer, e->partitions, e->bad);
	resync_failed(&s->plan, e->peer, e->partitions + e->at, e->count - e->at);
	if (s->again != NEVER)
		return;
	s->again = clock_mono_ms() + backoff_ms(AGAIN_MS, AGAIN_MAX_MS, s->failures);
	worker_wake(&s->worker);
}

/* Ask whoever is to be asked now, and tell what is complete. */
static void sync_go_on(struct syncing *s)
{
	struct syncd *d = s->worker.daemon;
	struct exchanging *e;
	uint64_t epoch;

	while (!worker_is_cut(&s->worker)) {
		e = mem_new(1, sizeof *e);
		e->count = resync_next(&s->plan, &e->peer, e->partitions, EXCHANGE_PARTITIONS);
		if (e->count == 0) {
			free(e);
			break;
		}
		e->syncing = s;
		list_append(&s->exchanges, &e->link);
		e->worker = (struct worker){ .run = exchange_run, .release = exchange_release, .own = true };
		worker_start(d, &e->worker, d->exchanges);
	}
	if (s->exchanges.count == 0 && s->news > 0) {
		/* Nobody may have asked for these contents: who asks did not know of them. */
		s->news = 0;
		keep_ask_all(d);
		directories_begin(d);
	}
	epoch = resync_synced(&s->plan);
	if (keep_leaves(&s->plan.layout, s->plan.self))
		return;		/* that is told when its contents have been taken over */
	if (epoch != 0 && epoch != s->told) {
		s->told = epoch;
		peers_synced(d->peers, epoch);
	}
}

static void exchange_over(struct exchanging *e)
{
	list_remove(&e->link);
	if (e->at < e->count || e->bad > 0)
		exchange_failed(e);
	sync_go_on(e->syncing);
}

static void sync_all_back(struct syncing *s)
{
	for (size_t i = 0; i < s->plan.count; i++)
		resync_back(&s->plan, s->plan.peers[i].id);
	sync_go_on(s);
}

static void sync_relaid(struct syncd *d)
{
	struct syncing *s = d->syncing;

	LIST_EACH(struct exchanging, e, &s->exchanges, link)
		exchange_abandon(e);
	s->again = NEVER;
	s->failures = 0;
	s->hour = clock_mono_ms() + HOUR_MS;
	resync_begin(&s->plan, peers_layout(d->peers), store_node(d->store));
	sync_go_on(s);
	worker_wake(&s->worker);
}

/* While joint what was done stays done: the next layout waits for the rest. */
static void sync_returned(struct syncd *d, uint64_t id)
{
	struct syncing *s = d->syncing;

	(void)id;
	if (!s->plan.joint) {
		sync_relaid(d);		/* what is under way may be with one that is silent */
		return;
	}
	s->failures = 0;
	s->hour = clock_mono_ms() + HOUR_MS;
	sync_all_back(s);
}

/* What the ones that are away are being asked, others may answer. */
static void sync_lost(struct syncd *d)
{
	LIST_EACH(struct exchanging, e, &d->syncing->exchanges, link) {
		if (peers_up(d->peers, e->peer) || e->storing)
			continue;
		exchange_failed(e);
		exchange_abandon(e);
	}
	sync_go_on(d->syncing);
}

static void sync_run(struct worker *w)
{
	struct syncing *s = CONTAINER_OF(w, struct syncing, worker);

	while (worker_wait(w, s->again < s->hour ? s->again : s->hour)) {
		uint64_t now = clock_mono_ms();

		if (now >= s->hour) {
			sync_returned(w->daemon, 0);
		} else if (now >= s->again) {
			s->again = NEVER;
			s->failures++;
			sync_all_back(s);
		}
	}
}

static struct worker *sync_make(struct syncd *d)
{
	struct syncing *s = mem_new(1, sizeof *s);

	d->syncing = s;
	s->plan = (struct resync)RESYNC_INIT;
	s->worker.daemon = d;
	sync_relaid(d);
	return &s->worker;
}

const struct upkeep sync_upkeep = {
	.in_group = true,
	.make = sync_make,
	.run = sync_run,
	.returned = sync_returned,
	.lost = sync_lost,
	.relaid = sync_relaid,
};

/*
 * COMPARE: homes that differ are to take from each other what they lack
 *
 * Whoever found out, home or not, tells every home of the partition, itself
 * among them.  Nothing depends on it: who does not hear it compares within
 * the hour.
 */

struct compare_job {
	struct worker worker;
	unsigned partition;
};

static void compare_run(struct worker *w)
{
	struct compare_job *c = CONTAINER_OF(w, struct compare_job, worker);
	uint64_t homes[QUORUM_HOMES_MAX], self = store_node(w->daemon->store);
	struct buf body = BUF_INIT;
	struct fetch_set *set = fetch_open(w->daemon->fetcher, NULL);
	struct post posts[QUORUM_HOMES_MAX];
	size_t count, open = 0;
	struct quorum quorum;

	quorum_begin(&quorum);
	quorum_add(&quorum, peers_layout(w->daemon->peers), c->partition);
	count = quorum_homes(&quorum, homes);
	sync_compare_pack(&body, c->partition);
	for (size_t i = 0; i < count; i++) {
		struct bulk question = bulk_ask(w->daemon, homes[i], BULK_COMPARE);

		posts[i] = (struct post){ .answer = BUF_INIT };
		question.body = buf_str(&body);
		open += set != NULL && homes[i] != self &&
			bulk_start(w->daemon, set, &posts[i], &question, COMPARE_MS, NULL) == 0;
	}
	while (open > 0 && !worker_is_cut(w))
		open -= worker_await(w, set, NEVER) != NULL;
	fetch_close(set);
	for (size_t i = 0; i < count; i++)
		buf_clear(&posts[i].answer);
	buf_clear(&body);
}

static void compare_release(struct worker *w)
{
	free(CONTAINER_OF(w, struct compare_job, worker));
}

/* The homes of the partition differ: this node, one of them perhaps, compares now. */
static void sync_compare(struct syncing *s, unsigned partition)
{
	if (s == NULL)
		return;
	resync_again(&s->plan, partition);
	sync_go_on(s);
}

int request_compare(struct syncd *d, struct serve_request *request, struct frame *frame,
		    struct err *err)
{
	struct compare_job *c;
	unsigned partition;

	if (sync_compare_unpack(frame->body, &partition, err) < 0)
		return -1;
	if (d->keys.count > 0) {
		c = mem_new(1, sizeof *c);
		c->partition = partition;
		c->worker = (struct worker){ .run = compare_run, .release = compare_release };
		worker_start(d, &c->worker, d->asks);
	}
	sync_compare(d->syncing, partition);
	request_done(request);
	return 0;
}

int compare_told(struct syncd *d, struct serve_request *request, const struct bulk *bulk,
		 struct err *err)
{
	struct asker asker = { .request = request };
	unsigned partition;

	if (sync_compare_unpack(bulk->body, &partition, err) < 0)
		return -1;
	sync_compare(d->syncing, partition);
	bulk_reply(d, &asker, bulk, BULK_COMPARED, (struct str)STR_INIT);
	return 0;
}
