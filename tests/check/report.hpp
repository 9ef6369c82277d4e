/// What came of one golden file: how far outputs and gradients lie from it, and whether decoding gave its tokens.
///
/// Agreement as for every golden: ‖ours - theirs‖₂ / ‖theirs‖₂ of each tensor is at most 1e-5 for outputs and 1e-4 for
/// gradients, or four times the file's own float64_check where that is larger.
#pragma once
#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>

#include <flamingo/io/json.hpp>
#include <flamingo/io/safetensors.hpp>

#include "support/golden.hpp"

namespace flamingo::test {

struct Report {
  double outputs = 0,
         gradients = 0;      ///< worst relative distance of a tensor; infinite where shapes differ or one is NaN
  bool tokens = true;        ///< decoding gave the same tokens
  std::string worst;         ///< the tensor whose distance is the largest part of what is allowed
  std::string wrong;         ///< tensors of other sizes, tokens that differ, whatever else a check notes
  double float64_check = 0;  ///< how far the file's own gradients lie from a float64 run's
  double largest_norm = 0;   ///< of a gradient in the file

  Report() = default;
  explicit Report(const io::Safetensors& file) {
    for (const auto& [key, text] : file.metadata())
      if (key == "float64_check")
        if (const io::Json check = io::Json::parse(text, file.path().string());
            const io::Json* worst_gradient = check.find("worst_gradient_error_relative_to_largest_in_its_tensor"))
          float64_check = worst_gradient->as_double();
    double largest = 0;
    for (const io::TensorView& tensor : file.tensors()) {
      if (tensor.name.starts_with("grad")) {
        double square = 0;
        for (const double x : numbers<double>(tensor)) square += x * x;
        largest = std::max(largest, square);
      }
      // Inputs and parameters need no comparison.
      for (const std::string_view kind : {"mid.", "out.", "grad.", "grad_in.", "gen."})
        if (tensor.name.starts_with(kind)) left_.insert(tensor.name);
    }
    largest_norm = std::sqrt(largest);
  }

  double output_bound() const { return 1e-5; }
  double gradient_bound() const { return std::max(1e-4, 4 * float64_check); }

  template <class A, class B>
  void output(std::string_view name, const A& ours, const B& theirs) {
    const auto [error, norm] = distance(ours, theirs);
    count(name, error == 0 ? 0 : error / norm, output_bound(), outputs);
  }
  /// Small gradients are held to a share of the largest one: sums of terms that cancel keep the terms' rounding errors.
  /// Those that are zero by nature (a bias of all keys) are nothing but such errors, of both programs.
  template <class A, class B>
  void gradient(std::string_view name, const A& ours, const B& theirs) {
    const auto [error, norm] = distance(ours, theirs);
    const double least = largest_norm * (norm < 1e-5 * largest_norm ? 1e-2 : 1e-3);
    count(name, error == 0 ? 0 : error / std::max(norm, least), gradient_bound(), gradients);
  }
  /// Ids that must be the same.
  template <class A, class B>
  void same(std::string_view name, const A& ours, const B& theirs) {
    left_.erase(std::string(name));
    if (std::equal(std::begin(ours), std::end(ours), std::begin(theirs), std::end(theirs))) return;
    tokens = false;
    note(std::string(name) + " differs");
  }
  void note(const std::string& what) { wrong += (wrong.empty() ? "" : "; ") + what; }
  /// A tensor that holds nothing to compare, or that another one's comparison covers.
  void skip(std::string_view name) { left_.erase(std::string(name)); }

  /// Names of the file's results that nothing was compared with.
  const std::set<std::string>& left() const { return left_; }
  bool agrees() const {
    return tokens && wrong.empty() && left_.empty() && outputs <= output_bound() && gradients <= gradient_bound();
  }
  std::string text() const {
    std::ostringstream out;
    out << (agrees() ? "agrees" : "DIFFERS") << ": outputs " << outputs << ", gradients " << gradients << ", tokens "
        << (tokens ? "the same" : "other ones") << ", worst " << worst << (wrong.empty() ? "" : ", wrong: ") << wrong;
    if (!left_.empty()) out << ", not compared: " << left_.size() << " from " << *left_.begin() << " on";
    return out.str();
  }

 private:
  static constexpr double infinite = std::numeric_limits<double>::infinity();

  /// ‖ours - theirs‖₂ and ‖theirs‖₂
  template <class A, class B>
  static std::pair<double, double> distance(const A& ours, const B& theirs) {
    double difference = 0, norm = 0;
    if (std::size(ours) != std::size(theirs)) return {infinite, 1};
    for (std::size_t i = 0; i < std::size(ours); ++i) {
      const double a = static_cast<double>(std::data(ours)[i]), b = static_cast<double>(std::data(theirs)[i]);
      difference += (a - b) * (a - b);
      norm += b * b;
    }
    if (!std::isfinite(difference)) return {infinite, 1};
    return {std::sqrt(difference), std::sqrt(norm)};
  }
  void count(std::string_view name, double distance, double bound, double& most) {
    left_.erase(std::string(name));
    most = std::max(most, distance);
    if (distance / bound <= share_) return;
    share_ = distance / bound;
    worst = name;
  }

  double share_ = -1;  ///< of its bound, what the worst tensor took
  std::set<std::string> left_;
};

}  // namespace flamingo::test
