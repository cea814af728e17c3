/*
 * err - why something failed, in a sentence, in the caller's object
 *
 * A function that can fail takes a struct err as its last argument,
 * returns -1 after filling it, and leaves its other outputs untouched.
 * The setters return -1, so that an error is reported in one line:
 *
 *	return err_sys(err, "open %s", name);
 *
 * The sentence reads "verb object: reason" and always names the object.
 * Nothing here logs or exits: the one place that knows the audience (an
 * HTTP handler, a service, a tool) decides from the kind what to do.
 */
#ifndef COVEY_ERR_H
#define COVEY_ERR_H

enum err_kind {
	ERR_NONE,
	ERR_INVALID,		/* the input is malformed */
	ERR_DENIED,		/* understood and refused */
	ERR_ABSENT,		/* no such thing */
	ERR_EXISTS,		/* there is one already */
	ERR_CONFLICT,		/* of another kind than what stands there */
	ERR_PRECONDITION,	/* the caller's condition does not hold */
	ERR_TOO_LARGE,		/* more than a limit allows */
	ERR_FULL,		/* no space left on the disk, or below its reserve */
	ERR_TIMEOUT,		/* no answer in time */
	ERR_AWAY,		/* the other side is not there */
	ERR_CORRUPT,		/* stored or received bytes are not what they should be */
	ERR_UNSUPPORTED,	/* not offered here */
	ERR_SYSTEM,		/* the system refused; sys says why */
};

struct err {
	enum err_kind kind;
	int sys;		/* errno at the time, or 0 */
	size_t context;		/* bytes of text in front of the reason: what err_context() put there */
	char text[240];		/* one sentence without a newline */
};
#define ERR_INIT { .kind = ERR_NONE }

/* Fill *err and return -1.  Safe on NULL, for callers that only need the -1. */
int err_set(struct err *, enum err_kind, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * The same from errno, whose text is appended.  The kind follows errno:
 * ENOENT is ERR_ABSENT, ENOSPC and EDQUOT are ERR_FULL, and so on.
 */
int err_sys(struct err *, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Put "context: " in front of the sentence, and return -1. */
int err_context(struct err *, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The sentence without its contexts, for who knows what he asked for. */
const char *err_reason(const struct err *);

/* Hand on the sentence of another, and return -1. */
int err_pass(struct err *, const struct err *other);

#endif
