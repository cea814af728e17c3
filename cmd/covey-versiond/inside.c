/*
 * inside - what stands in a directory whose gate is kept here
 *
 * Who removes a directory lists it after its gate, and finds what stands
 * there.  Who brings its end from another group, or from an outbox, does not:
 * so a home says that it keeps a gate only when the directory stands above that
 * gate, or nothing stands in it here.  One name that stands is settled, as
 * whoever stores it does (storing.h); the next one where it stands no more for
 * the others.
 *
 * However often a gate comes while that lasts, it is done once.  Of a process
 * that is to stop nobody is told: the next one is asked again.
 */
#include "versiond.h"

#include "clock.h"
#include "container.h"
#include "log.h"
#include "mem.h"

/* One who is to be told. */
struct waiting {
	struct waiting *next;
	void (*done)(void *data, bool settled);
	void *data;
};

struct inside {
	struct versiond *versiond;
	struct inside *next;			/* of versiond.insides */
	struct job job;
	struct store_wait wait;
	struct waiting *waiting;		/* owned */
	struct buf directory, name, type;	/* the name: all of its path */
	struct version gate;
	uint64_t lineage;			/* in which it began */
	struct record record;			/* of the name; version none: there is no other */
	bool listed;
	bool looking;				/* the pool has it */
};

static void wait_for(struct inside *in, void (*done)(void *data, bool settled), void *data)
{
	struct waiting *waiting = mem_new(1, sizeof *waiting);

	*waiting = (struct waiting){ .next = in->waiting, .done = done, .data = data };
	in->waiting = waiting;
	in->versiond->jobs++;			/* until it is told: that waits for others, too */
}

static void tell(struct inside *in, bool settled)
{
	struct waiting *waiting = in->waiting;

	in->waiting = waiting->next;
	waiting->done(waiting->data, settled);
	free(waiting);
	versiond_returned(in->versiond);
}

static void end(struct inside *in, bool settled)
{
	struct inside **p = &in->versiond->insides;

	while (*p != in)
		p = &(*p)->next;
	*p = in->next;
	storing_cancel(&in->wait);
	while (in->waiting != NULL)
		tell(in, settled);
	buf_clear(&in->directory);
	buf_clear(&in->name);
	buf_clear(&in->type);
	free(in);
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
	if (in->versiond->stopping) {
		end(in, false);
		return;
	}
	in->looking = true;
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

	in->looking = false;
	if (!in->listed || version_is_none(in->record.version)) {
		end(in, in->listed);
	} else {
		in->wait.done = stored;
		storing_start(&v->asker, &in->wait, &ask, clock_mono_ms());
		group_stir(v);
	}
	versiond_returned(v);
}

/* One that began in this lineage, when a gate at least as great was on this disk. */
static struct inside *find(const struct versiond *v, struct str directory, struct version gate)
{
	struct inside *in = v->insides;

	while (in != NULL && !(in->lineage == v->home.layout.lineage &&
			       version_cmp(in->gate, gate) >= 0 &&
			       str_eq(buf_str(&in->directory), directory)))
		in = in->next;
	return in;
}

void inside_settle(struct versiond *v, struct str gate_path, struct version gate,
		   void (*done)(void *data, bool settled), void *data)
{
	struct str directory = path_parent(gate_path);
	struct inside *in = find(v, directory, gate);

	if (in != NULL) {
		wait_for(in, done, data);
		return;
	}
	in = mem_new(1, sizeof *in);
	in->versiond = v;
	in->gate = gate;
	in->lineage = v->home.layout.lineage;
	buf_addstr(&in->directory, directory);
	in->next = v->insides;
	v->insides = in;
	wait_for(in, done, data);
	look_on(in);
}

void inside_cut(struct versiond *v)
{
	struct inside *in = v->insides;

	while (in != NULL) {
		if (in->looking) {
			in = in->next;
		} else {
			end(in, false);
			in = v->insides;	/* who was told may have ended others */
		}
	}
}
