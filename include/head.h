/*
 * head - the head of an HTTP/1.x request, parsed strictly (RFC 9112, sections 2 to 6)
 *
 * The one parser that faces strangers.  What two implementations could
 * read differently is refused, never repaired: a line that does not end
 * in CR LF, folded lines, space before a colon, control characters, two
 * Content-Lengths, Content-Length with Transfer-Encoding, no Host or two.
 *
 *	struct head head = HEAD_INIT;
 *
 *	while ((r = head_parse(&head, bytes, n, &refusal)) == 0)
 *		receive more behind the same bytes; they may move meanwhile
 *	r == 1: head.size bytes were the head, what follows is the body
 *	r == -1: answer refusal.status and close the connection
 *
 * A parsed head points into the bytes of the last call: they must stay
 * where they are as long as the head is used.  Nothing is allocated.
 * For the next request start again from HEAD_INIT.
 *
 * Bytes above 0x7f in a target are taken as they are, because curl sends
 * them so; RFC 3986 would have them percent-encoded.
 */
#ifndef COVEY_HEAD_H
#define COVEY_HEAD_H

#include "buf.h"
#include "str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEAD_BYTES (32u << 10)	/* a longer head is refused: 431 */
#define HEAD_TARGET_BYTES 8192	/* a longer target is refused: 414 */
#define HEAD_FIELDS 100		/* more field lines are refused: 431 */

/* Why a request was refused; the connection closes behind the answer. */
struct refusal {
	int status;		/* 400, 413, 414, 417, 431, 501 or 505 */
	const char *why;	/* one sentence; static */
};

static inline int refuse(struct refusal *ret, int status, const char *why)
{
	*ret = (struct refusal){ .status = status, .why = why };
	return -1;
}

enum method {
	METHOD_OTHER,		/* any other token: 501 */
	METHOD_GET,
	METHOD_HEAD,
	METHOD_PUT,
	METHOD_POST,
	METHOD_DELETE,
	METHOD_OPTIONS,
};

/* The fields that are looked up by number; those marked are lists and may come on several lines. */
enum field {
	FIELD_ACCEPT,			/* list */
	FIELD_ACCEPT_ENCODING,		/* list */
	FIELD_AUTHORIZATION,
	FIELD_AVAILABLE_DICTIONARY,
	FIELD_CACHE_CONTROL,		/* list */
	FIELD_CONNECTION,		/* list */
	FIELD_CONTENT_DIGEST,		/* list */
	FIELD_CONTENT_DISPOSITION,
	FIELD_CONTENT_ENCODING,		/* list */
	FIELD_CONTENT_LENGTH,
	FIELD_CONTENT_RANGE,
	FIELD_CONTENT_TYPE,
	FIELD_COVEY_DICTIONARY,
	FIELD_COVEY_EPOCH,
	FIELD_COVEY_PUSH,
	FIELD_COVEY_SIGNATURE,
	FIELD_COVEY_VERSION,
	FIELD_EXPECT,			/* list */
	FIELD_HOST,
	FIELD_IF_MATCH,			/* list */
	FIELD_IF_MODIFIED_SINCE,
	FIELD_IF_NONE_MATCH,		/* list */
	FIELD_IF_RANGE,
	FIELD_IF_UNMODIFIED_SINCE,
	FIELD_ORIGIN,
	FIELD_PREFER,			/* list */
	FIELD_RANGE,
	FIELD_REPR_DIGEST,		/* list */
	FIELD_SEC_FETCH_SITE,
	FIELD_TRANSFER_ENCODING,
	FIELD_USER_AGENT,
	FIELD_WANT_REPR_DIGEST,		/* list */
	FIELD_X_OC_MTIME,
	FIELD_COUNT,
};

/* RFC 9112, section 6.3: where the body ends. */
enum framing {
	FRAMING_NONE,		/* neither field: no body (411 is the handler's to say) */
	FRAMING_LENGTH,
	FRAMING_CHUNKED,
};

struct head_field {
	struct str name;	/* as sent; compare without case */
	struct str value;	/* without the space around it */
};

struct head {
	enum method method;
	struct str method_text;
	struct str path;	/* percent-encoded, from its '/'; "*" for `OPTIONS *` */
	struct str query;	/* what follows the '?'; s is NULL when there is none */
	struct str host;	/* from the target's authority or Host; empty in HTTP/1.0 without */
	int minor;		/* HTTP/1.minor: 0 or 1 (a higher one counts as 1) */
	bool keep_alive;	/* the client would send another request */
	bool expect_continue;	/* it waits for 100 (Continue) */
	bool covey;		/* a Covey-* field is there */
	enum framing framing;
	uint64_t length;	/* of the body, with FRAMING_LENGTH; at most INT64_MAX */
	size_t size;		/* bytes of the head, its empty line included */
	size_t field_count;
	struct head_field fields[HEAD_FIELDS];	/* in the order they came */
	/* private */
	size_t scanned;		/* the line that begins here has not ended yet */
	uint64_t repeated;	/* bit per enum field: on more than one line */
	uint8_t place[FIELD_COUNT];	/* 1 + the place in fields[]; 0: absent */
};
#define HEAD_INIT { .scanned = 0 }

/* 1 complete, 0 more bytes are needed, -1 refused.  bytes are the request's from its first. */
int head_parse(struct head *, const char *bytes, size_t n, struct refusal *);

/* As HEAD_INIT, without writing the whole of fields[]. */
void head_reset(struct head *);

/* The value, or s NULL when absent.  Of a list on several lines, the first line. */
static inline struct str head_get(const struct head *head, enum field field)
{
	struct str none = STR_INIT;

	return head->place[field] ? head->fields[head->place[field] - 1].value : none;
}

/* The value of a list, its lines joined by commas in scratch when there are several. */
struct str head_list(const struct head *, enum field, struct buf *scratch);

/* Which field has this name, or FIELD_COUNT. */
enum field field_of(struct str name);

/*
 * One field line without its CR LF, as headers, trailers and parts of a
 * form have it.  NULL, or what is wrong with it.
 */
const char *field_parse(struct str line, struct head_field *ret);

#endif
