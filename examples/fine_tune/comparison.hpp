/// What fine-tunings with the encoder frozen and unfrozen do with the same held-out pictures, and how sure that is.
#pragma once
#include <cstddef>
#include <iostream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <flamingo/eval/protocol/intervals.hpp>
#include <flamingo/train/controls.hpp>
#include <flamingo/train/fine_tuning.hpp>
#include <flamingo/train/report.hpp>

namespace shapes {

using flamingo::ControlLosses, flamingo::Curve, flamingo::FineTuned, flamingo::Interval, flamingo::Report;

/// What the best of a grid does with held-out pictures.
struct Arm {
  std::string name;
  FineTuned best;
  ControlLosses losses;
  std::vector<double> nats, right;  ///< of each picture: what its answer cost, and 1 where it was the likeliest
};
/// The mean of each picture's number, less that of `than` where it is given, and between what the bootstrap finds it.
inline Interval mean_of(const std::vector<double>& of, const std::vector<double>* than = nullptr) {
  return flamingo::bootstrap_interval(of.size(), [&](const std::vector<std::size_t>& places) {
    double sum = 0;
    for (const std::size_t i : places) sum += of[i] - (than ? (*than)[i] : 0);
    return sum / static_cast<double>(places.size());
  });
}

inline std::string rounded(double x, int digits = 3) {
  std::ostringstream text;
  text.precision(digits);
  text << std::fixed << x;
  return text.str();
}

inline std::string with_interval(const Interval& i, double unit, int digits) {
  return rounded(unit * i.mean, digits) + " (" + rounded(unit * i.low, digits) + " to " +
         rounded(unit * i.high, digits) + ")";
}

using Table = std::vector<std::vector<std::string>>;
inline void print(const Table& table) {
  for (const auto& row : table) {
    for (const std::string& cell : row) std::cout << cell << "  ";
    std::cout << '\n';
  }
}

/// A part of the report, and its tables on the standard output. The last arm is held against each of the others:
/// returns whether it is better by more than chance, by loss and by accuracy.
inline bool show(const std::string& title, const std::vector<Arm>& arms, Report& report) {
  Table results{{"vision encoder", "best of the grid", "validation", "test loss", "blank", "shuffled", "accuracy, %"}},
      gains{{"unfrozen, less", "test loss", "accuracy, %"}};
  std::vector<Curve> curves;
  bool better = true;
  for (const Arm& arm : arms) {
    results.push_back({arm.name, arm.best.choice.name() + ", step " + std::to_string(arm.best.result.step),
                       rounded(arm.best.result.loss), with_interval(mean_of(arm.nats), 1, 3), rounded(arm.losses.blank),
                       rounded(arm.losses.shuffled), with_interval(mean_of(arm.right), 100, 1)});
    for (Curve curve : flamingo::curves_of(arm.best.run / "log.jsonl"))
      if (curve.name.starts_with("loss/"))
        curves.push_back({curve.name.substr(5) + "/" + arm.name, std::move(curve.points)});
    const Arm& unfrozen = arms.back();
    if (&arm == &unfrozen) continue;
    const Interval loss = mean_of(unfrozen.nats, &arm.nats), accuracy = mean_of(unfrozen.right, &arm.right);
    gains.push_back({arm.name, with_interval(loss, 1, 3), with_interval(accuracy, 100, 1)});
    better = better && loss.high < 0 && accuracy.low > 0;
  }
  report.text(title).table(results).table(gains).charts(curves);
  std::cout << title << '\n';
  print(results);
  print(gains);
  return better;
}

}  // namespace shapes
