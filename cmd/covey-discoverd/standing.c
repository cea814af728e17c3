/*
 * standing - what this node is to the group, and how far its disk remembers
 *
 * A sequence number is saved, synced, every half minute, and told in the
 * gossip.  Whoever remembers a later one than this disk knows that the disk
 * lost something: promises and records that others count on.  Then, and when
 * the same identity lives at two places, the node is silent: it answers as
 * no home and votes on nothing, until it is formatted anew.  After a start it
 * is silent until one of the layout's others has told what it remembers.
 * Where it could confirm something without them (homes: 1) it waits only for
 * SURE_MS; else while they keep silent nothing is lost by waiting.
 */
#include "discoverd.h"

#include "container.h"
#include "inifile.h"
#include "layout_file.h"
#include "log.h"

#include <inttypes.h>

#define REMEMBER_MS 30000
#define SURE_MS 2000
#define BEHIND_MAX 2		/* saves that a careless disk may lose */

static void put_file(struct buf *ret, const struct discoverd *d)
{
	buf_addf(ret, "%s/standing.ini", d->directory.data);
}

static int take_offset(struct str text, int64_t *ret)
{
	bool minus = text.n > 0 && text.s[0] == '-';
	uint64_t n;

	if (minus)
		text = (struct str){ text.s + 1, text.n - 1 };
	if (str_u64(text, INT64_MAX, &n) < 0)
		return -1;
	*ret = minus ? -(int64_t)n : (int64_t)n;
	return 0;
}

static int each(void *data, struct str section, struct str key, struct str value, struct err *err)
{
	struct node_standing *s = data;
	int rc = 0;

	if (!str_eq(section, STR("covey")))
		return 0;
	if (str_eq(key, STR("self")))
		rc = str_hex64(value, &s->self);
	else if (str_eq(key, STR("sequence")))
		rc = str_u64(value, UINT64_MAX, &s->sequence);
	else if (str_eq(key, STR("offset")))
		rc = take_offset(value, &s->offset);
	else if (str_eq(key, STR("silent")))
		s->silent = str_eq(value, STR("yes"));
	else if (str_eq(key, STR("guest")))
		s->guest = str_eq(value, STR("yes"));
	return rc == 0 ? 0 : inifile_bad(key, value, err);
}

static int save(const struct discoverd *d, const struct node_standing *s, struct err *err)
{
	struct inifile ini = INIFILE_INIT;
	struct buf file = BUF_INIT;
	int rc;

	put_file(&file, d);
	inifile_section(&ini, "covey");
	inifile_putf(&ini, "self", "%016" PRIx64, s->self);
	inifile_putf(&ini, "sequence", "%" PRIu64, s->sequence);
	inifile_putf(&ini, "offset", "%" PRId64, s->offset);
	inifile_put(&ini, "silent", s->silent ? STR("yes") : STR("no"));
	inifile_put(&ini, "guest", s->guest ? STR("yes") : STR("no"));
	rc = inifile_save(&ini, file.data, 0640, err);
	inifile_clear(&ini);
	buf_clear(&file);
	return rc;
}

/* A file that cannot be read has been forgotten: peers may know. */
static void load(const struct discoverd *d, struct node_standing *ret)
{
	struct buf file = BUF_INIT;
	struct err why = ERR_INIT;
	struct node_standing standing = { .self = 0 };

	put_file(&file, d);
	if (inifile_read(file.data, each, &standing, &why) < 0) {
		if (why.kind != ERR_ABSENT)
			log_err(LOG_LEVEL_WARNING, &why, "forget what this node was");
		standing = (struct node_standing){ .self = 0 };
	}
	buf_clear(&file);
	*ret = standing;
}

/* What the last process of this identity agreed to; another identity's is nobody's. */
static void load_agreements(struct discoverd *d, struct node_standing *standing)
{
	struct layout layout = LAYOUT_NONE;
	struct err why = ERR_INIT;

	if (layout_load(d->directory.data, &layout, &why) < 0) {
		log_err(LOG_LEVEL_WARNING, &why, "forget the layout");
		layout = LAYOUT_NONE;
	}
	if (state_load_promise(d, &d->agent.acceptor.promise, &why) < 0) {
		log_err(LOG_LEVEL_WARNING, &why, "this node forgot its promises");
		standing->silent = true;
	}
	d->agent.council.layout = layout;
}

int standing_load(struct discoverd *d, struct err *err)
{
	uint64_t self = store_node(d->service->store);
	struct node_standing standing;

	load(d, &standing);
	if (standing.self == self)
		load_agreements(d, &standing);
	else
		standing = (struct node_standing){ .self = self, .offset = standing.offset };
	standing.sequence++;
	if (save(d, &standing, err) < 0)
		return -1;
	d->standing = standing;
	return 0;
}

/* saving */

/* What the others are to know of it. */
static void show(struct discoverd *d)
{
	struct member *self = &d->gossip.view.self;
	bool silent = d->unsure || d->standing.silent;
	bool guest = !d->service->conf->node.home || d->standing.guest;

	self->flags = (uint8_t)((silent ? MEMBER_SILENT : 0) | (guest ? MEMBER_GUEST : 0));
}

static void remember(struct timer *);

static void write_standing(struct job *job)
{
	struct discoverd *d = CONTAINER_OF(job, struct discoverd, remember_job);

	d->remember_rc = save(d, &d->remembering, &d->remember_err);
}

static void standing_written(struct job *job)
{
	struct discoverd *d = CONTAINER_OF(job, struct discoverd, remember_job);

	d->remember_busy = false;
	if (d->remember_rc < 0) {
		log_err(LOG_LEVEL_WARNING, &d->remember_err, "remember what this node is");
		return;
	}
	d->standing.sequence = d->remembering.sequence;
	d->gossip.view.self.sequence = d->standing.sequence;
	if (d->standing.guest != d->remembering.guest) {
		d->standing.guest = d->remembering.guest;
		show(d);
		discoverd_hurry(d);
	}
	if (d->standing.guest != d->guest_wanted)
		remember(&d->remember);
}

static void remember(struct timer *timer)
{
	struct discoverd *d = CONTAINER_OF(timer, struct discoverd, remember);

	timer_start(d->service->loop, timer, REMEMBER_MS);
	if (d->remember_busy)
		return;
	d->remember_busy = true;
	state_save_members(d);		/* with how far the others' disks remember */
	d->remembering = d->standing;
	d->remembering.sequence++;
	d->remembering.guest = d->guest_wanted;
	d->remembering.offset = standing_offset(d);
	d->remember_job.work = write_standing;
	d->remember_job.done = standing_written;
	d->remember_job.home = d->service->loop;
	pool_submit(d->pool, &d->remember_job);
}

static bool has_others(const struct layout *layout, uint64_t self)
{
	return layout->count > (layout_find(layout, self) != NULL);
}

static void be_sure(struct discoverd *d)
{
	timer_stop(&d->sure);
	d->unsure = false;
	show(d);
	discoverd_hurry(d);
}

static void wait_on(struct timer *timer)
{
	struct discoverd *d = CONTAINER_OF(timer, struct discoverd, sure);
	const struct layout *layout = settle_layout(d);

	if (!has_others(layout, d->standing.self) || layout->homes == 1) {
		be_sure(d);
		return;
	}
	timer_start(d->service->loop, timer, SURE_MS);
	if (!d->unsure_logged)
		log_line(LOG_LEVEL_WARNING, "no other home tells what it remembers of this node: "
			 "until one does it answers as no home");
	d->unsure_logged = true;
}

void standing_start(struct discoverd *d)
{
	struct member *self = &d->gossip.view.self;
	const struct conf *conf = d->service->conf;

	self->sequence = d->standing.sequence;
	self->weight = (uint8_t)conf->node.weight;
	d->guest_wanted = d->standing.guest;
	d->unsure = d->keys.count > 0 && has_others(settle_layout(d), d->standing.self);
	show(d);
	member_set_region(self, str_of(conf->node.region));
	if (d->standing.silent)
		log_line(LOG_LEVEL_ERROR, "this node forgot something that others count on: it "
			 "answers as no home until it is formatted anew");
	if (d->standing.guest)
		log_line(LOG_LEVEL_INFO, "this node left the layout: it is a guest until covey layout join");
	d->sure.fire = wait_on;
	if (d->unsure)
		timer_start(d->service->loop, &d->sure, SURE_MS);
	d->remember.fire = remember;
	timer_start(d->service->loop, &d->remember, REMEMBER_MS);
}

void standing_stop(struct discoverd *d)
{
	timer_stop(&d->remember);
	timer_stop(&d->sure);
}

/* silence */

void standing_silence(struct discoverd *d, const char *why)
{
	if (d->standing.silent)
		return;
	log_line(LOG_LEVEL_ERROR, "%s: this node answers as no home until it is formatted anew", why);
	d->standing.silent = true;
	show(d);
	remember(&d->remember);
	discoverd_hurry(d);
}

void standing_guest(struct discoverd *d, bool guest)
{
	if (d->guest_wanted == guest)
		return;
	log_line(LOG_LEVEL_INFO, "%s", guest ? "leave the layout, and stay a guest until covey layout join" :
					       "join the layout again");
	d->guest_wanted = guest;
	remember(&d->remember);
}

void standing_check(struct discoverd *d)
{
	/* The start saved one more than it found. */
	if (d->gossip.view.recalled > d->standing.sequence - 1 + BEHIND_MAX)
		standing_silence(d, "others remember what this disk has forgotten");
	/* A start is counted on disk before anybody hears of it. */
	if (d->gossip.view.outdone != 0)
		standing_silence(d, "others remember a start of this node that this disk has forgotten");
	if (d->gossip.view.elsewhere)
		standing_silence(d, "another process has this node's identity");
	if (d->unsure && d->recognized)
		be_sure(d);
}

/* Somebody who has just met this node remembers nothing, and says so too: only homes count. */
void standing_heard(struct discoverd *d, const struct wire *wire)
{
	if (wire->type == WIRE_GOSSIP && layout_find(settle_layout(d), wire->sender.id) != NULL)
		for (size_t i = 0; i < wire->gossip.count; i++)
			if (wire->gossip.members[i].id == d->standing.self)
				d->recognized = true;
	standing_check(d);
}

int64_t standing_offset(const struct discoverd *d)
{
	return view_offset(&d->gossip.view, d->standing.offset);
}
