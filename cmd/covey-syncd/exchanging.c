/*
 * exchanging - SYNC with one home: compare, and take what this node lacks
 *
 *	digests of some partitions	this node's, then the peer's
 *	where they differ		buckets, this node's, then the peer's
 *	where those differ		the peer's records, page by page
 *
 * covey-versiond has the digests, of this node as of the other.  What the
 * peer lacks it will ask for itself.
 */
#include "syncing.h"

#include "container.h"
#include "log.h"
#include "mem.h"

#define OWN_MS 60000			/* to compute digests may take reading the disk */
#define PEER_MS 60000

static void ask_digests(struct exchanging *e);
static void next_partition(struct exchanging *e);

static struct syncd *daemon_of(const struct exchanging *e)
{
	return e->syncing->daemon;
}

static void free_it(struct exchanging *e)
{
	call_finish(&e->call);
	posting_clear(&e->posting);
	buf_clear(&e->after);
	buf_clear(&e->question);
	buf_clear(&e->rows);
	free(e);
}

/* Over, well when nothing is left. */
static void over(struct exchanging *e)
{
	if (!e->abandoned)
		syncing_over(e);
	free_it(e);
}

void exchanging_abandon(struct exchanging *e)
{
	e->abandoned = true;
	if (!e->working)
		free_it(e);
}

/* asking: the question is in e->question */

static void answer_came(struct exchanging *e, const struct exchange *answer);

/* The plain bulk message of an answer. */
static void judge(struct exchanging *e, const struct bulk *bulk)
{
	enum bulk_verdict verdict = bulk_judge(&e->asked, bulk);
	struct exchange answer;

	if (verdict == BULK_NEWER)
		peers_behind(daemon_of(e)->peers, e->peer, bulk->epoch);
	if (verdict != BULK_COUNTS || exchange_unpack(bulk->body, &answer) < 0)
		over(e);
	else
		answer_came(e, &answer);
}

/* By the layout of the plan, which is the present one: another begins it anew. */
static struct bulk ask_of(struct exchanging *e, uint64_t node)
{
	struct bulk bulk = bulk_ask(daemon_of(e), node, BULK_SYNC);

	bulk.lineage = e->syncing->plan.layout.lineage;
	bulk.epoch = e->syncing->plan.layout.epoch;
	e->asked = bulk;
	bulk.body = buf_str(&e->question);
	return bulk;
}

static void own_answered(struct call *call, struct frame *frame)
{
	struct exchanging *e = CONTAINER_OF(call, struct exchanging, call);
	struct syncd *d = daemon_of(e);
	struct buf plain = BUF_INIT;
	struct bulk bulk;

	if (frame == NULL || frame->type != VERSION_TALK_SYNCED ||
	    bulk_unpack(frame->body, d->keys.list[0].group, store_node(d->store), &bulk) < 0) {
		call_finish(call);
		over(e);
		return;
	}
	buf_addstr(&plain, frame->body);
	bulk_unpack(buf_str(&plain), d->keys.list[0].group, store_node(d->store), &bulk);
	call_finish(call);
	judge(e, &bulk);
	buf_clear(&plain);
}

static void peer_answered(struct posting *posting, const struct err *err)
{
	struct exchanging *e = CONTAINER_OF(posting, struct exchanging, posting);
	struct buf plain = BUF_INIT;
	struct bulk bulk;

	peers_note(daemon_of(e)->peers, e->peer, err);
	if (err != NULL || bulk_open(daemon_of(e), buf_str(&posting->answer), &plain, &bulk) < 0)
		over(e);
	else
		judge(e, &bulk);
	buf_clear(&plain);
}

static void ask_own(struct exchanging *e)
{
	struct bulk bulk = ask_of(e, store_node(daemon_of(e)->store));
	struct buf plain = BUF_INIT;

	e->own = true;
	bulk_pack(&plain, &bulk);
	e->call = (struct call)CALL_INIT;
	e->call.answer = own_answered;
	call_start(daemon_of(e)->version, &e->call, VERSION_TALK_SYNC, buf_str(&plain), OWN_MS);
	buf_clear(&plain);
}

static void ask_peer(struct exchanging *e)
{
	const struct address *peer = peers_http(daemon_of(e)->peers, e->peer);
	struct bulk bulk = ask_of(e, e->peer);
	struct buf packet = BUF_INIT;

	e->own = false;
	if (peer == NULL) {
		over(e);
		return;
	}
	bulk_seal(daemon_of(e), &bulk, &packet);
	e->posting.done = peer_answered;
	posting_start(daemon_of(e), &e->posting, peer, "sync", buf_str(&packet), PEER_MS);
	buf_clear(&packet);
}

/* records */

static void ask_records(struct exchanging *e)
{
	e->ask.after = buf_str(&e->after);
	buf_reset(&e->question);
	exchange_pack_records(&e->question, &e->ask);
	ask_peer(e);
}

/* It says nothing about other paths. */
static bool is_of_path(enum err_kind kind)
{
	return kind == ERR_CORRUPT || kind == ERR_CONFLICT || kind == ERR_EXISTS ||
	       kind == ERR_UNSUPPORTED || kind == ERR_INVALID;
}

/* A live version, of which this node did not know. */
static bool is_new(struct store *store, const struct exchange_row *row)
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

static void take_row(struct exchanging *e, const struct exchange_row *row)
{
	struct err err = ERR_INIT;

	e->news += is_new(daemon_of(e)->store, row);
	if (store_merge(daemon_of(e)->store, row->path, &row->record, row->type, e->keep, &err) == 0)
		return;
	log_err(LOG_LEVEL_WARNING, &err, "store a record of another home");
	e->lacking = true;
	e->failed = !is_of_path(err.kind);
}

static void take_rows(struct job *job)
{
	struct exchanging *e = CONTAINER_OF(job, struct exchanging, job);
	struct str list = e->answer.list;
	struct exchange_row row;

	while (!e->failed && exchange_next_row(&list, &row)) {
		take_row(e, &row);
		e->ask.version = row.record.version;
		buf_reset(&e->after);
		buf_addstr(&e->after, row.path);
	}
}

static void took_rows(struct job *job)
{
	struct exchanging *e = CONTAINER_OF(job, struct exchanging, job);

	e->working = false;
	e->syncing->jobs--;
	e->syncing->news += e->news;
	e->news = 0;
	if (e->abandoned) {
		struct syncd *d = daemon_of(e);

		free_it(e);
		syncd_rest(d);
		return;
	}
	if (e->failed)
		over(e);
	else if (e->answer.more && e->answer.count > 0)
		ask_records(e);
	else
		next_partition(e);
}

static void records_came(struct exchanging *e, const struct exchange *answer)
{
	if (!exchange_follows(answer, &e->ask)) {
		over(e);
		return;
	}
	buf_reset(&e->rows);
	buf_addstr(&e->rows, answer->list);
	e->answer = *answer;
	e->answer.list = buf_str(&e->rows);
	e->keep = e->syncing->plan.layout.keep_versions;
	e->job = (struct job){ .work = take_rows, .done = took_rows, .home = daemon_of(e)->loop };
	e->working = true;
	e->syncing->jobs++;
	pool_submit(daemon_of(e)->disk, &e->job);
}

/* buckets */

static void ask_buckets(struct exchanging *e)
{
	buf_reset(&e->question);
	exchange_pack_buckets(&e->question, e->partitions[e->at]);
	ask_own(e);
}

static void buckets_came(struct exchanging *e, const struct exchange *answer)
{
	struct digests theirs;
	bool differ = false;

	if (e->own) {
		exchange_buckets(answer, &e->buckets);
		ask_peer(e);
		return;
	}
	exchange_buckets(answer, &theirs);
	e->ask = (struct exchange_ask){ .partition = e->partitions[e->at] };
	for (unsigned i = 0; i < DIGESTS_BUCKETS; i++) {
		/* an empty one of theirs has nothing to give */
		if (theirs.buckets[i] == e->buckets.buckets[i] || theirs.buckets[i] == 0)
			continue;
		e->ask.buckets[i / 8] |= (uint8_t)(1u << i % 8);
		differ = true;
	}
	buf_reset(&e->after);
	if (differ)
		ask_records(e);
	else
		next_partition(e);
}

/* The one at `at` is done, or lacks something that cannot be stored: the others go on. */
static void next_partition(struct exchanging *e)
{
	if (e->lacking)
		e->partitions[e->bad++] = e->partitions[e->at];
	else
		syncing_done(e, e->partitions[e->at]);
	e->lacking = false;
	e->at++;
	if (e->at < e->count)
		ask_buckets(e);
	else
		over(e);
}

/* digests */

static void ask_digests(struct exchanging *e)
{
	buf_reset(&e->question);
	exchange_pack_digests(&e->question, e->partitions, e->count);
	ask_own(e);
}

/* Those that are equal are done; the others stay. */
static void compare(struct exchanging *e, const struct exchange *answer)
{
	size_t left = 0;

	for (size_t i = 0; i < e->count; i++) {
		struct exchange_digest theirs = exchange_digest(answer, i);

		if (theirs.digest == e->digests[i] || theirs.digest == 0)
			syncing_done(e, e->partitions[i]);
		else
			e->partitions[left++] = e->partitions[i];
	}
	e->count = left;
	if (left > 0)
		ask_buckets(e);
	else
		over(e);
}

static bool about_the_same(const struct exchanging *e, const struct exchange *answer)
{
	if (answer->count != e->count)
		return false;
	for (size_t i = 0; i < e->count; i++)
		if (exchange_digest(answer, i).partition != e->partitions[i])
			return false;
	return true;
}

static void digests_came(struct exchanging *e, const struct exchange *answer)
{
	if (!about_the_same(e, answer)) {
		over(e);
		return;
	}
	if (!e->own) {
		compare(e, answer);
		return;
	}
	for (size_t i = 0; i < e->count; i++)
		e->digests[i] = exchange_digest(answer, i).digest;
	ask_peer(e);
}

static void answer_came(struct exchanging *e, const struct exchange *answer)
{
	unsigned partition = e->partitions[e->at];

	if (answer->kind == EXCHANGE_DIGESTS_ARE && e->at == 0)
		digests_came(e, answer);
	else if (answer->kind == EXCHANGE_BUCKETS_ARE && answer->partition == partition)
		buckets_came(e, answer);
	else if (answer->kind == EXCHANGE_RECORDS_ARE && answer->partition == partition && !e->own)
		records_came(e, answer);
	else
		over(e);
}

void exchanging_start(struct exchanging *e)
{
	ask_digests(e);
}
