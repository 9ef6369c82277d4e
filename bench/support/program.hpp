/// What the programs of bench/run have in common: options by name, medians, and a line of JSON for each figure.
#pragma once
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/core/parameters.hpp>

namespace flamingo::bench {

inline std::vector<std::string> list_of(std::string_view text) {
  std::vector<std::string> all(1);
  for (const char c : text)
    if (c == ',')
      all.emplace_back();
    else
      all.back() += c;
  return all;
}

/// `--name value` for each of a program's options; each has a default.
class Options {
 public:
  Options(int count, char** given, std::initializer_list<std::pair<const std::string, std::string>> defaults)
      : values_(defaults) {
    for (int i = 1; i < count; i += 2) {
      const auto found = values_.find(given[i]);
      check(found != values_.end(), "bench", "unknown option ", std::string_view(given[i]));
      check(i + 1 < count, "bench", std::string_view(given[i]), " has no value");
      found->second = given[i + 1];
    }
  }
  const std::string& text(const std::string& name) const { return values_.at(name); }
  std::vector<std::string> list(const std::string& name) const { return list_of(text(name)); }
  int number(const std::string& name) const {
    const int n = std::atoi(text(name).c_str());
    check(n > 0, "bench", name, ' ', text(name), ", expected a positive number");
    return n;
  }
  bool asks(const std::string& name, std::string_view task) const {
    const auto all = list(name);
    return std::find(all.begin(), all.end(), task) != all.end();
  }

 private:
  std::map<std::string, std::string> values_;
};

/// The formats that bench/run asks for, by the names that PyTorch has for them; in those that end in _rounded what
/// is multiplied with such weights is rounded too.
inline Format format_of(std::string_view dtype) {
  check(dtype == "float32" || dtype == "bfloat16" || dtype == "bfloat16_rounded" || dtype == "int8" ||
            dtype == "int8_rounded",
        "bench", "--dtype ", dtype, ", expected float32, bfloat16, bfloat16_rounded, int8 or int8_rounded");
  return dtype == "float32" ? Format::f32 : dtype.starts_with("int8") ? Format::int8 : Format::bf16;
}

inline double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}
inline double median(std::vector<double> times) {
  std::sort(times.begin(), times.end());
  return (times[(times.size() - 1) / 2] + times[times.size() / 2]) / 2;
}
/// Of one call, after one that is not counted.
template <class F>
double median_seconds(int repeats, const F& f) {
  std::vector<double> times;
  for (int i = 0; i <= repeats; ++i) {
    const double begun = now();
    f();
    if (i > 0) times.push_back(now() - begun);
  }
  return median(times);
}

/// A line of /proc/self/status in bytes.
inline double status(std::string_view name) {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with(name)) return 1024 * std::atof(line.c_str() + name.size() + 1);
  return 0;
}

/// A line of JSON, printed when it ends.
class Line {
 public:
  Line() = default;
  Line(const Line&) = delete;
  Line& operator=(const Line&) = delete;
  ~Line() {
    std::printf("{%s}\n", text_.c_str());
    std::fflush(stdout);
  }
  Line& with(std::string_view name, std::string_view value) { return put(name, '"' + std::string(value) + '"'); }
  Line& with(std::string_view name, double value) {
    char digits[32];
    std::snprintf(digits, sizeof digits, "%.9g", value);
    return put(name, digits);
  }
  Line& with_null(const char* name) { return put(name, "null"); }

 private:
  Line& put(std::string_view name, const std::string& value) {
    text_ += (text_.empty() ? "\"" : ", \"") + std::string(name) + "\": " + value;
    return *this;
  }
  std::string text_;
};

/// Bytes of the parameters of a layer for which wanted(name) holds, as their views say.
template <class Layer, class Views, class Wanted>
double weight_bytes(const Views& views, const Wanted& wanted) {
  double bytes = 0;
  auto add = [&](const Spec& spec, const auto& leaf) {
    if (!wanted(std::string_view(spec.name))) return;
    if constexpr (requires { leaf.row_bytes(); })
      bytes += spec.rows * (static_cast<double>(leaf.row_bytes()) + (leaf.scales ? double{sizeof(float)} : 0));
    else
      bytes += static_cast<double>(spec.size() * sizeof(*leaf.data));
  };
  Layer::each(add, views);
  return bytes;
}

}  // namespace flamingo::bench
