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
#include "peer_http.h"

#define HEADER_BYTES_MAX (64u * 1024)	/* of one response; more is no peer of ours */
#define RECEIVE_BYTES (128L * 1024)
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

void fetcher_keys(struct fetcher *f, const struct sign_keys *keys)
{
	f->keys = keys;
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
		transfer_end(t, NULL);
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

static void restart_limit(struct transfer *t)
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

static struct str only_header(CURL *easy, const char *name)
{
	struct curl_header *h;

	if (curl_easy_header(easy, name, 0, CURLH_HEADER, -1, &h) != CURLHE_OK || h->amount != 1)
		return (struct str)STR_INIT;
	return str_of(h->value);
}

static void give_head(struct transfer *t, long status)
{
	struct fetch_head head = { .status = (int)status, .length = FETCH_LENGTH_UNKNOWN };
	curl_off_t length = -1;

	t->has_head = true;
	restart_limit(t);
	curl_easy_getinfo(t->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
	if (length >= 0)
		head.length = (uint64_t)length;
	head.etag = only_header(t->easy, "ETag");
	head.content_range = only_header(t->easy, "Content-Range");
	if (t->fetch->head(t->fetch, &head, &t->err) < 0)
		t->has_err = true;
}

/* The peer's clock says something else than ours did. */
static bool is_untimely(struct transfer *t, long status)
{
	return status == 403 && t->ask.sign && !t->was_again &&
	       ask_learn_clock(t->fetcher, &t->ask.peer, only_header(t->easy, PEER_TIME));
}

/* The final response's header is complete. */
static void on_head(struct transfer *t, long status)
{
	if (status >= 300 && t->starved) {
		/* curl sends no more of the body, but would wait to be let go on */
		t->starved = false;
		t->resume = t->fetcher->unsettled = true;
	}
	if (is_untimely(t, status))
		t->again = true;
	else
		give_head(t, status);
}

/* CURLOPT_HEADERFUNCTION: a line of the header, or of trailers, which are nothing to us. */
static size_t on_header(char *line, size_t size, size_t n, void *data)
{
	struct transfer *t = data;
	long status = 0;

	(void)size;
	if (t->fetch == NULL)
		return 0;
	t->last_byte = loop_now(t->fetcher->loop);
	t->header_bytes += n;
	if (t->header_bytes > HEADER_BYTES_MAX) {
		t->has_err = true;
		err_set(&t->err, ERR_CORRUPT, "fetch from peer: its header is too long");
		return 0;
	}
	if (t->has_head || t->again || n > 2 || line[0] == ' ' || line[0] == '\t')
		return n;
	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status >= 200)
		on_head(t, status);
	return t->has_err || t->fetch == NULL ? 0 : n;
}

/* CURLOPT_WRITEFUNCTION */
static size_t on_body(char *bytes, size_t size, size_t n, void *data)
{
	struct transfer *t = data;

	(void)size;
	if (t->fetch == NULL)
		return CURL_WRITEFUNC_ERROR;
	if (t->again)
		return n;
	if (t->paused) {
		t->held = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	t->last_byte = loop_now(t->fetcher->loop);
	if (t->fetch->body(t->fetch, bytes, n, &t->err) < 0)
		t->has_err = true;
	return t->has_err || t->fetch == NULL ? CURL_WRITEFUNC_ERROR : n;
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
	curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, RECEIVE_BYTES);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "covey/" COVEY_VERSION);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, t);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, t->curl_text);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, t);
}

/* With a new easy handle, also when it is begun again. */
static int begin(struct transfer *t, struct err *err)
{
	drop_easy(t);
	t->header_bytes = 0;
	t->again = t->starved = t->resume = false;
	t->easy = curl_easy_init();
	if (t->easy != NULL) {
		set_options(t);
		ask_apply(t);
		if (curl_multi_add_handle(t->fetcher->multi, t->easy) == CURLM_OK) {
			restart_limit(t);
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
	restart_limit(t);
	if (t->held)
		let_go_on(t);
}

/* There is more to send, or the end. */
static void feed(struct transfer *t)
{
	if (!t->starved)
		return;
	t->starved = false;
	restart_limit(t);
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

struct str fetch_field(const struct fetch *fetch, const char *name)
{
	return only_header(fetch->transfer->easy, name);
}
