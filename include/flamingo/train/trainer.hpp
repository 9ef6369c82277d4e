/// Training of a connector between frozen parts: one update accumulates the weighted gradients of every dataset.
///
///   loss = Σ_m λ_m · mean over the tokens asked for of -log p(token | tokens before it, media up to it)
#pragma once
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include <flamingo/core/store.hpp>
#include <flamingo/model/flamingo.hpp>
#include <flamingo/train/optimizer.hpp>
#include <flamingo/train/schedule.hpp>

namespace flamingo {

/// A ragged batch of documents with the features of their media.
template <class R>
struct TrainingBatch {
  std::vector<R> features;  ///< (rows of all media, E), row-major
  std::vector<Medium> media;
  std::vector<Sequence> sequences;
};

/// One dataset of a mixture.
template <class R>
struct DatasetStream {
  std::string name;
  double weight = 1;  ///< λ
  /// The batch of an update: the same for the same step, so a resumed run sees what it would have seen.
  std::function<TrainingBatch<R>(long step)> batch;
};

/// What a pass over one batch gave.
struct LossReport {
  double loss = 0;  ///< mean nats a token
  int tokens = 0;   ///< that were asked for
  int rows = 0;     ///< of the decoder
};
/// What an update did.
struct UpdateReport {
  std::vector<LossReport> datasets;
  double gradient_norm = 0, rate = 0;
};

template <auto C, Platform P, class LmWeights>
class Trainer {
 public:
  using Model = model::Flamingo<C, P>;
  using Connect = typename Model::Connect;
  using Resampler = typename Model::ResamplerLayer;
  using Decoder = typename Model::Decoder;
  using R = typename P::Real;
  using A = AccumulateOf<P>;
  static constexpr int vocabulary_chunk = 8192;

  /// Borrows the frozen decoder's weights and the context.
  Trainer(Context<P>& ctx, const LmWeights& lm, std::uint64_t seed, Schedule schedule, OptimizerOptions options = {})
      : weights(seed), optimizer(std::move(options)), ctx_(ctx), lm_(lm), schedule_(schedule) {}

  Store<Connect, P> weights, gradients;
  Optimizer<Connect, P> optimizer;

  /// One update over the mixture. Throws, with the weights untouched, where a loss or the gradient is not finite.
  UpdateReport update(const std::vector<DatasetStream<R>>& mixture) {
    const long step = optimizer.steps() + 1;
    UpdateReport report;
    gradients.clear();
    for (const DatasetStream<R>& dataset : mixture) {
      report.datasets.push_back(pass(dataset.batch(step), dataset.weight));
      check(std::isfinite(report.datasets.back().loss), "trainer", "the loss of dataset ", dataset.name, " at step ",
            step, " is not finite");
    }
    report.rate = schedule_.rate(step);
    report.gradient_norm = optimizer.step(ctx_, weights, gradients, report.rate);
    return report;
  }

  /// The mean loss of a batch; adds λ times its gradient where λ is not 0.
  LossReport pass(const TrainingBatch<R>& batch, double lambda) {
    constexpr typename Model::Trained trained{};
    check(batch.features.size() % std::size_t{Resampler::E} == 0, "trainer", "the batch has ", batch.features.size(),
          " features, expected whole rows of ", Resampler::E);
    const auto scope = ctx_.scope();
    const auto kept = ctx_.kept_scope();
    const auto latents_plan = ResamplerPlan::of(C.resampler, batch.media);
    const auto plan = DecoderPlan::of(batch.sequences, C.xattn, Model::R, visible_rows(batch.media, Model::R));
    const int N = plan.rows(), MR = latents_plan.media * Model::R, asked = static_cast<int>(plan.targets.size());
    const Rows<P, Resampler::E, const R> features{batch.features.data(),
                                                  static_cast<int>(batch.features.size()) / Resampler::E};
    const auto latents = keep<Model::E>(ctx_, MR);
    const auto hidden = keep<Model::D>(ctx_, N), asked_rows = keep<Model::D>(ctx_, asked);
    const auto nll = take_vector<A, true>(ctx_, asked);
    const auto targets = table(ctx_, plan.targets), loss_rows = table(ctx_, plan.loss_rows);

    const auto resampled =
        Resampler::template forward<weight_gradients>(ctx_, weights.views.resampler, features, latents_plan, latents);
    const auto decoded = Model::template forward<trained>(ctx_, weights.views, lm_, plan, latents, hidden);
    ops::gather(ctx_, hidden, loss_rows, asked_rows);
    const auto lost = Decoder::template loss<input_gradients>(ctx_, lm_, asked_rows, targets, vocabulary_chunk, nll);
    LossReport report{0, asked, N};
    for (int i = 0; i < asked; ++i) report.loss += static_cast<double>(nll.data[i]) / asked;

    if (lambda != 0 && asked > 0) {
      const std::vector<A> share(static_cast<std::size_t>(asked), static_cast<A>(lambda / asked));
      const auto dasked = scratch<Model::D>(ctx_, asked), dhidden = scratch<Model::D>(ctx_, N);
      const auto dlatents = scratch<Model::E>(ctx_, MR);
      Decoder::loss_backward(ctx_, lm_, lost, targets, vocabulary_chunk, table(ctx_, share), dasked, frozen<Decoder>);
      ops::clear(ctx_, dhidden);
      ops::scatter_add(ctx_, dasked, loss_rows, dhidden);
      Model::backward(ctx_, weights.views, lm_, decoded, plan, dhidden, dlatents, gradients.views, frozen<Decoder>);
      Resampler::backward(ctx_, weights.views.resampler, resampled, latents_plan, dlatents, NoGrad{},
                          gradients.views.resampler);
    }
    return report;
  }

 private:
  Context<P>& ctx_;
  const LmWeights& lm_;
  Schedule schedule_;
};

}  // namespace flamingo
