/* SPDX-License-Identifier: MIT */
/*
 * report_profile.c - the formats of profiles.
 */
#include "report_profile.h"

const struct profile_format profile_formats[] = {
	{ "pprof", report_pprof, true },	{ "folded", report_folded, false },
	{ "svg", report_svg, false },		{ "speedscope", report_speedscope, false },
	{ "perfetto", report_perfetto, false }, { 0 },
};
