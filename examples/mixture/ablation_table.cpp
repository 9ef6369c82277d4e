// Puts what examples/ablate trained into table.md, table.html and table.json: means over seeds with 95 % intervals
// (Student's t), each row's difference to the base from the same seeds, and whether what the paper found is seen.
#include <algorithm>
#include <array>
#include <cmath>
#include <exception>
#include <filesystem>
#include <iostream>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <flamingo/eval/protocol/intervals.hpp>
#include <flamingo/eval/report/report.hpp>
#include <flamingo/io/atomic_file.hpp>
#include <flamingo/io/json.hpp>
#include <flamingo/io/mapped_file.hpp>
#include <flamingo/train/run_log.hpp>

namespace {

namespace fs = std::filesystem;
using flamingo::Interval;
using flamingo::io::Json;
using Numbers = std::map<std::string, double>;  // by name

constexpr double paper_base = 68.4;  // of the paper's first version, over seven sets; `paper` of a row is of that table
constexpr std::string_view note =
    "Accuracies in %, chance 20 of five, 1 of a hundred. Score: the mean of those on what was never trained on; bound: "
    "made-up words for folders that were trained on, the mean of 1 to 8 shots. Nats: a token of held-out documents, "
    "the "
    "mean of four kinds; saved: how many more they are with blank pictures. Each: the mean over seeds and its 95 % "
    "interval (Student's t). Differences are those to the base from the same seeds. Seen: whether a difference's "
    "interval lies wholly on the side that the paper found (the ablations of its first version, overall score of seven "
    "sets).";
constexpr std::string_view bound_words = "5 ways, made-up words/", bound_folders = ", trained folders",
                           bound = "5 ways, made-up words for trained folders";

/// Of a run's last line. Empty where it has not ended.
Numbers measured(const fs::path& run) {
  Numbers last, all;
  if (!fs::exists(run / "connector.safetensors")) return {};
  flamingo::read_log(run / "log.jsonl", [&](const Json& json, std::string_view) {
    last.clear();
    for (const auto& [name, value] : json.as_object())
      if (value.is_number()) last[name] = value.as_double();
  });
  const auto mean_of = [&](const auto& use) {
    double sum = 0, count = 0;
    for (const auto& [name, value] : last)
      if (const double x = use(name, value); !std::isnan(x)) {
        sum += x;
        ++count;
      }
    return sum / count;
  };
  const double none = std::nan("");
  const auto asked = [](const std::string& name) {
    return (name.starts_with("5 ways, made-up words/") || name.starts_with("5 ways, names/") ||
            name.starts_with("named/")) &&
           name.find(',', name.find('/')) == name.npos;  // no control, no trained folders
  };
  for (const auto& [name, value] : last)
    if (asked(name)) all[name] = 100 * value;
  for (const auto& [name, value] : last)
    if (name.starts_with(bound_words) && name.ends_with(bound_folders)) {
      const std::size_t from = bound_words.size();
      all[std::string(bound) + '/' + name.substr(from, name.size() - from - bound_folders.size())] = 100 * value;
    }
  flamingo::check(!all.empty(), "ablation_table", run.string(), ": its log ends without a look at what it learned");
  all["score"] = mean_of([&](const std::string& name, double x) { return asked(name) ? 100 * x : none; });
  all["bound"] = mean_of([](const std::string& name, double x) {
    return name.starts_with(bound_words) && name.ends_with(bound_folders) ? 100 * x : std::nan("");
  });
  all["nats"] = mean_of([&](const std::string& name, double x) { return name.ends_with("/real") ? x : none; });
  all["nats saved"] = mean_of([&](const std::string& name, double x) {
    if (!name.ends_with("/blank")) return none;
    return x - last.at(name.substr(0, name.rfind('/')) + "/real");
  });
  return all;
}

struct Row {
  std::string name, title;
  double paper = std::nan("");
  bool of_size = false;
  std::map<long, Numbers> seeds;
};

/// Rows that have runs.
std::vector<Row> read_rows(const fs::path& list, const fs::path& out) {
  std::vector<Row> rows;
  const flamingo::io::MappedFile file(list);
  const Json json = Json::parse(file.text(), list.string());
  for (const Json& entry : json.as_array()) {
    Row row{entry.at("row").as_string(), entry.at("title").as_string(), std::nan(""), false, {}};
    if (const Json* paper = entry.find("paper")) row.paper = paper->as_double();
    row.of_size = entry.find("size") != nullptr;
    for (long seed = 1; seed < 100; ++seed)
      if (Numbers found = measured(out / (row.name + "-" + std::to_string(seed))); !found.empty())
        row.seeds[seed] = std::move(found);
    if (!row.seeds.empty()) rows.push_back(std::move(row));
  }
  flamingo::check(!rows.empty() && rows[0].name == "base", "ablation_table", out.string(),
                  ": no run of base has ended");
  return rows;
}

Interval of(const Row& row, const std::string& name) {
  std::vector<double> values;
  for (const auto& [seed, numbers] : row.seeds) values.push_back(numbers.at(name));
  return flamingo::trials_interval(values);
}
/// From seeds that both have; of no seed, nothing is known.
Interval difference(const Row& row, const Row& base, const std::string& name) {
  std::vector<double> values;
  for (const auto& [seed, numbers] : row.seeds)
    if (const auto other = base.seeds.find(seed); other != base.seeds.end())
      values.push_back(numbers.at(name) - other->second.at(name));
  return values.empty() ? Interval{.mean = std::nan(""), .low = -INFINITY, .high = INFINITY}
                        : flamingo::trials_interval(values);
}

/// The paper found ablations worse and larger models better.
std::string seen(const Interval& difference, bool better) {
  if (better ? difference.low > 0 : difference.high < 0) return "yes";
  if (better ? difference.high < 0 : difference.low > 0) return "no, the contrary";
  return "not told apart";
}

std::string text(const Interval& i, int places, bool sign = false) {
  if (std::isnan(i.mean)) return "–";
  const auto number = [&](double x) { return (sign && x >= 0 ? "+" : "") + flamingo::report::rounded(x, places); };
  return number(i.mean) + (std::isfinite(i.low) ? " (" + number(i.low) + " to " + number(i.high) + ")" : "");
}
Json json_of(const Interval& i) {
  const auto number = [](double x) { return std::isfinite(x) ? Json(x) : Json(nullptr); };
  return Json::Object{{"mean", number(i.mean)}, {"low", number(i.low)}, {"high", number(i.high)}};
}

using Table = std::vector<std::vector<std::string>>;  // the first line names columns

std::string markdown(const Table& table) {
  std::string text;
  for (std::size_t r = 0; r < table.size(); ++r) {
    for (const std::string& cell : table[r]) text += "| " + cell + " ";
    text += "|\n";
    if (r == 0) {
      for (std::size_t c = 0; c < table[r].size(); ++c) text += "| --- ";
      text += "|\n";
    }
  }
  return text;
}
std::string html(const Table& table) {
  std::string text = "<table>";
  for (std::size_t r = 0; r < table.size(); ++r) {
    text += "<tr>";
    const std::string tag = r == 0 ? "th" : "td";
    for (const std::string& cell : table[r])
      text.append("<")
          .append(tag)
          .append(">")
          .append(flamingo::report::escaped(cell))
          .append("</")
          .append(tag)
          .append(">");
    text += "</tr>";
  }
  return text + "</table>";
}

/// Accuracy against shots, a line a size.
std::string chart(const std::vector<Row>& rows, const std::string& asked) {
  std::vector<flamingo::report::ChartSeries> series;
  for (const Row& row : rows) {
    if (row.name != "base" && !row.of_size) continue;
    auto& line = series.emplace_back(flamingo::report::ChartSeries{row.of_size ? row.title : "size 1", {}});
    for (const auto& [name, ignored] : row.seeds.begin()->second)
      if (name.starts_with(asked + "/")) {
        const Interval i = of(row, name);
        const bool known = std::isfinite(i.low);
        line.points.push_back(
            {std::atoi(name.c_str() + asked.size() + 1), i.mean, known ? i.low : i.mean, known ? i.high : i.mean});
      }
  }
  return flamingo::report::chart(series, asked, "accuracy, %", 20);
}

void write(const fs::path& path, const std::string& text) {
  flamingo::io::AtomicFile file(path);
  file.write(text);
  file.commit();
}

int run(const fs::path& list, const fs::path& out) {
  const std::vector<Row> rows = read_rows(list, out);
  const Row& base = rows[0];
  std::vector<std::string> names{"score", "bound", "nats", "nats saved"};
  for (const auto& [name, ignored] : base.seeds.begin()->second)
    if (std::ranges::find(names, name) == names.end()) names.push_back(name);
  const auto places = [](const std::string& name) { return name.starts_with("nats") ? 3 : 1; };

  Table found{{"", "seeds", "score, difference", "seen", "bound, difference", "seen", "nats, difference", "seen",
               "the paper's"}},
      all{{""}};
  all[0].insert(all[0].end(), names.begin(), names.end());
  Json::Array told;
  for (const Row& row : rows) {
    Json::Object entry{{"row", row.name}, {"title", row.title}, {"seeds", std::int64_t(row.seeds.size())}};
    auto& line = all.emplace_back(1, row.title);
    Json::Object measures;
    for (const std::string& name : names) {
      const Interval i = of(row, name);
      line.push_back(text(i, places(name)));
      measures.push_back({name, json_of(i)});
    }
    entry.push_back({"measures", std::move(measures)});
    if (&row != &base) {
      std::vector<std::string> line_found{row.title, std::to_string(difference(row, base, "score").count)};
      for (const std::string measure : {"score", "bound", "nats"}) {
        const Interval i = difference(row, base, measure);
        const std::string by = seen(i, row.of_size != (measure == "nats"));
        line_found.push_back(text(i, places(measure), true));
        line_found.push_back(by);
        entry.push_back({measure, json_of(i)});
        entry.push_back({"seen by " + measure, by});
      }
      found.push_back(std::move(line_found));
      found.back().push_back(row.of_size             ? "larger is better"
                             : std::isnan(row.paper) ? "not told"
                                                     : flamingo::report::rounded(row.paper - paper_base, 1));
    }
    told.push_back(std::move(entry));
  }
  const std::string words(note);
  write(out / "table.md", words + "\n\n" + markdown(found) + "\n" + markdown(all));
  write(out / "table.json", Json(Json::Object{{"note", words}, {"rows", std::move(told)}}).dump(1) + "\n");
  write(out / "table.html",
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>The paper's ablations, small</title>"
        "<style>" +
            std::string(flamingo::report::style) + "</style></head><body><h1>The paper's ablations, small</h1><p>" +
            flamingo::report::escaped(words) + "</p>" + html(found) + chart(rows, "5 ways, made-up words") +
            chart(rows, "5 ways, names") + chart(rows, std::string(bound)) + html(all) + "</body></html>\n");
  std::cout << markdown(found);
  return 0;
}

}  // namespace

int main(int argc, char** argv) try {
  flamingo::check(argc == 3, "ablation_table", "usage: ablation_table ablations.json OUT");
  return run(argv[1], argv[2]);
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
