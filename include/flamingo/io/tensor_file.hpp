/// What every tensor file has in common: element types, named views of bytes, and their conversion to numbers.
#pragma once
#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <limits>
#include <numeric>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/core/real.hpp>

namespace flamingo::io {

static_assert(std::endian::native == std::endian::little, "tensor files are little-endian and are read in place");

/// The element types of tensor files. The last three are blocks of 32 values with their scales, as GGUF stores them:
/// q8_0 {half d; int8 q[32]}: d q; q4_0 {half d; 16 bytes}: d (q - 8); q4_1 {half d, m; 16 bytes}: d q + m, where the
/// low nibbles of the 16 bytes are values 0..15 of the block and the high ones values 16..31.
enum class DType { f32, f16, bf16, f64, i8, u8, i16, i32, i64, boolean, q8_0, q4_0, q4_1 };

/// How a type lies in memory: `values` at a time take `bytes` bytes.
struct DTypeInfo {
  std::string_view name;
  std::int64_t values, bytes;
};

constexpr DTypeInfo info(DType dtype) {
  constexpr std::array<DTypeInfo, 13> table{{{"f32", 1, 4},
                                             {"f16", 1, 2},
                                             {"bf16", 1, 2},
                                             {"f64", 1, 8},
                                             {"i8", 1, 1},
                                             {"u8", 1, 1},
                                             {"i16", 1, 2},
                                             {"i32", 1, 4},
                                             {"i64", 1, 8},
                                             {"boolean", 1, 1},
                                             {"q8_0", 32, 34},
                                             {"q4_0", 32, 18},
                                             {"q4_1", 32, 20}}};
  return table[static_cast<std::size_t>(dtype)];
}

inline std::ostream& operator<<(std::ostream& out, DType dtype) { return out << info(dtype).name; }

/// (5, 7) as errors write it.
inline std::string shape_text(std::span<const std::int64_t> shape) {
  std::string text = "(";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + ")";
}

/// The bytes of a dense row-major tensor; -1 when an extent is negative, the number does not fit std::int64_t, or the
/// last extent is no whole number of blocks.
constexpr std::int64_t byte_size(DType dtype, std::span<const std::int64_t> shape) {
  const DTypeInfo unit = info(dtype);
  if (unit.values > 1 && (shape.empty() || shape.back() % unit.values != 0)) return -1;
  std::int64_t count = 1;
  for (const std::int64_t extent : shape)
    if (extent < 0) return -1;
  for (const std::int64_t extent : shape)
    if (extent == 0) return 0;
  for (const std::int64_t extent : shape)
    if (__builtin_mul_overflow(count, extent, &count)) return -1;
  if (__builtin_mul_overflow(count / unit.values, unit.bytes, &count)) return -1;
  return count;
}

/// A named tensor inside a file: `bytes` views the map of the file (or memory of the caller's), dense, row-major,
/// outermost extent first, exactly byte_size(dtype, shape) long, at any alignment.
struct TensorView {
  std::string name;
  DType dtype = DType::f32;
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;

  /// How many numbers; -1 where that does not fit, which no reader lets pass.
  std::int64_t count() const { return byte_size(DType::u8, shape); }
};

namespace detail {

template <class T>
T load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}

template <class Stored, class Out>
void convert_each(const std::byte* at, std::span<Out> out) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    const Stored value = load<Stored>(at + i * sizeof(Stored));
    if constexpr (std::is_arithmetic_v<Stored>)
      out[i] = static_cast<Out>(value);
    else
      out[i] = static_cast<Out>(static_cast<float>(value));
  }
}

template <class Out>
void convert_q8_0(const std::byte* at, std::span<Out> out) {
  for (std::size_t block = 0; block < out.size(); block += 32, at += 34) {
    const auto d = static_cast<float>(load<half>(at));
    for (std::size_t i = 0; i < 32; ++i)
      out[block + i] = static_cast<Out>(d * static_cast<float>(load<std::int8_t>(at + 2 + i)));
  }
}

/// q4_0 and q4_1: 16 bytes of nibbles after the scales; `value` gives the number of a nibble of the block at `at`.
template <class Out, class MakeValue>
void convert_nibbles(const std::byte* at, std::size_t header, std::span<Out> out, MakeValue make_value) {
  for (std::size_t block = 0; block < out.size(); block += 32, at += header + 16) {
    const auto value = make_value(at);
    for (std::size_t i = 0; i < 16; ++i) {
      const auto pair = std::to_integer<int>(at[header + i]);
      out[block + i] = static_cast<Out>(value(pair & 15));
      out[block + 16 + i] = static_cast<Out>(value(pair >> 4));
    }
  }
}

template <class Out>
void convert(const TensorView& tensor, std::span<Out> out) {
  const std::int64_t bytes = byte_size(tensor.dtype, tensor.shape);
  check(bytes >= 0 && static_cast<std::size_t>(bytes) == tensor.bytes.size(), "convert", "tensor '", tensor.name,
        "' of ", tensor.dtype, ' ', shape_text(tensor.shape), " has ", tensor.bytes.size(), " bytes, expected ", bytes);
  check(static_cast<std::size_t>(tensor.count()) == out.size(), "convert", "tensor '", tensor.name, "' has shape ",
        shape_text(tensor.shape), ", expected ", out.size(), " values in all");
  const std::byte* at = tensor.bytes.data();
  switch (tensor.dtype) {
    case DType::f32:
      return convert_each<float>(at, out);
    case DType::f64:
      return convert_each<double>(at, out);
    case DType::f16:
      return convert_each<half>(at, out);
    case DType::bf16:
      return convert_each<bfloat16>(at, out);
    case DType::q8_0:
      return convert_q8_0(at, out);
    case DType::q4_0:
      return convert_nibbles(at, 2, out, [](const std::byte* block) {
        return [d = static_cast<float>(load<half>(block))](int q) { return d * static_cast<float>(q - 8); };
      });
    case DType::q4_1:
      return convert_nibbles(at, 4, out, [](const std::byte* block) {
        return [d = static_cast<float>(load<half>(block)), m = static_cast<float>(load<half>(block + 2))](int q) {
          return d * static_cast<float>(q) + m;
        };
      });
    default:
      fail("convert", "tensor '", tensor.name, "' holds ", tensor.dtype, ", expected a floating or quantised type");
  }
}

/// The number of single-character insertions, removals and replacements that turn a into b.
inline std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replace = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, replace}));
    }
  }
  return row[b.size()];
}

}  // namespace detail

/// Writes the numbers of a floating or quantised tensor in row-major order. Throws Error for another type and where
/// out.size() is not the number of values.
inline void convert(const TensorView& tensor, std::span<float> out) { detail::convert(tensor, out); }
inline void convert(const TensorView& tensor, std::span<double> out) { detail::convert(tensor, out); }

/// Up to three of `names` that resemble `name`, as "; close: a, b" for the end of an error; empty when none does.
template <class Names>
std::string close_names(std::string_view name, const Names& names) {
  std::vector<std::pair<std::size_t, std::string_view>> ranked;
  for (std::string_view candidate : names) {
    // Names longer than this are no typing errors, and the distance costs the product of the lengths.
    if (candidate.size() > 256 || name.size() > 256) continue;
    const std::size_t distance = detail::edit_distance(name, candidate);
    if (distance <= std::max<std::size_t>(2, name.size() / 3)) ranked.emplace_back(distance, candidate);
  }
  std::sort(ranked.begin(), ranked.end());
  std::string text;
  for (std::size_t i = 0; i < std::min<std::size_t>(3, ranked.size()); ++i)
    (text += i ? ", '" : "; close: '").append(ranked[i].second) += '\'';
  return text;
}

/// Tensors in the order of their file, found by name. add() refuses a repeated name.
class TensorList {
 public:
  bool add(TensorView tensor) {
    if (!index_.emplace(tensor.name, tensors_.size()).second) return false;
    tensors_.push_back(std::move(tensor));
    return true;
  }
  std::span<const TensorView> all() const { return tensors_; }
  const TensorView* find(std::string_view name) const {
    const auto found = index_.find(std::string(name));
    return found == index_.end() ? nullptr : &tensors_[found->second];
  }
  /// The tensor of that name. Without one, an error of the reader `where` about the file `path` that tells close names.
  const TensorView& at(std::string_view name, std::string_view where, const std::filesystem::path& path) const {
    const TensorView* found = find(name);
    if (found == nullptr)
      fail(where, path.string(), ": there is no tensor '", name, "' among ", tensors_.size(),
           close_names(name, names()));
    return *found;
  }
  std::vector<std::string_view> names() const {
    std::vector<std::string_view> result;
    for (const TensorView& tensor : tensors_) result.push_back(tensor.name);
    return result;
  }

 private:
  std::vector<TensorView> tensors_;
  std::unordered_map<std::string, std::size_t> index_;
};

}  // namespace flamingo::io
