/* SPDX-License-Identifier: MIT */
/*
 * report_gate.c - what the formats for machines share.
 */
#include "report.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "site.h"

bool report_site_fails(const struct report_gate *r, const struct site *site)
{
	return site_is_new(site) && (r->fail & 1u << site->kind);
}

const json_t *report_site_frame(const struct site *site)
{
	static const char *const keys[] = { "blocked", "spawn" };

	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		const json_t *frame = json_object_get(site->details, keys[i]);

		if (json_string_value(json_object_get(frame, "file")))
			return frame;
	}
	return NULL;
}

char *report_root(void)
{
	const char *workspace = getenv("GITHUB_WORKSPACE");
	char *root = workspace && *workspace ? strdup(workspace) : getcwd(NULL, 0);
	size_t n = root ? strlen(root) : 0;

	while (n && root[n - 1] == '/')
		root[--n] = '\0';
	return root;
}

const char *report_relative(const char *path)
{
	char *root = report_root();
	size_t n = root ? strlen(root) : 0;

	if (n && !strncmp(path, root, n) && path[n] == '/' && path[n + 1])
		path += n + 1;
	free(root);
	return path;
}
