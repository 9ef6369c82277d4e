/// Errors that a caller or a file can cause. What only a bug of ours can cause is an assert.
#pragma once
#include <array>
#include <cstddef>
#include <cstdio>
#include <iosfwd>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

namespace flamingo {

/// The one exception type: what was got, what was expected, the rule; for files also where.
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

namespace detail {

/// What a text is made of, as streams write it. Other types than these need <sstream> where they are written.
template <class T>
void write(std::string& out, const T& what) {
  if constexpr (std::is_convertible_v<const T&, std::string_view>) {
    out += std::string_view(what);
  } else if constexpr (std::is_same_v<T, char>) {
    out += what;
  } else if constexpr (std::is_integral_v<T>) {
    out += std::to_string(what);
  } else if constexpr (std::is_floating_point_v<T>) {
    std::array<char, 32> digits{};
    std::snprintf(digits.data(), digits.size(), "%g", static_cast<double>(what));
    out += digits.data();
  } else {
    std::basic_ostringstream<std::conditional_t<sizeof(T) != 0, char, T>> stream;
    stream << what;
    out += stream.str();
  }
}
template <class T, std::size_t Rank>
void write(std::string& out, const std::array<T, Rank>& shape) {
  out += '(';
  for (std::size_t i = 0; i < Rank; ++i) {
    if (i) out += ", ";
    write(out, shape[i]);
  }
  out += ')';
}

}  // namespace detail

/// Throws Error("[where] what ..."). Arrays are written as shapes: (5, 7).
template <class... What>
[[noreturn]] void fail(std::string_view where, const What&... what) {
  std::string text = "[";
  ((text += where) += "] ");
  (detail::write(text, what), ...);
  throw Error(text);
}

/// fail(where, what...) unless ok; the text is built only then.
template <class... What>
void check(bool ok, std::string_view where, const What&... what) {
  if (!ok) [[unlikely]]
    fail(where, what...);
}

}  // namespace flamingo
