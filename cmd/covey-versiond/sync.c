/*
 * sync - SYNC: what another home, or this node's own syncd, wants to compare;
 * and NEWEST, of a node that holds what it is no home of
 *
 * Answered in a pool of one thread, so that a long survey holds up no
 * CHECK, and at the epoch it was asked at: STALE when this node's layout is
 * newer, nothing when it is older.  It is compared again before the answer
 * goes out, as a home does after a commit.  As many wait as a group has
 * members, who ask one thing at a time; more are refused, and will ask again.
 */
#include "versiond.h"

#include "bulk.h"
#include "container.h"
#include "exchange.h"
#include "holdings.h"
#include "mem.h"

#include <stdatomic.h>

#define SYNCS_MAX LAYOUT_MEMBERS_MAX	/* of others, at once */

struct syncing {
	struct talk_waiting waiting;
	struct job job;
	struct versiond *versiond;
	struct serve_request *request;	/* NULL: its asker is gone, */
	atomic_bool abandoned;		/* which the survey pool's thread may see too */
	uint64_t epoch;
	uint32_t keep;
	struct bulk ask;		/* without its body, which is */
	struct buf question;
	struct buf answer;		/* its body */
	bool failed;
	struct err err;
};

/* on the survey pool's thread */

static int digests_are(struct surveys *s, const struct exchange *ask, struct buf *answer,
		       struct err *err)
{
	struct exchange_digest *list = mem_new(ask->count + 1, sizeof *list);
	const struct digests *digests;
	int rc = 0;

	for (size_t i = 0; i < ask->count && rc == 0; i++) {
		list[i].partition = exchange_partition(ask, i);
		rc = surveys_digests(s, list[i].partition, &digests, &list[i].digest, err);
	}
	if (rc == 0)
		exchange_pack_digests_are(answer, list, ask->count);
	free(list);
	return rc;
}

static int buckets_are(struct surveys *s, const struct exchange *ask, struct buf *answer,
		       struct err *err)
{
	const struct digests *digests;
	uint64_t sum;

	if (surveys_digests(s, ask->partition, &digests, &sum, err) < 0)
		return -1;
	exchange_pack_buckets_are(answer, ask->partition, digests);
	return 0;
}

/* What is durable here; of a path where a person's file stands nothing can be told. */
static int newest_here(void *data, struct str path, struct record *ret,
		       char type[RECORD_TYPE_MAX + 1])
{
	struct store_entry entry = STORE_ENTRY_INIT;
	struct versiond *v = data;
	int rc = store_newest(v->service->store, path, STORE_RECORD, &entry, NULL);

	if (rc == 0 && entry.foreign)
		rc = -1;
	if (rc == 0) {
		*ret = entry.record;
		memcpy(type, entry.type, sizeof entry.type);
	}
	store_entry_clear(&entry);
	return rc;
}

static int newest_are(struct syncing *syncing, struct err *err)
{
	if (holdings_answer(buf_str(&syncing->question), newest_here, syncing->versiond,
			    &syncing->answer) == 0)
		return 0;
	return err_set(err, ERR_INVALID, "read NEWEST: malformed");
}

static int answer(struct syncing *syncing, struct err *err)
{
	struct surveys *s = syncing->versiond->surveys;
	struct exchange ask;

	if (syncing->ask.type == BULK_NEWEST)
		return newest_are(syncing, err);
	if (exchange_unpack(buf_str(&syncing->question), &ask) < 0)
		return err_set(err, ERR_INVALID, "read SYNC: malformed");
	if (surveys_begin(s, syncing->epoch, syncing->keep, err) < 0)
		return -1;
	if (ask.kind == EXCHANGE_DIGESTS)
		return digests_are(s, &ask, &syncing->answer, err);
	if (ask.kind == EXCHANGE_BUCKETS)
		return buckets_are(s, &ask, &syncing->answer, err);
	if (ask.kind == EXCHANGE_RECORDS)
		return surveys_rows(s, &ask.ask, &syncing->answer, err);
	return err_set(err, ERR_INVALID, "read SYNC: an answer, not a question");
}

static void work(struct job *job)
{
	struct syncing *syncing = CONTAINER_OF(job, struct syncing, job);

	if (!atomic_load(&syncing->abandoned))
		syncing->failed = answer(syncing, &syncing->err) < 0;
}

/* on the loop's thread */

static void reply(struct versiond *v, struct serve_request *request, const struct bulk *ask,
		  enum bulk_type type, struct str body)
{
	struct bulk bulk = bulk_answer(ask);
	struct buf message = BUF_INIT;

	bulk.group = v->home.group;
	bulk.lineage = v->home.layout.lineage;
	bulk.epoch = v->home.layout.epoch;
	bulk.type = type;
	bulk.body = body;
	bulk_pack(&message, &bulk);
	serve_reply(request, VERSION_TALK_SYNCED, buf_str(&message), NULL, 0);
	serve_end(request);
	buf_clear(&message);
	talk_ended(v);
}

static void finish(struct syncing *syncing)
{
	struct versiond *v = syncing->versiond;
	struct serve_request *request = syncing->request;

	if (request == NULL)
		return;
	request->data = NULL;
	if (syncing->epoch != v->home.layout.epoch) {
		reply(v, request, &syncing->ask, BULK_STALE, STR(""));
	} else if (syncing->failed) {
		serve_fail(request, &syncing->err);
		talk_ended(v);
	} else {
		reply(v, request, &syncing->ask,
		      syncing->ask.type == BULK_NEWEST ? BULK_NEWEST_ARE : BULK_SYNCED,
		      buf_str(&syncing->answer));
	}
}

static void done(struct job *job)
{
	struct syncing *syncing = CONTAINER_OF(job, struct syncing, job);
	struct versiond *v = syncing->versiond;

	finish(syncing);
	buf_clear(&syncing->question);
	buf_clear(&syncing->answer);
	free(syncing);
	v->syncs--;
	versiond_returned(v);
}

static void gone(struct talk_waiting *waiting)
{
	struct syncing *syncing = CONTAINER_OF(waiting, struct syncing, waiting);

	syncing->request = NULL;
	atomic_store(&syncing->abandoned, true);
}

static void begin(struct versiond *v, struct serve_request *request, const struct bulk *ask)
{
	struct syncing *syncing = mem_new(1, sizeof *syncing);

	syncing->versiond = v;
	syncing->request = request;
	syncing->epoch = v->home.layout.epoch;
	syncing->keep = v->home.layout.keep_versions;
	buf_addstr(&syncing->question, ask->body);
	syncing->ask = *ask;
	syncing->ask.body = (struct str)STR_INIT;
	syncing->waiting.gone = gone;
	request->data = &syncing->waiting;
	syncing->job.work = work;
	syncing->job.done = done;
	v->syncs++;
	versiond_submit(v, v->survey_pool, &syncing->job);
}

/* Whether this node may answer: 1 yes, 0 with STALE, -1 not at all. */
static int judge(struct versiond *v, const struct bulk *ask, struct err *err)
{
	const struct member *sender = v->view == NULL ? NULL :
				      members_find(&view_client_view(v->view)->members, ask->sender);

	if (ask->type != BULK_SYNC && ask->type != BULK_NEWEST)
		return err_set(err, ERR_INVALID, "read SYNC: another kind of message");
	if (v->home.layout.epoch != 0 && ask->lineage != v->home.layout.lineage)
		return err_set(err, ERR_DENIED, "answer SYNC: it is of another group");
	if (ask->epoch < v->home.layout.epoch)
		return 0;
	if (ask->epoch > v->home.layout.epoch) {
		if (sender != NULL && sender->id != v->self.id)
			group_behind(v, ask->epoch, sender->id, &sender->discovery);
		return err_set(err, ERR_AWAY, "answer SYNC: this node's layout is older");
	}
	if (v->home.silent && ask->sender != v->self.id)
		return err_set(err, ERR_AWAY, "answer SYNC: this node has forgotten something");
	if (v->syncs >= SYNCS_MAX && ask->sender != v->self.id)
		return err_set(err, ERR_AWAY, "answer SYNC: too many wait for an answer");
	return 1;
}

/* covey-syncd opened it with one of the keys. */
static int unpack(const struct versiond *v, struct str body, struct bulk *ret)
{
	for (size_t i = 0; i < v->keys.count; i++)
		if (bulk_unpack(body, v->keys.list[i].group, v->self.id, ret) == 0)
			return 0;
	return -1;
}

int sync_request(struct versiond *v, struct serve_request *request, struct str body,
		 struct err *err)
{
	struct bulk ask;
	int verdict;

	if (unpack(v, body, &ask) < 0)
		return err_set(err, ERR_INVALID, "read SYNC: malformed");
	verdict = judge(v, &ask, err);
	if (verdict < 0)
		return -1;
	if (verdict > 0)
		begin(v, request, &ask);
	else
		reply(v, request, &ask, BULK_STALE, STR(""));
	return 0;
}
