/*
 * fetch - transfers by libcurl, from the start to the end
 *
 * Everything curl does happens inside curl_multi_socket_action()
 * (fetch_loop.c).  While it is inside, handles must be neither added nor
 * removed, so what a callback asks for then is noted on the transfer and
 * done by fetch_settle() once curl has returned.
 *
 * A transfer belongs to curl's side and a struct fetch to the caller's:
 * cancelling parts the two at once, and the transfer goes when it can.
 */
#include "fetch_inside.h"

#include "container.h"
#include "mem.h"

#define CONNECTIONS_KEPT 64L

struct fetcher *fetcher_new(struct loop *loop, struct err *err)
{
	struct fetcher *f = mem_new(1, sizeof *f);

	f->loop = loop;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK)
		f->multi = curl_multi_init();
	if (f->multi == NULL) {
		err_set(err, ERR_SYSTEM, "start libcurl: it refused");
		fetcher_free(f);
		return NULL;
	}
	fetch_watch(f);
	curl_multi_setopt(f->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
	curl_multi_setopt(f->multi, CURLMOPT_MAXCONNECTS, CONNECTIONS_KEPT);
	return f;
}

void fetcher_keys(struct fetcher *f, const struct sign_keys *keys, uint64_t self)
{
	f->keys = keys;
	f->self = self;
}

/* Part the transfer from its caller, who hears no more of it. */
static void part(struct transfer *t)
{
	timer_stop(&t->limit);
	if (t->fetch != NULL)
		t->fetch->transfer = NULL;
	t->fetch = NULL;
}

/* Not while inside curl. */
static void drop_easy(struct transfer *t)
{
	if (t->easy == NULL)
		return;
	curl_multi_remove_handle(t->fetcher->multi, t->easy);
	curl_easy_cleanup(t->easy);
	t->easy = NULL;
}

static void transfer_free(struct transfer *t)
{
	struct fetcher *f = t->fetcher;

	part(t);
	if (t->prev != NULL)
		t->prev->next = t->next;
	else
		f->transfers = t->next;
	if (t->next != NULL)
		t->next->prev = t->prev;
	drop_easy(t);
	ask_clear(&t->ask);
	digest_free(t->digest);
	free(t);
}

/* The transfer is over: its memory goes, then the caller is told. */
static void transfer_end(struct transfer *t, const struct err *err)
{
	struct fetch *fetch = t->fetch;

	transfer_free(t);
	if (fetch != NULL)
		fetch->end(fetch, err);
}

void fetcher_free(struct fetcher *f)
{
	if (f == NULL)
		return;
	while (f->transfers != NULL)
		transfer_free(f->transfers);
	if (f->multi != NULL)
		curl_multi_cleanup(f->multi);
	timer_stop(&f->timer);
	free(f);
}

static enum err_kind kind_of(CURLcode code)
{
	switch ((int)code) {
	case CURLE_OPERATION_TIMEDOUT:
		return ERR_TIMEOUT;
	case CURLE_COULDNT_CONNECT:
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
		return ERR_AWAY;
	default:
		return ERR_CORRUPT;
	}
}

static int begin(struct transfer *t, struct err *err);

/* curl says the transfer is over. */
static void finished(struct transfer *t, CURLcode code)
{
	struct err err = t->err;

	if (t->again && t->fetch != NULL) {
		t->was_again = true;
		if (begin(t, &err) < 0)
			transfer_end(t, &err);
		return;
	}
	if (code == CURLE_OK && !t->has_err && t->has_head) {
		bool right = answer_ended(t, &err);

		transfer_end(t, right ? NULL : &err);
		return;
	}
	if (!t->has_err)
		err_set(&err, kind_of(code), "fetch from peer: %s",
			t->curl_text[0] ? t->curl_text : curl_easy_strerror(code));
	transfer_end(t, &err);
}

/* What was asked for while curl was inside.  True when there was something. */
static bool settle_one(struct fetcher *f)
{
	for (struct transfer *t = f->transfers; t != NULL; t = t->next) {
		if (t->fetch == NULL) {
			transfer_free(t);
			return true;
		}
		if (t->resume) {
			t->resume = false;
			t->held = t->held && t->paused;
			f->inside++;
			curl_easy_pause(t->easy, (t->held ? CURLPAUSE_RECV : 0) |
						 (t->starved ? CURLPAUSE_SEND : 0));
			f->inside--;
			return true;
		}
	}
	return false;
}

void fetch_settle(struct fetcher *f)
{
	CURLMsg *message;
	int left;

	if (f->inside > 0)
		return;
	while (f->unsettled) {
		f->unsettled = false;
		while (settle_one(f))
			;
	}
	while ((message = curl_multi_info_read(f->multi, &left)) != NULL) {
		struct transfer *t = NULL;
		CURLcode code = message->data.result;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &t);
		finished(t, code);
	}
}

static uint64_t limit_of(const struct transfer *t)
{
	bool sending = t->ask.method == FETCH_PUT && !t->ask.all_sent;

	return t->has_head || sending ? t->fetch->stall_ms : t->fetch->first_byte_ms;
}

void fetch_restart_limit(struct transfer *t)
{
	t->last_byte = loop_now(t->fetcher->loop);
	timer_start(t->fetcher->loop, &t->limit, limit_of(t));
}

/* The limit passed; when bytes came meanwhile, wait for the rest of it. */
static void on_limit(struct timer *timer)
{
	struct transfer *t = CONTAINER_OF(timer, struct transfer, limit);
	uint64_t limit = limit_of(t), quiet = loop_now(t->fetcher->loop) - t->last_byte;
	struct err err = ERR_INIT;

	if (t->paused || t->starved)
		return;		/* it is not the peer that is awaited */
	if (quiet < limit) {
		timer_start(t->fetcher->loop, timer, limit - quiet);
		return;
	}
	err_set(&err, ERR_TIMEOUT, "fetch from peer: no %s within %llu ms",
		t->has_head ? "more bytes" : "answer", (unsigned long long)limit);
	transfer_end(t, &err);
}

static void set_options(struct transfer *t)
{
	CURL *easy = t->easy;

	curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http");
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_HTTP09_ALLOWED, 0L);
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "covey/" COVEY_VERSION);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, t->curl_text);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, t);
}

/* With a new easy handle, also when it is begun again. */
static int begin(struct transfer *t, struct err *err)
{
	drop_easy(t);
	t->header_bytes = 0;
	digest_free(t->digest);
	t->digest = NULL;
	t->again = t->starved = t->resume = false;
	t->easy = curl_easy_init();
	if (t->easy != NULL) {
		set_options(t);
		answer_apply(t);
		ask_apply(t);
		if (curl_multi_add_handle(t->fetcher->multi, t->easy) == CURLM_OK) {
			fetch_restart_limit(t);
			return 0;
		}
	}
	return err_set(err, ERR_SYSTEM, "start fetch: libcurl refused");
}

int fetch_start(struct fetcher *f, struct fetch *fetch, struct err *err)
{
	struct transfer *t = mem_new(1, sizeof *t);

	t->fetcher = f;
	t->next = f->transfers;
	if (t->next != NULL)
		t->next->prev = t;
	f->transfers = t;
	t->fetch = fetch;
	fetch->transfer = t;
	t->limit.fire = on_limit;
	ask_set(t, fetch);
	if (begin(t, err) == 0)
		return 0;
	transfer_free(t);
	return -1;
}

void fetch_cancel(struct fetch *fetch)
{
	struct transfer *t = fetch->transfer;

	if (t == NULL)
		return;
	part(t);
	if (t->fetcher->inside > 0)
		t->fetcher->unsettled = true;
	else
		transfer_free(t);
}

void fetch_pause(struct fetch *fetch)
{
	if (fetch->transfer != NULL)
		fetch->transfer->paused = true;
}

static void let_go_on(struct transfer *t)
{
	t->resume = t->fetcher->unsettled = true;
	fetch_settle(t->fetcher);
}

void fetch_resume(struct fetch *fetch)
{
	struct transfer *t = fetch->transfer;

	if (t == NULL || !t->paused)
		return;
	t->paused = false;
	fetch_restart_limit(t);
	if (t->held)
		let_go_on(t);
}

/* There is more to send, or the end. */
static void feed(struct transfer *t)
{
	if (!t->starved)
		return;
	t->starved = false;
	fetch_restart_limit(t);
	let_go_on(t);
}

void fetch_more(struct fetch *fetch, uint64_t available)
{
	struct transfer *t = fetch->transfer;

	if (t == NULL || t->ask.last)
		return;
	t->ask.available = available;
	feed(t);
}

void fetch_last(struct fetch *fetch, const struct sign_part *trailer, size_t count)
{
	struct transfer *t = fetch->transfer;

	if (t == NULL)
		return;
	ask_trailer(&t->ask, trailer, count);
	feed(t);
}
