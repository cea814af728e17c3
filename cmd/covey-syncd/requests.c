/*
 * requests - LIST and HISTORY: one question to many nodes at once; RESOLVE: names to addresses
 *
 * Each is a job that ends with its answer.
 */
#include "syncd.h"

#include "clock.h"
#include "container.h"
#include "mem.h"
#include "pct.h"
#include "peer_http.h"

#include <fcntl.h>
#include <netdb.h>
#include <sys/mman.h>
#include <unistd.h>

#define PART_BYTES_MAX (64u << 20)	/* of one peer's answer */
#define NAME_BYTES_MAX 2048		/* of one name in it, with both registers */
#define WHOLE_FACTOR 5			/* a whole answer may take so many times timeouts.pull */
#define HEADSTART_MS 50			/* before the asker gives up */
#define SICK_GRACE 10			/* the sick get a tenth of timeouts.pull after the others */

/*
 * LIST and HISTORY: one question to many at once
 *
 * The homes of the directory by the asker's layout, or without one every
 * member that could answer, are asked by HTTP; each answer goes, as it
 * came, into a sealed memfd and to the asker: only one that the peer itself has
 * signed for this question, and its body too.  Peers that were silent lately are asked too, but nobody
 * waits for them once the others have answered, and where there are no others
 * no longer than a check takes.
 */

struct list_peer {
	struct list_job *job;
	struct fetch fetch;
	uint64_t id;
	bool sick;
	bool stale;			/* it has another layout */
	uint64_t epoch;			/* it answers by this one, as a home; 0: as no home */
	struct version gate;		/* of the directory, there */
	struct buf upto;		/* names behind this one it did not tell; empty: none */
	int memfd;
	size_t bytes;
};

struct list_job {
	struct asked asked;		/* with the target */
	uint64_t epoch;			/* of the layout whose homes are asked; 0: all are, as none */
	uint64_t nodes[HOLDERS_MAX];	/* those homes */
	size_t node_count;
	size_t part_max;		/* bytes of one answer */
	bool directories;		/* of an index: which window, beside what the target says */
	uint64_t as_of;			/* ms, monotonic: the names of then or later; 0: of when they are read */
	struct fetch_set *fetches;
	struct list_peer *peers;
	size_t count;
	size_t open, open_healthy;	/* not yet over */
	struct sync_end end;
};

static void list_part(struct list_peer *peer)
{
	struct list_job *l = peer->job;
	struct sync_part part = { .node = peer->id, .epoch = peer->epoch, .gate = peer->gate,
				  .upto = buf_str(&peer->upto) };
	struct buf body = BUF_INIT;

	lseek(peer->memfd, 0, SEEK_SET);
	fcntl(peer->memfd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
	sync_part_pack(&body, &part);
	if (l->asked.asker.request != NULL)
		serve_reply(l->asked.asker.request, SYNC_PART, buf_str(&body), &peer->memfd, 1);
	buf_clear(&body);
	l->end.answered++;
}

static bool buf_has(const struct buf *text, char c)
{
	return text->len > 0 && memchr(text->data, c, text->len) != NULL;
}

/* What it says of itself: of an answer that was asked for as a home's. */
static int list_fields(struct list_peer *peer, struct err *err)
{
	struct str gate = fetch_field(&peer->fetch, PEER_GATE);
	uint64_t epoch;

	if (str_u64(fetch_field(&peer->fetch, PEER_EPOCH), UINT64_MAX, &epoch) < 0)
		return err_set(err, ERR_CORRUPT, "ask peer: it does not say of which layout it is");
	if (gate.n > 0 && version_parse(gate, &peer->gate, err) < 0)
		return -1;
	if (pct_decode(&peer->upto, fetch_field(&peer->fetch, PEER_UPTO)) < 0 ||
	    peer->upto.len > PATH_COMPONENT_BYTES || buf_has(&peer->upto, '/') || buf_has(&peer->upto, '\0'))
		return err_set(err, ERR_CORRUPT, "ask peer: it tells no name");
	if (peer->job->epoch > 0)
		peer->epoch = epoch;
	return 0;
}

static int list_head(struct fetch *fetch, const struct fetch_head *head, struct err *err)
{
	struct list_peer *peer = CONTAINER_OF(fetch, struct list_peer, fetch);
	struct syncd *d = peer->job->asked.worker.daemon;
	uint64_t epoch;

	peer->stale = head->status == 421;
	syncd_lock(d);
	peers_note(d->peers, peer->id, NULL);
	if (peer->stale && str_u64(fetch_field(fetch, PEER_EPOCH), UINT64_MAX, &epoch) == 0)
		peers_behind(d->peers, peer->id, epoch);
	syncd_unlock(d);
	if (head->length != FETCH_LENGTH_UNKNOWN && head->length > peer->job->part_max)
		return err_set(err, ERR_TOO_LARGE, "ask peer: its answer is too long");
	if (head->status != 200)
		return err_set(err, ERR_CORRUPT, "ask peer: it answers %d", head->status);
	return list_fields(peer, err);
}

static int list_body(struct fetch *fetch, const void *bytes, size_t n, struct err *err)
{
	struct list_peer *peer = CONTAINER_OF(fetch, struct list_peer, fetch);
	const char *at = bytes;

	if (n > peer->job->part_max - peer->bytes)
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

static void list_ask_peer(struct list_job *l, uint64_t id)
{
	struct list_peer *peer = &l->peers[l->count];
	struct syncd *d = l->asked.worker.daemon;
	char epoch[24], lineage[24], age[24];
	struct sign_part fields[4];
	size_t count = 0;

	snprintf(epoch, sizeof epoch, "%llu", (unsigned long long)l->epoch);
	fields[count++] = (struct sign_part){ STR(PEER_EPOCH), str_of(epoch) };
	if (l->epoch > 0) {
		snprintf(lineage, sizeof lineage, "%016llx", (unsigned long long)peers_layout(d->peers)->lineage);
		fields[count++] = (struct sign_part){ STR(PEER_LINEAGE), str_of(lineage) };
	}
	if (l->as_of > 0) {
		snprintf(age, sizeof age, "%llu", (unsigned long long)(clock_mono_ms() - l->as_of));
		fields[count++] = (struct sign_part){ STR(PEER_AGE), str_of(age) };
	}
	if (l->directories)
		fields[count++] = (struct sign_part){ STR(PEER_KIND), STR(PEER_DIRECTORIES) };
	*peer = (struct list_peer){
		.job = l, .id = id, .sick = peers_sick(d->peers, id),
		.memfd = memfd_create("covey-part", MFD_CLOEXEC | MFD_ALLOW_SEALING),
		.fetch = { .peer = peers_http(d->peers, id), .target = buf_str(&l->asked.text),
			   .fields = fields, .field_count = count, .node = id,
			   .whole = true,
			   .first_byte_ms = d->first_byte_ms, .stall_ms = d->stall_ms,
			   .head = list_head, .body = list_body },
	};
	if (peer->fetch.peer == NULL || peer->memfd < 0 ||
	    fetch_start(l->fetches, &peer->fetch, NULL) < 0) {
		if (peer->memfd >= 0)
			close(peer->memfd);
		return;
	}
	l->count++;
	l->open++;
	l->open_healthy += !peer->sick;
}

static void list_ask_members(struct list_job *l)
{
	const struct members *view = peers_view(l->asked.worker.daemon->peers);

	l->end.asked = (uint32_t)members_asked(view);
	l->peers = mem_new(view->count + 1, sizeof *l->peers);
	for (size_t i = 0; i < view->count; i++)
		if (view->list[i].state == MEMBER_UP || view->list[i].state == MEMBER_SUSPECT)
			list_ask_peer(l, view->list[i].id);
}

static void list_ask_homes(struct list_job *l)
{
	l->peers = mem_new(l->node_count + 1, sizeof *l->peers);
	for (size_t i = 0; i < l->node_count; i++) {
		if (l->nodes[i] == store_node(l->asked.worker.daemon->store))
			continue;
		l->end.asked++;
		list_ask_peer(l, l->nodes[i]);
	}
}

static void list_peer_over(struct list_peer *peer)
{
	struct list_job *l = peer->job;

	if (peer->fetch.err.kind == ERR_NONE)
		list_part(peer);
	else
		peers_note(l->asked.worker.daemon->peers, peer->id, &peer->fetch.err);
	l->end.stale = l->end.stale || peer->stale;
	l->open--;
	l->open_healthy -= !peer->sick;
}

/* In time for the asker, who would else get nothing. */
static uint64_t list_due(const struct list_job *l)
{
	const struct syncd *d = l->asked.worker.daemon;
	const struct serve_request *request = l->asked.asker.request;
	uint64_t now = clock_mono_ms();
	uint64_t due = now + (l->open_healthy > 0 ? d->first_byte_ms * WHOLE_FACTOR : d->check_ms);

	if (request != NULL && request->due != 0 && request->due < due + HEADSTART_MS)
		due = request->due > now + HEADSTART_MS ? request->due - HEADSTART_MS : now;
	return due;
}

static void list_run(struct worker *w)
{
	struct list_job *l = CONTAINER_OF(w, struct list_job, asked.worker);
	struct buf body = BUF_INIT;
	struct err err;
	uint64_t due;

	l->fetches = fetch_open(w->daemon->fetcher, &err);
	if (l->fetches == NULL) {
		asker_fail(&l->asked.asker, &err);
		return;
	}
	if (l->epoch > 0)
		list_ask_homes(l);
	else
		list_ask_members(l);
	due = list_due(l);
	while (l->open > 0 && clock_mono_ms() < due && !worker_is_cut(w)) {
		struct fetch *over = worker_await(w, l->fetches, due);
		uint64_t grace = clock_mono_ms() + w->daemon->first_byte_ms / SICK_GRACE;
		bool waited = l->open_healthy > 0;

		if (over != NULL)
			list_peer_over(CONTAINER_OF(over, struct list_peer, fetch));
		if (waited && l->open_healthy == 0 && grace < due)
			due = grace;
	}
	sync_end_pack(&body, &l->end);
	if (worker_is_cut(w))
		asker_end(&l->asked.asker);
	else
		asker_answer(&l->asked.asker, SYNC_END, buf_str(&body));
	buf_clear(&body);
}

static void list_release(struct worker *w)
{
	struct list_job *l = CONTAINER_OF(w, struct list_job, asked.worker);

	fetch_close(l->fetches);
	for (size_t i = 0; i < l->count; i++) {
		close(l->peers[i].memfd);
		buf_clear(&l->peers[i].upto);
	}
	buf_clear(&l->asked.text);
	free(l->peers);
	free(l);
}

static void list_set_window(struct list_job *l, const struct sync_window *window)
{
	uint64_t now = clock_mono_ms();

	buf_addf(&l->asked.text, "&limit=%u", window->limit);
	if (window->after.n > 0) {
		buf_adds(&l->asked.text, "&after=");
		pct_encode_component(&l->asked.text, window->after);
	}
	l->part_max = (size_t)window->limit * NAME_BYTES_MAX;
	if (l->part_max > PART_BYTES_MAX)
		l->part_max = PART_BYTES_MAX;
	l->directories = window->directories;
	if (window->age > 0)
		l->as_of = now > window->age ? now - window->age : 1;
}

int request_list(struct syncd *d, struct serve_request *request, struct frame *frame, struct err *err)
{
	bool index = frame->type == SYNC_LIST;
	struct sync_list list;
	struct list_job *l;

	if (sync_list_unpack(frame->body, &list, err) < 0 ||
	    (index ? path_check(list.path, err) : check_file_path(list.path, err)) < 0)
		return -1;
	l = mem_new(1, sizeof *l);
	l->epoch = list.epoch;
	l->part_max = PART_BYTES_MAX;
	l->node_count = list.node_count;
	memcpy(l->nodes, list.nodes, sizeof l->nodes);
	path_to_target(&l->asked.text, list.path, index);
	buf_adds(&l->asked.text, index ? "?format=text" : "?versions&format=text");
	if (list.window.limit > 0)
		list_set_window(l, &list.window);
	l->asked.worker.release = list_release;
	asked_start(d, &l->asked, list_run, request, d->asks);
	return 0;
}

/* RESOLVE: names to addresses, on few threads, for name servers may be silent for long */

struct resolve_job {
	struct asked asked;		/* with the host, and behind a NUL the port */
	uint64_t due;			/* ms, monotonic: nobody waits any more; 0: without end */
};

static int resolve(const struct resolve_job *r, struct sync_addresses *ret, struct err *err)
{
	const struct addrinfo want = {
		.ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICSERV,
	};
	const char *host = r->asked.text.data, *port = host + strlen(host) + 1;
	struct addrinfo *list = NULL;
	int rc;

	/* While name servers are silent questions queue up, but only for as long as they are asked. */
	if (r->due != 0 && clock_mono_ms() >= r->due)
		return err_set(err, ERR_TIMEOUT, "resolve %.100s: too late", host);
	rc = getaddrinfo(host, port, &want, &list);
	if (rc != 0)
		return err_set(err, ERR_AWAY, "resolve %.100s: %s", host, gai_strerror(rc));
	for (const struct addrinfo *a = list; a != NULL; a = a->ai_next) {
		struct address *to = &ret->list[ret->count];

		if (ret->count == RESOLVE_ADDRESSES_MAX || a->ai_addrlen > sizeof to->sa)
			break;
		memcpy(&to->sa, a->ai_addr, a->ai_addrlen);
		to->len = a->ai_addrlen;
		ret->count++;
	}
	freeaddrinfo(list);
	return 0;
}

static void resolve_run(struct worker *w)
{
	struct resolve_job *r = CONTAINER_OF(w, struct resolve_job, asked.worker);
	struct sync_addresses found = { .count = 0 };
	struct buf body = BUF_INIT;
	struct err err;
	int rc;

	syncd_unlock(w->daemon);
	rc = resolve(r, &found, &err);
	syncd_lock(w->daemon);
	sync_addresses_pack(&body, &found);
	if (rc < 0)
		asker_fail(&r->asked.asker, &err);
	else
		asker_answer(&r->asked.asker, SYNC_ADDRESSES, buf_str(&body));
	buf_clear(&body);
}

/* "host:port", "[::1]:port" */
static int split_name(struct str name, struct str *ret_host, struct str *ret_port, struct err *err)
{
	size_t colon = name.n;
	uint64_t port;

	while (colon > 0 && name.s[colon - 1] != ':')
		colon--;
	if (colon < 2 || memchr(name.s, '\0', name.n) != NULL)
		return err_set(err, ERR_INVALID, "resolve %.*s: not HOST:PORT", STR_ARG(name));
	*ret_host = (struct str){ .s = name.s, .n = colon - 1 };
	*ret_port = (struct str){ .s = name.s + colon, .n = name.n - colon };
	if (str_u64(*ret_port, UINT16_MAX, &port) < 0 || port == 0)
		return err_set(err, ERR_INVALID, "resolve %.*s: not a port", STR_ARG(name));
	if (ret_host->n > 2 && ret_host->s[0] == '[' && ret_host->s[ret_host->n - 1] == ']')
		*ret_host = (struct str){ .s = ret_host->s + 1, .n = ret_host->n - 2 };
	return 0;
}

int request_resolve(struct syncd *d, struct serve_request *request, struct frame *frame,
		    struct err *err)
{
	struct str name, host = STR_INIT, port = STR_INIT;
	struct resolve_job *r;

	if (sync_resolve_unpack(frame->body, &name, err) < 0 || split_name(name, &host, &port, err) < 0)
		return -1;
	r = mem_new(1, sizeof *r);
	buf_addf(&r->asked.text, "%.*s%c%.*s", STR_ARG(host), '\0', STR_ARG(port));
	r->due = request->due;
	asked_start(d, &r->asked, resolve_run, request, d->names);
	return 0;
}
