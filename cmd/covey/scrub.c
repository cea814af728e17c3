/* covey scrub - read contents again: is the store still what was stored? */
#include "ask.h"
#include "local.h"
#include "progress.h"
#include "roles.h"

enum { CONF, JSON };

struct scrub_run {
	const struct conf *conf;
	struct scrub scrub;
	struct progress progress;
	json_t *bad;		/* a list; NULL: lines */
};

static bool go_on(void *data, size_t bytes)
{
	struct scrub_run *run = data;

	(void)bytes;
	progress_show(&run->progress, run->scrub.bytes, 0);
	return true;
}

static void show_bad(struct scrub_run *run, const struct scrub_bad *bad)
{
	char version[VERSION_TEXT];
	struct buf href = BUF_INIT;

	version_format(version, bad->record.version);
	path_to_target(&href, bad->path, false);
	progress_end(&run->progress);
	if (run->bad == NULL)
		printf("%s  %s: %s; set aside as %s in history%s\n", version, href.data,
		       bad->why, bad->aside, href.data);
	else
		json_array_append_new(run->bad,
				      json_pack("{s:s, s:s, s:s, s:s}", "href", href.data, "version",
						version, "aside", bad->aside, "why", bad->why));
	buf_clear(&href);
}

static void was_bad(void *data, const struct scrub_bad *bad)
{
	const struct keep_item item = { .record = bad->record, .type = bad->type,
					.path = bad->path };
	struct scrub_run *run = data;

	show_bad(run, bad);
	if (run->conf->group.key_file != NULL)
		roles_lost(run->conf, &item);
}

static void failed(void *data, struct str path, const struct err *err)
{
	struct scrub_run *run = data;

	(void)path;
	progress_end(&run->progress);
	fprintf(stderr, "covey: %s\n", err->text);
}

static int print_count(const struct scrub_run *run)
{
	const struct scrub *scrub = &run->scrub;
	char size[SIZE_TEXT];
	json_t *line;
	int status;

	if (run->bad == NULL) {
		printf("%llu contents, %s read, %llu bad\n", (unsigned long long)scrub->contents,
		       size_text(size, scrub->bytes), (unsigned long long)scrub->bad_count);
		return 0;
	}
	line = json_pack("{s:I, s:I, s:O}", "contents", (json_int_t)scrub->contents, "bytes",
			 (json_int_t)scrub->bytes, "bad", run->bad);
	status = print_json(line);
	json_decref(line);
	return status;
}

static int scrub(struct scrub_run *run, struct str path)
{
	struct store *store = NULL;
	struct err err = ERR_INIT;
	int status = local_open(&store, run->conf);

	if (status != 0)
		return status;
	progress_begin(&run->progress, "scrub");
	if (store_scrub(store, path, &run->scrub, &err) < 0)
		status = command_fail(&err);
	progress_end(&run->progress);
	store_close(store);
	if (status == 0)
		status = print_count(run);
	if (status == 0 && run->scrub.failed_count > 0)
		status = EX_IOERR;
	return status == 0 && run->scrub.bad_count > 0 ? EX_DATAERR : status;
}

static int run(const struct call *call)
{
	struct conf conf = CONF_INIT;
	struct buf path = BUF_INIT;
	struct scrub_run run = {
		.conf = &conf,
		.scrub = { .go_on = go_on, .bad = was_bad, .failed = failed, .data = &run },
		.bad = call->values[JSON] ? json_array() : NULL,
	};
	int status = local_path(&path, call->count ? call->operands[0] : "");

	if (status == 0)
		status = local_conf(&conf, call->values[CONF]);
	if (status == 0)
		status = scrub(&run, buf_str(&path));
	json_decref(run.bad);
	conf_clear(&conf);
	buf_clear(&path);
	return status;
}

static const struct command_option options[] = {
	[CONF] = OPTION_CONF,
	[JSON] = OPTION_JSON,
	OPTION_END,
};

const struct command command_scrub = {
	.name = "scrub",
	.operands = "[PATH]",
	.summary = "Read what is stored on this machine again, and set aside what is bad",
	.details = "The contents of PATH and of all below it, or of the whole store, as the nodes of a\n"
		   "group do by themselves every month. A copy that its sha256 does not match is kept\n"
		   "in history/, and in a group the content comes back from another node. The status\n"
		   "is 65 when something was bad.",
	.options = options,
	.most = 1,
	.run = run,
};
