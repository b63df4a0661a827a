/* SPDX-License-Identifier: MIT */
/*
 * maze.cc - the maze with what only C++ has: frames with landing pads and destructors, members,
 * virtual calls, lambdas, templates, and a way that goes on inside a catch clause.
 */
struct walk;

#define MAZE_MORE_SHAPES cxx_landing_pad, cxx_virtual, cxx_lambda, cxx_template<3>, cxx_catch

static long cxx_landing_pad(struct walk *w);
static long cxx_virtual(struct walk *w);
static long cxx_lambda(struct walk *w);
template <int N> static long cxx_template(struct walk *w);
static long cxx_catch(struct walk *w);

#include "maze.c"

namespace {

struct guard {
	long v;
	~guard()
	{
		used(v);
	}
};

struct shape {
	virtual ~shape() = default;
	virtual long draw_it(struct walk *w) = 0;
};

struct square : shape {
	long draw_it(struct walk *w) override;
};

SHAPE long square::draw_it(struct walk *w)
{
	guard g = { 1 };
	long v;

	w->way[w->n++] = "draw_it";
	v = onward(w);
	used(v);
	return v;
}

} // namespace

static SHAPE long cxx_landing_pad(struct walk *w)
{
	guard a = { 1 }, b = { 2 };
	long v;

	HERE(w);
	v = onward(w);
	if (v == -12345)
		throw v;
	return v;
}

static SHAPE long cxx_virtual(struct walk *w)
{
	square s;
	shape *volatile p = &s;
	long v;

	HERE(w);
	v = p->draw_it(w);
	used(v);
	return v;
}

template <class F> static NOINLINE long apply(struct walk *w, F f)
{
	long v;

	HERE(w);
	v = f(w);
	used(v);
	return v;
}

static SHAPE long cxx_lambda(struct walk *w)
{
	long n = draw(w, 10), v;

	HERE(w);
	v = apply(w, [n](struct walk *inner) NOINLINE {
		guard g = { 1 }; /* whose landing pad lies elsewhere */
		long got;

		inner->way[inner->n++] = "operator()";
		got = onward(inner) + n;
		used(got);
		return got;
	});
	used(v);
	return v;
}

template <int N> static SHAPE long cxx_template(struct walk *w)
{
	char buffer[N * 100];
	long v;

	w->way[w->n++] = "cxx_template<3>";
	memset(buffer, N, sizeof buffer);
	v = onward(w);
	used(buffer[draw(w, sizeof buffer)]);
	return v;
}

static SHAPE long cxx_catch(struct walk *w)
{
	long v = 0;

	HERE(w);
	try {
		if (w->depth >= 0)
			throw 1;
	} catch (int one) {
		v = onward(w) + one;
		used(v);
	}
	return v;
}
