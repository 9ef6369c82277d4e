/// Choosing among logits on the CPU.
#pragma once
#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include <flamingo/kernels/cpu/context.hpp>
#include <flamingo/ops/choice.hpp>

namespace flamingo::kernels {

template <Real R, Isa Set>
struct Choosing<Cpu<R, Set>> {
  using P = Cpu<R, Set>;

  static void likeliest(Context<P>&, In<P> logits, View<P, 1, const int> banned, int k, View<P, 1, Choice> best) {
    const std::span forbidden(banned.data, banned.size());
    std::vector<int> order;
    for (int n = 0; n < logits.rows; ++n) {
      const std::span<const R> row(logits.row(n), static_cast<std::size_t>(logits.width));
      const double total = flamingo::detail::log_sum_exp<R>(row);
      const auto at = [&](int id) { return static_cast<double>(row[static_cast<std::size_t>(id)]); };
      order.clear();
      for (int id = 0; id < logits.width; ++id)
        if (at(id) > -std::numeric_limits<double>::infinity() &&
            std::find(forbidden.begin(), forbidden.end(), id) == forbidden.end())
          order.push_back(id);
      const auto found = std::min(order.size(), static_cast<std::size_t>(k));
      std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(found), order.end(),
                        [&](int a, int b) { return at(a) != at(b) ? at(a) > at(b) : a < b; });
      Choice* const to = best.data + static_cast<std::ptrdiff_t>(n) * k;
      for (std::size_t i = 0; i < static_cast<std::size_t>(k); ++i)
        to[i] = i < found ? Choice{order[i], at(order[i]) - total} : Choice{};
    }
  }
};

}  // namespace flamingo::kernels
