/* fetch_ask - what a transfer asks: its header, body and signature */
#include "fetch_inside.h"

#include "clock.h"
#include "mem.h"

#include <errno.h>
#include <sodium.h>
#include <unistd.h>

#define SEND_BYTES (128L * 1024)	/* at once */
#define WHOLE_BYTES (16u * 1024)		/* a body up to this leaves together with its header */
#define ANSWER_BYTES 4096L		/* of a PUT, at once: it is a line */

/* Fields */

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

/* The peers' clocks */

static int64_t *clock_of(struct fetcher *f, const struct address *peer)
{
	for (size_t i = 0; i < f->clock_count; i++)
		if (address_eq(&f->clocks[i].peer, peer))
			return &f->clocks[i].ahead;
	return NULL;
}

bool ask_learn_clock(struct fetcher *f, const struct address *peer, struct str time)
{
	int64_t *ahead = clock_of(f, peer);
	uint64_t theirs;

	if (str_u64(time, INT64_MAX, &theirs) < 0)
		return false;
	if (ahead == NULL) {
		if (f->clock_count == CLOCKS_MAX)
			memmove(&f->clocks[0], &f->clocks[1],
				--f->clock_count * sizeof f->clocks[0]);
		f->clocks[f->clock_count].peer = *peer;
		ahead = &f->clocks[f->clock_count++].ahead;
	}
	*ahead = (int64_t)(theirs - clock_wall_ns());
	return true;
}

bool ask_is_signed(const struct transfer *t)
{
	return t->ask.node != 0 && t->fetcher->keys != NULL;
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
	const int64_t *ahead = clock_of(t->fetcher, &ask->peer);
	uint64_t time = clock_wall_ns() + (uint64_t)(ahead != NULL ? *ahead : 0);
	char text[SIGN_TEXT];

	if (ask_is_signed(t))
		add_line(lines, STR(SIGN_FIELD),
			 str_of(sign_make(text, t->fetcher->keys, &request, time, ask->nonce)));
}

/* The request */

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
	timer_start(t->fetcher->loop, &t->limit, t->fetch->first_byte_ms);
}

/* CURLOPT_READFUNCTION */
static size_t read_body(char *to, size_t size, size_t n, void *data)
{
	struct transfer *t = data;
	struct ask *ask = &t->ask;
	uint64_t left = ask->available - ask->sent;
	ssize_t got;

	(void)size;
	if (t->fetch == NULL)
		return CURL_READFUNC_ABORT;
	t->last_byte = loop_now(t->fetcher->loop);
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

void ask_set(struct transfer *t, const struct fetch *fetch)
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

void ask_apply(struct transfer *t)
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

void ask_trailer(struct ask *ask, const struct sign_part *trailer, size_t count)
{
	fields_set(&ask->trailer, trailer, count);
	ask->last = true;
}

void ask_clear(struct ask *ask)
{
	curl_slist_free_all(ask->lines);
	fields_clear(&ask->fields);
	fields_clear(&ask->trailer);
	buf_clear(&ask->target);
	buf_clear(&ask->content);
}
