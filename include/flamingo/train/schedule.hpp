/// The learning rate at each step.
#pragma once
#include <algorithm>
#include <cmath>
#include <numbers>

namespace flamingo {

/// Linear warm-up from 0, then constant (the paper: 5000 steps to 1e-4), or down to `floor` of the peak in a straight
/// line (the paper's contrastive phase: to 0), in a half cosine, or by the same factor at every step.
struct Schedule {
  enum class Shape { constant, cosine, linear, exponential };
  double peak = 1e-4;
  long warmup = 5000;
  Shape shape = Shape::constant;
  long steps = 0;      ///< length of the way down, warm-up included
  double floor = 0.1;  ///< of the peak, at the end of the way down; above 0 where that is exponential

  /// Steps count from 1.
  double rate(long step) const {
    if (step < warmup) return peak * static_cast<double>(step) / static_cast<double>(warmup);
    if (shape == Shape::constant || steps <= warmup) return peak;
    const double done = std::min(1.0, static_cast<double>(step - warmup) / static_cast<double>(steps - warmup));
    if (shape == Shape::exponential) return peak * std::pow(floor, done);
    const double left = shape == Shape::linear ? 1 - done : 0.5 * (1 + std::cos(std::numbers::pi * done));
    return peak * (floor + (1 - floor) * left);
  }
};

}  // namespace flamingo
