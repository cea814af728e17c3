/*
 * service - what every long-lived role shares, so that a role is what differs
 *
 * main() of a role runs: options, configuration, store, sockets (handed
 * over or opened: sockets.c), READY=1, loop, stop, exit code.
 */
#include "service.h"

#include "clock.h"
#include "container.h"
#include "identity.h"
#include "log.h"
#include "sockets.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define FAILED_STOP_MS 1000	/* what waits for a disk that fails is not waited for */

#define EXIT_PERMANENT 100	/* starting again does not help */
#define EXIT_AGAIN 111
#define EXIT_WRONG_USAGE 64


struct running {
	struct service service;
	struct conf conf;
	struct sockets sockets;
	atomic_uint_fast64_t touched;	/* ms, monotonic: when there last was work */
	struct timer idle;
	struct timer watchdog;
	uint64_t watchdog_ms;
	char status[128];		/* the last that was told */
	struct timer patience;		/* for stop() */
	struct task store_failed;	/* posted from any thread */
	bool stopping;
	bool failed;			/* it leaves because of that */
};

static struct running *running_of(const struct service *service)
{
	return CONTAINER_OF((uintptr_t)service, struct running, service);
}

int service_fd(const struct service *service, const char *name)
{
	return sockets_fd(&running_of(service)->sockets, name);
}

void service_touch(struct service *service)
{
	atomic_store_explicit(&running_of(service)->touched, clock_mono_ms(), memory_order_relaxed);
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

static void on_signal(int signal, void *data)
{
	(void)signal;
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

static void check_idle(struct timer *timer)
{
	struct running *r = CONTAINER_OF(timer, struct running, idle);
	uint64_t limit = r->conf.limits.idle_exit_ms;
	uint64_t idle = clock_mono_ms() - atomic_load_explicit(&r->touched, memory_order_relaxed);

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
	struct buf roles = BUF_INIT;
	struct err why = ERR_INIT;
	int rc;

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

static int prepare(struct running *r, struct err *err)
{
	static const int signals[] = { SIGTERM, SIGINT, 0 };

	r->service.loop = loop_new(err);
	if (r->service.loop == NULL ||
	    loop_signals(r->service.loop, signals, on_signal, r, err) < 0)
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

static int serve(struct running *r, struct err *err)
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

static int run(struct running *r)
{
	struct err err = ERR_INIT;
	int code = 0;

	if (prepare(r, &err) < 0 || serve(r, &err) < 0) {
		log_line(LOG_LEVEL_ERROR, "%s", err.text);
		code = exit_code(&err);
	}
	if (r->failed)
		code = EXIT_AGAIN;
	sockets_clear(&r->sockets);
	store_close(r->service.store);
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

/* As many connections and files as the system grants; the usual 1,024 are for select(2). */
static void raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* What is configured, as far as it can be seen without starting anything: also the key file. */
static int check(const struct conf *conf, struct err *err)
{
	struct seal_keys keys;
	int rc = identity_keys(conf, &keys, err);

	if (rc == 0)
		explicit_bzero(&keys, sizeof keys);
	return rc;
}

int service_main(int argc, char **argv, const struct service_role *role)
{
	struct options options = read_options(argc, argv, role);
	struct running r = { .conf = CONF_INIT, .sockets = SOCKETS_INIT };
	struct err err = ERR_INIT;

	if (options.exit >= 0)
		return options.exit;
	log_open(role->name, options.inetd && stderr_is_the_client());
	r.service = (struct service){ .role = role, .conf = &r.conf, .inetd = options.inetd };
	if (conf_load(&r.conf, options.file, &err) < 0 ||
	    (options.check && check(&r.conf, &err) < 0)) {
		log_line(LOG_LEVEL_ERROR, "%s", err.text);
		conf_clear(&r.conf);
		return exit_code(&err);
	}
	if (options.check) {
		conf_clear(&r.conf);
		return 0;
	}
	log_limit(r.conf.log.level);
	raise_descriptors();
	return run(&r);
}
