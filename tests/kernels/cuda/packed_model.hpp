/// A whole Flamingo whose language model is packed, each matrix in another format, run once on a platform.
#pragma once
#include <array>
#include <memory>

#include <flamingo/model/weights.hpp>

#include "kernels/cuda/model.hpp"

namespace flamingo::test {

/// Widths of whole blocks.
inline constexpr FlamingoConfig<Features, Llama> packed_config{
    .resampler = {.vision_dim = 6, .dim = 5, .latents = 2, .layers = 1, .heads = 2, .head_dim = 3, .frames = 2},
    .xattn = {.every = 2, .heads = 2, .head_dim = 3, .widening = 2},
    .lm = {.dim = 32,
           .layers = 2,
           .heads = 4,
           .kv_heads = 2,
           .head_dim = 8,
           .hidden = 32,
           .vocabulary = 11,
           .added = 2,
           .context = 32}};

/// Drawn weights of a layer, packed on the host: formats take turns. There is no q4_1, whose numbers are rounded.
template <class Layer, Platform P>
PackedWeights<Layer, P> packed_weights(std::uint64_t seed,
                                       const std::vector<Format>& formats = {Format::int8, Format::q4_0, Format::q8_0,
                                                                             Format::f16, Format::bf16, Format::f32}) {
  using R = typename P::Real;
  const Store<Layer, P> numbers = drawn<Layer, P>(seed);
  PackedWeights<Layer, P> w;
  auto own = [&w](auto all) {
    auto owned = std::make_shared<decltype(all)>(std::move(all));
    w.owners.push_back(owned);
    return owned->data();
  };
  int turn = 0;
  auto pack = [&]<class From, class To>(const Spec& spec, const From& from, To& to) {
    if constexpr (requires { to.panels; }) {
      to.format = formats[static_cast<std::size_t>(turn++) % formats.size()];
      std::vector<std::byte> bytes;
      std::vector<float> scales;
      const auto put = [&bytes](auto x) {
        const auto raw_bytes = std::bit_cast<std::array<std::byte, sizeof x>>(x);
        bytes.insert(bytes.end(), raw_bytes.begin(), raw_bytes.end());
      };
      for (int r = 0; r < spec.rows; ++r)
        for (int c = 0; c < spec.columns; c += size_of(to.format).numbers) {
          const R* const x = from.row(r) + c;
          const auto number = [x](int i) { return static_cast<float>(x[i]); };
          const auto most = [&](int count) {
            float all = 0;
            for (int i = 0; i < count; ++i) all = std::max(all, std::abs(number(i)));
            return all;
          };
          const auto step = [&](int i, float scale) { return static_cast<int>(std::lround(number(i) / scale)); };
          if (to.format == Format::f32) put(number(0));
          if (to.format == Format::f16) put(half(number(0)).bits);
          if (to.format == Format::bf16) put(bfloat16(number(0)).bits);
          if (to.format == Format::int8) {
            // Of 11 bits: a number times its scale is exact in float, whether it or a sum is scaled.
            if (c == 0) scales.push_back(static_cast<float>(half(most(spec.columns) / 126)));
            put(static_cast<std::int8_t>(step(0, scales.back())));
          }
          if (to.format == Format::q8_0) {
            const half scale(most(32) / 126);
            put(scale.bits);
            for (int i = 0; i < 32; ++i) put(static_cast<std::int8_t>(step(i, static_cast<float>(scale))));
          }
          if (to.format == Format::q4_0) {
            const half scale(most(32) / 6.9f);
            put(scale.bits);
            for (int i = 0; i < 16; ++i)
              put(static_cast<std::uint8_t>((step(i, static_cast<float>(scale)) + 8) |
                                            (step(i + 16, static_cast<float>(scale)) + 8) << 4));
          }
        }
      to.data = own(std::move(bytes));
      if (!scales.empty()) to.scales = own(std::move(scales));
    } else {
      to.data = own(std::vector<R>(from.data, from.data + from.size()));
    }
  };
  Layer::each(pack, numbers.views, w.views);
  return w;
}

/// A connector trained over a packed language model, and asked.
template <Platform P>
ModelReport packed_model(int updates) {
  using R = typename P::Real;
  using Model = model::Flamingo<packed_config, P>;
  using Decoder = typename Model::Decoder;
  const auto lm = [] {
    auto host = packed_weights<Decoder, HostOf<P>>(41);
    if constexpr (std::same_as<HostOf<P>, P>)
      return host;
    else
      return PackedWeights<Decoder, P>::copy_of(host);
  }();
  ModelReport report;
  Context<P> ctx = small_context<P>();
  Trainer<packed_config, P, typename Decoder::template Parameters<Packed<P>>> trainer(ctx, lm.views, 43,
                                                                                      {.peak = 0.02, .warmup = 5});
  const std::vector<DatasetStream<R>> mixture{
      {"a", 1.0, [](long step) { return mini_batch<R>(static_cast<std::uint64_t>(step)); }}};
  for (int i = 0; i < updates; ++i) {
    const UpdateReport update = trainer.update(mixture);
    report.losses.push_back(update.datasets[0].loss);
    report.norms.push_back(update.gradient_norm);
  }
  const auto weights = host_copy(ctx, trainer.weights.flat.data(), trainer.weights.flat.size());
  report.weights.assign(weights.begin(), weights.end());
  ask<Model>(ctx, trainer.weights.views, lm.views, report);
  return report;
}

}  // namespace flamingo::test
