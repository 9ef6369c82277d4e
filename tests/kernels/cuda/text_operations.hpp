/// The ops that decoders, training and generation need besides operations.hpp's, run once on a platform.
#pragma once
#include <flamingo/ops/activation.hpp>
#include <flamingo/ops/adamw.hpp>
#include <flamingo/ops/arrange.hpp>
#include <flamingo/ops/choice.hpp>
#include <flamingo/ops/cross_entropy.hpp>
#include <flamingo/ops/dropout.hpp>
#include <flamingo/ops/embedding.hpp>
#include <flamingo/ops/rotary.hpp>

#include "kernels/cuda/on_platform.hpp"

namespace flamingo::test {

/// Most numbers that one result below is a sum of, times the roundings of a term.
inline constexpr std::size_t roundings_of_text_operations = 2 * 301;

template <Platform P>
struct TextOperations : Run<P> {
  using typename Run<P>::R;
  using typename Run<P>::A;
  using Run<P>::ctx;

  /// N: a list longer than a block of scatter_add looks at; ids that nobody reads, that all read, and added rows.
  void embedding(int N, int D) {
    const int V = 11, added_rows = 3;
    const std::string name = "embed " + std::to_string(D) + ' ';
    std::vector<int> ids(static_cast<std::size_t>(N));
    for (int n = 0; n < N; ++n) ids[static_cast<std::size_t>(n)] = n % 3 == 0 ? 4 : n * n % 13;
    const auto index = table(ctx, ids);
    const auto words = this->matrix(V, D, 1), added = this->matrix(added_rows, D, 2), dwords = this->matrix(V, D, 3),
               dadded = this->matrix(added_rows, D, 4);
    const auto y = this->blank(N, D), dy = this->rows(N, D, 5);
    ops::embed(ctx, index, words, added, y);
    ops::embed_backward(ctx, index, V, dy, dwords, dadded);
    this->report(name + "y", y);
    this->report(name + "dtable", dwords);
    this->report(name + "dadded", dadded);
    ops::embed_backward(ctx, index, V, dy, NoGrad{}, dadded);
    this->report(name + "dadded alone", dadded);
    const auto masked = this->rows(5, D, 6);
    ops::clear_rows(ctx, table(ctx, std::vector<int>{3, 0, 3}), masked);
    this->report(name + "clear_rows", masked);
  }
  void embeddings() {
    embedding(301, 7);
    embedding(37, 1032);  // more columns than a block has
  }

  /// Rows and heads that fill no block, positions of many turns, and features that stay.
  void rotary(const std::string& name, const RotaryShape& shape, int heads) {
    const std::vector<int> positions{0, 1, 77, 4095, 131071};
    const auto places = table(ctx, positions);
    const auto x = this->rows(5, heads * shape.head_dim, 11), dx = this->rows(5, heads * shape.head_dim, 12);
    ops::rotary(ctx, shape, places, x);
    ops::rotary_backward(ctx, shape, places, dx);
    this->report(name + " x", x);
    this->report(name + " dx", dx);
  }
  void rotaries() {
    for (const RotaryPairs pairs : {RotaryPairs::halves, RotaryPairs::adjacent})
      for (const int K : {16, 6}) {
        const std::string name = (pairs == RotaryPairs::halves ? "halves " : "adjacent ") + std::to_string(K);
        rotary(name, {.head_dim = K, .turned = K, .pairs = pairs}, 3);
        rotary(name + " in part", {.head_dim = K, .turned = K / 2 / 2 * 2, .pairs = pairs}, 2);
      }
    rotary("stretched", {.head_dim = 16, .turned = 16, .base = 500000, .scaling = {8, 1, 4, 512}}, 1);
  }

  /// Chunks that divide the vocabulary and chunks that do not, added rows, and a share for every entry.
  void cross_entropy(int chunk, float smoothing) {
    const int N = 5, D = 7, V = 1036, added_rows = 3;
    const std::string name = "cross_entropy " + std::to_string(chunk) + (smoothing > 0 ? " smooth " : " ");
    const std::vector<int> targets{0, 1035, 1036, 1038, 511};
    const std::vector<A> shares{A(0.5), A(0.25), A(-1), A(0), A(2)};
    const auto asked = table(ctx, targets);
    const View<P, 1, const A> weights{this->put(shares), {N}};
    const auto x = this->rows(N, D, 41), dx = this->blank(N, D);
    const auto w = this->matrix(V, D, 42), added = this->matrix(added_rows, D, 43), dw = this->matrix(V, D, 44),
               dadded = this->matrix(added_rows, D, 45);
    const View<P, 1, A> nll{this->template blank<1, A>(N).data, {N}}, lse{this->template blank<1, A>(N).data, {N}};
    ops::cross_entropy(ctx, x, w, added, asked, chunk, nll, lse, smoothing);
    ops::cross_entropy_backward(ctx, x, w, added, asked, chunk, lse, weights, dx, dw, dadded, smoothing);
    this->report(name + "nll", nll);
    this->report(name + "lse", lse);
    this->report(name + "dx", dx);
    this->report(name + "dw", dw);
    this->report(name + "dadded", dadded);
  }

  /// Equal logits, banned ids, and more choices than a row has left.
  void likeliest() {
    const int N = 3, V = 1036, k = 9;
    auto logits = this->drawn_numbers(static_cast<std::size_t>(N * V), 61, -8, 8);
    logits[700] = logits[20] = R(9);
    const View<P, 1, Choice> best{this->put(std::vector<Choice>(N * k)), {N * k}};
    for (const std::vector<int>& banned : {std::vector<int>{}, std::vector<int>{3, 20, 1035}}) {
      ops::likeliest(ctx, Rows<P>{this->put(logits), N, Extent<dynamic>(V)}, table(ctx, banned), k, best);
      Result ids{"likeliest ids", {}}, log_p{"likeliest log_p", {}};
      for (const Choice& c : host_copy(ctx, best)) {
        ids.numbers.push_back(c.id);
        log_p.numbers.push_back(c.log_p);
      }
      this->results.insert(this->results.end(), {ids, log_p});
    }
  }

  void clamps() {
    const auto x = this->rows(5, 7, 51, -3, 3), dx = this->rows(5, 7, 52);
    ops::clamp(ctx, 1.25f, x);
    ops::clamp_backward(ctx, 1.25f, x, dx);
    this->report("clamp", x);
    this->report("clamp dx", dx);
  }

  void adamw(int size) {
    const std::string name = "adamw " + std::to_string(size) + ' ';
    const auto length = static_cast<std::size_t>(size);
    const auto numbers = [&](std::uint64_t stream, double low) {
      return View<P, 1, A>{this->put(this->template drawn_numbers<A>(length, stream, low, 1)), {size}};
    };
    const auto w = numbers(21, -1), g = numbers(22, -1), m = numbers(23, -1), v = numbers(24, 0.25);
    ops::adamw<P, A>(ctx, {.rate = 0.5, .epsilon = 1e-3, .decay = 0.25, .scale = 0.75, .step = 3}, w, g, m, v);
    this->report(name + "w", w);
    this->report(name + "m", m);
    this->report(name + "v", v);
    const View<P, 1, double> sum{this->put(std::vector<double>{2}), {1}};
    ops::sum_of_squares<P, A>(ctx, g, sum);
    this->report(name + "sum_of_squares", sum);
  }

  /// Moments of few bits after two steps: rounded by the same bits, wherever they lie.
  void adamw_of_few_bits(int size) {
    const auto length = static_cast<std::size_t>(size);
    const auto number = [&](std::uint64_t stream) {
      return View<P, 1, A>{this->put(this->template drawn_numbers<A>(length, stream, -1, 1)), {size}};
    };
    const auto g = number(22), w = number(21), other = number(23);
    const View<P, 1, bfloat16> first{this->put(std::vector<bfloat16>(length)), {size}},
        second{this->put(std::vector<bfloat16>(length)), {size}};
    const auto bytes = [&](std::size_t count) { return this->put(std::vector<std::uint8_t>(count)); };
    const BlockMoments<P, true> m{bytes(length), bytes(length / 16), {size}};
    const BlockMoments<P, false> v{bytes(length), bytes(length / 16), {size}};
    for (int step = 1; step < 3; ++step) {
      const AdamWStep update{.rate = 0.5, .epsilon = 1e-3, .decay = 0.25, .step = step, .first = 32};
      ops::adamw<P, A>(ctx, update, w, g, first, second);
      ops::adamw<P, A>(ctx, update, other, g, m, v);
    }
    ops::follow<P, A>(ctx, 0.25, g, g);
    ops::follow<P, A>(ctx, 0.25, w, g);
    this->report("follow", g);
    this->report("adamw, bf16 moments", w);
    this->report("adamw, moments of a byte", other);
  }

  void dropout() {
    const auto x = this->rows(9, 13, 31), y = this->blank(9, 13);
    ops::dropout(ctx, {.probability = 0.375, .key = Random(5, 7), .first = 3}, x, y);
    this->report("dropout", y);
    ops::dropout(ctx, {.probability = 0.5, .key = Random(1ull << 40, 1ull << 50), .first = 1ull << 33}, x, x);
    this->report("dropout in place", x);
  }
};

template <Platform P>
Results text_operations() {
  TextOperations<P> run;
  run.embeddings();
  run.rotaries();
  for (const int size : {5003, 4100}) run.adamw(size);  // one by one, and 16 bytes at a time
  run.adamw_of_few_bits(4112);
  run.dropout();
  for (const int chunk : {2000, 256}) run.cross_entropy(chunk, 0);
  run.cross_entropy(1000, 0.125f);
  run.clamps();
  run.likeliest();
  return run.results;
}

}  // namespace flamingo::test
