/* roles - this node's other programs asked, for the sub-commands */
#include "roles.h"

#include "call.h"
#include "sync_talk.h"

#define SYNC_TIMEOUT_MS 2000
#define VIEW_TIMEOUT_MS 5000

static int start(struct asking *asking, const struct conf *conf, const char *socket, uint8_t type,
		 struct str body, uint64_t timeout_ms, struct err *err)
{
	struct buf path = BUF_INIT;
	int rc;

	buf_addf(&path, "%s/%s", conf->node.run, socket);
	rc = asking_start(asking, path.data, type, body, timeout_ms, err);
	buf_clear(&path);
	if (rc < 0 && err != NULL && err->kind == ERR_ABSENT)
		err->kind = ERR_AWAY;	/* it has never run here */
	return rc;
}

/* The answers to VIEW: 1 more to come, 0 that was the layout, the last; -1. */
static int next_view(struct asking *asking, struct members *members, struct layout *layout,
		     struct err *err)
{
	struct frame frame;
	int rc = -1;

	if (asking_next(asking, &frame, err) < 0)
		return -1;
	if (frame.type == DISCOVER_MEMBERS)
		rc = discover_members_unpack(frame.body, members, NULL, err) < 0 ? -1 : 1;
	else if (frame.type == DISCOVER_LAYOUT)
		rc = discover_layout_unpack(frame.body, layout, err);
	else if (frame.type == FRAME_FAILED)
		frame_failed_unpack(frame.body, err);
	else
		err_set(err, ERR_INVALID, "answer of unknown type %u", frame.type);
	frame_close(&frame);
	return rc;
}

int roles_view(const struct conf *conf, struct members *members, struct layout *layout,
		   struct err *err)
{
	struct asking asking = ASKING_INIT;
	int rc = start(&asking, conf, "discover.sock", DISCOVER_VIEW, STR(""), VIEW_TIMEOUT_MS, err);

	if (rc == 0)
		while ((rc = next_view(&asking, members, layout, err)) == 1)
			;
	asking_end(&asking);
	return rc < 0 ? err_context(err, "ask covey-discoverd for the layout") : 0;
}

/* The answers to CHANGE: 1 more to come, 0 it is done, -1. */
static int next_change(struct asking *asking, void (*tell)(struct str), struct err *err)
{
	struct frame frame;
	int rc = -1;

	if (asking_next(asking, &frame, err) < 0)
		return -1;
	if (frame.type == DISCOVER_DONE)
		rc = 0;
	else if (frame.type == DISCOVER_PROGRESS)
		rc = 1;
	else if (frame.type == FRAME_FAILED)
		frame_failed_unpack(frame.body, err);
	else
		err_set(err, ERR_INVALID, "answer of unknown type %u", frame.type);
	if (rc == 1)
		tell(frame.body);
	frame_close(&frame);
	return rc;
}

int roles_change(const struct conf *conf, const struct discover_change *change,
		     uint64_t timeout_ms, void (*tell)(struct str), struct err *err)
{
	struct asking asking = ASKING_INIT;
	struct buf body = BUF_INIT;
	int rc;

	discover_change_pack(&body, change);
	rc = start(&asking, conf, "discover.sock", DISCOVER_CHANGE, buf_str(&body), timeout_ms, err);
	if (rc == 0)
		while ((rc = next_change(&asking, tell, err)) == 1)
			;
	asking_end(&asking);
	buf_clear(&body);
	return rc < 0 ? err_context(err, "ask covey-discoverd to change the layout") : 0;
}

/* That it does not answer is no failure: it finds out by itself later. */
static void tell_syncd(const struct conf *conf, uint8_t type, struct str body)
{
	struct asking asking = ASKING_INIT;
	struct frame frame;

	if (start(&asking, conf, "sync.sock", type, body, SYNC_TIMEOUT_MS, NULL) == 0 &&
	    asking_next(&asking, &frame, NULL) == 0)
		frame_close(&frame);
	asking_end(&asking);
}

void roles_drain(const struct conf *conf)
{
	tell_syncd(conf, SYNC_DRAIN, STR(""));
}

void roles_lost(const struct conf *conf, const struct keep_item *item)
{
	struct buf body = BUF_INIT;

	keep_item_pack(&body, item);
	tell_syncd(conf, SYNC_LOST, buf_str(&body));
	buf_clear(&body);
}
