/* state - what outlives covey-discoverd: members.ini and start.ini */
#include "discoverd.h"

#include "inifile.h"
#include "log.h"
#include "members.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>

static char *start_file(const struct discoverd *d)
{
	struct buf file = BUF_INIT;

	buf_addf(&file, "%s/start.ini", d->directory.data);
	return buf_take(&file);
}

static int each(void *data, struct str section, struct str key, struct str value, struct err *err)
{
	if (str_eq(section, STR("covey")) && str_eq(key, STR("start")) &&
	    str_u64(value, UINT64_MAX - 1, data) < 0)
		return err_set(err, ERR_CORRUPT, "bad start \"%.*s\"", STR_ARG(value));
	return 0;
}

/*
 * What cannot be read is as if it had never been: the members are met
 * again through the seeds, and they tell of our start counts.
 */
int state_load(struct discoverd *d, struct members *ret, uint64_t *ret_start, struct err *err)
{
	char *file = start_file(d);
	struct err why = ERR_INIT;
	uint64_t start = 0;

	if (mkdir(d->directory.data, 0750) < 0 && errno != EEXIST) {
		free(file);
		return err_sys(err, "make %s", d->directory.data);
	}
	if (inifile_read(file, each, &start, &why) < 0 && why.kind != ERR_ABSENT)
		log_err(LOG_LEVEL_WARNING, &why, "begin to count starts anew");
	free(file);
	if (members_load(d->directory.data, ret, &why) < 0)
		log_err(LOG_LEVEL_WARNING, &why, "forget the members");
	*ret_start = start;
	return 0;
}

int state_save_start(struct discoverd *d, uint64_t start, struct err *err)
{
	struct inifile ini = INIFILE_INIT;
	char *file = start_file(d);
	int rc;

	inifile_section(&ini, "covey");
	inifile_putf(&ini, "start", "%" PRIu64, start);
	rc = inifile_save(&ini, file, 0640, err);
	inifile_clear(&ini);
	free(file);
	return rc;
}

void state_save_members(struct discoverd *d)
{
	struct members members = MEMBERS_INIT;
	struct err err = ERR_INIT;

	view_members(&d->gossip.view, &members);
	if (members_save(d->directory.data, &members, &err) == 0)
		d->save_failed = false;
	else if (!d->save_failed) {
		log_err(LOG_LEVEL_WARNING, &err, "remember the members");
		d->save_failed = true;
	}
	members_clear(&members);
}
