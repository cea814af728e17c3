/* err - why something failed, in a sentence, in the caller's object */
#include "err.h"

#include <errno.h>
#include <stdarg.h>

int err_set(struct err *err, enum err_kind kind, const char *format, ...)
{
	va_list args;

	if (err == NULL)
		return -1;
	err->kind = kind;
	err->sys = 0;
	err->context = 0;
	va_start(args, format);
	vsnprintf(err->text, sizeof err->text, format, args);
	va_end(args);
	return -1;
}

static enum err_kind kind_of(int sys)
{
	switch (sys) {
	case ENOENT:
		return ERR_ABSENT;
	case EEXIST:
	case ENOTEMPTY:
		return ERR_EXISTS;
	case ENOTDIR:
	case EISDIR:
		return ERR_CONFLICT;
	case ENOSPC:
	case EDQUOT:
		return ERR_FULL;
	case EFBIG:
		return ERR_TOO_LARGE;
	case ETIMEDOUT:
		return ERR_TIMEOUT;
	case ECONNREFUSED:
	case ECONNRESET:
	case EPIPE:
		return ERR_AWAY;
	case ELOOP:
	case EXDEV:
	case ENAMETOOLONG:
		return ERR_INVALID;
	default:
		return ERR_SYSTEM;
	}
}

int err_sys(struct err *err, const char *format, ...)
{
	int sys = errno;
	va_list args;
	int n;

	if (err == NULL)
		return -1;
	err->kind = kind_of(sys);
	err->sys = sys;
	err->context = 0;
	va_start(args, format);
	n = vsnprintf(err->text, sizeof err->text, format, args);
	va_end(args);
	if (n >= 0 && (size_t)n < sizeof err->text)
		snprintf(err->text + n, sizeof err->text - (size_t)n, ": %s",
			 strerrordesc_np(sys) ? strerrordesc_np(sys) : "unknown error");
	return -1;
}

int err_context(struct err *err, const char *format, ...)
{
	char was[sizeof err->text];
	va_list args;
	int n;

	if (err == NULL)
		return -1;
	memcpy(was, err->text, sizeof was);
	va_start(args, format);
	n = vsnprintf(err->text, sizeof err->text, format, args);
	va_end(args);
	if (n >= 0 && (size_t)n < sizeof err->text &&
	    snprintf(err->text + n, sizeof err->text - (size_t)n, ": %s", was) < 0)
		abort();
	if (n >= 0)
		err->context += (size_t)n + strlen(": ");
	return -1;	/* a sentence too long for its place is cut */
}

const char *err_reason(const struct err *err)
{
	/* Of a sentence that was cut the reason may be what is missing. */
	return err->context < strlen(err->text) ? err->text + err->context : err->text;
}

int err_pass(struct err *err, const struct err *other)
{
	if (err != NULL)
		*err = *other;
	return -1;
}
