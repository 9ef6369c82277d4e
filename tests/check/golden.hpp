/// A golden file while it is checked: its numbers, its batch without padding, its gradients put together as the peer
/// has them.
#pragma once
#include <algorithm>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <flamingo/model/weights.hpp>

#include "check/report.hpp"
#include "support/golden.hpp"
#include "support/tensor.hpp"

namespace flamingo::test {

/// A context of one thread, or of an emulated device.
template <Platform P>
Context<P> check_context() {
  if constexpr (requires { Context<P>(1, std::size_t{1} << 26).threads(); })
    return Context<P>(1);
  else
    return Context<P>(std::size_t{1} << 26, std::size_t{1} << 20);
}

/// Waits for a device, whose copies land when they are waited for.
template <Platform P>
void finish(Context<P>& ctx) {
  if constexpr (requires { ctx.wait(); }) ctx.wait();
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
  explicit Golden(const std::filesystem::path& path) : file(path), report(file) {}

  io::Safetensors file;
  Report report;

  std::vector<float> at(std::string_view name) const { return numbers<float>(file.at(name)); }
  std::vector<int> ids(std::string_view name) const { return numbers<int>(file.at(name)); }
  bool has(std::string_view name) const { return file.find(name) != nullptr; }
  io::Json meta(std::string_view name) const { return metadata(file, name); }

  /// A tensor as rows of its last axis.
  template <class R>
  Tensor<R> rows(std::string_view name) const {
    const auto all = numbers<R>(file.at(name));
    const int columns = static_cast<int>(file.at(name).shape.back());
    Tensor<R> t(static_cast<int>(all.size()) / columns, columns);
    std::copy(all.begin(), all.end(), t.begin());
    return t;
  }

  /// An output against the golden of this name, or against its rows at `places`.
  template <class T>
  void output(const std::string& name, std::span<const T> ours) {
    report.output(name, ours, at(name));
  }
  template <class T>
  void output(const std::string& name, const Tensor<T>& ours) {
    output(name, std::span<const T>(ours.data(), ours.size()));
  }
  template <class T>
  void output(const std::string& name, const Tensor<T>& ours, const std::vector<int>& places) {
    const auto all = at(name);
    const auto width = static_cast<std::ptrdiff_t>(file.at(name).shape.back());
    std::vector<float> rows;
    for (const int place : places)
      rows.insert(rows.end(), all.begin() + place * width, all.begin() + (place + 1) * width);
    report.output(name, std::span<const T>(ours.data(), ours.size()), rows);
  }
  template <class T>
  void gradient(const std::string& name, const Tensor<T>& ours) {
    report.gradient(name, std::span<const T>(ours.data(), ours.size()), at(name));
  }

  /// Gradients of a layer, put together as the reference's tensors. What it has no gradient of is left out.
  template <class Layer, class Parameters>
  void gradients(const Parameters& g, const TensorTable& names, const std::string& prefix = "grad.") {
    TensorWriter writer(io::DType::f64);
    writer.add<Layer>(g, names);
    for (const io::TensorView& ours : writer.tensors())
      if (const io::TensorView* theirs = file.find(prefix + ours.name))
        report.gradient(theirs->name, numbers<double>(ours), numbers<double>(*theirs));
  }
};

}  // namespace flamingo::test
