/*
 * fetch - POST and PUT, signed, against a peer that checks what it is sent and signs what it answers
 *
 * The first part of the target says what the peer does.  Requests come one
 * at a time, and what it read last is in `seen`, which is the peer's from a
 * request's first byte until it has answered.
 */
#include "fetch_unit.h"

#include "clock.h"
#include "container.h"

#include <sys/mman.h>

#define KEY "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define DEAF_BODY (64u << 20)	/* bytes: more than the sockets take while nobody reads */
#define STEP_MS 20		/* between a body's growing and its next */
#define SELF 0x11
#define NODE 0x22			/* the peer's id */
#define OTHER 0x33
#define HOUR_NS (3600ull * 1000000000)

static struct sign_keys keys;
/* The peers', one behind, one at our time, one ahead, one beyond: a clock that is set back forgets. */
static struct sign_memory memories[4];
static atomic_int requests;

static pthread_mutex_t seen_lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
	char head[4096], trailer[2048];
	char version[80], trailer_version[80];
	bool chunked, has_trailer;
	size_t bytes, wrong;
	enum sign_verdict head_verdict, trailer_verdict;
	struct sign_asker asker, trailer_asker;
} seen;

/* the peer */

struct input {
	int fd;
	char room[65536];
	size_t at, n;
};

static int next_byte(struct input *in)
{
	if (in->at == in->n) {
		ssize_t got = read(in->fd, in->room, sizeof in->room);

		if (got <= 0)
			return -1;
		in->at = 0;
		in->n = (size_t)got;
	}
	return (uint8_t)in->room[in->at++];
}

/* Lines up to an empty one. */
static bool read_lines(struct input *in, char *to, size_t room)
{
	size_t n = 0;
	int c;

	while (n < room - 1 && (c = next_byte(in)) >= 0) {
		to[n++] = (char)c;
		to[n] = '\0';
		if ((n >= 4 && strcmp(to + n - 4, "\r\n\r\n") == 0) || strcmp(to, "\r\n") == 0)
			return true;
	}
	return false;
}

static void read_content(struct input *in, size_t n)
{
	int c;

	for (; n > 0 && (c = next_byte(in)) >= 0; n--)
		seen.wrong += (uint8_t)c != pattern(seen.bytes++);
}

static void read_chunks(struct input *in)
{
	char line[40];
	size_t n;
	int c;

	do {
		for (n = 0; n < sizeof line - 1 && (c = next_byte(in)) >= 0 && c != '\n';)
			line[n++] = (char)c;
		line[n] = '\0';
		n = strtoul(line, NULL, 16);
		read_content(in, n);
		if (n > 0 && (next_byte(in) != '\r' || next_byte(in) != '\n'))
			seen.wrong++;
	} while (n > 0);
	seen.has_trailer = read_lines(in, seen.trailer, sizeof seen.trailer) &&
			   strlen(seen.trailer) > 2;
}

static enum sign_verdict judge(struct str method, struct str target, struct str lines, uint64_t now,
			       char version[80], struct sign_asker *asker)
{
	struct sign_request r = { .receiver = NODE, .method = method, .target = target };
	struct sign_part fields[20];
	struct str line, name, signature = STR_INIT;

	r.fields = fields;
	while (str_cut(&lines, '\n', &line) && line.n > 1 && r.field_count < 20) {
		line.n -= str_ends(line, STR("\r"));
		if (!str_cut(&line, ':', &name) || line.s == NULL)
			continue;
		line = str_trim(line);
		fields[r.field_count++] = (struct sign_part){ name, line };
		if (str_eq_nocase(name, STR(SIGN_FIELD)))
			signature = line;
		if (str_eq_nocase(name, STR("Covey-Version")))
			snprintf(version, 80, "%.*s", STR_ARG(line));
	}
	return sign_check(&memories[(now - clock_wall_ns() + HOUR_NS + HOUR_NS / 2) / HOUR_NS % 4], &keys,
			  &r, signature, now, asker);
}

/* who: signs it; spoil: as an answer to another request. */
static const char *sign(char to[SIGN_TEXT], uint64_t who, const char *method, const char *target,
			const char *name, const char *value, bool spoil)
{
	struct sign_part part = { str_of(name), str_of(value) };
	struct sign_request r = { .sender = who, .receiver = SELF, .method = str_of(method),
				  .target = str_of(target), .fields = &part,
				  .field_count = name[0] != '\0' };
	struct sign_asker asker = seen.asker;

	asker.nonce[3] ^= spoil;
	return sign_make(to, &keys, &r, clock_wall_ns(), asker.nonce);
}

static void reply_as(int fd, uint64_t who, int status, const char *name, const char *value, bool spoil)
{
	char text[600], target[16], signature[SIGN_TEXT];

	snprintf(target, sizeof target, "%d", status);
	snprintf(text, sizeof text, "HTTP/1.1 %d X\r\n%s: %s\r\nCovey-Signature: %s\r\n"
		 "Content-Length: 5\r\n\r\nhello", status, name, value,
		 sign(signature, who, SIGN_ANSWER, target, name, value, spoil));
	say(fd, text);
}

static void reply(int fd, int status, const char *name, const char *value)
{
	reply_as(fd, NODE, status, name, value, false);
}

static void refuse_as_old(int fd, uint64_t now)
{
	char text[24];

	snprintf(text, sizeof text, "%llu", (unsigned long long)now);
	reply(fd, 403, "Covey-Time", text);
}

/* "hello" in two chunks, signed at its end, or wrongly so. */
static void reply_list(int fd, struct str target)
{
	static const char hello[] = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
	static const char other[] = "486ea46224d1bb4fb680f34f7c9ad96a8f24ec88be73ea8e5a6c65260e9cb8a7";
	const char *body = str_ends(target, STR("other")) ? other : hello;
	bool spoil = str_ends(target, STR("spoiled")), bare = str_ends(target, STR("bare"));
	char text[900], head[SIGN_TEXT], trailer[SIGN_TEXT], lines[400] = "";

	sign(head, NODE, SIGN_ANSWER, "200", "", "", false);
	sign(trailer, NODE, SIGN_ANSWER_TRAILER, "", SIGN_BODY, body, spoil);
	if (!bare)
		snprintf(lines, sizeof lines, SIGN_BODY ": %s\r\nCovey-Signature: %s\r\n", body, trailer);
	snprintf(text, sizeof text, "HTTP/1.1 200 X\r\nCovey-Signature: %s\r\n"
		 "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n%s\r\n", head, lines);
	say(fd, text);
}

/* Not by who was asked, not to what was asked, or not signed: it is no answer. */
static bool reply_wrongly(int fd, struct str target)
{
	if (str_starts(target, STR("/tenant")))
		reply_as(fd, OTHER, 201, "Covey-Version", "kept", false);
	else if (str_starts(target, STR("/recorded")))
		reply_as(fd, NODE, 201, "Covey-Version", "kept", true);
	else if (str_starts(target, STR("/status")))
		say(fd, "HTTP/1.1 404 X\r\nContent-Length: 5\r\n\r\nhello");
	else if (str_starts(target, STR("/list")))
		reply_list(fd, target);
	else
		return false;
	return true;
}

/* False: close the connection. */
static bool answer(struct input *in)
{
	struct str head = str_of(seen.head), line, method, target;
	uint64_t now = clock_wall_ns();
	const char *length;

	requests++;
	str_cut(&head, '\n', &line);
	str_cut(&line, ' ', &method);
	str_cut(&line, ' ', &target);
	if (str_starts(target, STR("/behind")))
		now -= HOUR_NS;
	if (str_starts(target, STR("/ahead")) || str_starts(target, STR("/mad")))
		now += HOUR_NS;
	seen.head_verdict = judge(method, target, head, now, seen.version, &seen.asker);
	if (seen.head_verdict == SIGN_OLD) {
		refuse_as_old(in->fd, str_starts(target, STR("/mad")) ? now + HOUR_NS : now);
		return false;	/* the body would follow */
	}
	if (str_starts(target, STR("/refuse"))) {
		reply(in->fd, 409, "Covey-Version", "none");
		return false;
	}
	if (str_starts(target, STR("/deaf"))) {
		keep_silent();
		return false;
	}
	if (reply_wrongly(in->fd, target))
		return true;
	length = strstr(seen.head, "Content-Length: ");
	seen.chunked = strstr(seen.head, "Transfer-Encoding: chunked") != NULL;
	if (length != NULL)
		read_content(in, strtoul(length + 16, NULL, 10));
	if (seen.chunked)
		read_chunks(in);
	if (seen.has_trailer)
		seen.trailer_verdict = judge(STR(SIGN_TRAILER), target, str_of(seen.trailer), now,
					     seen.trailer_version, &seen.trailer_asker);
	if (str_starts(target, STR("/never"))) {
		keep_silent();
		return false;
	}
	reply(in->fd, 201, "Covey-Version", "kept");
	return !str_starts(target, STR("/close"));
}

static void *serve_one(void *data)
{
	struct input in = { .fd = (int)(intptr_t)data };

	bool goes_on = true;

	while (goes_on && next_byte(&in) >= 0) {
		in.at--;
		pthread_mutex_lock(&seen_lock);
		memset(&seen, 0, sizeof seen);
		goes_on = read_lines(&in, seen.head, sizeof seen.head) && answer(&in);
		pthread_mutex_unlock(&seen_lock);
	}
	shutdown(in.fd, SHUT_WR);
	while (next_byte(&in) >= 0)
		;
	close(in.fd);
	return NULL;
}

/* one exchange */

struct trial {
	struct fetch fetch;
	uint64_t grown;		/* of the body; each while a step is added to it */
	uint64_t step, step_ms;	/* 0 ms: STEP_MS */
	size_t got;
	char version[80];
	int status;
	bool ended;
	struct err err;		/* kind ERR_NONE: it came whole */
};

static int on_head(struct fetch *fetch, const struct fetch_head *head, struct err *err)
{
	struct trial *t = CONTAINER_OF(fetch, struct trial, fetch);

	(void)err;
	CHECK(t->status == 0);
	t->status = head->status;
	snprintf(t->version, sizeof t->version, "%.*s", STR_ARG(fetch_field(fetch, "Covey-Version")));
	return 0;
}

static int on_body(struct fetch *fetch, const void *bytes, size_t n, struct err *err)
{
	(void)bytes;
	(void)err;
	CONTAINER_OF(fetch, struct trial, fetch)->got += n;
	return 0;
}

static struct sign_part field(const char *name, const char *value)
{
	return (struct sign_part){ str_of(name), str_of(value) };
}

static void grow(struct trial *t)
{
	struct sign_part trailer = field("Covey-Version", "at last");

	t->grown += t->step;
	if (t->grown < BODY) {
		fetch_more(&t->fetch, t->grown);
	} else {
		fetch_more(&t->fetch, BODY);
		fetch_last(&t->fetch, &trailer, 1);
	}
}

static void run(struct trial *t, enum fetch_method method, const char *target)
{
	struct sign_part given = field("Covey-Version", "early");
	struct err err;

	t->fetch.method = method;
	t->fetch.peer = &peer;
	t->fetch.target = str_of(target);
	t->fetch.fields = &given;
	t->fetch.field_count = 1;
	t->fetch.node = NODE;
	if (t->fetch.stall_ms == 0)
		t->fetch.first_byte_ms = t->fetch.stall_ms = PATIENCE_MS;
	t->fetch.head = on_head;
	t->fetch.body = on_body;
	CHECK(fetch_start(set, &t->fetch, &err) == 0);
	while (!t->ended) {
		bool grows = t->step > 0 && t->grown < BODY;
		uint64_t step_ms = t->step_ms ? t->step_ms : STEP_MS;
		struct fetch *ended = fetch_wait(set, grows ? clock_mono_ms() + step_ms : UINT64_MAX);

		t->ended = ended == &t->fetch;
		if (!t->ended)
			grow(t);
	}
	CHECK(t->fetch.transfer == NULL);
	t->err = t->fetch.err;
	exchange_over();
	pthread_mutex_lock(&seen_lock);		/* the peer is through with it */
	pthread_mutex_unlock(&seen_lock);
}

static int body_fd(void)
{
	static uint8_t bytes[BODY];
	int fd = memfd_create("body", MFD_CLOEXEC);

	for (size_t i = 0; i < BODY; i++)
		bytes[i] = pattern(i);
	CHECK(write(fd, bytes, BODY) == (ssize_t)BODY);
	return fd;
}

/* the tests */

static void test_get(void)
{
	struct trial t = { .fetch.offset = 7 };

	run(&t, FETCH_GET, "/get?x=%20");
	CHECK(t.status == 201 && t.got == 5 && strcmp(t.version, "kept") == 0);
	CHECK(seen.head_verdict == SIGN_OK && strcmp(seen.version, "early") == 0);
	CHECK(seen.asker.id == SELF);
	CHECK(strstr(seen.head, "\r\nRange: bytes=7-\r\n") != NULL);
	CHECK(strstr(seen.head, "\r\nCache-Control: only-if-cached\r\n") != NULL);
}

static bool is_no_answer(const char *target, int fd)
{
	struct trial get = { .step = 0 }, put = { .fetch = { .fd = fd, .available = 100, .last = true } };

	run(&get, FETCH_GET, target);
	run(&put, FETCH_PUT, target);
	return get.status == 0 && get.got == 0 && get.err.kind == ERR_AWAY && put.status == 0 &&
	       put.err.kind == ERR_AWAY;
}

/* Whoever is at the address, or had something recorded: only who was asked answers. */
static void test_who_answers(int fd)
{
	struct trial right = { .fetch.whole = true }, other = right, spoiled = right, bare = right;
	struct trial any = { .step = 0 };

	CHECK(is_no_answer("/tenant", fd));
	CHECK(is_no_answer("/recorded", fd));
	CHECK(is_no_answer("/status", fd));
	run(&right, FETCH_GET, "/list");
	CHECK(right.status == 200 && right.got == 5 && right.err.kind == ERR_NONE);
	run(&other, FETCH_GET, "/list?other");
	CHECK(other.status == 200 && other.err.kind == ERR_CORRUPT);
	run(&spoiled, FETCH_GET, "/list?spoiled");
	CHECK(spoiled.err.kind == ERR_CORRUPT);
	run(&bare, FETCH_GET, "/list?bare");
	CHECK(bare.err.kind == ERR_CORRUPT);
	run(&any, FETCH_GET, "/list?bare");	/* a content has its sha256 */
	CHECK(any.status == 200 && any.err.kind == ERR_NONE);
}

static void test_post(void)
{
	static char content[1200];
	struct trial t = { .fetch.content = { content, sizeof content } }, empty = { .step = 0 };

	for (size_t i = 0; i < sizeof content; i++)
		content[i] = (char)pattern(i);
	run(&t, FETCH_POST, "/.covey/msg?to=versions");
	CHECK(t.status == 201 && t.got == 5 && seen.head_verdict == SIGN_OK);
	CHECK(seen.bytes == sizeof content && seen.wrong == 0 && !seen.chunked);
	CHECK(strncmp(seen.head, "POST ", 5) == 0 && strstr(seen.head, "Expect:") == NULL);
	run(&empty, FETCH_POST, "/.covey/msg?to=sync");
	CHECK(empty.status == 201 && seen.bytes == 0 && seen.head_verdict == SIGN_OK);
}

static void test_put_whole(int fd)
{
	struct sign_part trailer = field("Covey-Version", "whole");
	struct trial t = { .fetch = { .fd = fd, .available = BODY, .last = true, .trailer = &trailer,
				      .trailer_count = 1 } };
	struct trial nothing = { .fetch = { .fd = fd, .last = true } };
	struct trial length = { .fetch = { .fd = fd, .available = BODY, .last = true } };

	run(&t, FETCH_PUT, "/docs/a");
	CHECK(t.status == 201 && seen.chunked && seen.bytes == BODY && seen.wrong == 0);
	CHECK(seen.head_verdict == SIGN_OK && seen.has_trailer && seen.trailer_verdict == SIGN_OK);
	CHECK(strcmp(seen.trailer_version, "whole") == 0);
	run(&nothing, FETCH_PUT, "/docs/b");
	CHECK(nothing.status == 201 && !seen.chunked && seen.bytes == 0 && !seen.has_trailer);
	run(&length, FETCH_PUT, "/docs/c");
	CHECK(length.status == 201 && !seen.chunked && seen.bytes == BODY && seen.wrong == 0);
	CHECK(nothing.fetch.pace == 0);
}

/* How fast the network took it is told, unless it was the peer that took it slowly, as on a busy machine. */
static void test_pace(int fd)
{
	uint64_t most = 0;

	for (int i = 0; i < 200 && most == 0; i++) {
		struct trial t = { .fetch = { .fd = fd, .available = 100000, .last = true } };

		run(&t, FETCH_PUT, "/docs/a");
		CHECK(t.status == 201 && seen.bytes == 100000);
		most = t.fetch.pace;
	}
	CHECK(most > 1000000);
}

static void test_put_growing(int fd)
{
	struct trial t = { .fetch.fd = fd, .step = 300001 }, slow = { .fetch.fd = fd, .step = 1000000 };

	run(&t, FETCH_PUT, "/docs/a");
	CHECK(t.status == 201 && seen.bytes == BODY && seen.wrong == 0);
	CHECK(seen.trailer_verdict == SIGN_OK && strcmp(seen.trailer_version, "at last") == 0);
	/* want of body is no silence of the peer */
	slow.fetch.stall_ms = SHORT_MS;
	slow.fetch.first_byte_ms = PATIENCE_MS;
	slow.step_ms = SHORT_MS + 200;
	run(&slow, FETCH_PUT, "/docs/a");
	CHECK(slow.status == 201 && seen.bytes == BODY && seen.wrong == 0);
}

/* A connection that the peer closed while it was kept: made anew. */
static void test_stale_connection(int fd)
{
	struct trial first = { .step = 0 }, second = { .step = 0 }, third = { .step = 0 };
	struct trial whole = { .fetch = { .fd = fd, .available = BODY, .last = true } };
	struct trial t = { .fetch.content = STR("again") }, put = { .fetch.fd = fd, .step = 1000001 };

	run(&first, FETCH_POST, "/close");
	run(&t, FETCH_POST, "/docs/a");
	CHECK(first.status == 201 && t.status == 201 && seen.head_verdict == SIGN_OK);
	run(&second, FETCH_POST, "/close");
	run(&whole, FETCH_PUT, "/docs/a");
	CHECK(whole.status == 201 && seen.bytes == BODY && seen.wrong == 0 && !seen.chunked);
	run(&third, FETCH_POST, "/close");
	run(&put, FETCH_PUT, "/docs/a");
	CHECK(put.status == 201 && seen.bytes == BODY && seen.wrong == 0);
	CHECK(seen.trailer_verdict == SIGN_OK);
}

static void test_refused_while_growing(int fd)
{
	struct trial t = { .fetch.fd = fd, .step = 1000 }, stuck = { .fetch = { .fd = fd, .available = 10 } };

	run(&t, FETCH_PUT, "/refuse");
	CHECK(t.status == 409 && t.got == 5 && t.err.kind == ERR_NONE);
	run(&stuck, FETCH_PUT, "/refuse");
	CHECK(stuck.status == 409 && stuck.err.kind == ERR_NONE);
}

static void test_clocks(int fd)
{
	struct trial get = { .step = 0 }, put = { .fetch.fd = fd, .step = 1000000 }, mad = { .step = 0 };
	struct trial back = { .step = 0 }, again = { .fetch = { .fd = fd, .available = BODY } };
	struct sign_part trailer = field("Covey-Version", "again");
	int before;

	again.fetch.last = true;
	again.fetch.trailer = &trailer;
	again.fetch.trailer_count = 1;

	before = requests;
	run(&get, FETCH_GET, "/ahead");
	CHECK(get.status == 201 && get.got == 5 && seen.head_verdict == SIGN_OK);
	CHECK(requests - before == 2);
	before = requests;
	run(&put, FETCH_PUT, "/ahead");		/* it is remembered */
	CHECK(put.status == 201 && seen.bytes == BODY && seen.wrong == 0 && requests - before == 1);
	CHECK(seen.trailer_verdict == SIGN_OK);
	CHECK(memcmp(&seen.trailer_asker, &seen.asker, sizeof seen.asker) == 0);
	before = requests;
	run(&again, FETCH_PUT, "/behind");	/* and after bytes of the body were sent */
	CHECK(again.status == 201 && seen.bytes == BODY && seen.wrong == 0 && requests - before == 2);
	CHECK(seen.trailer_verdict == SIGN_OK);
	before = requests;
	run(&back, FETCH_GET, "/docs");		/* the peer's clock was put right */
	CHECK(back.status == 201 && requests - before == 2);
	before = requests;
	run(&mad, FETCH_GET, "/mad");		/* it says one time and means another: no third request */
	CHECK(mad.status == 403 && mad.got == 5 && requests - before == 2);
}

static void test_time_outs(int fd)
{
	struct trial never = { .fetch = { .fd = fd, .available = 100, .last = true } };
	struct trial deaf = { .fetch = { .available = DEAF_BODY, .last = true } };

	deaf.fetch.fd = memfd_create("deaf", MFD_CLOEXEC);
	CHECK(ftruncate(deaf.fetch.fd, DEAF_BODY) == 0);
	never.fetch.first_byte_ms = deaf.fetch.stall_ms = SHORT_MS;
	never.fetch.stall_ms = deaf.fetch.first_byte_ms = PATIENCE_MS;
	run(&never, FETCH_PUT, "/never");
	CHECK(is_short_time_out(&never.err) && never.status == 0);
	run(&deaf, FETCH_PUT, "/deaf");
	CHECK(is_short_time_out(&deaf.err) && deaf.status == 0);
	close(deaf.fetch.fd);
}

int main(void)
{
	struct seal_keys seal = SEAL_KEYS_INIT;
	int fd = body_fd();

	CHECK(seal_keys_parse(STR(KEY), &seal, NULL) == 0);
	sign_keys_derive(&keys, &seal);
	if (!open_fetcher(serve_one))
		return 1;
	fetcher_keys(fetcher, &keys, SELF);
	test_get();
	test_who_answers(fd);
	test_post();
	test_put_whole(fd);
	test_put_growing(fd);
	test_pace(fd);
	test_stale_connection(fd);
	test_refused_while_growing(fd);
	test_clocks(fd);
	test_time_outs(fd);
	close_fetcher();
	close(fd);
	return UNIT_RESULT();
}
