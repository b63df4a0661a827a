/* SPDX-License-Identifier: MIT */
/*
 * json_get - print one value of a JSON document, for tests: json_get PATH < FILE
 *
 * PATH is keys and indices with dots between them. Of an array or an object its size is printed, of
 * nothing at all "-". Fails if the document is no JSON.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *step(json_t *value, const char *key)
{
	if (json_is_array(value))
		return json_array_get(value, strtoul(key, NULL, 10));
	return json_object_get(value, key);
}

int main(int argc, char **argv)
{
	json_error_t error;
	json_t *all = json_loadf(stdin, 0, &error), *value = all;

	if (!all || argc != 2) {
		fprintf(stderr, "json_get: line %d: %s\n", error.line, error.text);
		return 1;
	}
	for (char *key = strtok(argv[1], "."); key && value; key = strtok(NULL, "."))
		value = step(value, key);
	if (!value)
		puts("-");
	else if (json_is_array(value))
		printf("%zu\n", json_array_size(value));
	else if (json_is_object(value))
		printf("%zu\n", json_object_size(value));
	else if (json_is_string(value))
		puts(json_string_value(value));
	else
		json_dumpf(value, stdout, JSON_ENCODE_ANY);
	json_decref(all);
	return 0;
}
