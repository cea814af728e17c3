/* names - where a path's things are in tree/ and history/ */
#include "inside.h"

#include <inttypes.h>

int names_init(struct names *names, struct str path, struct err *err)
{
	if (path_check(path, err) < 0)
		return -1;
	names_set(names, path);
	return 0;
}

void names_set(struct names *names, struct str path)
{
	struct buf history = BUF_INIT;

	memcpy(names->tree, path.n > 0 ? path.s : ".", path.n > 0 ? path.n : 1);
	names->tree[path.n > 0 ? path.n : 1] = '\0';
	path_to_history(&history, path);
	if (path.n > 0)
		buf_addc(&history, '/');
	buf_addc(&history, '\0');
	memcpy(names->history, history.data, history.len);
	names->stem = history.len - 1;
	buf_clear(&history);
}

const char *names_mark(struct names *names, const char *mark)
{
	snprintf(names->history + names->stem, sizeof names->history - names->stem, "%s", mark);
	return names->history;
}

const char *names_history(struct names *names)
{
	return names_mark(names, ".");
}

const char *temporary_name(char to[TEMPORARY_NAME], const char *what, struct str path)
{
	snprintf(to, TEMPORARY_NAME, ",%s-%016" PRIx64, what, path_hash(path));
	return to;
}

const char *version_name(char to[VERSION_NAME], struct version v)
{
	to[0] = ',';
	version_format(to + 1, v);
	return to;
}

const char *names_version(struct names *names, struct version v)
{
	char name[VERSION_NAME];

	return names_mark(names, version_name(name, v));
}

int version_of_name(const char *name, struct version *ret)
{
	return name[0] == ',' ? version_parse(str_of(name + 1), ret, NULL) : -1;
}

struct shown shown(struct str path)
{
	struct shown shown;
	struct buf text = BUF_INIT;

	path_to_target(&text, path, false);
	if (text.len < sizeof shown.text)
		memcpy(shown.text, text.data, text.len + 1);
	else
		snprintf(shown.text, sizeof shown.text, "%.*s...", (int)sizeof shown.text - 4,
			 text.data);
	buf_clear(&text);
	return shown;
}
