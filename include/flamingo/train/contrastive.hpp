/// Contrastive pretraining of a dual encoder from scratch: one update accumulates the weighted gradients of every
/// dataset, over batches that may be larger than memory.
///
///   loss = Σ_m λ_m · 1/(2 N_m) Σ_n (nll of pair n's text given its picture + of its picture given its text)
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <flamingo/config/training.hpp>
#include <flamingo/core/function.hpp>
#include <flamingo/core/need.hpp>
#include <flamingo/core/store.hpp>
#include <flamingo/model/config_fields.hpp>
#include <flamingo/ops/arrange.hpp>
#include <flamingo/ops/grid.hpp>
#include <flamingo/train/adaptive_clipping.hpp>
#include <flamingo/train/data_parallel.hpp>
#include <flamingo/train/optimizer.hpp>
#include <flamingo/train/schedule.hpp>
#include <flamingo/train/state_file.hpp>

namespace flamingo {

/// N pictures and the text of each.
template <class R>
struct PairBatch {
  std::vector<R> pixels;  ///< (ΣH W, 3), row-major, as the vision encoder reads them
  std::vector<Grid> pictures;
  std::vector<std::vector<int>> texts;  ///< ids

  int pairs() const { return static_cast<int>(texts.size()); }
};

/// One dataset of a mixture.
template <class R>
struct PairStream {
  std::string name;
  double weight = 1;  ///< λ
  /// The dataset's batch of a number, from 1: the same for the same number, so a resumed run sees what it would have.
  Function<PairBatch<R>(long number)> batch;
};

struct ContrastiveOptions {
  /// Accumulated, each dataset's batch has a loss of its own; merged, all batches are one, where every pair is a
  /// negative of every other and counts by its own dataset's λ.
  Mixing mixing = Mixing::accumulation;
  /// Pairs that are encoded at one time. Where a batch has more, all are embedded first, then the loss, then each chunk
  /// is encoded again for its gradient (Gao et al. 2021): the gradient of the whole batch. 0: as many as there are.
  int chunk = 0;
  double vision_clip = 0.01;  ///< of the vision encoder, adaptive; 0: never clipped
  double other_clip = 10;     ///< largest global norm of everything besides; 0: never clipped
  /// The paper tells of Adam and no more. Its own clip is left to the two above.
  OptimizerOptions adam{.clip = 0, .group = [](const Spec&) { return Group{}; }};
};

/// What a pass over one dataset's pairs gave.
struct PairLoss {
  double loss = 0;  ///< mean of both directions
  int pairs = 0;
};
/// What an update did.
struct ContrastiveReport {
  std::vector<PairLoss> datasets;  ///< those of this update
  std::size_t clipped = 0;         ///< units of the vision encoder whose gradients were
  double other_norm = 0;           ///< global norm of all gradients outside the vision encoder, before clipping
  double gradient_norm = 0;        ///< of all that reached Adam
  double rate = 0;
};

/// Net is a dual encoder: PooledDualEncoder or DualEncoder.
template <class Net, Platform P>
class ContrastiveTrainer {
 public:
  using R = typename P::Real;
  using A = AccumulateOf<P>;
  static_assert(std::is_same_v<R, A>,
                "ContrastiveTrainer: gradients of embeddings are sums, which P keeps in another "
                "type than rows: train in float or double");
  static constexpr int J = Net::J;

  /// Borrows the context.
  ContrastiveTrainer(Context<P>& ctx, std::uint64_t seed, Schedule schedule, ContrastiveOptions options = {})
      : weights(seed),
        optimizer(options.adam),
        ctx_(ctx),
        seed_(seed),
        schedule_(schedule),
        options_(std::move(options)) {}

  Context<P>& context() const { return ctx_; }

  /// From now on update() and pass() are those of all processes of the group, each with pairs of its own, or none:
  /// every pair is a negative of every other's, wherever it is. Each process joins before its first step or before it
  /// reads a checkpoint, with the same weights as the others; the group must outlive the trainer.
  void join(dist::Group<P>& group, DataParallelOptions options = {}) { parallel_.join(group, optimizer, options); }
  const DataParallel<Net, P>& parallel() const { return parallel_; }

  Store<Net, P> weights, gradients;
  Optimizer<Net, P> optimizer;

  /// One update over the mixture. Throws, with the weights untouched, where a loss or the gradient is not finite.
  ContrastiveReport update(const std::vector<PairStream<R>>& mixture) {
    check(!mixture.empty(), "contrastive", "there is no dataset, expected at least one");
    const long step = optimizer.steps() + 1, count = static_cast<long>(mixture.size());
    ContrastiveReport report;
    parallel_.begin_update(ctx_, weights, step);
    gradients.clear(ctx_);
    if (options_.mixing == Mixing::merged) {
      report.datasets = merged(mixture, step);
    } else if (options_.mixing == Mixing::round_robin) {
      const auto& dataset = mixture[static_cast<std::size_t>((step - 1) % count)];
      report.datasets = {pass(dataset, (step - 1) / count + 1, step, step * count)};
    } else {
      for (long m = 0; m < count; ++m)
        report.datasets.push_back(pass(mixture[static_cast<std::size_t>(m)], step, step, step * count + m));
    }
    parallel_.complete(ctx_, gradients, true);
    clip(report);
    report.rate = schedule_.rate(step);
    report.gradient_norm = parallel_.step(ctx_, optimizer, weights, gradients, report.rate);
    return report;
  }

  /// (nll of its text + nll of its picture) / 2 of each pair of this process's batch, among the pairs of all. Adds the
  /// gradient of Σ_n shares[n] times it, as far as this process has encoded what it depends on; without shares there is
  /// no gradient, and nothing is drawn. `draw` numbers what the vision encoder draws.
  std::vector<double> pass(const PairBatch<R>& batch, std::span<const double> shares = {}, long draw = 0) {
    return pass(batch, shares, draw, !shares.empty());
  }

 private:
  std::vector<double> pass(const PairBatch<R>& batch, std::span<const double> shares, long draw, bool trains) {
    const int N = batch.pairs();
    const std::vector<int> counts = parallel_.counts(N);
    const int all = std::accumulate(counts.begin(), counts.end(), 0),
              before = std::accumulate(counts.begin(), counts.begin() + parallel_.rank(), 0);
    check(static_cast<int>(batch.pictures.size()) == N && all > 0, "contrastive", "a batch has ", batch.pictures.size(),
          " pictures and ", N, " texts, expected as many, and some");
    check(!trains || static_cast<int>(shares.size()) == N, "contrastive", "there are ", N, " pairs and ", shares.size(),
          " shares");
    const auto scope = ctx_.scope();
    const auto kept = ctx_.kept_scope();
    // Rows of all processes' pairs, among which its own are before .. before + N - 1.
    const auto all_pictures = keep<J>(ctx_, all), all_texts = keep<J>(ctx_, all);
    const auto all_dpictures = keep<J>(ctx_, all), all_dtexts = keep<J>(ctx_, all);
    const auto pictures = all_pictures.slice(before, N), texts = all_texts.slice(before, N);
    const auto dpictures = all_dpictures.slice(before, N), dtexts = all_dtexts.slice(before, N);
    const auto nll = take_vector<A, true>(ctx_, 2 * N);
    const auto lose = [&] {
      const auto inner = ctx_.kept_scope();
      parallel_.gather(ctx_, all_pictures, counts);
      parallel_.gather(ctx_, all_texts, counts);
      if (N == 0) {
        ops::clear(ctx_, all_dpictures);
        ops::clear(ctx_, all_dtexts);
      } else {
        const auto saved = Net::Loss::template forward<all_gradients>(ctx_, weights.views.log_scale, all_pictures,
                                                                      all_texts, {before, N}, nll, Net::smoothing);
        if (!trains) return;
        std::vector<A> of_nll;
        for (int n = 0; n < 2 * N; ++n) of_nll.push_back(A(shares[static_cast<std::size_t>(n % N)] / 2));
        Net::Loss::backward(ctx_, weights.views.log_scale, saved, table(ctx_, of_nll), all_dpictures, all_dtexts,
                            gradients.views.log_scale);
      }
      if (!trains) return;
      parallel_.sum(ctx_, all_dpictures);
      parallel_.sum(ctx_, all_dtexts);
    };

    const auto draws = [&](const Piece& piece) {
      return Net::draws(seed_, static_cast<std::uint64_t>(draw), static_cast<std::uint64_t>(before + piece.first));
    };

    const std::vector<Piece> pieces = pieces_of(batch);
    if (!trains) {
      for (const Piece& piece : pieces) encode<no_gradients>(piece, pictures, texts, Nothing{});
      lose();
    } else if (pieces.size() == 1) {
      const auto saved = encode<weight_gradients>(pieces[0], pictures, texts, draws(pieces[0]));
      lose();
      backward(pieces[0], saved, dpictures, dtexts);
    } else {
      for (const Piece& piece : pieces) encode<no_gradients>(piece, pictures, texts, draws(piece));
      lose();
      for (const Piece& piece : pieces) {
        const auto inner = ctx_.kept_scope();
        backward(piece, encode<weight_gradients>(piece, pictures, texts, draws(piece)), dpictures, dtexts);
      }
    }
    const auto of_each = host_copy(ctx_, nll);
    std::vector<double> losses;
    for (std::size_t n = 0; n < of_each.size() / 2; ++n)
      losses.push_back(static_cast<double>(of_each[n] + of_each[of_each.size() / 2 + n]) / 2);
    return losses;
  }

  /// Pairs that are encoded at one time.
  struct Piece {
    int first, count;
    Rows<P, 3, const R> pixels;
    std::vector<Grid> pictures;  ///< from row 0 of `pixels`
    typename Net::TextPlan texts;
  };
  std::vector<Piece> pieces_of(const PairBatch<R>& batch) const {
    const Rows<P, 3, const R> pixels = readable_rows<3>(ctx_, batch.pixels);
    check_grids("contrastive", batch.pictures, pixels.rows);
    const int N = batch.pairs(), most = options_.chunk > 0 ? options_.chunk : N;
    std::vector<Piece> pieces;
    for (int first = 0; first < N; first += most) {
      const int count = std::min(most, N - first);
      const auto at = static_cast<std::size_t>(first), size = static_cast<std::size_t>(count);
      std::vector<Grid> grids(batch.pictures.begin() + first, batch.pictures.begin() + first + count);
      const int begin = grids.front().first;
      for (Grid& grid : grids) grid.first -= begin;
      pieces.push_back({first, count, pixels.slice(begin, cells_of(grids)), std::move(grids),
                        Net::plan_of(std::span(batch.texts).subspan(at, size))});
    }
    return pieces;
  }

  template <Need need, class Draws>
  auto encode(const Piece& piece, const Rows<P, J>& pictures, const Rows<P, J>& texts, const Draws& draws) {
    const auto p = pictures.slice(piece.first, piece.count), t = texts.slice(piece.first, piece.count);
    auto saved = Net::template pictures<need>(ctx_, weights.views, piece.pixels, piece.pictures, p, draws);
    return std::pair(std::move(saved), Net::template texts<need>(ctx_, weights.views, piece.texts, t));
  }
  template <class Saved>
  void backward(const Piece& piece, const Saved& saved, const Rows<P, J>& dpictures, const Rows<P, J>& dtexts) {
    Net::pictures_backward(ctx_, weights.views, saved.first, piece.pictures, dpictures.slice(piece.first, piece.count),
                           NoGrad{}, gradients.views);
    Net::texts_backward(ctx_, weights.views, saved.second, piece.texts, dtexts.slice(piece.first, piece.count),
                        gradients.views);
  }

  PairLoss pass(const PairStream<R>& dataset, long number, long step, long draw) {
    const PairBatch<R> batch = dataset.batch(number);
    const double all = parallel_.sum(batch.pairs());
    const std::vector<double> shares(static_cast<std::size_t>(batch.pairs()), dataset.weight / all);
    return loss_of(dataset.name, pass(batch, shares, draw, true), all, step);
  }
  std::vector<PairLoss> merged(const std::vector<PairStream<R>>& mixture, long step) {
    PairBatch<R> all;
    std::vector<double> shares, pairs;  // pairs: of all processes, of each dataset
    std::vector<std::size_t> ends;
    for (const PairStream<R>& dataset : mixture) {
      const PairBatch<R> batch = dataset.batch(step);
      const int rows = rows_in(all.pixels.size(), 3);
      all.pixels.insert(all.pixels.end(), batch.pixels.begin(), batch.pixels.end());
      rows_in(all.pixels.size(), 3);  // what is added begins before that
      for (Grid grid : batch.pictures) {
        grid.first += rows;
        all.pictures.push_back(grid);
      }
      all.texts.insert(all.texts.end(), batch.texts.begin(), batch.texts.end());
      pairs.push_back(parallel_.sum(batch.pairs()));
      shares.resize(all.texts.size(), dataset.weight / pairs.back());
      ends.push_back(all.texts.size());
    }
    const std::vector<double> losses = pass(all, shares, step * static_cast<long>(mixture.size()), true);
    std::vector<PairLoss> reports;
    for (std::size_t m = 0, from = 0; m < ends.size(); from = ends[m++])
      reports.push_back(loss_of(mixture[m].name, std::span(losses).subspan(from, ends[m] - from), pairs[m], step));
    return reports;
  }
  /// Of this process's losses among those of `all` pairs.
  PairLoss loss_of(const std::string& dataset, std::span<const double> losses, double all, long step) const {
    PairLoss report{0, static_cast<int>(all)};
    for (const double loss : losses) report.loss += loss / all;
    report.loss = parallel_.sum(report.loss);
    check(std::isfinite(report.loss), "contrastive", "the loss of dataset ", dataset, " at step ", step,
          " is not finite");
    return report;
  }

  /// A gradient that is not finite is left as it is: the optimiser refuses it.
  void clip(ContrastiveReport& report) {
    if (options_.vision_clip > 0)
      report.clipped = clip_adaptively(ctx_, weights, gradients, {.share = options_.vision_clip, .excludes = is_other});
    const auto scope = ctx_.scope();
    const auto squares = take_vector<double>(ctx_, 1);
    clear_numbers(ctx_, squares.data, 1);
    each_other([&](View<P, 1, A> g) { ops::sum_of_squares<P, A>(ctx_, g, squares); });
    report.other_norm = std::sqrt(host_copy(ctx_, squares)[0]);
    if (options_.other_clip > 0 && report.other_norm > options_.other_clip) {
      const A scale = static_cast<A>(options_.other_clip / report.other_norm);
      each_other([&](View<P, 1, A> g) {  // seldom: through the host
        const auto numbers = host_copy(ctx_, g);
        std::vector<A> scaled;
        for (const A x : numbers) scaled.push_back(x * scale);
        upload(ctx_, scaled.data(), scaled.size(), g.data);
      });
    }
  }
  static bool is_other(const Spec& spec) { return !std::string_view(spec.name).starts_with("vision."); }
  /// Calls f with each gradient outside the vision encoder.
  template <class F>
  void each_other(const F& f) {
    auto visit = [&](const Spec& spec, auto& g) {
      if (is_other(spec)) f(View<P, 1, A>{g.data, {static_cast<int>(spec.size())}});
    };
    Net::each(visit, gradients.views);
  }

  Context<P>& ctx_;
  std::uint64_t seed_;
  Schedule schedule_;
  ContrastiveOptions options_;
  DataParallel<Net, P> parallel_;
};

/// Writes everything that a resumed run needs, and the config.
template <class Net, Platform P>
void save_checkpoint(const std::filesystem::path& path, const ContrastiveTrainer<Net, P>& trainer) {
  save_state(trainer.context(), path, trainer.weights, trainer.optimizer, {{"dual_encoder", field_text(Net::config)}},
             trainer.parallel());
}
/// Returns the step to continue after. Throws, with the trainer as it was, where the file does not fit.
template <class Net, Platform P>
long load_checkpoint(const std::filesystem::path& path, ContrastiveTrainer<Net, P>& trainer) {
  return load_state(path, trainer.weights, trainer.optimizer, {{"dual_encoder", field_text(Net::config)}});
}

}  // namespace flamingo
