/* remote - a directory as a node lists it, for what copies and removes trees */
#include "remote.h"

#include "mem.h"
#include "path.h"
#include "pct.h"

#define RACY_S 2		/* times are whole seconds, and clocks differ a little */

void remote_clear(struct remote *remote)
{
	for (size_t i = 0; i < remote->count; i++)
		free(remote->entries[i].name);
	free(remote->entries);
	*remote = (struct remote)REMOTE_INIT;
}

static int by_name(const void *a, const void *b)
{
	const struct remote_entry *x = a, *y = b;

	return strcmp(x->name, y->name);
}

/* NULL: it is no name of one component. */
static char *name_of(const json_t *entry)
{
	struct buf name = BUF_INIT;

	if (pct_decode(&name, entry_name(entry)) == 0 && name.len > 0 &&
	    name.len <= PATH_COMPONENT_BYTES && strcmp(name.data, ".") != 0 &&
	    strcmp(name.data, "..") != 0 && !memchr(name.data, '/', name.len) &&
	    !memchr(name.data, '\0', name.len))
		return buf_take(&name);
	buf_clear(&name);
	return NULL;
}

/* "2026-11-22T11:07:24.123456001Z" */
static struct timespec time_of(const char *text)
{
	struct timespec time = { .tv_sec = 0 };
	struct tm tm = { .tm_sec = 0 };
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S.", &tm);
	uint64_t ns = 0;

	if (rest != NULL && str_u64((struct str){ rest, strcspn(rest, "Z") }, 999999999, &ns) == 0)
		time = (struct timespec){ .tv_sec = timegm(&tm), .tv_nsec = (long)ns };
	return time;
}

static int add_entry(struct remote *remote, const json_t *entry)
{
	struct remote_entry *to = &remote->entries[remote->count];
	char *name = name_of(entry);

	if (name == NULL)
		return -1;
	*to = (struct remote_entry){ .name = name,
				     .directory = entry_is_directory(entry),
				     .size = json_number(entry, "size"),
				     .mtime = json_number(entry, "mtime"),
				     .made = time_of(json_text(entry, "time")) };
	snprintf(to->version, sizeof to->version, "%s", json_text(entry, "version"));
	str_from_hex(str_of(json_text(entry, "sha256")), to->sha256, sizeof to->sha256);
	remote->count++;
	return 0;
}

static int read_entries(const struct exchange *exchange, const char *what, struct remote *ret)
{
	struct str state = exchange_field(exchange, "version-state");
	struct remote remote = { .confirmed = str_eq(state, STR("confirmed")) };
	json_t *list, *entry;
	struct err err = ERR_INIT;
	int status = 0;
	size_t i;

	if (json_read(&list, buf_str(&exchange->content), what, &err) < 0)
		return command_fail(&err);
	remote.entries = mem_new(json_array_size(list) + 1, sizeof *remote.entries);
	json_array_foreach(list, i, entry) {
		if (add_entry(&remote, entry) < 0) {
			command_say("list %s: what the node tells of is no name: \"%.80s\"", what,
				    json_text(entry, "href"));
			status = EX_PROTOCOL;
		}
	}
	json_decref(list);
	if (status != 0) {
		remote_clear(&remote);
		return status;
	}
	qsort(remote.entries, remote.count, sizeof *remote.entries, by_name);
	*ret = remote;
	return 0;
}

int remote_list(struct client *client, struct str path, struct remote *ret)
{
	struct exchange exchange = EXCHANGE_INIT;
	struct buf target = BUF_INIT;
	struct err err = ERR_INIT;
	char *what;
	int status = 0;

	/* A node may tell of a directory in each without an end. */
	if (path_check(path, &err) < 0) {
		command_say("list /%.*s: %s", STR_ARG(path), err.text);
		return EX_PROTOCOL;
	}
	remote_target(&target, path);
	what = mem_copy(target.data, target.len);
	buf_adds(&target, "?format=json");
	exchange.target = buf_str(&target);
	exchange.headers[0] = "Accept: application/json";
	if (client_send(client, &exchange, &err) < 0)
		status = command_fail(&err);
	else if (exchange.status == 404)
		*ret = (struct remote){ .absent = true, .confirmed = !exchange_is_unconfirmed(&exchange) };
	else if (exchange.status != 200)
		status = exchange_refused(&exchange, what);
	else
		status = read_entries(&exchange, what, ret);
	exchange_clear(&exchange);
	buf_clear(&target);
	free(what);
	return status;
}

int remote_told_unconfirmed(struct str path)
{
	command_say("/%.*s: the group does not confirm now what is in it", STR_ARG(path));
	return EX_TEMPFAIL;
}

const struct remote_entry *remote_find(const struct remote *remote, const char *name)
{
	struct remote_entry key = { .name = NULL };
	const struct remote_entry *found = NULL;

	key.name = mem_copy(name, strlen(name));
	if (remote->count > 0)
		found = bsearch(&key, remote->entries, remote->count, sizeof key, by_name);
	free(key.name);
	return found;
}

bool remote_is_racy(const struct remote_entry *entry)
{
	return entry->mtime + RACY_S > (uint64_t)entry->made.tv_sec;
}

void remote_target(struct buf *to, struct str path)
{
	buf_addc(to, '/');
	pct_encode(to, path);
	if (path.n > 0)
		buf_addc(to, '/');
}

void remote_path(struct buf *to, const char *path)
{
	struct str text = str_of(path);

	while (str_starts(text, STR("/")))
		text = (struct str){ text.s + 1, text.n - 1 };
	while (str_ends(text, STR("/")))
		text.n--;
	buf_addstr(to, text);
}
