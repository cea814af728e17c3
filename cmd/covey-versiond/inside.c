/*
 * inside - what stands in a directory whose gate is kept here
 *
 * Who removes a directory lists it after its gate, and finds what stands
 * there.  Who brings its end from another group, or from an outbox, does not:
 * so a home says that it keeps a gate only when the directory stands above that
 * gate, or nothing stands in it here.  One name that stands is settled, as
 * whoever stores it does (storing.h); the next one where it stands no more for
 * the others.
 */
#include "versiond.h"

#include "clock.h"
#include "container.h"
#include "log.h"
#include "mem.h"

struct inside {
	struct versiond *versiond;
	struct job job;
	struct store_wait wait;
	void (*done)(void *data, bool settled);
	void *data;
	struct buf directory, name, type;	/* the name: all of its path */
	struct version gate;
	struct record record;			/* of the name; version none: there is no other */
	bool listed;
};

static void end(struct inside *in, bool settled)
{
	struct versiond *v = in->versiond;

	in->done(in->data, settled);
	buf_clear(&in->directory);
	buf_clear(&in->name);
	buf_clear(&in->type);
	free(in);
	versiond_returned(v);
}

/* A file may be in the way of what stands behind it. */
static int list_behind(const struct inside *in, struct listing *ret, struct err *err)
{
	struct store *store = in->versiond->service->store;
	struct str directory = buf_str(&in->directory), after = path_name(buf_str(&in->name));

	if (store_list(store, directory, after, 1, false, ret, err) == 0)
		return 0;
	return err->kind == ERR_CONFLICT ? store_list(store, directory, after, 0, true, ret, err) : -1;
}

static void take(struct inside *in, const struct list_entry *found)
{
	in->record = *record_standing(&found->record, &found->entry);
	buf_reset(&in->name);
	path_join(&in->name, buf_str(&in->directory), str_of(found->name));
	buf_reset(&in->type);
	if (record_has_content(&in->record) && found->type != NULL)
		buf_adds(&in->type, found->type);
}

static void look(struct job *job)
{
	struct inside *in = CONTAINER_OF(job, struct inside, job);
	struct listing listing = LISTING_INIT;
	struct err err = ERR_INIT;

	in->record = (struct record){ .version = VERSION_NONE };
	in->listed = list_behind(in, &listing, &err) == 0 || err.kind == ERR_ABSENT;
	if (!in->listed)
		log_err(LOG_LEVEL_WARNING, &err, "look what is in a directory");
	for (size_t i = 0; i < listing.count && version_is_none(in->record.version); i++)
		if (record_stands(&listing.entries[i].record, &listing.entries[i].entry) !=
		    STANDS_NOTHING)
			take(in, &listing.entries[i]);
	listing_clear(&listing);
}

static void looked(struct job *job);

static void look_on(struct inside *in)
{
	in->job.work = look;
	in->job.done = looked;
	versiond_submit(in->versiond, in->versiond->pool, &in->job);
}

static void stored(struct store_wait *wait, const struct store_answer *answer)
{
	struct inside *in = CONTAINER_OF(wait, struct inside, wait);

	storing_cancel(wait);
	if (!answer->settled)
		end(in, false);
	else if (storing_is_settled(&in->versiond->asker, buf_str(&in->directory), in->gate))
		end(in, true);
	else
		look_on(in);
}

static void looked(struct job *job)
{
	struct inside *in = CONTAINER_OF(job, struct inside, job);
	struct versiond *v = in->versiond;
	const struct store_ask ask = { .path = buf_str(&in->name), .record = in->record,
				       .type = buf_str(&in->type) };

	if (!in->listed || version_is_none(in->record.version)) {
		end(in, in->listed);
	} else {
		in->wait.done = stored;
		storing_start(&v->asker, &in->wait, &ask, clock_mono_ms());
		group_stir(v);
	}
	versiond_returned(v);
}

void inside_settle(struct versiond *v, struct str gate_path, struct version gate,
		   void (*done)(void *data, bool settled), void *data)
{
	struct inside *in = mem_new(1, sizeof *in);

	in->versiond = v;
	in->done = done;
	in->data = data;
	in->gate = gate;
	buf_addstr(&in->directory, path_parent(gate_path));
	v->jobs++;			/* until end(): it waits for others, too */
	look_on(in);
}
