/*
 * inside - the names in a directory whose gate is kept here, for behind.h
 *
 * However often a gate comes while that lasts, it is done once; and once for
 * all gates up to it as long as the layout stays and there is room to remember
 * it, since whoever stored a name after that was told of the gate.  With another
 * layout this node may have got names that were acknowledged elsewhere.  Of a
 * process that is to stop nobody is told: the next one is asked again.
 */
#include "versiond.h"

#include "behind.h"
#include "clock.h"
#include "container.h"
#include "log.h"
#include "mem.h"

#define BATCH 1000			/* names that are read at once */

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
	struct buf directory;			/* owned */
	struct waiting *waiting;		/* owned */
	struct version gate;
	uint64_t lineage, epoch;		/* in which it began */
	struct listing batch;			/* owned; names that stood here, */
	size_t next_in_batch;			/* and the first of them that is yet to be found */
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

/* settled gates */

static bool is_of_layout(const struct inside_settled *settled, const struct layout *layout)
{
	return settled->lineage == layout->lineage && settled->epoch == layout->epoch;
}

static bool is_settled(const struct versiond *v, struct str directory, struct version gate)
{
	for (size_t i = 0; i < INSIDE_SETTLED; i++) {
		const struct inside_settled *settled = &v->settled[i];

		if (is_of_layout(settled, &v->home.layout) &&
		    version_cmp(settled->gate, gate) >= 0 &&
		    str_eq(buf_str(&settled->directory), directory))
			return true;
	}
	return false;
}

/* The oldest makes room. */
static void remember(const struct inside *in)
{
	struct versiond *v = in->versiond;
	struct inside_settled *settled = &v->settled[v->settled_next];

	v->settled_next = (v->settled_next + 1) % INSIDE_SETTLED;
	settled->gate = in->gate;
	settled->lineage = in->lineage;
	settled->epoch = in->epoch;
	buf_reset(&settled->directory);
	buf_addstr(&settled->directory, buf_str(&in->directory));
}

void inside_forget(struct versiond *v)
{
	for (size_t i = 0; i < INSIDE_SETTLED; i++)
		buf_clear(&v->settled[i].directory);
}

/* one directory's */

static void end(struct inside *in, bool settled)
{
	struct inside **p = &in->versiond->insides;

	while (*p != in)
		p = &(*p)->next;
	*p = in->next;
	behind_clear(&in->behind);
	if (settled)
		remember(in);
	while (in->waiting != NULL)
		tell(in, settled);
	listing_clear(&in->batch);
	buf_clear(&in->directory);
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
	struct str directory = buf_str(&in->directory);

	if (store_list(store, directory, after, BATCH, false, ret, err) == 0)
		return 0;
	return err->kind == ERR_CONFLICT ? store_list(store, directory, after, 0, true, ret, err) : -1;
}

static bool stands(const struct list_entry *entry)
{
	return record_stands(&entry->record, &entry->entry) != STANDS_NOTHING;
}

/* True: the next name of the batch that stands here was found. */
static bool find_in_batch(struct inside *in)
{
	while (in->next_in_batch < in->batch.count) {
		const struct list_entry *entry = &in->batch.entries[in->next_in_batch++];

		if (stands(entry)) {
			path_join(&in->found, buf_str(&in->directory), str_of(entry->name));
			return true;
		}
	}
	return false;
}

/* The names behind those of the batch.  Before the first time there are none. */
static void read_batch(struct inside *in)
{
	struct str last = in->batch.count == 0 ? (struct str)STR_INIT :
			  str_of(in->batch.entries[in->batch.count - 1].name);
	struct listing batch = LISTING_INIT;
	struct err err = ERR_INIT;

	in->listed = list_on(in, last, &batch, &err) == 0 || err.kind == ERR_ABSENT;
	if (!in->listed)
		log_err(LOG_LEVEL_WARNING, &err, "list a directory");
	listing_clear(&in->batch);
	in->batch = batch;
	in->next_in_batch = 0;
}

/* Names that come later need not be found: whoever stores them is told of the gate. */
static void look(struct job *job)
{
	struct inside *in = CONTAINER_OF(job, struct inside, job);

	buf_reset(&in->found);
	while (!find_in_batch(in) && in->batch.more)
		read_batch(in);
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

/* One that began in this layout, when a gate at least as great was on this disk. */
static struct inside *find(const struct versiond *v, struct str directory, struct version gate)
{
	struct inside *in = v->insides;

	while (in != NULL && !(in->lineage == v->home.layout.lineage &&
			       in->epoch == v->home.layout.epoch &&
			       version_cmp(in->gate, gate) >= 0 &&
			       str_eq(buf_str(&in->directory), directory)))
		in = in->next;
	return in;
}

void inside_settle(struct versiond *v, struct str gate_path, struct version gate,
		   void (*done)(void *data, bool settled), void *data)
{
	struct inside *in = find(v, path_parent(gate_path), gate);

	if (is_settled(v, path_parent(gate_path), gate)) {
		done(data, true);
		return;
	}
	if (in != NULL) {
		wait_for(in, done, data);
		return;
	}
	in = mem_new(1, sizeof *in);
	in->versiond = v;
	buf_addstr(&in->directory, path_parent(gate_path));
	in->gate = gate;
	in->lineage = v->home.layout.lineage;
	in->epoch = v->home.layout.epoch;
	in->batch.more = true;
	in->listed = true;
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
