/// The optimiser's arithmetic on the CPU.
#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <type_traits>

#include <flamingo/kernels/cpu/eigen.hpp>
#include <flamingo/ops/adamw.hpp>

namespace flamingo::kernels {

template <Real R, Isa Set>
struct Optimiser<Cpu<R, Set>> {
  using P = Cpu<R, Set>;

  template <class T, class First, class Second>
  static void adamw(Context<P>& ctx, const AdamWStep& s, View<P, 1, T> w, View<P, 1, const T> g, const First& m,
                    const Second& v) {
    const double correction1 = 1 - std::pow(s.beta1, static_cast<double>(s.step)),
                 correction2 = 1 - std::pow(s.beta2, static_cast<double>(s.step));
    // 1 - β in double: in float, 1 - 0.999f errs by 1e-5 of itself.
    const T b1 = T(s.beta1), b2 = T(s.beta2), c1 = T(1 - s.beta1), c2 = T(1 - s.beta2), scale = T(s.scale),
            keep = T(1 - s.rate * s.decay), rate = T(s.rate / correction1), root = T(1 / std::sqrt(correction2)),
            epsilon = T(s.epsilon);
    const std::uint32_t key = s.rounding_key();
    constexpr std::size_t size = Chunk<T>::size;
    parallel_pieces(ctx.threads(), (w.size() + size - 1) / size, 64, [&](std::size_t piece, std::size_t pieces) {
      const std::size_t begin = piece * size, end = std::min(w.size(), begin + pieces * size);
      for (std::size_t at = begin; at < end; at += size) {
        const std::size_t n = std::min(size, end - at);
        Chunk<T> weight(w.data + at, n), gradient(g.data + at, n), first, second;
        fetch(m, at, n, first);
        fetch(v, at, n, second);
        gradient.numbers *= scale;
        first.numbers = b1 * first.numbers + c1 * gradient.numbers;
        second.numbers = b2 * second.numbers + c2 * gradient.numbers.square();
        weight.numbers = weight.numbers * keep - rate * first.numbers / (second.numbers.sqrt() * root + epsilon);
        weight.write(w.data + at, n);
        Draws draws;
        if constexpr (!std::is_same_v<First, View<P, 1, T>>)
          for (std::size_t i = 0; i < size; ++i) draws[i] = rounding_bits(key, static_cast<std::uint32_t>(at + i));
        put(m, at, n, first, draws, 0);
        put(v, at, n, second, draws, 16);
      }
    });
  }
  template <class T>
  static void follow(Context<P>& ctx, double share, View<P, 1, const T> x, View<P, 1, T> mean) {
    parallel_pieces(ctx.threads(), x.size(), 16384, [&](std::size_t begin, std::size_t count) {
      each_chunk(count, [&](std::size_t offset, std::size_t n) {
        const std::size_t at = begin + offset;
        Chunk<T> now(x.data + at, n), y(mean.data + at, n);
        y.numbers += T(share) * (now.numbers - y.numbers);
        y.write(mean.data + at, n);
      });
    });
  }
  template <class T>
  static void sum_of_squares(Context<P>&, View<P, 1, const T> x, View<P, 1, double> sum) {
    constexpr std::size_t tile = 1024;  // float within a tile, double between tiles
    for (std::size_t at = 0; at < x.size(); at += tile)
      sum.data[0] += static_cast<double>(kernels::sum(line(x.data + at, std::min(tile, x.size() - at)).square()));
  }

 private:
  using Draws = std::array<std::uint32_t, Chunk<float>::size>;

  template <class T>
  static void fetch(const View<P, 1, T>& from, std::size_t at, std::size_t n, Chunk<T>& to) {
    std::copy_n(from.data + at, n, to.numbers.data());
  }
  template <class T>
  static void fetch(const View<P, 1, bfloat16>& from, std::size_t at, std::size_t n, Chunk<T>& to) {
    for (std::size_t i = 0; i < n; ++i) to.numbers.data()[i] = static_cast<T>(static_cast<float>(from.data[at + i]));
  }
  template <class T, bool Signed>
  static void fetch(const BlockMoments<P, Signed>& from, std::size_t at, std::size_t n, Chunk<T>& to) {
    using Block = BlockOf16<Signed>;
    std::array<std::uint8_t, Chunk<T>::size> codes;
    std::copy_n(from.codes + at, n, codes.data());
    for (std::size_t b = 0; b < n; b += Block::size) {
      const std::uint8_t exponent = from.exponents[(at + b) / Block::size];
      for (std::size_t i = b; i < b + Block::size; ++i)
        to.numbers.data()[i] = static_cast<T>(Block::decode(codes[i], exponent));
    }
  }
  /// Of each number's random bits, 16 from bit `shift` on are for this moment.
  template <class T>
  static void put(const View<P, 1, T>& to, std::size_t at, std::size_t n, const Chunk<T>& from, const Draws&, int) {
    from.write(to.data + at, n);
  }
  template <class T>
  static void put(const View<P, 1, bfloat16>& to, std::size_t at, std::size_t n, const Chunk<T>& from,
                  const Draws& draws, int shift) {
    for (std::size_t i = 0; i < n; ++i)
      to.data[at + i] = rounded(static_cast<float>(from.numbers.data()[i]), draws[i] >> shift & 0xffffu);
  }
  template <class T, bool Signed>
  static void put(const BlockMoments<P, Signed>& to, std::size_t at, std::size_t n, const Chunk<T>& from,
                  const Draws& draws, int shift) {
    using Block = BlockOf16<Signed>;
    std::array<std::uint8_t, Chunk<T>::size> codes;
    std::array<float, Chunk<T>::size> x;
    for (std::size_t i = 0; i < n; ++i) x[i] = static_cast<float>(from.numbers.data()[i]);
    for (std::size_t b = 0; b < n; b += Block::size) {
      std::int32_t largest = 0;
      for (std::size_t i = b; i < b + Block::size; ++i) largest = std::max(largest, magnitude_bits(x[i]));
      const std::uint8_t exponent = Block::exponent_of(largest);
      for (std::size_t i = b; i < b + Block::size; ++i)
        codes[i] = Block::encode(x[i], exponent, draws[i] >> shift & 0xffffu);
      to.exponents[(at + b) / Block::size] = exponent;
    }
    std::copy_n(codes.data(), n, to.codes + at);
  }
};

}  // namespace flamingo::kernels
