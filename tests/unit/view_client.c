/*
 * The view of covey-discoverd, in one process with something that plays it:
 * from disk, told, changed, away, back; and read by threads meanwhile.
 */
#include "loop_unit.h"

#include "discover_talk.h"
#include "layout_file.h"
#include "members.h"
#include "serve.h"
#include "view_client.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#define READERS 3

static char directory[] = "/var/tmp/covey-view-XXXXXX";
static int listener = -1;
static struct serve *serve;
static struct serve_request *watcher;	/* WATCH, which never ends */
static uint64_t epoch;			/* of the layout that is told */
static unsigned member_count;
static bool members_are_malformed;

static struct view_client *client;
static unsigned changes, failures;
static uint64_t epoch_before;		/* of the view before the last change */

/* what plays covey-discoverd */

static struct layout layout_of(uint64_t of_epoch)
{
	struct layout layout = { .lineage = 7, .epoch = of_epoch, .homes = 3, .copies = 2,
				 .keep_versions = 100 };

	layout_put(&layout, 1, LAYOUT_A, 1, "");
	layout_seat(&layout);
	return layout;
}

static struct members members_of(unsigned count)
{
	struct members members = { .self = 1 };

	for (unsigned i = 1; i <= count; i++) {
		struct member m = { .id = i, .start = 1, .state = MEMBER_UP };

		member_set_name(&m, STR("node"));
		members_add(&members, &m);
	}
	return members;
}

static void tell_members(struct serve_request *request)
{
	struct members members = members_of(member_count);
	struct buf body = BUF_INIT;

	discover_members_pack(&body, &members, 5);
	if (members_are_malformed)
		buf_add(&body, "?", 1);
	serve_reply(request, DISCOVER_MEMBERS, buf_str(&body), NULL, 0);
	members_clear(&members);
	buf_clear(&body);
}

static void tell_layout(struct serve_request *request)
{
	struct layout layout = layout_of(epoch);
	struct buf body = BUF_INIT;

	discover_layout_pack(&body, &layout);
	serve_reply(request, DISCOVER_LAYOUT, buf_str(&body), NULL, 0);
	buf_clear(&body);
}

static void on_request(struct serve *s, struct serve_request *request, struct frame *frame)
{
	(void)s;
	tell_members(request);
	tell_layout(request);
	if (frame->type == DISCOVER_WATCH)
		watcher = request;
	else
		serve_end(request);
}

static void on_gone(struct serve *s, struct serve_request *request)
{
	(void)s;
	if (watcher == request)
		watcher = NULL;
}

static struct serve *discoverd_start(struct loop *on)
{
	static const struct serve_role role = { .request = on_request, .gone = on_gone };
	struct serve *started;

	if (listener < 0) {
		struct buf path = BUF_INIT;

		buf_addf(&path, "%s/discover.sock", directory);
		listener = sock_listen_unix(path.data, NULL);
		buf_clear(&path);
	}
	started = serve_new(on, listener, &role, NULL, NULL);
	CHECK(started != NULL);
	return started;
}

/* the client */

static void on_changed(void *data, const struct group_view *now, const struct group_view *before)
{
	CHECK(data == &changes && now == view_client_view(client) && before != now);
	epoch_before = before->layout.epoch;
	changes++;
}

static void on_failed(void *data, const struct err *err)
{
	CHECK(data == &changes && err->kind != ERR_NONE);
	failures++;
}

static void check_view(int state, unsigned members, uint64_t of_epoch)
{
	const struct group_view *view = view_client_view(client);

	CHECK((int)view->state == state);
	CHECK(view->members.count == members);
	CHECK(view->layout.epoch == of_epoch);
}

static void client_start(void)
{
	static const struct view_events events = { .changed = on_changed, .failed = on_failed };

	changes = failures = 0;
	client = view_client_new(directory, directory, &events, &changes);
}

static void test_disk(void)
{
	struct members members = members_of(2);
	struct layout layout = layout_of(3);

	client_start();
	check_view(VIEW_REMEMBERED, 0, 0);
	view_client_free(client);
	CHECK(members_save(directory, &members, NULL) == 0);
	CHECK(layout_save(directory, &layout, NULL) == 0);
	members_clear(&members);
	client_start();
	check_view(VIEW_REMEMBERED, 2, 3);
	CHECK(changes == 0 && failures == 0);
	CHECK(view_client_ask(client, 50, NULL) == -1);
	view_client_start(client, loop);
	run_for(20);
	check_view(VIEW_REMEMBERED, 2, 3);
	CHECK(changes == 0);
	view_client_free(client);
}

/* Whether this disk forgot something is told with the members: a layout alone is no live view. */
static void test_layout_alone(void)
{
	client_start();
	epoch = 4;
	members_are_malformed = true;
	serve = discoverd_start(loop);
	view_client_start(client, loop);
	run_for(20);
	check_view(VIEW_REMEMBERED, 2, 4);
	CHECK(changes == 1 && failures == 1);
	members_are_malformed = false;
	member_count = 3;
	tell_members(watcher);
	run_for(20);
	check_view(VIEW_LIVE, 3, 4);
	view_client_free(client);
	run_for(20);
	serve_free(serve);
}

static void test_told(void)
{
	struct group_view *held;

	client_start();
	held = view_client_hold(client);
	epoch = 4;
	member_count = 3;
	serve = discoverd_start(loop);
	view_client_start(client, loop);
	run_for(20);
	check_view(VIEW_LIVE, 3, 4);
	CHECK(changes == 2 && view_client_view(client)->clock_offset == 5);
	epoch = 5;
	tell_layout(watcher);
	run_for(20);
	check_view(VIEW_LIVE, 3, 5);
	CHECK(changes == 3 && epoch_before == 4);
	CHECK(held->layout.epoch == 3 && held->members.count == 2 && held->state == VIEW_REMEMBERED);
	group_view_release(held);
	serve_reply(watcher, DISCOVER_LAYOUT, STR("?"), NULL, 0);
	serve_reply(watcher, DISCOVER_DONE, STR(""), NULL, 0);
	run_for(20);
	check_view(VIEW_LIVE, 3, 5);
	CHECK(changes == 3 && failures == 2);
}

/* It writes a layout, goes away before it tells of it, and comes back. */
static void test_away(void)
{
	struct layout layout = layout_of(6);

	CHECK(layout_save(directory, &layout, NULL) == 0);
	serve_free(serve);
	close(listener);
	listener = -1;
	run_for(20);
	check_view(VIEW_STALE, 3, 6);
	CHECK(changes == 4);
	epoch = 7;
	member_count = 4;
	serve = discoverd_start(loop);
	run_for(1100);
	check_view(VIEW_LIVE, 4, 7);
	CHECK(changes == 6 && view_client_caller(client) != NULL);
}

/* Every view is whole, and no older than the one before. */
static void *read_views(void *data)
{
	uint64_t last = 0;

	(void)data;
	while (last < 100) {
		struct group_view *view = view_client_hold(client);

		if (view->layout.epoch < last || view->members.self != 1 ||
		    view->members.list[view->members.count - 1].id != view->members.count)
			return &client;
		last = view->layout.epoch;
		group_view_release(view);
	}
	return NULL;
}

static void test_threads(void)
{
	pthread_t readers[READERS];
	void *wrong;

	for (int i = 0; i < READERS; i++)
		CHECK(pthread_create(&readers[i], NULL, read_views, NULL) == 0);
	while (epoch < 100) {
		epoch++;
		member_count = 1 + epoch % 9;
		tell_members(watcher);
		tell_layout(watcher);
		run_for(1);
	}
	run_for(20);
	for (int i = 0; i < READERS; i++)
		CHECK(pthread_join(readers[i], &wrong) == 0 && wrong == NULL);
	view_client_free(client);
	serve_free(serve);
}

/* Nothing is checked on its thread: that would race for the count. */
static void *play_discoverd(void *data)
{
	return loop_run(data, NULL) == 0 ? NULL : data;
}

static void test_ask(void)
{
	struct loop *other = loop_new(NULL);
	pthread_t thread;
	void *wrong;
	int rc;

	epoch = 101;
	member_count = 5;
	serve = discoverd_start(other);
	client_start();
	CHECK(pthread_create(&thread, NULL, play_discoverd, other) == 0);
	rc = view_client_ask(client, 5000, NULL);
	loop_stop(other);
	CHECK(pthread_join(thread, &wrong) == 0 && wrong == NULL);
	CHECK(rc == 0 && changes == 2);
	check_view(VIEW_LIVE, 5, 101);
	view_client_free(client);
	serve_free(serve);
	loop_free(other);
}

int main(void)
{
	static const char *const names[] = { "discover.sock", "members.ini", "layout.ini" };

	CHECK(mkdtemp(directory) != NULL);
	loop = loop_new(NULL);
	test_disk();
	test_layout_alone();
	test_told();
	test_away();
	test_threads();
	test_ask();
	loop_free(loop);
	close(listener);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct buf path = BUF_INIT;

		buf_addf(&path, "%s/%s", directory, names[i]);
		unlink(path.data);
		buf_clear(&path);
	}
	CHECK(rmdir(directory) == 0);
	return UNIT_RESULT();
}
