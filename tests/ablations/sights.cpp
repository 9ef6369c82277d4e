#include <type_traits>

#include <flamingo/cpu.hpp>
#include <flamingo/model/vision/encoder.hpp>

#include "ablations/task.hpp"

namespace flamingo::test {

namespace {

template <auto Vision>
const Sight& frozen_sight() {
  using E = Encoder<Vision, P>;
  static const std::vector<Grid> grid{{0, Pictures::side, Pictures::side}};
  static const std::vector<std::vector<double>> features = [] {
    const Store<E, P> encoder(20221128);
    Context<P> ctx(1);
    std::vector<std::vector<double>> all;
    for (const auto& view : packaged_pictures().pixels) {
      const auto scope = ctx.scope();
      const auto y = scratch<E::D>(ctx, E::features(grid[0]).rows());
      E::template forward<no_gradients>(ctx, encoder.views, {view.data(), grid[0].rows(), {}}, grid, y);
      all.emplace_back(y.data, y.data + y.size());
    }
    return all;
  }();
  static const Sight sight{&packaged_pictures(), &features, E::features(grid[0]).rows()};
  return sight;
}

}  // namespace

const Sight& sight_by(const NfNet& encoder) {
  return encoder.depths == presets::nfnet_mini_f0.depths ? frozen_sight<presets::nfnet_mini_f0>()
                                                         : frozen_sight<presets::flamingo_mini.vision>();
}
const Sight& sight_by(const Vit&) { return frozen_sight<presets::vit_mini>(); }

}  // namespace flamingo::test
