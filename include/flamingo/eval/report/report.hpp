/// The report of a plan: one HTML file that opens anywhere, made of the numbers' JSON and the pictures alone.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <flamingo/core/function.hpp>
#include <flamingo/eval/report/chart.hpp>
#include <flamingo/eval/report/html.hpp>
#include <flamingo/io/json.hpp>

namespace flamingo {

/// The pictures of a report as data: addresses. Empty: none is shown.
struct ReportPictures {
  Function<std::string(const std::string& path)> thumbnail{};
  /// The picture under a heat of a grid's cells, line by line.
  Function<std::string(const std::string& path, std::span<const double> heat, int columns, int rows)> overlay{};
};

namespace report {

inline constexpr std::string_view style =
    "body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:68rem;padding:0 1rem;color:#222;"
    "background:#fafafa}h1{margin:0}h2{margin:2.5rem 0 .3rem;border-top:2px solid #ddd;padding-top:1rem}"
    "h3{margin:1.2rem 0 .3rem}table{border-collapse:collapse;margin:.6rem 0;font-variant-numeric:tabular-nums}"
    "th,td{padding:.15rem .7rem;text-align:right;border-bottom:1px solid #e4e4e4}"
    "th:first-child,td:first-child{text-align:left}thead th{color:#777;font-weight:500}"
    "figure{margin:.5rem 0;background:#fff;border:1px solid #ddd;border-radius:.5rem;padding:.6rem;max-width:44rem}"
    ".chart{width:100%;height:auto;font-size:11px}.chart text{fill:#555;stroke:none}.chart .grid{stroke:#eee}"
    ".chart .level{stroke:#999;stroke-dasharray:2 3}.chart polyline{stroke-width:2}.legend span{margin-right:1rem}"
    ".legend i{display:inline-block;width:.8rem;height:.8rem;border-radius:.2rem;margin-right:.3rem}"
    ".gallery{display:grid;grid-template-columns:repeat(auto-fill,minmax(19rem,1fr));gap:.8rem}"
    "article{background:#fff;border:1px solid #ddd;border-left:4px solid #b3261e;border-radius:.4rem;padding:.6rem}"
    "article.right{border-left-color:#067a38}.prompt{font:12px/1.7 ui-monospace,monospace;color:#444;margin:0;"
    "white-space:pre-wrap;overflow-wrap:anywhere;max-height:16rem;overflow:auto}"
    ".prompt img{height:2.6rem;vertical-align:middle;border-radius:.2rem}"
    ".prompt img.query{height:6rem}.answer{font-weight:600;margin:.4rem 0}"
    "summary{color:#777;font-size:12px}.looked{display:flex;gap:.4rem;flex-wrap:wrap}.looked "
    "figure{padding:.2rem;margin:0;text-align:center}"
    ".looked img{height:6rem;display:block}small,.about{color:#777}.note{background:#fff6d8;padding:.4rem .7rem}";

/// Walks the results with the path of what is read: "tasks/0/runs/2/scores/accuracy/mean".
class ReportWriter {
 public:
  ReportWriter(const io::Json& results, const ReportPictures& pictures) : results_(results), pictures_(pictures) {}

  std::string page() {
    const std::string title = escaped(results_.at("title").as_string());
    html_ =
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
        "content=\"width=device-width\"><title>" +
        title + "</title><style>" + std::string(style) + "</style></head><body><h1>" + title + "</h1>";
    html_ += "<p class=\"about\">Scores with 95 % intervals of the bootstrap over items. Checkpoint " +
             escaped(results_.at("checkpoint").as_string()) + ".</p>";
    const io::Json::Array& tasks = results_.at("tasks").as_array();
    summary(tasks);
    for (std::size_t t = 0; t < tasks.size(); ++t) task(tasks[t], "tasks/" + std::to_string(t));
    gates();
    return std::move(html_) + "</body></html>\n";
  }

 private:
  static const std::string& text(const io::Json& json, std::string_view name) { return json.at(name).as_string(); }
  static std::string shots_text(std::int64_t shots) { return shots < 0 ? "" : std::to_string(shots); }
  static bool in_nats(const io::Json& task) { return !task.at("more_is_better").as_bool(); }
  static std::string name_of_run(const io::Json& run, bool one_support) {
    const std::string& control = text(run, "control");
    std::string name = control == "none" ? "demonstrations" : "control: " + control;
    std::replace(name.begin(), name.end(), '_', ' ');
    if (control != "none") return name;
    return one_support ? "model" : "model, " + text(run, "support") + " " + name;
  }
  std::string scored(const io::Json& interval, const std::string& path, int places) const {
    return number(interval.at("mean").as_double(), path + "/mean", places) + " <small>(" +
           number(interval.at("low").as_double(), path + "/low", places) + "–" +
           number(interval.at("high").as_double(), path + "/high", places) + ")</small>";
  }

  /// One line a task: its fewest and its most shots.
  void summary(const io::Json::Array& tasks) {
    html_ +=
        "<table><thead><tr><th>task</th><th>score</th><th>chance</th><th>fewest shots</th><th>most shots</th>"
        "</tr></thead><tbody>";
    for (const io::Json& task : tasks) {
      html_ += "<tr><td><a href=\"#" + escaped(text(task, "name")) + "\">" + escaped(text(task, "title")) + "</a></td>";
      if (task.find("missing")) {
        html_ += "<td colspan=\"4\">not run: " + escaped(text(task, "missing")) + " is missing</td></tr>";
        continue;
      }
      const io::Json *fewest = nullptr, *most = nullptr;
      for (const io::Json& run : task.at("runs").as_array()) {
        if (text(run, "control") != "none") continue;
        const auto shots = run.at("shots").as_integer();
        if (!fewest || shots < fewest->at("shots").as_integer()) fewest = &run;
        if (!most || shots > most->at("shots").as_integer()) most = &run;
      }
      const io::Json* chance = task.find("chance");
      const auto cell = [&](const io::Json* run) {
        return "<td>" +
               (run ? rounded(run->at("scores").at(text(task, "metric")).at("mean").as_double(), 2) + " <small>" +
                          std::to_string(run->at("shots").as_integer()) + "</small>"
                    : "") +
               "</td>";
      };
      html_ += "<td>" + escaped(text(task, "metric")) + "</td><td>" + (chance ? rounded(chance->as_double()) : "") +
               "</td>" + cell(fewest) + cell(most) + "</tr>";
    }
    html_ += "</tbody></table>";
  }

  void task(const io::Json& task, const std::string& path) {
    html_ += "<section><h2 id=\"" + escaped(text(task, "name")) + "\">" + escaped(text(task, "title")) + "</h2>";
    if (task.find("missing")) {
      html_ += "<p class=\"note\">Not run: " + escaped(text(task, "missing")) + " is missing.</p></section>";
      return;
    }
    html_ += "<p class=\"about\">" + escaped(text(task, "about")) + "</p>";
    const io::Json::Array& runs = task.at("runs").as_array();
    const std::string& metric = text(task, "metric");
    bool one_support = true;
    for (const io::Json& run : runs) one_support = one_support && run.at("support") == runs[0].at("support");
    std::vector<ChartSeries> series;
    const auto add = [&](const std::string& name, ChartPoint point, bool dashed) {
      auto found = std::find_if(series.begin(), series.end(), [&](const ChartSeries& s) { return s.name == name; });
      if (found == series.end()) found = series.insert(series.end(), ChartSeries{name, {}, dashed});
      found->points.push_back(point);
    };
    const auto point_of = [](std::int64_t shots, const io::Json& score) {
      return ChartPoint{static_cast<int>(shots), score.at("mean").as_double(), score.at("low").as_double(),
                        score.at("high").as_double()};
    };
    for (const io::Json& run : runs)
      add(name_of_run(run, one_support), point_of(run.at("shots").as_integer(), run.at("scores").at(metric)), false);
    if (const io::Json* prototypes = task.find("prototypes"))
      for (const io::Json& p : prototypes->as_array())
        if (p.at("shots").as_integer() >= 0)
          add("nearest prototype", point_of(p.at("shots").as_integer(), p.at("score")), true);
    for (const io::Json& r : task.at("references").as_array())
      if (const auto shots = r.at("shots").as_integer(); shots >= 0) {
        const double score = r.at("score").as_double();
        add(text(r, "name"), {static_cast<int>(shots), score, score, score}, true);
      }
    const io::Json* chance = task.find("chance");
    html_ += chart(series, text(task, "title"), metric, chance ? chance->as_double() : std::nan(""));
    table(task, path, one_support);
    examples(task, path);
    html_ += "</section>";
  }

  void table(const io::Json& task, const std::string& path, bool one_support) {
    const int places = in_nats(task) ? 3 : 1;
    const io::Json::Array& runs = task.at("runs").as_array();
    html_ += "<table><thead><tr><th></th><th>shots</th><th>queries</th>";
    if (!runs.empty())
      for (const auto& [name, ignored] : runs[0].at("scores").as_object()) html_ += "<th>" + escaped(name) + "</th>";
    html_ += "<th>tokens read</th><th>one candidate at a time</th></tr></thead><tbody>";
    for (std::size_t r = 0; r < runs.size(); ++r) {
      const io::Json& run = runs[r];
      const std::string at = path + "/runs/" + std::to_string(r);
      html_ += "<tr><td>" + escaped(name_of_run(run, one_support)) + "</td><td>" + integer(run, "shots", at) +
               "</td><td>" + integer(run, "queries", at) + "</td>";
      for (const auto& [name, score] : run.at("scores").as_object())
        html_ += "<td>" + scored(score, at + "/scores/" + name, places) + "</td>";
      html_ +=
          "<td>" + integer(run, "tokens_read", at) + "</td><td>" + integer(run, "tokens_one_by_one", at) + "</td></tr>";
    }
    const auto row_of = [&](const std::string& name, std::int64_t shots, const std::string& score) {
      html_ += "<tr><td><i>" + escaped(name) + "</i></td><td>" + shots_text(shots) + "</td><td></td><td>" + score +
               "</td></tr>";
    };
    if (const io::Json* prototypes = task.find("prototypes"))
      for (std::size_t p = 0; p < prototypes->as_array().size(); ++p) {
        const io::Json& prototype = prototypes->as_array()[p];
        row_of("nearest prototype, same queries", prototype.at("shots").as_integer(),
               scored(prototype.at("score"), path + "/prototypes/" + std::to_string(p) + "/score", places));
      }
    const io::Json::Array& references = task.at("references").as_array();
    for (std::size_t r = 0; r < references.size(); ++r)
      row_of(
          text(references[r], "name"), references[r].at("shots").as_integer(),
          number(references[r].at("score").as_double(), path + "/references/" + std::to_string(r) + "/score", places));
    if (const io::Json* chance = task.find("chance"))
      row_of("chance", -1, number(chance->as_double(), path + "/chance", places));
    html_ += "</tbody></table>";
    by_type(runs, path, places);
  }
  static std::string integer(const io::Json& run, std::string_view name, const std::string& path) {
    return number(run.at(name).as_double(), path + "/" + std::string(name), 0);
  }
  /// Scores by the type of question or class, of the runs that have them.
  void by_type(const io::Json::Array& runs, const std::string& path, int places) {
    std::string rows, head;
    for (std::size_t r = 0; r < runs.size(); ++r) {
      const io::Json* types = runs[r].find("by_type");
      if (!types) continue;
      if (head.empty())
        for (const auto& [type, ignored] : types->as_object()) head += "<th>" + escaped(type) + "</th>";
      rows += "<tr><td>" + escaped(name_of_run(runs[r], false)) + "</td><td>" +
              std::to_string(runs[r].at("shots").as_integer()) + "</td>";
      for (const auto& [type, score] : types->as_object())
        rows += "<td>" + number(score.as_double(), path + "/runs/" + std::to_string(r) + "/by_type/" + type, places) +
                "</td>";
      rows += "</tr>";
    }
    if (!rows.empty())
      html_ += "<details><summary>by type</summary><table><thead><tr><th></th><th>shots</th>" + head +
               "</tr></thead><tbody>" + rows + "</tbody></table></details>";
  }

  void examples(const io::Json& task, const std::string& path) {
    const io::Json::Array& all = task.at("examples").as_array();
    const std::string& metric = text(task, "metric");
    const bool graded = in_nats(task) || metric == "keyword F1" || metric == "CIDEr-D";
    for (const bool right : {true, false}) {
      std::string cards;
      for (std::size_t e = 0; e < all.size(); ++e)
        if (all[e].at("right").as_bool() == right) cards += card(all[e], path + "/examples/" + std::to_string(e));
      if (cards.empty()) continue;
      html_ += std::string("<h3>") +
               (graded  ? right ? "Best" : "Worst"
                : right ? "Right"
                        : "Wrong") +
               "</h3><div class=\"gallery\">" + cards + "</div>";
    }
  }
  std::string card(const io::Json& example, const std::string& path) {
    const io::Json::Array& parts = example.at("prompt").as_array();
    std::string html = std::string("<article") + (example.at("right").as_bool() ? " class=\"right\"" : "") + ">";
    std::size_t last = parts.size();
    for (std::size_t i = 0; i < parts.size(); ++i)
      if (parts[i].find("image")) last = i;
    // The query is what a reader looks at first; what stands before it is a click away.
    std::string before, query;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const io::Json* image = parts[i].find("image");
      std::string& to = last < parts.size() && i < last ? before : query;
      to += image ? picture(image->as_string(), i == last ? " class=\"query\"" : "") : escaped(text(parts[i], "text"));
    }
    if (!before.empty())
      html += "<details><summary>before it</summary><p class=\"prompt\">" + before + "</p></details>";
    html += "<p class=\"prompt\">" + query;
    html += "</p><p class=\"answer\">" + escaped(text(example, "answer"));
    if (text(example, "truth") != text(example, "answer"))
      html += " <small>right: " + escaped(text(example, "truth")) + "</small>";
    html += " <small>score " + number(example.at("score").as_double(), path + "/score", 2) + "</small></p>";
    std::string choices;
    const io::Json::Array& scores = example.at("choices").as_array();
    for (std::size_t c = 0; c < scores.size(); ++c)
      choices += (choices.empty() ? "" : ", ") + escaped(text(scores[c], "text")) + " " +
                 number(scores[c].at("score").as_double(), path + "/choices/" + std::to_string(c) + "/score", 2);
    if (!choices.empty()) html += "<small>" + choices + "</small>";
    return html + looked(example, parts, last) + "</article>";
  }
  std::string picture(const std::string& path, std::string_view kind) const {
    const std::string address = pictures_.thumbnail ? pictures_.thumbnail(path) : std::string();
    if (address.empty()) return "<small>[" + escaped(path) + "]</small>";
    return "<img" + std::string(kind) + " alt=\"" + escaped(path) + "\" src=\"" + escaped(address) + "\">";
  }
  /// Where the words of an answer looked, over the query's picture.
  std::string looked(const io::Json& example, const io::Json::Array& parts, std::size_t last) const {
    if (last == parts.size() || !pictures_.overlay) return {};
    std::string figures;
    for (const io::Json& word : example.at("looked").as_array()) {
      std::vector<double> heat;
      for (const io::Json& x : word.at("heat").as_array()) heat.push_back(x.as_double());
      const std::string address =
          pictures_.overlay(text(parts[last], "image"), heat, static_cast<int>(word.at("columns").as_integer()),
                            static_cast<int>(word.at("rows").as_integer()));
      if (!address.empty())
        figures += "<figure><img alt=\"attention\" src=\"" + escaped(address) + "\"><figcaption>" +
                   escaped(text(word, "word")) + "</figcaption></figure>";
    }
    return figures.empty() ? "" : "<div class=\"looked\">" + figures + "</div>";
  }

  /// What each gate lets through: tanh of it, of both branches.
  void gates() {
    const io::Json* gates = results_.at("model").find("gates");
    if (!gates || gates->as_array().empty()) return;
    html_ +=
        "<section><h2 id=\"gates\">Gates</h2><p class=\"about\">tanh of the gates of each block: how much of its "
        "cross-attention and of its feed-forward is added to the language model's rows. At 0 the language model "
        "is as it was.</p><table><thead><tr><th>before block</th>";
    const io::Json::Array& all = gates->as_array();
    for (const auto& [name, ignored] : all[0].as_object())
      if (name != "layer") html_ += "<th>" + escaped(name) + "</th>";
    html_ += "</tr></thead><tbody>";
    for (std::size_t g = 0; g < all.size(); ++g) {
      html_ += "<tr><td>" + std::to_string(all[g].at("layer").as_integer()) + "</td>";
      for (const auto& [name, value] : all[g].as_object())
        if (name != "layer")
          html_ += "<td>" + number(value.as_double(), "model/gates/" + std::to_string(g) + "/" + name, 3) +
                   bar(value.as_double()) + "</td>";
      html_ += "</tr>";
    }
    html_ += "</tbody></table></section>";
  }
  static std::string bar(double value) {
    const double wide = 60 * std::min(1.0, std::abs(value));
    return " <svg width=\"62\" height=\"9\"><rect width=\"" + rounded(wide, 1) + "\" height=\"9\" fill=\"" +
           (value < 0 ? "#d1495b" : "#1668b8") + "\"></rect></svg>";
  }

  const io::Json& results_;
  const ReportPictures& pictures_;
  std::string html_;
};

}  // namespace report

/// The page of PlanRunner's results. Each score, interval, gate and count of the tables of tasks stands once in a
/// <data> element with its exact value and, as its data-path, its path in the JSON; what repeats them (the table at the
/// top, charts) and what names rows (shots, layers) is plain text. It loads nothing.
inline std::string report_html(const io::Json& results, const ReportPictures& pictures = {}) {
  return report::ReportWriter(results, pictures).page();
}

}  // namespace flamingo
