/// Choosing among logits on the CPU: pieces of the vocabulary are shared between threads, and what they found is put
/// together in their order.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>

#include <flamingo/kernels/cpu/context.hpp>
#include <flamingo/kernels/cpu/vector_math.hpp>
#include <flamingo/ops/choice.hpp>

namespace flamingo::kernels {

template <Real R, Isa Set>
struct Choosing<Cpu<R, Set>> {
  using P = Cpu<R, Set>;
  using M = VectorMath<R, Set>;
  using V = typename M::Vector;

  static void likeliest(Context<P>& ctx, In<P> logits, View<P, 1, const int> banned, int k, View<P, 1, Choice> best) {
    const auto scope = ctx.scope();
    const int width = logits.width, pieces = (width + piece - 1) / piece, each = std::min(k, piece);
    const std::span forbidden(banned.data, banned.size());
    const auto sums = take_vector<Sum>(ctx, logits.rows * pieces);
    const auto found = take_vector<Choice>(ctx, logits.rows * pieces * each);
    ctx.threads().run(logits.rows * pieces, [&](int task) {
      const int first = task % pieces * piece, count = std::min(piece, width - first);
      const R* from = logits.row(task / pieces) + first;
      sums.data[task] = sum_of(from, static_cast<std::size_t>(count));
      const std::span to(found.data + static_cast<std::ptrdiff_t>(task) * each, static_cast<std::size_t>(each));
      choose(from, static_cast<std::size_t>(count), first, forbidden, to);
    });
    for (int n = 0; n < logits.rows; ++n) {
      const double total = log_sum({sums.data + static_cast<std::ptrdiff_t>(n) * pieces, std::size_t(pieces)});
      const std::span to(best.data + static_cast<std::ptrdiff_t>(n) * k, static_cast<std::size_t>(k));
      std::fill(to.begin(), to.end(), Choice{});
      for (int i = 0; i < pieces * each; ++i)
        if (const Choice& c = found.data[static_cast<std::ptrdiff_t>(n) * pieces * each + i]; c.id >= 0) insert(to, c);
      for (Choice& c : to)
        if (c.id >= 0) c.log_p -= total;
    }
  }

 private:
  static constexpr int piece = 4096;  ///< ids: some microseconds

  struct Sum {
    double maximum, exps;  ///< Σ exp(z - maximum)
  };
  /// In double, whatever R.
  static Sum sum_of(const R* z, std::size_t count) {
    using D = VectorMath<double, Set>;
    constexpr double none = -std::numeric_limits<double>::infinity();
    double maximum = none;
    for (std::size_t i = 0; i < count; ++i) maximum = std::max(maximum, static_cast<double>(z[i]));
    if (maximum == none) return {none, 0};
    const double exps = D::sum(count, [&](typename D::Part i) {
      typename D::Vector v = D::all(none);
      for (std::size_t j = 0; j < i.count; ++j) v[j] = static_cast<double>(z[i.first + j]);
      return D::exp(v - maximum);
    });
    return {maximum, exps};
  }
  /// log Σ exp over all pieces.
  static double log_sum(std::span<const Sum> sums) {
    double maximum = -std::numeric_limits<double>::infinity(), total = 0;
    for (const Sum& s : sums) maximum = std::max(maximum, s.maximum);
    for (const Sum& s : sums)
      if (s.exps > 0) total += s.exps * std::exp(s.maximum - maximum);
    return maximum + std::log(total);
  }

  /// The largest first, of equals the one that came first; the last falls out.
  static void insert(std::span<Choice> best, const Choice& c) {
    if (!(c.log_p > best.back().log_p)) return;
    std::size_t at = best.size() - 1;
    for (; at > 0 && c.log_p > best[at - 1].log_p; --at) best[at] = best[at - 1];
    best[at] = c;
  }
  /// The largest logits (in log_p) of ids that are not forbidden.
  static void choose(const R* z, std::size_t count, int first, std::span<const int> forbidden, std::span<Choice> best) {
    std::fill(best.begin(), best.end(), Choice{});
    constexpr std::size_t block = 8 * M::lanes;
    for (std::size_t i = 0; i < count; i += block) {
      const std::size_t end = std::min(count, i + block);
      if (end - i == block && !exceeds(z + i, static_cast<R>(best.back().log_p))) continue;
      for (std::size_t j = i; j < end; ++j) {
        const int id = first + static_cast<int>(j);
        if (const auto logit = static_cast<double>(z[j]);
            logit > best.back().log_p && std::find(forbidden.begin(), forbidden.end(), id) == forbidden.end())
          insert(best, {id, logit});
      }
    }
  }
  /// Whether one of a block's numbers is larger. Most blocks hold none of the likeliest.
  static bool exceeds(const R* z, R least) {
    V most = M::load(z);
    for (std::size_t i = 1; i < 8; ++i) most = M::max(M::load(z + i * M::lanes), most);
    return M::total(most > least ? M::all(R(1)) : V{}) > R(0);
  }
};

}  // namespace flamingo::kernels
