/* launch - plays systemd for the roles of `covey up` */
#include "launch.h"

#include "backoff.h"
#include "buf.h"
#include "list.h"
#include "log.h"
#include "mem.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define BACKOFF_MIN 100		/* ms before a role that died is started again */
#define BACKOFF_MAX 5000
#define STEADY 10000		/* ms a role must have run for the back-off to start over */
#define FIRST_FD 3		/* of the LISTEN_FDS protocol */
#define EXEC_FAILED 126

enum state { WAITING, RUNNING, RESTING };

struct door {
	struct watch watch;
	struct child *child;
};

struct child {
	struct launch *launch;
	struct link link;
	struct launch_role role;	/* its descriptors are owned */
	char *program, *conf_file, *node;	/* what role's point to; owned */
	struct door doors[LAUNCH_SOCKETS];	/* watched while WAITING */
	struct watch exit;	/* the pidfd, owned, while RUNNING */
	struct timer rest;	/* while RESTING */
	enum state state;
	pid_t pid;
	uint64_t started;	/* ms, the loop's clock */
	unsigned failures;	/* ends since it last ran steadily */
};

struct launch {
	struct loop *loop;
	void (*tell)(const char *line);
	struct list children;	/* owned */
	struct timer grace;
	bool stopping;
};

static int child_start(struct child *, struct err *);

struct launch *launch_new(struct loop *loop, void (*tell)(const char *line))
{
	struct launch *launch = mem_new(1, sizeof *launch);

	launch->loop = loop;
	launch->tell = tell;
	return launch;
}

/* in the child, between fork and exec */

static void hand_over(const struct launch_role *role)
{
	struct buf names = BUF_INIT;
	char number[24];
	int high[LAUNCH_SOCKETS];

	buf_adds(&names, "");
	/* First out of the way, then into place: a source may be another's target. */
	for (size_t i = 0; i < role->sockets; i++) {
		high[i] = fcntl(role->fds[i], F_DUPFD_CLOEXEC, FIRST_FD + LAUNCH_SOCKETS);
		buf_addf(&names, "%s%s", i ? ":" : "", role->names[i]);
	}
	for (size_t i = 0; i < role->sockets; i++)
		if (high[i] < 0 || dup2(high[i], FIRST_FD + (int)i) < 0)
			_exit(EXEC_FAILED);
	close_range(FIRST_FD + (unsigned)role->sockets, ~0U, 0);	/* nothing else is theirs */
	snprintf(number, sizeof number, "%zu", role->sockets);
	setenv("LISTEN_FDS", number, 1);
	snprintf(number, sizeof number, "%d", (int)getpid());
	setenv("LISTEN_PID", number, 1);
	setenv("LISTEN_FDNAMES", names.data, 1);
	buf_clear(&names);
}

_Noreturn static void child_become(const struct child *child, pid_t parent)
{
	char option[] = "-c";
	char *arguments[] = { child->program, option, child->conf_file, NULL };
	sigset_t none;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	/* Its own process group: Ctrl-C is for the parent, which then ends the roles in order. */
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || null < 0 || dup2(null, STDIN_FILENO) < 0)
		_exit(EXEC_FAILED);
	hand_over(&child->role);
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	setenv(LOG_NODE, child->node, 1);
	setenv("GNUTLS_NO_IMPLICIT_INIT", "1", 1);	/* as covey-syncd.service has it */
	signal(SIGPIPE, SIG_DFL);
	signal(SIGHUP, SIG_IGN);	/* until the role has a loop to hear it on; it reads its files later */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execv(child->program, arguments);
	dprintf(STDERR_FILENO, "start %s: %s\n", child->program, strerrordesc_np(errno));
	_exit(EXEC_FAILED);
}

/* the states */

static void stop_watching(struct child *child)
{
	for (size_t i = 0; i < child->role.sockets; i++)
		watch_stop(&child->doors[i].watch);
}

static void child_rest(struct child *child)
{
	if (loop_now(child->launch->loop) - child->started >= STEADY)
		child->failures = 0;
	child->state = RESTING;
	timer_start(child->launch->loop, &child->rest,
		    backoff_ms(BACKOFF_MIN, BACKOFF_MAX, child->failures++));
}

static void start_or_rest(struct child *child)
{
	struct err err = ERR_INIT;

	if (child_start(child, &err) == 0)
		return;
	child->launch->tell(err.text);
	child_rest(child);
}

static void child_on_socket(struct watch *watch, uint32_t events)
{
	struct child *child = CONTAINER_OF(watch, struct door, watch)->child;

	(void)events;
	stop_watching(child);
	start_or_rest(child);
}

static int wait_for_work(struct child *child, struct err *err)
{
	child->state = WAITING;
	for (size_t i = 0; i < child->role.sockets; i++) {
		child->doors[i].watch.fd = child->role.fds[i];
		child->doors[i].watch.ready = child_on_socket;
		child->doors[i].child = child;
		if (watch_start(child->launch->loop, &child->doors[i].watch, EPOLLIN, err) < 0) {
			stop_watching(child);
			return -1;
		}
	}
	return 0;
}

static void stop_if_last(struct launch *launch)
{
	LIST_EACH(struct child, c, &launch->children, link)
		if (c->state == RUNNING)
			return;
	loop_stop(launch->loop);
}

static void tell_end(const struct child *child, const siginfo_t *how)
{
	struct buf line = BUF_INIT;

	buf_addf(&line, "%s -c %s (process %d) ", child->program, child->conf_file,
		 (int)child->pid);
	if (how->si_code == CLD_EXITED)
		buf_addf(&line, "ended with status %d", how->si_status);
	else
		buf_addf(&line, "was ended by SIG%s",
			 sigabbrev_np(how->si_status) ? sigabbrev_np(how->si_status) : "?");
	child->launch->tell(line.data);
	buf_clear(&line);
}

/* Collect the process; its descriptor is not needed any more. */
static void child_reap(struct child *child, siginfo_t *how)
{
	memset(how, 0, sizeof *how);
	while (waitid(P_PIDFD, (id_t)child->exit.fd, how, WEXITED) < 0 && errno == EINTR)
		;
	watch_stop(&child->exit);
	close(child->exit.fd);
	child->exit.fd = -1;
	child->state = RESTING;
}

static void on_exit_of(struct watch *watch, uint32_t events)
{
	struct child *child = CONTAINER_OF(watch, struct child, exit);
	uint64_t ran = loop_now(child->launch->loop) - child->started;
	bool left;
	siginfo_t how;

	(void)events;
	child_reap(child, &how);
	/* One that leaves before it took what it was started for would be started without end. */
	left = how.si_code == CLD_EXITED && how.si_status == 0 && ran >= BACKOFF_MIN;
	if (child->launch->stopping) {
		stop_if_last(child->launch);
		return;
	}
	if (left && !child->role.at_once && wait_for_work(child, NULL) == 0)
		return;
	tell_end(child, &how);
	child_rest(child);
}

static void on_rested(struct timer *timer)
{
	start_or_rest(CONTAINER_OF(timer, struct child, rest));
}

static int watch_exit(struct child *child, pid_t pid, struct err *err)
{
	int fd = pidfd_open(pid, 0);

	if (fd < 0)
		return err_sys(err, "watch %s", child->program);
	child->exit.fd = fd;
	child->exit.ready = on_exit_of;
	if (watch_start(child->launch->loop, &child->exit, EPOLLIN, err) == 0)
		return 0;
	close(fd);
	return -1;
}

static int child_start(struct child *child, struct err *err)
{
	pid_t parent = getpid();
	pid_t pid = fork();

	if (pid < 0)
		return err_sys(err, "start %s", child->program);
	if (pid == 0)
		child_become(child, parent);
	if (watch_exit(child, pid, err) < 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return -1;
	}
	child->pid = pid;
	child->started = loop_now(child->launch->loop);
	child->state = RUNNING;
	return 0;
}

/* what the caller sees */

static void child_free(struct child *child)
{
	free(child->program);
	free(child->conf_file);
	free(child->node);
	free(child);
}

int launch_add(struct launch *launch, const struct launch_role *role, struct err *err)
{
	struct child *child = mem_new(1, sizeof *child);

	child->launch = launch;
	child->role = *role;
	child->program = mem_copy(role->program, strlen(role->program));
	child->conf_file = mem_copy(role->conf_file, strlen(role->conf_file));
	child->node = mem_copy(role->node, strlen(role->node));
	child->rest.fire = on_rested;
	child->exit.fd = -1;
	if ((role->at_once ? child_start(child, err) : wait_for_work(child, err)) < 0) {
		child_free(child);
		return -1;
	}
	list_append(&launch->children, &child->link);
	return 0;
}

static void signal_all(struct launch *launch, int signal)
{
	LIST_EACH(struct child, c, &launch->children, link)
		if (c->state == RUNNING)
			pidfd_send_signal(c->exit.fd, signal, NULL, 0);
}

void launch_reload(struct launch *launch)
{
	if (!launch->stopping)
		signal_all(launch, SIGHUP);
}

static void on_grace_over(struct timer *timer)
{
	signal_all(CONTAINER_OF(timer, struct launch, grace), SIGKILL);
}

void launch_stop(struct launch *launch, uint64_t grace_ms)
{
	if (launch->stopping) {
		signal_all(launch, SIGKILL);
		return;
	}
	launch->stopping = true;
	LIST_EACH(struct child, c, &launch->children, link) {
		stop_watching(c);
		timer_stop(&c->rest);
	}
	signal_all(launch, SIGTERM);
	launch->grace.fire = on_grace_over;
	timer_start(launch->loop, &launch->grace, grace_ms);
	stop_if_last(launch);
}

void launch_free(struct launch *launch)
{
	if (launch == NULL)
		return;
	signal_all(launch, SIGKILL);
	timer_stop(&launch->grace);
	LIST_EACH(struct child, child, &launch->children, link) {
		siginfo_t how;

		if (child->state == RUNNING)
			child_reap(child, &how);
		stop_watching(child);
		timer_stop(&child->rest);
		for (size_t i = 0; i < child->role.sockets; i++)
			close(child->role.fds[i]);
		child_free(child);
	}
	free(launch);
}
