/*
 * fetch - asking other nodes by HTTP, by libcurl
 *
 * Each set has a multi handle of its own, in which curl does everything
 * within curl_multi_perform().  Handles are neither added nor removed from
 * within: what a callback finds out there is noted on the transfer, and done
 * when curl has returned.  Sets that are closed are kept with their connections
 * for who opens one next.
 */
#include "fetch.h"

#include "buf.h"
#include "clock.h"
#include "digest.h"
#include "list.h"
#include "mem.h"
#include "peer_http.h"

#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLOCKS_MAX 256			/* peers whose clock is remembered; then the oldest goes */
#define SETS_KEPT 32			/* of those that are closed */
#define CONNECTIONS_KEPT 16		/* of a set */
#define HEADER_BYTES_MAX (64u * 1024)	/* of one response; more is no peer of ours */
#define RECEIVE_BYTES (128L * 1024)	/* at once */
#define SEND_BYTES (128L * 1024)	/* at once */
#define WHOLE_BYTES (16u * 1024)	/* a body up to this leaves together with its header */
#define PACE_BYTES (64u * 1024)		/* of a PUT: fewer tell nothing of the network */
#define TICK_US 10000			/* of the clock by which the system counts that time, at most */
#define RWND_SHARE 4			/* of the time that a connection was busy, for want of room at the peer: one in so much */
#define ANSWER_BYTES 4096L		/* of a PUT, at once: it is a line */

struct fetcher {
	uint64_t self;			/* node id; set before the first fetch */
	pthread_mutex_t lock;		/* of what follows */
	struct sign_keys keys;		/* none: nothing is signed */
	struct fetch_set *closed;
	size_t closed_count;
	struct {
		struct address peer;
		int64_t ahead;		/* ns: its clock minus ours */
	} clocks[CLOCKS_MAX];
	size_t clock_count;
};

struct fetch_set {
	struct fetcher *fetcher;
	struct fetch_set *next;		/* of the closed ones */
	CURLM *multi;
	struct mark {			/* what a connection had counted when a PUT by it was over: */
		long port;		/* this side's; 0: none */
		uint64_t acked;		/* bytes, */
		uint64_t busy, rwnd;	/* us: something was on its way; the peer had no room for more */
	} marks[CONNECTIONS_KEPT];
	size_t mark_next;
	struct list transfers;
	atomic_bool woken;
};

/* Fields of a header or trailer; the slices point into text. */
struct ask_fields {
	struct sign_part list[FETCH_FIELDS_MAX + 1];
	size_t count;
	char *text;			/* owned */
};

struct ask {
	enum fetch_method method;
	struct address peer;
	struct buf target, content;
	struct ask_fields fields, trailer;
	char range[32];			/* value of Range */
	uint64_t node;			/* 0: neither signed nor is the answer */
	bool whole;
	uint8_t nonce[SIGN_NONCE_BYTES];
	struct curl_slist *lines;	/* of the header */
	int fd;
	uint64_t sent, available;
	bool last;			/* available is all */
	bool by_length;			/* it was from the start, and there is no trailer */
	bool all_sent;
};

struct transfer {
	struct fetch_set *set;
	struct fetcher *fetcher;
	struct fetch *fetch;
	struct link link;
	CURL *easy;
	struct ask ask;
	uint64_t last_byte;		/* ms, monotonic */
	size_t header_bytes;
	bool has_head;
	struct buf came;		/* of the body, since curl was called */
	struct digest *digest;		/* of the body that has come, where that is signed; owned */
	bool starved;			/* curl was told that there is no more to send yet */
	bool resume;			/* curl is to go on, when it has returned */
	bool again;			/* signed by a wrong clock: to be made once more */
	bool was_again;			/* this is once more */
	bool has_err;
	struct err err;			/* of the callback that stopped it */
	char curl_text[CURL_ERROR_SIZE];
};

/* what is asked */

static void fields_clear(struct ask_fields *f)
{
	free(f->text);
	*f = (struct ask_fields){ .count = 0 };
}

static void fields_set(struct ask_fields *f, const struct sign_part *from, size_t count)
{
	size_t n = 0;
	char *at;

	if (count > FETCH_FIELDS_MAX)
		abort();	/* the caller's own are few */
	fields_clear(f);
	for (size_t i = 0; i < count; i++)
		n += from[i].name.n + from[i].value.n;
	at = f->text = mem_new(n + 1, 1);
	for (size_t i = 0; i < count; i++) {
		struct sign_part *to = &f->list[f->count++];

		memcpy(at, from[i].name.s, from[i].name.n);
		to->name = (struct str){ at, from[i].name.n };
		at += from[i].name.n;
		if (from[i].value.n > 0)
			memcpy(at, from[i].value.s, from[i].value.n);
		to->value = (struct str){ at, from[i].value.n };
		at += from[i].value.n;
	}
}

static void add_text(struct curl_slist **lines, const char *text)
{
	struct curl_slist *longer = curl_slist_append(*lines, text);

	if (longer == NULL)
		abort();	/* memory, as in mem.h */
	*lines = longer;
}

static void add_line(struct curl_slist **lines, struct str name, struct str value)
{
	struct buf line = BUF_INIT;

	buf_addf(&line, "%.*s: %.*s", STR_ARG(name), STR_ARG(value));
	add_text(lines, line.data);
	buf_clear(&line);
}

/* Of the peer's clock, in ns; 0 when nothing is remembered. */
static int64_t clock_ahead(struct fetcher *f, const struct address *peer)
{
	int64_t ahead = 0;

	pthread_mutex_lock(&f->lock);
	for (size_t i = 0; i < f->clock_count; i++)
		if (address_eq(&f->clocks[i].peer, peer))
			ahead = f->clocks[i].ahead;
	pthread_mutex_unlock(&f->lock);
	return ahead;
}

/* The time at the peer.  False when the text is none. */
static bool clock_learn(struct fetcher *f, const struct address *peer, struct str time)
{
	uint64_t theirs;
	size_t i = 0;

	if (str_u64(time, INT64_MAX, &theirs) < 0)
		return false;
	pthread_mutex_lock(&f->lock);
	while (i < f->clock_count && !address_eq(&f->clocks[i].peer, peer))
		i++;
	if (i == CLOCKS_MAX)
		memmove(&f->clocks[0], &f->clocks[1], --i * sizeof f->clocks[0]);
	else if (i == f->clock_count)
		f->clock_count++;
	f->clocks[i].peer = *peer;
	f->clocks[i].ahead = (int64_t)(theirs - clock_wall_ns());
	pthread_mutex_unlock(&f->lock);
	return true;
}

static struct sign_keys keys_now(struct fetcher *f)
{
	struct sign_keys keys;

	pthread_mutex_lock(&f->lock);
	keys = f->keys;
	pthread_mutex_unlock(&f->lock);
	return keys;
}

static bool ask_is_signed(const struct transfer *t)
{
	return t->ask.node != 0 && keys_now(t->fetcher).count > 0;
}

/* The signature of these fields, as one more line. */
static void add_signature(const struct transfer *t, struct curl_slist **lines, struct str method,
			  const struct ask_fields *fields)
{
	const struct ask *ask = &t->ask;
	const struct sign_request request = {
		.sender = t->fetcher->self, .receiver = ask->node, .method = method, .target = buf_str(&ask->target),
		.fields = fields->list, .field_count = fields->count,
	};
	uint64_t time = clock_wall_ns() + (uint64_t)clock_ahead(t->fetcher, &ask->peer);
	const struct sign_keys keys = keys_now(t->fetcher);
	char text[SIGN_TEXT];

	if (ask_is_signed(t))
		add_line(lines, STR(SIGN_FIELD),
			 str_of(sign_make(text, &keys, &request, time, ask->nonce)));
}

static struct str method_name(enum fetch_method method)
{
	switch (method) {
	case FETCH_POST:
		return STR("POST");
	case FETCH_PUT:
		return STR("PUT");
	case FETCH_GET:
	default:
		return STR("GET");
	}
}

static void set_lines(struct transfer *t)
{
	struct ask *ask = &t->ask;
	struct curl_slist *lines = NULL;

	/* "Name:" keeps curl from a field it would send by itself */
	add_text(&lines, "Accept:");
	add_text(&lines, ask->method == FETCH_GET ? "Cache-Control: only-if-cached" : "Expect:");
	if (ask->method == FETCH_POST)
		add_text(&lines, "Content-Type: application/octet-stream");
	else if (ask->method == FETCH_PUT)
		add_text(&lines, "Content-Type:");
	for (size_t i = 0; i < ask->fields.count; i++)
		add_line(&lines, ask->fields.list[i].name, ask->fields.list[i].value);
	randombytes_buf(ask->nonce, sizeof ask->nonce);		/* each time it is asked */
	add_signature(t, &lines, method_name(ask->method), &ask->fields);
	curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, lines);
	curl_slist_free_all(ask->lines);
	ask->lines = lines;
}

/* From now on the answer is awaited. */
static void sent_all(struct transfer *t)
{
	t->ask.all_sent = true;
	t->last_byte = clock_mono_ms();
}

/* CURLOPT_READFUNCTION */
static size_t read_body(char *to, size_t size, size_t n, void *data)
{
	struct transfer *t = data;
	struct ask *ask = &t->ask;
	uint64_t left = ask->available - ask->sent;
	ssize_t got;

	(void)size;
	t->last_byte = clock_mono_ms();
	if (left == 0 && ask->last) {
		sent_all(t);
		return 0;
	}
	if (left == 0) {
		t->starved = true;
		return CURL_READFUNC_PAUSE;
	}
	got = pread(ask->fd, to, n < left ? n : (size_t)left, (off_t)ask->sent);
	if (got <= 0) {
		errno = got < 0 ? errno : ENODATA;
		t->has_err = true;
		err_sys(&t->err, "read what is sent to peer");
		return CURL_READFUNC_ABORT;
	}
	ask->sent += (uint64_t)got;
	if (ask->by_length && ask->sent == ask->available)
		sent_all(t);	/* curl does not ask for more */
	return (size_t)got;
}

/* CURLOPT_SEEKFUNCTION: a kept connection had gone, curl starts again on another. */
static int rewind_body(void *data, curl_off_t offset, int origin)
{
	struct transfer *t = data;

	if (origin != SEEK_SET || offset != 0)
		return CURL_SEEKFUNC_CANTSEEK;
	t->ask.sent = 0;
	t->ask.all_sent = false;
	return CURL_SEEKFUNC_OK;
}

/* CURLOPT_TRAILERFUNCTION: the body has been read to its end. */
static int write_trailer(struct curl_slist **lines, void *data)
{
	struct transfer *t = data;
	const struct ask_fields *trailer = &t->ask.trailer;

	for (size_t i = 0; i < trailer->count; i++)
		add_line(lines, trailer->list[i].name, trailer->list[i].value);
	if (trailer->count > 0)
		add_signature(t, lines, STR(SIGN_TRAILER), trailer);
	return CURL_TRAILERFUNC_OK;
}

static void set_framing(struct transfer *t)
{
	const struct ask *ask = &t->ask;
	CURL *easy = t->easy;

	if (ask->by_length) {
		curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)ask->available);
		curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, rewind_body);
		curl_easy_setopt(easy, CURLOPT_SEEKDATA, t);
		return;
	}
	curl_easy_setopt(easy, CURLOPT_TRAILERFUNCTION, write_trailer);
	curl_easy_setopt(easy, CURLOPT_TRAILERDATA, t);
	/*
	 * libcurl 7.88 writes outside of its buffer when a handle that has sent a
	 * trailer sends a body again, as it does by itself when a kept connection
	 * turns out to be closed.
	 */
	curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
}

/*
 * The small body of a PUT, in memory: curl sends what is given as a field in
 * one piece with the header, what it has to read in one of its own, and that
 * wakes the peer twice.  False: it is to be read, and what is wrong found then.
 */
static bool take_whole(struct ask *ask)
{
	size_t n = (size_t)ask->available;

	if (!ask->by_length || ask->available == 0 || ask->available > WHOLE_BYTES)
		return false;
	buf_reset(&ask->content);
	if (pread(ask->fd, buf_reserve(&ask->content, n), n, 0) != (ssize_t)n)
		return false;
	ask->content.len = n;
	return true;
}

static void set_content(CURL *easy, const struct buf *content)
{
	curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)content->len);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDS, content->len > 0 ? content->data : "");
}

static void set_method(struct transfer *t)
{
	struct ask *ask = &t->ask;
	CURL *easy = t->easy;

	if (ask->method == FETCH_POST) {
		set_content(easy, &ask->content);
	} else if (ask->method == FETCH_PUT && take_whole(ask)) {
		set_content(easy, &ask->content);
		curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, "PUT");
		curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, ANSWER_BYTES);
		ask->all_sent = true;
	} else if (ask->method == FETCH_PUT) {
		curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, SEND_BYTES);
		curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, ANSWER_BYTES);
		curl_easy_setopt(easy, CURLOPT_READFUNCTION, read_body);
		curl_easy_setopt(easy, CURLOPT_READDATA, t);
		set_framing(t);
	}
}

static void add_range(struct ask *ask, uint64_t offset)
{
	snprintf(ask->range, sizeof ask->range, "bytes=%llu-", (unsigned long long)offset);
	ask->fields.list[ask->fields.count++] =
		(struct sign_part){ STR("Range"), str_of(ask->range) };
}

static void ask_set(struct transfer *t, const struct fetch *fetch)
{
	struct ask *ask = &t->ask;

	ask->method = fetch->method;
	ask->peer = *fetch->peer;
	ask->node = fetch->node;
	ask->whole = fetch->whole;
	ask->fd = fetch->fd;
	ask->available = fetch->available;
	ask->last = fetch->last;
	buf_addstr(&ask->target, fetch->target);
	fields_set(&ask->fields, fetch->fields, fetch->field_count);
	fields_set(&ask->trailer, fetch->trailer, fetch->trailer_count);
	if (fetch->method == FETCH_GET && fetch->offset > 0)
		add_range(ask, fetch->offset);
	buf_addstr(&ask->content, fetch->content);
	ask->by_length = fetch->last && fetch->trailer_count == 0;
}

/* Tell a new easy handle; signed now, from the body's first byte. */
static void ask_apply(struct transfer *t)
{
	struct buf url = BUF_INIT;
	char peer[ADDRESS_TEXT];

	buf_addf(&url, "http://%s%.*s", address_format(peer, &t->ask.peer),
		 STR_ARG(buf_str(&t->ask.target)));
	curl_easy_setopt(t->easy, CURLOPT_URL, url.data);
	buf_clear(&url);
	t->ask.sent = 0;
	t->ask.all_sent = t->ask.by_length && t->ask.available == 0;
	set_method(t);
	set_lines(t);
}

static void ask_clear(struct ask *ask)
{
	curl_slist_free_all(ask->lines);
	fields_clear(&ask->fields);
	fields_clear(&ask->trailer);
	buf_clear(&ask->target);
	buf_clear(&ask->content);
}

/* what is answered */

static struct str only_field(CURL *easy, unsigned origin, const char *name)
{
	struct curl_header *h;

	if (curl_easy_header(easy, name, 0, origin, -1, &h) != CURLHE_OK || h->amount != 1)
		return (struct str)STR_INIT;
	return str_of(h->value);
}

static struct str only_header(CURL *easy, const char *name)
{
	return only_field(easy, CURLH_HEADER, name);
}

static size_t covered(CURL *easy, unsigned origin, struct sign_part ret[SIGN_FIELDS_MAX])
{
	struct curl_header *h = NULL;
	size_t count = 0;

	while ((h = curl_easy_nextheader(easy, origin, -1, h)) != NULL) {
		if (!sign_covers(str_of(h->name)))
			continue;
		if (count == SIGN_FIELDS_MAX)
			return 0;	/* what is signed has fewer */
		ret[count++] = (struct sign_part){ str_of(h->name), str_of(h->value) };
	}
	return count;
}

/* Who was asked signed this for this request. */
static bool is_signed(struct transfer *t, unsigned origin, struct str method, struct str target)
{
	struct sign_part fields[SIGN_FIELDS_MAX];
	const struct sign_request answer = {
		.sender = t->ask.node, .receiver = t->fetcher->self, .method = method,
		.target = target, .fields = fields,
		.field_count = covered(t->easy, origin, fields),
	};

	const struct sign_keys keys = keys_now(t->fetcher);

	return sign_check_answer(&keys, &answer, only_field(t->easy, origin, SIGN_FIELD),
				 t->ask.nonce);
}

static bool head_is_signed(struct transfer *t, long status)
{
	char text[24];

	snprintf(text, sizeof text, "%ld", status);
	return is_signed(t, CURLH_HEADER, STR(SIGN_ANSWER), str_of(text));
}

/* curl has it whole.  False: it is not signed as it should be. */
static bool answer_is_whole(struct transfer *t, struct err *err)
{
	uint8_t sha256[32];
	char hex[2 * sizeof sha256 + 1];

	if (t->digest == NULL)
		return true;
	digest_end(t->digest, sha256);
	digest_free(t->digest);
	t->digest = NULL;
	str_to_hex(hex, sha256, sizeof sha256);
	if (str_eq(only_field(t->easy, CURLH_TRAILER, SIGN_BODY), str_of(hex)) &&
	    is_signed(t, CURLH_TRAILER, STR(SIGN_ANSWER_TRAILER), STR("")))
		return true;
	err_set(err, ERR_CORRUPT, "fetch from peer: what it answers is not signed at its end");
	return false;
}

static void give_head(struct transfer *t, long status)
{
	struct fetch_head head = { .status = (int)status, .length = FETCH_LENGTH_UNKNOWN };
	curl_off_t length = -1;

	t->has_head = true;
	curl_easy_getinfo(t->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
	if (length >= 0)
		head.length = (uint64_t)length;
	head.etag = only_header(t->easy, "ETag");
	head.content_range = only_header(t->easy, "Content-Range");
	if (t->fetch->head != NULL && t->fetch->head(t->fetch, &head, &t->err) < 0)
		t->has_err = true;
}

/* The peer's clock says something else than ours did. */
static bool is_untimely(struct transfer *t, long status)
{
	return status == 403 && ask_is_signed(t) && !t->was_again &&
	       clock_learn(t->fetcher, &t->ask.peer, only_header(t->easy, PEER_TIME));
}

/* The final response's header is complete. */
static void head_came(struct transfer *t, long status)
{
	if (status >= 300 && t->starved) {
		/* curl sends no more of the body, but would wait to be let go on */
		t->starved = false;
		t->resume = true;
	}
	if (ask_is_signed(t) && !head_is_signed(t, status)) {
		t->has_err = true;
		err_set(&t->err, ERR_AWAY, "fetch from peer: what is there answers %ld, and is not %016"
			PRIx64, status, t->ask.node);
	} else if (is_untimely(t, status)) {
		t->again = true;
	} else {
		if (t->ask.whole && status == 200 && ask_is_signed(t))
			t->digest = digest_new();
		give_head(t, status);
	}
}

/* CURLOPT_HEADERFUNCTION: a line of the header, or of trailers, which are nothing to us. */
static size_t on_header(char *line, size_t size, size_t n, void *data)
{
	struct transfer *t = data;
	long status = 0;

	(void)size;
	t->last_byte = clock_mono_ms();
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
		head_came(t, status);
	return t->has_err ? 0 : n;
}

/* What has come of the body.  -1: whoever asked stops the transfer. */
static int give_body(struct transfer *t, struct err *err)
{
	int rc = 0;

	if (t->digest != NULL)
		digest_add(t->digest, t->came.data, t->came.len);
	if (t->fetch->body != NULL)
		rc = t->fetch->body(t->fetch, t->came.data, t->came.len, err);
	t->last_byte = clock_mono_ms();		/* what the callback took is no silence */
	buf_reset(&t->came);
	return rc;
}

/*
 * CURLOPT_WRITEFUNCTION: curl cuts what it received at once into pieces of
 * 16 KiB, and receives again as long as there is something, so that from a quick
 * peer megabytes would come before it returns.
 */
static size_t on_body(char *bytes, size_t size, size_t n, void *data)
{
	struct transfer *t = data;

	(void)size;
	if (t->again)
		return n;
	if (t->came.len + n > FETCH_BODY_MAX && give_body(t, &t->err) < 0) {
		t->has_err = true;
		return 0;
	}
	buf_add(&t->came, bytes, n);
	return n;
}

/* Before ask_apply(), which wants less at once. */
static void answer_apply(struct transfer *t)
{
	CURL *easy = t->easy;

	curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, RECEIVE_BYTES);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, t);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, t);
}

struct str fetch_field(const struct fetch *fetch, const char *name)
{
	return only_header(fetch->transfer->easy, name);
}

/* transfers */

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

static void drop_easy(struct transfer *t)
{
	if (t->easy == NULL)
		return;
	curl_multi_remove_handle(t->set->multi, t->easy);
	curl_easy_cleanup(t->easy);
	t->easy = NULL;
}

/* With a new easy handle, also when it is begun again. */
static int transfer_begin(struct transfer *t, struct err *err)
{
	drop_easy(t);
	t->header_bytes = 0;
	buf_reset(&t->came);
	digest_free(t->digest);
	t->digest = NULL;
	t->again = t->starved = t->resume = false;
	t->easy = curl_easy_init();
	if (t->easy != NULL) {
		set_options(t);
		answer_apply(t);
		ask_apply(t);
		t->last_byte = clock_mono_ms();
		if (curl_multi_add_handle(t->set->multi, t->easy) == CURLM_OK)
			return 0;
	}
	return err_set(err, ERR_SYSTEM, "start fetch: libcurl refused");
}

static void transfer_free(struct transfer *t)
{
	t->fetch->transfer = NULL;
	list_remove(&t->link);
	drop_easy(t);
	ask_clear(&t->ask);
	buf_clear(&t->came);
	digest_free(t->digest);
	free(t);
}

static struct fetch *transfer_end(struct transfer *t, const struct err *err)
{
	struct fetch *fetch = t->fetch;

	fetch->err = *err;
	transfer_free(t);
	return fetch;
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

/* The connection's, which is new then if there is none; the oldest goes for it. */
static struct mark *find_mark(struct fetch_set *s, long port)
{
	for (size_t i = 0; i < CONNECTIONS_KEPT; i++)
		if (s->marks[i].port == port)
			return &s->marks[i];
	s->mark_next = (s->mark_next + 1) % CONNECTIONS_KEPT;
	return &s->marks[s->mark_next];
}

/* What it has counted since the transfer before; -1: the system does not tell. */
static int mark_move(struct transfer *t, struct mark *ret_since, uint64_t *ret_rate, bool *ret_least)
{
	curl_socket_t fd = CURL_SOCKET_BAD;
	struct tcp_info info = { .tcpi_delivery_rate = 0 };
	socklen_t n = sizeof info;
	struct mark now = { .port = 0 }, *mark;

	if (curl_easy_getinfo(t->easy, CURLINFO_ACTIVESOCKET, &fd) != CURLE_OK || fd == CURL_SOCKET_BAD ||
	    curl_easy_getinfo(t->easy, CURLINFO_LOCAL_PORT, &now.port) != CURLE_OK ||
	    getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n) < 0 ||
	    n < offsetof(struct tcp_info, tcpi_rwnd_limited) + sizeof info.tcpi_rwnd_limited)
		return -1;
	now.acked = info.tcpi_bytes_acked;
	now.busy = info.tcpi_busy_time;
	now.rwnd = info.tcpi_rwnd_limited;
	mark = find_mark(t->set, now.port);
	if (mark->port != now.port || mark->acked > now.acked)
		*mark = (struct mark){ .port = now.port };
	*ret_since = (struct mark){ now.port, now.acked - mark->acked, now.busy - mark->busy, now.rwnd - mark->rwnd };
	*mark = now;
	*ret_rate = info.tcpi_delivery_rate;
	*ret_least = info.tcpi_delivery_rate_app_limited;
	return 0;
}

/*
 * How fast the body went, by the system's own measure, unless it was the peer
 * that did not take more.  curl tells the connection when it is through with it, and keeps it.
 */
static void give_pace(struct transfer *t)
{
	struct mark since;
	uint64_t rate, usual;
	bool least;

	if (t->ask.method != FETCH_PUT || mark_move(t, &since, &rate, &least) < 0 ||
	    since.acked < PACE_BYTES || since.rwnd > since.busy / RWND_SHARE)
		return;
	/* The last moments alone may have been slow ones. */
	usual = since.acked * 1000000 / (since.busy + TICK_US);
	t->fetch->pace = rate > usual ? rate : usual;
	t->fetch->pace_least = least;
}

/* curl says the transfer is over.  NULL: it is made once more. */
static struct fetch *transfer_finished(struct transfer *t, CURLcode code)
{
	struct err err = t->has_err ? t->err : (struct err)ERR_INIT;

	if (t->again) {
		t->was_again = true;
		return transfer_begin(t, &err) == 0 ? NULL : transfer_end(t, &err);
	}
	if (t->has_err)
		return transfer_end(t, &err);
	if (code == CURLE_OK)
		give_pace(t);
	if (code == CURLE_OK && t->has_head)
		answer_is_whole(t, &err);
	else
		err_set(&err, kind_of(code), "fetch from peer: %s",
			t->curl_text[0] ? t->curl_text : curl_easy_strerror(code));
	return transfer_end(t, &err);
}

/* One that is stopped by whoever asked, or NULL. */
static struct fetch *give_bodies(struct fetch_set *s)
{
	struct err err;

	LIST_EACH(struct transfer, t, &s->transfers, link)
		if (t->came.len > 0 && give_body(t, &err) < 0)
			return transfer_end(t, &err);
	return NULL;
}

/* One that curl says is over, or NULL. */
static struct fetch *take_finished(struct fetch_set *s)
{
	struct fetch *fetch = NULL;
	CURLMsg *message;
	int left;

	while (fetch == NULL && (message = curl_multi_info_read(s->multi, &left)) != NULL) {
		struct transfer *t = NULL;
		CURLcode code = message->data.result;

		if (message->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &t);
		fetch = transfer_finished(t, code);
	}
	return fetch;
}

/* One whose peer was silent for too long, or NULL: then in *due, if earlier, when the next will have been. */
static struct fetch *take_silent(struct fetch_set *s, uint64_t now, uint64_t *due)
{
	LIST_EACH(struct transfer, t, &s->transfers, link) {
		bool sending = t->ask.method == FETCH_PUT && !t->ask.all_sent;
		uint64_t limit = t->has_head || sending ? t->fetch->stall_ms : t->fetch->first_byte_ms;
		struct err err;

		if (t->starved)
			continue;	/* it is not the peer that is awaited */
		if (now >= t->last_byte + limit) {
			err_set(&err, ERR_TIMEOUT, "fetch from peer: no %s within %llu ms",
				t->has_head ? "more bytes" : "answer", (unsigned long long)limit);
			return transfer_end(t, &err);
		}
		if (t->last_byte + limit < *due)
			*due = t->last_byte + limit;
	}
	return NULL;
}

static void let_go_on(struct transfer *t)
{
	t->resume = false;
	curl_easy_pause(t->easy, CURLPAUSE_CONT);
}

struct fetch *fetch_wait(struct fetch_set *s, uint64_t due)
{
	for (;;) {
		uint64_t began = clock_mono_ms(), now, left, next = due;
		struct fetch *fetch;
		int running;

		curl_multi_perform(s->multi, &running);
		fetch = give_bodies(s);
		if (fetch == NULL)
			fetch = take_finished(s);
		/* What came while another's callback took its time is read in the next round. */
		if (fetch == NULL)
			fetch = take_silent(s, began, &next);
		now = clock_mono_ms();
		if (fetch != NULL || atomic_exchange(&s->woken, false) || now >= due)
			return fetch;
		LIST_EACH(struct transfer, t, &s->transfers, link)
			if (t->resume) {
				let_go_on(t);
				next = now;
			}
		left = next > now ? next - now : 0;
		curl_multi_poll(s->multi, NULL, 0, left > INT_MAX ? INT_MAX : (int)left, NULL);
	}
}

void fetch_wake(struct fetch_set *s)
{
	atomic_store(&s->woken, true);
	curl_multi_wakeup(s->multi);
}

int fetch_start(struct fetch_set *s, struct fetch *fetch, struct err *err)
{
	struct transfer *t = mem_new(1, sizeof *t);

	t->set = s;
	t->fetcher = s->fetcher;
	list_append(&s->transfers, &t->link);
	t->fetch = fetch;
	fetch->transfer = t;
	ask_set(t, fetch);
	if (transfer_begin(t, err) == 0)
		return 0;
	transfer_free(t);
	return -1;
}

void fetch_cancel(struct fetch *fetch)
{
	if (fetch->transfer != NULL)
		transfer_free(fetch->transfer);
}

/* There is more to send, or the end. */
static void feed(struct transfer *t)
{
	if (!t->starved)
		return;
	t->starved = false;
	t->last_byte = clock_mono_ms();
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
	fields_set(&t->ask.trailer, trailer, count);
	t->ask.last = true;
	feed(t);
}

/* sets */

static void fetch_set_free(struct fetch_set *s)
{
	if (s->multi != NULL)
		curl_multi_cleanup(s->multi);
	free(s);
}

struct fetch_set *fetch_open(struct fetcher *f, struct err *err)
{
	struct fetch_set *s;

	pthread_mutex_lock(&f->lock);
	s = f->closed;
	if (s != NULL) {
		f->closed = s->next;
		f->closed_count--;
	}
	pthread_mutex_unlock(&f->lock);
	if (s != NULL)
		return s;
	s = mem_new(1, sizeof *s);
	s->fetcher = f;
	s->multi = curl_multi_init();
	if (s->multi == NULL) {
		err_set(err, ERR_SYSTEM, "start libcurl: it refused");
		fetch_set_free(s);
		return NULL;
	}
	curl_multi_setopt(s->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
	curl_multi_setopt(s->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_KEPT);
	return s;
}

void fetch_close(struct fetch_set *s)
{
	struct fetcher *f;
	bool kept;

	if (s == NULL)
		return;
	f = s->fetcher;
	LIST_EACH(struct transfer, t, &s->transfers, link)
		transfer_free(t);
	atomic_store(&s->woken, false);
	pthread_mutex_lock(&f->lock);
	kept = f->closed_count < SETS_KEPT;
	if (kept) {
		s->next = f->closed;
		f->closed = s;
		f->closed_count++;
	}
	pthread_mutex_unlock(&f->lock);
	if (!kept)
		fetch_set_free(s);
}

struct fetcher *fetcher_new(struct err *err)
{
	struct fetcher *f;

	/* Nodes are asked by plain HTTP: what libcurl has OpenSSL load for TLS is never needed. */
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CRYPTO_STRINGS | OPENSSL_INIT_NO_ADD_ALL_CIPHERS |
			    OPENSSL_INIT_NO_ADD_ALL_DIGESTS | OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		err_set(err, ERR_SYSTEM, "start libcurl: it refused");
		return NULL;
	}
	f = mem_new(1, sizeof *f);
	pthread_mutex_init(&f->lock, NULL);
	return f;
}

void fetcher_keys(struct fetcher *f, const struct sign_keys *keys, uint64_t self)
{
	pthread_mutex_lock(&f->lock);
	f->keys = *keys;
	if (f->self != self)
		f->self = self;
	pthread_mutex_unlock(&f->lock);
}

void fetcher_free(struct fetcher *f)
{
	if (f == NULL)
		return;
	while (f->closed != NULL) {
		struct fetch_set *next = f->closed->next;

		fetch_set_free(f->closed);
		f->closed = next;
	}
	pthread_mutex_destroy(&f->lock);
	explicit_bzero(&f->keys, sizeof f->keys);
	free(f);
}
