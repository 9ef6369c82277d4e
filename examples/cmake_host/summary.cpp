// The one file of the host that includes the library.
#include "summary.hpp"

#include <array>

#include <flamingo/core/store.hpp>
#include <flamingo/cpu.hpp>
#include <flamingo/model/resampler.hpp>

namespace {

using P = flamingo::Cpu<float>;
constexpr flamingo::ResamplerConfig config{.dim = Summary::width,
                                           .latents = Summary::rows,
                                           .layers = 2,
                                           .heads = 3,
                                           .head_dim = 16,
                                           .widening = 2,
                                           .frames = 0};
using Resampler = flamingo::model::Resampler<config, P>;

}  // namespace

struct Summary::Parts {
  flamingo::Context<P> ctx;
  flamingo::Store<Resampler, P> weights{/*seed=*/1};  // load_numbers() of model/weights.hpp reads those of a file
};

Summary::Summary(int threads) : parts_(new Parts{flamingo::Context<P>(threads)}) {}
Summary::~Summary() = default;

std::vector<float> Summary::of(std::span<const float> features) {
  flamingo::check(features.size() % width == 0, "summary", features.size(), " numbers, expected whole rows of ", width);
  const int n = static_cast<int>(features.size()) / width;
  std::vector<float> result(rows * width);
  const auto scope = parts_->ctx.scope();
  const auto plan = flamingo::ResamplerPlan::of(config, std::array{flamingo::Medium{0, n}});
  Resampler::forward<flamingo::no_gradients>(parts_->ctx, parts_->weights.views, {features.data(), n, {}}, plan,
                                             {result.data(), rows, {}});
  return result;
}
