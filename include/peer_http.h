/*
 * peer_http - what nodes ask of each other by HTTP
 *
 * Room: lib/protocol
 *
 * Every request but the last kind is signed (sign.h) for the node that it is
 * asked of.  One with a Covey-* field that is not rightly signed, is signed for
 * another node, or was answered before, is answered 403.  The 403 to one that
 * was signed by a clock too far off (SIGN_OLD) brings the receiver's:
 *
 *	Covey-Time: <ns since 1970>
 *
 * Every answer to a signed request is signed by the receiver for the asker,
 * with the request's nonce.  What is not signed so is no answer: a new tenant
 * of an address does not speak for the old one, and what was recorded
 * before says nothing now.  A content is believed when it has the sha256 of
 * its record.
 *
 * A content, given to a keeper:
 *
 *	PUT /docs/a.pdf HTTP/1.1
 *	Content-Length: ...
 *	Covey-Push: RECORD
 *
 * or, when it starts before its version is chosen,
 *
 *	PUT /docs/a.pdf HTTP/1.1
 *	Transfer-Encoding: chunked
 *	Covey-Push: later
 *
 *	the body
 *	Covey-Version: RECORD			in the trailer, which is signed
 *	Covey-Signature: ...			by itself, as SIGN_TRAILER, with
 *						the nonce of its request
 *
 * or, when it has a length, coded (coding.h): as zstd, or by a version that
 * the receiver has, as dcz:
 *
 *	PUT /docs/a.pdf HTTP/1.1
 *	Content-Length: ...
 *	Content-Encoding: dcz
 *	Covey-Dictionary: VERSION
 *	Covey-Push: RECORD
 *
 * RECORD is record_format()'s text: version, flags, size, sha256, mtime and
 * the content type.  The receiver holds the body unnamed until the trailer
 * comes.  A body that ends without one, or whose trailer is not rightly
 * signed, or whose size and sha256 are not the record's, leaves nothing.  A
 * PUT without Covey-Push is a client's.
 *
 *	201	the content is on the disk of the receiver, which signs that,
 *		as that version
 *	200	it was there already; told without waiting for the body when
 *		Covey-Push says which it is.  The sender may then cut the
 *		connection.
 *	410	it is not, nor ever will be: newer versions are there, as many
 *		as the layout keeps of a path
 *	415, 422	it is not: this coding is not taken, or the dictionary is not
 *		there
 *	any other	it is not
 *
 * A coded push that comes to nothing is given once more, as it is.
 *
 * Who pulls a content says, as any client may, what he has of the path
 * (RFC 9842), and that zstd is fine as well:
 *
 *	Accept-Encoding: dcz, zstd
 *	Available-Dictionary: :<sha256, base64>:
 *
 * An index or a history, asked from a home:
 *
 *	GET /docs/?format=text HTTP/1.1
 *	Cache-Control: only-if-cached
 *	Covey-Epoch: <of the asker's layout; 0: not asked as a home>
 *	Covey-Lineage: <of the same, hex; of a home alone>
 *
 * or a window of an index, so many names at most, behind one:
 *
 *	GET /docs/?format=text&after=NAME&limit=N HTTP/1.1
 *	Covey-Age: <ms: its names are those of then, or of any moment since; without
 *		it they are read after the gate>
 *	Covey-Kind: directories			those alone that may be one, or may have been
 *
 *	200	what is on the receiver's disk, whole, perhaps nothing: lines of
 *		listing_text.h, of an index both registers of each name; chunked, and
 *		in its trailer Covey-Body and a signature, as SIGN_ANSWER_TRAILER
 *
 *	Covey-Epoch: <of the receiver's layout>
 *	Covey-Gate: VERSION			the directory's gate, read before its names;
 *						without it there is none
 *	Covey-Upto: NAME			percent-encoded: of a window, names behind
 *						this one may follow
 *
 *	421	the receiver has another layout, of this epoch:
 *
 *	Covey-Epoch: <of the receiver's>
 *
 *	any other	it does not answer as a home
 *
 * Sealed messages, which are not signed, and whose answers are sealed too:
 *
 *	POST /.covey/msg?to=versions		one packet: 200 with one, or 204
 *	POST /.covey/msg?to=discovery		the same
 *	POST /.covey/msg?to=sync		one of bulk.h: 200 with one
 *	POST /.covey/msg?to=contents		the same: a TAKE, with its TAKEN
 *
 * A TAKE gives several small contents to a keeper at once, instead of a PUT for each.
 */
#ifndef COVEY_PEER_HTTP_H
#define COVEY_PEER_HTTP_H


#define PEER_TIME "Covey-Time"
#define PEER_PUSH "Covey-Push"
#define PEER_PUSH_LATER "later"
#define PEER_VERSION "Covey-Version"
#define PEER_DICTIONARY "Covey-Dictionary"
#define PEER_EPOCH "Covey-Epoch"
#define PEER_GATE "Covey-Gate"
#define PEER_LINEAGE "Covey-Lineage"
#define PEER_AGE "Covey-Age"
#define PEER_KIND "Covey-Kind"
#define PEER_DIRECTORIES "directories"
#define PEER_UPTO "Covey-Upto"
#define PEER_MSG "/.covey/msg?to="	/* and "versions", "discovery", "sync" or "contents" */

#endif
