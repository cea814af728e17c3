/*
 * render - indexes, histories and errors as pages, as JSON and as text
 *
 * The pages are whole in themselves: no script, one small style, light and
 * dark, readable by screen readers and in a text browser.  They are also
 * what wget -r, lftp and rclone's http backend walk: each name is one
 * relative link, a directory's with its slash, its date and size behind it;
 * what is not content (versions, deleted files, restore) are buttons, which
 * none of them follows.
 *
 * In JSON, `name` is UTF-8 (what is not becomes U+FFFD) and `href` the
 * exact name, percent-encoded and relative to the directory.  Text is
 * listing_text.h's.
 */
#ifndef COVEY_RENDER_H
#define COVEY_RENDER_H

#include "fields.h"
#include "listing_text.h"
#include "query.h"

/* The Content-Security-Policy of the pages made here. */
#define RENDER_CSP \
	"default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; " \
	"base-uri 'none'; frame-ancestors 'none'"

struct render_index {
	struct str path;		/* of the directory, decoded; empty: the root */
	struct str node;		/* this node's name */
	struct str state;		/* the Version-State, for people; or empty */
	const struct listing_row *rows;	/* of the page, sorted by the bytes of name */
	size_t count;
	bool more;			/* names follow the last row's */
	uint64_t limit;			/* that was asked for; 0: none */
	bool no_upload, no_history;	/* who looks at the page may not do that */
	bool deleted;			/* tombstones were asked for, */
	enum query_format format;	/* and this format; the next page is like this one */
	/*
	 * A page for people: directories come before files, and with deleted
	 * the rows are what is gone, which of a name may be both.
	 */
	bool directories_first;
	bool later;			/* it is not the first page */
	size_t before, total;		/* rows before this page's, and all there are; total 0: not known */
	size_t told;			/* rows of the page that were rendered before these */
};

/*
 * In parts, of one page: what is before its rows, rows, as often as there are some, and
 * what is behind them, which names the next page by the last rows.  As JSON an
 * array of {name, href, type, size, time, version, sha256, mtime}, null where
 * there is none; mtime is the client's, in seconds since 1970.
 */
void render_index_begin(struct buf *, const struct render_index *, enum media);
void render_index_rows(struct buf *, struct render_index *, enum media);
void render_index_end(struct buf *, const struct render_index *, enum media);
/* "?after=NAME" of the next page and what else was asked for, for the page and for Link: rel=next. */
void render_index_next(struct buf *, const struct render_index *);

/* What a node is called. */
struct render_node {
	uint64_t id;
	struct str name;
};

struct render_history {
	struct str path;		/* decoded */
	struct str node;		/* this node's name */
	struct str state;		/* the Version-State; or empty */
	struct str type;		/* what the path's name suggests, where a version has no type of its own */
	const struct history_row *rows;	/* of the page, newest first */
	size_t count;
	bool no_restore;		/* who looks at the page may not do that */
	bool later;			/* the first row is not the path's newest version */
	bool more;			/* older versions follow the last row's; limit is set then */
	uint64_t limit;			/* of the page; 0: none */
	enum query_format format;	/* was asked for; the next page is like this one */
	const struct render_node *nodes;	/* that are known; for the page alone */
	size_t node_count;
};

/*
 * As JSON an array, newest first, of {version, time, size, sha256, type, node,
 * deleted, current, blind, rel}: sha256 and type are null where there is no
 * content; current is the newest one, which may be a deletion; blind was
 * written without a majority; rel is "conflict" or null (listing_text.h).
 */
void render_history(struct buf *, const struct render_history *, enum media);
/* "?versions&after=ID&limit=N" of the next page, for the page and for Link: rel=next. */
void render_history_next(struct buf *, const struct render_history *);

/* The page of an error, for this path; the title is the status, the detail a sentence of any bytes. */
void render_error_html(struct buf *, struct str path, struct str node, const char *title,
		       struct str detail);

#endif
