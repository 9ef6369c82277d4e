/// A golden file while it is checked: its numbers, its batch without padding, and which results are still unchecked.
#pragma once
#include <filesystem>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flamingo/model/tensor_map.hpp>

#include "check/report.hpp"
#include "support/golden.hpp"
#include "support/tensor.hpp"

namespace flamingo::test {

/// Calls f(number of ours, number of theirs) for every number of a parameter.
template <class F>
void each_number(const Spec& spec, const TensorPlace& place, const io::TensorView& tensor, const F& f) {
  const bool vector = spec.role == Role::vector || place.layout == Layout::line;
  const int rows = vector ? spec.columns : spec.rows, columns = vector ? 1 : spec.columns;
  const int extent = tensor.shape.empty() ? 1 : static_cast<int>(tensor.shape.back());
  for (int r = 0; r < rows; ++r)
    for (int c = 0; c < columns; ++c) {
      int theirs = place.row(r) * columns + c;
      if (place.layout == Layout::transposed) theirs = c * extent + place.row(r);
      if (place.layout == Layout::channels_first) {
        const int cells = columns / place.channels;
        theirs = place.row(r) * columns + c % place.channels * cells + c / place.channels;
      }
      f(static_cast<std::size_t>(r * columns + c), static_cast<std::size_t>(theirs));
    }
}

/// A batch of rows that are padded on either side, as the sequences that it holds.
struct PaddedBatch {
  int length = 0;                                  ///< of a padded row
  std::vector<std::vector<int>> sequences, order;  ///< ids of each; where each lies in the padded batch
  std::vector<int> places;                         ///< of all tokens, one sequence after another

  PaddedBatch(const io::TensorView& ids, const std::vector<int>& mask) : length(static_cast<int>(ids.shape[1])) {
    const auto all = numbers<int>(ids);
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (i % static_cast<std::size_t>(length) == 0) {
        sequences.emplace_back();
        order.emplace_back();
      }
      if (!mask[i]) continue;
      sequences.back().push_back(all[i]);
      order.back().push_back(static_cast<int>(i));
      places.push_back(static_cast<int>(i));
    }
  }

  /// What should follow each token of sequence b, or -1, from labels whose ignored places are -100.
  std::vector<int> targets(std::size_t b, const std::vector<int>& labels) const {
    std::vector<int> all;
    for (const int place : order[b]) {
      const auto next = static_cast<std::size_t>(place) + 1;
      all.push_back(next % static_cast<std::size_t>(length) && labels[next] != -100 ? labels[next] : -1);
    }
    return all;
  }
};

class Golden {
 public:
  explicit Golden(const std::filesystem::path& path) : file(path) {
    for (const io::TensorView& tensor : file.tensors())
      if (const std::string_view kind = std::string_view(tensor.name).substr(0, tensor.name.find('.'));
          kind == "mid" || kind == "out" || kind == "grad" || kind == "grad_in" || kind == "gen")
        left_.insert(std::string(tensor.name));
  }

  io::Safetensors file;
  Report report;

  std::vector<float> at(std::string_view name) const { return numbers<float>(file.at(name)); }
  std::vector<int> ids(std::string_view name) const { return numbers<int>(file.at(name)); }
  bool has(std::string_view name) const { return file.find(name) != nullptr; }
  io::Json meta(std::string_view name) const { return metadata(file, name); }
  /// `places` among the rows of a golden tensor.
  std::vector<float> rows(std::string_view name, const std::vector<int>& places) {
    const auto all = at(name);
    const auto width = static_cast<std::size_t>(file.at(name).shape.back());
    std::vector<float> some;
    for (const int place : places) {
      const auto from = all.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(place) * width);
      some.insert(some.end(), from, from + static_cast<std::ptrdiff_t>(width));
    }
    return some;
  }
  void checked(const std::string& name) { left_.erase(name); }

  /// An output against the golden of this name, whole or at `places` among its rows.
  template <class T>
  void output(const std::string& name, std::span<const T> ours) {
    const auto theirs = at(name);
    report.output(name, ours, std::span<const float>(theirs));
    checked(name);
  }
  template <class T>
  void output(const std::string& name, const Tensor<T>& ours) {
    output(name, std::span<const T>(ours.data(), ours.size()));
  }
  template <class T>
  void output(const std::string& name, const Tensor<T>& ours, const std::vector<int>& places) {
    const auto theirs = rows(name, places);
    report.output(name, std::span<const T>(ours.data(), ours.size()), std::span<const float>(theirs));
    checked(name);
  }
  template <class T>
  void gradient(const std::string& name, const Tensor<T>& ours) {
    const auto theirs = at(name);
    report.gradient(name, std::span<const T>(ours.data(), ours.size()), std::span<const float>(theirs));
    checked(name);
  }

  /// The numbers of a layer's parameters, out of `weights`, whose tensors are called `prefix` and what `names` says.
  template <class Layer, class Parameters>
  void load(const io::Safetensors& weights, Parameters& p, const TensorTable& names, const std::string& prefix = "") {
    auto fill = [&](const Spec& spec, auto& leaf) {
      using T = std::remove_reference_t<decltype(*leaf.data)>;
      const TensorPlace place = names.place(spec);
      const io::TensorView& tensor = weights.at(prefix + place.name);
      const auto theirs = numbers<double>(tensor);
      each_number(spec, place, tensor, [&](std::size_t i, std::size_t j) { leaf.data[i] = T(theirs.at(j)); });
    };
    Layer::each(fill, p);
  }
  /// Gradients of a layer, put together as the reference's tensors. Those that it has none of are left out.
  template <class Layer, class Parameters>
  void gradients(const Parameters& g, const TensorTable& names, const std::string& prefix = "grad.") {
    auto put = [&](const Spec& spec, const auto& leaf) {
      const TensorPlace place = names.place(spec);
      const io::TensorView* tensor = file.find(prefix + place.name);
      if (!tensor) return;
      auto& whole = gathered_[prefix + place.name];
      // A number that no parameter of ours holds stays a NaN, which agrees with nothing.
      whole.resize(static_cast<std::size_t>(tensor->count()), std::numeric_limits<double>::quiet_NaN());
      each_number(spec, place, *tensor,
                  [&](std::size_t i, std::size_t j) { whole.at(j) = static_cast<double>(leaf.data[i]); });
    };
    Layer::each(put, g);
  }

  /// The report, once all that was gathered is compared. What nothing was compared with is named in it.
  Report finish() {
    for (const auto& [name, ours] : gathered_) {
      const auto theirs = at(name);
      report.gradient(name, std::span<const double>(ours), std::span<const float>(theirs));
      checked(name);
    }
    for (const std::string& name : left_) report.note("nothing was compared with " + name);
    return report;
  }

 private:
  std::set<std::string> left_;
  std::map<std::string, std::vector<double>> gathered_;
};

}  // namespace flamingo::test
