/*
 * fetch - libcurl's multi interface on our loop
 *
 * curl tells which sockets it wants watched and when it wants to be called;
 * everything it does happens inside curl_multi_socket_action().  While it
 * is inside, handles must be neither added nor removed, so what a callback
 * asks for then is noted on the transfer and done by settle() once curl
 * has returned.
 *
 * A transfer belongs to curl's side and a struct fetch to the caller's:
 * cancelling parts the two at once, and the transfer goes when it can.
 */
#include "fetch.h"

#include "buf.h"
#include "container.h"
#include "mem.h"

#include <curl/curl.h>

#define HEADER_BYTES_MAX (64u * 1024)	/* of one response; more is no peer of ours */
#define RECEIVE_BYTES (128L * 1024)
#define CONNECTIONS_KEPT 64L

struct fetcher {
	struct loop *loop;
	CURLM *multi;
	struct timer timer;		/* when curl wants to be called */
	struct curl_slist *headers;	/* of every request */
	struct transfer *transfers;
	unsigned inside;		/* depth of calls into curl */
	bool unsettled;			/* some transfer waits for settle() */
};

struct transfer {
	struct fetcher *fetcher;
	struct fetch *fetch;		/* NULL once cancelled */
	struct transfer *next, *prev;
	CURL *easy;
	struct timer limit;		/* first byte, then stall */
	uint64_t last_byte;		/* loop's ms */
	size_t header_bytes;
	bool has_head;
	bool paused;			/* by the caller */
	bool held;			/* curl was told so */
	bool resume;			/* settle() is to let curl go on */
	bool has_err;
	struct err err;			/* of the callback that stopped it */
	char curl_text[CURL_ERROR_SIZE];
};

struct socket_watch {
	struct watch watch;
	struct fetcher *fetcher;
};

static void settle(struct fetcher *f);

/* Let curl work on one socket, or on its timers. */
static void drive(struct fetcher *f, curl_socket_t fd, int mask)
{
	int running;

	f->inside++;
	curl_multi_socket_action(f->multi, fd, mask, &running);
	f->inside--;
	settle(f);
}

static void on_socket(struct watch *watch, uint32_t events)
{
	struct socket_watch *w = CONTAINER_OF(watch, struct socket_watch, watch);
	int mask = 0;

	if (events & (EPOLLIN | EPOLLHUP))
		mask |= CURL_CSELECT_IN;
	if (events & EPOLLOUT)
		mask |= CURL_CSELECT_OUT;
	if (events & EPOLLERR)
		mask |= CURL_CSELECT_ERR;
	drive(w->fetcher, watch->fd, mask);
}

static void on_timer(struct timer *timer)
{
	drive(CONTAINER_OF(timer, struct fetcher, timer), CURL_SOCKET_TIMEOUT, 0);
}

static uint32_t epoll_events(int what)
{
	switch (what) {
	case CURL_POLL_IN:
		return EPOLLIN;
	case CURL_POLL_OUT:
		return EPOLLOUT;
	case CURL_POLL_INOUT:
		return EPOLLIN | EPOLLOUT;
	default:
		return 0;
	}
}

/* CURLMOPT_SOCKETFUNCTION: watch a socket for something else, or no more. */
static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *data, void *socket_data)
{
	struct fetcher *f = data;
	struct socket_watch *w = socket_data;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (w != NULL) {
			watch_stop(&w->watch);
			free(w);
		}
		return 0;
	}
	if (w != NULL) {
		watch_change(&w->watch, epoll_events(what));
		return 0;
	}
	w = mem_new(1, sizeof *w);
	w->fetcher = f;
	w->watch.fd = fd;
	w->watch.ready = on_socket;
	if (watch_start(f->loop, &w->watch, epoll_events(what), NULL) < 0) {
		free(w);
		return -1;
	}
	curl_multi_assign(f->multi, fd, w);
	return 0;
}

/* CURLMOPT_TIMERFUNCTION */
static int set_timer(CURLM *multi, long ms, void *data)
{
	struct fetcher *f = data;

	(void)multi;
	if (ms < 0)
		timer_stop(&f->timer);
	else
		timer_start(f->loop, &f->timer, (uint64_t)ms);
	return 0;
}

struct fetcher *fetcher_new(struct loop *loop, struct err *err)
{
	static const char *const fixed[] = { "Cache-Control: only-if-cached", "Accept:" };
	struct fetcher *f = mem_new(1, sizeof *f);

	f->loop = loop;
	f->timer.fire = on_timer;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK)
		f->multi = curl_multi_init();
	for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
		f->headers = curl_slist_append(f->headers, fixed[i]);
	if (f->multi == NULL || f->headers == NULL) {
		err_set(err, ERR_SYSTEM, "start libcurl: it refused");
		fetcher_free(f);
		return NULL;
	}
	curl_multi_setopt(f->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
	curl_multi_setopt(f->multi, CURLMOPT_SOCKETDATA, f);
	curl_multi_setopt(f->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	curl_multi_setopt(f->multi, CURLMOPT_TIMERDATA, f);
	curl_multi_setopt(f->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
	curl_multi_setopt(f->multi, CURLMOPT_MAXCONNECTS, CONNECTIONS_KEPT);
	return f;
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
	if (t->easy != NULL) {
		curl_multi_remove_handle(f->multi, t->easy);
		curl_easy_cleanup(t->easy);
	}
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
	curl_slist_free_all(f->headers);
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

/* curl says the transfer is over. */
static void finished(struct transfer *t, CURLcode code)
{
	struct err err = t->err;

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
			t->resume = t->held = false;
			f->inside++;
			curl_easy_pause(t->easy, CURLPAUSE_CONT);
			f->inside--;
			return true;
		}
	}
	return false;
}

static void settle(struct fetcher *f)
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

/* The limit passed; when bytes came meanwhile, wait for the rest of it. */
static void on_limit(struct timer *timer)
{
	struct transfer *t = CONTAINER_OF(timer, struct transfer, limit);
	uint64_t limit = t->has_head ? t->fetch->stall_ms : t->fetch->first_byte_ms;
	uint64_t quiet = loop_now(t->fetcher->loop) - t->last_byte;
	struct err err = ERR_INIT;

	if (t->paused)
		return;
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
	timer_start(t->fetcher->loop, &t->limit, t->fetch->stall_ms);
	curl_easy_getinfo(t->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
	if (length >= 0)
		head.length = (uint64_t)length;
	head.etag = only_header(t->easy, "ETag");
	head.content_range = only_header(t->easy, "Content-Range");
	if (t->fetch->head(t->fetch, &head, &t->err) < 0)
		t->has_err = true;
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
	if (t->has_head || n > 2 || line[0] == ' ' || line[0] == '\t')
		return n;
	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	if (status >= 200)
		give_head(t, status);
	return t->has_err || t->fetch == NULL ? 0 : n;
}

/* CURLOPT_WRITEFUNCTION */
static size_t on_body(char *bytes, size_t size, size_t n, void *data)
{
	struct transfer *t = data;

	(void)size;
	if (t->fetch == NULL)
		return CURL_WRITEFUNC_ERROR;
	if (t->paused) {
		t->held = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	t->last_byte = loop_now(t->fetcher->loop);
	if (t->fetch->body(t->fetch, bytes, n, &t->err) < 0)
		t->has_err = true;
	return t->has_err || t->fetch == NULL ? CURL_WRITEFUNC_ERROR : n;
}

static void set_options(struct transfer *t, const char *url)
{
	CURL *easy = t->easy;

	curl_easy_setopt(easy, CURLOPT_URL, url);
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
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, t->fetcher->headers);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, t);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, t->curl_text);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, t);
}

static void set_target(struct transfer *t)
{
	struct buf url = BUF_INIT, range = BUF_INIT;
	char peer[ADDRESS_TEXT];

	buf_addf(&url, "http://%s%.*s", address_format(peer, t->fetch->peer),
		 STR_ARG(t->fetch->target));
	set_options(t, url.data);
	if (t->fetch->offset > 0) {
		buf_addf(&range, "%llu-", (unsigned long long)t->fetch->offset);
		curl_easy_setopt(t->easy, CURLOPT_RANGE, range.data);
	}
	buf_clear(&url);
	buf_clear(&range);
}

int fetch_start(struct fetcher *f, struct fetch *fetch, struct err *err)
{
	struct transfer *t = mem_new(1, sizeof *t);

	t->fetcher = f;
	t->next = f->transfers;
	if (t->next != NULL)
		t->next->prev = t;
	f->transfers = t;
	t->easy = curl_easy_init();
	if (t->easy == NULL) {
		transfer_free(t);
		return err_set(err, ERR_SYSTEM, "start fetch: libcurl refused");
	}
	t->fetch = fetch;
	fetch->transfer = t;
	t->limit.fire = on_limit;
	t->last_byte = loop_now(f->loop);
	set_target(t);
	if (curl_multi_add_handle(f->multi, t->easy) != CURLM_OK) {
		transfer_free(t);
		return err_set(err, ERR_SYSTEM, "start fetch: libcurl refused");
	}
	timer_start(f->loop, &t->limit, fetch->first_byte_ms);
	return 0;
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

void fetch_resume(struct fetch *fetch)
{
	struct transfer *t = fetch->transfer;

	if (t == NULL || !t->paused)
		return;
	t->paused = false;
	t->last_byte = loop_now(t->fetcher->loop);
	timer_start(t->fetcher->loop, &t->limit,
		    t->has_head ? fetch->stall_ms : fetch->first_byte_ms);
	if (!t->held)
		return;
	t->resume = t->fetcher->unsettled = true;
	settle(t->fetcher);
}
