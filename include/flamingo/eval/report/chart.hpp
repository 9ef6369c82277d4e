/// Scores against shots with their intervals, as an SVG that stands in a page.
#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/eval/report/html.hpp>

namespace flamingo::report {

struct ChartPoint {
  int shots = 0;
  double score = 0, low = 0, high = 0;
};

/// Points joined by a line; a dashed one for what others scored.
struct ChartSeries {
  std::string name;
  std::vector<ChartPoint> points;
  bool dashed = false;
};

namespace detail {

/// A step of 1, 2 or 5 times a power of ten, of which about five fit.
inline double tick_step(double range) {
  const double raw = range / 5, power = std::pow(10, std::floor(std::log10(raw)));
  for (const double times : {1.0, 2.0, 5.0})
    if (raw <= times * power) return times * power;
  return 10 * power;
}

}  // namespace detail

/// Shots stand at equal distances, in order. `level` is a line across (chance); NaN: none. Series of no points are left
/// out; of none at all the chart is empty.
inline std::string chart(const std::vector<ChartSeries>& series, std::string_view title, std::string_view unit,
                         double level = std::nan("")) {
  constexpr double width = 560, height = 300, left = 48, right = 12, top = 26, bottom = 40;
  constexpr std::array<std::string_view, 8> colours{"#1668b8", "#d1495b", "#2a9d5c", "#8e5ea2",
                                                    "#e08e0b", "#3aa6b9", "#7a6248", "#5c5c5c"};
  std::vector<int> shots;
  double low = std::isnan(level) ? 1e300 : level, high = std::isnan(level) ? -1e300 : level;
  for (const ChartSeries& s : series)
    for (const ChartPoint& p : s.points) {
      if (std::find(shots.begin(), shots.end(), p.shots) == shots.end()) shots.push_back(p.shots);
      check(p.low <= p.high, "chart", "a point of ", s.name, " has the interval ", p.low, " to ", p.high);
      low = std::min({low, p.score, p.low});
      high = std::max({high, p.score, p.high});
    }
  if (shots.empty()) return {};
  std::sort(shots.begin(), shots.end());
  const double step = detail::tick_step(std::max(high - low, 1e-6));
  low = std::floor(low / step) * step;
  high = std::ceil(high / step) * step;
  if (high <= low) high = low + step;
  const auto x_of = [&](int s) {
    const auto at = static_cast<double>(std::find(shots.begin(), shots.end(), s) - shots.begin());
    const double places = static_cast<double>(shots.size());
    return left + (width - left - right) * (at + 0.5) / places;
  };
  const auto y_of = [&](double score) { return top + (height - top - bottom) * (high - score) / (high - low); };
  const auto at = [](double number) { return rounded(number, 1); };
  std::string svg = "<svg class=\"chart\" viewBox=\"0 0 " + at(width) + " " + at(height) + "\" role=\"img\"><title>" +
                    escaped(title) + "</title>";
  const int places = step >= 1 ? 0 : static_cast<int>(std::ceil(-std::log10(step)));
  for (double tick = low; tick <= high + step / 2; tick += step)
    svg += "<line class=\"grid\" x1=\"" + at(left) + "\" x2=\"" + at(width - right) + "\" y1=\"" + at(y_of(tick)) +
           "\" y2=\"" + at(y_of(tick)) + "\"></line><text x=\"" + at(left - 6) + "\" y=\"" + at(y_of(tick) + 4) +
           "\" text-anchor=\"end\">" + rounded(tick, places) + "</text>";
  for (const int s : shots)
    svg += "<text x=\"" + at(x_of(s)) + "\" y=\"" + at(height - bottom + 18) + "\" text-anchor=\"middle\">" +
           std::to_string(s) + "</text>";
  svg += "<text x=\"" + at((left + width - right) / 2) + "\" y=\"" + at(height - 6) +
         "\" text-anchor=\"middle\">shots</text><text x=\"4\" y=\"12\">" + escaped(unit) + "</text>";
  if (!std::isnan(level))
    svg += "<line class=\"level\" x1=\"" + at(left) + "\" x2=\"" + at(width - right) + "\" y1=\"" + at(y_of(level)) +
           "\" y2=\"" + at(y_of(level)) + "\"><title>chance</title></line>";
  std::string legend;
  std::size_t drawn = 0;
  for (const ChartSeries& s : series) {
    if (s.points.empty()) continue;
    const std::string colour(colours[drawn % colours.size()]);
    // Points of one number of shots stand side by side, so that intervals can be told apart.
    const double aside = (static_cast<double>(drawn % 7) - 3) * 3;
    std::vector<ChartPoint> points = s.points;
    std::sort(points.begin(), points.end(), [](const ChartPoint& a, const ChartPoint& b) { return a.shots < b.shots; });
    std::string line;
    for (const ChartPoint& p : points)
      line += (line.empty() ? "" : " ") + at(x_of(p.shots) + aside) + "," + at(y_of(p.score));
    svg += "<g stroke=\"" + colour + "\" fill=\"" + colour + "\"><polyline fill=\"none\"" +
           (s.dashed ? " stroke-dasharray=\"5 4\"" : "") + " points=\"" + line + "\"></polyline>";
    for (const ChartPoint& p : points) {
      const std::string x = at(x_of(p.shots) + aside);
      if (p.low < p.high)
        svg += "<line x1=\"" + x + "\" x2=\"" + x + "\" y1=\"" + at(y_of(p.low)) + "\" y2=\"" + at(y_of(p.high)) +
               "\"></line>";
      svg += "<circle r=\"3\" cx=\"" + x + "\" cy=\"" + at(y_of(p.score)) + "\"><title>" + escaped(s.name) + ", " +
             std::to_string(p.shots) + " shots: " + rounded(p.score, 2) + " (" + rounded(p.low, 2) + "–" +
             rounded(p.high, 2) + ")</title></circle>";
    }
    svg += "</g>";
    legend += "<span><i style=\"background:" + colour + "\"></i>" + escaped(s.name) + "</span>";
    ++drawn;
  }
  return "<figure>" + svg + "</svg><figcaption class=\"legend\">" + legend + "</figcaption></figure>";
}

}  // namespace flamingo::report
