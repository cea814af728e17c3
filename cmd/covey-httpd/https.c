/*
 * https - what a listener that speaks TLS speaks it by, and what became of its handshakes
 *
 * Files that have changed are noticed when the next handshake begins: who has
 * shaken hands needs none of them, and nobody wakes up to look.
 */
#include "https.h"

#include "calendar.h"
#include "escape.h"
#include "httpd.h"
#include "identity.h"
#include "log.h"
#include "mem.h"
#include "tls.h"

#include <inttypes.h>

#define SOON_S (14 * 86400)	/* before a certificate expires: somebody should know */

struct https {
	struct tls_context *context;
	atomic_bool told_soon;		/* the log said of these certificates that they expire soon */
	atomic_bool bad;		/* what is in the files cannot be used, and what was there before still is */
	atomic_uint_least64_t results[HANDSHAKE_RESULTS];
};

static struct tls_options https_options(const struct conf *conf)
{
	return (struct tls_options){
		.certificates = conf->tls.certificates.texts,
		.keys = conf->tls.keys.texts,
		.count = conf->tls.certificates.count,
		.client_ca = conf->tls.client_ca,
	};
}

static int64_t https_seconds_left(const struct https *https)
{
	return tls_context_expires(https->context) - (int64_t)time(NULL);
}

static void https_tell_if_soon(struct https *https)
{
	int64_t left = https_seconds_left(https);

	if (left >= SOON_S || atomic_exchange(&https->told_soon, true))
		return;
	if (left < 0)
		log_line(LOG_LEVEL_WARNING, "a certificate for https has expired: clients refuse it");
	else
		log_line(LOG_LEVEL_WARNING, "a certificate for https expires in %" PRId64 " days", left / 86400);
}

static void https_tell_exposed(const struct conf *conf)
{
	char *why = identity_tls_exposed(conf);

	if (why != NULL)
		log_line(LOG_LEVEL_WARNING, "%s", why);
	free(why);
}

int https_open(struct httpd *h, struct err *err)
{
	struct tls_options options = https_options(h->conf);
	struct https *https;

	if (!h->conf->listen.https[0].given || h->service->inetd)
		return 0;
	https = mem_new(1, sizeof *https);
	if (tls_context_new(&https->context, &options, err) < 0) {
		free(https);
		return -1;
	}
	h->https = https;
	https_tell_exposed(h->conf);
	https_tell_if_soon(https);
	return 0;
}

void https_close(struct httpd *h)
{
	if (h->https == NULL)
		return;
	tls_context_free(h->https->context);
	free(h->https);
}

struct tls_context *https_context(const struct httpd *h)
{
	return h->https != NULL ? h->https->context : NULL;
}

int https_check(const struct conf *conf, struct err *err)
{
	struct tls_options options = https_options(conf);
	struct tls_context *context = NULL;
	int rc = conf->listen.https[0].given ? tls_context_new(&context, &options, err) : 0;

	tls_context_free(context);
	return rc;
}

void https_reload(struct httpd *h)
{
	struct https *https = h->https;
	struct err err = ERR_INIT;
	int r = https != NULL ? tls_context_look(https->context, &err) : 0;

	if (r > 0) {
		atomic_store(&https->told_soon, false);
		atomic_store(&https->bad, false);
		log_line(LOG_LEVEL_INFO, "the certificates for https were read again");
		https_tell_exposed(h->conf);
	} else if (r < 0) {
		atomic_store(&https->bad, true);
		log_line(LOG_LEVEL_ERROR, "%s: the certificates from before stay in use", err.text);
	}
}

void https_handshake_begins(struct httpd *h)
{
	https_tell_if_soon(h->https);
}

void https_count(struct httpd *h, enum handshake_result result)
{
	atomic_fetch_add_explicit(&h->https->results[result], 1, memory_order_relaxed);
}

void https_add_status(struct buf *json, struct httpd *h)
{
	char *exposed;

	if (h->https == NULL) {
		buf_adds(json, "null");
		return;
	}
	exposed = identity_tls_exposed(h->conf);
	buf_addf(json, "{\"expires\":%" PRId64 ",\"stale\":%s,\"key\":", tls_context_expires(h->https->context),
		 atomic_load(&h->https->bad) ? "true" : "false");
	if (exposed != NULL)
		escape_json(json, str_of(exposed));
	else
		buf_adds(json, "null");
	buf_addc(json, '}');
	free(exposed);
}

void https_add_metrics(struct buf *text, struct httpd *h)
{
	static const char *const names[] = {
		[HANDSHAKE_FULL] = "full",
		[HANDSHAKE_RESUMED] = "resumed",
		[HANDSHAKE_FAILED] = "failed",
		[HANDSHAKE_DROPPED] = "dropped",
	};

	if (h->https == NULL)
		return;
	buf_addf(text, "# HELP covey_tls_certificate_expires_seconds When the first of the certificates for https "
		       "expires, since 1970.\n"
		       "# TYPE covey_tls_certificate_expires_seconds gauge\n"
		       "covey_tls_certificate_expires_seconds %" PRId64 "\n"
		       "# HELP covey_tls_handshakes_total Handshakes for https, by what came of them.\n"
		       "# TYPE covey_tls_handshakes_total counter\n",
		 tls_context_expires(h->https->context));
	for (size_t i = 0; i < HANDSHAKE_RESULTS; i++)
		buf_addf(text, "covey_tls_handshakes_total{result=\"%s\"} %" PRIu64 "\n", names[i],
			 (uint64_t)atomic_load(&h->https->results[i]));
}
