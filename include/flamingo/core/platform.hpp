/// Where a computation runs and in which number type. A platform is a tag without state that travels in every view.
#pragma once
#include <concepts>
#include <string_view>

#include <flamingo/core/real.hpp>

namespace flamingo {

/// The instruction set a translation unit is compiled for. It is part of the platform's type, so objects built with
/// different -march hold different functions and may be linked into one program.
enum class Isa {
  portable,
  avx2,
  avx512,
  avx512_bf16,  ///< with products of bfloat16
  neon
};
/// Registers of 64 bytes.
constexpr bool is_avx512(Isa set) { return set == Isa::avx512 || set == Isa::avx512_bf16; }
/// 32 registers of numbers rather than 16.
constexpr bool has_32_registers(Isa set) { return is_avx512(set) || set == Isa::neon; }

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512BF16__)
constexpr Isa native_isa = Isa::avx512_bf16;
#elif defined(__AVX512F__)
constexpr Isa native_isa = Isa::avx512;
#elif defined(__AVX2__) && defined(__FMA__)
constexpr Isa native_isa = Isa::avx2;
#elif defined(__ARM_NEON)
constexpr Isa native_isa = Isa::neon;
#else
constexpr Isa native_isa = Isa::portable;
#endif

/// Whose matrix products a translation unit computes with: ours, or Eigen's. Part of the platform's type as the
/// instruction set is, and chosen as it is: by the compiler's flags, here -DFLAMINGO_CPU_KERNELS=eigen. Kernels that
/// contain no product are the same for both.
enum class Products { own, eigen };

#ifdef FLAMINGO_CPU_KERNELS
constexpr Products default_products = Products::FLAMINGO_CPU_KERNELS;
#else
constexpr Products default_products = Products::own;
#endif

/// The CPU, computing in R.
template <Real R, Isa Set = native_isa, Products By = default_products>
struct Cpu {
  using Real = R;
  static constexpr std::string_view name = "cpu";
};

/// An NVIDIA GPU, computing in R.
template <Real R>
struct Cuda {
  using Real = R;
  static constexpr std::string_view name = "cuda";
};

template <class P>
concept Platform = requires {
  typename P::Real;
  { P::name } -> std::convertible_to<std::string_view>;
};

/// Counts what a run over P would take, bytes and operations, and computes nothing.
template <Platform P>
struct Dry {
  using Real = typename P::Real;
  static constexpr std::string_view name = "dry";
};

namespace detail {
template <class P>
struct HostPlatform {
  using type = P;
};
template <class R>
struct HostPlatform<Cuda<R>> {
  using type = Cpu<R, Isa::portable, Products::own>;
};
}  // namespace detail
/// The platform of P's numbers where the host reads them: P itself, unless it has memory of its own.
template <Platform P>
using HostOf = typename detail::HostPlatform<P>::type;

/// The type in which P keeps sums, statistics, weight gradients, moments, gates and losses.
template <Platform P>
using AccumulateOf = Accumulate<typename P::Real>;

}  // namespace flamingo
