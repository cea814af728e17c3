/*
 * layouts - the disk and the timer around agent.h, which agrees on layouts
 *
 *	state/layout.ini	the newest layout that this node has
 *	state/synod-LINEAGE.ini	what it promised about the next one
 *	state/layout-before.ini	the last layout of the node that the store was before
 *
 * The pool writes promises and layouts.  What the agent says goes to the log.
 */
#include "discoverd.h"

#include "clock.h"
#include "container.h"
#include "file.h"
#include "inifile.h"
#include "layout_file.h"
#include "log.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

static char *state_file(const struct discoverd *d, const char *name)
{
	struct buf file = BUF_INIT;

	buf_addf(&file, "%s/%s", d->service->state, name);
	return buf_take(&file);
}

/*
 * synod-LINEAGE.ini: what this node promised about the next layout, and the
 * layout it has accepted.  A node that goes over to another lineage may come
 * back, and must then know what it said.  Release 0.1.0 had synod.ini alone.
 */
static char *promise_file(const struct discoverd *d, uint64_t lineage)
{
	struct buf file = BUF_INIT;

	buf_addf(&file, "%s/synod-%016" PRIx64 ".ini", d->service->state, lineage);
	return buf_take(&file);
}

static void put_ballot(struct inifile *ini, const char *key, struct ballot ballot)
{
	inifile_putf(ini, key, "%" PRIu32 " %016" PRIx64, ballot.round, ballot.node);
}

static int promise_save(const struct discoverd *d, const struct synod_promise *promise, struct err *err)
{
	struct inifile ini = INIFILE_INIT;
	char *file = promise_file(d, promise->lineage);
	int rc;

	inifile_section(&ini, "synod");
	inifile_putf(&ini, "lineage", "%016" PRIx64, promise->lineage);
	inifile_putf(&ini, "instance", "%" PRIu64, promise->instance);
	put_ballot(&ini, "promised", promise->promised);
	put_ballot(&ini, "accepted", promise->accepted);
	if (promise->value.epoch != 0)
		layout_put_ini(&ini, &promise->value);
	rc = inifile_save(&ini, file, 0640, err);
	inifile_clear(&ini);
	free(file);
	return rc;
}

static int take_ballot(struct str text, struct ballot *ret)
{
	struct str round;
	uint64_t n;

	if (!str_cut(&text, ' ', &round) || str_u64(round, UINT32_MAX, &n) < 0 ||
	    str_hex64(text, &ret->node) < 0)
		return -1;
	ret->round = (uint32_t)n;
	return 0;
}

static int each_promise(void *data, struct str section, struct str key, struct str value,
			struct err *err)
{
	struct synod_promise *promise = data;
	int rc = 0;

	if (!str_eq(section, STR("synod")))
		return layout_take_ini(&promise->value, section, key, value, err);
	if (str_eq(key, STR("lineage")))
		rc = str_hex64(value, &promise->lineage);
	else if (str_eq(key, STR("instance")))
		rc = str_u64(value, UINT64_MAX, &promise->instance);
	else if (str_eq(key, STR("promised")))
		rc = take_ballot(value, &promise->promised);
	else if (str_eq(key, STR("accepted")))
		rc = take_ballot(value, &promise->accepted);
	return rc == 0 ? 0 : inifile_bad(key, value, err);
}

/* No file is success with SYNOD_PROMISE_NONE. */
static int promise_read(const char *file, struct synod_promise *ret, struct err *err)
{
	struct synod_promise promise = SYNOD_PROMISE_NONE;
	struct err why = ERR_INIT;
	int rc = inifile_read(file, each_promise, &promise, &why);

	if (rc < 0 && why.kind == ERR_ABSENT)
		rc = 0;
	else if (rc < 0)
		rc = err_pass(err, &why);
	else if (promise.value.epoch != 0)
		rc = layout_judge(&promise.value, file, err);
	if (rc == 0)
		*ret = promise;
	return rc;
}

/* What this node promised in that lineage, or SYNOD_PROMISE_NONE. */
static int promise_load(const struct discoverd *d, uint64_t lineage, struct synod_promise *ret,
			struct err *err)
{
	struct synod_promise promise = SYNOD_PROMISE_NONE;
	char *file = promise_file(d, lineage), *old = state_file(d, "synod.ini");
	int rc = promise_read(file, &promise, err);

	if (rc == 0 && promise.lineage == 0)
		rc = promise_read(old, &promise, err);
	if (promise.lineage != lineage)
		promise = SYNOD_PROMISE_NONE;
	free(file);
	free(old);
	if (rc == 0)
		*ret = promise;
	return rc;
}

static int forget_file(const struct discoverd *d, const char *name, struct err *err)
{
	char *file = state_file(d, name);
	int rc = unlink(file) == 0 || errno == ENOENT ? 0 : err_sys(err, "remove %s", file);

	free(file);
	return rc;
}

/*
 * layout-before.ini: the last layout of the node that this store was before it
 * was renewed.  Of that only the numbers count, should this node found a
 * group: what the store holds it holds by them.
 */
static int set_layout_aside(const struct discoverd *d, struct err *err)
{
	char *from = state_file(d, "layout.ini"), *to = state_file(d, "layout-before.ini");
	int rc = rename(from, to) == 0 || errno == ENOENT ? 0 : err_sys(err, "set %s aside", from);

	free(from);
	free(to);
	return rc;
}

/* 1: those of the layout set aside; 0: there is none; -1. */
static int numbers_before(const struct discoverd *d, struct layout_numbers *ret, struct err *err)
{
	char *file = state_file(d, "layout-before.ini");
	struct layout layout = LAYOUT_NONE;
	struct buf text = BUF_INIT;
	bool there = false;
	int rc = file_read_any(file, LAYOUT_FILE_BYTES, &text, &there, err);

	if (rc == 0 && there)
		rc = layout_parse(buf_str(&text), file, &layout, err);
	free(file);
	buf_clear(&text);
	if (rc < 0)
		return -1;
	if (there)
		*ret = (struct layout_numbers){ layout.homes, layout.copies, layout.keep_versions,
						layout.keep_days };
	return there;
}

int layouts_forget(const struct discoverd *d, bool promises, struct err *err)
{
	DIR *dir = opendir(d->service->state);
	const struct dirent *entry;
	int rc;

	if (dir == NULL)
		return err_sys(err, "open %s", d->service->state);
	rc = set_layout_aside(d, err);
	while (promises && rc == 0 && (entry = readdir(dir)) != NULL)
		if (strncmp(entry->d_name, "synod", 5) == 0)
			rc = forget_file(d, entry->d_name, err);
	closedir(dir);
	return rc;
}

void layouts_load(struct discoverd *d, bool *ret_forgot)
{
	struct layout layout = LAYOUT_NONE;
	struct err why = ERR_INIT;

	if (layout_load(d->service->state, &layout, &why) < 0) {
		log_err(LOG_LEVEL_WARNING, &why, "forget the layout");
		layout = LAYOUT_NONE;
	}
	if (promise_load(d, layout.lineage, &d->agent.acceptor.promise, &why) < 0) {
		log_err(LOG_LEVEL_WARNING, &why, "this node forgot its promises");
		*ret_forgot = true;
	}
	d->agent.council.layout = layout;
}

/* the agent */

static void log_words(void *data, bool warning, const char *text)
{
	(void)data;
	log_line(warning ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "%s", text);
}

static void submit_write(struct discoverd *d, struct layout_write *s, void (*work)(struct job *),
			 void (*done)(struct job *))
{
	s->job = (struct job){ .work = work, .done = done, .home = d->service->loop };
	pool_submit(d->pool, &s->job);
}

static void promise_work(struct job *job)
{
	struct discoverd *d = CONTAINER_OF(job, struct discoverd, promising.job);
	struct layout_write *s = &d->promising;

	s->rc = promise_save(d, &s->promise, &s->err);
}

static void promise_done(struct job *job)
{
	struct discoverd *d = CONTAINER_OF(job, struct discoverd, promising.job);

	if (d->promising.rc < 0)
		log_err(LOG_LEVEL_WARNING, &d->promising.err, "give no vote on the next layout");
	agent_promised(&d->agent, d->promising.rc == 0, clock_mono_ms());
	layouts_step(d);
}

static void write_promise(void *data, const struct synod_promise *promise)
{
	struct discoverd *d = data;

	d->promising.promise = *promise;
	submit_write(d, &d->promising, promise_work, promise_done);
}

/* Of another lineage: its homes and keepers may lack what this store has, so all of it is owed to them. */
static int prepare_lineage(struct discoverd *d, struct layout_write *s)
{
	if (promise_load(d, s->layout.lineage, &s->promise, &s->err) < 0)
		return -1;
	if (synod_is_past(&s->promise, &s->layout))
		return err_set(&s->err, ERR_DENIED, "this node has been at epoch %" PRIu64 " of lineage %016"
			       PRIx64 ", and not only at epoch %" PRIu64, s->promise.instance - 1,
			       s->layout.lineage, s->layout.epoch);
	return s->left != 0 ? store_owe_later(d->service->store, s->layout.lineage, &s->err) : 0;
}

static void layout_work(struct job *job)
{
	struct discoverd *d = CONTAINER_OF(job, struct discoverd, adopting.job);
	struct layout_write *s = &d->adopting;

	s->promise = SYNOD_PROMISE_NONE;
	if (s->layout.lineage != s->left)
		s->rc = prepare_lineage(d, s);
	else
		s->rc = 0;
	if (s->rc == 0)
		s->rc = layout_save(d->service->state, &s->layout, &s->err);
}

static void layout_done(struct job *job)
{
	struct discoverd *d = CONTAINER_OF(job, struct discoverd, adopting.job);

	if (d->adopting.rc < 0)
		log_err(LOG_LEVEL_WARNING, &d->adopting.err, "do not adopt the layout");
	agent_written(&d->agent, d->adopting.rc == 0, &d->adopting.promise, clock_mono_ms());
	layouts_step(d);
}

static void write_layout(void *data, const struct layout *layout)
{
	struct discoverd *d = data;

	d->adopting.layout = *layout;
	d->adopting.left = agent_layout(&d->agent)->lineage;
	submit_write(d, &d->adopting, layout_work, layout_done);
}

static void layout_used(void *data)
{
	struct discoverd *d = data;

	local_publish_layout(d);
	discoverd_hurry(d);
	discoverd_drain(d);
}

/* steps */

void layouts_step(struct discoverd *d)
{
	uint64_t now = clock_mono_ms(), due;
	struct council_seeds seeds;

	if (d->unicast == NULL)
		return;
	network_count_seeds(d, &seeds);
	agent_step(&d->agent, &seeds, now);
	due = d->agent.due;
	if (due != 0)
		timer_start(d->service->loop, &d->layouts_due, due > now ? due - now : 0);
	else
		timer_stop(&d->layouts_due);
}

static void step_due(struct timer *timer)
{
	layouts_step(CONTAINER_OF(timer, struct discoverd, layouts_due));
}

/* For a group that this node may found: the numbers of its store's last layout, else the configuration's. */
static struct layout_numbers founding_numbers(const struct discoverd *d)
{
	const struct conf *conf = d->service->conf;
	struct layout_numbers numbers = {
		.homes = (uint8_t)conf->replication.homes,
		.copies = (uint8_t)conf->replication.copies,
		.keep_versions = (uint32_t)conf->keep.versions,
		.keep_days = (uint32_t)conf->keep.days,
	};
	struct err err;
	int before = numbers_before(d, &numbers, &err);

	if (before < 0)
		log_err(LOG_LEVEL_WARNING, &err, "start without the numbers by which this store lived");
	else if (before > 0 && agent_layout(&d->agent)->epoch == 0)
		log_line(LOG_LEVEL_INFO, "a group founded here has the numbers by which this store last "
			 "lived: homes %u, copies %u, keep.versions %" PRIu32 ", keep.days %" PRIu32,
			 numbers.homes, numbers.copies, numbers.keep_versions, numbers.keep_days);
	return numbers;
}

void layouts_start(struct discoverd *d)
{
	struct layout_numbers numbers = founding_numbers(d);
	struct agent *a = &d->agent;

	a->view = &d->gossip.view;
	a->data = d;
	a->write_promise = write_promise;
	a->write_layout = write_layout;
	a->used = layout_used;
	a->say = log_words;
	d->layouts_due.fire = step_due;
	agent_init(a, &numbers, &a->council.layout, &a->acceptor.promise, clock_mono_ms());
}

void layouts_stop(struct discoverd *d)
{
	timer_stop(&d->layouts_due);
}
