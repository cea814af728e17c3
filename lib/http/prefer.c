/* prefer - what a client would like, if it can be had */
#include "prefer.h"

static void take(struct prefer *p, struct str name, struct str value)
{
	uint64_t seconds;

	if (value.n > 1 && value.s[0] == '"' && value.s[value.n - 1] == '"')
		value = (struct str){ value.s + 1, value.n - 2 };
	if (str_eq_nocase(name, STR("respond-async"))) {
		p->respond_async = true;
	} else if (str_eq_nocase(name, STR("wait")) && !p->has_wait &&
		   str_u64(value, UINT32_MAX, &seconds) == 0) {
		p->has_wait = true;
		p->wait = seconds < PREFER_WAIT_MAX ? seconds : PREFER_WAIT_MAX;
	}
}

struct prefer prefer_parse(struct str field)
{
	struct prefer p = { .has_wait = false };
	struct str item, part, name;

	while (str_cut(&field, ',', &item)) {
		if (!str_cut(&item, ';', &part) || !str_cut(&part, '=', &name))
			continue;
		take(&p, str_trim(name), str_trim(part));
	}
	return p;
}

void prefer_applied(struct buf *buf, const struct prefer *p)
{
	if (p->respond_async)
		buf_adds(buf, "respond-async");
	if (p->has_wait)
		buf_addf(buf, "%swait=%llu", p->respond_async ? ", " : "",
			 (unsigned long long)p->wait);
}
