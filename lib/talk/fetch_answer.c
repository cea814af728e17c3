/* fetch_answer - what a peer answers: its header and body, to the caller as they come */
#include "fetch_inside.h"

#include "peer_http.h"

#include <inttypes.h>

#define HEADER_BYTES_MAX (64u * 1024)	/* of one response; more is no peer of ours */
#define RECEIVE_BYTES (128L * 1024)	/* at once */

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

/* signatures */

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

	return sign_check_answer(t->fetcher->keys, &answer, only_field(t->easy, origin, SIGN_FIELD),
				 t->ask.nonce);
}

static bool head_is_signed(struct transfer *t, long status)
{
	char text[24];

	snprintf(text, sizeof text, "%ld", status);
	return is_signed(t, CURLH_HEADER, STR(SIGN_ANSWER), str_of(text));
}

bool answer_ended(struct transfer *t, struct err *err)
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
	fetch_restart_limit(t);
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
	return status == 403 && ask_is_signed(t) && !t->was_again &&
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
	if (t->digest != NULL)
		digest_add(t->digest, bytes, n);
	if (t->fetch->body(t->fetch, bytes, n, &t->err) < 0)
		t->has_err = true;
	return t->has_err || t->fetch == NULL ? CURL_WRITEFUNC_ERROR : n;
}

void answer_apply(struct transfer *t)
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
