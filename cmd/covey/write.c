/* write - what the sub-commands that write share: how sure to be, and what came of it */
#include "write.h"

int write_init(struct write *write, const char *async, const char *wait, struct err *err)
{
	struct write fresh = { .async = async != NULL };

	if (async != NULL && wait != NULL)
		return err_set(err, ERR_INVALID, "--async goes without --wait");
	if (wait != NULL && command_number("--wait", wait, 1, WRITE_WAIT_MAX, &fresh.wait_s, err) < 0)
		return -1;
	if (wait != NULL)
		snprintf(fresh.prefer, sizeof fresh.prefer, "Prefer: wait=%llu",
			 (unsigned long long)fresh.wait_s);
	else if (async != NULL)
		snprintf(fresh.prefer, sizeof fresh.prefer, "Prefer: respond-async");
	*write = fresh;
	return 0;
}

void write_ask(const struct write *write, struct exchange *exchange)
{
	size_t i = 0;

	while (exchange->headers[i] != NULL)
		i++;
	if (write->prefer[0] != '\0')
		exchange->headers[i] = write->prefer;
	exchange->wait_s = write->wait_s;
}

/* A line of JSON: {href, version, status, state}, the last as Version-State. */
static int print_written(const struct exchange *exchange)
{
	struct str rest = exchange->target, href, version = exchange_version(exchange);
	struct str state = exchange_field(exchange, "version-state");
	json_t *line;
	int status;

	str_cut(&rest, '?', &href);
	line = json_pack("{s:s%, s:s%, s:i, s:s%}", "href", href.s, href.n, "version",
			 version.n ? version.s : "", version.n, "status", (int)exchange->status,
			 "state", state.n ? state.s : "", state.n);
	status = print_json(line);
	json_decref(line);
	return status;
}

int write_told(const struct write *write, const struct exchange *exchange, const char *path)
{
	struct str version = exchange_version(exchange);
	struct str state = exchange_field(exchange, "version-state");
	bool unsure = exchange->status == 202 && !write->async;
	int status = 0;

	if (exchange->status / 100 != 2)
		return exchange_refused(exchange, path);
	if (write->json)
		status = print_written(exchange);
	else if (!write->quiet)
		printf("%.*s  %s\n", STR_ARG(version), path);
	if (unsure && !write->json)
		command_say("%s: on this node's disk, and not confirmed by the group yet (202; %.*s)", path,
			    STR_ARG(state));
	return status == 0 && unsure ? EX_TEMPFAIL : status;
}

int write_counted(const struct write *write, const struct exchange *exchange, const char *path,
		  atomic_uint_least64_t *unsure)
{
	int status = 0;

	if (exchange->status / 100 != 2)
		return exchange_refused(exchange, path);
	if (write->json)
		status = print_written(exchange);
	if (exchange->status != 202 || write->async)
		return status;
	(*unsure)++;
	return status == 0 ? EX_TEMPFAIL : status;
}

void write_told_unsure(uint64_t unsure, uint64_t all)
{
	if (unsure > 0)
		command_say("%llu of %llu are on this node's disk, and not confirmed by the group yet (202)",
			    (unsigned long long)unsure, (unsigned long long)all);
}
