/*
 * inside - the names in a directory whose gate is kept here, for behind.h
 *
 * However often a gate comes while that lasts, it is done once.  Of a process
 * that is to stop nobody is told: the next one is asked again.
 */
#include "versiond.h"

#include "behind.h"
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
	struct behind behind;
	struct waiting *waiting;		/* owned */
	struct version gate;
	uint64_t lineage;			/* in which it began */
	struct buf found;			/* the path of the next name; empty: there is none */
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
	behind_clear(&in->behind);
	while (in->waiting != NULL)
		tell(in, settled);
	buf_clear(&in->found);
	free(in);
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

	in->looking = false;
	if (in->listed) {
		behind_found(&in->behind, buf_str(&in->found), clock_mono_ms());
		group_stir(v);
	} else {
		end(in, false);
	}
	versiond_returned(v);
}

static void next(struct behind *behind)
{
	struct inside *in = CONTAINER_OF(behind, struct inside, behind);

	if (in->versiond->stopping) {
		end(in, false);
		return;
	}
	in->looking = true;
	in->job.work = look;
	in->job.done = looked;
	versiond_submit(in->versiond, in->versiond->pool, &in->job);
}

/* One that began in this lineage, when a gate at least as great was on this disk. */
static struct inside *find(const struct versiond *v, struct str directory, struct version gate)
{
	struct inside *in = v->insides;

	while (in != NULL && !(in->lineage == v->home.layout.lineage &&
			       version_cmp(in->gate, gate) >= 0 &&
			       str_eq(buf_str(&in->behind.directory), directory)))
		in = in->next;
	return in;
}

void inside_settle(struct versiond *v, struct str gate_path, struct version gate,
		   void (*done)(void *data, bool settled), void *data)
{
	struct inside *in = find(v, path_parent(gate_path), gate);

	if (in != NULL) {
		wait_for(in, done, data);
		return;
	}
	in = mem_new(1, sizeof *in);
	in->versiond = v;
	in->gate = gate;
	in->lineage = v->home.layout.lineage;
	in->next = v->insides;
	v->insides = in;
	wait_for(in, done, data);
	in->behind.next = next;
	in->behind.done = over;
	behind_start(&in->behind, &v->asker, gate_path, gate);
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
