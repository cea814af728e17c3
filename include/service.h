/*
 * service - what every long-lived role shares, so that a role is what differs
 *
 * The skeleton reads the options (-c FILE, -n, --help, --version) and the
 * configuration, adopts the sockets it was handed (LISTEN_FDS, by name) or
 * opens them itself, compares each with the configuration, opens the
 * store, says READY=1, runs the loop, leaves when idle or on SIGTERM, and
 * maps errors to exit codes: 0, 100 (permanent: configuration, format) or
 * 111 (try again), 64 for wrong usage.
 *
 * To a supervisor with a watchdog it says WATCHDOG=1 from the service's own
 * loop, four times as often as it must: that the loop turns, and what alive()
 * says of a role's other threads, so that a stall of half that time is nothing
 * yet.  Threads of a pool are not watched.  But loops do read from the disk
 * (covey-httpd's what it sends, covey-versiond's records): one that hangs for
 * longer than the supervisor waits is taken for a loop that hangs.
 *
 * On SIGHUP, and soon after a file has changed that the role has it watch, it
 * has the role read its files again, without a pause; no role ends by SIGHUP.
 *
 * Where no unit of systemd does it, a role confines itself by Landlock (confine.h)
 * before start(): to its store and run directory, to read the directories of
 * covey.yaml and of the files that it names (conf_file), and what every program
 * reads; and to make files without a name where contents pass (STORE_PASSING).
 *
 * Only this and the tools log and exit; roles return errors.
 */
#ifndef COVEY_SERVICE_H
#define COVEY_SERVICE_H

#include "conf.h"
#include "loop.h"
#include "store.h"

struct service;

#define SERVICE_STOP_MS 20000

/* One socket of the role; the table ends with a NULL name. */
struct service_socket {
	const char *name;	/* FileDescriptorName: "http", "http-unix", "discovery", "versions", "discover", "version", "sync" */
	/* Of SERVICE_TCP there may be several; SERVICE_UNIX_STREAM is where the configuration names one. */
	enum { SERVICE_TCP, SERVICE_UDP, SERVICE_UNIX, SERVICE_UNIX_STREAM } kind;
	bool optional;		/* a group of one does without */
};

struct service_role {
	const char *name;		/* "covey-versiond" */
	const char *summary;		/* one line for --help */
	const struct service_socket *sockets;
	bool exits_idle;		/* after limits.idle_exit, when busy() says no and a supervisor listens on */
	bool inetd;			/* offers --inetd: one connection on fd 0 and 1, no sockets */
	const char *const *reads;	/* NULL, or what it reads of the system beyond what all do; ends with NULL */
	/* NULL, or the i-th file that only it reads, which the configuration names; NULL: there are no more. */
	const char *(*file)(const struct conf *, size_t i);
	/* NULL, or what else --check is to look at. */
	int (*check)(const struct conf *, struct err *);
	/* Start watching; service->data is the role's.  0 or -1. */
	int (*start)(struct service *, struct err *);
	/* NULL, or whether its other threads turn, too: called before each WATCHDOG=1. */
	bool (*alive)(struct service *);
	/* A reason to stay: called when the idle time has passed. */
	bool (*busy)(struct service *);
	/* NULL, or give back the memory that only work needs: there has been none for a while. */
	void (*rest)(struct service *);
	/*
	 * NULL, or look at the files again that others may change (service_watch_file):
	 * on the service's loop, between start() and stop().  What cannot be used is
	 * logged here, and what was in use stays.  It may be called without a change.
	 */
	void (*reload)(struct service *);
	/*
	 * Stop accepting, finish what is under way, then call service_finished().
	 * What takes longer than SERVICE_STOP_MS is cut: then only free() follows.
	 */
	void (*stop)(struct service *);
	void (*free)(struct service *);
};

struct service {
	const struct service_role *role;
	const struct conf *conf;
	const char *conf_file;		/* where it was read */
	struct loop *loop;
	struct store *store;
	char *state;			/* STORE/state, where the roles remember things */
	bool inetd;			/* --inetd was given */
	bool supervised;		/* the sockets were handed over: who did it listens on when this leaves */
	void *data;			/* the role's */
};

/* The whole of main() of a role. */
int service_main(int argc, char **argv, const struct service_role *);

int service_fd(const struct service *, const char *name);	/* the socket, or -1 */
/* Call reload() when another file is there, or it was written: filewatch.h.  Before the file is read. */
void service_watch_file(struct service *, const char *path);
/* All sockets of that name; their number, at most `most`. */
size_t service_fds(const struct service *, const char *name, int *to, size_t most);
void service_touch(struct service *);		/* there was work: the idle clock starts again; any thread */
void service_finished(struct service *);	/* after stop(): leave now */
/* STATUS=, a line for people, told when it differs from the last; on the service's loop. */
void service_status(struct service *, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
