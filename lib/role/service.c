/*
 * service - what every long-lived role shares, so that a role is what differs
 *
 * main() of a role runs: options, configuration, store, sockets, READY=1,
 * loop, stop, exit code.
 *
 * systemd and `covey up` hand sockets over by name (LISTEN_FDS,
 * LISTEN_FDNAMES).  Each is compared with the configuration: one of
 * another kind or address is refused, and so is one beyond loopback
 * without rules and without `access: open`.  What was not handed over is opened.
 */
#include "service.h"

#include "access_file.h"
#include "buf.h"
#include "clock.h"
#include "confine.h"
#include "container.h"
#include "filewatch.h"
#include "identity.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define REST_MS 5000		/* without work; a pool's threads have ended by then */
#define FAILED_STOP_MS 1000	/* what waits for a disk that fails is not waited for */

#define AMPLE_ROOM (UINT64_C(4) << 30)	/* bytes of addresses, that no role ever needs */
#define SMALL_STACK (1u << 20)		/* bytes; no thread needs more */

#define EXIT_PERMANENT 100	/* starting again does not help */
#define EXIT_AGAIN 111
#define EXIT_WRONG_USAGE 64

#define SOCKETS_MAX 24

struct sockets {
	struct {
		const char *name;	/* points into the role's table */
		int fd;			/* owned */
	} list[SOCKETS_MAX];
	size_t count;
	bool handed;			/* a supervisor listens on: idle exit loses nothing */
};
#define SOCKETS_INIT { .count = 0 }

struct running {
	struct service service;
	struct conf conf;
	const char *conf_file;
	struct sockets sockets;
	atomic_uint_fast64_t touched;	/* ms, monotonic: when there last was work */
	struct timer rest;
	struct task works;		/* posted from any thread: the first work after a rest */
	atomic_bool rests;
	struct timer idle;
	struct timer watchdog;
	uint64_t watchdog_ms;
	char status[128];		/* the last that was told */
	struct timer patience;		/* for stop() */
	struct filewatch *files;	/* NULL: none is watched; owned */
	struct task store_failed;	/* posted from any thread */
	bool stopping;
	bool failed;			/* it leaves because of that */
};

/* sockets */

static int sockets_fd(const struct sockets *sockets, const char *name)
{
	for (size_t i = 0; i < sockets->count; i++)
		if (str_eq(str_of(sockets->list[i].name), str_of(name)))
			return sockets->list[i].fd;
	return -1;
}

static void sockets_add(struct sockets *sockets, const char *name, int fd)
{
	if (sockets->count == SOCKETS_MAX)
		abort();	/* the role's table has more */
	sockets->list[sockets->count].name = name;
	sockets->list[sockets->count++].fd = fd;
}

static void sockets_clear(struct sockets *sockets)
{
	for (size_t i = 0; i < sockets->count; i++)
		close(sockets->list[i].fd);
	*sockets = (struct sockets)SOCKETS_INIT;
}

/* Where the configuration wants sockets of a name: those that are given of a list; NULL: no internet address. */
static const struct conf_listen *listen_of(const struct conf *conf, const char *name, size_t *ret_count)
{
	*ret_count = 1;
	if (str_eq(str_of(name), STR("http"))) {
		*ret_count = CONF_LISTENS_MAX;
		return conf->listen.http;
	}
	if (str_eq(str_of(name), STR("https"))) {
		*ret_count = CONF_LISTENS_MAX;
		return conf->listen.https;
	}
	if (str_eq(str_of(name), STR("discovery")))
		return &conf->listen.discovery;
	if (str_eq(str_of(name), STR("versions")))
		return &conf->listen.versions;
	return NULL;
}

/* Empty: the configuration wants none. */
static void socket_path(struct buf *to, const struct service_socket *want, const struct conf *conf,
			const char *run)
{
	if (want->kind == SERVICE_UNIX)
		buf_addf(to, "%s/%s.sock", run, want->name);
	else if (conf->listen.http_unix != NULL)
		buf_adds(to, conf->listen.http_unix);
}

/* what was handed over */

/* covey-generator lets alone what is open, so this takes all three. */
#define REOPEN "; to have systemd open that: systemctl stop 'covey*', daemon-reload, start covey.target"

/* One of that name is at the address. */
static bool sockets_have(const struct sockets *sockets, const char *name, const struct address *address)
{
	struct address is;

	for (size_t i = 0; i < sockets->count; i++)
		if (str_eq(str_of(sockets->list[i].name), str_of(name)) &&
		    sock_address(sockets->list[i].fd, &is, NULL) == 0 && address_eq(&is, address))
			return true;
	return false;
}

static int check_inet(const struct sockets *sockets, int fd, const struct service_socket *want,
		      const struct conf *conf, struct err *err)
{
	bool tcp = want->kind == SERVICE_TCP;
	size_t count, at = 0;
	const struct conf_listen *listen = listen_of(conf, want->name, &count);
	char is[ADDRESS_TEXT], should[ADDRESS_TEXT];
	struct address address;

	if (sd_is_socket(fd, AF_UNSPEC, tcp ? SOCK_STREAM : SOCK_DGRAM, tcp ? 1 : -1) <= 0)
		return err_set(err, ERR_INVALID, "adopt socket \"%s\": not a %s socket", want->name,
			       tcp ? "listening TCP" : "UDP");
	if (sock_address(fd, &address, err) < 0)
		return -1;
	if (listen == NULL || !listen->given)
		return err_set(err, ERR_INVALID,
			       "adopt socket \"%s\" at %s: the configuration has no listen.%s",
			       want->name, address_format(is, &address), want->name);
	while (at < count && !(listen[at].given && address_eq(&address, &listen[at].address)))
		at++;
	if (at == count)
		return err_set(err, ERR_INVALID, "adopt socket \"%s\" at %s: listen.%s says %s" REOPEN,
			       want->name, address_format(is, &address), want->name,
			       address_format(should, &listen->address));
	if (sockets_have(sockets, want->name, &address))
		return err_set(err, ERR_INVALID, "adopt socket \"%s\": there are two of that name at %s",
			       want->name, address_format(is, &address));
	if (!conf_may_be_reached(conf) && !address_is_loopback(&address))
		return err_set(err, ERR_DENIED,
			       "adopt socket \"%s\" at %s: beyond loopback without rules and without \"access: open\"",
			       want->name, address_format(is, &address));
	return 0;
}

static int check_local(int fd, const struct service_socket *want, const struct conf *conf, const char *run,
		       struct err *err)
{
	bool packets = want->kind == SERVICE_UNIX;
	struct buf path = BUF_INIT;
	int result = 0;

	socket_path(&path, want, conf, run);
	if (path.len == 0)
		result = err_set(err, ERR_INVALID, "adopt socket \"%s\": the configuration has no listen.unix",
				 want->name);
	else if (sd_is_socket_unix(fd, packets ? SOCK_SEQPACKET : SOCK_STREAM, 1, path.data, 0) <= 0)
		result = err_set(err, ERR_INVALID, "adopt socket \"%s\": not a %s listener at %s" REOPEN,
				 want->name, packets ? "SOCK_SEQPACKET" : "SOCK_STREAM", path.data);
	buf_clear(&path);
	return result;
}

static const struct service_socket *wanted_socket(const struct service_socket *wanted, const char *name)
{
	for (; wanted->name != NULL; wanted++)
		if (str_eq(str_of(wanted->name), str_of(name)))
			return wanted;
	return NULL;
}

static bool is_local(const struct service_socket *want)
{
	return want->kind == SERVICE_UNIX || want->kind == SERVICE_UNIX_STREAM;
}

static int sockets_adopt(struct sockets *sockets, int fd, const char *name,
			 const struct service_socket *wanted, const struct conf *conf, const char *run,
			 struct err *err)
{
	const struct service_socket *want = wanted_socket(wanted, name);
	int flags = fcntl(fd, F_GETFL);

	if (want == NULL || (want->kind != SERVICE_TCP && sockets_fd(sockets, name) >= 0))
		return err_set(err, ERR_INVALID, "adopt socket \"%s\": %s", name,
			       want == NULL ? "this role has none of that name" :
					      "there are two of that name");
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return err_sys(err, "adopt socket \"%s\"", name);
	if ((is_local(want) ? check_local(fd, want, conf, run, err) :
			       check_inet(sockets, fd, want, conf, err)) < 0)
		return -1;
	sockets_add(sockets, want->name, fd);
	sockets->handed = true;
	return 0;
}

static int sockets_adopt_all(struct sockets *sockets, const struct service_socket *wanted,
			     const struct conf *conf, const char *run, struct err *err)
{
	char **names = NULL;
	int n = sd_listen_fds_with_names(1, &names), result = 0;

	for (int i = 0; i < n && result == 0; i++)
		result = sockets_adopt(sockets, SD_LISTEN_FDS_START + i, names[i], wanted, conf, run, err);
	for (int i = 0; i < n; i++)
		free(names[i]);
	free(names);
	return result;
}

/* what was not */

/*
 * A supervisor that handed over others and not this one does not know of it:
 * it would not listen on, nor let this process reach the network.
 */
static int was_not_handed(const char *name, const char *where, struct err *err)
{
	return err_set(err, ERR_INVALID, "adopt socket \"%s\": none is at %s" REOPEN, name, where);
}

static int socket_open_inet(struct sockets *sockets, const struct service_socket *want,
			    const struct conf_listen *listen, bool handed, struct err *err)
{
	char text[ADDRESS_TEXT];
	int fd;

	if (sockets_have(sockets, want->name, &listen->address))
		return 0;
	if (handed)
		return was_not_handed(want->name, address_format(text, &listen->address), err);
	fd = want->kind == SERVICE_TCP ? sock_listen_tcp(&listen->address, err) :
					 sock_bind_udp(&listen->address, err);
	if (fd < 0)
		return -1;
	sockets_add(sockets, want->name, fd);
	return 0;
}

static int sockets_open_inet(struct sockets *sockets, const struct service_socket *want,
			     const struct conf *conf, struct err *err)
{
	size_t count;
	const struct conf_listen *listen = listen_of(conf, want->name, &count);
	bool handed = sockets_fd(sockets, want->name) >= 0;

	if (!listen->given && !want->optional)
		return err_set(err, ERR_INVALID, "open socket: the configuration has no listen.%s", want->name);
	for (size_t i = 0; i < count && listen[i].given; i++)
		if (socket_open_inet(sockets, want, &listen[i], handed, err) < 0)
			return -1;
	return 0;
}

static int socket_open_local(struct sockets *sockets, const struct service_socket *want,
			     const struct conf *conf, const char *run, struct err *err)
{
	struct buf path = BUF_INIT;
	int fd;

	if (sockets_fd(sockets, want->name) >= 0)
		return 0;
	socket_path(&path, want, conf, run);
	if (path.len == 0)
		return 0;
	if (want->kind == SERVICE_UNIX)
		fd = sock_listen_unix(path.data, err);
	else if (sockets->handed)
		fd = was_not_handed(want->name, path.data, err);
	else
		fd = sock_listen_unix_stream(path.data, err);
	buf_clear(&path);
	if (fd < 0)
		return -1;
	sockets_add(sockets, want->name, fd);
	return 0;
}

/* run: the directory of the local ones, which are RUN/NAME.sock. */
static int sockets_open(struct sockets *sockets, const struct service_socket *wanted,
			const struct conf *conf, const char *run, struct err *err)
{
	if (sockets_adopt_all(sockets, wanted, conf, run, err) < 0)
		return -1;
	for (; wanted->name != NULL; wanted++)
		if ((is_local(wanted) ? socket_open_local(sockets, wanted, conf, run, err) :
					sockets_open_inet(sockets, wanted, conf, err)) < 0)
			return -1;
	return 0;
}

/* what a role asks */

static struct running *running_of(const struct service *service)
{
	return CONTAINER_OF((uintptr_t)service, struct running, service);
}

int service_fd(const struct service *service, const char *name)
{
	return sockets_fd(&running_of(service)->sockets, name);
}

size_t service_fds(const struct service *service, const char *name, int *to, size_t most)
{
	const struct sockets *sockets = &running_of(service)->sockets;
	size_t n = 0;

	for (size_t i = 0; i < sockets->count && n < most; i++)
		if (str_eq(str_of(sockets->list[i].name), str_of(name)))
			to[n++] = sockets->list[i].fd;
	return n;
}

void service_touch(struct service *service)
{
	struct running *r = running_of(service);

	atomic_store_explicit(&r->touched, clock_mono_ms(), memory_order_relaxed);
	if (atomic_load_explicit(&r->rests, memory_order_relaxed) && atomic_exchange(&r->rests, false))
		loop_post(service->loop, &r->works);
}

void service_finished(struct service *service)
{
	loop_stop(service->loop);
}

void service_status(struct service *service, const char *format, ...)
{
	struct running *r = running_of(service);
	char status[sizeof r->status];
	va_list args;

	va_start(args, format);
	vsnprintf(status, sizeof status, format, args);
	va_end(args);
	if (strcmp(status, r->status) == 0)
		return;
	memcpy(r->status, status, sizeof status);
	sd_notifyf(0, "STATUS=%s", status);
}

/* leaving */

static void out_of_patience(struct timer *timer)
{
	struct running *r = CONTAINER_OF(timer, struct running, patience);

	log_line(LOG_LEVEL_WARNING, "stop: not finished after %d s, leaving anyway",
		 (r->failed ? FAILED_STOP_MS : SERVICE_STOP_MS) / 1000);
	loop_stop(r->service.loop);
}

static void begin_stop(struct running *r)
{
	if (r->stopping)
		return;
	r->stopping = true;
	sd_notify(0, "STOPPING=1");
	service_status(&r->service, "stopping");
	timer_stop(&r->idle);
	r->patience.fire = out_of_patience;
	timer_start(r->service.loop, &r->patience, SERVICE_STOP_MS);
	r->service.role->stop(&r->service);
}

/* files that change */

static void files_changed(void *data)
{
	struct running *r = data;

	if (!r->stopping && r->service.role->reload != NULL)
		r->service.role->reload(&r->service);
}

void service_watch_file(struct service *service, const char *path)
{
	struct running *r = running_of(service);

	if (r->files == NULL)
		r->files = filewatch_new(service->loop, files_changed, r);
	filewatch_add(r->files, path);
}

/* systemd 253 and later know by the time that it is their SIGHUP which is being answered. */
static void reload_asked(struct running *r)
{
	if (r->stopping)
		return;
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_mono_us());
	files_changed(r);
	sd_notify(0, "READY=1");
}

static void service_on_signal(int signal, void *data)
{
	if (signal == SIGHUP)
		reload_asked(data);
	else
		begin_stop(data);
}

/* What the disk took may be lost: only a process that knows nothing of it may go on with it. */
static void leave_failed(struct task *task)
{
	struct running *r = CONTAINER_OF(task, struct running, store_failed);

	log_line(LOG_LEVEL_ERROR, "the store %s failed: leave, to be started again",
		 r->conf.node.store);
	r->failed = true;
	begin_stop(r);
	timer_start(r->service.loop, &r->patience, FAILED_STOP_MS);
}

static void store_failed(void *data)
{
	struct running *r = data;

	loop_post(r->service.loop, &r->store_failed);
}

static uint64_t idle_ms(const struct running *r)
{
	return clock_mono_ms() - atomic_load_explicit(&r->touched, memory_order_relaxed);
}

/*
 * What was needed for the work is given back once, when there has been none
 * for a while: malloc keeps what is freed, and each thread's part of it.
 */
static void check_rest(struct timer *timer)
{
	struct running *r = CONTAINER_OF(timer, struct running, rest);
	uint64_t idle = idle_ms(r);

	if (idle < REST_MS) {
		timer_start(r->service.loop, timer, REST_MS - idle);
		return;
	}
	atomic_store(&r->rests, true);
	if (r->service.role->rest != NULL)
		r->service.role->rest(&r->service);
	store_rest(r->service.store);
	malloc_trim(0);
}

static void work_begins(struct task *task)
{
	struct running *r = CONTAINER_OF(task, struct running, works);

	timer_start(r->service.loop, &r->rest, REST_MS);
}

static void check_idle(struct timer *timer)
{
	struct running *r = CONTAINER_OF(timer, struct running, idle);
	uint64_t limit = r->conf.limits.idle_exit_ms, idle = idle_ms(r);

	if (idle < limit)
		timer_start(r->service.loop, timer, limit - idle);
	else if (r->service.role->busy(&r->service) || store_there(r->service.store, NULL) < 0)
		timer_start(r->service.loop, timer, limit);
	else
		begin_stop(r);
}

static void feed_watchdog(struct timer *timer)
{
	struct running *r = CONTAINER_OF(timer, struct running, watchdog);
	const struct service_role *role = r->service.role;

	if (role->alive == NULL || role->alive(&r->service))
		sd_notify(0, "WATCHDOG=1");
	timer_start(r->service.loop, timer, r->watchdog_ms);
}

static void start_timers(struct running *r)
{
	uint64_t us = 0;

	r->rest.fire = check_rest;
	r->works.run = work_begins;
	timer_start(r->service.loop, &r->rest, REST_MS);
	if (r->service.role->exits_idle && r->service.supervised &&
	    r->conf.limits.idle_exit_ms > 0) {
		r->idle.fire = check_idle;
		timer_start(r->service.loop, &r->idle, r->conf.limits.idle_exit_ms);
	}
	if (sd_watchdog_enabled(1, &us) > 0) {
		r->watchdog_ms = us / 4000;	/* a thread that shows late may cost two of them */
		r->watchdog.fire = feed_watchdog;
		timer_start(r->service.loop, &r->watchdog, r->watchdog_ms);
	}
}

/* running */

/* Somebody's clock is wrong, or was. */
static void log_ahead(struct str path, struct version version, uint64_t by_ns)
{
	struct buf target = BUF_INIT;
	char text[VERSION_TEXT];

	path_to_target(&target, path, false);
	log_line(LOG_LEVEL_WARNING, "version %s of %s is %" PRIu64 " s ahead of the clock",
		 version_format(text, version), target.data, by_ns / 1000000000);
	buf_clear(&target);
}

static int open_store(struct running *r, struct err *err)
{
	struct store_options options = {
		.ahead = log_ahead,
		.path = r->conf.node.store,
		.run = r->conf.node.run,
		.min_free = r->conf.limits.min_free,
		.node = r->conf.node.id,
	};
	struct buf roles = BUF_INIT, state = BUF_INIT;
	struct err why = ERR_INIT;
	int rc;

	buf_addf(&state, "%s/state", r->conf.node.store);
	r->service.state = buf_take(&state);
	identity_roles(&r->conf, &roles);
	options.roles = roles.data;
	rc = store_open(&r->service.store, &options, err);
	buf_clear(&roles);
	if (rc < 0)
		return -1;
	r->store_failed.run = leave_failed;
	store_on_failure(r->service.store, store_failed, r);
	if (store_writable(r->service.store, &why) < 0 && why.kind != ERR_FULL)
		log_err(LOG_LEVEL_WARNING, &why, "serve what is there");
	return 0;
}

static int service_prepare(struct running *r, struct err *err)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP, 0 };

	r->service.loop = loop_new(err);
	if (r->service.loop == NULL ||
	    loop_signals(r->service.loop, signals, service_on_signal, r, err) < 0)
		return -1;
	if (open_store(r, err) < 0)
		return -1;
	if (r->service.inetd)
		return 0;
	if (sockets_open(&r->sockets, r->service.role->sockets, &r->conf,
			 store_run(r->service.store), err) < 0)
		return -1;
	r->service.supervised = r->sockets.handed;
	return 0;
}

/* Who changes where one of these directories is has to start the role again. */
static void confine_way(void *data, const char *directory, const char *name, bool turns)
{
	(void)name;
	if (turns)
		confine_read(data, directory);
}

static void confine_all(struct running *r, struct confine *confine)
{
	static const char *const everybodys[] = { "/usr", "/lib", "/lib64", "/proc/self", "/sys/devices/system/cpu",
						  "/etc/localtime", "/etc/ssl/openssl.cnf", "/dev/null" };
	const char *const *own = r->service.role->reads;
	const char *file;

	confine_write(confine, r->conf.node.store);
	confine_write(confine, store_run(r->service.store));
	confine_scratch(confine, STORE_PASSING);
	filewatch_way(r->conf_file, confine_way, confine);
	for (size_t i = 0; (file = conf_file(&r->conf, i)) != NULL; i++)
		filewatch_way(file, confine_way, confine);
	for (size_t i = 0; r->service.role->file != NULL && (file = r->service.role->file(&r->conf, i)) != NULL; i++)
		filewatch_way(file, confine_way, confine);
	for (size_t i = 0; i < sizeof everybodys / sizeof everybodys[0]; i++)
		confine_read(confine, everybodys[i]);
	for (; own != NULL && *own != NULL; own++)
		confine_read(confine, *own);
}

/* A unit of systemd confines it further, and refuses the calls. */
static void service_confine(struct running *r)
{
	struct err why = ERR_INIT;
	struct confine *confine;

	if (getenv("NOTIFY_SOCKET") != NULL)
		return;
	confine = confine_new(&why);
	confine_all(r, confine);
	confine_enter(confine, &why);
	confine_free(confine);
	if (why.kind != ERR_NONE)
		log_line(LOG_LEVEL_INFO, "not confined to its files: %s", err_reason(&why));
}

static int service_serve(struct running *r, struct err *err)
{
	int result;

	if (r->service.role->start(&r->service, err) < 0)
		return -1;
	service_touch(&r->service);
	start_timers(r);
	sd_notify(0, "READY=1");
	result = loop_run(r->service.loop, err);
	r->service.role->free(&r->service);
	return result;
}

static int exit_code(const struct err *err)
{
	/* What may not be opened has to be given to this user first, and a socket handed over. */
	if (err->sys == EACCES || err->sys == EPERM || err->sys == EAFNOSUPPORT)
		return EXIT_PERMANENT;
	switch (err->kind) {
	case ERR_TIMEOUT:
	case ERR_AWAY:
	case ERR_FULL:
	case ERR_EXISTS:
	case ERR_SYSTEM:
		return EXIT_AGAIN;
	case ERR_NONE:
	case ERR_INVALID:
	case ERR_DENIED:
	case ERR_ABSENT:
	case ERR_CONFLICT:
	case ERR_PRECONDITION:
	case ERR_TOO_LARGE:
	case ERR_CORRUPT:
	case ERR_UNSUPPORTED:
		break;
	}
	return EXIT_PERMANENT;
}

static int service_begin(struct running *r, struct err *err)
{
	if (service_prepare(r, err) < 0)
		return -1;
	service_confine(r);
	return 0;
}

static int service_run(struct running *r)
{
	struct err err = ERR_INIT;
	int code = 0;

	if (service_begin(r, &err) < 0 || service_serve(r, &err) < 0) {
		log_line(LOG_LEVEL_ERROR, "%s", err.text);
		code = exit_code(&err);
	}
	if (r->failed)
		code = EXIT_AGAIN;
	filewatch_free(r->files);
	sockets_clear(&r->sockets);
	store_close(r->service.store);
	free(r->service.state);
	loop_free(r->service.loop);
	conf_clear(&r->conf);
	return code;
}

/* options */

struct options {
	const char *file;
	bool check;		/* -n */
	bool inetd;
	int exit;		/* leave at once with this, or -1 */
};

static void usage(const struct service_role *role, FILE *to)
{
	fprintf(to, "usage: %s [-n] %s[-c FILE]\n%s\n\n", role->name, role->inetd ? "[--inetd] " : "",
		role->summary);
	fprintf(to, "  -c, --config FILE  configuration (default %s)\n", CONF_FILE);
	fprintf(to, "  -n, --check        check the configuration and the key file, and exit\n");
	if (role->inetd)
		fprintf(to, "      --inetd        serve one connection on descriptors 0 and 1\n");
	fprintf(to, "  -h, --help         print this\n"
		    "      --version      print the version\n");
}

static struct options read_options(int argc, char **argv, const struct service_role *role)
{
	static const struct option names[] = {
		{ "config", required_argument, NULL, 'c' }, { "check", no_argument, NULL, 'n' },
		{ "inetd", no_argument, NULL, 'i' },	    { "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },	    { NULL, 0, NULL, 0 },
	};
	struct options o = { .file = CONF_FILE, .exit = -1 };
	int c;

	while ((c = getopt_long(argc, argv, "c:nh", names, NULL)) >= 0) {
		if (c == 'c') {
			o.file = optarg;
		} else if (c == 'n') {
			o.check = true;
		} else if (c == 'i' && role->inetd) {
			o.inetd = true;
		} else if (c == 'h') {
			usage(role, stdout);
			o.exit = 0;
		} else if (c == 'v') {
			printf("%s %s\n", role->name, COVEY_VERSION);
			o.exit = 0;
		} else {
			o.exit = EXIT_WRONG_USAGE;
		}
	}
	if (o.exit < 0 && optind < argc)
		o.exit = EXIT_WRONG_USAGE;
	if (o.exit == EXIT_WRONG_USAGE)
		usage(role, stderr);
	return o;
}

/* A classic inetd makes stderr the connection too: what is logged must not reach the client. */
static bool stderr_is_the_client(void)
{
	struct stat out, errors;

	return fstat(STDOUT_FILENO, &out) == 0 && fstat(STDERR_FILENO, &errors) == 0 &&
	       S_ISSOCK(out.st_mode) && out.st_dev == errors.st_dev && out.st_ino == errors.st_ino;
}

/*
 * Each arena of malloc keeps some of what was freed.  Most threads wait most of
 * the time: more of them at once than there are processors gain nothing.
 */
static void limit_arenas(void)
{
	int processors = get_nprocs();

	mallopt(M_ARENA_MAX, processors > 2 ? processors : 2);
}

/* It is answered by the loop, and ends nobody who is about to get there. */
static void keep_reloads(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

/* Arenas and the stacks of threads are room that is never used, and where it is limited it counts. */
static void limit_room(void)
{
	struct rlimit limit;
	pthread_attr_t attributes;

	if (getrlimit(RLIMIT_AS, &limit) < 0 || limit.rlim_cur >= AMPLE_ROOM ||
	    pthread_attr_init(&attributes) != 0)
		return;
	mallopt(M_ARENA_MAX, 1);
	if (pthread_attr_setstacksize(&attributes, SMALL_STACK) == 0)
		pthread_setattr_default_np(&attributes);
	pthread_attr_destroy(&attributes);
}

/* As many connections and files as the system grants; the usual 1,024 are for select(2). */
static void raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* What is configured, as far as it can be seen without starting anything: also the files that it names. */
static int check_configuration(const struct conf *conf, const char *file, const struct service_role *role,
			       struct err *err)
{
	struct seal_keys keys;
	struct access_file access = ACCESS_FILE_INIT;

	if (identity_keys(conf, &keys, err) < 0)
		return -1;
	explicit_bzero(&keys, sizeof keys);
	if (access_file_load(&access, file, err) < 0)
		return -1;
	access_file_clear(&access);
	return role->check != NULL ? role->check(conf, err) : 0;
}

int service_main(int argc, char **argv, const struct service_role *role)
{
	struct options options = read_options(argc, argv, role);
	struct running r = { .conf = CONF_INIT, .conf_file = options.file, .sockets = SOCKETS_INIT };
	struct err err = ERR_INIT;

	if (options.exit >= 0)
		return options.exit;
	keep_reloads();
	log_open(role->name, options.inetd && stderr_is_the_client());
	r.service = (struct service){ .role = role, .conf = &r.conf, .conf_file = options.file, .inetd = options.inetd };
	if (conf_load(&r.conf, options.file, &err) < 0 ||
	    (options.check && check_configuration(&r.conf, options.file, role, &err) < 0)) {
		log_line(LOG_LEVEL_ERROR, "%s", err.text);
		conf_clear(&r.conf);
		return exit_code(&err);
	}
	if (options.check) {
		conf_clear(&r.conf);
		return 0;
	}
	if (conf_file(&r.conf, 0) != NULL || (role->file != NULL && role->file(&r.conf, 0) != NULL))
		confine_memory();	/* before it has what such files hide */
	log_limit(r.conf.log.level);
	raise_descriptors();
	limit_arenas();
	limit_room();
	return service_run(&r);
}
