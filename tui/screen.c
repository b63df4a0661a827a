/* SPDX-License-Identifier: MIT */
/* screen.c - the grid of cells. */
#define _GNU_SOURCE
#include "screen.h"
#include "util.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

void screen_init(struct screen *s, int w, int h, bool ascii)
{
	memset(s, 0, sizeof(*s));
	s->ascii = ascii;
	screen_resize(s, w, h);
}

void screen_resize(struct screen *s, int w, int h)
{
	s->w = w > 0 ? w : 1;
	s->h = h > 0 ? h : 1;
	s->cells = xrealloc(s->cells, (size_t)s->w * (size_t)s->h, sizeof(*s->cells));
	screen_clear(s);
}

void screen_free(struct screen *s)
{
	free(s->cells);
	free(s->hots);
	memset(s, 0, sizeof(*s));
}

void screen_clear(struct screen *s)
{
	size_t n = (size_t)s->w * (size_t)s->h;

	for (size_t i = 0; i < n; i++)
		s->cells[i] = (struct cell){ .ch = ' ' };
	s->nhots = 0;
	s->cursor_x = s->cursor_y = -1;
}

/* The next code point of *p, 0 at its end; U+FFFD for bytes that are none. */
static uint32_t next_char(const char **p)
{
	static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
	const unsigned char *s = (const unsigned char *)*p;
	uint32_t c = s[0];
	int more = c < 0x80 ? 0 : (c >> 5) == 6 ? 1 : (c >> 4) == 14 ? 2 : (c >> 3) == 30 ? 3 : -1;

	if (c == 0)
		return 0;
	if (more > 0)
		c &= 0x3fu >> more;
	for (int i = 1; i <= more; i++) {
		if ((s[i] & 0xc0) != 0x80) {
			more = -1;
			break;
		}
		c = c << 6 | (s[i] & 0x3f);
	}
	if (more < 0 || c < least[more]) {
		*p += 1;
		return 0xfffd;
	}
	*p += more + 1;
	return c;
}

/* What is shown for a code point, and how wide; 0 wide: nothing. */
static int glyph(const struct screen *s, uint32_t *c)
{
	if (*c < 0x20 || (*c >= 0x7f && *c < 0xa0) || *c == 0xfffd || (s->ascii && *c > 0x7e)) {
		*c = '?';
		return 1;
	}
	if (*c < 0x7f)
		return 1;
	int w = wcwidth((wchar_t)*c);
	if (w < 0) {
		*c = '?';
		return 1;
	}
	return w;
}

int screen_width(const struct screen *s, const char *text)
{
	uint32_t c;
	int w = 0;

	while ((c = next_char(&text)))
		w += glyph(s, &c);
	return w;
}

static void set(struct screen *s, int y, int x, uint32_t ch, enum role role)
{
	if (y >= 0 && y < s->h && x >= 0 && x < s->w)
		s->cells[y * s->w + x] = (struct cell){ .ch = ch, .role = (uint8_t)role };
}

int screen_put(struct screen *s, int y, int x, int w, enum role role, const char *text)
{
	uint32_t c;
	int used = 0;

	if (w > s->w - x)
		w = s->w - x;
	if (w <= 0 || x < 0 || y < 0 || y >= s->h)
		return 0;
	while ((c = next_char(&text))) {
		int n = glyph(s, &c);

		if (used + n > w) {
			int at = used < w ? used : w - 1;

			if (at > 0 && s->cells[y * s->w + x + at].ch == 0)
				set(s, y, x + at - 1, ' ', role);
			set(s, y, x + at, s->ascii ? '~' : 0x2026, role);
			return w;
		}
		if (n == 0)
			continue;
		set(s, y, x + used, c, role);
		if (n == 2)
			set(s, y, x + used + 1, 0, role);
		used += n;
	}
	return used;
}

int screen_printf(struct screen *s, int y, int x, int w, enum role role, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return screen_put(s, y, x, w, role, text);
}

int screen_put_right(struct screen *s, int y, int x, int w, enum role role, const char *text)
{
	int pad = w - screen_width(s, text);

	if (pad < 0)
		pad = 0;
	return pad + screen_put(s, y, x + pad, w - pad, role, text);
}

size_t text_line(const char *text, int w)
{
	size_t i = 0, blank = 0;
	int columns = 0;

	for (; text[i] && text[i] != '\n'; i++) {
		if (text[i] == ' ')
			blank = i;
		/* Bytes that go on with a character take no column. */
		if (((unsigned char)text[i] & 0xc0) != 0x80 && ++columns > w)
			return blank && text[i] != ' ' ? blank : i;
	}
	return i;
}

const char *text_after(const char *text, size_t line)
{
	text += line;
	if (*text == '\n')
		return text + 1;
	while (*text == ' ')
		text++;
	return text;
}

void screen_reverse(struct screen *s, int y, int x, int w)
{
	for (int i = x; i < x + w; i++)
		if (y >= 0 && y < s->h && i >= 0 && i < s->w)
			s->cells[y * s->w + i].reverse = true;
}

void screen_box(struct screen *s, int y, int x, int h, int w, const char *title)
{
	uint32_t across = s->ascii ? '-' : 0x2500, down = s->ascii ? '|' : 0x2502;

	for (int i = 1; i < w - 1; i++) {
		set(s, y, x + i, across, ROLE_BOX);
		set(s, y + h - 1, x + i, across, ROLE_BOX);
	}
	for (int i = 1; i < h - 1; i++) {
		set(s, y + i, x, down, ROLE_BOX);
		set(s, y + i, x + w - 1, down, ROLE_BOX);
	}
	set(s, y, x, s->ascii ? '+' : 0x250c, ROLE_BOX);
	set(s, y, x + w - 1, s->ascii ? '+' : 0x2510, ROLE_BOX);
	set(s, y + h - 1, x, s->ascii ? '+' : 0x2514, ROLE_BOX);
	set(s, y + h - 1, x + w - 1, s->ascii ? '+' : 0x2518, ROLE_BOX);
	int used = screen_put(s, y, x + 3, w - 6, ROLE_TITLE, title);
	set(s, y, x + 2, ' ', ROLE_BOX);
	set(s, y, x + 3 + used, ' ', ROLE_BOX);
}

int screen_segments(struct screen *s, int y, int x, int w, const struct segment *seg, size_t n)
{
	int need = 0, worst = 0, used = 0;

	for (size_t i = 0; i < n; i++)
		worst = seg[i].rank > worst ? seg[i].rank : worst;
	for (; worst > 0; worst--) {
		need = -2;
		for (size_t i = 0; i < n; i++)
			if (seg[i].text[0] && seg[i].rank <= worst)
				need += screen_width(s, seg[i].text) + 2;
		if (need <= w)
			break;
	}
	for (size_t i = 0; i < n; i++) {
		if (!seg[i].text[0] || seg[i].rank > worst)
			continue;
		if (used)
			used += 2;
		used += screen_put(s, y, x + used, w - used, seg[i].role, seg[i].text);
	}
	return used;
}

void screen_hot(struct screen *s, int y, int x, int w, int command, long arg)
{
	if (s->nhots == s->hots_room) {
		s->hots_room = s->hots_room ? s->hots_room * 2 : 64;
		s->hots = xrealloc(s->hots, s->hots_room, sizeof(*s->hots));
	}
	s->hots[s->nhots++] = (struct hot){ y, x, w, command, arg };
}

const struct hot *screen_hit(const struct screen *s, int y, int x)
{
	for (size_t i = s->nhots; i-- > 0;) {
		const struct hot *h = &s->hots[i];

		if (h->y == y && x >= h->x && x < h->x + h->w)
			return h;
	}
	return NULL;
}

static void put_utf8(uint32_t c, FILE *out)
{
	if (c < 0x80) {
		fputc((int)c, out);
	} else if (c < 0x800) {
		fputc((int)(0xc0 | c >> 6), out);
		fputc((int)(0x80 | (c & 0x3f)), out);
	} else {
		if (c < 0x10000) {
			fputc((int)(0xe0 | c >> 12), out);
		} else {
			fputc((int)(0xf0 | c >> 18), out);
			fputc((int)(0x80 | (c >> 12 & 0x3f)), out);
		}
		fputc((int)(0x80 | (c >> 6 & 0x3f)), out);
		fputc((int)(0x80 | (c & 0x3f)), out);
	}
}

void screen_dump(const struct screen *s, FILE *out)
{
	for (int y = 0; y < s->h; y++) {
		const struct cell *row = &s->cells[y * s->w];
		int end = s->w;

		while (end > 0 && row[end - 1].ch == ' ')
			end--;
		for (int x = 0; x < end; x++)
			if (row[x].ch)
				put_utf8(row[x].ch, out);
		fputc('\n', out);
	}
}
