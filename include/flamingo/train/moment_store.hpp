/// Where an optimiser keeps its moments: at full precision or in few bits.
///
/// bytes a number and moment        full 4 (double: 8)    bf16 2    block8 1 + 1/16
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <flamingo/core/few_bits.hpp>
#include <flamingo/core/store.hpp>
#include <flamingo/ops/adamw.hpp>

namespace flamingo {

/// How moments are held. Those of few bits are rounded at random (core/few_bits.hpp says why).
enum class MomentFormat : std::uint8_t {
  full,    ///< in the type of the weights
  bf16,    ///< bfloat16
  block8,  ///< a byte each, in blocks of 16 with an exponent of their own
};
constexpr std::string_view name_of(MomentFormat format) {
  return format == MomentFormat::full ? "full" : format == MomentFormat::bf16 ? "bf16" : "block8";
}
/// Bytes of one moment of a number whose weight is a T.
template <class T>
constexpr double moment_bytes(MomentFormat format) {
  return format == MomentFormat::full   ? static_cast<double>(sizeof(T))
         : format == MomentFormat::bf16 ? 2
                                        : 1 + 1.0 / 16;
}

/// First (signed) or second moments of `size` numbers, a multiple of 16. They begin as zeros.
template <Platform P, class T>
class MomentStore {
 public:
  using Host = MomentStore<HostOf<P>, T>;

  MomentStore(MomentFormat format, bool has_sign, std::size_t size)
      : flat(format == MomentFormat::full ? size : 0),
        halves(format == MomentFormat::bf16 ? size : 0),
        codes(format == MomentFormat::block8 ? size : 0),
        exponents(format == MomentFormat::block8 ? size / 16 : 0),
        format_(format),
        signed_(has_sign) {}
  /// The same moments in P's memory.
  explicit MomentStore(Host&& host)
    requires(!std::is_same_v<HostOf<P>, P>)
      : flat(std::move(host.flat)),
        halves(std::move(host.halves)),
        codes(std::move(host.codes)),
        exponents(std::move(host.exponents)),
        format_(host.format()),
        signed_(host.has_sign()) {}
  MomentStore(MomentStore&&) = default;
  MomentStore& operator=(MomentStore&&) = default;

  MomentFormat format() const { return format_; }
  bool has_sign() const { return signed_; }
  std::size_t bytes() const {
    return flat.size() * sizeof(T) + halves.size() * sizeof(bfloat16) + codes.size() + exponents.size();
  }

  /// Numbers `at` ... at + count, each exactly; at and count multiples of 16.
  std::vector<T> read(Context<P>& ctx, std::size_t at, std::size_t count) const {
    std::vector<T> numbers(count);
    if (format_ == MomentFormat::full) {
      const auto all = host_copy(ctx, flat.data() + at, count);
      std::copy(all.begin(), all.end(), numbers.begin());
    } else if (format_ == MomentFormat::bf16) {
      const auto all = host_copy(ctx, halves.data() + at, count);
      std::transform(all.begin(), all.end(), numbers.begin(), [](bfloat16 x) { return T(static_cast<float>(x)); });
    } else {
      const auto bytes = host_copy(ctx, codes.data() + at, count);
      const auto shared = host_copy(ctx, exponents.data() + at / 16, count / 16);
      for (std::size_t i = 0; i < count; ++i)
        numbers[i] = T(signed_ ? BlockOf16<true>::decode(bytes[i], shared[i / 16])
                               : BlockOf16<false>::decode(bytes[i], shared[i / 16]));
    }
    return numbers;
  }
  /// Puts numbers from `at` on, rounded to the nearest; what read() gave of the same format is put back as it was.
  void write(std::size_t at, std::span<const T> numbers)
    requires std::is_same_v<HostOf<P>, P>
  {
    if (format_ == MomentFormat::full)
      std::copy(numbers.begin(), numbers.end(), flat.begin() + static_cast<std::ptrdiff_t>(at));
    else if (format_ == MomentFormat::bf16)
      std::transform(numbers.begin(), numbers.end(), halves.begin() + static_cast<std::ptrdiff_t>(at),
                     [](T x) { return bfloat16(static_cast<float>(x)); });
    else if (signed_)
      write_blocks<BlockOf16<true>>(at, numbers);
    else
      write_blocks<BlockOf16<false>>(at, numbers);
  }

  typename Buffer<P, T>::type flat;                         ///< MomentFormat::full
  typename Buffer<P, bfloat16>::type halves;                ///< bf16
  typename Buffer<P, std::uint8_t>::type codes, exponents;  ///< block8

 private:
  template <class Block>
  void write_blocks(std::size_t at, std::span<const T> numbers) {
    for (std::size_t b = 0; b < numbers.size(); b += Block::size) {
      std::array<float, Block::size> x{};
      std::int32_t largest = 0;
      for (std::size_t i = 0; i < std::min(Block::size, numbers.size() - b); ++i) {
        x[i] = static_cast<float>(numbers[b + i]);
        largest = std::max(largest, magnitude_bits(x[i]));
      }
      const std::uint8_t exponent = Block::exponent_of(largest);
      for (std::size_t i = 0; i < Block::size; ++i) codes[at + b + i] = Block::encode(x[i], exponent, to_nearest);
      exponents[(at + b) / Block::size] = exponent;
    }
  }

  MomentFormat format_;
  bool signed_;
};

/// Calls f with `count` first and second moments from `at` on, as ops::adamw takes them; both of one format.
template <Platform P, class T, class F>
void with_moments(MomentStore<P, T>& first, MomentStore<P, T>& second, std::size_t at, int count, const F& f) {
  const auto view = [&]<class U>(U* numbers) { return View<P, 1, U>{numbers + at, {count}}; };
  const auto block = [&]<bool Signed>(MomentStore<P, T>& of) {
    return BlockMoments<P, Signed>{of.codes.data() + at, of.exponents.data() + at / 16, {count}};
  };
  if (first.format() == MomentFormat::full)
    f(view(first.flat.data()), view(second.flat.data()));
  else if (first.format() == MomentFormat::bf16)
    f(view(first.halves.data()), view(second.halves.data()));
  else
    f(block.template operator()<true>(first), block.template operator()<false>(second));
}

}  // namespace flamingo
