/*
 * standing - what this node is to the group, and how far its disk remembers
 *
 * Each start writes its count and nonce before it speaks (starts.h), and a
 * sequence number is saved, synced, every half minute; both are told in the
 * gossip.  Whoever remembers a start that spoke and that this disk does not
 * know, or a later number, knows that the disk lost something: promises and
 * records that others count on.  Then the node is silent: it answers as no
 * home and votes on nothing, until it is renewed.
 *
 * What a start does about that waking.h says; here it is done.  After a start
 * the node is silent until one of the layout's others has told what it
 * remembers.  Where it could confirm something without them (homes: 1), or
 * has the council's only seat, as far as its disk knows, it waits only for a
 * moment; else while they keep silent nothing is lost by waiting.
 */
#include "discoverd.h"

#include "clock.h"
#include "container.h"
#include "inifile.h"
#include "layout_file.h"
#include "log.h"

#include <inttypes.h>
#include <sodium.h>

#define REMEMBER_MS 30000
#define AGAIN_MS 1000		/* after a failure, when others wait for it */

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

static int take_start(struct str text, struct start *ret)
{
	struct str count;

	if (!str_cut(&text, ' ', &count) || str_u64(count, UINT64_MAX - 1, &ret->count) < 0)
		return -1;
	return str_hex64(text, &ret->nonce);
}

static int take_address(struct str text, struct address *ret)
{
	struct err why = ERR_INIT;

	return address_parse(text, ret, &why);
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
	else if (str_eq(key, STR("ended_at")))
		rc = take_address(value, &s->ended_at);
	else if (str_eq(key, STR("start")))
		rc = take_start(value, &s->starts.now);
	else if (str_eq(key, STR("spoke")))
		rc = take_start(value, &s->starts.spoke);
	else if (str_eq(key, STR("before")))
		rc = take_start(value, &s->starts.before);
	return rc == 0 ? 0 : inifile_bad(key, value, err);
}

static void put_start(struct inifile *ini, const char *key, struct start start)
{
	inifile_putf(ini, key, "%" PRIu64 " %016" PRIx64, start.count, start.nonce);
}

static void put_yes(struct inifile *ini, const char *key, bool yes)
{
	inifile_put(ini, key, yes ? STR("yes") : STR("no"));
}

static int save(const struct discoverd *d, const struct node_standing *s, struct err *err)
{
	struct inifile ini = INIFILE_INIT;
	struct buf file = BUF_INIT;
	char address[ADDRESS_TEXT];
	int rc;

	put_file(&file, d);
	inifile_section(&ini, "covey");
	inifile_putf(&ini, "self", "%016" PRIx64, s->self);
	inifile_putf(&ini, "sequence", "%" PRIu64, s->sequence);
	inifile_putf(&ini, "offset", "%" PRId64, s->offset);
	put_yes(&ini, "silent", s->silent);
	put_yes(&ini, "guest", s->guest);
	if (s->ended_at.len != 0)
		inifile_put(&ini, "ended_at", str_of(address_format(address, &s->ended_at)));
	put_start(&ini, "start", s->starts.now);
	put_start(&ini, "spoke", s->starts.spoke);
	put_start(&ini, "before", s->starts.before);
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
			log_err(LOG_LEVEL_WARNING, &why, "start without what this node was");
		standing = (struct node_standing){ .self = 0 };
	}
	buf_clear(&file);
	*ret = standing;
}

/* What the last process of this identity agreed to. */
static void load_agreements(struct discoverd *d, struct node_standing *standing)
{
	struct layout layout = LAYOUT_NONE;
	struct err why = ERR_INIT;

	if (layout_load(d->directory.data, &layout, &why) < 0) {
		log_err(LOG_LEVEL_WARNING, &why, "forget the layout");
		layout = LAYOUT_NONE;
	}
	if (state_load_promise(d, layout.lineage, &d->agent.acceptor.promise, &why) < 0) {
		log_err(LOG_LEVEL_WARNING, &why, "this node forgot its promises");
		standing->silent = true;
	}
	d->agent.council.layout = layout;
}

static uint64_t draw_nonce(void)
{
	uint64_t nonce;

	do
		randombytes_buf(&nonce, sizeof nonce);
	while (nonce == 0);
	return nonce;
}

/* The process before this one said good-bye, and not at another address: this is no copy of its disk. */
static bool ended_here(const struct node_standing *standing, const struct address *own)
{
	return standing->ended_at.len != 0 && address_eq(&standing->ended_at, own);
}

int standing_load(struct discoverd *d, const struct address *own, struct err *err)
{
	uint64_t self = store_node(d->service->store);
	struct node_standing standing;
	struct starts quiet;
	struct err why = ERR_INIT;

	load(d, &standing);
	if (standing.self == self)
		load_agreements(d, &standing);
	else if (standing.self != 0 ? state_forget_agreements(d, err) < 0
				    : state_set_layout_aside(d, err) < 0)
		return -1;
	if (standing.self != self)
		standing = (struct node_standing){ .self = self, .offset = standing.offset };
	waking_begin(&d->waking, standing.silent, ended_here(&standing, own),
		     clock_mono_ms());
	d->unsure = d->keys.count > 0 && settle_layout(d)->epoch != 0;
	standing.ended_at = (struct address){ .len = 0 };
	standing.sequence++;
	starts_begin(&standing.starts, draw_nonce());
	quiet = standing.starts;
	d->speak_wanted = !d->unsure;
	if (!d->unsure && !standing.silent)
		starts_speak(&standing.starts);
	if (save(d, &standing, &why) < 0) {
		if (store_writable(d->service->store, NULL) == 0)
			return err_pass(err, &why);
		log_err(LOG_LEVEL_WARNING, &why, "do not answer as a home until this can be written");
		standing.starts = quiet;
		d->unsure = d->remember_failed = true;
	}
	d->standing = standing;
	return 0;
}

/* saving */

/* What the others are to know of it. */
static void show(struct discoverd *d)
{
	struct member *self = &d->gossip.view.self;
	const struct node_standing *s = &d->standing;
	bool silent = d->unsure || s->silent;
	bool guest = !d->service->conf->node.home || s->guest;

	self->flags = (uint8_t)((silent ? MEMBER_SILENT : 0) | (s->silent ? MEMBER_FORGOT : 0) |
				(guest ? MEMBER_GUEST : 0));
	self->sequence = silent ? 0 : (uint32_t)s->sequence;
	self->nonce = s->starts.now.nonce;
	self->spoke = s->starts.spoke;
	self->before = s->starts.before;
}

static void remember(struct timer *);

static void write_standing(struct job *job)
{
	struct discoverd *d = CONTAINER_OF(job, struct discoverd, remember_job);

	d->remember_rc = save(d, &d->remembering, &d->remember_err);
}

/* Something that others wait for is not on disk yet. */
static bool has_wishes(const struct discoverd *d)
{
	const struct node_standing *s = &d->standing;

	return s->guest != d->guest_wanted || d->raise_wanted >= s->starts.now.count ||
	       (d->speak_wanted && !s->silent && !start_eq(s->starts.spoke, s->starts.now));
}

/* What was on disk before is in *was. */
static void tell_what_changed(struct discoverd *d, const struct node_standing *was)
{
	const struct starts *starts = &d->standing.starts;

	if (starts_speaks(starts))
		d->unsure = false;
	show(d);
	if (was->guest != d->standing.guest || !start_eq(was->starts.now, starts->now) ||
	    !start_eq(was->starts.spoke, starts->spoke))
		discoverd_hurry(d);
}

static void standing_written(struct job *job)
{
	struct discoverd *d = CONTAINER_OF(job, struct discoverd, remember_job);
	struct node_standing was = d->standing;
	bool fell_silent = was.silent && !d->remembering.silent;

	d->remember_busy = false;
	if (d->remember_rc < 0) {
		if (!d->remember_failed)
			log_err(LOG_LEVEL_WARNING, &d->remember_err, "save what this node is");
		d->remember_failed = true;
		if (has_wishes(d))
			timer_start(d->service->loop, &d->remember, AGAIN_MS);
		return;
	}
	d->remember_failed = false;
	d->standing = d->remembering;
	if (fell_silent) {
		d->standing.silent = true;
		d->standing.starts.spoke = was.starts.spoke;
		d->standing.starts.before = was.starts.before;
	}
	tell_what_changed(d, &was);
	if (fell_silent || has_wishes(d))
		remember(&d->remember);
}

static void remember(struct timer *timer)
{
	struct discoverd *d = CONTAINER_OF(timer, struct discoverd, remember);
	struct node_standing *s = &d->remembering;

	timer_start(d->service->loop, timer, REMEMBER_MS);
	if (d->remember_busy)
		return;
	d->remember_busy = true;
	state_save_members(d);		/* with how far the others' disks remember */
	*s = d->standing;
	s->sequence += !has_wishes(d);
	s->guest = d->guest_wanted;
	s->offset = standing_offset(d);
	if (d->raise_wanted >= s->starts.now.count)
		starts_raise(&s->starts, d->raise_wanted);
	if (d->speak_wanted && !s->silent)
		starts_speak(&s->starts);
	d->remember_job.work = write_standing;
	d->remember_job.done = standing_written;
	d->remember_job.home = d->service->loop;
	pool_submit(d->pool, &d->remember_job);
}

static void log_silence(const struct discoverd *d, const char *why)
{
	log_line(LOG_LEVEL_ERROR, "%s: this node is silent and does not answer as a home: %s", why,
		 member_silence(&d->gossip.view.self));
}

/* Once for a start. */
static void log_unsure(struct discoverd *d)
{
	const struct view *view = &d->gossip.view;
	char address[ADDRESS_TEXT];

	if (d->unsure_logged)
		return;
	if (waking_has_rival(view, clock_mono_ms()))
		log_line(LOG_LEVEL_WARNING, "another process is this node at %s, of a copy of its store: "
			 "while it runs this one does not answer as a home",
			 address_format(address, &view->twin.discovery));
	else if (!d->waking.recognized)
		log_line(LOG_LEVEL_WARNING, "no other home tells what it remembers of this node: "
			 "until one does it does not answer as a home");
	else
		return;
	d->unsure_logged = true;
}

static void sure(struct timer *timer)
{
	standing_check(CONTAINER_OF(timer, struct discoverd, sure));
}

void standing_start(struct discoverd *d)
{
	struct member *self = &d->gossip.view.self;
	const struct conf *conf = d->service->conf;

	self->weight = (uint8_t)conf->node.weight;
	d->guest_wanted = d->standing.guest;
	show(d);
	member_set_region(self, str_of(conf->node.region));
	if (d->standing.silent)
		log_silence(d, "this node forgot something that others count on");
	if (d->standing.guest)
		log_line(LOG_LEVEL_INFO, "this node left the layout: it is a guest until covey layout join");
	d->sure.fire = sure;
	standing_check(d);
	d->remember.fire = remember;
	timer_start(d->service->loop, &d->remember, has_wishes(d) ? AGAIN_MS : REMEMBER_MS);
}

/* Nothing else runs any more.  Who did not speak knows nothing of who did. */
void standing_end(struct discoverd *d)
{
	struct node_standing standing = d->standing;
	struct err err = ERR_INIT;

	if (starts_speaks(&standing.starts))
		standing.ended_at = d->gossip.view.self.discovery;
	if (save(d, &standing, &err) < 0)
		log_err(LOG_LEVEL_WARNING, &err, "save what this node is");
}

void standing_stop(struct discoverd *d)
{
	timer_stop(&d->remember);
	timer_stop(&d->sure);
}

/* what others remember */

static void silence(struct discoverd *d, const char *why)
{
	d->standing.silent = true;
	show(d);
	log_silence(d, why);
	remember(&d->remember);
	discoverd_hurry(d);
}

static void count_on(struct discoverd *d, uint64_t above)
{
	const struct view *view = &d->gossip.view;
	char address[ADDRESS_TEXT];

	d->raise_wanted = above;
	log_line(LOG_LEVEL_WARNING, "others know start %" PRIu64 " of this node at %s, this is start %"
		 PRIu64 ": %s", above, address_format(address, &view->twin.discovery),
		 view->self.start, starts_speaks(&d->standing.starts) ?
		 "a copy of its store was started there, and is to be silent" : "count on from there");
	view_restart(&d->gossip.view, above + 1);
	remember(&d->remember);
	discoverd_hurry(d);
}

static void speak(struct discoverd *d)
{
	if (d->speak_wanted)
		return;
	d->speak_wanted = true;
	remember(&d->remember);
}

void standing_check(struct discoverd *d)
{
	uint64_t now = clock_mono_ms();
	struct waking_step step;

	waking_step(&d->waking, &d->gossip.view, settle_layout(d), d->standing.sequence, now, &step);
	if (step.act == WAKING_SILENCE)
		silence(d, step.why);
	else if (step.act == WAKING_RAISE)
		count_on(d, step.above);
	else if (step.act == WAKING_SPEAK)
		speak(d);
	if (step.waited && !d->speak_wanted)
		log_unsure(d);
	if (step.due != 0)
		timer_start(d->service->loop, &d->sure, step.due > now ? step.due - now : 0);
	else
		timer_stop(&d->sure);
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

/* Somebody who has just met this node remembers nothing, and says so too: only homes count. */
void standing_heard(struct discoverd *d, const struct wire *wire)
{
	if (gossip_is_answer(&d->gossip, wire) && layout_find(settle_layout(d), wire->sender.id) != NULL)
		for (size_t i = 0; i < wire->gossip.count; i++)
			if (wire->gossip.members[i].member.id == d->standing.self)
				waking_recognized(&d->waking, clock_mono_ms());
	standing_check(d);
}

int64_t standing_offset(const struct discoverd *d)
{
	return view_offset(&d->gossip.view, d->standing.offset);
}
