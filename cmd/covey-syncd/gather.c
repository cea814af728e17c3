/*
 * gather - LIST and HISTORY: one question to many at once
 *
 * The homes of the directory by the asker's layout, or without one every
 * member that could answer, are asked by HTTP; each answer goes, as it
 * came, into a sealed memfd and to the asker: only one that the peer itself has
 * signed for this question, and its body too.  Peers that were silent lately are asked too, but nobody
 * waits for them once the others have answered, and where there are no others
 * no longer than a check takes.
 */
#include "syncd.h"

#include "container.h"
#include "mem.h"
#include "peer_http.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#define PART_BYTES_MAX (64u << 20)	/* of one peer's answer */
#define WHOLE_FACTOR 5			/* a whole answer may take so many times timeouts.pull */
#define HEADSTART_MS 50			/* before the asker gives up */
#define SICK_GRACE 10			/* the sick get a tenth of timeouts.pull after the others */

struct gather_peer {
	struct gathering *gathering;
	struct fetch fetch;
	uint64_t id;
	bool sick;
	bool stale;			/* it has another layout */
	uint64_t epoch;			/* it answers by this one, as a home; 0: as no home */
	struct version gate;		/* of the directory, there */
	int memfd;
	size_t bytes;
};

struct gathering {
	struct syncd *daemon;
	struct gathering *next, *prev;
	struct asker asker;
	struct timer limit;		/* of it all */
	struct timer grace;		/* for the sick, once the others are done */
	uint64_t epoch;			/* of the layout whose homes are asked; 0: all are, as none */
	struct gather_peer *peers;
	size_t count;
	size_t open, open_healthy;	/* not yet over */
	struct sync_end end;
};

static void gathering_free(struct gathering *g)
{
	struct syncd *d = g->daemon;

	for (size_t i = 0; i < g->count; i++) {
		fetch_cancel(&g->peers[i].fetch);
		if (g->peers[i].memfd >= 0)
			close(g->peers[i].memfd);
	}
	timer_stop(&g->limit);
	timer_stop(&g->grace);
	if (g->prev != NULL)
		g->prev->next = g->next;
	else
		d->gatherings = g->next;
	if (g->next != NULL)
		g->next->prev = g->prev;
	free(g->peers);
	free(g);
	syncd_rest(d);
}

static void gathering_end(struct gathering *g)
{
	struct buf body = BUF_INIT;

	sync_end_pack(&body, &g->end);
	serve_reply(g->asker.request, SYNC_END, buf_str(&body), NULL, 0);
	serve_end(g->asker.request);
	buf_clear(&body);
	gathering_free(g);
}

static void on_limit(struct timer *timer)
{
	gathering_end(CONTAINER_OF(timer, struct gathering, limit));
}

static void on_grace(struct timer *timer)
{
	gathering_end(CONTAINER_OF(timer, struct gathering, grace));
}

static void give_part(struct gather_peer *peer)
{
	struct gathering *g = peer->gathering;
	struct sync_part part = { .node = peer->id, .epoch = peer->epoch, .gate = peer->gate };
	struct buf body = BUF_INIT;

	lseek(peer->memfd, 0, SEEK_SET);
	fcntl(peer->memfd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
	sync_part_pack(&body, &part);
	serve_reply(g->asker.request, SYNC_PART, buf_str(&body), &peer->memfd, 1);
	buf_clear(&body);
	g->end.answered++;
}

/* One peer is done, for better or worse. */
static void peer_over(struct gather_peer *peer)
{
	struct gathering *g = peer->gathering;

	if (peer->memfd >= 0)
		close(peer->memfd);
	peer->memfd = -1;
	g->open--;
	g->open_healthy -= !peer->sick;
	if (g->open == 0)
		gathering_end(g);
	else if (g->open_healthy == 0)
		timer_start(g->daemon->loop, &g->grace, g->daemon->first_byte_ms / SICK_GRACE);
}

/* What it says of itself: of an answer that was asked for as a home's. */
static int take_fields(struct gather_peer *peer, struct err *err)
{
	struct str gate = fetch_field(&peer->fetch, PEER_GATE);
	uint64_t epoch;

	if (str_u64(fetch_field(&peer->fetch, PEER_EPOCH), UINT64_MAX, &epoch) < 0)
		return err_set(err, ERR_CORRUPT, "ask peer: it does not say of which layout it is");
	if (gate.n > 0 && version_parse(gate, &peer->gate, err) < 0)
		return -1;
	if (peer->gathering->epoch > 0)
		peer->epoch = epoch;
	return 0;
}

static int on_head(struct fetch *fetch, const struct fetch_head *head, struct err *err)
{
	struct gather_peer *peer = CONTAINER_OF(fetch, struct gather_peer, fetch);
	uint64_t epoch;

	peers_note(peer->gathering->daemon->peers, peer->id, NULL);
	if (head->length != FETCH_LENGTH_UNKNOWN && head->length > PART_BYTES_MAX)
		return err_set(err, ERR_TOO_LARGE, "ask peer: its answer is too long");
	peer->stale = head->status == 421;
	if (peer->stale && str_u64(fetch_field(fetch, PEER_EPOCH), UINT64_MAX, &epoch) == 0)
		peers_behind(peer->gathering->daemon->peers, peer->id, epoch);
	if (head->status != 200)
		return err_set(err, ERR_CORRUPT, "ask peer: it answers %d", head->status);
	return take_fields(peer, err);
}

static int on_body(struct fetch *fetch, const void *bytes, size_t n, struct err *err)
{
	struct gather_peer *peer = CONTAINER_OF(fetch, struct gather_peer, fetch);
	const char *at = bytes;

	if (n > PART_BYTES_MAX - peer->bytes)
		return err_set(err, ERR_TOO_LARGE, "ask peer: its answer is too long");
	peer->bytes += n;
	while (n > 0) {
		ssize_t done = write(peer->memfd, at, n);

		if (done < 0)
			return err_sys(err, "write memfd");
		at += done;
		n -= (size_t)done;
	}
	return 0;
}

static void on_end(struct fetch *fetch, const struct err *err)
{
	struct gather_peer *peer = CONTAINER_OF(fetch, struct gather_peer, fetch);

	if (err == NULL)
		give_part(peer);
	else
		peers_note(peer->gathering->daemon->peers, peer->id, err);
	peer->gathering->end.stale = peer->gathering->end.stale || peer->stale;
	peer_over(peer);
}

/* False when it could not even be asked. */
static bool ask_peer(struct gathering *g, uint64_t id, struct str target)
{
	struct gather_peer *peer = &g->peers[g->count];
	struct sign_part fields[] = { { STR(PEER_EPOCH), STR_INIT }, { STR(PEER_LINEAGE), STR_INIT } };
	struct syncd *d = g->daemon;
	char epoch[24], lineage[24];

	snprintf(epoch, sizeof epoch, "%llu", (unsigned long long)g->epoch);
	snprintf(lineage, sizeof lineage, "%016llx",
		 (unsigned long long)peers_layout(d->peers)->lineage);
	fields[0].value = str_of(epoch);
	fields[1].value = str_of(lineage);
	*peer = (struct gather_peer){
		.gathering = g, .id = id, .sick = peers_sick(d->peers, id),
		.fetch = { .peer = peers_http(d->peers, id), .target = target,
			   .fields = fields, .field_count = g->epoch > 0 ? 2 : 1, .node = id,
			   .whole = true,
			   .first_byte_ms = d->first_byte_ms, .stall_ms = d->stall_ms,
			   .head = on_head, .body = on_body, .end = on_end },
	};
	if (peer->fetch.peer == NULL)
		return false;
	peer->memfd = memfd_create("covey-part", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (peer->memfd < 0)
		return false;
	if (fetch_start(d->fetcher, &peer->fetch, NULL) < 0) {
		close(peer->memfd);
		return false;
	}
	g->count++;
	g->open++;
	g->open_healthy += !peer->sick;
	return true;
}

static void asker_gone(struct asker *asker)
{
	gathering_free(CONTAINER_OF(asker, struct gathering, asker));
}

/* In time for the asker, who would else get nothing. */
static uint64_t limit_ms(const struct syncd *d, const struct serve_request *request, bool healthy)
{
	uint64_t limit = healthy ? d->first_byte_ms * WHOLE_FACTOR : d->check_ms;
	uint64_t now = loop_now(d->loop);

	if (request->due != 0 && request->due < now + limit + HEADSTART_MS)
		limit = request->due > now + HEADSTART_MS ? request->due - now - HEADSTART_MS : 0;
	return limit;
}

static void ask_members(struct gathering *g, struct str target)
{
	const struct members *view = peers_view(g->daemon->peers);

	g->end.asked = (uint32_t)members_asked(view);
	g->peers = mem_new(view->count, sizeof *g->peers);
	for (size_t i = 0; i < view->count; i++)
		if (view->list[i].state == MEMBER_UP || view->list[i].state == MEMBER_SUSPECT)
			ask_peer(g, view->list[i].id, target);
}

static void ask_homes(struct gathering *g, const struct sync_list *list, struct str target)
{
	g->peers = mem_new(list->node_count, sizeof *g->peers);
	for (size_t i = 0; i < list->node_count; i++) {
		if (list->nodes[i] == store_node(g->daemon->store))
			continue;
		g->end.asked++;
		ask_peer(g, list->nodes[i], target);
	}
}

void gather_ask(struct syncd *d, struct serve_request *request, const struct sync_list *list,
		struct str target)
{
	struct gathering *g = mem_new(1, sizeof *g);

	g->daemon = d;
	g->epoch = list->epoch;
	g->asker = (struct asker){ .request = request, .gone = asker_gone };
	g->limit.fire = on_limit;
	g->grace.fire = on_grace;
	request->data = &g->asker;
	g->next = d->gatherings;
	if (g->next != NULL)
		g->next->prev = g;
	d->gatherings = g;
	if (list->epoch > 0)
		ask_homes(g, list, target);
	else
		ask_members(g, target);
	if (g->open == 0)
		gathering_end(g);
	else
		timer_start(d->loop, &g->limit, limit_ms(d, request, g->open_healthy > 0));
}

void gather_stop(struct syncd *d)
{
	while (d->gatherings != NULL) {
		serve_end(d->gatherings->asker.request);
		gathering_free(d->gatherings);
	}
}
