/* stats - counters, in the lines of /.covey/metrics */
#include "versiond.h"

#include "log.h"
#include "tally.h"

#include <inttypes.h>

#define SEALING_BYTES (WIRE_BYTES - WIRE_PLAIN_BYTES)

static const char *const directions[] = { [STATS_RECEIVED] = "received", [STATS_SENT] = "sent" };
static const char *const ways[] = { "udp", "http" };

static const struct {
	enum wire_type type;
	const char *name;
} types[] = {
	{ WIRE_CHECK, "check" },   { WIRE_RECORD, "record" }, { WIRE_STORE, "store" },
	{ WIRE_STORED, "stored" }, { WIRE_STALE, "stale" },
};

#define KIND 1				/* of struct stats: another when a field comes to mean something else */

/* Where it cannot be kept it is counted all the same. */
void stats_open(struct versiond *v)
{
	struct err err = ERR_INIT;

	v->stats = tally_open_in(store_run(v->service->store), "covey-versiond", KIND, sizeof *v->stats, &err);
	if (err.kind != ERR_NONE)
		log_err(LOG_LEVEL_WARNING, &err, "start the counters from zero");
}

/* The asker counts for itself. */
static void take_write_backs(struct versiond *v)
{
	v->stats->write_backs += v->asker.write_backs - v->write_backs_told;
	v->write_backs_told = v->asker.write_backs;
}

void stats_close(struct versiond *v)
{
	if (v->stats == NULL)
		return;
	take_write_backs(v);
	tally_close(v->stats, sizeof *v->stats);
	v->stats = NULL;
}

void stats_count(struct versiond *v, bool http, int direction, enum wire_type type, size_t bytes)
{
	v->stats->traffic[http][direction][type].messages++;
	v->stats->traffic[http][direction][type].bytes += bytes + SEALING_BYTES;
}

void stats_count_sent(struct versiond *v, bool http, struct str plain)
{
	uint8_t type = (uint8_t)plain.s[v->home.sender.len + WIRE_TO_BYTES];

	stats_count(v, http, STATS_SENT, (enum wire_type)type, plain.n);
}

static void print_messages(const struct versiond *v, struct buf *buf, const char *name, bool bytes)
{
	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
		for (int d = STATS_RECEIVED; d <= STATS_SENT; d++)
			for (int way = 0; way < 2; way++)
				buf_addf(buf, "%s{type=\"%s\",direction=\"%s\",by=\"%s\"} %" PRIu64 "\n",
					 name, types[i].name, directions[d], ways[way],
					 bytes ? v->stats->traffic[way][d][types[i].type].bytes
					       : v->stats->traffic[way][d][types[i].type].messages);
}

static void print_head(struct buf *buf, const char *name, const char *help)
{
	buf_addf(buf, "# HELP %s %s\n# TYPE %s counter\n", name, help, name);
}

static void print_one(struct buf *buf, const char *name, const char *help, uint64_t n)
{
	print_head(buf, name, help);
	buf_addf(buf, "%s %" PRIu64 "\n", name, n);
}

void stats_print(struct versiond *v, struct buf *buf)
{
	const struct stats *s = v->stats;

	take_write_backs(v);
	print_head(buf, "covey_messages_total", "Sealed messages about versions.");
	print_messages(v, buf, "covey_messages_total", false);
	print_head(buf, "covey_message_bytes_total", "Bytes of these, sealed.");
	print_messages(v, buf, "covey_message_bytes_total", true);
	print_head(buf, "covey_checks_total", "Questions of this node's programs, by how they ended.");
	buf_addf(buf, "covey_checks_total{result=\"confirmed\"} %" PRIu64 "\n",
		 s->checks[CERTAINTY_CONFIRMED]);
	buf_addf(buf, "covey_checks_total{result=\"unsettled\"} %" PRIu64 "\n",
		 s->checks[CERTAINTY_UNDECIDED]);
	buf_addf(buf, "covey_checks_total{result=\"unconfirmed\"} %" PRIu64 "\n",
		 s->checks[CERTAINTY_UNCONFIRMED]);
	print_head(buf, "covey_stores_total", "Records given to their homes, by whether a majority has them.");
	buf_addf(buf, "covey_stores_total{result=\"settled\"} %" PRIu64 "\n", s->stores[true]);
	buf_addf(buf, "covey_stores_total{result=\"unsettled\"} %" PRIu64 "\n", s->stores[false]);
	print_one(buf, "covey_write_backs_total", "Reads that stored what a minority of the homes knew.",
		  s->write_backs);
	print_one(buf, "covey_home_commits_total", "Records put on disk as a home.", s->commits);
	print_one(buf, "covey_home_refused_total", "Records that could not be kept.", s->refused);
	print_one(buf, "covey_behind_total", "Times that others had a newer layout.", s->behind);
	buf_addf(buf, "# HELP covey_versions_epoch Of the layout that covey-versiond goes by; 0: none.\n"
		      "# TYPE covey_versions_epoch gauge\ncovey_versions_epoch %" PRIu64 "\n",
		 v->home.layout.epoch);
}
