/*
 * fields - header fields that have a grammar of their own, read and written
 *
 * Parameters (`form-data; name="f"; x=y`), digests (RFC 9530), Link (RFC 8288), Accept (RFC 9110, section 12.5.1),
 * Accept-Encoding (12.5.3), dictionaries (RFC 9842), media types (8.3.1), Content-Disposition (RFC 6266, RFC 7578), and the
 * question whether a form was posted by another site.
 */
#ifndef COVEY_FIELDS_H
#define COVEY_FIELDS_H

#include "buf.h"
#include "head.h"
#include "str.h"

#include <stdbool.h>
#include <stdint.h>

enum param_quoting {
	PARAM_QUOTED,		/* RFC 9110, section 5.6.4: a backslash quotes any byte */
	PARAM_FORM,		/* as browsers write forms: only a quote and a backslash; else it is plain */
};

/* What stands before the parameters, trimmed; *rest is left at the first ';' or at the end. */
struct str param_essence(struct str *rest);

/*
 * One `; name=value` off the front of *rest.  1, 0 at the end, -1 when
 * malformed.  A quoted value keeps its quotes and backslashes.
 */
int param_next(struct str *rest, enum param_quoting, struct str *ret_name, struct str *ret_value);

/* Repr-Digest and Content-Digest: 1 with the sha-256, 0 when only others are given, -1 malformed. */
int fields_digest_parse(struct str field, uint8_t ret[32]);
int fields_digest_parse_512(struct str field, uint8_t ret[64]);	/* the same for sha-512 */
void fields_digest(struct buf *, const uint8_t sha256[32]);	/* "sha-256=:...:" */
/* Whether Want-Repr-Digest asks for sha-256, and not with a preference of 0. */
bool fields_wants_sha256(struct str field);

/* Whether Accept-Encoding names this coding, and not with a weight of 0; "*" is no name. */
bool fields_accepts_coding(struct str field, struct str coding);
/* Available-Dictionary (RFC 9842, section 2.2): ":base64:"; 0 or -1. */
int fields_dictionary_parse(struct str field, uint8_t ret[32]);
void fields_dictionary(struct buf *, const uint8_t sha256[32]);
/*
 * Use-As-Dictionary (section 2.1) of what was had from this percent-encoded
 * path, for the same path later.  -1: a byte of it means something in a pattern.
 */
int fields_dictionary_use(struct buf *, struct str path);

/* `<TARGET>; rel="next"`; the target is percent-encoded already. */
void fields_link(struct buf *, struct str target, const char *rel);

enum media {
	MEDIA_HTML,		/* text/html */
	MEDIA_JSON,		/* application/json */
	MEDIA_TEXT,		/* text/plain */
	MEDIA_COUNT,
};
const char *fields_media_type(enum media);	/* as Content-Type has it, with its charset */

/*
 * Which of the offers the client likes best; among equals the first.  When
 * it likes none, or says nothing, the first: better that than an error.
 */
enum media fields_accept(struct str accept, const enum media *offers, size_t count);
/* Whether errors should be problem documents: JSON of either kind is named, not only by a star. */
bool fields_accepts_problem(struct str accept);

/* "type/subtype" with well-formed parameters: at most 255 bytes, printable ASCII. */
bool fields_type_valid(struct str type);
/* Whether a Content-Type is this type, whatever its parameters and case. */
bool fields_type_is(struct str type, struct str essence);

/* Whether a browser says that another site's page caused this request (Sec-Fetch-Site, else Origin). */
bool fields_cross_site(const struct head *);

#endif
