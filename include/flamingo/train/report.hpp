/// A report that opens anywhere: one HTML file with curves as SVG, tables and texts; no script, nothing fetched. And
/// one of its charts as a picture.
#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flamingo/io/atomic_file.hpp>
#include <flamingo/train/run_log.hpp>

namespace flamingo {

/// Points (step, value) in the order of steps.
struct Curve {
  std::string name;
  std::vector<std::array<double, 2>> points;
};

/// All numbers of a run's log, in the order in which they appear. Throws Error as read_log().
inline std::vector<Curve> curves_of(const std::filesystem::path& log) {
  std::vector<Curve> curves;
  std::map<std::string, std::size_t, std::less<>> places;
  read_log(log, [&](const io::Json& json, std::string_view) {
    const double step = json.find("step")->as_double();
    for (const io::JsonMember& member : json.as_object()) {
      if (member.name == "step" || !member.value.is_number()) continue;
      const auto [place, added] = places.try_emplace(member.name, curves.size());
      if (added) curves.push_back({member.name, {}});
      curves[place->second].points.push_back({step, member.value.as_double()});
    }
  });
  return curves;
}

namespace detail {

/// How curves become an SVG.
struct CurveChart {
  static std::string escaped(std::string_view text) {
    std::string safe;
    for (const char c : text) {
      if (c == '&')
        safe += "&amp;";
      else if (c == '<')
        safe += "&lt;";
      else if (c == '"')
        safe += "&quot;";
      else
        safe += c;
    }
    return safe;
  }
  /// Told apart by those who see few colours too (Okabe and Ito); then they begin anew.
  static std::string colour(std::size_t c) {
    static constexpr std::array<const char*, 7> all{"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                                    "#56b4e9", "#e69f00", "#444444"};
    return all[c % all.size()];
  }
  static std::string number(double value, const char* format = "%.4g") {
    std::array<char, 40> text{};
    std::snprintf(text.data(), text.size(), format, value);
    return text.data();
  }

  /// A curve's name and its last value.
  static std::string legend_of(const Curve& curve) {
    return escaped(curve.name) + (curve.points.empty() ? "" : " (last " + number(curve.points.back()[1]) + ")");
  }

  /// One axis: 1, 2 or 5 times a power of ten between ticks.
  struct Axis {
    double low = std::numeric_limits<double>::infinity(), high = -low, step = 1;

    void take(double value) {
      low = std::min(low, value);
      high = std::max(high, value);
    }
    void finish() {
      if (low > high) low = 0, high = 1;
      if (high - low < 1e-12 * std::max(std::abs(high), 1e-300)) {
        const double room = high == 0 ? 1 : std::abs(high) / 2;
        low -= room;
        high += room;
      }
      step = std::pow(10, std::floor(std::log10((high - low) / 4)));
      for (const double larger : {2.0, 2.5, 2.0})
        if ((high - low) / step > 5) step *= larger;
    }
    double at(double value, double from, double to) const { return from + (value - low) / (high - low) * (to - from); }
  };

  /// What an SVG of 640 x 272 shows: axes and curves.
  static std::string drawn(const std::vector<Curve>& curves) {
    constexpr double left = 56, right = 628, top = 12, bottom = 248;
    Axis x, y;
    const auto finite = [](const std::array<double, 2>& p) { return std::isfinite(p[0]) && std::isfinite(p[1]); };
    for (const Curve& curve : curves)
      for (const auto& p : curve.points)
        if (finite(p)) {
          x.take(p[0]);
          y.take(p[1]);
        }
    x.finish();
    y.finish();
    std::string svg;
    const auto line = [&](double x1, double y1, double x2, double y2) {
      svg += "<path stroke=\"#ddd\" d=\"M" + number(x1, "%.1f") + ' ' + number(y1, "%.1f") + 'L' + number(x2, "%.1f") +
             ' ' + number(y2, "%.1f") + "\"/>";
    };
    const auto label = [&](double px, double py, const char* anchor, double value) {
      svg += "<text x=\"" + number(px, "%.1f") + "\" y=\"" + number(py, "%.1f") + "\" text-anchor=\"" + anchor +
             "\" fill=\"#666\">" + number(value) + "</text>";
    };
    for (double tick = std::ceil(y.low / y.step) * y.step; tick <= y.high + 1e-9 * y.step; tick += y.step) {
      const double py = y.at(tick, bottom, top);
      line(left, py, right, py);
      label(left - 6, py + 4, "end", std::abs(tick) < 1e-9 * y.step ? 0 : tick);
    }
    for (double tick = std::ceil(x.low / x.step) * x.step; tick <= x.high + 1e-9 * x.step; tick += x.step) {
      const double px = x.at(tick, left, right);
      line(px, bottom, px, bottom + 4);
      label(px, bottom + 18, "middle", std::abs(tick) < 1e-9 * x.step ? 0 : tick);
    }
    for (std::size_t c = 0; c < curves.size(); ++c) {
      std::vector<std::array<double, 2>> points;
      std::copy_if(curves[c].points.begin(), curves[c].points.end(), std::back_inserter(points), finite);
      const std::size_t together = (points.size() + 599) / 600;  // means, where there are more points than pixels
      std::string path;
      for (std::size_t i = 0; i < points.size(); i += together) {
        const std::size_t end = std::min(i + together, points.size());
        double px = 0, py = 0;
        for (std::size_t k = i; k < end; ++k) {
          px += points[k][0] / static_cast<double>(end - i);
          py += points[k][1] / static_cast<double>(end - i);
        }
        path += (path.empty() ? 'M' : 'L') + number(x.at(px, left, right), "%.1f") + ' ' +
                number(y.at(py, bottom, top), "%.1f");
      }
      if (points.size() == 1) path += "h2";
      if (!path.empty())
        svg += "<path fill=\"none\" stroke-width=\"1.5\" stroke-linejoin=\"round\" stroke=\"" + colour(c) + "\" d=\"" +
               path + "\"/>";
    }
    return svg;
  }
};

}  // namespace detail

class Report {
 public:
  explicit Report(std::string_view title) {
    html_ =
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\"><title>" +
        detail::CurveChart::escaped(title) +
        "</title><style>body{font:16px/1.4 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem;"
        "color:#222;background:#fff}main{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(30rem,100%),"
        "1fr));gap:1.5rem}figure{margin:0}figcaption{font-weight:600}svg{width:100%;height:auto;font:12px "
        "system-ui,sans-serif}ul{list-style:none;display:flex;flex-wrap:wrap;gap:.2rem 1rem;margin:0;padding:0;"
        "font-size:.85rem}li i{display:inline-block;width:1em;height:.25em;margin-right:.4em;vertical-align:middle}"
        "table{border-collapse:collapse;margin:1rem 0}td,th{padding:.15rem .8rem;border-bottom:1px solid #ddd;"
        "text-align:right}td:first-child,th:first-child{text-align:left}</style><h1>" +
        detail::CurveChart::escaped(title) + "</h1>";
  }

  Report& text(std::string_view words) {
    close_charts();
    html_ += "<p>" + detail::CurveChart::escaped(words) + "</p>";
    return *this;
  }
  /// The first row names the columns.
  Report& table(const std::vector<std::vector<std::string>>& rows) {
    close_charts();
    html_ += "<table>";
    for (std::size_t r = 0; r < rows.size(); ++r) {
      html_ += "<tr>";
      for (const std::string& cell : rows[r]) html_ += (r == 0 ? "<th>" : "<td>") + detail::CurveChart::escaped(cell);
    }
    html_ += "</table>";
    return *this;
  }
  /// Curves over one pair of axes. Numbers that are not finite are left out.
  Report& chart(std::string_view name, const std::vector<Curve>& curves) {
    if (!in_charts_) html_ += "<main>";
    in_charts_ = true;
    html_ += "<figure><figcaption>" + detail::CurveChart::escaped(name) +
             "</figcaption><svg viewBox=\"0 0 640 272\" role=img>" + detail::CurveChart::drawn(curves) + "</svg><ul>";
    for (std::size_t c = 0; c < curves.size(); ++c) {
      html_ += "<li><i style=\"background:" + detail::CurveChart::colour(c) + "\"></i>" +
               detail::CurveChart::legend_of(curves[c]) + "</li>";
    }
    html_ += "</ul></figure>";
    return *this;
  }
  /// A chart for each beginning of names, up to the last slash: "loss/pairs" and "loss/pages" share "loss".
  Report& charts(const std::vector<Curve>& curves) {
    std::vector<std::pair<std::string, std::vector<Curve>>> groups;
    for (const Curve& curve : curves) {
      const std::size_t slash = curve.name.rfind('/');
      const std::string group = curve.name.substr(0, slash),
                        name = slash == curve.name.npos ? curve.name : curve.name.substr(slash + 1);
      auto found = std::find_if(groups.begin(), groups.end(), [&](const auto& g) { return g.first == group; });
      if (found == groups.end()) found = groups.insert(groups.end(), {group, {}});
      found->second.push_back({name, curve.points});
    }
    for (const auto& [group, members] : groups) chart(group, members);
    return *this;
  }

  /// Throws Error with the path where the file cannot be written.
  void write(const std::filesystem::path& path) {
    close_charts();
    io::AtomicFile file(path);
    file.write(html_ + "</html>\n");
    file.commit();
  }

 private:
  void close_charts() {
    if (in_charts_) html_ += "</main>";
    in_charts_ = false;
  }
  std::string html_;
  bool in_charts_ = false;
};

/// A chart as a picture of its own: an SVG file, which browsers and drawing programs open. Throws Error with the path
/// where it cannot be written.
inline void write_chart(const std::filesystem::path& path, std::string_view name, const std::vector<Curve>& curves) {
  using Chart = detail::CurveChart;
  const double height = 304 + 18 * static_cast<double>(curves.size());
  std::string svg =
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"640\" height=\"" + Chart::number(height) +
      "\" viewBox=\"0 0 640 " + Chart::number(height) +
      "\" font-family=\"sans-serif\" font-size=\"12\"><rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>"
      "<text x=\"56\" y=\"18\" font-weight=\"bold\">" +
      Chart::escaped(name) + "</text><g transform=\"translate(0 20)\">" + Chart::drawn(curves) + "</g>";
  for (std::size_t c = 0; c < curves.size(); ++c) {
    const double y = 312 + 18 * static_cast<double>(c);
    svg += "<path stroke-width=\"3\" stroke=\"" + Chart::colour(c) + "\" d=\"M56 " + Chart::number(y - 4) +
           "h16\"/><text x=\"78\" y=\"" + Chart::number(y) + "\">" + Chart::legend_of(curves[c]) + "</text>";
  }
  io::AtomicFile file(path);
  file.write(svg + "</svg>\n");
  file.commit();
}

}  // namespace flamingo
