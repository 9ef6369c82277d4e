/// Training of a connector between frozen parts: one update accumulates the weighted gradients of every dataset.
///
///   loss = Σ_m λ_m · mean over the tokens asked for of -log p(token | tokens before it, media up to it)
///
/// TrainedParts says what is trained besides, Mixing how datasets make updates: the paper's ablations of both.
#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include <flamingo/core/function.hpp>
#include <flamingo/core/store.hpp>
#include <flamingo/model/flamingo.hpp>
#include <flamingo/train/data_parallel.hpp>
#include <flamingo/train/optimizer.hpp>
#include <flamingo/train/rounded_weights.hpp>
#include <flamingo/train/schedule.hpp>
#include <flamingo/train/split_model.hpp>
#include <flamingo/train/trained_layer.hpp>
#include <flamingo/train/training_batch.hpp>

namespace flamingo {

/// One dataset of a mixture.
template <class R>
struct DatasetStream {
  std::string name;
  double weight = 1;  ///< λ
  /// The batch of an update: the same for the same step, so a resumed run sees what it would have seen.
  Function<TrainingBatch<R>(long step)> batch;
};

/// What a pass over one batch gave.
struct LossReport {
  double loss = 0;  ///< mean nats a token
  int tokens = 0;   ///< that were asked for
  int rows = 0;     ///< of the decoder
  double z = 0;     ///< mean log² Z, of which TrainingOptions::z_loss adds a share to what is minimised
};
/// What an update did.
struct UpdateReport {
  std::vector<LossReport> datasets;  ///< of each batch that a pass was made over
  double gradient_norm = 0, rate = 0;
};

template <auto C, Platform P, class LmWeights = Nothing, TrainedParts parts = TrainedParts{}>
class Trainer {
 public:
  using Model = model::Flamingo<C, P>;
  using Connect = typename Model::Connect;
  using Layer = TrainedOf<C, P, parts>;
  using Resampler = typename Model::ResamplerLayer;
  using Decoder = typename Model::Decoder;
  using R = typename P::Real;
  using A = AccumulateOf<P>;
  static constexpr int vocabulary_chunk = 8192;
  static constexpr bool splits = processes_of(C) > 1;  ///< several processes divide the model

  /// Borrows the frozen decoder's weights and the context. What is trained begins as new, by the seed; the host reads
  /// into `weights` what shall begin as it is elsewhere.
  Trainer(Context<P>& ctx, const LmWeights& lm, std::uint64_t seed, Schedule schedule, OptimizerOptions options = {},
          TrainingOptions training = {})
      : weights(seed), optimizer(std::move(options)), ctx_(ctx), lm_(lm), schedule_(schedule), training_(training) {}
  /// The same for a decoder that is trained: its weights are `weights.views.lm`.
  Trainer(Context<P>& ctx, std::uint64_t seed, Schedule schedule, OptimizerOptions options = {},
          TrainingOptions training = {})
    requires(parts.lm)
      : Trainer(ctx, nothing, seed, schedule, std::move(options), training) {}

  Context<P>& context() const { return ctx_; }
  const LmWeights& frozen_lm() const { return lm_; }
  const TrainingOptions& options() const { return training_; }

  /// From now on update() is that of all processes of the group, each with documents of its own, or none: losses and
  /// gradients are of all documents together, and all throw alike. pass() tells the loss of all, and adds the gradient
  /// of its own documents alone. Each process joins before its first
  /// step or before it reads a checkpoint, with the same weights as the others; the group must outlive the trainer.
  void join(dist::Group<P>& group, DataParallelOptions options = {}) { parallel_.join(group, optimizer, options); }
  const DataParallel<Layer, P>& parallel() const { return parallel_; }

  Store<Layer, P, A> weights, gradients;  ///< in the accumulation type: P reads weights rounded to its own numbers
  Optimizer<Layer, P> optimizer;

  /// Called before update() throws because a loss, or the gradient, is not finite: with the batch and its dataset's
  /// name, or with each batch of the update. batch_file.hpp keeps them.
  Function<void(const TrainingBatch<R>& batch, const std::string& dataset, long step)> refused;

  /// One update over the mixture. Throws, with the weights untouched, where a loss or the gradient is not finite.
  UpdateReport update(const std::vector<DatasetStream<R>>& mixture, Mixing mixing = Mixing::accumulation) {
    check(!mixture.empty(), "trainer", "a mixture without datasets");
    const long step = optimizer.steps() + 1;
    UpdateReport report;
    parallel_.begin_update(ctx_, weights, step);
    gradients.clear(ctx_);
    const std::vector<Drawn> drawn = draw(mixture, mixing, step);
    for (const Drawn& d : drawn) check_alike(d.batch);
    try {
      for (const Drawn& d : drawn)  // the last completes gradients
        report.datasets.push_back(own_pass(d.batch, d.lambda, d.asked, &d == &drawn.back()));
    } catch (...) {
      parallel_.abandon(ctx_);
      throw;
    }
    parallel_.complete(ctx_, gradients);
    sum(report.datasets);
    for (std::size_t m = 0; m < drawn.size(); ++m) {
      const double loss = report.datasets[m].loss;
      if (refused && !std::isfinite(loss)) refused(drawn[m].batch, drawn[m].dataset, step);
      check(std::isfinite(loss), "trainer", "the loss of dataset ", drawn[m].dataset, " at step ", step,
            " is not finite");
    }
    report.rate = schedule_.rate(step);
    report.gradient_norm = norm();
    if (refused && !std::isfinite(report.gradient_norm))
      for (const Drawn& d : drawn) refused(d.batch, d.dataset, step);
    parallel_.update(ctx_, optimizer, weights, gradients, report.rate, report.gradient_norm);
    return report;
  }

  /// The mean loss of a batch; adds λ times its gradient where λ is not 0.
  template <class Numbers>
  LossReport pass(const TrainingBatch<R, Numbers>& batch, double lambda) {
    check_alike(batch);
    std::vector<LossReport> report{own_pass(batch, lambda, parallel_.sum(static_cast<double>(asked_of(batch))), false)};
    sum(report);
    return report[0];
  }

 private:
  /// A batch of an update.
  struct Drawn {
    TrainingBatch<R> batch;
    double lambda;
    std::string dataset;
    double asked = 0;  ///< tokens, of all processes
  };
  std::vector<Drawn> draw(const std::vector<DatasetStream<R>>& mixture, Mixing mixing, long step) const {
    std::vector<Drawn> drawn;
    if (mixing == Mixing::merged) {
      drawn.push_back({{}, 1, "all"});
      for (const DatasetStream<R>& dataset : mixture) drawn[0].batch.append(dataset.batch(step));
    } else {
      for (std::size_t m = 0; m < mixture.size(); ++m)
        if (mixing == Mixing::accumulation || m == static_cast<std::size_t>(step - 1) % mixture.size())
          drawn.push_back({mixture[m].batch(step), mixture[m].weight, mixture[m].name});
    }
    std::vector<double> asked;
    for (const Drawn& d : drawn) asked.push_back(static_cast<double>(asked_of(d.batch)));
    parallel_.sum(asked);
    double all = 0;
    for (std::size_t m = 0; m < drawn.size(); ++m) all += drawn[m].asked = asked[m];
    if (training_.mean == TokenMean::of_datasets)
      for (Drawn& d : drawn) d.lambda *= all > 0 ? d.asked / all : 0;
    return drawn;
  }

  /// Where processes divide the model, every one of them makes the same passes over the same batch: else one would wait
  /// for sums that the others never make. All throw alike.
  void check_alike([[maybe_unused]] const auto& batch) const {
    if constexpr (splits) {
      const std::size_t count = batch.sequences.size(), at_once = passes_at_once(batch);
      std::size_t tokens = 0;
      for (const Sequence& s : batch.sequences) tokens += s.ids.size();
      const std::array own{count, at_once, tokens, batch.media.size(), asked_of(batch)};
      check(same_in_all(ctx_, own), "trainer", "processes that divide a model take other passes: this one has ", count,
            " sequences, ", at_once, " at once, of ", tokens, " tokens with ", batch.media.size(),
            " media; expected the same batch and sequences_at_once in all of them");
    }
  }
  std::size_t passes_at_once(const auto& batch) const {
    const auto count = batch.sequences.size(), at_once = static_cast<std::size_t>(training_.sequences_at_once);
    return at_once == 0 ? count : std::min(at_once, count);
  }

  /// The global norm of completed gradients. Of a divided model: of all parts, and once of what every process has.
  double norm() const {
    const dist::Range all{0, gradients.flat.size()};
    if constexpr (splits) {
      const auto divided = divided_ranges<Layer, TrainedOf<undivided(C), P, parts>>();
      double of_parts = parallel_.squares(ctx_, optimizer, gradients, divided);
      ctx_.sum_over_hosts({&of_parts, 1});
      return std::sqrt(of_parts + parallel_.squares(ctx_, optimizer, gradients, between(divided, all.end)));
    } else {
      return std::sqrt(parallel_.squares(ctx_, optimizer, gradients, {&all, 1}));
    }
  }

  /// Sums what each process told of its own documents.
  void sum(std::vector<LossReport>& reports) const {
    std::vector<double> sums;
    for (const LossReport& r : reports)
      sums.insert(sums.end(), {r.loss, r.z, static_cast<double>(r.tokens), static_cast<double>(r.rows)});
    parallel_.sum(sums);
    for (std::size_t i = 0; LossReport & r : reports) {
      r = {sums[i], static_cast<int>(sums[i + 2]), static_cast<int>(sums[i + 3]), sums[i + 1]};
      i += 4;
    }
  }

  /// This process's share of a pass that asks for `all` tokens. `completes`: none of this update follows, so gradients
  /// are final where backward has been.
  LossReport own_pass(const auto& batch, double lambda, double all, bool completes) {
    const std::size_t count = batch.sequences.size(), at_once = passes_at_once(batch);
    if (at_once == count) return pass_at_once(batch, lambda, all, completes);
    LossReport report;
    for (std::size_t first = 0; first < count; first += at_once) {
      const std::size_t size = std::min(at_once, count - first);
      const LossReport one = pass_at_once(part_of(batch, first, size), lambda, all, completes && first + size == count);
      report.loss += one.loss;
      report.z += one.z;
      report.tokens += one.tokens;
      report.rows += one.rows;
    }
    return report;
  }
  LossReport pass_at_once(const auto& batch, double lambda, double all, bool completes) {
    constexpr typename Model::Trained trained{.lm = parts.lm || parts.lora > 0, .added_rows = parts.added_rows};
    const auto scope = ctx_.scope();
    const auto kept = ctx_.kept_scope();
    const auto latents_plan = ResamplerPlan::of(C.resampler, batch.media);
    const auto plan = DecoderPlan::of(batch.sequences, C.xattn, Model::R, visible_rows(batch.media, Model::R));
    const int N = plan.rows(), MR = latents_plan.media * Model::R, asked = static_cast<int>(plan.targets.size());
    read_.round(ctx_, weights);  // whoever wrote them
    auto seen = see(batch);
    const auto latents = keep<Model::E>(ctx_, MR);
    const auto hidden = keep<Model::D>(ctx_, N), asked_rows = keep<Model::D>(ctx_, asked);
    const auto nll = take_vector<A, true>(ctx_, asked);
    const auto targets = table(ctx_, plan.targets), loss_rows = table(ctx_, plan.loss_rows);
    const auto& lm = lm_weights();
    const auto& glm = lm_gradients();

    const auto resample = [&] {
      return Resampler::template forward<resampler_need>(ctx_, read_.views.resampler, seen.features, latents_plan,
                                                         latents);
    };
    const std::size_t before = ctx_.arena().kept();
    auto resampled = resample();
    if (training_.recompute) ctx_.arena().release(before);
    const auto decoded =
        Model::template forward<trained>(ctx_, read_.views, lm, plan, latents, hidden, training_.recompute);
    ops::gather(ctx_, hidden, loss_rows, asked_rows);
    const auto lost =
        Decoder::template loss<Model::need_of_lm(trained)>(ctx_, lm, asked_rows, targets, vocabulary_chunk, nll);
    LossReport report{.tokens = asked, .rows = N};
    for (const A lost_at : host_copy(ctx_, nll)) report.loss += static_cast<double>(lost_at) / all;
    if (training_.z_loss > 0)
      for (const A log_z : host_copy(ctx_, lost.lse))
        report.z += static_cast<double>(log_z) * static_cast<double>(log_z) / all;

    if (lambda != 0 && asked > 0) {
      const std::vector<A> share(static_cast<std::size_t>(asked), static_cast<A>(lambda / all));
      const auto dasked = scratch<Model::D>(ctx_, asked), dhidden = scratch<Model::D>(ctx_, N);
      const auto dlatents = scratch<Model::E>(ctx_, MR);
      Decoder::loss_backward(ctx_, lm, lost, targets, vocabulary_chunk, table(ctx_, share), dasked, glm,
                             static_cast<float>(training_.z_loss));
      ops::clear(ctx_, dhidden);
      ops::scatter_add(ctx_, dasked, loss_rows, dhidden);
      Model::backward(ctx_, read_.views, lm, decoded, plan, dhidden, dlatents, gradients.views, glm,
                      [&](std::size_t j) {
                        if (completes) parallel_.begin(ctx_, gradients, static_cast<int>(j));
                      });
      if (training_.recompute) resampled = resample();
      if constexpr (parts.vision) {
        if (training_.recompute) seen.saved = encode(batch, seen.features);
        const auto dfeatures = scratch<Resampler::E>(ctx_, seen.features.rows);
        Resampler::backward(ctx_, read_.views.resampler, resampled, latents_plan, dlatents, dfeatures,
                            gradients.views.resampler);
        if (dfeatures.rows > 0)
          Layer::Vision::backward(ctx_, read_.views.vision, seen.saved, batch.pictures, dfeatures, NoGrad{},
                                  gradients.views.vision);
      } else {
        Resampler::backward(ctx_, read_.views.resampler, resampled, latents_plan, dlatents, NoGrad{},
                            gradients.views.resampler);
      }
    }
    return report;
  }

  static constexpr Nothing nothing{};
  static constexpr Need resampler_need = parts.vision ? all_gradients : weight_gradients;

  /// The features of a batch, and what the encoder saved where it made them.
  auto see(const auto& batch) {
    if constexpr (parts.vision) {
      using Vision = typename Layer::Vision;
      check(batch.pixels.size() % 3 == 0 && batch.features.empty(), "trainer", "the batch has ", batch.pixels.size(),
            " colours and ", batch.features.size(),
            " features: where the encoder is trained, whole pixels of 3 colours and no features");
      int rows = 0, wanted_rows = 0;
      for (const Grid& picture : batch.pictures) rows += Vision::features(picture).rows();
      for (const Medium& m : batch.media) wanted_rows += m.rows;
      check(rows == wanted_rows, "trainer", "the batch's pictures give ", rows, " feature rows, its media have ",
            wanted_rows);
      struct {
        typename Vision::template Saved<weight_gradients> saved;
        Rows<P, Resampler::E> features;
      } seen{{}, keep<Resampler::E>(ctx_, rows)};
      const std::size_t before = ctx_.arena().kept();
      seen.saved = encode(batch, seen.features);
      if (training_.recompute) ctx_.arena().release(before);
      return seen;
    } else {
      check(batch.features.size() % std::size_t{Resampler::E} == 0, "trainer", "the batch has ", batch.features.size(),
            " features, expected whole rows of ", Resampler::E);
      struct {
        Rows<P, Resampler::E, const R> features;
      } seen{readable_rows<Resampler::E>(ctx_, batch.features)};
      return seen;
    }
  }
  /// Writes the features of a batch's pictures; returns what the trained encoder saved.
  auto encode(const auto& batch, const Rows<P, Resampler::E>& features) {
    using Vision = typename Layer::Vision;
    const Rows<P, 3, const R> pixels = readable_rows<3>(ctx_, batch.pixels);
    typename Vision::template Saved<weight_gradients> saved;
    if (features.rows > 0)
      saved = Vision::template forward<weight_gradients>(ctx_, read_.views.vision, pixels, batch.pictures, features);
    return saved;
  }
  decltype(auto) lm_weights() const {
    if constexpr (parts.lm)
      return (read_.views.lm);
    else if constexpr (parts.added_rows || parts.lora > 0)
      return Layer::Lm::in(lm_, read_.views.lm);
    else
      return (lm_);
  }
  decltype(auto) lm_gradients() const {
    if constexpr (parts.lm || parts.lora > 0)
      return (gradients.views.lm);
    else if constexpr (parts.added_rows)
      return Layer::Lm::in(typename Decoder::template Parameters<Adapters<P>>{}, gradients.views.lm);
    else
      return (frozen<Decoder>);
  }

  Context<P>& ctx_;
  const LmWeights& lm_;
  Schedule schedule_;
  TrainingOptions training_;
  RoundedWeights<Layer, P> read_;
  DataParallel<Layer, P> parallel_;
};

}  // namespace flamingo
