/// What raw/wgmma.cuh gives a kernel on Hopper, on emulator::machine(): products of a warpgroup happen when somebody
/// waits for them, copies whose arrival was announced land when nobody else can go on.
#pragma once
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <utility>
#include <vector>

#include <flamingo_emulator.hpp>

namespace emulator {

/// One thread's part in a product of 64 × 8 Tiles × 16.
struct Multiplied {
  float* results;      ///< (Tiles, 4)
  unsigned left[4];    ///< the left operand, unless it lies in shared memory
  std::uint64_t a, b;  ///< descriptors
  bool in_registers, add;
  int tiles;
};

inline float number(const std::byte* at) {
  std::uint16_t bits;
  std::memcpy(&bits, at, sizeof bits);
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}
/// An element of an operand under the swizzle of 128 bytes. `along`: which row, or which column where rows are depths.
inline float operand(std::uint64_t descriptor, int along, int depth, bool rows_are_depths) {
  const auto field = [&](int bit) { return static_cast<std::size_t>(descriptor >> bit & 0x3fff) * 16; };
  if (descriptor >> 62 != 1) machine().fault("a descriptor without the swizzle of 128 bytes");
  const auto u = [](int i) { return static_cast<std::size_t>(i); };
  std::size_t at = field(0);
  if (rows_are_depths)
    at += u(along / 64) * field(16) + u(along % 64) * 2 + u(depth / 8) * field(32) + u(depth % 8) * 128;
  else
    at += u(along / 8) * field(32) + u(along % 8) * 128 + u(depth) * 2;
  return number(machine().shared_at(at ^ (at / 128 % 8 * 16), 2));
}

inline void multiply(const std::array<Multiplied, 128>& threads) {
  const Multiplied& one = threads[0];
  const int columns = one.tiles * 8;
  std::vector<float> a(64 * 16), b(static_cast<std::size_t>(columns) * 16);
  for (int row = 0; row < 64; ++row)
    for (int k = 0; k < 16; ++k) {
      const Multiplied& owner = threads[static_cast<std::size_t>(row / 16 * 32 + row % 8 * 4 + k % 8 / 2)];
      const unsigned pair = owner.left[row % 16 / 8 + k / 8 * 2];
      a[static_cast<std::size_t>(row * 16 + k)] = one.in_registers
                                                      ? std::bit_cast<float>(k % 2 ? pair & 0xffff0000u : pair << 16)
                                                      : operand(one.a, row, k, false);
    }
  for (int n = 0; n < columns; ++n)
    for (int k = 0; k < 16; ++k) b[static_cast<std::size_t>(n * 16 + k)] = operand(one.b, n, k, one.in_registers);
  for (int t = 0; t < 128; ++t)
    for (int tile = 0; tile < one.tiles; ++tile)
      for (int i = 0; i < 4; ++i) {
        const int row = t / 32 * 16 + t % 32 / 4 + i / 2 * 8, column = tile * 8 + t % 4 * 2 + i % 2;
        float& result = threads[static_cast<std::size_t>(t)].results[tile * 4 + i];
        float sum = one.add ? result : 0;
        for (int k = 0; k < 16; ++k)
          sum += a[static_cast<std::size_t>(row * 16 + k)] * b[static_cast<std::size_t>(column * 16 + k)];
        result = sum;
      }
}

inline void begin_product(const Site& site, const Multiplied& mine) {
  machine().warpgroup<Multiplied>(site, mine, [](int group, const std::array<const Multiplied*, 128>& arguments) {
    std::array<Multiplied, 128> threads;
    for (std::size_t i = 0; i < 128; ++i) {
      threads[i] = *arguments[i];
      if (threads[i].a != threads[0].a || threads[i].b != threads[0].b)
        machine().fault("threads of one warpgroup name different operands of a product");
    }
    machine().products(group).open.push_back([threads] { multiply(threads); });
  });
}

}  // namespace emulator

namespace flamingo::raw {

inline unsigned shared_address(const void* p) { return static_cast<unsigned>(emulator::machine().shared_offset(p)); }

struct SharedBarrier {
  std::uint64_t state;

  void begin(int count) { emulator::machine().phases_begin(this, count); }
  void arrive() { emulator::machine().phases_arrive(this); }
  void arrive_after_copies() {
    emulator::machine().copies_announce([this] { arrive(); });
  }
  void wait(int parity, EMULATOR_SITE) { emulator::machine().phases_wait({"wait", file, line}, this, parity); }
};

inline void show_to_products() {}
template <int Count>
void fewer_registers() {}
template <int Count>
void more_registers() {}
inline void begin_products() {}
inline void commit_products(EMULATOR_SITE) {
  emulator::machine().warpgroup<int>({"commit_products", file, line}, 0,
                                     [](int group, const std::array<const int*, 128>&) {
                                       auto& products = emulator::machine().products(group);
                                       products.committed.push_back(std::exchange(products.open, {}));
                                     });
}
template <int Pending>
void wait_products(EMULATOR_SITE) {
  const emulator::Site site{"wait_products", file, line};
  if (emulator::machine().dropped(site)) return;
  emulator::machine().warpgroup<int>(site, 0, [](int group, const std::array<const int*, 128>&) {
    auto& committed = emulator::machine().products(group).committed;
    for (; committed.size() > Pending; committed.pop_front())
      for (const auto& product : committed.front()) product();
  });
}
template <std::size_t Tiles>
void settle(float (&)[Tiles][4]) {}

template <std::size_t Tiles>
void multiply_rows_async(float (&c)[Tiles][4], std::uint64_t a, std::uint64_t b, bool add, EMULATOR_SITE) {
  emulator::begin_product({"multiply_rows_async", file, line},
                          {&c[0][0], {}, a, b, false, add, static_cast<int>(Tiles)});
}
template <std::size_t Tiles>
void add_weighted_async(float (&c)[Tiles][4], const unsigned (&a)[4], std::uint64_t b, EMULATOR_SITE) {
  emulator::begin_product({"add_weighted_async", file, line},
                          {&c[0][0], {a[0], a[1], a[2], a[3]}, 0, b, true, true, static_cast<int>(Tiles)});
}

/// Whether attention_tiles and the like may choose Hopper's kernels: a test says so.
inline bool& has_warpgroups() {
  static bool has = false;
  return has;
}

}  // namespace flamingo::raw
