/// Packed weights on CUDA: how they get there, and their numbers for kernels that read R.
#pragma once
#include <type_traits>
#include <vector>

#include <flamingo/core/panels.hpp>
#include <flamingo/kernels/cuda/context.cuh>
#include <flamingo/kernels/cuda/linear_sizes.hpp>
#include <flamingo/kernels/cuda/raw/packed_rows.cuh>

namespace flamingo {

/// The bytes of a packed matrix on the device, in the order of raw/packed.cuh.
template <Real R>
class PackedBuffer<Cuda<R>> {
 public:
  /// From a matrix that lies row after row on the host.
  template <class HostMatrix>
  explicit PackedBuffer(const HostMatrix& host) : bytes_(arranged(host)), scales_(scales_of(host)) {}

  template <int O, int D>
  void point(PackedMatrix<Cuda<R>, O, D>& w) const {
    w.data = bytes_.data();
    w.scales = scales_.size() ? scales_.data() : nullptr;
    w.panels = raw::in_blocks(static_cast<raw::PackedFormat>(w.format));
  }

 private:
  template <class M>
  static std::vector<std::byte> arranged(const M& w) {
    check(!w.panels, "load", "a matrix in the CPU's panels was given for CUDA, expected rows");
    const auto format = static_cast<raw::PackedFormat>(w.format);
    if (!raw::in_blocks(format)) return {w.data, w.data + raw::packed_bytes(format, w.rows, w.columns)};
    std::vector<std::byte> bytes(raw::packed_bytes(format, w.rows, w.columns));
    raw::arrange_blocks(format, w.data, w.rows, w.columns, bytes.data());
    return bytes;
  }
  template <class M>
  static std::vector<float> scales_of(const M& w) {
    return w.scales ? std::vector<float>(w.scales, w.scales + int(w.rows)) : std::vector<float>{};
  }

  DeviceNumbers<std::byte> bytes_;
  DeviceNumbers<float> scales_;
};

namespace kernels {

template <class W>
inline constexpr bool is_packed = requires(const W& w) { w.panels; };

static_assert(static_cast<int>(Format::q8_0) == static_cast<int>(raw::PackedFormat::q8_0) &&
              static_cast<int>(Format::q4_1) == static_cast<int>(raw::PackedFormat::q4_1));
static_assert(panel_rows == raw::packed_panel);

/// As the raw kernels take it.
template <class W>
raw::PackedView raw_of(const W& w, std::string_view op) {
  const auto format = static_cast<raw::PackedFormat>(w.format);
  check(w.panels == raw::in_blocks(format), op,
        "the weights lie as CUDA's kernels do not read them: upload them by PackedWeights or PackedBuffer");
  return {w.data, w.scales, format, w.rows, w.columns};
}

/// w where it lies as numbers of R: stored, or in a format that is R; else null.
template <Real R, class W>
const R* numbers_in_place(const W& w) {
  if constexpr (is_packed<W>) {
    return lies_as_numbers<R>(w.format) ? reinterpret_cast<const R*>(w.data) : nullptr;
  } else {
    static_assert(std::is_convertible_v<decltype(w.data), const R*>,
                  "Cuda reads weights of its own number type (Stored<Cuda<R>>) or packed ones");
    return w.data;
  }
}
/// The same or, where it does not, unpacked into scratch: it lives as long as the caller's scope.
template <Real R, class W>
const R* numbers_of(Context<Cuda<R>>& ctx, const W& w, std::string_view op) {
  const R* const own = numbers_in_place<R>(w);
  if constexpr (is_packed<W>) {
    if (!own) {
      const auto unpacked = scratch(ctx, w.rows, w.columns);
      check_cuda(
          raw::unpack_rows(raw_of(w, op), static_cast<const int*>(nullptr), bare(unpacked.data), w.rows, ctx.stream()),
          op);
      return unpacked.data;
    }
  }
  return own;
}

}  // namespace kernels
}  // namespace flamingo
