/* ask - the sub-commands that show what a node answers in JSON */
#include "ask.h"

static int read_answer(const struct exchange *exchange, const char *what, json_t **ret)
{
	struct err err = ERR_INIT;

	if (exchange->status != 200)
		return exchange_refused(exchange, what);
	if (json_read(ret, buf_str(&exchange->content), what, &err) < 0)
		return command_fail(&err);
	return 0;
}

int ask_json_by(struct client *client, struct str target, const char *what, json_t **ret)
{
	struct exchange exchange = EXCHANGE_INIT;
	struct err err = ERR_INIT;
	int status;

	exchange.target = target;
	exchange.headers[0] = "Accept: application/json";
	if (client_send(client, &exchange, &err) < 0)
		status = command_fail(&err);
	else
		status = read_answer(&exchange, what, ret);
	exchange_clear(&exchange);
	return status;
}

int ask_json(const char *url, struct str target, const char *what, json_t **ret)
{
	struct client *client = NULL;
	struct err err = ERR_INIT;
	int status;

	if (client_open(&client, url, &err) < 0)
		return command_fail(&err);
	status = ask_json_by(client, target, what, ret);
	client_close(client);
	return status;
}

struct str entry_name(const json_t *entry)
{
	struct str href = str_of(json_text(entry, "href")), name = STR_INIT;

	if (str_ends(href, STR("/")))
		href.n--;
	while (str_cut(&href, '/', &name))
		;
	return name;
}

bool entry_is_directory(const json_t *entry)
{
	return strcmp(json_text(entry, "type"), "directory") == 0;
}

int print_json(const json_t *value)
{
	char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	bool printed = text != NULL && puts(text) != EOF;

	free(text);
	if (printed)
		return 0;
	command_say("write to standard output failed");
	return EX_IOERR;
}

const char *time_text(char to[32], const char *time)
{
	size_t n = strcspn(time, ".Z");

	snprintf(to, 32, "%.*s", (int)(n < 31 ? n : 31), time);
	if (strlen(to) > 10 && to[10] == 'T')
		to[10] = ' ';
	return to;
}
