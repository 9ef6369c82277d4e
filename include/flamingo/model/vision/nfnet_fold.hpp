/// A frozen NFNet: its weights standardised once, as read-only weights of the folded layer in a format of choice.
#pragma once
#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flamingo/model/vision/nfnet.hpp>
#include <flamingo/model/weights.hpp>
#include <flamingo/ops/embedding.hpp>

namespace flamingo {

namespace detail {

/// An encoder's weights as a file that holds the folded one's: a tensor is computed when it is asked for, and only the
/// last one is in memory.
template <NfNet C, Platform P, class W>
class FoldedTensors {
 public:
  using Real = typename P::Real;
  using Fill = std::function<void(Real*)>;

  FoldedTensors(Context<P>& ctx, const W& weights) : ctx_(ctx) {
    std::string filters;  // of the last matrix: where gains follow, they are filters
    std::function<void(const Real*, Real*)> standardised;
    auto add = [&](const Spec& spec, const auto& leaf) {
      const std::string name(std::string_view(spec.name));
      if constexpr (requires { leaf.length; }) {
        if (name.ends_with(".gain"))
          tensors_.at(filters).second = [standardised, gains = leaf.data](Real* to) { standardised(gains, to); };
        else
          tensors_[name] = {{spec.columns}, [leaf](Real* to) { std::copy_n(leaf.data, leaf.size(), to); }};
      } else {
        filters = name;
        standardised = [this, leaf](const Real* gains, Real* to) { standardise(leaf, gains, to); };
        tensors_[name] = {{spec.rows, spec.columns}, [this, leaf](Real* to) { copy(leaf, to); }};
      }
    };
    model::NormFreeNet<C, P>::each(add, weights);
  }

  /// In double, whatever P: a loader reads f32 where it lies, and these numbers do not stay.
  const io::TensorView* find(std::string_view name) const {
    const auto found = tensors_.find(name);
    if (found == tensors_.end()) return nullptr;
    const auto& [shape, fill] = found->second;
    std::size_t size = 1;
    for (const std::int64_t extent : shape) size *= static_cast<std::size_t>(extent);
    std::vector<Real> numbers(size);
    fill(numbers.data());
    numbers_.assign(numbers.begin(), numbers.end());
    last_ = {std::string(name), io::DType::f64, shape, std::as_bytes(std::span<const double>(numbers_))};
    return &last_;
  }
  std::filesystem::path path() const { return "nfnet"; }

 private:
  template <class Leaf>
  void copy(const Leaf& leaf, Real* to) const {
    std::vector<int> rows(static_cast<std::size_t>(leaf.rows));
    std::iota(rows.begin(), rows.end(), 0);
    ops::embed(ctx_, table(ctx_, rows), any(leaf), Rows<P>{to, int(leaf.rows), Extent<dynamic>(leaf.columns)});
  }
  template <class Leaf>
  void standardise(const Leaf& leaf, const Real* gains, Real* to) const {
    ops::standardise(ctx_, model::standardisation<C>, any(leaf),
                     VectorView<P, dynamic, const Real>{gains, Extent<dynamic>(leaf.rows)},
                     MatrixView<P, dynamic, dynamic>{to, Extent<dynamic>(leaf.rows), Extent<dynamic>(leaf.columns)});
  }

  Context<P>& ctx_;
  std::map<std::string, std::pair<std::vector<std::int64_t>, Fill>, std::less<>> tensors_;
  mutable std::vector<double> numbers_;
  mutable io::TensorView last_;
};

}  // namespace detail

/// The weights of NormFreeNet<folded(C), P>, out of stored or packed ones of NormFreeNet<C, P>. They share nothing with
/// these; one tensor's numbers at a time are in memory twice.
template <NfNet C, Platform P, class W>
PackedWeights<model::NormFreeNet<folded(C), P>, P> fold(Context<P>& ctx, const W& weights,
                                                        Held held = Held::as_floats) {
  static_assert(!C.folded, "fold: the weights are folded already");
  check(held != Held::as_stored, "fold", "folded weights lie in no file: choose how they are held");
  using Folded = PackedWeights<model::NormFreeNet<folded(C), P>, P>;
  Folded all = Folded::load(std::make_shared<const detail::FoldedTensors<C, P, W>>(ctx, weights), held);
  all.owners.erase(all.owners.begin());  // the tensors: nothing was left in them
  return all;
}

}  // namespace flamingo
