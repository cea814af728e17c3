/* json - what another covey program said in JSON, by jansson */
#include "json.h"

int json_read(json_t **ret, struct str text, const char *what, struct err *err)
{
	json_error_t why;
	json_t *value = json_loadb(text.s ? text.s : "", text.n, JSON_REJECT_DUPLICATES, &why);

	if (value == NULL)
		return err_set(err, ERR_CORRUPT, "read %s: not JSON: %s in line %d", what, why.text,
			       why.line);
	*ret = value;
	return 0;
}

const char *json_text(const json_t *object, const char *member)
{
	const char *text = json_string_value(json_object_get(object, member));

	return text ? text : "";
}

uint64_t json_number(const json_t *object, const char *member)
{
	json_int_t number = json_integer_value(json_object_get(object, member));

	return number > 0 ? (uint64_t)number : 0;
}

bool json_flag(const json_t *object, const char *member)
{
	return json_is_true(json_object_get(object, member));
}
