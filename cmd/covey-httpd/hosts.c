/* hosts - by which names this node may be asked */
#include "hosts.h"

#include "answer.h"
#include "file.h"
#include "floods.h"
#include "host.h"
#include "loop/conn.h"
#include "mem.h"

#include <unistd.h>

#define HOSTS_FILE "/etc/hosts"
#define HOSTS_FILE_BYTES (1u << 20)	/* a longer one is not looked at */
#define MACHINE_BYTES 256

struct hosts {
	char **names;		/* owned, each too */
	size_t count;
};

static void hosts_add(struct hosts *hosts, struct str name)
{
	if (name.n == 0)
		return;
	hosts->names = mem_resize(hosts->names, hosts->count + 1, sizeof *hosts->names);
	hosts->names[hosts->count++] = mem_copy(name.s, name.n);
}

static bool hosts_have(const struct hosts *hosts, struct str name)
{
	for (size_t i = 0; i < hosts->count; i++)
		if (str_eq_nocase(str_of(hosts->names[i]), name))
			return true;
	return false;
}

/* A word off the front; false: there is none. */
static bool take_word(struct str *line, struct str *ret)
{
	size_t n = 0;

	while (line->n > 0 && strchr(" \t\r", line->s[0]) != NULL)
		line->s++, line->n--;
	while (n < line->n && strchr(" \t\r#", line->s[n]) == NULL)
		n++;
	*ret = (struct str){ line->s, n };
	*line = (struct str){ line->s + n, line->n - n };
	return n > 0;
}

/* "127.0.1.1 machine.example.org machine": if one of them is the machine, all are. */
static void hosts_add_line(struct hosts *hosts, struct str line, struct str machine)
{
	struct str rest, word;
	bool is_it = false;

	if (!take_word(&line, &word))
		return;
	for (rest = line; take_word(&rest, &word); )
		is_it |= str_eq_nocase(word, machine);
	while (is_it && take_word(&line, &word))
		hosts_add(hosts, word);
}

static void hosts_add_machine(struct hosts *hosts)
{
	char name[MACHINE_BYTES] = "";
	struct buf text = BUF_INIT;
	struct str rest, line, machine, label;

	if (gethostname(name, sizeof name - 1) < 0)
		return;
	rest = machine = str_of(name);
	hosts_add(hosts, machine);
	str_cut(&rest, '.', &label);
	hosts_add(hosts, label);
	if (file_read(HOSTS_FILE, HOSTS_FILE_BYTES, &text, NULL) == 0)
		for (rest = buf_str(&text); str_cut(&rest, '\n', &line); )
			hosts_add_line(hosts, line, machine);
	buf_clear(&text);
}

struct hosts *hosts_new(const struct conf *conf)
{
	struct hosts *hosts = mem_new(1, sizeof *hosts);

	hosts_add(hosts, STR("localhost"));
	hosts_add(hosts, str_of(conf->node.name));
	hosts_add_machine(hosts);
	for (size_t i = 0; i < conf->hosts.count; i++)
		hosts_add(hosts, str_of(conf->hosts.texts[i]));
	return hosts;
}

void hosts_free(struct hosts *hosts)
{
	if (hosts == NULL)
		return;
	for (size_t i = 0; i < hosts->count; i++)
		free(hosts->names[i]);
	free(hosts->names);
	free(hosts);
}

/* Whether it matters to nobody by which name that is asked. */
static bool is_for_any_name(struct str path)
{
	return str_eq(path, STR("/.covey/healthz")) || str_eq(path, STR("/.covey/readyz")) ||
	       str_eq(path, STR("/.covey/msg"));
}

bool hosts_refused(struct conn *c)
{
	struct httpd *h = c->worker->httpd;
	struct str name = host_name(c->head.host);

	/* HTTP/1.0 may do without; no browser speaks it. */
	if (name.n == 0 || host_is_address(name) || hosts_have(h->hosts, name) ||
	    is_for_any_name(c->head.path))
		return false;
	floods_note(h, FLOOD_HOST, &c->line->source);
	answer_error(c, 421, "this node is not known by that name: hosts in covey.yaml lists those that may be used");
	return true;
}
