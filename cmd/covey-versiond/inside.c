/* inside - the names in a directory whose gate is kept here, for behind.h */
#include "versiond.h"

#include "behind.h"
#include "clock.h"
#include "container.h"
#include "log.h"
#include "mem.h"

struct inside {
	struct versiond *versiond;
	struct job job;
	struct behind behind;
	void (*done)(void *data, bool settled);
	void *data;
	struct buf found;			/* the path of the next name; empty: there is none */
	bool listed;
};

static void end(struct inside *in, bool settled)
{
	struct versiond *v = in->versiond;

	in->done(in->data, settled);
	buf_clear(&in->found);
	free(in);
	versiond_returned(v);
}

static void over(struct behind *behind, bool settled)
{
	end(CONTAINER_OF(behind, struct inside, behind), settled);
}

/* A file may be in the way of what stands behind it. */
static int list_on(struct inside *in, struct str after, struct listing *ret, struct err *err)
{
	struct store *store = in->versiond->service->store;
	struct str directory = buf_str(&in->behind.directory);

	if (store_list(store, directory, after, 1, false, ret, err) == 0)
		return 0;
	return err->kind == ERR_CONFLICT ? store_list(store, directory, after, 0, true, ret, err) : -1;
}

static bool stands(const struct list_entry *entry)
{
	return record_stands(&entry->record, &entry->entry) != STANDS_NOTHING;
}

static void look(struct job *job)
{
	struct inside *in = CONTAINER_OF(job, struct inside, job);
	struct str last = path_name(buf_str(&in->behind.name));
	struct listing listing = LISTING_INIT;
	struct err err = ERR_INIT;
	size_t i = 0;

	buf_reset(&in->found);
	in->listed = list_on(in, last, &listing, &err) == 0 || err.kind == ERR_ABSENT;
	if (!in->listed)
		log_err(LOG_LEVEL_WARNING, &err, "look what is in a directory");
	while (i < listing.count && !stands(&listing.entries[i]))
		i++;
	if (i < listing.count)
		path_join(&in->found, buf_str(&in->behind.directory), str_of(listing.entries[i].name));
	listing_clear(&listing);
}

static void looked(struct job *job)
{
	struct inside *in = CONTAINER_OF(job, struct inside, job);
	struct versiond *v = in->versiond;

	if (in->listed) {
		behind_found(&in->behind, buf_str(&in->found), clock_mono_ms());
		group_stir(v);
	} else {
		behind_clear(&in->behind);
		end(in, false);
	}
	versiond_returned(v);
}

static void next(struct behind *behind)
{
	struct inside *in = CONTAINER_OF(behind, struct inside, behind);

	in->job.work = look;
	in->job.done = looked;
	versiond_submit(in->versiond, in->versiond->pool, &in->job);
}

void inside_settle(struct versiond *v, struct str gate_path, struct version gate,
		   void (*done)(void *data, bool settled), void *data)
{
	struct inside *in = mem_new(1, sizeof *in);

	in->versiond = v;
	in->done = done;
	in->data = data;
	in->behind.next = next;
	in->behind.done = over;
	v->jobs++;			/* until end(): it waits for others, too */
	behind_start(&in->behind, &v->asker, gate_path, gate);
}
