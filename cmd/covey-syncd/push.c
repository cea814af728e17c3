/*
 * push - PUSH: one content to its keepers
 *
 * As many keepers as are wanted are given it at once, in their order, those
 * that failed lately last.  One that refuses or breaks off is replaced by
 * the next; one that is silent for too long gets the next tried beside it.
 * The body is read from a descriptor that may still grow; then what it is
 * is told at the end (peer_http.h).
 *
 * Where that is to pay (delta.c), a content goes coded by the version
 * before, which its keepers have.  One that still grows is not begun to be given
 * to them: it cannot be coded before it is whole.  Whoever does not take it
 * coded, or not in time, is given it at once as it is.
 *
 * A push that somebody asked for is a job of its own; the drain pushes within
 * its own.
 */
#include "syncd.h"

#include "clock.h"
#include "container.h"
#include "mem.h"
#include "peer_http.h"

#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#define HURRY_MS 30			/* at least, before the next is tried beside */
#define HURRY_FACTOR 4			/* of the usual time */
#define MIB_MS 60			/* more for each MiB */
#define PROBES 4			/* pushes at once to a keeper that failed lately */
#define EARLY_BYTES (256u << 10)	/* a larger body is not sent to one that has it */
#define HELD_BYTES (1u << 20)		/* that an upload may be ahead of its push, which is then held back no more */
#define UNNAMED_MAX (PUSH_THREADS / 2)	/* pushes whose body still comes, from clients that may be slow */

enum try_state {
	TRY_IDLE,
	TRY_RUNNING,
	TRY_FAILED,
	TRY_NEEDLESS,			/* it keeps newer ones instead */
	TRY_HAS,
};

/* One keeper. */
struct push_try {
	struct push *push;
	struct fetch fetch;
	uint64_t node;
	enum try_state state;
	uint64_t since;			/* ms, monotonic: when it was given all, or will count from */
	int status;			/* its answer's */
	bool unnamed;			/* it began before the push was named */
	bool coded;			/* it is given it coded; */
	bool as_it_is;			/* it was, to no avail */
};

struct push {
	struct worker *worker;		/* whose thread it is */
	struct link link;
	struct fetch_set *fetches;
	struct buf path, type;
	struct record record;		/* none before it is named */
	int fd;				/* the content */
	uint64_t available;		/* bytes of it */
	struct push_try tries[HOLDERS_MAX];
	size_t count, wanted;
	bool awaited;			/* somebody waits for an end */
	uint64_t hurry;			/* ms, monotonic: then the next is tried beside those that are silent */
	struct coded_content coded;
	bool has_older;			/* there is something to code it by */
	struct job encoding;		/* beside: others are being given it meanwhile */
	bool coding;			/* that runs: those that are not tried yet will be */
	uint64_t began;			/* us, monotonic: when it was set */
	uint64_t sent;			/* of available, what the tries know */
	bool sent_name;			/* and that it is named */
};

/* how pushes went */

#define LATE_MS 5000			/* how long a push that failed is remembered */
#define USUAL_SHARE 8			/* of a new measurement in the usual time: one in so many */

struct push_peer {
	uint64_t id;
	uint64_t usual;			/* ms; 0: not known */
	uint64_t late;			/* ms, monotonic: until then it is tried last */
};

struct push_peers {
	struct push_peer list[LAYOUT_MEMBERS_MAX];
	size_t count;
};

static struct push_peer *push_peer_find(const struct syncd *d, uint64_t id)
{
	for (size_t i = 0; d->push_peers != NULL && i < d->push_peers->count; i++)
		if (d->push_peers->list[i].id == id)
			return &d->push_peers->list[i];
	return NULL;
}

/* The oldest is forgotten for it when there is no room. */
static struct push_peer *push_peer_add(struct syncd *d, uint64_t id)
{
	struct push_peer *peer = push_peer_find(d, id);
	struct push_peers *all;

	if (peer != NULL)
		return peer;
	if (d->push_peers == NULL)
		d->push_peers = mem_new(1, sizeof *d->push_peers);
	all = d->push_peers;
	if (all->count == LAYOUT_MEMBERS_MAX)
		memmove(&all->list[0], &all->list[1], --all->count * sizeof all->list[0]);
	peer = &all->list[all->count++];
	*peer = (struct push_peer){ .id = id };
	return peer;
}

void push_took(struct syncd *d, uint64_t id, uint64_t ms)
{
	struct push_peer *peer = push_peer_add(d, id);

	peer->late = 0;
	peer->usual = peer->usual == 0 ? ms + 1 :
		      (peer->usual * (USUAL_SHARE - 1) + ms) / USUAL_SHARE + 1;
}

void push_forgive(struct syncd *d, uint64_t id)
{
	struct push_peer *peer = push_peer_find(d, id);

	if (peer != NULL)
		peer->late = 0;
}

bool push_is_late(const struct syncd *d, uint64_t id)
{
	const struct push_peer *peer = push_peer_find(d, id);

	return peers_sick(d->peers, id) || (peer != NULL && peer->late > clock_mono_ms());
}

/* keepers */

static bool push_is_named(const struct push *p)
{
	return !version_is_none(p->record.version);
}

static size_t count_of(const struct push *p, enum try_state state)
{
	size_t count = 0;

	for (size_t i = 0; i < p->count; i++)
		count += p->tries[i].state == state;
	return count;
}

/* As many as were wanted have it, or nobody is left to try. */
static bool push_is_over(const struct push *p)
{
	return push_is_named(p) &&
	       (count_of(p, TRY_HAS) >= p->wanted ||
		(count_of(p, TRY_RUNNING) == 0 && count_of(p, TRY_IDLE) == 0));
}

uint64_t push_patience_ms(const struct syncd *d, uint64_t id)
{
	const struct push_peer *peer = push_peer_find(d, id);
	uint64_t usual = peer != NULL ? HURRY_FACTOR * peer->usual : 0;

	return usual > HURRY_MS ? usual : HURRY_MS;
}

static uint64_t patience_ms(const struct push *p, const struct push_try *t)
{
	return push_patience_ms(p->worker->daemon, t->node) + (p->available >> 20) * MIB_MS;
}

/* How long it may take to put it on disk there. */
static uint64_t answer_ms(const struct push *p)
{
	return p->worker->daemon->push_ms + (p->available >> 20) * MIB_MS;
}

static void record_text(const struct push *p, struct buf *text)
{
	record_format(text, &p->record, buf_str(&p->type));
}

/* It was silent lately, and some are trying it already.  One that refuses is soon done with each. */
static bool is_crowded(const struct syncd *d, uint64_t node)
{
	size_t count = 0;

	if (!peers_sick(d->peers, node))
		return false;
	LIST_EACH(const struct push, p, &d->pushes, link)
		for (size_t i = 0; i < p->count; i++)
			count += p->tries[i].node == node && p->tries[i].state == TRY_RUNNING;
	return count >= PROBES;
}

/* one try */

static int try_head(struct fetch *fetch, const struct fetch_head *head, struct err *err)
{
	struct push_try *t = CONTAINER_OF(fetch, struct push_try, fetch);
	struct syncd *d = t->push->worker->daemon;

	syncd_lock(d);
	peers_note(d->peers, t->node, NULL);
	syncd_unlock(d);
	t->status = head->status;
	if (t->status == 200 && t->push->sent > EARLY_BYTES)
		return err_set(err, ERR_EXISTS, "push: the keeper has it already");
	return 0;
}

/* Of what is given, and how; the texts have to last. */
static size_t try_fields(const struct push_try *t, struct str record, char version[VERSION_TEXT],
			 struct sign_part ret[FETCH_FIELDS_MAX])
{
	const struct coded_content *coded = &t->push->coded;
	size_t n = 0;

	ret[n++] = (struct sign_part){ STR(PEER_PUSH), record };
	if (!t->coded)
		return n;
	ret[n++] = (struct sign_part){ STR("Content-Encoding"), str_of(coding_name(coded->coding)) };
	if (coded->coding == CODING_DCZ)
		ret[n++] = (struct sign_part){ STR(PEER_DICTIONARY), str_of(version_format(version, coded->by)) };
	return n;
}

static void try_start(struct push_try *t)
{
	struct push *p = t->push;
	struct syncd *d = p->worker->daemon;
	bool named = push_is_named(p);
	struct buf target = BUF_INIT, record = BUF_INIT;
	struct sign_part fields[FETCH_FIELDS_MAX];
	char version[VERSION_TEXT];

	path_to_target(&target, buf_str(&p->path), false);
	if (named)
		record_text(p, &record);
	else
		buf_adds(&record, PEER_PUSH_LATER);
	t->coded = p->coded.fd >= 0 && !t->as_it_is;
	t->status = 0;
	t->unnamed = !named;
	t->since = clock_mono_ms();
	t->fetch = (struct fetch){
		.method = FETCH_PUT, .peer = peers_http(d->peers, t->node),
		.target = buf_str(&target), .fields = fields,
		.field_count = try_fields(t, buf_str(&record), version, fields), .node = t->node,
		.fd = t->coded ? p->coded.fd : p->fd, .available = t->coded ? p->coded.size : p->available,
		.last = named,
		.first_byte_ms = answer_ms(p), .stall_ms = d->stall_ms, .head = try_head,
	};
	p->sent = p->available;
	/* One that does not answer is not to have a connection of every writer. */
	t->state = t->fetch.peer != NULL && !is_crowded(d, t->node) &&
		   fetch_start(p->fetches, &t->fetch, NULL) == 0 ? TRY_RUNNING : TRY_FAILED;
	buf_clear(&target);
	buf_clear(&record);
}

/*
 * This one is to be given it coded, once it is whole.  Where what has come so
 * far could be there by now, whoever uploads it is the slower: then it goes as it comes.
 */
static bool try_is_held(const struct push_try *t)
{
	const struct push *p = t->push;
	struct syncd *d = p->worker->daemon;
	uint64_t now = clock_mono_ms();

	if (push_is_named(p))
		return p->coding;
	if (!p->has_older || p->available > CODING_MOST)
		return false;
	return d->delta == CONF_DELTA_ON ||
	       clock_mono_us() - p->began < pace_us(&d->pace, t->node, p->available + HELD_BYTES, now);
}

/* The next to try: in order, those that failed lately after the others. */
static struct push_try *next_try(struct push *p)
{
	struct push_try *late = NULL;

	for (size_t i = 0; i < p->count; i++) {
		struct push_try *t = &p->tries[i];

		if (t->state != TRY_IDLE || try_is_held(t))
			continue;
		if (!push_is_late(p->worker->daemon, t->node))
			return t;
		if (late == NULL)
			late = t;
	}
	return late;
}

/* False: nobody is left. */
static bool start_one(struct push *p)
{
	struct push_try *t;

	while ((t = next_try(p)) != NULL) {
		try_start(t);
		if (t->state == TRY_RUNNING)
			return true;
	}
	return false;
}

/* Until as many are under way as are still wanted. */
static void start_wanted(struct push *p)
{
	if (!p->awaited && push_is_named(p))
		return;
	while (count_of(p, TRY_HAS) + count_of(p, TRY_RUNNING) < p->wanted)
		if (!start_one(p))
			break;
}

static void set_hurry(struct push *p)
{
	uint64_t longest = 0;

	for (size_t i = 0; i < p->count; i++)
		if (p->tries[i].state == TRY_RUNNING && patience_ms(p, &p->tries[i]) > longest)
			longest = patience_ms(p, &p->tries[i]);
	p->hurry = longest > 0 ? clock_mono_ms() + longest : NEVER;
}

static enum try_state try_result(const struct push_try *t)
{
	if (t->fetch.err.kind != ERR_NONE && t->fetch.err.kind != ERR_EXISTS)
		return TRY_FAILED;
	return t->status == 200 || t->status == 201 ? TRY_HAS :
	       t->status == 410 ? TRY_NEEDLESS : TRY_FAILED;
}

/* Coded it was not taken: at once as it is, unless there is no way to it. */
static bool try_again(struct push_try *t)
{
	struct syncd *d = t->push->worker->daemon;

	if (t->state != TRY_FAILED || !t->coded || worker_is_cut(t->push->worker) ||
	    (t->status == 0 && t->fetch.err.kind == ERR_AWAY))
		return false;
	delta_went_again(d);
	t->as_it_is = true;
	try_start(t);
	return t->state == TRY_RUNNING;
}

static void try_over(struct push_try *t)
{
	struct push *p = t->push;
	struct syncd *d = p->worker->daemon;

	t->state = try_result(t);
	delta_note_sent(d, t->node, &t->fetch);
	if (try_again(t)) {
		set_hurry(p);
		return;
	}
	if (t->state == TRY_HAS && t->coded && t->status == 201)
		delta_count(d->counts, DELTA_PUSH, p->record.size, p->coded.size);
	if (t->state == TRY_FAILED && t->fetch.err.kind != ERR_NONE)
		peers_note(d->peers, t->node, &t->fetch.err);
	if (t->state == TRY_FAILED && t->unnamed && push_is_named(p)) {
		/* the network may have lost it long ago: once more, with the whole */
		t->unnamed = false;
		t->state = TRY_IDLE;
	} else if (t->state == TRY_HAS) {
		push_took(d, t->node, clock_mono_ms() - t->since);
	} else if (t->state == TRY_FAILED) {
		push_peer_add(d, t->node)->late = clock_mono_ms() + LATE_MS;
	}
}

/* It is there, and is still to be given it. */
static bool try_is_to_come(const struct push_try *t)
{
	const struct syncd *d = t->push->worker->daemon;

	return t->state == TRY_IDLE && peers_http(d->peers, t->node) != NULL && peers_up(d->peers, t->node) &&
	       !push_is_late(d, t->node);
}

static void encode_work(struct job *job)
{
	struct push *p = CONTAINER_OF(job, struct push, encoding);
	struct syncd *d = p->worker->daemon;
	struct coded_content coded = CODED_CONTENT_INIT;

	syncd_lock(d);
	coded_content_make(d, &coded, buf_str(&p->path), &p->record, p->fd);
	p->coded = coded;
	p->coding = false;
	worker_wake(p->worker);
	syncd_unlock(d);
}

/* For those who are still to be given it, all of it being there: they wait for that. */
static void push_encode(struct push *p)
{
	bool pays = false;

	for (size_t i = 0; i < p->count && !pays && count_of(p, TRY_RUNNING) + count_of(p, TRY_HAS) < p->wanted; i++)
		pays = try_is_to_come(&p->tries[i]) &&
		       delta_pays(p->worker->daemon, p->tries[i].node, p->record.size);
	if (!pays)
		return;
	p->coding = true;
	p->encoding = (struct job){ .work = encode_work };
	pool_submit(p->worker->daemon->coders, &p->encoding);
}

/* Cut or not. */
static void encode_await(struct push *p)
{
	while (p->coding)
		pthread_cond_wait(&p->worker->wake, &p->worker->daemon->lock);
}

/* Of one that is still to come. */
static void push_look_for_older(struct push *p)
{
	struct syncd *d = p->worker->daemon;
	struct store_entry older = STORE_ENTRY_INIT;
	bool pays = d->delta == CONF_DELTA_ON;

	for (size_t i = 0; i < p->count && !pays && d->delta == CONF_DELTA_AUTO; i++)
		pays = delta_pays(d, p->tries[i].node, CODING_MOST);
	if (!pays || d->keys.count == 0)
		return;
	syncd_unlock(d);
	pays = dictionary_find(d, buf_str(&p->path), VERSION_NONE, &older) == 0;
	store_entry_clear(&older);
	syncd_lock(d);
	p->has_older = pays;
}

/* The body has grown, or is whole, and named. */
static void feed_tries(struct push *p)
{
	struct sign_part trailer = { STR(PEER_VERSION), STR_INIT };
	bool name = push_is_named(p) && !p->sent_name;
	struct buf text = BUF_INIT;

	if (name)
		record_text(p, &text);
	trailer.value = buf_str(&text);
	for (size_t i = 0; i < p->count; i++) {
		struct push_try *t = &p->tries[i];

		if (t->state == TRY_RUNNING && p->available > p->sent)
			fetch_more(&t->fetch, p->available);
		if (!name)
			continue;
		t->since = clock_mono_ms();
		t->fetch.first_byte_ms = answer_ms(p);
		if (t->state == TRY_RUNNING)
			fetch_last(&t->fetch, &trailer, 1);
		else if (t->state == TRY_FAILED)
			t->state = TRY_IDLE;
	}
	p->sent = p->available;
	p->sent_name = p->sent_name || name;
	buf_clear(&text);
	if (name)
		push_encode(p);
	if (name || !push_is_named(p))
		start_wanted(p);
	if (name)
		set_hurry(p);
}

/* all keepers */

static void push_set(struct push *p, struct worker *w, const struct sync_push *wanted, int fd,
		     uint64_t available)
{
	p->worker = w;
	p->fd = fd;
	p->available = available;
	p->record = wanted->record;
	p->wanted = wanted->wanted;
	p->awaited = true;
	p->hurry = NEVER;
	p->began = clock_mono_us();
	p->coded = (struct coded_content)CODED_CONTENT_INIT;
	buf_addstr(&p->path, wanted->path);
	buf_addstr(&p->type, wanted->type);
	for (size_t i = 0; i < wanted->keeper_count; i++)
		if (wanted->keepers[i] != store_node(w->daemon->store))
			p->tries[p->count++] = (struct push_try){ .push = p, .node = wanted->keepers[i] };
	list_append(&w->daemon->pushes, &p->link);
}

static void push_clear(struct push *p)
{
	encode_await(p);
	list_remove(&p->link);
	fetch_close(p->fetches);
	coded_content_clear(&p->coded);
	buf_clear(&p->path);
	buf_clear(&p->type);
}

static void push_begin(struct push *p)
{
	p->fetches = fetch_open(p->worker->daemon->fetcher, NULL);
	if (p->fetches == NULL) {
		for (size_t i = 0; i < p->count; i++)
			p->tries[i].state = TRY_FAILED;
		return;
	}
	p->sent_name = push_is_named(p);
	if (push_is_named(p))
		push_encode(p);
	else
		push_look_for_older(p);
	start_wanted(p);
	if (push_is_named(p))
		set_hurry(p);
}

/* Wait for what comes next, no longer than to this time, and see to it. */
static void push_go_on(struct push *p, uint64_t due)
{
	bool coding = p->coding;
	struct fetch *over;

	if (p->fetches == NULL) {
		worker_wait(p->worker, due);
		return;
	}
	over = worker_await(p->worker, p->fetches, p->hurry < due ? p->hurry : due);
	feed_tries(p);
	if (coding && !p->coding && p->awaited) {
		start_wanted(p);
		set_hurry(p);
	}
	if (over != NULL) {
		try_over(CONTAINER_OF(over, struct push_try, fetch));
		start_wanted(p);
	} else if (clock_mono_ms() >= p->hurry) {
		p->hurry = NEVER;
		if (start_one(p))
			set_hurry(p);
	}
}

bool push_to_all(struct worker *w, const struct sync_push *wanted, int fd)
{
	struct push p = { .path = BUF_INIT, .type = BUF_INIT };
	bool all;

	push_set(&p, w, wanted, fd, wanted->record.size);
	push_begin(&p);
	while (!push_is_over(&p) && !worker_is_cut(w))
		push_go_on(&p, NEVER);
	all = count_of(&p, TRY_HAS) + count_of(&p, TRY_NEEDLESS) == p.count;
	push_clear(&p);
	return all;
}

/* How far all pushes of this content have got with a keeper. */
static enum try_state keeper_state(const struct syncd *d, const struct sync_push *wanted, uint64_t node)
{
	enum try_state state = TRY_IDLE;

	LIST_EACH(const struct push, p, &d->pushes, link) {
		if (version_cmp(p->record.version, wanted->record.version) != 0 ||
		    !str_eq(buf_str(&p->path), wanted->path))
			continue;
		for (size_t i = 0; i < p->count; i++) {
			const struct push_try *t = &p->tries[i];

			if (t->node == node && (t->state == TRY_HAS || t->state == TRY_NEEDLESS))
				return t->state;
			if (t->node == node && (t->state == TRY_RUNNING || (t->state == TRY_IDLE && p->coding)))
				state = TRY_RUNNING;
		}
	}
	return state;
}

bool push_is_under_way(const struct syncd *d, const struct sync_push *wanted)
{
	bool running = false;

	for (size_t i = 0; i < wanted->keeper_count; i++) {
		uint64_t node = wanted->keepers[i];
		enum try_state state = keeper_state(d, wanted, node);

		if (state == TRY_IDLE && peers_up(d->peers, node))
			return false;
		running = running || state == TRY_RUNNING;
	}
	return running;
}

/* PUSH, PUSH_BEGIN, PUSH_MORE, PUSH_NAME, PUSH_DROP */

struct push_job {
	struct asked asked;
	struct push push;
	uint64_t token;			/* of PUSH_BEGIN; else 0 */
	uint64_t token_due;		/* ms, monotonic: its writer lives, or will have to begin anew */
};

static void push_answer(struct push_job *j)
{
	struct sync_have have = { .count = 0 };
	struct push *p = &j->push;
	struct buf body = BUF_INIT;
	struct err err;

	for (size_t i = 0; i < p->count; i++)
		if (p->tries[i].state == TRY_HAS)
			have.nodes[have.count++] = p->tries[i].node;
	if (have.count > 0) {
		sync_have_pack(&body, &have);
		asker_answer(&j->asked.asker, SYNC_HAVE, buf_str(&body));
	} else if (j->asked.worker.daemon->leaving) {
		asker_end(&j->asked.asker);
	} else {
		err_set(&err, ERR_AWAY, "push: no keeper took it");
		asker_fail(&j->asked.asker, &err);
	}
	buf_clear(&body);
	p->awaited = false;
	p->hurry = NEVER;
}

/* Whoever waited does no more: those keepers that are being given it still get it. */
static void push_asker_gone(struct serve_request *request)
{
	struct push_job *j = request->data;

	j->asked.asker.request = NULL;
	j->push.awaited = false;
	j->push.hurry = NEVER;
	worker_wake(&j->asked.worker);
}

/* What is not named is nobody's yet; of the rest the outbox knows. */
static void push_run(struct worker *w)
{
	struct push_job *j = CONTAINER_OF(w, struct push_job, asked.worker);
	struct push *p = &j->push;

	push_begin(p);
	while (!worker_is_cut(w)) {
		if (push_is_over(p) && p->awaited)
			push_answer(j);
		if (push_is_named(p) && !p->awaited && count_of(p, TRY_RUNNING) == 0)
			break;
		if (!push_is_named(p) && clock_mono_ms() >= j->token_due)
			break;
		push_go_on(p, push_is_named(p) ? NEVER : j->token_due);
	}
	if (p->awaited && push_is_named(p))
		push_answer(j);
}

static void push_release(struct worker *w)
{
	struct push_job *j = CONTAINER_OF(w, struct push_job, asked.worker);

	push_clear(&j->push);
	close(j->push.fd);
	free(j);
}

static void push_await(struct push_job *j, struct serve_request *request)
{
	j->asked.asker.request = request;
	request->data = j;
	request->gone = push_asker_gone;
}

/* The descriptor that came along, of a file with at least so many bytes. */
static int take_fd(struct frame *frame, uint64_t bytes, struct err *err)
{
	struct stat st;
	int fd;

	if (frame->fd_count != 1 || fstat(frame->fds[0], &st) < 0 || !S_ISREG(st.st_mode) ||
	    (uint64_t)st.st_size < bytes)
		return err_set(err, ERR_INVALID, "push: no descriptor of the content");
	fd = frame->fds[0];
	frame->fds[0] = -1;
	return fd;
}

static struct push_job *push_new(struct syncd *d, const struct sync_push *wanted, int fd,
				 uint64_t available)
{
	struct push_job *j = mem_new(1, sizeof *j);

	j->asked.worker = (struct worker){ .daemon = d, .run = push_run, .release = push_release };
	push_set(&j->push, &j->asked.worker, wanted, fd, available);
	return j;
}

void push_start(struct syncd *d, struct serve_request *request, const struct sync_push *wanted,
		int fd)
{
	struct push_job *j = push_new(d, wanted, fd, wanted->record.size);

	if (request != NULL)
		push_await(j, request);
	else
		j->push.awaited = false;
	worker_start(d, &j->asked.worker, d->push_threads);
}

int request_push(struct syncd *d, struct serve_request *request, struct frame *frame, struct err *err)
{
	struct sync_push wanted;
	int fd;

	if (sync_push_unpack(frame->body, &wanted, err) < 0)
		return -1;
	if (version_is_none(wanted.record.version))
		return err_set(err, ERR_INVALID, "push: no record");
	fd = take_fd(frame, wanted.record.size, err);
	if (fd < 0)
		return -1;
	if (!give_start(d, request, &wanted, fd))
		push_start(d, request, &wanted, fd);
	return 0;
}

static void keep_token(struct push_job *j)
{
	const struct syncd *d = j->asked.worker.daemon;

	j->token_due = clock_mono_ms() + 2 * d->service->conf->limits.idle_timeout_ms;
}

static size_t count_unnamed(const struct syncd *d)
{
	size_t count = 0;

	LIST_EACH(const struct push, p, &d->pushes, link)
		count += !push_is_named(p);
	return count;
}

int request_push_begin(struct syncd *d, struct serve_request *request, struct frame *frame,
		       struct err *err)
{
	struct asker asker = { .request = request };
	struct buf body = BUF_INIT;
	struct sync_push wanted;
	struct push_job *j;
	int fd;

	if (sync_push_unpack(frame->body, &wanted, err) < 0)
		return -1;
	if (!version_is_none(wanted.record.version))
		return err_set(err, ERR_INVALID, "begin push: it has a record");
	if (count_unnamed(d) >= UNNAMED_MAX)
		return err_set(err, ERR_AWAY, "begin push: too many are under way");
	fd = take_fd(frame, 0, err);
	if (fd < 0)
		return -1;
	j = push_new(d, &wanted, fd, 0);
	do
		randombytes_buf(&j->token, sizeof j->token);
	while (j->token == 0);
	keep_token(j);
	worker_start(d, &j->asked.worker, d->push_threads);
	sync_token_pack(&body, j->token);
	asker_answer(&asker, SYNC_TOKEN, buf_str(&body));
	buf_clear(&body);
	return 0;
}

static struct push_job *find_token(const struct syncd *d, uint64_t token, struct err *err)
{
	LIST_EACH(struct worker, w, &d->workers, link) {
		struct push_job *j = CONTAINER_OF(w, struct push_job, asked.worker);

		if (w->run == push_run && j->token == token && !push_is_named(&j->push) &&
		    !worker_is_cut(w))
			return j;
	}
	err_set(err, ERR_ABSENT, "push: the token is not known");
	return NULL;
}

static void push_more(struct push_job *j, uint64_t available)
{
	if (available > j->push.available)
		j->push.available = available;
	worker_wake(&j->asked.worker);
}

int request_push_more(struct syncd *d, struct serve_request *request, struct frame *frame,
		      struct err *err)
{
	struct sync_more more;
	struct push_job *j;

	if (sync_more_unpack(frame->body, &more, err) < 0)
		return -1;
	j = find_token(d, more.token, err);
	if (j == NULL)
		return -1;
	keep_token(j);
	push_more(j, more.bytes);
	request_done(request);
	return 0;
}

int request_push_name(struct syncd *d, struct serve_request *request, struct frame *frame,
		      struct err *err)
{
	struct sync_name name;
	struct push_job *j;

	if (sync_name_unpack(frame->body, &name, err) < 0)
		return -1;
	j = find_token(d, name.token, err);
	if (j == NULL)
		return -1;
	push_await(j, request);
	j->push.record = name.record;
	buf_reset(&j->push.type);
	buf_addstr(&j->push.type, name.type);
	push_more(j, name.record.size);
	return 0;
}

int request_push_drop(struct syncd *d, struct serve_request *request, struct frame *frame,
		      struct err *err)
{
	struct push_job *j;
	uint64_t token;

	if (sync_token_unpack(frame->body, &token, err) < 0)
		return -1;
	j = find_token(d, token, NULL);
	if (j != NULL)
		worker_cut(&j->asked.worker);
	request_done(request);
	return 0;
}
