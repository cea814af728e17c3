/* resolve - RESOLVE: names to addresses, on threads that may wait */
#include "syncd.h"

#include "clock.h"
#include "container.h"
#include "mem.h"

#include <netdb.h>

struct resolving {
	struct syncd *daemon;
	struct asker asker;		/* request NULL: it went away */
	struct job job;
	uint64_t due;			/* ms, monotonic: nobody waits any more; 0: without end */
	char *host, *port;		/* owned */
	struct sync_addresses found;
	struct err err;
	bool failed;
};

static void look_up(struct job *job)
{
	struct resolving *r = CONTAINER_OF(job, struct resolving, job);
	const struct addrinfo want = {
		.ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM, .ai_flags = AI_NUMERICSERV,
	};
	struct addrinfo *list = NULL;
	int rc;

	/* While name servers are silent questions queue up, but only for as long as they are asked. */
	if (r->due != 0 && clock_mono_ms() >= r->due) {
		r->failed = true;
		err_set(&r->err, ERR_TIMEOUT, "resolve %.100s: too late", r->host);
		return;
	}
	rc = getaddrinfo(r->host, r->port, &want, &list);
	if (rc != 0) {
		r->failed = true;
		err_set(&r->err, ERR_AWAY, "resolve %.100s: %s", r->host, gai_strerror(rc));
		return;
	}
	for (const struct addrinfo *a = list; a != NULL; a = a->ai_next) {
		struct address *to = &r->found.list[r->found.count];

		if (r->found.count == RESOLVE_ADDRESSES_MAX || a->ai_addrlen > sizeof to->sa)
			break;
		memcpy(&to->sa, a->ai_addr, a->ai_addrlen);
		to->len = a->ai_addrlen;
		r->found.count++;
	}
	freeaddrinfo(list);
}

static void looked_up(struct job *job)
{
	struct resolving *r = CONTAINER_OF(job, struct resolving, job);
	struct syncd *d = r->daemon;
	struct buf body = BUF_INIT;

	if (r->asker.request != NULL && r->failed) {
		serve_fail(r->asker.request, &r->err);
	} else if (r->asker.request != NULL) {
		sync_addresses_pack(&body, &r->found);
		serve_reply(r->asker.request, SYNC_ADDRESSES, buf_str(&body), NULL, 0);
		serve_end(r->asker.request);
	}
	buf_clear(&body);
	free(r->host);
	free(r->port);
	free(r);
	d->resolving--;
	syncd_rest(d);
}

static void asker_gone(struct asker *asker)
{
	asker->request = NULL;
}

/* "host:port", "[::1]:port" */
static int split(struct str name, struct str *ret_host, struct str *ret_port, struct err *err)
{
	size_t colon = name.n;
	uint64_t port;

	while (colon > 0 && name.s[colon - 1] != ':')
		colon--;
	if (colon < 2 || memchr(name.s, '\0', name.n) != NULL)
		return err_set(err, ERR_INVALID, "resolve %.*s: not HOST:PORT", STR_ARG(name));
	*ret_host = (struct str){ .s = name.s, .n = colon - 1 };
	*ret_port = (struct str){ .s = name.s + colon, .n = name.n - colon };
	if (str_u64(*ret_port, UINT16_MAX, &port) < 0 || port == 0)
		return err_set(err, ERR_INVALID, "resolve %.*s: not a port", STR_ARG(name));
	if (ret_host->n > 2 && ret_host->s[0] == '[' && ret_host->s[ret_host->n - 1] == ']')
		*ret_host = (struct str){ .s = ret_host->s + 1, .n = ret_host->n - 2 };
	return 0;
}

void resolve_ask(struct syncd *d, struct serve_request *request, struct str name)
{
	struct str host = STR_INIT, port = STR_INIT;
	struct resolving *r;
	struct err err;

	if (split(name, &host, &port, &err) < 0) {
		serve_fail(request, &err);
		return;
	}
	r = mem_new(1, sizeof *r);
	r->daemon = d;
	r->asker = (struct asker){ .request = request, .gone = asker_gone };
	r->host = mem_copy(host.s, host.n);
	r->port = mem_copy(port.s, port.n);
	r->due = request->due;
	r->job = (struct job){ .work = look_up, .done = looked_up, .home = d->loop };
	request->data = &r->asker;
	d->resolving++;
	pool_submit(d->names, &r->job);
}
