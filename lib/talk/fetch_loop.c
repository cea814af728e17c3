/*
 * fetch_loop - libcurl's multi interface on our loop
 *
 * curl tells which sockets it wants watched and when it wants to be called.
 */
#include "fetch_inside.h"

#include "container.h"
#include "mem.h"

struct socket_watch {
	struct watch watch;
	struct fetcher *fetcher;
};

/* Let curl work on one socket, or on its timers. */
static void drive(struct fetcher *f, curl_socket_t fd, int mask)
{
	int running;

	f->inside++;
	curl_multi_socket_action(f->multi, fd, mask, &running);
	f->inside--;
	fetch_settle(f);
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

void fetch_watch(struct fetcher *f)
{
	f->timer.fire = on_timer;
	curl_multi_setopt(f->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
	curl_multi_setopt(f->multi, CURLMOPT_SOCKETDATA, f);
	curl_multi_setopt(f->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	curl_multi_setopt(f->multi, CURLMOPT_TIMERDATA, f);
}
