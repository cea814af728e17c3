/* client - one node asked by HTTP, for the sub-commands */
#include "client.h"

#include "local.h"
#include "output.h"

#include "mem.h"
#include "pct.h"
#include "version.h"

#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <unistd.h>

#define NODE "http://127.0.0.1:4720"
#define CONNECT_S 5L
#define STALLED_S 60L		/* without a byte, and without having been asked to wait: given up */
#define REFUSAL_BYTES (64u << 10)	/* of a refusal's text; what follows is left out */
#define ANSWER_BYTES (1 << 30)		/* of an answer that is kept in memory: a listing of three million names */

struct client {
	CURL *curl;
	char *base;		/* "http://HOST:PORT", no slash at its end */
	const char *whence;	/* in errors, behind base: where that comes from; "" when asked for */
	bool lost;		/* the last request had no answer, or waits in vain for more of it */
	/* of the exchange under way */
	struct exchange *exchange;
	uint64_t left;		/* of the body, not yet sent; UINT64_MAX: until its end */
	struct progress progress;
	struct err *err;	/* why sink or body failed; its kind tells whether */
};

/* The node of this machine: as its configuration says, or as it would be without one. */
static const char *own_node(char to[LOCAL_URL], const char **ret_whence)
{
	const char *file = conf_default();
	bool here = strcmp(file, CONF_FILE_HERE) == 0;
	struct conf conf = CONF_INIT;
	struct err err = ERR_INIT;

	if (conf_load(&conf, file, &err) == 0) {
		local_url(to, &conf);
		*ret_whence = here ? " (listen.http of " CONF_FILE_HERE ")"
				   : " (listen.http of " CONF_FILE ")";
	} else {
		snprintf(to, LOCAL_URL, "%s", NODE);
		*ret_whence = err.kind == ERR_ABSENT
				      ? " (the default, without " CONF_FILE "; --node URL names another)"
			      : here ? " (the default, as " CONF_FILE_HERE " cannot be read or is not valid)"
				     : " (the default, as " CONF_FILE " cannot be read or is not valid)";
	}
	conf_clear(&conf);
	return to;
}

/* base is taken over. */
static struct client *client_new(char *base, const char *whence)
{
	struct client *client = mem_new(1, sizeof *client);

	client->base = base;
	client->whence = whence;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0 || (client->curl = curl_easy_init()) == NULL)
		abort();	/* memory */
	return client;
}

int client_open(struct client **ret, const char *url, struct err *err)
{
	const char *from = url, *whence = "";
	struct buf text = BUF_INIT;
	char own[LOCAL_URL];
	struct str base;

	if (from == NULL || from[0] == '\0') {
		from = getenv("COVEY_NODE");
		whence = " ($COVEY_NODE)";
	}
	if (from == NULL || from[0] == '\0')
		from = own_node(own, &whence);
	base = str_of(from);
	while (str_ends(base, STR("/")))
		base.n--;
	if (base.n == 0)
		return err_set(err, ERR_INVALID, "ask node \"%s\"%s: not a URL", from, whence);
	if (memmem(base.s, base.n, "://", 3) == NULL)
		buf_adds(&text, "http://");
	buf_addstr(&text, base);
	*ret = client_new(buf_take(&text), whence);
	return 0;
}

struct client *client_copy(const struct client *from)
{
	return client_new(mem_copy(from->base, strlen(from->base)), from->whence);
}

bool client_lost(const struct client *client)
{
	return client->lost;
}

void client_close(struct client *client)
{
	if (client == NULL)
		return;
	curl_easy_cleanup(client->curl);
	curl_global_cleanup();
	free(client->base);
	free(client);
}

void exchange_clear(struct exchange *exchange)
{
	buf_clear(&exchange->content);
	buf_clear(&exchange->fields);
	exchange->status = 0;
}

/* what curl calls */

static size_t on_header(char *bytes, size_t size, size_t n, void *data)
{
	struct client *client = data;
	struct str line = { bytes, size * n }, name;

	while (line.n > 0 && (line.s[line.n - 1] == '\n' || line.s[line.n - 1] == '\r'))
		line.n--;
	if (str_starts(line, STR("HTTP/")))
		buf_reset(&client->exchange->fields);	/* of an interim answer */
	else if (str_cut(&line, ':', &name) && line.s != NULL) {
		for (size_t i = 0; i < name.n; i++)
			buf_addc(&client->exchange->fields,
				 (char)tolower((unsigned char)name.s[i]));
		line = str_trim(line);
		buf_addf(&client->exchange->fields, ":%.*s\n", STR_ARG(line));
	}
	return size * n;
}

static size_t on_content(char *bytes, size_t size, size_t n, void *data)
{
	struct client *client = data;
	struct exchange *exchange = client->exchange;
	curl_off_t announced = -1;

	curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &exchange->status);
	if (exchange->status == 200 || exchange->status == 206) {
		if (exchange->sink != NULL)
			return exchange->sink(exchange, bytes, size * n, client->err) < 0
				       ? 0 : size * n;
	} else if (exchange->content.len + size * n > REFUSAL_BYTES) {
		return size * n;
	}
	curl_easy_getinfo(client->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &announced);
	if (announced > ANSWER_BYTES || exchange->content.len + size * n > ANSWER_BYTES) {
		err_set(client->err, ERR_TOO_LARGE, "ask %s%s: the answer has more than %u MB", client->base,
			client->whence, (unsigned)(ANSWER_BYTES >> 20));
		return 0;
	}
	buf_add(&exchange->content, bytes, size * n);
	return size * n;
}

/* No more than was announced is sent of a file that grows; a file that became shorter ends the request. */
static size_t on_body(char *to, size_t size, size_t n, void *data)
{
	struct client *client = data;
	size_t most = size * n < client->left ? size * n : (size_t)client->left;
	ssize_t got;

	do
		got = read(client->exchange->body, to, most);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		err_sys(client->err, "read the content");
	else if (got == 0 && client->left > 0 && client->left != UINT64_MAX)
		err_set(client->err, ERR_CONFLICT, "read the content: it became shorter meanwhile");
	if (client->err->kind != ERR_NONE)
		return CURL_READFUNC_ABORT;
	if (client->left != UINT64_MAX)
		client->left -= (size_t)got;
	return (size_t)got;
}

static int on_progress(void *data, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
		       curl_off_t up)
{
	struct client *client = data;

	if (client->exchange->body >= 0)
		progress_show(&client->progress, (uint64_t)up, (uint64_t)up_total);
	else
		progress_show(&client->progress, (uint64_t)down, (uint64_t)down_total);
	return 0;
}

/* sending */

static struct curl_slist *headers_of(const struct exchange *exchange)
{
	struct curl_slist *list = NULL;

	for (size_t i = 0; exchange->headers[i] != NULL; i++) {
		struct curl_slist *longer = curl_slist_append(list, exchange->headers[i]);

		if (longer == NULL)
			abort();
		list = longer;
	}
	return list;
}

static void set_method(CURL *curl, const struct exchange *exchange)
{
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, exchange->method);
	if (strcmp(exchange->method, "HEAD") == 0)
		curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
	if (strcmp(exchange->method, "POST") == 0) {
		curl_easy_setopt(curl, CURLOPT_POST, 1L);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "");
	}
	if (exchange->body >= 0) {
		curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE,
				 exchange->body_size == UINT64_MAX ? (curl_off_t)-1
							: (curl_off_t)exchange->body_size);
	}
}

static void set_callbacks(CURL *curl, struct client *client)
{
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, client);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_content);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, client);
	curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_body);
	curl_easy_setopt(curl, CURLOPT_READDATA, client);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, client);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, client->progress.name != NULL ? 0L : 1L);
}

static long patience_s(const struct exchange *exchange)
{
	return STALLED_S + (long)exchange->wait_s;
}

/* That of --cacert, and those that curl(1) reads.  NULL: the system's authorities. */
static const char *environment_authorities(void)
{
	static const char *const names[] = { CLIENT_CACERT, "CURL_CA_BUNDLE", "SSL_CERT_FILE" };

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		const char *file = getenv(names[i]);

		if (file != NULL && file[0] != '\0')
			return file;
	}
	return NULL;
}

static void set_rules(CURL *curl, const struct exchange *exchange)
{
	const char *authorities = environment_authorities();

	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	if (authorities != NULL)
		curl_easy_setopt(curl, CURLOPT_CAINFO, authorities);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");	/* a node is near; a proxy would keep copies */
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_S);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, patience_s(exchange));
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "covey/" COVEY_VERSION);
}

/*
 * Credentials are never arguments, which everybody on the machine can see: a token from
 * the environment, or a user and password from a file of curl's kind (netrc).
 */
static void set_credentials(CURL *curl)
{
	const char *token = getenv("COVEY_TOKEN"), *home = getenv("HOME");
	struct buf own = BUF_INIT;

	if (token != NULL && token[0] != '\0') {
		curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
		curl_easy_setopt(curl, CURLOPT_XOAUTH2_BEARER, token);
		return;
	}
	curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
	curl_easy_setopt(curl, CURLOPT_NETRC, (long)CURL_NETRC_OPTIONAL);
	if (home == NULL)
		return;
	buf_addf(&own, "%s/.config/covey/netrc", home);
	if (access(own.data, R_OK) == 0)
		curl_easy_setopt(curl, CURLOPT_NETRC_FILE, own.data);	/* else ~/.netrc */
	buf_clear(&own);
}

static int told_too_late(const struct client *client, struct err *err)
{
	const struct exchange *exchange = client->exchange;
	long sent = 0;

	curl_easy_getinfo(client->curl, CURLINFO_REQUEST_SIZE, &sent);
	if (sent == 0)
		return err_set(err, ERR_TIMEOUT, "ask %s%s: no connection within %ld s",
			       client->base, client->whence, CONNECT_S);
	return err_set(err, ERR_TIMEOUT, "ask %s%s: %s for %ld s", client->base, client->whence,
		       exchange->status < 200 ? "no answer" : "nothing more of its answer",
		       patience_s(exchange));
}

static int told_by_curl(const struct client *client, CURLcode code, const char *why,
			struct err *err)
{
	enum err_kind kind = ERR_AWAY;

	if (code == CURLE_OPERATION_TIMEDOUT)
		return told_too_late(client, err);
	if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL)
		kind = ERR_INVALID;
	if (code == CURLE_PEER_FAILED_VERIFICATION)
		return err_set(err, kind, "ask %s%s: %s; --cacert names a file of other authorities",
			       client->base, client->whence, why[0] ? why : curl_easy_strerror(code));
	return err_set(err, kind, "ask %s%s: %s", client->base, client->whence,
		       why[0] ? why : curl_easy_strerror(code));
}

int client_send(struct client *client, struct exchange *exchange, struct err *err)
{
	char why[CURL_ERROR_SIZE] = "";
	struct err inner = ERR_INIT;
	struct curl_slist *headers = headers_of(exchange);
	struct buf url = BUF_INIT;
	CURLcode code;

	buf_addf(&url, "%s%.*s", client->base, STR_ARG(exchange->target));
	exchange_clear(exchange);
	client->exchange = exchange;
	client->left = exchange->body_size;
	client->err = &inner;
	progress_begin(&client->progress, exchange->progress);
	curl_easy_reset(client->curl);
	curl_easy_setopt(client->curl, CURLOPT_URL, url.data);
	curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(client->curl, CURLOPT_ERRORBUFFER, why);
	set_rules(client->curl, exchange);
	set_credentials(client->curl);
	set_method(client->curl, exchange);
	set_callbacks(client->curl, client);
	code = curl_easy_perform(client->curl);
	curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &exchange->status);
	progress_end(&client->progress);
	curl_slist_free_all(headers);
	buf_clear(&url);
	client->lost = inner.kind == ERR_NONE &&
		       (code == CURLE_OPERATION_TIMEDOUT || (code != CURLE_OK && exchange->status < 200));
	if (inner.kind != ERR_NONE) {
		*err = inner;
		return -1;
	}
	return code == CURLE_OK ? 0 : told_by_curl(client, code, why, err);
}

/* what came back */

struct str exchange_field(const struct exchange *exchange, const char *name)
{
	struct str rest = buf_str(&exchange->fields), line, key;

	while (str_cut(&rest, '\n', &line))
		if (str_cut(&line, ':', &key) && str_eq(key, str_of(name)))
			return line;
	return (struct str)STR_INIT;
}

struct str exchange_version(const struct exchange *exchange)
{
	struct str etag = exchange_field(exchange, "etag");
	struct version version;

	if (etag.n < 2 || etag.s[0] != '"' || etag.s[etag.n - 1] != '"')
		return (struct str)STR_INIT;
	etag = (struct str){ etag.s + 1, etag.n - 2 };
	return version_parse(etag, &version, NULL) == 0 ? etag : (struct str)STR_INIT;
}

enum confirmation exchange_confirmation(const struct exchange *exchange)
{
	struct str state = exchange_field(exchange, "version-state");

	if (state.n == 0)
		return SAYS_NOTHING;
	return str_eq(state, STR("confirmed")) ? CONFIRMED : UNCONFIRMED;
}

static int status_of(long http)
{
	switch (http) {
	case 401:
	case 403:
		return EX_NOPERM;
	case 404:
		return EX_NOINPUT;
	case 405:
	case 501:
		return EX_UNAVAILABLE;
	case 500:
		return EX_SOFTWARE;
	case 503:
	case 504:
		return EX_TEMPFAIL;
	case 507:
		return EX_IOERR;
	default:
		return http >= 400 && http < 500 ? EX_DATAERR : EX_PROTOCOL;
	}
}

int exchange_refused(const struct exchange *exchange, const char *what)
{
	struct str rest = buf_str(&exchange->content), line = STR_INIT;
	json_t *problem = NULL;
	bool unsure = exchange->status == 404 && exchange_confirmation(exchange) == UNCONFIRMED;

	/* A request for JSON is refused in JSON (RFC 9457). */
	if (str_starts(exchange_field(exchange, "content-type"), STR("application/problem+json")) &&
	    json_read(&problem, rest, "refusal", NULL) == 0)
		rest = str_of(json_text(problem, "detail"));
	str_cut(&rest, '\n', &line);
	if (line.n > 200)
		line.n = 200;
	for (size_t i = 0; i < line.n; i++)
		if (iscntrl((unsigned char)line.s[i]))
			line.n = i;
	if (line.n == 0)
		line = exchange->status == 404 ? STR("no such path") : STR("refused");
	command_say("%s: %.*s (%ld)%s", what, STR_ARG(line), exchange->status,
		    unsure ? ", and the group does not confirm that now" :
		    exchange->status == 401 ? ": set COVEY_TOKEN, or write machine, login and password into "
					      "~/.config/covey/netrc" :
		    exchange->status == 403 ? ": covey access check tells why, on the node" : "");
	json_decref(problem);
	return unsure ? EX_TEMPFAIL : status_of(exchange->status);
}

/* asking for JSON */

void target_of(struct buf *to, const char *path)
{
	while (*path == '/')
		path++;
	buf_addc(to, '/');
	pct_encode(to, str_of(path));
}

static int read_answer(const struct exchange *exchange, const char *what, json_t **ret)
{
	struct err err = ERR_INIT;

	if (exchange->status != 200)
		return exchange_refused(exchange, what);
	if (json_read(ret, buf_str(&exchange->content), what, &err) < 0)
		return command_fail(&err);
	return 0;
}

int ask_json_by(struct client *client, struct str target, const char *what, json_t **ret,
		size_t *bytes)
{
	struct exchange exchange = EXCHANGE_INIT;
	struct err err = ERR_INIT;
	int status;

	exchange.target = target;
	exchange.headers[0] = "Accept: application/json";
	if (client_send(client, &exchange, &err) < 0)
		status = command_fail(&err);
	else
		status = read_answer(&exchange, what, ret);
	*bytes += exchange.content.len;
	exchange_clear(&exchange);
	return status;
}

int ask_json(const char *url, struct str target, const char *what, json_t **ret)
{
	struct client *client = NULL;
	struct err err = ERR_INIT;
	size_t bytes = 0;
	int status;

	if (client_open(&client, url, &err) < 0)
		return command_fail(&err);
	status = ask_json_by(client, target, what, ret, &bytes);
	client_close(client);
	return status;
}

int ask_and_show(const char *url, struct str target, const char *what, bool json, void (*show)(json_t *))
{
	json_t *answer;
	int status = ask_json(url, target, what, &answer);

	if (status != 0)
		return status;
	if (json)
		return print_json(answer);
	show(answer);
	json_decref(answer);
	return 0;
}

struct str entry_name(const json_t *entry)
{
	struct str href = str_of(json_text(entry, "href")), name = STR_INIT;

	if (str_ends(href, STR("/")))
		href.n--;
	while (str_cut(&href, '/', &name))
		;
	return name;
}

bool entry_is_directory(const json_t *entry)
{
	return strcmp(json_text(entry, "type"), "directory") == 0;
}

/* writing */

int write_init(struct write *write, const char *async, const char *wait, struct err *err)
{
	struct write fresh = { .async = async != NULL };

	if (async != NULL && wait != NULL)
		return err_set(err, ERR_INVALID, "--async goes without --wait");
	if (wait != NULL && command_number("--wait", wait, 1, WRITE_WAIT_MAX, &fresh.wait_s, err) < 0)
		return -1;
	if (wait != NULL)
		snprintf(fresh.prefer, sizeof fresh.prefer, "Prefer: wait=%llu",
			 (unsigned long long)fresh.wait_s);
	else if (async != NULL)
		snprintf(fresh.prefer, sizeof fresh.prefer, "Prefer: respond-async");
	*write = fresh;
	return 0;
}

int write_send(const struct write *write, struct client *client, struct exchange *exchange,
	       struct err *err)
{
	size_t i = 0;

	while (exchange->headers[i] != NULL)
		i++;
	if (write->prefer[0] != '\0')
		exchange->headers[i] = write->prefer;
	exchange->wait_s = write->wait_s;
	return client_send(client, exchange, err);
}

/* A line of JSON: {href, version, status, state}; state is the Version-State. */
static int print_written(const struct exchange *exchange)
{
	struct str rest = exchange->target, href, version = exchange_version(exchange);
	struct str state = exchange_field(exchange, "version-state");

	str_cut(&rest, '?', &href);
	return print_json(json_pack("{s:s%, s:s%, s:i, s:s%}", "href", href.s, href.n, "version",
				    version.n ? version.s : "", version.n, "status", (int)exchange->status,
				    "state", state.n ? state.s : "", state.n));
}

int write_told(const struct write *write, const struct exchange *exchange, const char *path,
	       atomic_uint_least64_t *unsure)
{
	struct str version = exchange_version(exchange);
	struct str state = exchange_field(exchange, "version-state");
	int status = 0;

	if (exchange->status / 100 != 2)
		return exchange_refused(exchange, path);
	if (write->json)
		status = print_written(exchange);
	else if (unsure == NULL && !write->quiet)
		printf("%.*s  %s\n", STR_ARG(version), path);
	if (exchange->status != 202 || write->async)
		return status;
	if (unsure != NULL)
		(*unsure)++;
	else if (!write->json)
		command_say("%s: on this node's disk, and not confirmed by the group yet (202; %.*s)", path,
			    STR_ARG(state));
	return status == 0 ? EX_TEMPFAIL : status;
}

int write_one(const struct write *write, struct client *client, struct exchange *exchange, const char *path,
	      atomic_uint_least64_t *unsure)
{
	struct err err = ERR_INIT;

	if (write_send(write, client, exchange, &err) == 0)
		return write_told(write, exchange, path, unsure);
	exchange->status = 0;	/* the answer broke off */
	return command_fail(&err);
}
