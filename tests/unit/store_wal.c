/*
 * store_wal - the write-ahead log: its bytes, and what it must bring back
 *
 *	store_wal [SEED [ROUNDS]]
 *
 * Death: a child stops before its n-th call that changes the disk, for every
 * n.  Who looks then finds the old or the new version, whole; after a replay
 * the same one; and what was acknowledged.
 *
 * Life: the child only holds still there.  Who looks meanwhile is told what
 * was there before, and does not wait.
 *
 * Power cuts: a child that was stopped has written to the log, and of what it did
 * to tree/ and history/ any part is lost, as no sync of it ever ended: names,
 * bytes, directories.  A replay brings back all that was acknowledged.
 *
 * Order: nothing gets its name before its entry is on disk.
 */
#include "store_unit.h"

#include "digest.h"
#include "fs.h"
#include "wal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "chance.h"

/* How a child ends. */
enum { DONE, STOPPED, FAILED, ACKNOWLEDGED /* though a call failed */ };

static atomic_long calls;
static long stop_before;		/* 0: never */
static int fail_with;			/* then the call fails with this; 0: the process ends */
static int holds_at = -1;		/* or else says so here, and holds still; -1: it does not */
static atomic_bool log_unsynced;	/* an entry was written, and not synced */
static bool log_syncs_fail;
static bool log_sync_fails_once;
static void (*naming_fails)(void);	/* once, for want of room, when this has returned */
static bool tracking;

/* 't'ree, 'h'istory, 'w'al, or another. */
static char part_of(int fd)
{
	char link[40], path[4096];
	size_t n = strlen(root);

	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	if (fs_read_link(AT_FDCWD, link, path, sizeof path) < 0 || strncmp(path, root, n) != 0)
		return '?';
	return path[n] == '\0' || strncmp(path + n, "/tmp", 4) == 0 ? '?' : path[n + 1];
}

static bool fails(void)
{
	if (stop_before == 0 || atomic_fetch_add(&calls, 1) + 1 != stop_before)
		return false;
	if (fail_with == 0 && (holds_at < 0 || write(holds_at, "", 1) != 1))
		_exit(STOPPED);
	while (fail_with == 0)
		pause();
	errno = fail_with;
	return true;
}

static void name_changes(int dir)
{
	char part = part_of(dir);

	if (tracking && (part == 't' || part == 'h'))
		CHECK(!atomic_load(&log_unsynced));
}

int fdatasync(int fd)
{
	bool log = part_of(fd) == 'w', lost = log && (log_syncs_fail || log_sync_fails_once);

	if (lost) {
		log_sync_fails_once = false;
		errno = EIO;
	}
	if (lost || fails())
		return -1;
	if (log)
		atomic_store(&log_unsynced, false);
	return (int)syscall(SYS_fdatasync, fd);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
	if (fails())
		return -1;
	atomic_store(&log_unsynced, true);
	return syscall(SYS_pwritev, fd, parts, count, offset, 0);
}

int linkat(int from, const char *old, int dir, const char *name, int flags)
{
	void (*meanwhile)(void) = naming_fails;

	if (meanwhile != NULL && part_of(dir) != 'w') {
		naming_fails = NULL;
		meanwhile();
		errno = ENOSPC;
		return -1;
	}
	if (fails())
		return -1;
	name_changes(dir);
	return (int)syscall(SYS_linkat, from, old, dir, name, flags);
}

int renameat(int from, const char *old, int dir, const char *name)
{
	if (fails())
		return -1;
	name_changes(dir);
	return (int)syscall(SYS_renameat2, from, old, dir, name, 0);
}

int symlinkat(const char *text, int dir, const char *name)
{
	if (fails())
		return -1;
	name_changes(dir);
	return (int)syscall(SYS_symlinkat, text, dir, name);
}

int mkdirat(int dir, const char *name, mode_t mode)
{
	if (fails())
		return -1;
	return (int)syscall(SYS_mkdirat, dir, name, mode);
}

int fsetxattr(int fd, const char *name, const void *value, size_t size, int flags)
{
	if (fails())
		return -1;
	return (int)syscall(SYS_fsetxattr, fd, name, value, size, flags);
}

/* commits by the log */

static struct wal *wal;		/* of the process that writes */

static enum err_kind commit_logged(struct commit *c, const char *path, const char *body)
{
	int status;

	why = (struct err)ERR_INIT;
	c->path = str_of(path);
	c->wal = wal;
	c->stage = body != NULL ? stage_of_bytes(store, str_of(body)) : NULL;
	status = store_commit(store, c, &why);
	stage_free(c->stage);
	c->stage = NULL;
	return status == 0 ? ERR_NONE : why.kind;
}

static enum err_kind put_logged(const char *path, const char *body)
{
	struct commit c = { .ungrouped = true };

	return commit_logged(&c, path, body);
}

static const uint64_t far_ahead = UINT64_C(7000000000) * 1000000000;
static const uint64_t long_ago = UINT64_C(1600000000) * 1000000000;

static enum err_kind act_put(const char *path)
{
	return put_logged(path, "new");
}

static enum err_kind act_old_version(const char *path)
{
	struct commit c = { .fixed = { .time = long_ago, .node = 7 } };

	return commit_logged(&c, path, "ancient");
}

static enum err_kind act_elsewhere(const char *path)
{
	struct commit c = { .fixed = { .time = far_ahead, .node = 7 }, .type = STR("text/x-odd") };

	return commit_logged(&c, path, "new");
}

static enum err_kind act_pointer(const char *path)
{
	struct record record = { .version = { .time = far_ahead, .node = 7 }, .size = 3 };
	struct commit c = { .pointer = &record };

	digest_of("new", 3, record.sha256);
	return commit_logged(&c, path, NULL);
}

/* The content of a pointer. */
static void pointer_there(const char *path)
{
	CHECK(act_pointer(path) == ERR_NONE);
}

static enum err_kind act_owed(const char *path)
{
	struct commit c = COMMIT_INIT;
	enum err_kind kind;

	if (outbox_open(&c.outbox, store, &why) < 0)
		return why.kind;
	kind = commit_logged(&c, path, "new");
	outbox_close(c.outbox);
	return kind;
}

static enum err_kind act_delete(const char *path)
{
	struct commit c = { .ungrouped = true, .flags = RECORD_DELETED };

	return commit_logged(&c, path, NULL);
}

static enum err_kind act_old_deletion(const char *path)
{
	struct commit c = { .flags = RECORD_DELETED, .fixed = { .time = long_ago, .node = 7 } };

	return commit_logged(&c, path, NULL);
}

static void old_file(const char *path)
{
	CHECK(put(path, "old") == ERR_NONE);
}

static void older_and_old_file(const char *path)
{
	CHECK(put(path, "older") == ERR_NONE && put(path, "old") == ERR_NONE);
}

static void deleted_file(const char *path)
{
	old_file(path);
	CHECK(with_flags(path, RECORD_DELETED) == ERR_NONE);
}

static const struct scenario {
	const char *name;
	void (*prepare)(const char *path);
	enum err_kind (*act)(const char *path);
	const char *before, *after;
} scenarios[] = {
	{ "first version", NULL, act_put, NULL, "new" },
	{ "second version", old_file, act_put, "old", "new" },
	{ "third version", older_and_old_file, act_put, "old", "new" },
	{ "version after a deletion", deleted_file, act_put, NULL, "new" },
	{ "old version from elsewhere", old_file, act_old_version, "old", "old" },
	{ "version from elsewhere", old_file, act_elsewhere, "old", "new" },
	{ "pointer", old_file, act_pointer, "old", NULL },
	{ "content of a pointer", pointer_there, act_elsewhere, NULL, "new" },
	{ "deletion", old_file, act_delete, "old", NULL },
	{ "deletion of nothing", NULL, act_delete, NULL, NULL },
	{ "deletion after a deletion", deleted_file, act_delete, NULL, NULL },
	{ "old deletion from elsewhere", older_and_old_file, act_old_deletion, "old", "old" },
	{ "version in the outbox", old_file, act_owed, "old", "new" },
};

static void reopen(void)
{
	struct store_options options = { .path = root };

	store_close(store);
	CHECK(store_open(&store, &options, &why) == 0);
	if (store == NULL)
		fprintf(stderr, "%s\n", why.text);
}

/* As after a boot: the table of counters is gone with its file system. */
static void reboot(void)
{
	unlink(in_store("run/counters", ""));
	reopen();
}

static size_t segments(void)
{
	return names_in(in_store("wal", "")) - 2;
}

static int note_owed(void *data, const struct outbox_entry *entry)
{
	bool *owed = data;

	(void)entry;
	*owed = true;
	return 0;
}

/* What the outbox has is of no use any more. */
static bool is_owed(void)
{
	struct outbox_reader *reader = outbox_reader_new(store);
	bool owed = false;

	CHECK(outbox_read(reader, note_owed, &owed, &why) == 0);
	outbox_reader_free(reader);
	return owed;
}

static void empty_outbox(void)
{
	remove_all(in_store("outbox", ""));
	CHECK(mkdir(in_store("outbox", ""), 0750) == 0);
	reopen();
}

static void wal_end(void)
{
	wal_close(wal);
	wal = NULL;
}

/* In a child, which dies as by kill -9; what it came to. */
static int in_child(enum err_kind (*act)(const char *), const char *path, long n)
{
	int status = -1;
	pid_t child = fork();

	if (child == 0) {
		enum err_kind kind;

		if (wal_open(&wal, store, &why) < 0)
			_exit(FAILED);
		stop_before = n;
		kind = act(path);
		_exit(kind != ERR_NONE ? FAILED : n > 0 && calls >= n ? ACKNOWLEDGED : DONE);
	}
	CHECK(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status));
	return WEXITSTATUS(status);
}

static bool died_at(const struct scenario *s, size_t index, long n)
{
	char path[60];
	size_t had, now;
	bool came, acknowledged;
	int status;

	snprintf(path, sizeof path, "s%zu/n%ld.%d", index, n, fail_with);
	CHECK(with_flags("s0", RECORD_DIRECTORY) == ERR_NONE);
	if (s->prepare != NULL)
		s->prepare(path);
	else
		CHECK(put("s0/other", "other") == ERR_NONE);
	had = versions(path);
	status = in_child(s->act, path, n);
	acknowledged = status == DONE || status == ACKNOWLEDGED;
	CHECK(acknowledged || status == (fail_with == 0 ? STOPPED : FAILED));
	now = versions(path);
	came = now > had;
	CHECK(now <= had + 1);
	CHECK(!came || fail_with == 0 || acknowledged);	/* what was refused is not seen */
	if (acknowledged)
		CHECK(holds(path, s->after));
	else
		CHECK(holds(path, s->after) || holds(path, s->before));
	reboot();
	CHECK(segments() == 0);
	CHECK(versions(path) == now);
	CHECK(holds(path, s->after) || (!acknowledged && holds(path, s->before)));
	if (s->act == act_owed && came)
		CHECK(is_owed());
	if (s->act == act_owed)
		empty_outbox();
	CHECK(put(path, "next") == ERR_NONE || s->act == act_elsewhere || s->act == act_pointer);
	return status != DONE;
}

static void die_everywhere(const struct scenario *s, size_t index)
{
	int failed = unit_failures;
	long n = 1;

	while (unit_failures == failed && n < 200 && died_at(s, index, n))
		n++;
	if (unit_failures > failed)
		fprintf(stderr, "call %ld of: %s (%d)\n", n, s->name, fail_with);
	else if (fail_with == 0)
		printf("%-36s %3ld calls\n", s->name, n - 1);
	CHECK(n > 1 && n < 200);
}

/* False when it has fewer calls. */
static bool held_at(const struct scenario *s, size_t index, long n)
{
	int ends[2] = { -1, -1 }, status = -1;
	char path[60], byte;
	size_t had;
	bool held;
	pid_t child;

	snprintf(path, sizeof path, "s%zu/held%ld", index, n);
	if (s->prepare != NULL)
		s->prepare(path);
	had = versions(path);
	CHECK(pipe(ends) == 0);
	child = fork();
	if (child == 0) {
		close(ends[0]);
		if (wal_open(&wal, store, &why) < 0)
			_exit(FAILED);
		stop_before = n;
		holds_at = ends[1];
		_exit(s->act(path) == ERR_NONE ? DONE : FAILED);
	}
	close(ends[1]);
	held = read(ends[0], &byte, 1) == 1;
	if (held) {
		CHECK(!store_would_wait(store, str_of(path)));
		CHECK(holds(path, s->before) && versions(path) == had);
	}
	kill(child, SIGKILL);
	CHECK(waitpid(child, &status, 0) == child);
	close(ends[0]);
	/* Nobody was told of it: whoever writes next is not to find it above himself. */
	if (held && s->after != s->before && had > 0 && s->act != act_elsewhere && s->act != act_pointer) {
		CHECK(put(path, "next") == ERR_NONE && versions(path) == had + 1);
		reopen();
		CHECK(holds(path, "next") && versions(path) == had + 1);
	}
	return held;
}

static void hold_everywhere(const struct scenario *s, size_t index)
{
	int failed = unit_failures;
	long n = 1;

	alarm(100);	/* who waited would wait for ever */
	while (unit_failures == failed && held_at(s, index, n))
		n++;
	alarm(0);
	if (unit_failures > failed)
		fprintf(stderr, "held at call %ld of: %s\n", n, s->name);
	CHECK(n > 1);
}

/* what a power cut takes */

#define FILES 12

static const char *file_name(unsigned i)
{
	static char text[40];

	snprintf(text, sizeof text, i % 3 == 0 ? "cut/f%u" : i % 3 == 1 ? "cut/a/f%u" : "f%u", i);
	return text;
}

static const char *text_of(unsigned round, unsigned i, unsigned version)
{
	static char text[60];

	snprintf(text, sizeof text, "round %u file %u version %u", round, i, version);
	return text;
}

static unsigned cut_round, last[FILES], count[FILES];

static enum err_kind act_many(const char *path)
{
	(void)path;
	for (unsigned i = 0; i < FILES; i++)
		for (unsigned v = 0; v < last[i]; v++)
			if (put_logged(file_name(i), text_of(cut_round, i, v)) != ERR_NONE)
				return why.kind;
	return ERR_NONE;
}

/* Of a regular file what comes to the disk late is gone; its attributes are not. */
static void lose_bytes(const char *path)
{
	struct stat st;
	int fd = open(path, O_RDWR);

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	if (below(2) == 0)
		CHECK(ftruncate(fd, below((unsigned)st.st_size + 1)) == 0);
	else
		CHECK(st.st_size == 0 || write(fd, "\0", 1) == 1);
	CHECK(futimens(fd, (struct timespec[2]){ { .tv_nsec = UTIME_OMIT }, st.st_mtim }) == 0);
	close(fd);
}

/* Any part of what was done to one path since the last sync. */
static void lose(const char *name)
{
	char tree[4096], history[4096], command[9000];
	FILE *pipe;

	snprintf(tree, sizeof tree, "%s", in_store("tree/", name));
	snprintf(history, sizeof history, "%s", in_store("history/", name));
	switch (below(5)) {
	case 0:
		unlink(tree);
		break;
	case 1:
	case 2:
		lose_bytes(tree);
		break;
	default:
		break;
	}
	if (below(3) == 0) {
		remove_all(history);
	} else if (below(2) == 0) {
		snprintf(command, sizeof command,
			 "f=$(ls '%s' 2>/dev/null | sort | tail -n 1); [ -z \"$f\" ] || rm '%s'/\"$f\"",
			 history, history);
		pipe = popen(command, "w");
		if (pipe != NULL)
			pclose(pipe);
	}
}

static void cut(unsigned round)
{
	cut_round = round;
	for (unsigned i = 0; i < FILES; i++)
		last[i] = 1 + below(4);
	CHECK(in_child(act_many, "", 0) == DONE);
	for (unsigned i = 0; i < FILES; i++)
		lose(file_name(i));
	reboot();
	for (unsigned i = 0; i < FILES; i++) {
		struct history h = HISTORY_INIT;

		count[i] += last[i];
		CHECK(holds(file_name(i), text_of(round, i, last[i] - 1)));
		CHECK(store_history(store, str_of(file_name(i)), &h, &why) == 0);
		/* Of this round all; what was lost of earlier ones was the test's doing. */
		CHECK(h.count >= last[i] && h.count <= count[i]);
		for (unsigned k = 0; k < last[i] && k < h.count; k++)
			CHECK(h.entries[k].content &&
			      h.entries[k].record.size == strlen(text_of(round, i, 0)));
		history_clear(&h);
	}
	CHECK(segments() == 0);
}

/* The log was replayed before, or in part, and is once more. */
static void replay_twice(void)
{
	char copy[4096], command[9000];
	FILE *pipe;

	CHECK(put("twice", "old") == ERR_NONE);
	CHECK(in_child(act_put, "twice", 0) == DONE && segments() >= 1);
	snprintf(copy, sizeof copy, "%s.copy", root);
	snprintf(command, sizeof command, "cp -r '%s' '%s'", in_store("wal", ""), copy);
	pipe = popen(command, "w");
	CHECK(pipe != NULL && pclose(pipe) == 0);
	reboot();
	CHECK(holds("twice", "new") && versions("twice") == 2 && segments() == 0);
	snprintf(command, sizeof command, "cp '%s'/* '%s'", copy, in_store("wal", ""));
	pipe = popen(command, "w");
	CHECK(pipe != NULL && pclose(pipe) == 0);
	CHECK(segments() >= 1);
	reboot();
	CHECK(holds("twice", "new") && versions("twice") == 2 && segments() == 0);
	remove_all(copy);
}

/* what a replay must not bring back */

static enum err_kind act_three(const char *path)
{
	return put_logged(path, "1") == ERR_NONE && put_logged(path, "2") == ERR_NONE ? put_logged(path, "3")
										       : why.kind;
}

static void pruned_stays_away(void)
{
	uint64_t bytes;

	CHECK(in_child(act_three, "pruned", 0) == DONE);
	CHECK(prune("pruned", 1, &bytes) == 2 && versions("pruned") == 1);
	reboot();
	CHECK(versions("pruned") == 1 && holds("pruned", "3"));
}

static enum err_kind act_three_and_delete(const char *path)
{
	return act_three(path) == ERR_NONE ? act_delete(path) : why.kind;
}

static void deleted_stays_deleted(void)
{
	CHECK(in_child(act_three, "deleted", 0) == DONE);
	CHECK(with_flags("deleted", RECORD_DELETED) == ERR_NONE);
	reboot();
	CHECK(holds("deleted", NULL) && versions("deleted") == 4);
	/* The same by the log alone, of which nothing came to the disk. */
	CHECK(in_child(act_three_and_delete, "d/deleted", 0) == DONE && holds("d/deleted", NULL));
	remove_all(in_store("history/d", ""));
	reboot();
	CHECK(holds("d/deleted", NULL) && versions("d/deleted") == 4);
}

/* What a person wrote over a version that the log has stays, beside it. */
static void edited_by_hand(void)
{
	struct history h = HISTORY_INIT;
	char found[4096] = "", command[9000];
	FILE *pipe;
	int fd;

	CHECK(in_child(act_three, "edited", 0) == DONE);
	fd = open(in_store("tree/", "edited"), O_WRONLY | O_TRUNC);
	CHECK(fd >= 0 && write(fd, "by hand", 7) == 7);
	close(fd);
	reboot();
	CHECK(holds("edited", "3") && store_history(store, STR("edited"), &h, &why) == 0 && h.count == 3);
	history_clear(&h);
	snprintf(command, sizeof command, "cat '%s'/,foreign-*", in_store("history/", "edited"));
	pipe = popen(command, "r");
	CHECK(pipe != NULL && fgets(found, sizeof found, pipe) != NULL && strcmp(found, "by hand") == 0);
	if (pipe != NULL)
		pclose(pipe);
}

/* A sync of the log fails: nobody sees the version, then or later. */
static void sync_fails(void)
{
	CHECK(put("failed", "old") == ERR_NONE && wal_open(&wal, store, &why) == 0);
	CHECK(put_logged("failed", "older") == ERR_NONE);
	log_syncs_fail = true;
	CHECK(put_logged("failed", "new") == ERR_AWAY);
	CHECK(put_logged("failed", "newer") != ERR_NONE);
	log_syncs_fail = false;
	wal_end();
	CHECK(segments() > 0);
	reboot();
	CHECK(holds("failed", "older") && versions("failed") == 2 && segments() == 0);
}

static struct commit beside = { .ungrouped = true };

static void begin_beside(void)
{
	beside.path = STR("beside");
	beside.wal = wal;
	beside.stage = stage_of_bytes(store, STR("new"));
	CHECK(commit_submit(store, &beside, &why) == 0);
	log_sync_fails_once = true;
}

/*
 * What the disk lost it tells once: here to who makes an entry void.  Whose
 * entry was written before that, and not synced, is not to hear that it was.
 */
static void sync_fails_for_another(void)
{
	CHECK(wal_open(&wal, store, &why) == 0 && put_logged("first", "x") == ERR_NONE);
	naming_fails = begin_beside;
	CHECK(put_logged("voided", "new") == ERR_FULL);
	CHECK(naming_fails == NULL && !log_sync_fails_once);
	CHECK(commit_wait(store, &beside, &why) < 0 && why.kind == ERR_AWAY);
	stage_free(beside.stage);
	wal_end();
	reboot();
	CHECK(holds("first", "x") && holds("voided", NULL) && holds("beside", NULL));
}

/* checkpoints, and several at once */

static void checkpoints(void)
{
	static char body[WAL_BODY_MAX];
	char path[40];

	memset(body, 'x', sizeof body - 1);
	CHECK(wal_open(&wal, store, &why) == 0);
	for (unsigned i = 0; i < 100; i++) {	/* several segments full */
		snprintf(path, sizeof path, "many/%u", i % 7);
		CHECK(put_logged(path, body) == ERR_NONE);
		CHECK(segments() <= 2);
	}
	CHECK(segments() == 2);
	wal_end();
	CHECK(segments() == 0 && versions("many/0") == 15);
}

#define SEVERAL 10
static void several(void)
{
	static const char *paths[SEVERAL] = { "x/1", "x/2", "x/1", "new/dir/f", "x/3", "x", "y",
					      "x/4", "y", "y/z" };
	struct commit commits[SEVERAL], *pointers[SEVERAL];
	struct err errs[SEVERAL];
	int statuses[SEVERAL];

	CHECK(put("x/0", "x") == ERR_NONE && wal_open(&wal, store, &why) == 0);
	for (int i = 0; i < SEVERAL; i++) {
		commits[i] = (struct commit){ .path = str_of(paths[i]), .ungrouped = true, .wal = wal };
		commits[i].stage = stage_of_bytes(store, str_of(i == 2 || i == 8 ? "second" : "first"));
		pointers[i] = &commits[i];
		errs[i] = (struct err)ERR_INIT;
	}
	alarm(60);
	store_commit_all(store, pointers, SEVERAL, statuses, errs);
	alarm(0);
	for (int i = 0; i < SEVERAL; i++) {
		bool refused = i == 5 || i == 9;	/* a directory stands there; a file does */

		CHECK((statuses[i] < 0) == refused);
		CHECK(!refused || errs[i].kind == ERR_CONFLICT);
		stage_free(commits[i].stage);
	}
	CHECK(holds("x/1", "second") && versions("x/1") == 2 && holds("x/2", "first"));
	CHECK(holds("y", "second") && holds("new/dir/f", "first") && get("new/dir").directory);
	wal_end();
	CHECK(segments() == 0);
}

static void order(void)
{
	tracking = true;
	CHECK(put("order", "old") == ERR_NONE && wal_open(&wal, store, &why) == 0);
	CHECK(put_logged("order", "new") == ERR_NONE && put_logged("order", "newer") == ERR_NONE);
	tracking = false;
	wal_end();
}

/* the bytes */

static void torn(void)
{
	static char bytes[1 << 20];
	struct wal_entry entry;
	uint32_t offset = 0, first, whole = 0, zeros;
	struct dirent *found;
	char path[4096] = "";
	ssize_t n = 0;
	DIR *dir;
	int fd;

	CHECK(in_child(act_three, "torn", 0) == DONE);
	dir = opendir(in_store("wal", ""));
	while (dir != NULL && (found = readdir(dir)) != NULL)
		if (found->d_name[0] != '.')
			snprintf(path, sizeof path, "%s/%s", in_store("wal", ""), found->d_name);
	if (dir != NULL)
		closedir(dir);
	fd = open(path, O_RDONLY);
	CHECK(fd >= 0 && (n = pread(fd, bytes, sizeof bytes, 0)) == sizeof bytes);
	close(fd);
	CHECK(wal_parse((struct str){ bytes, (size_t)n }, &offset, &entry));
	CHECK(str_eq(entry.path, STR("torn")) && str_eq(entry.body, STR("1")) && !entry.is_void);
	first = entry.offset;
	CHECK(wal_parse((struct str){ bytes, (size_t)n }, &offset, &entry));
	CHECK(str_eq(entry.body, STR("2")));
	zeros = (uint32_t)(bytes + offset - (entry.body.s + entry.body.n));
	/* Whatever bit of the second is another, it and the third do not count: but for the one that voids it. */
	for (uint32_t at = entry.offset, end = offset; at < end; at++) {
		uint32_t from = first;

		bytes[at] ^= 1;
		CHECK(wal_parse((struct str){ bytes, (size_t)n }, &from, &entry));
		whole += wal_parse((struct str){ bytes, (size_t)n }, &from, &entry);
		bytes[at] ^= 1;
	}
	CHECK(whole == 1 + zeros);	/* those behind it do not matter */
	reboot();
	CHECK(versions("torn") == 3);
}

/* A segment that cannot be read is nobody's to remove. */
static void damaged(void)
{
	struct store_options options = { .path = root };
	struct store *other = NULL;
	int fd = open(in_store("wal/00000000000000aa.wal", ""), O_WRONLY | O_CREAT, 0600);

	CHECK(fd >= 0 && ftruncate(fd, 1 << 20) == 0);
	close(fd);
	CHECK(store_open(&other, &options, &why) < 0 && why.kind == ERR_CORRUPT);
	CHECK(unlink(in_store("wal/00000000000000aa.wal", "")) == 0);
	reopen();
}

#define NOT_RUN 77

static bool may_log(void)
{
	struct statfs st;

	return statfs(root, &st) == 0 && (st.f_type == EXT4_SUPER_MAGIC || st.f_type == XFS_SUPER_MAGIC ||
					  st.f_type == TMPFS_MAGIC);
}

int main(int argc, char **argv)
{
	static const int ends[] = { 0, ENOSPC };
	uint64_t rounds = 20;

	if (!chance_begin(argc, argv, (uint64_t)getpid(), &rounds))
		return 2;
	if (!open_store())
		return UNIT_RESULT();
	if (!may_log()) {
		close_store();
		puts("NOT RUN: no ext4, XFS or tmpfs in /var/tmp");
		return NOT_RUN;
	}
	torn();
	order();
	for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++)
		for (size_t k = 0; k < sizeof ends / sizeof ends[0]; k++) {
			fail_with = ends[k];
			die_everywhere(&scenarios[i], i);
		}
	fail_with = 0;
	for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++)
		hold_everywhere(&scenarios[i], i);
	replay_twice();
	pruned_stays_away();
	deleted_stays_deleted();
	edited_by_hand();
	checkpoints();
	several();
	for (unsigned round = 0; round < rounds; round++)
		cut(round);
	damaged();
	sync_fails_for_another();
	sync_fails();
	close_store();
	return UNIT_RESULT();
}
