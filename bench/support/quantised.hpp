/// Frozen matrices rounded to formats of blocks, to measure what rounding costs.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include <flamingo/core/panels.hpp>
#include <flamingo/core/parameters.hpp>
#include <flamingo/core/real.hpp>

namespace flamingo::bench {

/// 32 numbers as a block of q8_0, q4_0 or q4_1: each to the nearest level, as GGUF's reference has its levels (the
/// largest number, or the least and the largest of q4_1, are levels themselves).
inline void quantise_block(std::span<const float, 32> x, Format format, std::byte* to) {
  const auto [least, most] = std::minmax_element(x.begin(), x.end());
  const float extreme = std::abs(*least) > std::abs(*most) ? *least : *most;
  const float scale = format == Format::q8_0   ? std::abs(extreme) / 127
                      : format == Format::q4_0 ? extreme / -8
                                               : (*most - *least) / 15;
  const float inverse = scale != 0 ? 1 / scale : 0, origin = format == Format::q4_1 ? *least : 0;
  const auto put_half = [&](float value) {
    const half h(value);
    std::memcpy(to, &h.bits, sizeof h.bits);
    to += sizeof h.bits;
  };
  put_half(scale);
  if (format == Format::q4_1) put_half(origin);
  for (std::size_t k = 0; k < 32; ++k) {
    const float level = std::nearbyint((x[k] - origin) * inverse);
    if (format == Format::q8_0) {
      to[k] = static_cast<std::byte>(static_cast<std::int8_t>(level));
      continue;
    }
    const float q = std::clamp(format == Format::q4_0 ? level + 8 : level, 0.0f, 15.0f);
    const auto nibble = static_cast<std::byte>(q);
    to[k % 16] = k < 16 ? nibble : to[k % 16] | nibble << 4;
  }
}

/// The weights of a layer in panels, its matrices in another format where blocks divide their rows. `from` holds
/// floats, row after row, and lives as long as this.
template <class Layer, Platform P>
class Quantised {
 public:
  using Views = typename Layer::template Parameters<Packed<P>>;
  Views views{};

  Quantised(const Views& from, Format format) : format_(format) {
    auto put = [this](const Spec&, const auto& source, auto& leaf) { fill(source, leaf); };
    Layer::each(put, from, views);
  }
  Quantised(const Quantised&) = delete;
  Quantised& operator=(const Quantised&) = delete;

 private:
  template <int O, int D>
  void fill(const PackedMatrix<P, O, D>& from, PackedMatrix<P, O, D>& to) {
    const int columns = from.columns, rows = from.rows;
    check(from.format == Format::f32 && !from.panels, "quantised", "the source is no matrix of floats in rows");
    to = from;
    std::vector<std::byte> bytes;
    if (columns % 32 == 0) {
      to.format = format_;
      bytes.resize(static_cast<std::size_t>(rows) * to.row_bytes());
      const auto* x = reinterpret_cast<const float*>(from.data);
      const auto size = static_cast<std::size_t>(size_of(format_).bytes);
      for (std::size_t block = 0; block * size < bytes.size(); ++block)
        quantise_block(std::span<const float, 32>(x + 32 * block, 32), format_, bytes.data() + block * size);
      to.data = bytes.data();
    }
    owners_.emplace_back(panel_bytes(rows, to.row_bytes()));
    interleave(to, owners_.back().data());
    to.data = owners_.back().data();
    to.panels = true;
  }
  template <class Leaf>
  void fill(const Leaf& from, Leaf& to) {
    to = from;
  }

  Format format_;
  std::vector<std::vector<std::byte>> owners_;
};

}  // namespace flamingo::bench
