/* stream - content that another node holds, sent on while it arrives */
#include "stream.h"

#include "conn.h"
#include "get.h"
#include "mem.h"

struct stream {
	bool active;
};

void stream_free(struct stream *stream)
{
	free(stream);
}

void stream_start(struct conn *c, const struct record *record)
{
	(void)record;
	get_absent(c, 503, STR("the newest version's content is nowhere to be had now"));
}

bool stream_active(const struct conn *c)
{
	return c->request.stream != NULL;
}

void stream_limit_output(struct conn *c)
{
	(void)c;
}

void stream_cache_status(const struct conn *c, struct cache_status *status)
{
	(void)c;
	(void)status;
}
