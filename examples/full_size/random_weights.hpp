/// Weights of any size, drawn at random straight into the form in which they are held: there is never a second copy.
#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include <flamingo/core/arena.hpp>
#include <flamingo/core/parameters.hpp>
#include <flamingo/core/random.hpp>
#include <flamingo/core/real.hpp>
#include <flamingo/model/weights.hpp>

namespace full_size {

/// Read-only weights of a layer, matrices in one format. Numbers are such that rows keep their size from layer to
/// layer, and gates are open, so that pictures are seen.
template <class Layer, flamingo::Platform P>
class RandomWeights {
 public:
  RandomWeights(flamingo::Format format, flamingo::Arrangement arrangement, std::uint64_t seed)
      : format_(format), panels_(arrangement == flamingo::Arrangement::panels) {
    flamingo::Random random(seed, 0);
    for (float& x : pool_) x = random.normal();
    auto draw = [this](const flamingo::Spec& spec, auto& leaf) { fill(spec, leaf); };
    Layer::each(draw, views);
    pool_.clear();
    pool_.shrink_to_fit();
  }

  typename Layer::template Parameters<flamingo::Packed<P>> views{};

 private:
  template <int O, int D>
  void fill(const flamingo::Spec& spec, flamingo::PackedMatrix<P, O, D>& leaf) {
    using flamingo::Format;
    const auto columns = static_cast<std::size_t>(spec.columns);
    const int filled_up = (spec.rows + flamingo::panel_rows - 1) / flamingo::panel_rows * flamingo::panel_rows;
    const auto rows = static_cast<std::size_t>(panels_ ? filled_up : spec.rows);
    const float deviation = deviation_of(spec);
    leaf.format = format_;
    leaf.panels = panels_;
    std::byte* to = room(rows * leaf.row_bytes());
    leaf.data = to;
    if (format_ == Format::int8) {
      auto* scales = reinterpret_cast<float*>(room(rows * sizeof(float)));
      std::fill_n(scales, rows, 4 * deviation / 127);  // four deviations are the most that a byte tells
      leaf.scales = scales;
    }
    begin(spec);
    for (std::size_t r = 0; r < rows; ++r, to += leaf.row_bytes()) {
      if (format_ == Format::int8)
        each(columns, [&](std::size_t i, float x) {
          const float level = std::clamp(std::nearbyint(x * 127 / 4), -127.0f, 127.0f);
          reinterpret_cast<std::int8_t*>(to)[i] = static_cast<std::int8_t>(level);
        });
      else if (format_ == Format::bf16)
        each(columns, [&](std::size_t i, float x) {
          reinterpret_cast<flamingo::bfloat16*>(to)[i] = flamingo::bfloat16(deviation * x);
        });
      else
        each(columns, [&](std::size_t i, float x) { reinterpret_cast<float*>(to)[i] = deviation * x; });
    }
  }
  template <int O, int D, class T>
  void fill(const flamingo::Spec& spec, flamingo::MatrixView<P, O, D, T>& leaf) {
    auto* to = reinterpret_cast<T*>(room(spec.size() * sizeof(T)));
    leaf.data = to;
    begin(spec);
    each(spec.size(), [&](std::size_t i, float x) { to[i] = static_cast<T>(deviation_of(spec) * x); });
  }
  template <int D, class T>
  void fill(const flamingo::Spec& spec, flamingo::VectorView<P, D, T>& leaf) {
    using Kind = flamingo::Init::Kind;
    const std::string_view name = spec.name;
    const float middle = name.ends_with("gate") || name.ends_with("gain") ? 0.5f
                         : spec.init.kind == Kind::one                    ? 1.0f
                                                                          : 0.0f;
    auto* to = reinterpret_cast<T*>(room(spec.size() * sizeof(T)));
    leaf.data = to;
    begin(spec);
    each(spec.size(), [&](std::size_t i, float x) { to[i] = static_cast<T>(middle + 0.02f * x); });
  }

  static float deviation_of(const flamingo::Spec& spec) {
    return spec.init.kind == flamingo::Init::Kind::normal ? spec.init.deviation
                                                          : 1 / std::sqrt(static_cast<float>(spec.columns));
  }
  std::byte* room(std::size_t bytes) { return memory_.take(bytes); }
  void begin(const flamingo::Spec& spec) { at_ = flamingo::hash(spec.name) % pool_.size(); }
  template <class F>
  void each(std::size_t count, const F& f) {
    for (std::size_t done = 0; done < count;) {
      const std::size_t some = std::min(count - done, pool_.size() - at_);
      for (std::size_t i = 0; i < some; ++i) f(done + i, pool_[at_ + i]);
      done += some;
      at_ = (at_ + some) % pool_.size();
    }
  }

  flamingo::Format format_;
  bool panels_;
  std::vector<float> pool_ = std::vector<float>(1000003);  // a prime: rows of a matrix differ
  std::size_t at_ = 0;
  flamingo::Pieces memory_;
};

}  // namespace full_size
