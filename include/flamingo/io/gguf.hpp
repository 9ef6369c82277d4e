/// GGUF files (versions 2 and 3): metadata and tensors, read mapped.
#pragma once
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include <flamingo/core/check.hpp>
#include <flamingo/io/mapped_file.hpp>
#include <flamingo/io/tensor_file.hpp>

namespace flamingo::io {

/// A metadata value. Strings view the map of their file; integers of all widths are 64 bits wide, floats double.
struct GgufValue {
  using Array = std::vector<GgufValue>;
  std::variant<std::uint64_t, std::int64_t, double, bool, std::string_view, Array> value;

  std::string_view type_name() const {
    constexpr std::array<std::string_view, 6> names{"an unsigned integer", "an integer", "a number",
                                                    "a boolean",           "a string",   "an array"};
    return names[value.index()];
  }
  /// The integer, when this is one that fits.
  std::optional<std::int64_t> integer() const {
    if (const auto* exact = std::get_if<std::int64_t>(&value)) return *exact;
    const auto* natural = std::get_if<std::uint64_t>(&value);
    if (natural != nullptr && *natural <= std::uint64_t{std::numeric_limits<std::int64_t>::max()})
      return static_cast<std::int64_t>(*natural);
    return std::nullopt;
  }
  /// The number, when this is an integer or a float.
  std::optional<double> number() const {
    if (const auto* real = std::get_if<double>(&value)) return *real;
    if (const auto* natural = std::get_if<std::uint64_t>(&value)) return static_cast<double>(*natural);
    if (const auto whole = integer()) return static_cast<double>(*whole);
    return std::nullopt;
  }
};

/// A tensor whose type this library does not read: it is listed, and using it is an error that says so.
struct UnreadTensor {
  std::string name;
  std::string type;
  std::vector<std::int64_t> shape;
};

/// A mapped file. Opening it checks counts, lengths, types, alignment and that every tensor lies inside the file. Views
/// and strings hold while this object, or the one it was moved to, lives.
class Gguf {
 public:
  /// Throws Error with the path, the byte and what is wrong.
  explicit Gguf(const std::filesystem::path& path);

  /// The tensors of readable types (F32, F16, BF16, F64, Q8_0, Q4_0, Q4_1 and integers), in the order of the file.
  /// Shapes are outermost first: a matrix of O rows with I columns is (O, I), although the file says [I, O].
  std::span<const TensorView> tensors() const { return list_.all(); }
  /// The tensors of other types.
  std::span<const UnreadTensor> unread_tensors() const { return unread_; }
  /// The tensor of that name, or null when the file has none. An error when its type is not readable.
  const TensorView* find(std::string_view name) const;
  /// The tensor of that name. Without one, an error that tells close names.
  const TensorView& at(std::string_view name) const;

  /// All metadata in the order of the file.
  std::span<const std::pair<std::string_view, GgufValue>> metadata() const { return metadata_; }
  /// The value of that key, or null.
  const GgufValue* value(std::string_view key) const {
    const auto found = keys_.find(key);
    return found == keys_.end() ? nullptr : &metadata_[found->second].second;
  }
  /// The value of that key; an error when it is missing or of another type.
  std::int64_t integer(std::string_view key) const {
    const auto result = required(key).integer();
    if (!result) refuse_type(key, "an integer that fits 64 bits");
    return *result;
  }
  double number(std::string_view key) const {
    const auto result = required(key).number();
    if (!result) refuse_type(key, "a number");
    return *result;
  }
  bool boolean(std::string_view key) const { return get<bool>(key, "a boolean"); }
  std::string_view text(std::string_view key) const { return get<std::string_view>(key, "a string"); }
  std::span<const GgufValue> array(std::string_view key) const { return get<GgufValue::Array>(key, "an array"); }

  std::uint32_t version() const { return version_; }
  const std::filesystem::path& path() const { return file_.path(); }

 private:
  class Reader;
  struct Entry;

  void read_metadata(Reader& reader, std::uint64_t count);
  Entry read_entry(Reader& reader) const;
  std::size_t alignment() const;
  void place_tensors(std::vector<Entry>& entries, std::size_t data_start, std::size_t alignment);

  const GgufValue& required(std::string_view key) const {
    const GgufValue* found = value(key);
    if (found == nullptr) {
      std::vector<std::string_view> names;
      for (const auto& entry : metadata_) names.push_back(entry.first);
      fail("gguf", path().string(), ": there is no metadata '", key, "'", close_names(key, names));
    }
    return *found;
  }
  template <class T>
  const T& get(std::string_view key, std::string_view expected) const {
    const T* result = std::get_if<T>(&required(key).value);
    if (result == nullptr) refuse_type(key, expected);
    return *result;
  }
  [[noreturn]] void refuse_type(std::string_view key, std::string_view expected) const {
    fail("gguf", path().string(), ": metadata '", key, "' is ", required(key).type_name(), ", expected ", expected);
  }

  MappedFile file_;
  std::uint32_t version_ = 0;
  std::vector<std::pair<std::string_view, GgufValue>> metadata_;
  std::unordered_map<std::string_view, std::size_t> keys_;
  TensorList list_;
  std::vector<UnreadTensor> unread_;
};

/// A cursor that never leaves the file.
class Gguf::Reader {
 public:
  explicit Reader(const MappedFile& file) : file_(file) {}

  template <class T>
  T number(std::string_view what) {
    need(sizeof(T), what);
    const T result = io::detail::load<T>(file_.data().data() + at_);
    at_ += sizeof(T);
    return result;
  }
  std::string_view string(std::string_view what) {
    const auto length = number<std::uint64_t>(what);
    need(length, what);
    const std::string_view result = file_.text().substr(at_, static_cast<std::size_t>(length));
    at_ += result.size();
    return result;
  }
  GgufValue value(std::uint32_t type, std::string_view key, int depth = 0) {
    // Values are larger in memory than in the file: 2^24 of them bound what a hostile file can ask for.
    if (++values_ > (std::size_t{1} << 24)) refuse("the metadata has more than 16777216 values");
    switch (type) {
      case 0:
        return {std::uint64_t{number<std::uint8_t>(key)}};
      case 1:
        return {std::int64_t{number<std::int8_t>(key)}};
      case 2:
        return {std::uint64_t{number<std::uint16_t>(key)}};
      case 3:
        return {std::int64_t{number<std::int16_t>(key)}};
      case 4:
        return {std::uint64_t{number<std::uint32_t>(key)}};
      case 5:
        return {std::int64_t{number<std::int32_t>(key)}};
      case 6:
        return {double{number<float>(key)}};
      case 7: {
        const auto flag = number<std::uint8_t>(key);
        if (flag > 1) refuse("the boolean '", key, "' is ", int{flag}, ", expected 0 or 1");
        return {flag == 1};
      }
      case 8:
        return {string(key)};
      case 9:
        return {array(key, depth)};
      case 10:
        return {number<std::uint64_t>(key)};
      case 11:
        return {number<std::int64_t>(key)};
      case 12:
        return {number<double>(key)};
      default:
        refuse("'", key, "' has the value type ", type, ", expected 0 to 12");
    }
  }

  std::size_t at() const { return at_; }
  std::size_t left() const { return file_.data().size() - at_; }
  template <class... What>
  [[noreturn]] void refuse(const What&... what) const {
    fail("gguf", file_.path().string(), ", byte ", at_, ": ", what...);
  }

 private:
  void need(std::uint64_t bytes, std::string_view what) const {
    if (bytes > left()) refuse("'", what, "' takes ", bytes, " bytes but ", left(), " are left: the file is truncated");
  }
  GgufValue::Array array(std::string_view key, int depth) {
    if (depth == 8) refuse("'", key, "' nests arrays more than 8 deep");
    const auto type = number<std::uint32_t>(key);
    const auto count = number<std::uint64_t>(key);
    // Every element takes at least one byte, so this also bounds the loop by the size of the file.
    if (count > left()) refuse("'", key, "' says it has ", count, " elements but ", left(), " bytes are left");
    GgufValue::Array result;
    result.reserve(static_cast<std::size_t>(std::min<std::uint64_t>(count, 1u << 16)));
    for (std::uint64_t i = 0; i < count; ++i) result.push_back(value(type, key, depth + 1));
    return result;
  }

  const MappedFile& file_;
  std::size_t at_ = 0, values_ = 0;
};

struct Gguf::Entry {
  TensorView tensor;
  std::uint32_t type = 0;
  std::uint64_t offset = 0;
};

namespace detail {

/// The type numbers of GGUF that this library reads.
inline std::optional<DType> gguf_type(std::uint32_t type) {
  switch (type) {
    case 0:
      return DType::f32;
    case 1:
      return DType::f16;
    case 2:
      return DType::q4_0;
    case 3:
      return DType::q4_1;
    case 8:
      return DType::q8_0;
    case 24:
      return DType::i8;
    case 25:
      return DType::i16;
    case 26:
      return DType::i32;
    case 27:
      return DType::i64;
    case 28:
      return DType::f64;
    case 30:
      return DType::bf16;
    default:
      return std::nullopt;
  }
}

/// The name of a type number that gguf_type() does not know.
inline std::string gguf_type_name(std::uint32_t type) {
  constexpr std::array<std::string_view, 18> names{"Q5_0",    "Q5_1",  "",       "Q8_1",  "Q2_K",    "Q3_K",
                                                   "Q4_K",    "Q5_K",  "Q6_K",   "Q8_K",  "IQ2_XXS", "IQ2_XS",
                                                   "IQ3_XXS", "IQ1_S", "IQ4_NL", "IQ3_S", "IQ2_S",   "IQ4_XS"};
  const std::string number = "type " + std::to_string(type);
  return type >= 6 && type < 6 + names.size() ? std::string(names[type - 6]) + " (" + number + ")" : number;
}

}  // namespace detail

inline Gguf::Gguf(const std::filesystem::path& path) : file_(path) {
  check(file_.text().substr(0, 4) == "GGUF", "gguf", path.string(), ": the file does not begin with 'GGUF'");
  Reader reader(file_);
  reader.number<std::uint32_t>("magic");
  version_ = reader.number<std::uint32_t>("version");
  if (version_ != 2 && version_ != 3)
    reader.refuse("the version is ", version_, ", expected 2 or 3",
                  (version_ & 0xffffu) == 0 ? " (a big-endian file?)" : "");
  const auto tensor_count = reader.number<std::uint64_t>("tensor count");
  const auto key_count = reader.number<std::uint64_t>("metadata count");
  // A tensor takes at least 24 bytes (name length, rank, type, offset) and a key at least 13.
  if (tensor_count > reader.left() / 24 || key_count > reader.left() / 13)
    reader.refuse("the header says ", tensor_count, " tensors and ", key_count, " keys, too many for a file of ",
                  file_.data().size(), " bytes");
  read_metadata(reader, key_count);
  std::vector<Entry> entries;
  for (std::uint64_t i = 0; i < tensor_count; ++i) entries.push_back(read_entry(reader));
  const std::size_t step = alignment();
  place_tensors(entries, (reader.at() + step - 1) / step * step, step);
}

inline void Gguf::read_metadata(Reader& reader, std::uint64_t count) {
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::string_view key = reader.string("metadata key");
    const auto type = reader.number<std::uint32_t>(key);
    if (!keys_.emplace(key, metadata_.size()).second) reader.refuse("the metadata '", key, "' occurs twice");
    metadata_.emplace_back(key, reader.value(type, key));
  }
}

inline Gguf::Entry Gguf::read_entry(Reader& reader) const {
  Entry entry;
  entry.tensor.name = reader.string("tensor name");
  const auto rank = reader.number<std::uint32_t>(entry.tensor.name);
  if (rank > 4) reader.refuse("tensor '", entry.tensor.name, "' has ", rank, " axes, expected at most 4");
  for (std::uint32_t axis = 0; axis < rank; ++axis) {
    const auto extent = reader.number<std::uint64_t>(entry.tensor.name);
    if (extent > std::uint64_t{std::numeric_limits<std::int64_t>::max()})
      reader.refuse("tensor '", entry.tensor.name, "' has an extent of ", extent);
    entry.tensor.shape.insert(entry.tensor.shape.begin(), static_cast<std::int64_t>(extent));
  }
  entry.type = reader.number<std::uint32_t>(entry.tensor.name);
  entry.offset = reader.number<std::uint64_t>(entry.tensor.name);
  return entry;
}

inline std::size_t Gguf::alignment() const {
  if (value("general.alignment") == nullptr) return 32;
  const std::int64_t step = integer("general.alignment");
  check(step >= 1 && step <= (1 << 20) && (step & (step - 1)) == 0, "gguf", path().string(), ": general.alignment is ",
        step, ", expected a power of two up to 1048576");
  return static_cast<std::size_t>(step);
}

inline void Gguf::place_tensors(std::vector<Entry>& entries, std::size_t data_start, std::size_t step) {
  const std::size_t size = file_.data().size();
  const std::size_t data_size = data_start < size ? size - data_start : 0;
  std::vector<std::array<std::size_t, 2>> used;
  for (Entry& entry : entries) {
    TensorView& tensor = entry.tensor;
    const std::string where = path().string() + ": tensor '" + tensor.name + "'";
    check(entry.offset % step == 0, "gguf", where, " lies at ", entry.offset, ", expected a multiple of ", step);
    check(entry.offset <= data_size, "gguf", where, " lies at ", entry.offset, " of ", data_size,
          " bytes of data: the file is truncated");
    const auto type = io::detail::gguf_type(entry.type);
    if (!type) {
      unread_.push_back({tensor.name, io::detail::gguf_type_name(entry.type), tensor.shape});
      continue;
    }
    tensor.dtype = *type;
    const std::int64_t bytes = byte_size(tensor.dtype, tensor.shape);
    check(bytes >= 0, "gguf", where, " of ", tensor.dtype, " has the shape ", shape_text(tensor.shape),
          ", expected rows of whole blocks and a size that does not overflow");
    check(static_cast<std::uint64_t>(bytes) <= data_size - entry.offset, "gguf", where, " takes ", bytes,
          " bytes from ", entry.offset, " of ", data_size, " bytes of data: the file is truncated");
    const auto begin = static_cast<std::size_t>(entry.offset), length = static_cast<std::size_t>(bytes);
    if (length > 0) {
      tensor.bytes = file_.data().subspan(data_start + begin, length);
      used.push_back({begin, begin + length});
    }
    check(list_.add(std::move(tensor)), "gguf", where, " occurs twice");
  }
  std::sort(used.begin(), used.end());
  for (std::size_t i = 1; i < used.size(); ++i)
    check(used[i][0] >= used[i - 1][1], "gguf", path().string(), ": two tensors overlap at byte ", used[i][0],
          " of the data");
}

inline const TensorView* Gguf::find(std::string_view name) const {
  for (const UnreadTensor& tensor : unread_)
    if (tensor.name == name)
      fail("gguf", path().string(), ": tensor '", name, "' has ", tensor.type,
           ", expected one of F32, F16, BF16, F64, Q8_0, Q4_0, Q4_1 and I8 to I64");
  return list_.find(name);
}

inline const TensorView& Gguf::at(std::string_view name) const {
  const TensorView* found = find(name);
  if (found == nullptr)
    fail("gguf", path().string(), ": there is no tensor '", name, "' among ", tensors().size(),
         close_names(name, list_.names()));
  return *found;
}

}  // namespace flamingo::io
