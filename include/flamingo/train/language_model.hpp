/// Training of a language model by itself: a decoder of any kind on windows of a text, all of it or its added rows.
///
///   loss = mean over the tokens asked for of -log p(token | tokens before it)
#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <flamingo/core/random.hpp>
#include <flamingo/core/store.hpp>
#include <flamingo/model/decoder.hpp>
#include <flamingo/model/media.hpp>
#include <flamingo/ops/arrange.hpp>
#include <flamingo/train/data_parallel.hpp>
#include <flamingo/train/optimizer.hpp>
#include <flamingo/train/rounded_weights.hpp>
#include <flamingo/train/schedule.hpp>

namespace flamingo {

/// Cuts sequences of `length` tokens out of a text, each asked for the token after it.
struct TextWindows {
  std::span<const int> text;  ///< ids of all documents, one after another
  int length = 256;

  /// The window from token `first` on; it reads one token more, as its last target.
  Sequence at(std::size_t first) const {
    const auto from = text.begin() + static_cast<std::ptrdiff_t>(first);
    return {.ids = {from, from + length},
            .phi = std::vector<int>(static_cast<std::size_t>(length), 0),
            .targets = {from + 1, from + 1 + length}};
  }
  /// Windows that follow one another without overlap; what is left at the end is dropped.
  std::size_t count() const {
    check(length > 0, "text", "a window of ", length, " tokens, expected at least 1");
    return text.empty() ? 0 : (text.size() - 1) / static_cast<std::size_t>(length);
  }
  /// `batch` windows from drawn places: a function of seed and step, so that a resumed run sees what it would have
  /// seen.
  std::vector<Sequence> drawn(std::uint64_t seed, long step, int batch) const {
    check(length > 0 && text.size() > static_cast<std::size_t>(length), "text", "it has ", text.size(),
          " tokens, expected more than one window of ", length);
    Random random(seed, static_cast<std::uint64_t>(step));
    std::vector<Sequence> all;
    const auto places =
        static_cast<int>(std::min<std::size_t>(text.size() - static_cast<std::size_t>(length), 1 << 30));
    for (int i = 0; i < batch; ++i) all.push_back(at(static_cast<std::size_t>(random.below(places))));
    return all;
  }
};

/// What a pass over a batch of text gave.
struct TextLoss {
  double loss = 0;  ///< mean nats a token
  int tokens = 0;   ///< that were asked for
};

/// A decoder over a batch, forward and backward. W are its weights under any policy; G decides what is trained:
/// Parameters<Stored> everything, Parameters<Adapters> the added rows, Parameters<Frozen> nothing.
template <class Decoder, Platform P>
struct TextPass {
  static constexpr int D = Decoder::D, vocabulary_chunk = 8192;
  static constexpr auto layers = Decoder::layers;
  using Block = typename Decoder::Block;
  using A = AccumulateOf<P>;

  /// The mean loss; adds `lambda` times its gradient to g where that is not 0.
  template <class W, class G>
  static TextLoss run(Context<P>& ctx, const W& w, std::span<const Sequence> batch, double lambda, const G& g) {
    constexpr bool everything = wanted<decltype(g.embedding)>, something = everything || wanted<decltype(g.added)>;
    constexpr Need need{.inputs = something, .weights = everything};
    const auto scope = ctx.scope();
    const auto kept = ctx.kept_scope();
    const DecoderPlan plan = DecoderPlan::of(batch, {}, 1);
    const int N = plan.rows(), asked = static_cast<int>(plan.targets.size());
    const Positions<P> positions{table(ctx, plan.positions), plan.distances()};
    const auto ids = table(ctx, plan.ids), targets = table(ctx, plan.targets), loss_rows = table(ctx, plan.loss_rows);
    const auto self = table(ctx, plan.self);

    std::array<typename Block::template Saved<need>, layers> saved;
    auto x = keep<D>(ctx, N);
    Decoder::embed(ctx, w, ids, x);
    for (std::size_t i = 0; i < layers; ++i) {
      const auto k = keep<Block::KV>(ctx, N), v = keep<Block::KV>(ctx, N);
      const auto z = keep<D>(ctx, N);
      Pools<P> pools;
      pools.add({k, v});
      saved[i] = Block::template forward<need>(ctx, w.blocks[i], x, positions, k, v, pools, self, z);
      x = z;
    }
    const auto asked_rows = keep<D>(ctx, asked);
    const auto nll = take_vector<A, true>(ctx, asked);
    ops::gather(ctx, x, loss_rows, asked_rows);
    const auto lost = Decoder::template loss<need>(ctx, w, asked_rows, targets, vocabulary_chunk, nll);
    TextLoss report{0, asked};
    for (const A lost_at : host_copy(ctx, nll)) report.loss += static_cast<double>(lost_at) / asked;

    if constexpr (something)
      if (lambda != 0 && asked > 0) {
        const std::vector<A> share(static_cast<std::size_t>(asked), static_cast<A>(lambda / asked));
        const auto dasked = scratch<D>(ctx, asked);
        auto dx = scratch<D>(ctx, N), dnext = scratch<D>(ctx, N);
        Decoder::loss_backward(ctx, w, lost, targets, vocabulary_chunk, table(ctx, share), dasked, g);
        ops::clear(ctx, dx);
        ops::scatter_add(ctx, dasked, loss_rows, dx);
        for (std::size_t i = layers; i-- > 0;) {
          Block::backward(ctx, w.blocks[i], saved[i], positions, self, dx, dnext, g.blocks[i]);
          std::swap(dx, dnext);
        }
        Decoder::embed_backward(ctx, ids, dx, g);
      }
    return report;
  }
};

/// Pretraining: every parameter of the decoder of config C is trained.
template <auto C, Platform P>
class LanguageModelTrainer {
 public:
  using Decoder = DecoderOf<C, P>;
  static constexpr auto config = C;

  /// No decay on vectors; 0.1 on matrices and tables.
  static OptimizerOptions default_options() {
    OptimizerOptions options{.beta1 = 0.9, .beta2 = 0.95};
    options.group = [](const Spec& spec) { return Group{1, spec.role == Role::vector ? 0.0 : 0.1}; };
    return options;
  }
  LanguageModelTrainer(Context<P>& ctx, std::uint64_t seed, Schedule schedule,
                       OptimizerOptions options = default_options())
      : weights(seed), optimizer(std::move(options)), ctx_(ctx), schedule_(schedule) {}

  Context<P>& context() const { return ctx_; }

  /// From now on update() and loss() are those of all processes of the group, each with sequences of its own, or none.
  /// Each process joins before its first step or before it reads a checkpoint, with the same weights as the others; the
  /// group must outlive the trainer. save_state() takes parallel().
  void join(dist::Group<P>& group, DataParallelOptions options = {}) { parallel_.join(group, optimizer, options); }
  const DataParallel<Decoder, P>& parallel() const { return parallel_; }

  Store<Decoder, P, AccumulateOf<P>> weights, gradients;  ///< P reads weights rounded to its own numbers
  Optimizer<Decoder, P> optimizer;

  struct Update : TextLoss {
    double gradient_norm = 0, rate = 0;
  };
  /// One update on `batch`, taken `pieces` parts at a time: the gradient is the whole batch's, memory that of a part.
  /// Throws, with the weights untouched, where the loss or the gradient is not finite.
  Update update(std::span<const Sequence> batch, int pieces = 1) {
    const long step = optimizer.steps() + 1;
    const double all = parallel_.sum(static_cast<double>(targets_of(batch)));
    check(pieces > 0 && all > 0, "trainer", "a batch of ", batch.size(), " sequences with ", all, " targets in ",
          pieces, " pieces, expected at least one of each");
    Update report;
    parallel_.begin_update(ctx_, weights, step);
    gradients.clear(ctx_);
    read_.round(ctx_, weights);    // whoever wrote them
    std::array<double, 2> sums{};  // nats, tokens
    const std::size_t part = (batch.size() + static_cast<std::size_t>(pieces) - 1) / static_cast<std::size_t>(pieces);
    for (std::size_t at = 0; at < batch.size(); at += part) {
      const auto some = batch.subspan(at, std::min(part, batch.size() - at));
      const double share = static_cast<double>(targets_of(some)) / all;
      const TextLoss loss = TextPass<Decoder, P>::run(ctx_, read_.views, some, share, gradients.views);
      sums[0] += share * loss.loss;
      sums[1] += loss.tokens;
    }
    parallel_.complete(ctx_, gradients);
    parallel_.sum(sums);
    report.loss = sums[0];
    report.tokens = static_cast<int>(sums[1]);
    check(std::isfinite(report.loss), "trainer", "the loss at step ", step, " is not finite");
    report.rate = schedule_.rate(step);
    report.gradient_norm = parallel_.step(ctx_, optimizer, weights, gradients, report.rate);
    return report;
  }

  /// The mean loss of sequences, `batch` of them at a time.
  TextLoss loss(std::span<const Sequence> sequences, std::size_t batch) {
    check(batch > 0, "trainer", "got 0 sequences at a time, expected at least 1");
    std::array<double, 2> sums{};  // nats, tokens
    read_.round(ctx_, weights);
    for (std::size_t at = 0; at < sequences.size(); at += batch) {
      const auto some = sequences.subspan(at, std::min(batch, sequences.size() - at));
      const TextLoss one = TextPass<Decoder, P>::run(ctx_, read_.views, some, 0, frozen<Decoder>);
      sums[0] += one.loss * one.tokens;
      sums[1] += one.tokens;
    }
    parallel_.sum(sums);
    return {sums[1] > 0 ? sums[0] / sums[1] : 0, static_cast<int>(sums[1])};
  }

 private:
  static std::size_t targets_of(std::span<const Sequence> batch) {
    std::size_t n = 0;
    for (const Sequence& s : batch)
      n += static_cast<std::size_t>(std::count_if(s.targets.begin(), s.targets.end(), [](int t) { return t >= 0; }));
    return n;
  }

  Context<P>& ctx_;
  Schedule schedule_;
  RoundedWeights<Decoder, P> read_;
  DataParallel<Decoder, P> parallel_;
};

}  // namespace flamingo
