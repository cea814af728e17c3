/*
 * fetch - against a peer that behaves in every way a peer may
 *
 * The first part of the target says what the peer does.
 */
#include "fetch_unit.h"

#include "clock.h"
#include "container.h"

#define MANY 60u		/* fetches at once */

/* the peer */

static void send_bytes(int fd, size_t from, size_t to)
{
	static _Thread_local uint8_t part[65536];

	while (from < to) {
		size_t n = to - from < sizeof part ? to - from : sizeof part;
		ssize_t sent;

		for (size_t i = 0; i < n; i++)
			part[i] = pattern(from + i);
		sent = send(fd, part, n, MSG_NOSIGNAL);
		if (sent < 0)
			return;
		from += (size_t)sent;
	}
}

static void say_head(int fd, int status, size_t from, const char *more)
{
	char head[400];

	snprintf(head, sizeof head,
		 "HTTP/1.1 %d X\r\nContent-Length: %u\r\nETag: \"v\"\r\n%sContent-Range: bytes %zu-%u/%u\r\n\r\n",
		 status, BODY - (unsigned)from, more, from, BODY - 1, BODY);
	say(fd, head);
}

/* Misbehave as asked.  False: the connection is to be closed. */
static bool misbehave(int fd, const char *how)
{
	if (strncmp(how, "silent", 6) == 0) {
		keep_silent();
		return false;
	}
	if (strncmp(how, "close", 5) == 0)
		return false;
	if (strncmp(how, "cut", 3) == 0) {
		say_head(fd, 200, 0, "");
		send_bytes(fd, 0, BODY / 2);
		return false;
	}
	if (strncmp(how, "stall", 5) == 0) {
		say_head(fd, 200, 0, "");
		send_bytes(fd, 0, 1000);
		keep_silent();
		return false;
	}
	if (strncmp(how, "drip", 4) == 0) {
		say_head(fd, 200, 0, "");
		for (size_t i = 0; i < 8; i++, usleep(300000))
			send_bytes(fd, i * 10, i * 10 + 10);
		send_bytes(fd, 80, BODY);
		return true;
	}
	if (strncmp(how, "long-header", 11) == 0) {
		say(fd, "HTTP/1.1 200 OK\r\n");
		for (int i = 0; i < 2000; i++)
			say(fd, "X-Padding: 0123456789012345678901234567890123456789\r\n");
		say(fd, "Content-Length: 0\r\n\r\n");
		return false;
	}
	say(fd, "SSH-2.0-OpenSSH_9.2\r\n\r\n");
	return false;
}

static bool answer(int fd, const char *request)
{
	const char *how = request + strlen("GET /"), *range = strstr(request, "\r\nRange: bytes=");
	size_t from = range ? strtoul(range + 15, NULL, 10) : 0;

	if (strstr(request, "\r\nCache-Control: only-if-cached\r\n") == NULL)
		return false;
	if (strncmp(how, "fine", 4) == 0) {
		say(fd, "HTTP/1.1 100 Continue\r\n\r\n");
		say_head(fd, from ? 206 : 200, from, "");
		send_bytes(fd, from, BODY);
		return true;
	}
	if (strncmp(how, "empty", 5) == 0) {
		say(fd, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
		return true;
	}
	if (strncmp(how, "redirect", 8) == 0) {
		say(fd, "HTTP/1.1 302 X\r\nLocation: /fine\r\nContent-Length: 0\r\n\r\n");
		return true;
	}
	if (strncmp(how, "gzip", 4) == 0) {
		say_head(fd, 200, 0, "Content-Encoding: gzip\r\nETag: \"w\"\r\n");
		send_bytes(fd, 0, BODY);
		return true;
	}
	if (strncmp(how, "chunked", 7) == 0) {
		say(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
			"3\r\nabc\r\n2\r\nde\r\n0\r\nETag: \"trailer\"\r\n\r\n");
		return true;
	}
	return misbehave(fd, how);
}

static void *serve_one(void *data)
{
	int fd = (int)(intptr_t)data;
	char request[4096];
	size_t n = 0;

	for (;;) {
		ssize_t got = read(fd, request + n, sizeof request - n - 1);

		if (got <= 0)
			break;
		n += (size_t)got;
		request[n] = '\0';
		if (strstr(request, "\r\n\r\n") == NULL)
			continue;
		n = 0;
		if (!answer(fd, request))
			break;
	}
	close(fd);
	return NULL;
}

/* one exchange */

struct trial {
	struct fetch fetch;
	size_t got, wrong, pieces, largest;
	uint64_t first_byte_ms, stall_ms;	/* 0: PATIENCE_MS */
	size_t stop_after;	/* refuse the body beyond so many bytes; 0: never */
	unsigned slow_ms;	/* that the first pieces take */
	bool refuse_head;
	bool ended;
	int status;
	char etag[40], range[80];
	struct err err;		/* kind ERR_NONE: it came whole */
};

static int on_head(struct fetch *fetch, const struct fetch_head *head, struct err *err)
{
	struct trial *t = CONTAINER_OF(fetch, struct trial, fetch);

	CHECK(t->status == 0);
	t->status = head->status;
	snprintf(t->etag, sizeof t->etag, "%.*s", STR_ARG(head->etag));
	snprintf(t->range, sizeof t->range, "%.*s", STR_ARG(head->content_range));
	return t->refuse_head ? err_set(err, ERR_DENIED, "test: not that") : 0;
}

static int on_body(struct fetch *fetch, const void *bytes, size_t n, struct err *err)
{
	struct trial *t = CONTAINER_OF(fetch, struct trial, fetch);
	const uint8_t *b = bytes;

	for (size_t i = 0; i < n; i++)
		t->wrong += b[i] != pattern(fetch->offset + t->got + i);
	t->got += n;
	t->largest = n > t->largest ? n : t->largest;
	if (t->slow_ms > 0 && t->pieces++ < 2)
		usleep(t->slow_ms * 1000);
	if (t->stop_after && t->got > t->stop_after)
		return err_set(err, ERR_FULL, "test: enough");
	return 0;
}

static void start(struct trial *t, const char *target, uint64_t offset)
{
	struct err err;

	t->fetch = (struct fetch){
		.peer = &peer, .target = str_of(target), .offset = offset,
		.first_byte_ms = t->first_byte_ms ? t->first_byte_ms : PATIENCE_MS,
		.stall_ms = t->stall_ms ? t->stall_ms : PATIENCE_MS,
		.head = on_head, .body = on_body,
	};
	CHECK(fetch_start(set, &t->fetch, &err) == 0);
}

/* Until one is over. */
static void end_one(void)
{
	struct fetch *fetch = fetch_wait(set, UINT64_MAX);
	struct trial *t;

	CHECK(fetch != NULL && fetch->transfer == NULL);
	if (fetch == NULL)
		return;
	t = CONTAINER_OF(fetch, struct trial, fetch);
	CHECK(!t->ended);
	t->ended = true;
	t->err = fetch->err;
	exchange_over();
}

static void run(struct trial *t, const char *target, uint64_t offset)
{
	start(t, target, offset);
	end_one();
}

/* the tests */

static void test_fine(void)
{
	struct trial t = { 0 }, rest = { 0 }, empty = { 0 }, chunked = { 0 }, gzip = { 0 };
	unsigned before = connections;

	run(&t, "/fine?version=x", 0);
	CHECK(t.ended && t.err.kind == ERR_NONE && t.status == 200);
	CHECK(t.got == BODY && t.wrong == 0 && strcmp(t.etag, "\"v\"") == 0);
	fetch_close(set);
	set = fetch_open(fetcher, NULL);
	run(&rest, "/fine", 1234567);
	CHECK(rest.status == 206 && rest.got == BODY - 1234567 && rest.wrong == 0);
	CHECK(strcmp(rest.range, "bytes 1234567-2999999/3000000") == 0);
	run(&empty, "/empty", 0);
	CHECK(empty.ended && empty.status == 404 && empty.got == 0 && empty.err.kind == ERR_NONE);
	run(&chunked, "/chunked", 0);
	CHECK(chunked.status == 200 && chunked.got == 5 && chunked.etag[0] == '\0');
	run(&gzip, "/gzip", 0);
	CHECK(gzip.got == BODY && gzip.wrong == 0 && gzip.etag[0] == '\0');
	CHECK(connections - before == 1);	/* kept alive throughout */
}

static void test_not_followed(void)
{
	struct trial t = { 0 };

	setenv("http_proxy", "http://127.0.0.1:9", 1);
	setenv("all_proxy", "http://127.0.0.1:9", 1);
	run(&t, "/redirect", 0);
	CHECK(t.ended && t.status == 302 && t.err.kind == ERR_NONE && t.got == 0);
}

static void test_failures(void)
{
	struct trial closed = { 0 }, cut = { 0 }, garbage = { 0 }, header = { 0 }, full = { .stop_after = 500 };
	struct trial away = { 0 };
	struct address was = peer;

	run(&closed, "/close", 0);
	CHECK(closed.ended && closed.err.kind == ERR_AWAY && closed.status == 0);
	run(&cut, "/cut", 0);
	CHECK(cut.ended && cut.err.kind == ERR_AWAY && cut.wrong == 0 && cut.got <= BODY / 2);
	run(&garbage, "/garbage", 0);
	CHECK(garbage.ended && garbage.err.kind == ERR_CORRUPT);
	run(&header, "/long-header", 0);
	CHECK(header.ended && header.err.kind == ERR_CORRUPT && header.status == 0);
	run(&full, "/stall", 0);
	CHECK(full.ended && full.err.kind == ERR_FULL && full.got <= 1000);
	address_set_port(&peer, 1);
	run(&away, "/fine", 0);
	CHECK(away.ended && away.err.kind == ERR_AWAY);
	peer = was;
}

static void test_time_outs(void)
{
	struct trial silent = { .first_byte_ms = SHORT_MS }, stall = { .stall_ms = SHORT_MS };
	struct trial drip = { .stall_ms = 1500 };
	uint64_t start_ms = clock_mono_ms();

	run(&silent, "/silent", 0);
	CHECK(silent.ended && is_short_time_out(&silent.err) && silent.status == 0);
	CHECK(clock_mono_ms() - start_ms >= SHORT_MS - 10);
	start_ms = clock_mono_ms();
	run(&stall, "/stall", 0);
	CHECK(stall.ended && is_short_time_out(&stall.err) && stall.status == 200);
	CHECK(clock_mono_ms() - start_ms >= SHORT_MS - 10);
	run(&drip, "/drip", 0);		/* slow, but never silent for long */
	CHECK(drip.ended && drip.err.kind == ERR_NONE && drip.got == BODY && drip.wrong == 0);
}

static void test_cancel(void)
{
	struct trial head = { .refuse_head = true }, body = { .slow_ms = 1 }, before = { 0 }, after = { 0 };

	run(&head, "/fine", 0);
	CHECK(head.ended && head.err.kind == ERR_DENIED && head.status == 200 && head.got == 0);
	start(&body, "/stall", 0);
	while (body.got == 0)
		CHECK(fetch_wait(set, clock_mono_ms() + 10) == NULL);
	fetch_cancel(&body.fetch);
	CHECK(body.fetch.transfer == NULL);
	exchange_over();
	start(&before, "/fine", 0);
	fetch_cancel(&before.fetch);
	fetch_cancel(&before.fetch);
	run(&after, "/fine", 0);
	CHECK(after.ended && after.got == BODY && !before.ended && before.status == 0);
	/* what is under way when its set is closed is cancelled */
	start(&before, "/silent", 0);
	fetch_close(set);
	exchange_over();
	CHECK(before.fetch.transfer == NULL);
	set = fetch_open(fetcher, NULL);
}

static void test_many(void)
{
	static struct trial t[MANY];

	for (size_t i = 0; i < MANY; i++) {
		t[i].slow_ms = i % 3 == 0 ? 5 : 0;
		start(&t[i], i % 7 == 3 ? "/cut" : "/fine", i % 7 == 3 ? 0 : i * 31);
	}
	for (size_t i = 0; i < MANY; i++)
		end_one();
	for (size_t i = 0; i < MANY; i++) {
		CHECK(t[i].ended && t[i].wrong == 0);
		CHECK(i % 7 == 3 ? t[i].err.kind == ERR_AWAY
				 : t[i].err.kind == ERR_NONE && t[i].got == BODY - i * 31);
	}
}

/*
 * What the caller takes for the body's first pieces is longer than a stall may
 * last: that is no stall.  Nor is all that came meanwhile kept in memory.
 */
static void test_slow_caller(void)
{
	struct trial t = { .first_byte_ms = 1500, .stall_ms = 1500, .slow_ms = 2000 };

	run(&t, "/fine", 0);
	CHECK(t.ended && t.err.kind == ERR_NONE && t.got == BODY && t.wrong == 0);
	CHECK(t.largest <= FETCH_BODY_MAX);
}

/* Nor is it a stall of another transfer of the set, whose bytes wait to be read meanwhile. */
static void test_slow_neighbour(void)
{
	struct trial drip = { .stall_ms = 1500 }, slow = { .slow_ms = 2000 };

	start(&drip, "/drip", 0);
	while (drip.got == 0)
		CHECK(fetch_wait(set, clock_mono_ms() + 10) == NULL);
	start(&slow, "/stall", 0);
	end_one();
	CHECK(drip.ended && drip.err.kind == ERR_NONE && drip.got == BODY && slow.got == 1000);
	fetch_cancel(&slow.fetch);
	exchange_over();
}

static void *wake_soon(void *data)
{
	usleep(50000);
	fetch_wake(data);
	return NULL;
}

/* The wait ends at its time, and when another thread says so; what is under way goes on. */
static void test_wake(void)
{
	uint64_t start_ms = clock_mono_ms();
	struct trial t = { 0 };
	pthread_t thread;

	CHECK(fetch_wait(set, start_ms + 50) == NULL && clock_mono_ms() >= start_ms + 50);
	fetch_wake(set);		/* before the wait */
	CHECK(fetch_wait(set, UINT64_MAX) == NULL);
	start(&t, "/drip", 0);
	pthread_create(&thread, NULL, wake_soon, set);
	CHECK(fetch_wait(set, UINT64_MAX) == NULL);
	pthread_join(thread, NULL);
	end_one();
	CHECK(t.ended && t.err.kind == ERR_NONE && t.got == BODY);
}

int main(void)
{
	if (!open_fetcher(serve_one))
		return 1;
	test_fine();
	test_not_followed();
	test_failures();
	test_time_outs();
	test_cancel();
	test_many();
	test_slow_caller();
	test_slow_neighbour();
	test_wake();
	close_fetcher();
	return UNIT_RESULT();
}
