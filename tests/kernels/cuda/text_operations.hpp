/// The ops that decoders, training and generation need besides operations.hpp's, run once on a platform.
#pragma once
#include <flamingo/ops/arrange.hpp>
#include <flamingo/ops/embedding.hpp>

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
};

template <Platform P>
Results text_operations() {
  TextOperations<P> run;
  run.embeddings();
  return run.results;
}

}  // namespace flamingo::test
