/* state - what outlives covey-discoverd: members.ini, and what was promised in each lineage */
#include "discoverd.h"

#include "clock.h"
#include "container.h"
#include "file.h"
#include "inifile.h"
#include "layout_file.h"
#include "log.h"
#include "members.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

/* What cannot be read is as if it had never been: the members are met again through the seeds. */
int state_load(struct discoverd *d, struct members *ret, struct err *err)
{
	struct err why = ERR_INIT;

	if (mkdir(d->directory.data, 0750) < 0 && errno != EEXIST)
		return err_sys(err, "make %s", d->directory.data);
	if (members_remembered(d->directory.data, ret, &why) < 0)
		log_err(LOG_LEVEL_WARNING, &why, "start without the members");
	for (size_t i = 0; i < ret->count; i++)
		if (ret->list[i].seen == 0)	/* an earlier release did not say */
			ret->list[i].seen = clock_wall_ns() / 1000000000;
	return 0;
}

static void write_members(struct job *job)
{
	struct saving_members *s = CONTAINER_OF(job, struct saving_members, job);

	s->rc = members_save(s->discoverd->directory.data, &s->members, &s->err);
}

static void members_written(struct job *job)
{
	struct saving_members *s = CONTAINER_OF(job, struct saving_members, job);

	if (s->rc < 0 && !s->failed)
		log_err(LOG_LEVEL_WARNING, &s->err, "save the members");
	s->failed = s->rc < 0;
	s->busy = false;
	if (s->again)
		state_save_members(s->discoverd);
}

void state_save_members(struct discoverd *d)
{
	struct saving_members *s = &d->saving;

	s->again = s->busy;
	if (s->busy)
		return;
	s->busy = true;
	s->discoverd = d;
	view_memory(&d->gossip.view, &s->members);
	s->job.work = write_members;
	s->job.done = members_written;
	s->job.home = d->service->loop;
	pool_submit(d->pool, &s->job);
}

void state_last_members(struct discoverd *d)
{
	struct members members = MEMBERS_INIT;
	struct err err = ERR_INIT;

	view_memory(&d->gossip.view, &members);
	if (members_save(d->directory.data, &members, &err) < 0)
		log_err(LOG_LEVEL_WARNING, &err, "save the members");
	members_clear(&members);
}

/*
 * synod-LINEAGE.ini: what this node promised about the next layout, and the
 * layout it has accepted.  A node that goes over to another lineage may come
 * back, and must then know what it said.  Release 0.1.0 had synod.ini alone.
 */
static char *promise_file(const struct discoverd *d, uint64_t lineage)
{
	struct buf file = BUF_INIT;

	buf_addf(&file, "%s/synod-%016" PRIx64 ".ini", d->directory.data, lineage);
	return buf_take(&file);
}

static char *old_promise_file(const struct discoverd *d)
{
	struct buf file = BUF_INIT;

	buf_addf(&file, "%s/synod.ini", d->directory.data);
	return buf_take(&file);
}

static void put_ballot(struct inifile *ini, const char *key, struct ballot ballot)
{
	inifile_putf(ini, key, "%" PRIu32 " %016" PRIx64, ballot.round, ballot.node);
}

int state_save_promise(const struct discoverd *d, const struct synod_promise *promise,
		       struct err *err)
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
static int load_promise(const char *file, struct synod_promise *ret, struct err *err)
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

int state_load_promise(const struct discoverd *d, uint64_t lineage, struct synod_promise *ret,
		       struct err *err)
{
	struct synod_promise promise = SYNOD_PROMISE_NONE;
	char *file = promise_file(d, lineage), *old = old_promise_file(d);
	int rc = load_promise(file, &promise, err);

	if (rc == 0 && promise.lineage == 0)
		rc = load_promise(old, &promise, err);
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
	struct buf file = BUF_INIT;
	int rc = 0;

	buf_addf(&file, "%s/%s", d->directory.data, name);
	if (unlink(file.data) < 0 && errno != ENOENT)
		rc = err_sys(err, "remove %s", file.data);
	buf_clear(&file);
	return rc;
}

/*
 * layout-before.ini: the last layout of the node that this store was before it
 * was renewed.  Of that only the numbers count, should this node found a
 * group: what the store holds it holds by them.
 */
int state_set_layout_aside(const struct discoverd *d, struct err *err)
{
	struct buf from = BUF_INIT, to = BUF_INIT;
	int rc = 0;

	buf_addf(&from, "%s/layout.ini", d->directory.data);
	buf_addf(&to, "%s/layout-before.ini", d->directory.data);
	if (rename(from.data, to.data) < 0 && errno != ENOENT)
		rc = err_sys(err, "set %s aside", from.data);
	buf_clear(&from);
	buf_clear(&to);
	return rc;
}

int state_numbers_before(const struct discoverd *d, struct layout_numbers *ret, struct err *err)
{
	struct buf file = BUF_INIT, text = BUF_INIT;
	struct layout layout = LAYOUT_NONE;
	bool there = false;
	int rc;

	buf_addf(&file, "%s/layout-before.ini", d->directory.data);
	rc = file_read_any(file.data, LAYOUT_FILE_BYTES, &text, &there, err);
	if (rc == 0 && there)
		rc = layout_parse(buf_str(&text), file.data, &layout, err);
	buf_clear(&file);
	buf_clear(&text);
	if (rc < 0)
		return -1;
	if (there)
		*ret = (struct layout_numbers){ layout.homes, layout.copies, layout.keep_versions,
						layout.keep_days };
	return there;
}

int state_forget_agreements(const struct discoverd *d, struct err *err)
{
	DIR *dir = opendir(d->directory.data);
	const struct dirent *entry;
	int rc;

	if (dir == NULL)
		return err_sys(err, "open %s", d->directory.data);
	rc = state_set_layout_aside(d, err);
	while (rc == 0 && (entry = readdir(dir)) != NULL)
		if (strncmp(entry->d_name, "synod", 5) == 0)
			rc = forget_file(d, entry->d_name, err);
	closedir(dir);
	return rc;
}
