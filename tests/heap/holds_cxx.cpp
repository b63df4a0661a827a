// SPDX-License-Identifier: MIT
// What a C++ goroutine of holds.c holds: 4000 + 32 + 64 bytes in 3 objects.
#include <cstdint>
#include <memory>
#include <vector>

struct alignas(64) wide {
	char bytes[64];
};

struct holder {
	std::vector<std::int32_t> numbers = std::vector<std::int32_t>(1000);
	wide *aligned = new wide;
};

static_assert(sizeof(holder) == 32, "as holds.c was told");

extern "C" void *cxx_holds();

extern "C" void *cxx_holds()
{
	delete[] new char[100];
	try {
		throw 1;
	} catch (int) {
	}
	return new holder;
}
