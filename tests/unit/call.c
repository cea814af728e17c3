/*
 * Asking and answering over a socket: several answers to one request,
 * descriptors, time-outs, a server that goes and comes, clients that go.
 */
#include "loop_unit.h"

#include "call.h"
#include "container.h"
#include "serve.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ECHO = 1, TWICE, SILENCE, DESCRIPTOR, KEPT, FLOOD, REFUSE };

static char path[] = "/var/tmp/covey-call-XXXXXX.sock";
static int listener = -1;
static struct serve *serve;
static int gone;
static int asked;

static void on_request(struct serve *s, struct serve_request *request, struct frame *frame)
{
	struct err err = ERR_INIT;
	static char much[60000];
	int fd;

	CHECK(serve_data(s) == &gone);
	asked++;
	switch (frame->type) {
	case TWICE:
		serve_reply(request, ECHO, STR("one"), NULL, 0);
		__attribute__((fallthrough));
	case ECHO:
		serve_reply(request, ECHO, frame->body, NULL, 0);
		serve_end(request);
		break;
	case DESCRIPTOR:
		fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
		serve_reply(request, DESCRIPTOR, STR(""), &fd, 1);
		close(fd);
		serve_end(request);
		break;
	case KEPT:
		CHECK(frame->fd_count == 1 && read(frame->fds[0], much, sizeof much) == 0);
		serve_reply(request, ECHO, STR("kept"), NULL, 0);
		serve_end(request);
		break;
	case FLOOD:
		for (int i = 0; i < 40; i++)
			serve_reply(request, FLOOD, (struct str){ much, sizeof much }, NULL, 0);
		serve_end(request);
		break;
	case REFUSE:
		err_set(&err, ERR_DENIED, "ask: no");
		serve_fail(request, &err);
		break;
	default:
		break;		/* stays open */
	}
}

static void on_gone(struct serve *s, struct serve_request *request)
{
	(void)s;
	(void)request;
	gone++;
}

static const struct serve_role role = { .request = on_request, .gone = on_gone };

static void start_server(void)
{
	struct err err = ERR_INIT;

	if (listener < 0)
		listener = sock_listen_unix(path, &err);
	CHECK(listener >= 0);
	serve = serve_new(loop, listener, &role, &gone, &err);
	CHECK(serve != NULL);
}

struct ask {
	struct call call;
	int frames, wanted, over, fds;
	uint8_t type;
	char last[64];
};

static void on_answer(struct call *call, struct frame *frame)
{
	struct ask *ask = CONTAINER_OF(call, struct ask, call);

	if (frame == NULL) {
		ask->over++;
		loop_stop(loop);
		return;
	}
	ask->frames++;
	ask->type = frame->type;
	ask->fds += (int)frame->fd_count;
	snprintf(ask->last, sizeof ask->last, "%.*s", STR_ARG(frame->body));
	if (ask->frames == ask->wanted) {
		call_finish(call);
		loop_stop(loop);
	}
}

static struct ask ask_fd(struct caller *caller, uint8_t type, int wanted, uint64_t timeout_ms,
			 int fd)
{
	struct ask a = { .call = CALL_INIT, .wanted = wanted };

	a.call.answer = on_answer;
	call_start_with(caller, &a.call, type, STR("hello"), fd, timeout_ms);
	CHECK(loop_run(loop, NULL) == 0);
	CHECK(a.call.caller == NULL);
	return a;
}

static struct ask ask(struct caller *caller, uint8_t type, int wanted, uint64_t timeout_ms)
{
	return ask_fd(caller, type, wanted, timeout_ms, -1);
}

/* A descriptor goes with a request, also with one that is asked again. */
static void test_descriptor(struct caller *caller)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct ask a = ask_fd(caller, KEPT, 1, 1000, fd);

	CHECK(a.frames == 1 && strcmp(a.last, "kept") == 0);
	serve_free(serve);
	start_server();
	a = ask_fd(caller, KEPT, 1, 1000, fd);
	CHECK(a.frames == 1 && fcntl(fd, F_GETFD) >= 0);
	close(fd);
}

static void test_answers(struct caller *caller)
{
	struct ask a = ask(caller, ECHO, 1, 1000);

	CHECK(a.frames == 1 && a.over == 0 && strcmp(a.last, "hello") == 0);
	a = ask(caller, TWICE, 2, 1000);
	CHECK(a.frames == 2 && strcmp(a.last, "hello") == 0);
	a = ask(caller, TWICE, 3, 50);
	CHECK(a.frames == 2 && a.over == 1);
	a = ask(caller, DESCRIPTOR, 1, 1000);
	CHECK(a.frames == 1 && a.fds == 1);
	a = ask(caller, REFUSE, 1, 1000);
	CHECK(a.type == FRAME_FAILED);
	a = ask(caller, FLOOD, 40, 2000);
	CHECK(a.frames == 40 && a.over == 0);
}

static void test_silence(struct caller *caller)
{
	struct ask a = ask(caller, SILENCE, 1, 30);

	CHECK(a.frames == 0 && a.over == 1);
	CHECK(serve_requests(serve) == 1 && gone == 0);
}

/* The role is started anew while the listener stays, as systemd does it. */
static void test_restart(struct caller *caller)
{
	struct ask a;

	serve_free(serve);
	CHECK(gone == 1);
	start_server();
	a = ask(caller, ECHO, 1, 1000);
	CHECK(a.frames == 1);
	asked = 0;
	a = (struct ask){ .call = CALL_INIT, .wanted = 1 };
	a.call.answer = on_answer;
	call_start(caller, &a.call, SILENCE, STR("hello"), 5000);
	run_for(20);
	CHECK(asked == 1);
	for (int i = 0; i < 2; i++) {	/* the second time it is not asked again */
		serve_free(serve);
		start_server();
		run_for(20);
	}
	CHECK(asked == 2 && a.over == 1);
}

/* What the other end of connection fd reads next; its body is "hello". */
static struct frame take(int fd)
{
	static char room[FRAME_BYTES];
	struct frame frame = { .type = 0 };

	CHECK(frame_recv(fd, room, &frame, NULL) == 1 && str_eq(frame.body, STR("hello")));
	return frame;
}

static void reply(int fd, struct frame to, const char *text)
{
	struct frame frame = { .type = ECHO, .id = to.id, .body = str_of(text) };

	CHECK(frame_send(fd, &frame, NULL) == 0);
}

/* One leaves with a question unread: what it had answered counts, the rest is for the next one. */
static void test_leaves(void)
{
	static char name[] = "/var/tmp/covey-call-leaves.sock";
	struct ask a[3] = { { .wanted = 2 }, { .wanted = 1 }, { .wanted = 1 } };
	int own = sock_listen_unix(name, NULL), fd;
	struct caller *caller = caller_new(loop, name);
	struct frame first;

	for (int i = 0; i < 3; i++) {
		a[i].call = (struct call)CALL_INIT;
		a[i].call.answer = on_answer;
	}
	call_start(caller, &a[0].call, TWICE, STR("hello"), 5000);
	call_start(caller, &a[1].call, ECHO, STR("hello"), 5000);
	fd = accept4(own, NULL, NULL, SOCK_CLOEXEC);
	first = take(fd);
	reply(fd, first, "one");
	reply(fd, first, "two");
	close(fd);
	call_start(caller, &a[2].call, ECHO, STR("hello"), 5000);	/* and one that comes too late */
	run_for(20);
	run_for(20);
	CHECK(a[0].frames == 2 && a[0].over == 0 && strcmp(a[0].last, "two") == 0);
	fd = accept4(own, NULL, NULL, SOCK_CLOEXEC);
	reply(fd, take(fd), "three");
	reply(fd, take(fd), "four");
	run_for(20);
	run_for(20);
	CHECK(a[1].frames == 1 && a[1].over == 0 && strcmp(a[1].last, "three") == 0);
	CHECK(a[2].frames == 1 && a[2].over == 0 && strcmp(a[2].last, "four") == 0);
	caller_free(caller);
	close(fd);
	close(own);
	unlink(name);
}

/* The asker no longer waits: the server is told, of this request alone. */
static void test_cancel(struct caller *caller)
{
	struct ask a = { .call = CALL_INIT }, other = { .call = CALL_INIT };
	size_t open;

	gone = 0;
	a.call.answer = other.call.answer = on_answer;
	call_start(caller, &a.call, SILENCE, STR("a"), 0);
	call_cancel(&a.call);
	call_cancel(&a.call);
	CHECK(a.call.caller == NULL);
	call_start(caller, &a.call, SILENCE, STR("a"), 0);
	call_start(caller, &other.call, SILENCE, STR("b"), 0);
	run_for(20);
	open = serve_requests(serve);
	CHECK(gone <= 1 && open >= 2);
	gone = 0;
	call_cancel(&a.call);
	run_for(20);
	CHECK(gone == 1 && serve_requests(serve) == open - 1);
	CHECK(other.call.caller != NULL && a.over == 0 && other.over == 0);
	call_finish(&other.call);
}

static void test_away(struct caller *caller)
{
	struct ask a;

	serve_free(serve);
	serve = NULL;
	close(listener);
	listener = -1;
	a = ask(caller, ECHO, 1, 1000);
	CHECK(a.frames == 0 && a.over == 1);
	start_server();
	a = ask(caller, ECHO, 1, 1000);
	CHECK(a.frames == 1 && a.over == 0);
}

static void test_bad_client(void)
{
	int fd = sock_connect_unix(path, NULL);
	char byte;

	CHECK(fd >= 0);
	CHECK(sock_send(fd, "what?", 5, NULL, 0, NULL) == 0);
	run_for(20);
	CHECK(recv(fd, &byte, 1, 0) == 0);
	close(fd);
}

static void test_asking(void)
{
	struct asking asking = ASKING_INIT;
	struct err err = ERR_INIT;
	struct frame frame;

	CHECK(asking_start(&asking, path, TWICE, STR("x"), 50, NULL) == 0);
	run_for(20);
	CHECK(asking_next(&asking, &frame, NULL) == 0 && str_eq(frame.body, STR("one")));
	CHECK(asking_next(&asking, &frame, NULL) == 0 && str_eq(frame.body, STR("x")));
	CHECK(asking_next(&asking, &frame, &err) == -1 && err.kind == ERR_TIMEOUT);
	asking_end(&asking);
	CHECK(asking_start(&asking, "/var/tmp/covey-nowhere.sock", TWICE, STR("x"), 50, &err) == -1);
	asking_end(&asking);
}

int main(void)
{
	struct caller *caller;
	int fd = mkstemps(path, 5);

	CHECK(fd >= 0 && unlink(path) == 0);
	close(fd);
	loop = loop_new(NULL);
	start_server();
	caller = caller_new(loop, path);
	test_answers(caller);
	test_descriptor(caller);
	test_silence(caller);
	test_restart(caller);
	test_leaves();
	test_cancel(caller);
	test_away(caller);
	test_bad_client();
	test_asking();
	caller_free(caller);
	serve_free(serve);
	close(listener);
	unlink(path);
	loop_free(loop);
	return UNIT_RESULT();
}
