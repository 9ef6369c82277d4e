/// Where our parameters lie in the files of other programs: their names, and how their numbers are arranged there.
///
/// A place is invertible: what can be read through it can be written back through it, so that a trained model opens in
/// the program that its parts came from.
#pragma once
#include <algorithm>
#include <cstddef>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <flamingo/core/parameters.hpp>

namespace flamingo {

/// How a foreign tensor holds the numbers of a matrix (O, D).
enum class Layout {
  rows,            ///< row by row, as ours
  transposed,      ///< (D, O)
  channels_first,  ///< a convolution's (O, channels, height, width); ours has the channels innermost
  filters_last,    ///< haiku's convolution (height, width, channels, O)
  line,            ///< a table of one row as a vector (D)
  filters,         ///< a vector, one number a filter, as (O, 1, 1, 1)
};

/// Whether a row of ours lies as a column there.
constexpr bool lies_across(Layout layout) { return layout == Layout::transposed || layout == Layout::filters_last; }

/// Where one parameter lies: row r of ours is row `row(r)` of the foreign tensor. A vector's numbers count as its rows.
struct TensorPlace {
  std::string name;
  int first = 0;   ///< foreign row of our row 0
  int group = 0;   ///< our rows come in groups of so many neighbours; 0: all of them are one group
  int stride = 0;  ///< foreign rows from the first of a group to the first of the next
  Layout layout = Layout::rows;
  int channels = 3;  ///< of a convolution's layouts

  int row(int r) const { return group ? first + r / group * stride + r % group : first + r; }
};

/// One line of a table: parameters called `ours` lie in `theirs`. A star in both stands for a number.
struct TensorRule {
  std::string ours, theirs;
  int first = 0, group = 0, stride = 0;
  Layout layout = Layout::rows;
  int channels = 3;
  std::vector<int> numbers{};  ///< their number for each of ours; empty: the same
};

namespace detail {

/// Whether `name` is `pattern`, in which one star stands for a number; `number` is that number, or -1.
inline bool matches(std::string_view pattern, std::string_view name, int& number) {
  number = -1;
  const std::size_t star = pattern.find('*');
  if (star == std::string_view::npos) return pattern == name;
  const std::string_view head = pattern.substr(0, star), tail = pattern.substr(star + 1);
  if (name.size() <= head.size() + tail.size() || !name.starts_with(head) || !name.ends_with(tail)) return false;
  const std::string_view digits = name.substr(head.size(), name.size() - head.size() - tail.size());
  if (digits.size() > 6) return false;
  number = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9') return false;
    number = 10 * number + (c - '0');
  }
  return true;
}
/// `pattern` with its star replaced.
inline std::string fill(std::string_view pattern, int number) {
  const std::size_t star = pattern.find('*');
  if (star == std::string_view::npos) return std::string(pattern);
  return std::string(pattern.substr(0, star)) + std::to_string(number) + std::string(pattern.substr(star + 1));
}

}  // namespace detail

/// From our parameters to their places: rules, tried in their order, or a function from names to names.
class TensorTable {
 public:
  /// Every name as it is.
  TensorTable() = default;
  /// A function of names alone.
  template <class F>
    requires std::convertible_to<std::invoke_result_t<const F&, std::string_view>, std::string>
  TensorTable(F name_of) : name_of_(std::move(name_of)) {}
  /// `ignored` are patterns of foreign tensors that hold nothing of ours (buffers, copies of tied weights).
  TensorTable(std::initializer_list<TensorRule> rules, std::vector<std::string> ignored = {})
      : TensorTable(std::vector<TensorRule>(rules), std::move(ignored)) {}
  TensorTable(std::vector<TensorRule> rules, std::vector<std::string> ignored = {})
      : rules_(std::move(rules)), ignored_(std::move(ignored)), by_rules_(true) {}

  /// Throws where no rule names the parameter.
  TensorPlace place(const Spec& spec) const {
    if (!by_rules_) return {name_of_ ? name_of_(spec.name) : std::string(std::string_view(spec.name))};
    for (const TensorRule& rule : rules_) {
      int number = -1;
      if (!detail::matches(rule.ours, spec.name, number)) continue;
      if (!rule.numbers.empty()) {
        if (number < 0 || number >= static_cast<int>(rule.numbers.size())) continue;
        number = rule.numbers[static_cast<std::size_t>(number)];
      }
      return {detail::fill(rule.theirs, number), rule.first, rule.group, rule.stride, rule.layout, rule.channels};
    }
    fail("load", "no rule says where '", std::string_view(spec.name), "' lies in the file");
  }
  bool ignores(std::string_view name) const {
    int number = 0;
    return std::any_of(ignored_.begin(), ignored_.end(),
                       [&](const std::string& pattern) { return detail::matches(pattern, name, number); });
  }

  /// The rules of a part that is called `ours` in a whole and whose tensors begin with `theirs`: "lm." and "model.".
  TensorTable within(const std::string& ours, const std::string& theirs) const {
    TensorTable t = *this;
    for (TensorRule& rule : t.rules_) {
      rule.ours = ours + rule.ours;
      rule.theirs = theirs + rule.theirs;
    }
    for (std::string& pattern : t.ignored_) pattern = theirs + pattern;
    return t;
  }
  /// Both tables' rules, those of this one first.
  TensorTable with(const TensorTable& more) const {
    TensorTable t = *this;
    t.rules_.insert(t.rules_.end(), more.rules_.begin(), more.rules_.end());
    t.ignored_.insert(t.ignored_.end(), more.ignored_.begin(), more.ignored_.end());
    return t;
  }

 private:
  std::function<std::string(std::string_view)> name_of_;
  std::vector<TensorRule> rules_;
  std::vector<std::string> ignored_;
  bool by_rules_ = false;
};

}  // namespace flamingo
