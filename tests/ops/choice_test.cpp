#include <flamingo/ops/choice.hpp>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <span>
#include <vector>

#include <flamingo/core/random.hpp>
#include <flamingo/kernels/cpu/choice.hpp>

#include "support/platforms.hpp"

namespace choice_test {

using namespace flamingo;
using namespace flamingo::test;

template <class P>
std::vector<Choice> chosen(std::vector<typename P::Real> logits, int rows, std::vector<int> banned, int k,
                           int threads = 1) {
  Context<P> ctx{threads};
  std::vector<Choice> best(static_cast<std::size_t>(rows * k));
  const int V = static_cast<int>(logits.size()) / rows;
  ops::likeliest(ctx, Rows<P>{logits.data(), rows, Extent<dynamic>(V)}, table(ctx, banned), k,
                 View<P, 1, Choice>{best.data(), {rows * k}});
  return best;
}

TEMPLATE_LIST_TEST_CASE("the likeliest come first, the lowest of equals before the others", "[choice]", Platforms) {
  using R = typename TestType::Real;
  const R none = -std::numeric_limits<R>::infinity();
  const std::vector<R> logits{1, 3, 2, 3, none, 0, 0, 0, 0, 0};
  const auto best = chosen<TestType>(logits, 2, {}, 3);
  const std::vector<int> expected{1, 3, 2, 0, 1, 2};
  for (std::size_t i = 0; i < expected.size(); ++i) CHECK(best[i].id == expected[i]);
  CHECK(best[0].log_p == Approx(3 - std::log(std::exp(1) + 2 * std::exp(3) + std::exp(2))));
  CHECK(best[5].log_p == Approx(-std::log(5)));

  // What is banned counts in the sum; what is not there is -1.
  const auto few = chosen<TestType>(logits, 2, {1, 2}, 4);
  CHECK((few[0].id == 3 && few[0].log_p == best[1].log_p));
  CHECK((few[1].id == 0 && few[2].id == -1 && few[3].id == -1 && few[3].log_p == Choice{}.log_p));
}

TEMPLATE_LIST_TEST_CASE("a large vocabulary is chosen from as a small one, on any number of threads", "[choice]",
                        Platforms) {
  using R = typename TestType::Real;
  const int rows = 2, width = 10007, k = 40;
  std::vector<R> logits;
  Random draw(3, 1);
  for (int i = 0; i < rows * width; ++i) logits.push_back(R(draw.below(2000)) / 100);  // many are equal
  const std::vector<int> banned{5, 4096, 10006};
  const auto best = chosen<TestType>(logits, rows, banned, k), shared = chosen<TestType>(logits, rows, banned, k, 3);
  for (int n = 0; n < rows; ++n) {
    const std::span<const R> row(logits.data() + n * width, std::size_t{width});
    const double total = flamingo::detail::log_sum_exp(row);
    std::vector<int> order;
    for (int id = 0; id < width; ++id)
      if (std::find(banned.begin(), banned.end(), id) == banned.end()) order.push_back(id);
    const auto logit = [&](int id) { return static_cast<double>(row[static_cast<std::size_t>(id)]); };
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return logit(a) > logit(b); });
    bool right = true;
    for (std::size_t i = 0; i < std::size_t{k}; ++i) {
      const Choice& c = best[static_cast<std::size_t>(n * k) + i];
      right &= c.id == order[i] && std::abs(c.log_p - (logit(order[i]) - total)) < 1e-12;
      right &= shared[static_cast<std::size_t>(n * k) + i].id == c.id;
      right &= shared[static_cast<std::size_t>(n * k) + i].log_p == c.log_p;
    }
    CHECK(right);
  }
}

TEST_CASE("more choices than ids are refused", "[choice]") {
  CHECK_THROWS_WITH(chosen<Cpu<double>>({1, 2, 3, 4}, 2, {}, 3), "[likeliest] 3 of each row of (2, 2) for 6 choices");
  CHECK_THROWS_WITH(chosen<Cpu<double>>({1, 2, 3, 4}, 2, {}, 0), "[likeliest] 0 of each row of (2, 2) for 0 choices");
}

}  // namespace choice_test
