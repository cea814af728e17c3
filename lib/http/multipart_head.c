/* multipart_head - what a part of a form is called, however a browser or curl wrote it */
#include "multipart.h"

#include "param.h"
#include "pct.h"

/* Append a quoted name's inside: \" and \\, and what WHATWG forms escape: %22 %0D %0A. */
static void add_unquoted(struct buf *to, struct str text)
{
	for (size_t i = 0; i < text.n; i++) {
		struct str rest = { text.s + i, text.n - i };

		if (rest.n > 1 && rest.s[0] == '\\' && (rest.s[1] == '"' || rest.s[1] == '\\')) {
			buf_addc(to, rest.s[1]);
			i++;
		} else if (str_starts(rest, STR("%22"))) {
			buf_addc(to, '"');
			i += 2;
		} else if (rest.n > 2 && str_eq_nocase((struct str){ rest.s, 3 }, STR("%0d"))) {
			buf_addc(to, '\r');
			i += 2;
		} else if (rest.n > 2 && str_eq_nocase((struct str){ rest.s, 3 }, STR("%0a"))) {
			buf_addc(to, '\n');
			i += 2;
		} else {
			buf_addc(to, rest.s[0]);
		}
	}
}

/* UTF-8'language'percent-encoded (RFC 8187).  1, or 0 when it is something else: then it does not count. */
static int add_extended(struct buf *to, struct str text)
{
	struct str charset, language;

	if (!str_cut(&text, '\'', &charset) || !str_eq_nocase(charset, STR("UTF-8")) ||
	    !str_cut(&text, '\'', &language) || text.s == NULL)
		return 0;
	return pct_decode(to, text) == 0;
}

static void add_value(struct buf *to, struct str value)
{
	if (value.s[0] == '"')
		add_unquoted(to, (struct str){ value.s + 1, value.n - 2 });
	else
		buf_addstr(to, value);
}

static void drop_directories(struct buf *name)
{
	const char *slash = name->len ? memrchr(name->data, '/', name->len) : NULL;

	if (slash != NULL)
		buf_drop(name, (size_t)(slash - name->data) + 1);
}

const char *multipart_disposition(struct multipart *form, struct str value)
{
	struct str name, text;
	bool has_name = false, extended = false;
	int r;

	if (!str_eq_nocase(param_essence(&value), STR("form-data")))
		return "a part of the form is not form-data";
	while ((r = param_next(&value, PARAM_FORM, &name, &text)) > 0) {
		if (str_eq_nocase(name, STR("name"))) {
			buf_reset(&form->name);
			add_value(&form->name, text);
			has_name = true;
		} else if (str_eq_nocase(name, STR("filename")) && !extended) {
			buf_reset(&form->filename);
			add_value(&form->filename, text);
			form->has_filename = true;
		} else if (str_eq_nocase(name, STR("filename*")) && !extended) {
			struct buf decoded = BUF_INIT;

			extended = add_extended(&decoded, text);
			if (extended) {
				buf_reset(&form->filename);
				buf_addstr(&form->filename, buf_str(&decoded));
				form->has_filename = true;
			}
			buf_clear(&decoded);
		}
	}
	if (r < 0)
		return "a Content-Disposition of the form is malformed";
	drop_directories(&form->filename);
	return has_name ? NULL : "a part of the form has no name";
}
