/// Errors that a caller or a file can cause. What only a bug of ours can cause is an assert.
#pragma once
#include <array>
#include <cstddef>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>

namespace flamingo {

/// The one exception type: what was got, what was expected, the rule; for files also where.
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

namespace detail {

template <class T>
void write(std::ostream& out, const T& what) {
  out << what;
}
template <class T, std::size_t Rank>
void write(std::ostream& out, const std::array<T, Rank>& shape) {
  out << '(';
  for (std::size_t i = 0; i < Rank; ++i) out << (i ? ", " : "") << shape[i];
  out << ')';
}

}  // namespace detail

/// Throws Error("[where] what ..."). Arrays are written as shapes: (5, 7).
template <class... What>
[[noreturn]] void fail(std::string_view where, const What&... what) {
  std::ostringstream text;
  text << '[' << where << "] ";
  (detail::write(text, what), ...);
  throw Error(text.str());
}

/// fail(where, what...) unless ok; the text is built only then.
template <class... What>
void check(bool ok, std::string_view where, const What&... what) {
  if (!ok) [[unlikely]]
    fail(where, what...);
}

}  // namespace flamingo
