/// What a check of one golden file found.
#pragma once
#include <algorithm>
#include <cmath>
#include <span>
#include <string>

namespace flamingo::test {

/// Two tensors agree if ‖a - b‖₂ / ‖b‖₂ is at most 1e-5 for outputs and 1e-4 for gradients. Below the floor, a norm of
/// 1e-3 a number, the difference counts as if the tensor had that norm: there the reference's own rounding is as large.
struct Report {
  static constexpr double outputs_agree = 1e-5, gradients_agree = 1e-4, floor = 1e-3;

  double outputs = 0;    ///< the worst relative error of an output
  double gradients = 0;  ///< of a gradient
  bool tokens = true;    ///< whether all decoded tokens are the same, and their scores within 1e-4
  std::string worst;     ///< the output or gradient that is furthest from the reference, in terms of what is allowed
  std::string wrong{};   ///< tensors of other sizes, tokens that differ, results that nothing was compared with

  bool agrees() const { return outputs <= outputs_agree && gradients <= gradients_agree && tokens && wrong.empty(); }

  template <class A, class B>
  void output(const std::string& name, std::span<const A> ours, std::span<const B> theirs) {
    compare(name, ours, theirs, outputs, outputs_agree);
  }
  template <class A, class B>
  void gradient(const std::string& name, std::span<const A> ours, std::span<const B> theirs) {
    compare(name, ours, theirs, gradients, gradients_agree);
  }
  void note(const std::string& what) { wrong += (wrong.empty() ? "" : "; ") + what; }

 private:
  template <class A, class B>
  void compare(const std::string& name, std::span<const A> ours, std::span<const B> theirs, double& largest,
               double allowed) {
    if (ours.size() != theirs.size()) {
      note(name + " has " + std::to_string(ours.size()) + " numbers, expected " + std::to_string(theirs.size()));
      return;
    }
    double difference = 0, norm = 0;
    for (std::size_t i = 0; i < ours.size(); ++i) {
      const double a = static_cast<double>(ours[i]), b = static_cast<double>(theirs[i]);
      difference += (a - b) * (a - b);
      norm += b * b;
    }
    const double least = floor * std::sqrt(static_cast<double>(ours.size()));
    double relative = std::sqrt(difference) / std::max(std::sqrt(norm), least);
    if (!(relative >= 0)) relative = HUGE_VAL;  // a NaN must not pass
    largest = std::max(largest, relative);
    if (relative / allowed > worst_) {
      worst_ = relative / allowed;
      worst = name;
    }
  }
  double worst_ = 0;
};

}  // namespace flamingo::test
