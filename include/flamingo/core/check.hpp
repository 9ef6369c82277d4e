/// Errors that a caller or a file can cause. What only a bug of ours can cause is an assert.
#pragma once
#include <array>
#include <cstddef>
#include <cstdio>
#include <initializer_list>
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

template <class T>
void write(std::string& out, const T& what);

/// One of the things that a text is made of: a text, a number, a shape, or whatever else streams write. Refers to it
/// for the time of a call, so that texts are put together by one function, not by one for each list of types.
class Said {
 public:
  template <class T>
  Said(const T& what) {
    if constexpr (std::is_convertible_v<const T&, std::string_view>) {
      const std::string_view text = what;
      what_.text = text.data();
      size_ = text.size();
    } else if constexpr (std::is_same_v<T, char>) {
      what_.text = &what;
      size_ = 1;
    } else if constexpr (std::is_integral_v<T>) {
      kind_ = std::is_signed_v<T> ? Kind::integer : Kind::natural;
      what_.integer = static_cast<long long>(what);
    } else if constexpr (std::is_floating_point_v<T>) {
      kind_ = Kind::real;
      what_.real = static_cast<double>(what);
    } else {
      kind_ = Kind::other;
      what_.other = &what;
      write_ = [](std::string& out, const void* other) { write_other(out, *static_cast<const T*>(other)); };
    }
  }

  void write(std::string& out) const {
    std::array<char, 32> digits{};
    switch (kind_) {
      case Kind::text:
        out.append(what_.text, size_);
        return;
      case Kind::integer:
        out += std::to_string(what_.integer);
        return;
      case Kind::natural:
        out += std::to_string(static_cast<unsigned long long>(what_.integer));
        return;
      case Kind::real:
        std::snprintf(digits.data(), digits.size(), "%g", what_.real);
        out += digits.data();
        return;
      case Kind::other:
        write_(out, what_.other);
    }
  }

 private:
  template <class T>
  static void write_other(std::string& out, const T& what) {  // needs <sstream> where it is written
    std::basic_ostringstream<std::conditional_t<sizeof(T) != 0, char, T>> stream;
    stream << what;
    out += stream.str();
  }
  template <class T, std::size_t Rank>
  static void write_other(std::string& out, const std::array<T, Rank>& shape) {
    out += '(';
    for (std::size_t i = 0; i < Rank; ++i) {
      if (i) out += ", ";
      detail::write(out, shape[i]);
    }
    out += ')';
  }

  enum class Kind : unsigned char { text, integer, natural, real, other } kind_ = Kind::text;
  union {
    const char* text;
    long long integer;
    double real;
    const void* other;
  } what_{};
  union {
    std::size_t size_ = 0;
    void (*write_)(std::string&, const void*);
  };
};

template <class T>
void write(std::string& out, const T& what) {
  Said(what).write(out);
}

[[noreturn]] inline void throw_error(std::string_view where, std::initializer_list<Said> what) {
  std::string text = "[";
  ((text += where) += "] ");
  for (const Said& said : what) said.write(text);
  throw Error(text);
}

}  // namespace detail

/// Throws Error("[where] what ..."). Arrays are written as shapes: (5, 7).
template <class... What>
[[noreturn]] void fail(std::string_view where, const What&... what) {
  detail::throw_error(where, {what...});
}

/// fail(where, what...) unless ok; the text is built only then.
template <class... What>
void check(bool ok, std::string_view where, const What&... what) {
  if (!ok) [[unlikely]]
    detail::throw_error(where, {what...});
}

}  // namespace flamingo
